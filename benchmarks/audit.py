"""What `ring3 audit` costs: cold, warm, a patch, the whole tree, and against GCC reading the same files.

    python benchmarks/audit.py [--version 7.2] [--all] [--gcc] [--memory]

Cold and warm use a cache of their own.  CPU time is that of all processes, those that outlive the command
(the fork server's) too: this one adopts them.  Memory is the sum over all processes of the pages that each
has of its own and its share of those that are shared (PSS), sampled ten times a second: its highest.
To ask for that makes the kernel go through all of a process's pages, an eighth of the time on two cores:
memory is measured in runs of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
    parser.add_argument("--memory", action="store_true", help="memory instead of time")
    options = parser.parse_args()
    tree = linux_source.kernel_source(options.version)
    adopt()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        cost = peak if options.memory else pace
        print(f"{'core, cold':20} {cost(tree)}", flush=True)
        print(f"{'core, warm':20} {cost(tree)}", flush=True)
        with tempfile.NamedTemporaryFile("w", suffix=".patch") as patch:
            patch.write(change(tree))
            patch.flush()
            print(f"{'a patch to fs/fat':20} {cost(tree, '--patch', patch.name)}", flush=True)
        if options.all:
            print(f"{'whole tree, cold':20} {cost(tree, '--all')}", flush=True)
    if options.gcc:
        against_gcc(tree)


def adopt() -> None:
    """Become the parent of descendants whose own parent has ended (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0):
        raise SystemExit("no PR_SET_CHILD_SUBREAPER here: the CPU time would be told too low")


@contextlib.contextmanager
def command(tree: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """One command line at work; in the end it, and all that it left behind, has ended."""
    words = [sys.executable, "-m", "ring3", "audit", str(tree), "--brief", *arguments]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        yield run
        _, err = run.communicate()  # a line or two
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0):
            pass
    if run.returncode not in (0, 1):
        raise SystemExit(err)


def pace(tree: Path, *arguments: str) -> str:
    """The time that one command line takes."""
    started, before = time.perf_counter(), os.times()
    with command(tree, *arguments) as run:
        run.wait()
        seconds = time.perf_counter() - started
    after = os.times()
    user = after.children_user - before.children_user
    system = after.children_system - before.children_system
    return f"{seconds:7.1f} s  {user:6.1f} s user  {system:5.1f} s system"


def peak(tree: Path, *arguments: str) -> str:
    """The most memory that one command line and all processes below it have had."""
    most = 0
    with command(tree, *arguments) as run:
        while run.poll() is None:
            family = [run.pid]
            for pid in family:
                for path in Path(f"/proc/{pid}/task").glob("*/children"):
                    family += map(int, read(path).split())
            rollups = (read(Path(f"/proc/{pid}/smaps_rollup")) for pid in family)
            held = (re.search(r"^Pss:\s+(\d+)", rollup, re.M) for rollup in rollups)
            most = max(most, sum(int(found.group(1)) for found in held if found))
            time.sleep(0.1)
    return f"{most / 1024:6.0f} MiB"


def read(path: Path) -> str:
    """The text of a file of /proc; "" when the process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


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
        read_by_gcc = [
            path
            for path in files
            if subprocess.run([*gcc, path], capture_output=True, check=False).returncode == 0
        ]
        before = os.times()
        started = time.perf_counter()
        for path in read_by_gcc:
            subprocess.run([*gcc, path], check=True, capture_output=True)
        compiled = time.perf_counter() - started
        after = os.times()
        compiling = after.children_user - before.children_user
        started, user = time.perf_counter(), time.process_time()
        for path in read_by_gcc:
            extract(path.read_bytes())
        ours, mine = time.perf_counter() - started, time.process_time() - user
    print(
        f"{len(read_by_gcc)} of {len(files)} files: facts {ours:.2f} s ({mine:.2f} s CPU), "
        f"gcc -fsyntax-only {compiled:.2f} s ({compiling:.2f} s CPU), "
        f"ratio {ours / compiled:.3f} ({mine / compiling:.3f} of CPU)"
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
        *("-O2", "-fno-PIE", "-mcmodel=kernel", "-mno-sse", "-mno-red-zone", "-DCC_USING_FENTRY"),
        *(
            '-DKBUILD_MODNAME="x"',
            '-DKBUILD_BASENAME="x"',
            '-DKBUILD_MODFILE="x"',
            "-D__KBUILD_MODNAME=x",
        ),
    ]


if __name__ == "__main__":
    main()
