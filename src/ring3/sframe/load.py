"""Opens what a user names - a binary, an object, a sidecar, a raw section - as a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ring3.elf import SHT_NOBITS, STT_FUNC, STT_GNU_IFUNC, Elf
from ring3.errors import BadInput, MissingPart
from ring3.files import require_regular
from ring3.sframe import cfi, facts, orc, section
from ring3.sframe.cfi import PT_GNU_EH_FRAME
from ring3.sframe.decode import decode
from ring3.sframe.image import Image
from ring3.sframe.section import MAGIC, PT_GNU_SFRAME, Section
from ring3.sframe.table import Refusal, Table

#: Sources of a table that a file may hold, best first, and the section that shows it.
SOURCES = {"cfi": (".eh_frame", ".debug_frame"), "orc": (".orc_unwind",), "sframe": (".sframe",)}

_MAGIC = (MAGIC.to_bytes(2, "little"), MAGIC.to_bytes(2, "big"))


def own_section(elf: Elf) -> Section | None:
    """The .sframe section that ``elf`` itself holds, or None.  Raises BadInput, Unsupported.

    A file without section headers is asked for its PT_GNU_SFRAME.
    """
    image = Image(elf)
    data = image.contents(".sframe")
    if data is not None:
        return section.parse(data, image.address(".sframe"), f"{elf.path}: .sframe")
    for segment in elf.segments:
        if segment.type == PT_GNU_SFRAME:
            held = elf.slice(segment.offset, segment.filesz, "PT_GNU_SFRAME")
            return section.parse(held, segment.vaddr, f"{elf.path}: PT_GNU_SFRAME")
    return None


def is_raw(path: Path) -> bool:
    """Whether ``path`` is a bare SFrame section, not an ELF file around one."""
    require_regular(path)
    with path.open("rb") as file:
        return file.read(2) in _MAGIC


def sframe(path: Path) -> Section:
    """The section in ``path`` (a binary, an object, a sidecar or a raw section), or in the sidecar
    that the cache keeps for a binary without one.

    Raises MissingPart when there is none, BadInput, Unsupported.
    """
    if is_raw(path):
        return section.parse(path.read_bytes(), 0, str(path))
    with Elf(path) as elf:
        found = own_section(elf)
        if found is None and (kept := facts.sidecar(elf.build_id)):
            with Elf(kept) as beside:
                found = own_section(beside)
    if found is None:
        raise MissingPart(
            "no .sframe section, and no sidecar of its build-id",
            where=str(path),
            remedy=f"ring3 sframe convert {path}",
        )
    return found


def function_name(elf: Elf, start: int) -> str:
    """The symbol of the function at ``start`` in a linked file; "" where none says."""
    symbols = elf.symbols
    at = int(np.searchsorted(symbols.addr, np.uint64(start & 0xFFFFFFFFFFFFFFFF)))
    while at < len(symbols) and int(symbols.addr[at]) == start and elf.type != "ET_REL":
        if symbols.type[at] in (STT_FUNC, STT_GNU_IFUNC, 0) and symbols.name(at):
            return symbols.name(at)
        at += 1
    return ""


def named(elf: Elf, refusals: list[Refusal]) -> list[Refusal]:
    """``refusals`` with the names of their functions."""
    return [replace(one, name=function_name(elf, one.start)) for one in refusals]


def source_of(elf: Elf) -> str:
    """The best source that ``elf`` holds.  Raises BadInput when it holds none."""
    for source, names in SOURCES.items():
        for name in names:
            found = elf.section(name)
            if found is not None and found.type != SHT_NOBITS and found.size:
                return source
    kinds = {segment.type for segment in elf.segments}
    if not elf.sections and PT_GNU_EH_FRAME in kinds:
        return "cfi"
    if PT_GNU_SFRAME in kinds:
        return "sframe"
    raise BadInput(
        "nothing to unwind by: no .eh_frame, .debug_frame, .orc_unwind or .sframe",
        where=str(elf.path),
    )


def size_of_cfi(elf: Elf) -> int:
    """Bytes of .eh_frame and .eh_frame_hdr, which a .sframe section could stand for."""
    sections = (elf.section(".eh_frame"), elf.section(".eh_frame_hdr"))
    return sum(section.size for section in sections if section is not None)


def table(elf: Elf, source: str | None = None) -> Table:
    """The table of ``elf`` from ``source``, a key of :data:`SOURCES`; None takes the best there is.

    Raises BadInput when it does not hold it or it is malformed.
    """
    source = source or source_of(elf)
    if source == "cfi":
        return cfi.read(elf)
    if source == "orc":
        return orc.read(elf)
    found = own_section(elf)
    if found is None:
        raise BadInput("no .sframe section", where=str(elf.path))
    return decode(found)
