"""How many of the kernel's own single-file selftests compile and link unmodified with nolibc.

    PYTHONPATH=src python benchmarks/kselftest_programs.py [--peer] [--arch NAME] [--list] [--write-why FILE]

The candidates are all C files with a main under tools/testing/selftests of linux-source-7.2 but those for bpf
and for foreign architectures.  ``--peer`` builds each with the host's glibc, too, with the same flags.  The
failures are grouped by the first thing that was missing: a header, a symbol, a constant, a type.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ring3.arch import by_name, host
from ring3.files import write_atomically
from ring3.kselftest import discover, program
from ring3.linux_source import kernel_source
from ring3.nolibc import build, toolchain

_FIRST = (
    (re.compile(r"fatal error: (\S+): No such file"), "header {}"),
    (re.compile(r"error: implicit declaration of function ['‘](\w+)"), "function {}"),
    (re.compile(r"undefined reference to [`'‘](\w+)"), "symbol {}"),
    (re.compile(r"error: ['‘](\w+)['’] undeclared"), "constant {}"),
    (re.compile(r"error: unknown type name ['‘](\w+)"), "type {}"),
    (re.compile(r"error: .*(?:incomplete type|storage size of).*?['‘]([\w ]+)['’]"), "struct {}"),
    (re.compile(r"error: (.{1,70})"), "{}"),
)


def first_lack(log: str) -> str:
    """What a compiler's log complains of first."""
    found = [
        (match.start(), shape.format(match[1]))
        for pattern, shape in _FIRST
        if (match := pattern.search(log))
    ]
    return min(found)[1] if found else "other"


def candidates() -> list[discover.Source]:
    """Every C file with a main that could be a test of this architecture."""
    top = kernel_source("7.2") / "tools/testing/selftests"
    found = [
        discover.Source(str(path.relative_to(top).with_suffix("")), path)
        for path in sorted(top.rglob("*.c"))
        if path.relative_to(top).parts[0] != "bpf" and discover.has_main(path)
    ]
    return [source for source in found if not discover.foreign(source, host())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="store_true", help="build with the host's glibc, too")
    parser.add_argument("--arch", default=host().name)
    parser.add_argument("--list", action="store_true", help="print the names that build")
    parser.add_argument("--write-why", type=Path, help="the first error of each failure")
    options = parser.parse_args()
    arch = by_name(options.arch)
    compiler = toolchain.find(arch)
    # -std as GCC has it by default; a missing declaration is an error and not a guess.
    flags = (*program.FLAGS, "-Werror=implicit-function-declaration")
    good: list[str] = []
    why: list[tuple[str, str, str, bool]] = []
    peers = 0
    sources = candidates()

    def one(source: discover.Source) -> tuple[discover.Source, str | None, bool]:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "test")
            try:
                program.compile_test(source, arch, output, compiler=compiler, flags=flags)
                log = None
            except build.CompileError as error:
                log = error.log
            peer = options.peer and _with_glibc(source, output, flags)
        return source, log, peer

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for source, log, peer in pool.map(one, sources):
            peers += peer
            if log is None:
                good.append(source.name)
            else:
                why.append((first_lack(log), source.name, log, peer))
    print(f"{len(good)} of {len(sources)} compile and link with nolibc ({arch.name})")
    if options.peer:
        print(f"{peers} of {len(sources)} with the host's glibc, statically, and the same flags")
    if options.list:
        print(*good, sep="\n")
    lacks = Counter(lack for lack, _, _, _ in why)
    reached = Counter(lack for lack, _, _, peer in why if peer)
    for lack, count in lacks.most_common(60):
        told = f"  ({reached[lack]} of them build with glibc)" if options.peer else ""
        print(f"{count:5}  {lack}{told}")
    if options.write_why:
        text = "".join(
            f"== {name}: {lack}{' (glibc builds it)' if peer else ''}\n{log[:1500]}\n"
            for lack, name, log, peer in why
        )
        write_atomically(options.write_why, text)


def _with_glibc(source: discover.Source, output: Path, flags: tuple[str, ...]) -> bool:
    first, last = discover.include_folders(source.path)
    files, folders = discover.companions(source.path)
    first += folders
    words = ["gcc", *flags, *(f"-I{path}" for path in first), "-o", str(output)]
    words += [word for path in last for word in ("-idirafter", str(path))]
    words += [*map(str, (source.path, *files)), "-static", "-lpthread", "-lrt", "-lm"]
    done = subprocess.run(words, capture_output=True, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    main()
