"""An ELF file with nothing but a .sframe section (and a build-id): what goes beside a binary.

objdump, readelf and libsframe read it as they would the binary itself.  ELF64 layout: gABI, chapters
"ELF Header" and "Sections".
"""

from __future__ import annotations

import struct
from pathlib import Path

from ring3.arch import Arch
from ring3.files import cache_folder
from ring3.sframe.section import SHT_GNU_SFRAME
from ring3.sframe.table import Table

_EHDR, _SHDR = 64, 64
_SHT_STRTAB, _SHT_NOTE = 3, 7
_SHF_ALLOC = 2
_ET_DYN = 3


def address(table: Table) -> int:
    """An address for a section beside the code: right behind it, so that V2 reaches, too."""
    functions = table.functions
    if not len(functions):
        return 0
    end = int((functions["start"] + functions["size"]).max())
    return (end + 7 & ~7) & 0xFFFFFFFFFFFFFFFF


def path(build_id: str) -> Path:
    """Where the sidecar of the binary with this build-id is kept; the first byte names a folder."""
    return cache_folder("sframe", build_id[:2]) / f"{build_id[2:]}.sframe"


def wrap(data: bytes, vaddr: int, arch: Arch, build_id: str | None) -> bytes:
    """The ELF file that holds section ``data`` for address ``vaddr``."""
    order = ">" if arch.elf.endian == "big" else "<"
    note = b""
    if build_id:
        raw = bytes.fromhex(build_id)
        note = struct.pack(f"{order}III4s", 4, len(raw), 3, b"GNU") + raw
        note += bytes(-len(note) % 4)
    names = b"\0.sframe\0.note.gnu.build-id\0.shstrtab\0"
    parts = [
        (b".sframe", SHT_GNU_SFRAME, _SHF_ALLOC, vaddr, data, 8),
        (b".note.gnu.build-id", _SHT_NOTE, 0, 0, note, 4),
        (b".shstrtab", _SHT_STRTAB, 0, 0, names, 1),
    ]
    body = bytearray(_EHDR)
    headers = bytearray(_SHDR)  # section 0 is all zeros
    for name, kind, flags, addr, content, align in parts:
        body += bytes(-len(body) % 8)
        headers += struct.pack(
            f"{order}IIQQQQIIQQ",
            *(names.index(b"\0" + name + b"\0") + 1, kind, flags, addr, len(body), len(content)),
            *(0, 0, align, 0),
        )
        body += content
    body += bytes(-len(body) % 8)
    ident = b"\x7fELF" + bytes([2, 2 if order == ">" else 1, 1]) + bytes(9)
    body[:_EHDR] = ident + struct.pack(
        f"{order}HHIQQQIHHHHHH",
        *(_ET_DYN, arch.elf.machine, 1, 0, 0, len(body), 0),
        *(_EHDR, 0, 0, _SHDR, len(parts) + 1, len(parts)),
    )
    return bytes(body + headers)
