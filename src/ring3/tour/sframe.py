"""SFrame: two binaries of this machine converted and verified; a program profiled, and frames lost."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ring3.elf import Elf
from ring3.errors import BadInput, MissingPart
from ring3.report import Block, Headline, Table
from ring3.tour.chapter import Say


def blocks(say: Say) -> Iterator[Block]:
    """The chapter."""
    from ring3.sframe import convert, section, showcase, verify

    rows = []
    for path in (_libc(), _largest_binary()):
        say(f"converting {path.name}")
        made = convert.convert(path)
        written = section.parse(made.encoded.data, made.vaddr, str(path))
        verdict, _ = verify.check(path, written)
        rows.append(
            (
                str(path),
                made.replaces,
                len(made.encoded.data),
                made.ratio,
                made.encoded.functions,
                len(made.encoded.refused),
                verdict.compared,
                verdict.differences,
            )
        )
    yield Headline(
        f"{sum(row[6] for row in rows):,} ranges, {sum(row[7] for row in rows)} disagree",
        f"between .eh_frame and the SFrame made of it, in {' and '.join(Path(row[0]).name for row in rows)}",
    )
    yield Table(
        "Binaries of this machine, nobody rebuilt: .eh_frame converted to SFrame V3, then both compared",
        (
            "file",
            "#.eh_frame + hdr bytes",
            "#SFrame bytes",
            "#ratio",
            "#functions",
            "#not expressed",
            "#ranges compared",
            "#disagree",
        ),
        rows,
        "Every row decoded from the section is compared with what the CFI says over the same addresses.",
    )
    yield from showcase.blocks(say)


def _libc() -> Path:
    """The C library this process runs with."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if re.search(r"/(libc\.so\.6|libc-2\.\d+\.so|ld-musl-.*)$", path):
            return Path(path)
    raise MissingPart("this Python maps no C library", remedy="use a dynamically linked Python")


def _largest_binary() -> Path:
    """The largest ELF file among the programs on PATH."""
    folders = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    programs = {
        path.resolve() for folder in folders if folder.is_dir() for path in folder.iterdir()
    }
    sized = sorted(
        ((path.stat().st_size, path) for path in programs if path.is_file()), reverse=True
    )
    for _, path in sized:
        try:
            with Elf(path) as elf:
                if elf.section(".eh_frame"):
                    return path
        except (BadInput, PermissionError):
            continue
    raise MissingPart("no ELF program with .eh_frame on PATH", remedy="apt-get install gdb")
