"""What `ring3 audit` costs: cold, warm, a patch, the whole tree, and against GCC reading the same files.

    python benchmarks/audit.py [--version 7.2] [--all] [--gcc]

Cold and warm use a cache of their own.  CPU time is that of all processes, those that outlive the command
(the fork server's) too: this one adopts them.  Memory is the sum over all processes of the pages that each
has of its own and its share of those that are shared (PSS), sampled ten times a second: its highest.
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
import threading
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
    adopt()
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


def adopt() -> None:
    """Become the parent of descendants whose own parent has ended (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0):
        raise SystemExit("no PR_SET_CHILD_SUBREAPER here: the CPU time would be told too low")


def run(what: str, tree: Path, *arguments: str) -> None:
    """Time one command line, and print what it took."""
    started, before = time.perf_counter(), os.times()
    command = [sys.executable, "-m", "ring3", "audit", str(tree), "--brief", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process, peak), daemon=True)
    watcher.start()
    out, err = process.communicate()
    seconds = time.perf_counter() - started
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0):
            pass
    if process.returncode not in (0, 1):
        raise SystemExit(err)
    after = os.times()
    user = after.children_user - before.children_user
    system = after.children_system - before.children_system
    print(
        f"{what:20} {seconds:7.1f} s  {user:6.1f} s user  {system:5.1f} s system  "
        f"{peak[0] / 1024:6.0f} MiB  {len(out.splitlines())} lines",
        flush=True,
    )


def watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    """Keep in ``peak`` the most memory that ``process`` and all below it have had, in KiB."""
    while process.poll() is None:
        family = [process.pid]
        for pid in family:
            for path in Path(f"/proc/{pid}/task").glob("*/children"):
                family += map(int, read(path).split())
        held = (
            re.search(r"^Pss:\s+(\d+)", read(Path(f"/proc/{p}/smaps_rollup")), re.M) for p in family
        )
        peak[0] = max(peak[0], sum(int(found.group(1)) for found in held if found))
        time.sleep(0.1)


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
