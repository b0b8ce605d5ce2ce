"""Opens what a user names - a binary, an object, a sidecar, a raw section - as a table."""

from __future__ import annotations

from pathlib import Path

from ring3.elf import Elf
from ring3.errors import BadInput, MissingPart
from ring3.sframe import cfi, orc, section, sidecar
from ring3.sframe.decode import decode
from ring3.sframe.image import Image
from ring3.sframe.section import Section
from ring3.sframe.table import Table

#: Sources of a table that a file may hold, best first, and the section that shows it.
SOURCES = {"cfi": (".eh_frame", ".debug_frame"), "orc": (".orc_unwind",), "sframe": (".sframe",)}


def own_section(elf: Elf) -> Section | None:
    """The .sframe section that ``elf`` itself holds, or None.  Raises BadInput, Unsupported."""
    image = Image(elf)
    data = image.contents(".sframe")
    if data is None:
        return None
    return section.parse(data, image.address(".sframe"), f"{elf.path}: .sframe")


def sframe(path: Path) -> Section:
    """The section in ``path`` (a binary, an object, a sidecar or a raw section), or in the sidecar
    that the cache keeps for a binary without one.

    Raises MissingPart when there is none, BadInput, Unsupported.
    """
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] in (b"\xde\xe2", b"\xe2\xde"):
        return section.parse(path.read_bytes(), 0, str(path))
    with Elf(path) as elf:
        found = own_section(elf)
        if found is None and elf.build_id and sidecar.path(elf.build_id).exists():
            with Elf(sidecar.path(elf.build_id)) as beside:
                found = own_section(beside)
    if found is None:
        raise MissingPart(
            "no .sframe section, and no sidecar of its build-id",
            where=str(path),
            remedy=f"ring3 sframe convert {path}",
        )
    return found


def source_of(elf: Elf) -> str:
    """The best source that ``elf`` holds.  Raises BadInput when it holds none."""
    for source, names in SOURCES.items():
        for name in names:
            found = elf.section(name)
            if found is not None and found.type != 8 and found.size:
                return source
    raise BadInput(
        "nothing to unwind by: no .eh_frame, .debug_frame, .orc_unwind or .sframe",
        where=str(elf.path),
    )


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
