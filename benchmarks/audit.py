"""What `ring3 audit` costs: cold, warm, a patch, the whole tree, and against GCC reading the same files.

    python benchmarks/audit.py [--version 7.2] [--all] [--gcc]

Cold and warm use a cache of their own.  Peak memory is the sum of the peaks of all processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ring3 import linux_source
from ring3.audit.facts import extract

_PATCH = """--- a/fs/fat/cache.c
+++ b/fs/fat/cache.c
@@ -{line},1 +{line},1 @@
-{old}
+{new}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="7.2")
    parser.add_argument("--all", action="store_true", help="the whole tree, drivers included, too")
    parser.add_argument("--gcc", action="store_true", help="against gcc -fsyntax-only, too")
    options = parser.parse_args()
    tree = linux_source.kernel_source(options.version)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        run("core, cold", tree)
        run("core, warm", tree)
        with tempfile.NamedTemporaryFile("w", suffix=".patch") as patch:
            patch.write(change(tree))
            patch.flush()
            run("a patch to fs/fat", tree, "--patch", patch.name)
        if options.all:
            run("whole tree, cold", tree, "--all")
    if options.gcc:
        against_gcc(tree)


def run(what: str, tree: Path, *arguments: str) -> None:
    """Time one command line, and print what it took."""
    code = (
        "import sys, resource; from ring3.cli import root; "
        "root(args=sys.argv[1:], standalone_mode=False); "
        "print(sum(resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF,)), file=sys.stderr)"
    )
    started, before = time.perf_counter(), os.times()
    done = subprocess.run(
        [sys.executable, "-c", code, "audit", str(tree), "--brief", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    after = os.times()
    cpu = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    peak = int(done.stderr.strip().splitlines()[-1]) / 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"{what:24} {seconds:7.1f} s  {cpu:7.1f} s CPU  {peak:6.0f} MiB (largest process {child:.0f})"
    )


def change(tree: Path) -> str:
    """A patch that changes the flags of one allocation."""
    for number, line in enumerate((tree / "fs/fat/cache.c").read_text().splitlines(), 1):
        if "GFP_NOFS" in line:
            return _PATCH.format(line=number, old=line, new=line.replace("GFP_NOFS", "GFP_KERNEL"))
    raise SystemExit("fs/fat/cache.c has no GFP_NOFS")


def against_gcc(tree: Path) -> None:
    """Facts of fs/ext4 and fs/fat against gcc -fsyntax-only on the same files, one process each."""
    with tempfile.TemporaryDirectory() as folder:
        make = ["make", "-s", "-C", str(tree), f"O={folder}"]
        subprocess.run([*make, "defconfig"], check=True, capture_output=True)
        subprocess.run([*make, "-j2", "prepare"], check=True, capture_output=True)
        files = [*sorted((tree / "fs/ext4").glob("*.c")), *sorted((tree / "fs/fat").glob("*.c"))]
        gcc = compiler(tree, Path(folder))
        read = [
            path
            for path in files
            if subprocess.run([*gcc, path], capture_output=True, check=False).returncode == 0
        ]
        started = time.perf_counter()
        for path in read:
            subprocess.run([*gcc, path], check=True, capture_output=True)
        compiled = time.perf_counter() - started
        started = time.perf_counter()
        for path in read:
            extract(path.read_bytes())
        ours = time.perf_counter() - started
    print(
        f"{len(read)} of {len(files)} files: facts {ours:.2f} s, gcc -fsyntax-only {compiled:.2f} s, "
        f"ratio {ours / compiled:.3f}"
    )


def compiler(tree: Path, build: Path) -> list[str]:
    """GCC with the include paths and definitions of the kernel's own build for x86."""
    includes = [
        tree / "arch/x86/include",
        build / "arch/x86/include/generated",
        tree / "include",
        build / "include",
        tree / "arch/x86/include/uapi",
        build / "arch/x86/include/generated/uapi",
        tree / "include/uapi",
        build / "include/generated/uapi",
    ]
    forced = ["compiler-version.h", "kconfig.h", "compiler_types.h"]
    return [
        *(
            "gcc",
            "-fsyntax-only",
            "-w",
            "-std=gnu11",
            "-nostdinc",
            "-D__KERNEL__",
            "-fms-extensions",
        ),
        *(f"-I{path}" for path in includes),
        *(word for name in forced for word in ("-include", str(tree / "include/linux" / name))),
        *("-O2", "-mcmodel=kernel", "-mno-sse", "-mno-red-zone", "-DCC_USING_FENTRY"),
        *(
            '-DKBUILD_MODNAME="x"',
            '-DKBUILD_BASENAME="x"',
            '-DKBUILD_MODFILE="x"',
            "-D__KBUILD_MODNAME=x",
        ),
    ]


if __name__ == "__main__":
    main()
