"""KUnit and selftests in one boot, and the counts of each as its own tool and its own run report them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ring3 import linux_source
from ring3.errors import MissingPart
from ring3.kselftest import boot, discover, kernel, machine, pipeline
from ring3.kselftest.outcome import judge
from ring3.kselftest.program import compile_test
from ring3.ktap import Log, Status, Test

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(3000)]

TESTS = (
    *("timens/timens", "timens/timer", "timens/timerfd", "timens/exec"),
    *("core/close_range_test", "core/unshare_test", "clone3/clone3", "exec/null-argv"),
    *("signal/mangle_uc_sigmask", "prctl/set-process-name", "tmpfs/bug-link-o-tmpfile"),
    *("pid_namespace/regression_enomem", "ptrace/get_syscall_info"),
)
SUITES = "[!cd]*"


@pytest.fixture(scope="module")
def source() -> Path:
    try:
        return linux_source.kernel_source("7.2")
    except MissingPart as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def image(source: Path) -> kernel.Image:
    """The small x86_64 kernel; built once a machine, which takes minutes."""
    try:
        built = kernel.build(source, kernel.X86_KUNIT)
        boot.accelerator(built)
        return built
    except MissingPart as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def sources(source: Path) -> list[discover.Source]:
    folder = source / "tools/testing/selftests"
    return [discover.Source(name, folder / f"{name}.c") for name in TESTS]


@pytest.fixture(scope="module")
def booted(image: kernel.Image, sources: list[discover.Source]) -> pipeline.Booted:
    # Suites of checksums, and of dma-buf's chains of fences, take minutes of QEMU's CPU.
    return pipeline.run_in_kernel(image, sources, pipeline.Options(), suites=SUITES)


def _programs(log: Log) -> dict[str, Test]:
    (document,) = (document for document in log.documents if document.name.startswith("programs"))
    return {test.name: test for test in document.subtests}


def test_everything_ran_in_one_boot(booted: pipeline.Booted) -> None:
    programs = _programs(booted.log)
    assert list(programs) == list(TESTS)
    assert len([test for test in programs.values() if test.status is Status.PASS]) >= 10
    assert booted.log.documents[0].name == "KTAP version 1"
    assert not [document for document in booted.log.documents if document.name == "the boot"]


def test_kunits_own_parser_counts_the_same(
    booted: pipeline.Booted, source: Path, tmp_path: Path
) -> None:
    log, out = tmp_path / "log", tmp_path / "out.json"
    log.write_text(booted.text)
    done = subprocess.run(
        [sys.executable, source / "tools/testing/kunit/kunit.py", "parse", log, f"--json={out}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=source,
    )
    theirs: Counter[str] = Counter()

    def count(group: dict) -> None:
        theirs.update(case["status"] for case in group["test_cases"])
        for below in group["sub_groups"]:
            count(below)

    assert out.is_file(), done.stdout + done.stderr
    count(json.loads(out.read_text()))
    kunit = [document for document in booted.log.documents if document.name == "KTAP version 1"]
    ours = Counter(leaf.status for document in kunit for leaf in document.leaves())
    assert ours.total() > 50
    # A suite without cases is a leaf here, and none of kunit.py's cases.
    empty = sum(not suite.subtests for document in kunit for suite in document.subtests)
    assert empty == 0
    assert {"PASS": ours[Status.PASS], "SKIP": ours[Status.SKIP], "FAIL": ours[Status.FAIL]} == {
        status: theirs[status] for status in ("PASS", "SKIP", "FAIL")
    }


def test_each_program_alone_reports_the_same(
    booted: pipeline.Booted, image: kernel.Image, sources: list[discover.Source], tmp_path: Path
) -> None:
    together = _programs(booted.log)
    for one in sources[:4]:
        alone = _programs(
            pipeline.run_in_kernel(image, [one], pipeline.Options(), kunit=False).log
        )[one.name]
        found = [(sub.name, sub.status) for sub in alone.subtests]
        assert found == [(sub.name, sub.status) for sub in together[one.name].subtests]
        assert alone.status is together[one.name].status


def test_programs_count_themselves_the_same(booted: pipeline.Booted) -> None:
    """kselftest.h and the harness end with their own totals, which our tree must repeat."""
    names = ("pass", "fail", "xfail", "xpass", "skip", "error")
    checked = 0
    for test in _programs(booted.log).values():
        for line in test.messages:
            if line.startswith("# Totals:"):
                told = dict(zip(names, map(int, re.findall(r"\d+", line)), strict=True))
                counts = Counter(sub.status.value for sub in test.subtests)
                assert {name: counts[name] for name in names} == told, test.name
                checked += 1
    assert checked >= 8


@pytest.mark.parametrize("body, trouble", [
    ("for (;;) pause();", Status.TIMEOUT),
    ('for (;;) puts("water water water water water water water");', Status.ERROR),
    ("raise(SIGBUS);", Status.CRASH),
    ("if (fork() == 0) { setsid(); for (;;) pause(); } return 0;", Status.PASS),
    ("kill(1, SIGKILL); kill(-1, SIGKILL); for (;;) pause();", Status.TIMEOUT),
])  # fmt: skip
def test_hostile_programs_in_a_kernel(body: str, trouble: Status, image, tmp_path: Path) -> None:
    head = "#include <signal.h>\n#include <stdio.h>\n#include <unistd.h>\n"
    (tmp_path / "bad.c").write_text(f"{head}int main(void)\n{{\n{body}\n}}\n")
    (tmp_path / "good.c").write_text(f'{head}int main(void)\n{{\nputs("fine");\nreturn 0;\n}}\n')
    found = discover.discover([tmp_path])
    # The emulated console takes its time for a flood; a hang is one after any time.
    options = pipeline.Options(timeout=30 if trouble is Status.ERROR else 3, limit=10_000)
    result = pipeline.run_in_kernel(image, found.sources, options, kunit=False)
    programs = _programs(result.log)
    assert programs["bad"].status is trouble
    assert programs["good"].status is Status.PASS


def test_a_panic_is_the_crash_of_the_program_that_ran(image: kernel.Image, tmp_path: Path) -> None:
    head = "#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\n"
    (tmp_path / "a.c").write_text(
        f'{head}int main(void) {{ puts("1..1\\nok 1 - one"); return 0; }}\n'
    )
    (tmp_path / "b.c").write_text(
        f'{head}int main(void) {{ puts("so far"); fflush(stdout);\n'
        'write(open("/proc/sysrq-trigger", O_WRONLY), "c", 1); return 0; }\n'
    )
    (tmp_path / "c.c").write_text("int main(void) { return 0; }\n")
    found = discover.discover([tmp_path])
    result = pipeline.run_in_kernel(image, found.sources, pipeline.Options(), kunit=False)
    programs = _programs(result.log)
    assert [programs[name].status for name in "abc"] == [Status.PASS, Status.CRASH, Status.MISSING]
    assert "sysrq" in programs["b"].reason.lower() or "panic" in programs["b"].reason.lower()


def test_real_logs_cut_anywhere(booted: pipeline.Booted) -> None:
    """A prefix of a real log never has more results than the whole, and says that it is not whole."""

    def read(text: str) -> Log:
        session = machine.read(text, list(TESTS))
        return pipeline.join(session.kunit, session.outcomes, session.problems)

    whole = read(booted.text)
    assert whole.good
    lines = booted.text.splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if "KTAP version 1" in line)
    for end in range(begin + 1, len(lines) - 3, max(1, len(lines) // 60)):
        cut = read("".join(lines[:end]))
        assert cut.counts[Status.PASS] <= whole.counts[Status.PASS]
        assert not cut.good, f"cut after line {end}"


def test_the_harness_on_other_architectures(source: Path, tmp_path: Path) -> None:
    """kselftest.h and kselftest_harness.h under these headers, big and little endian, 32 and 64 bits."""
    from ring3.arch import ARCHS
    from ring3.nolibc import toolchain

    names = ("i386", "arm64", "armthumb", "riscv64", "ppc", "ppc64", "s390x", "mips32be", "m68k")
    archs = [
        ARCHS[name]
        for name in names
        if toolchain.compilers(ARCHS[name]) and toolchain.runner(ARCHS[name]) is not None
    ]
    if len(archs) < 3:
        pytest.skip("fewer than three cross compilers with emulators are here (ring3 doctor)")
    folder = source / "tools/testing/selftests"
    tests = [
        discover.Source(name, folder / f"{name}.c")
        for name in ("core/close_range_test", "prctl/set-process-name", "timens/timens")
    ]
    for arch in archs:
        for one in tests:
            compile_test(one, arch, tmp_path / "program")
    (tmp_path / "harness.c").write_text(
        '#include "kselftest_harness.h"\nFIXTURE(box) { int x; };\nFIXTURE_SETUP(box) { self->x = 5; }\n'
        "FIXTURE_TEARDOWN(box) { }\nTEST_F(box, five) { ASSERT_EQ(5, self->x); }\n"
        "TEST(fails) { EXPECT_EQ(1, 2); }\nTEST_HARNESS_MAIN\n"
    )
    for name in ("kselftest.h", "kselftest_harness.h"):
        (tmp_path / name).symlink_to(folder / name)
    found = discover.discover([tmp_path / "harness.c"])
    outcomes = pipeline.run_here(found.sources, archs, pipeline.Options())
    for outcome in outcomes:
        found_here = {(sub.name, sub.status) for sub in judge(outcome).subtests}
        assert found_here == {("box.five", Status.PASS), ("global.fails", Status.FAIL)}, outcome


def test_names_of_the_list_are_the_names_of_the_log(booted: pipeline.Booted) -> None:
    session = machine.read(booted.text)
    assert [outcome.name for outcome in session.outcomes] == list(TESTS)
