"""ELF files: headers, sections, segments, symbols, build-id.  Reading by pyelftools, tables by NumPy.

Everything read here is hostile: every malformed file is one :class:`BadInput` naming file and offset.
Sections are views into a map of the file, so opening a gigabyte costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf import enums
from elftools.elf.elffile import ELFFile

from ring3 import arch, elf_notes
from ring3.errors import BadInput
from ring3.files import map_input

SHT_NOBITS = 8
STT_FUNC = 2
STT_GNU_IFUNC = 10


@dataclass(frozen=True)
class Section:
    """A section header; ``index`` is its number, ``offset`` and ``size`` are bytes in the file."""

    index: int
    name: str
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    entsize: int
    align: int


@dataclass(frozen=True)
class Segment:
    """A program header; sizes in bytes."""

    type: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int


@dataclass(frozen=True)
class Symbols:
    """Symbols as parallel arrays of one length, sorted by address; ``name(i)`` reads a string.

    Symbol ``i``'s name begins at ``name_at[i]`` of ``strings`` and ends with a zero.
    """

    addr: np.ndarray  # u64
    size: np.ndarray  # u64
    type: np.ndarray  # u8, STT_*
    bind: np.ndarray  # u8, STB_*
    section: np.ndarray  # u16, st_shndx
    name_at: np.ndarray  # u32
    strings: bytes

    def name(self, index: int) -> str:
        """The name of symbol ``index``."""
        start = int(self.name_at[index])
        end = self.strings.find(b"\0", start)
        return self.strings[start : end if end >= 0 else None].decode(errors="replace")

    def __len__(self) -> int:
        return len(self.addr)


class Elf:
    """An ELF file opened for reading.  A context manager; views from it die with it.

    ``data`` is the image itself where there is no file to open (a vDSO); ``path`` is then only its name.
    """

    def __init__(self, path: Path | str, data: bytes | None = None) -> None:
        self.path = Path(path)
        self._map = map_input(self.path) if data is None else data
        self.data = memoryview(self._map)
        if bytes(self.data[:4]) != b"\x7fELF":
            raise BadInput("not an ELF file", where=str(self.path))
        try:
            self._file: Any = ELFFile(cast(BinaryIO, _Reader(self.data)))
            header = self._file.header
            self.type: str = header["e_type"]
            self.machine = _machine_number(bytes(self.data[:20]))
            self.flags: int = header["e_flags"]
            self.entry: int = header["e_entry"]
            self.bits: int = self._file.elfclass
            self.endian: arch.Endian = "little" if self._file.little_endian else "big"
            self.sections = [_section(self._file, i) for i in range(self._file.num_sections())]
            self.segments = [_segment(self._file, i) for i in range(self._file.num_segments())]
        except _MALFORMED as error:
            raise BadInput(f"malformed ELF: {error}", where=str(self.path)) from None
        self._by_name = {section.name: section for section in reversed(self.sections)}

    def __enter__(self) -> Elf:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the file as soon as nobody looks at it any more."""
        self.data = memoryview(b"")
        self._file = None
        self._map = b""

    @cached_property
    def arch(self) -> arch.Arch | None:
        """The architecture it is for, or None when ring3 declares none such."""
        return arch.by_elf(self.machine, 64 if self.bits == 64 else 32, self.endian, self.flags)

    def section(self, name: str) -> Section | None:
        """The first section called ``name``, or None."""
        return self._by_name.get(name)

    def contents(self, section: Section) -> memoryview:
        """The bytes of ``section``, decompressed if SHF_COMPRESSED; empty for SHT_NOBITS.

        Raises BadInput when the section lies outside the file.
        """
        if section.type == SHT_NOBITS:
            return memoryview(b"")
        if section.flags & 0x800:
            try:
                return memoryview(self._file.get_section(section.index).data())
            except _MALFORMED as error:
                raise BadInput(f"{section.name}: {error}", where=str(self.path)) from None
        return self.slice(section.offset, section.size, section.name)

    def slice(self, offset: int, size: int, what: str) -> memoryview:
        """``size`` bytes at file ``offset``; BadInput naming ``what`` when the file is shorter."""
        if offset + size > len(self.data):
            raise BadInput(
                f"{what} ends at {offset + size:#x}, the file at {len(self.data):#x}",
                where=f"{self.path}+{offset:#x}",
            )
        return self.data[offset : offset + size]

    def at(self, vaddr: int, size: int) -> memoryview | None:
        """``size`` bytes that the file loads at ``vaddr``, or None when no PT_LOAD holds them all."""
        for segment in self.segments:
            inside = vaddr - segment.vaddr
            if segment.type == 1 and inside >= 0 and inside + size <= segment.filesz:
                return self.slice(segment.offset + inside, size, f"segment at {segment.vaddr:#x}")
        return None

    @cached_property
    def build_id(self) -> str | None:
        """The GNU build-id in hex, or None."""
        order = "<" if self.endian == "little" else ">"
        for segment in self.segments:
            if segment.type != 4:
                continue
            held = self.slice(segment.offset, segment.filesz, "PT_NOTE")
            if found := elf_notes.build_id(bytes(held), order):
                return found
        section = self.section(".note.gnu.build-id")
        return elf_notes.build_id(bytes(self.contents(section)), order) if section else None

    def symbol_records(self, section: Section | None) -> np.ndarray:
        """The Elf32_Sym or Elf64_Sym records of a symbol table in its own order; none for None.

        Fields are name, value, size, info, other and shndx.  Raises BadInput as :meth:`contents`.
        """
        order = "<" if self.endian == "little" else ">"
        fields = _SYM64 if self.bits == 64 else _SYM32
        dtype = np.dtype([(name, order + kind) for name, kind in fields])
        body = self.contents(section) if section is not None else b""
        return np.frombuffer(body, dtype, len(body) // dtype.itemsize)

    @cached_property
    def symbols(self) -> Symbols:
        """.symtab, or .dynsym where the file is stripped, sorted by address; undefined ones left out."""
        section = self.section(".symtab") or self.section(".dynsym")
        raw = self.symbol_records(section)
        strings = b""
        if section is not None and section.link < len(self.sections):
            strings = bytes(self.contents(self.sections[section.link]))
        raw = raw[raw["shndx"] != 0]
        raw = raw[np.argsort(raw["value"], kind="stable")]
        return Symbols(
            raw["value"].astype(np.uint64),
            raw["size"].astype(np.uint64),
            raw["info"] & 0xF,
            raw["info"] >> 4,
            raw["shndx"].astype(np.uint16),
            raw["name"].astype(np.uint32),
            strings,
        )


_SYM64 = [
    ("name", "u4"),
    ("info", "u1"),
    ("other", "u1"),
    ("shndx", "u2"),
    ("value", "u8"),
    ("size", "u8"),
]
_SYM32 = [
    ("name", "u4"),
    ("value", "u4"),
    ("size", "u4"),
    ("info", "u1"),
    ("other", "u1"),
    ("shndx", "u2"),
]
# pyelftools turns the types it knows into names; here types are the gABI's numbers.
_SHT: dict[str, int] = {
    name: number
    for kind, table in vars(enums).items()
    if kind.startswith("ENUM_SH_TYPE")
    for name, number in table.items()
    if isinstance(number, int)
}
_PT: dict[str, int] = {
    name: number
    for kind, table in vars(enums).items()
    if kind.startswith("ENUM_P_TYPE")
    for name, number in table.items()
    if isinstance(number, int)
}
# What pyelftools raises on files that lie; it documents only the first.
_MALFORMED = (
    ELFError,
    ConstructError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    OverflowError,
    RecursionError,
    AssertionError,
    UnicodeDecodeError,
    MemoryError,
)


class _Reader:
    """A seekable file over a memoryview, all that pyelftools asks of one."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        end = len(self._data) if size < 0 else self._at + size
        piece = bytes(self._data[self._at : end])
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, len(self._data))[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._data = memoryview(b"")


def _machine_number(head: bytes) -> int:
    return int.from_bytes(head[18:20], "big" if head[5:6] == b"\2" else "little")


def _section(file: Any, index: int) -> Section:
    # pyelftools' section and segment objects read whole hash tables; the header is all we want.
    header = file._get_section_header(index)
    kind = header["sh_type"]
    return Section(
        index,
        file._get_section_name(header),
        kind if isinstance(kind, int) else _SHT.get(kind, 0),
        header["sh_flags"],
        header["sh_addr"],
        header["sh_offset"],
        header["sh_size"],
        header["sh_link"],
        header["sh_entsize"],
        header["sh_addralign"],
    )


def _segment(file: Any, index: int) -> Segment:
    header = file._get_segment_header(index)
    kind = header["p_type"]
    return Segment(
        kind if isinstance(kind, int) else _PT.get(kind, 0),
        header["p_flags"],
        header["p_offset"],
        header["p_vaddr"],
        header["p_filesz"],
        header["p_memsz"],
        header["p_align"],
    )
