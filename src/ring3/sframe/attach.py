"""Puts a .sframe section into a linked ELF file so that it still runs.

Everything is appended: a copy of the program headers with two more, the section, a copy of the section
headers with one more.  Of what was there only the file header changes, so that addresses stay those that
debug files and profiles of the same build-id know.  (LIEF 1.0.0 moves every section of a PIE.)  Layout: gABI,
chapters "ELF Header", "Sections" and "Program Header"; PT_GNU_SFRAME: the SFrame specification.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ring3.elf import Elf
from ring3.errors import BadInput, Unsupported
from ring3.files import write_atomically
from ring3.sframe.encode import Encoded
from ring3.sframe.section import PT_GNU_SFRAME, SHT_GNU_SFRAME

# Fields of Elf64_Ehdr from e_phoff on, of Elf64_Phdr and of Elf64_Shdr.
_EHDR_AT, _EHDR = 32, "QQIHHHHHH"
_PHDR, _PHDR_SIZE = "IIQQQQQQ", 56
_SHDR, _SHDR_SIZE = "IIQQQQIIQQ", 64
_PT_LOAD, _PT_PHDR = 1, 6
_PF_R, _SHF_ALLOC = 4, 2
_PAGE_MIN = 0x1000
# Offsets and addresses keep their distance, so that a large .bss leaves a hole of its size in the file.
_HOLE_MAX = 1 << 28
_FILE_MAX = 1 << 32
_HEADERS_MAX = 0xFEFF  # beyond it the numbers mean something else (PN_XNUM, SHN_LORESERVE)


@dataclass(frozen=True)
class Attached:
    """Where the section is in the file that was written."""

    path: Path
    vaddr: int
    offset: int
    size: int


def attach(path: Path, output: Path, make: Callable[[int], Encoded]) -> tuple[Attached, Encoded]:
    """Write ``output``: the ELF file at ``path`` with the section that ``make(vaddr)`` encodes.

    ``path`` is only read; ``output`` gets its mode, owner and extended attributes and is written whole or
    not at all.  Raises BadInput for headers that lie, Unsupported for an object file (the assembler writes
    those), for a file that has a .sframe section already, and for one larger than 4 GiB, with 256 MiB of
    .bss, or with more than 65,000 headers of a kind.
    """
    with Elf(path) as elf:
        if elf.type not in ("ET_EXEC", "ET_DYN") or elf.bits != 64:
            raise Unsupported("only linked 64-bit files can take a section", where=str(path))
        if elf.section(".sframe"):
            raise Unsupported(
                "it has a .sframe section already",
                where=str(path),
                remedy="`ring3 sframe convert FILE -o OUT` writes another one beside it",
            )
        if len(elf.data) > _FILE_MAX:
            raise Unsupported("larger than 4 GiB", where=str(path))
        order = "<" if elf.endian == "little" else ">"
        image = bytearray(elf.data)
    fields = list(struct.unpack_from(order + _EHDR, image, _EHDR_AT))
    phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, shstrndx = fields
    if phentsize != _PHDR_SIZE or (shnum and shentsize != _SHDR_SIZE):
        raise BadInput("headers of an unknown size", where=str(path))
    phdrs = _table(image, order + _PHDR, phoff, phnum, path)
    shdrs = _table(image, order + _SHDR, shoff, shnum, path)
    place, base = _place(phdrs, len(image), path)
    if max(phnum + 2, shnum + 1) > _HEADERS_MAX:
        raise Unsupported("it has as many headers as a file can have", where=str(path))
    room = (phnum + 2) * _PHDR_SIZE
    vaddr = base + room + 7 & ~7
    encoded = make(vaddr)
    size = len(encoded.data)
    offset = place + (vaddr - base)

    # The kernel finds the program headers by address, at the same distance as in the file.
    for header in phdrs:
        if header[0] == _PT_PHDR:
            header[2:7] = place, base, base, room, room
    last = max(i for i, header in enumerate(phdrs) if header[0] == _PT_LOAD)
    page = max([_PAGE_MIN, *(header[7] for header in phdrs if header[0] == _PT_LOAD)])
    length = vaddr - base + size
    phdrs.insert(last + 1, [_PT_LOAD, _PF_R, place, base, base, length, length, page])
    phdrs.append([PT_GNU_SFRAME, _PF_R, offset, vaddr, vaddr, size, size, 8])
    body = bytearray(b"".join(struct.pack(order + _PHDR, *header) for header in phdrs))
    body += bytes(vaddr - base - room) + encoded.data
    fields[0], fields[5] = place, len(phdrs)
    if shdrs:
        names = shdrs[shstrndx] if shstrndx < len(shdrs) else None
        if names is None or names[4] + names[5] > len(image):
            raise BadInput("the section names lie outside the file", where=str(path))
        strings = image[names[4] : names[4] + names[5]]
        shdrs.append([len(strings), SHT_GNU_SFRAME, _SHF_ALLOC, vaddr, offset, size, 0, 0, 8, 0])
        names[4], names[5] = place + len(body), len(strings) + len(b".sframe\0")
        body += strings + b".sframe\0"
        body += bytes(-len(body) % 8)
        fields[1], fields[7] = place + len(body), len(shdrs)
        body += b"".join(struct.pack(order + _SHDR, *header) for header in shdrs)
    image += bytes(place - len(image)) + body
    struct.pack_into(order + _EHDR, image, _EHDR_AT, *fields)
    write_atomically(output, image, like=path)
    return Attached(output, vaddr, offset, size), encoded


def _table(image: bytearray, form: str, offset: int, count: int, path: Path) -> list[list[int]]:
    size = struct.calcsize(form)
    if offset + count * size > len(image):
        raise BadInput("headers lie outside the file", where=f"{path}+{offset:#x}")
    return [list(struct.unpack_from(form, image, offset + i * size)) for i in range(count)]


def _place(phdrs: list[list[int]], length: int, path: Path) -> tuple[int, int]:
    """File offset and address of the first byte to append: in a page behind all that is loaded.

    Where in that page: as far as the last segment's bytes reach into theirs.  objcopy and strip write
    segments one behind the other, and move program headers to where that leaves them; so they fit.
    """
    loads = [header for header in phdrs if header[0] == _PT_LOAD]
    if not loads:
        raise Unsupported("nothing of it is loaded", where=str(path))
    first = min(loads, key=lambda header: header[3])
    distance = first[3] - first[2]
    page = max([_PAGE_MIN, *(header[7] for header in loads)])
    end = max(*(header[3] + header[6] for header in loads), length + distance)
    last = max(loads, key=lambda header: header[3])
    base = -(-end // page) * page + (last[2] + last[5] + 7 & ~7) % page
    if page & page - 1 or distance < 0 or base >> 63:
        raise BadInput("segments at impossible addresses", where=str(path))
    if base - distance - length > _HOLE_MAX:
        raise Unsupported("its .bss is too large for a section behind it", where=str(path))
    return base - distance, base
