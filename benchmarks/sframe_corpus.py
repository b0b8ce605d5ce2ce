"""Every ELF file of a machine: what objdump of binutils 2.47 prints of the section that ring3 makes of it.

    python benchmarks/sframe_corpus.py [FOLDER|FILE ...]

By default the library and program folders, and wherever rustc and cargo are.  Each file's section is
written to a sidecar; every line that ``objdump --sframe`` prints must be the line that ``ring3 sframe dump``
prints.  Files that objdump and ring3 do not agree on are listed, and the exit code is then 1.  objdump comes
from ``scripts/oracles binutils``.
"""

import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ring3 import oracles
from ring3.cluster import each, executor
from ring3.errors import Ring3Error
from ring3.sframe import convert, dump, load, stat

FOLDERS = ["/usr/lib", "/usr/lib64", "/usr/bin", "/usr/sbin", "/usr/libexec", "/usr/local", "/opt"]
FOLDERS += ["/usr/aarch64-linux-gnu", "/usr/s390x-linux-gnu", "~/.rustup", "~/.cargo"]
TOOLS = {"arm64": "aarch64-linux-gnu-objdump", "s390x": "s390x-linux-gnu-objdump"}


class Answer(NamedTuple):
    """What came out for one file; ``fault`` is the first line that differs, ``left_out`` why it has none."""

    rows: int = 0
    lines: int = 0
    fault: str = ""
    left_out: str = ""


def compare(path: str) -> Answer:
    """Convert one file and compare what the two print."""
    try:
        made = convert.convert(Path(path))
        big = made.table.arch.elf.endian == "big"
        if big:  # objdump flips the byte order in place, a shared block twice
            made = convert.convert(Path(path), share=False)
    except Ring3Error as error:
        return Answer(left_out=error.what)
    with tempfile.NamedTemporaryFile(suffix=".sframe") as side:
        side.write(made.sidecar())
        side.flush()
        tree = oracles.find("binutils")
        command = [
            *(tree / "usr/lib64/ld-linux-x86-64.so.2", "--library-path"),
            *(tree / "usr/lib/x86_64-linux-gnu",),
            *(tree / "usr/bin" / TOOLS.get(made.table.arch.name, "objdump"), "--sframe", side.name),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as objdump:
            theirs, ours = body(objdump.stdout), body(dump.text(load.sframe(Path(side.name))))
            count = 0
            for count, (a, b) in enumerate(itertools.zip_longest(theirs, ours), 1):
                if a != b:
                    objdump.kill()
                    return Answer(fault=f"line {count}: objdump {a!r}, ring3 {b!r}")
        if objdump.returncode:
            return Answer(fault=f"objdump exits {objdump.returncode}")
    return Answer(made.encoded.rows, count)


def body(lines: Iterable[str]) -> Iterator[str]:
    """The lines that say something, from the header on."""
    pieces = (piece.rstrip() for line in lines for piece in line.split("\n"))
    found = itertools.dropwhile(lambda line: not line.startswith("  Header :"), pieces)
    return (line for line in found if line)


def main(names: list[str]) -> int:
    """Run over all files in two processes; say how it goes and what came out."""
    files = list(stat.elf_files(Path(name).expanduser() for name in names or FOLDERS))
    print(f"{len(files)} ELF files", flush=True)
    begin = shown = time.monotonic()
    same = rows = lines = 0
    left_out: dict[str, int] = {}
    faults = []
    with executor() as pool:
        for done, (path, answer) in enumerate(each(pool, compare, files), 1):
            if answer.fault:
                faults.append(path)
                print(f"DIFFERS {path}: {answer.fault}", flush=True)
            elif answer.left_out:
                left_out[answer.left_out] = left_out.get(answer.left_out, 0) + 1
            else:
                same, rows, lines = same + 1, rows + answer.rows, lines + answer.lines
            if time.monotonic() - shown > 20:
                shown = time.monotonic()
                print(f"  {done} files, {rows:,} rows, {shown - begin:.0f} s", flush=True)
    print(f"{same} files: {lines:,} lines, {rows:,} rows, objdump and ring3 print the same")
    for reason, count in sorted(left_out.items(), key=lambda item: -item[1]):
        print(f"left out: {count} files: {reason}")
    print(f"{len(faults)} files differ")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
