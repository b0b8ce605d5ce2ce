"""From what a file holds to an SFrame section: read, encode, and where to put the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ring3.elf import Elf
from ring3.errors import Unsupported
from ring3.files import write_atomically
from ring3.sframe import load, sidecar
from ring3.sframe.attach import Attached, attach
from ring3.sframe.decode import decode
from ring3.sframe.encode import Encoded, encode
from ring3.sframe.table import Table


@dataclass(frozen=True)
class Conversion:
    """A file's table and the section made of it for address ``vaddr``."""

    path: Path
    source: str
    table: Table
    encoded: Encoded
    vaddr: int
    build_id: str | None
    replaces: int  # bytes of .eh_frame and .eh_frame_hdr

    @property
    def ratio(self) -> float:
        """Bytes of the section over those of .eh_frame and its index."""
        return len(self.encoded.data) / self.replaces if self.replaces else 0.0

    def sidecar(self) -> bytes:
        """The section in an ELF file of its own."""
        return sidecar.wrap(self.encoded.data, self.vaddr, self.table.arch, self.build_id)


def convert(
    path: Path,
    *,
    source: str | None = None,
    version: int = 3,
    share: bool = True,
    vaddr: int | None = None,
) -> Conversion:
    """Convert the ELF file, or the bare section, at ``path``.

    ``source``: "cfi", "orc" or "sframe"; None takes the best there is.  ``vaddr``: the address the
    section is made for; None: right behind the code.  Raises BadInput and Unsupported.
    """
    if load.is_raw(path):
        return _from_section(path, version, share, vaddr)
    with Elf(path) as elf:
        source = source or load.source_of(elf)
        table = load.table(elf, source)
        held = load.own_section(elf) if source == "sframe" else None
        place = sidecar.address(table) if vaddr is None else vaddr
        encoded = encode(
            table,
            place,
            version=version,
            share=share,
            auxiliary=held.auxiliary if held is not None else b"",
        )
        encoded = replace(encoded, refused=load.named(elf, encoded.refused))
        return Conversion(path, source, table, encoded, place, elf.build_id, load.size_of_cfi(elf))


def _from_section(path: Path, version: int, share: bool, vaddr: int | None) -> Conversion:
    """A bare section in, for the address 0 unless ``vaddr`` says otherwise."""
    section = load.sframe(path)
    table = decode(section)
    encoded = encode(table, vaddr or 0, version=version, share=share, auxiliary=section.auxiliary)
    return Conversion(path, "sframe", table, encoded, vaddr or 0, None, 0)


def add(
    path: Path,
    output: Path,
    *,
    source: str | None = None,
    version: int = 3,
    share: bool = True,
) -> tuple[Attached, Encoded]:
    """Write ``output``: the linked file at ``path`` with a section converted from its own ``source``.

    Raises as :func:`convert` and :func:`ring3.sframe.attach.attach` do.
    """
    with Elf(path) as elf:
        table = load.table(elf, source)

        def make(vaddr: int) -> Encoded:
            made = encode(table, vaddr, version=version, share=share)
            return replace(made, refused=load.named(elf, made.refused))

        return attach(path, output, make)


def write_sidecar(conversion: Conversion) -> Path:
    """Write the sidecar into the cache, keyed by build-id, and return its path.

    Raises Unsupported for a file without a build-id.
    """
    if conversion.build_id is None:
        raise Unsupported(
            "it has no build-id to keep a sidecar under",
            where=str(conversion.path),
            remedy="name a file with -o",
        )
    path = sidecar.path(conversion.build_id)
    write_atomically(path, conversion.sidecar())
    return path
