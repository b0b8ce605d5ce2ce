"""How long one boot takes that runs KUnit and a dozen selftests; the image and the programs are built before.

    PYTHONPATH=src python benchmarks/kselftest_boot.py [CONFIG ...]

The bar: KUnit and at least ten selftests in one boot in under 10 s.  The peer is the same kernel that runs
KUnit alone: the ratio says what the programs cost.
"""

from __future__ import annotations

import resource
import statistics
import sys

from ring3.kselftest import boot, discover, kernel, pipeline
from ring3.ktap import Status
from ring3.linux_source import kernel_source

ROUNDS = 3
#: Without checksums, which take minutes of QEMU's CPU, and dma-buf's chains of fences, which take 12 s.
SUITES = "[!cd]*"
TESTS = (
    *("timens/timens", "timens/timer", "timens/timerfd", "timens/exec"),
    *("core/close_range_test", "core/unshare_test", "clone3/clone3", "exec/null-argv"),
    *("signal/mangle_uc_sigmask", "prctl/set-process-name", "tmpfs/bug-link-o-tmpfile"),
    *("pid_namespace/regression_enomem", "ptrace/get_syscall_info"),
)


def main() -> None:
    source = kernel_source("7.2")
    folder = source / "tools/testing/selftests"
    tests = [discover.Source(name, folder / f"{name}.c") for name in TESTS]
    for name in sys.argv[1:] or ["x86-kunit"]:
        image = kernel.build(source, kernel.CONFIGS[name])
        accelerator = boot.accelerator(image)
        both, alone, spent = [], [], []
        for _ in range(ROUNDS):
            before = _children()
            booted = pipeline.run_in_kernel(image, tests, pipeline.Options(), suites=SUITES)
            both.append(booted.seconds)
            spent.append(_children() - before)
            alone.append(
                pipeline.run_in_kernel(image, [], pipeline.Options(), suites=SUITES).seconds
            )
        kunit, programs = (
            [document for document in booted.log.documents if document.name.startswith(kind)]
            for kind in ("KTAP", "programs")
        )
        cases = sum(1 for document in kunit for _ in document.leaves())
        passed = sum(test.status is Status.PASS for test in programs[0].subtests)
        print(
            f"{name} ({accelerator}): {cases} KUnit cases and {len(TESTS)} selftests ({passed} pass) in "
            f"{min(both):.2f} s (median {statistics.median(both):.2f}, CPU {min(spent):.2f} s with the "
            f"compiler's); KUnit alone "
            f"{min(alone):.2f} s, ratio {min(both) / min(alone):.2f}"
        )


def _children() -> float:
    """CPU seconds of all ended children: on a busy machine the figure that means something."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
