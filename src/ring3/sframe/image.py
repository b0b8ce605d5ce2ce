"""Sections with the addresses they will have: of a linked file as they are, of an object file laid out.

An object file's sections all start at 0 and its unwind sections hold relocations.  Here each section that
is to be loaded gets an address of its own and the relocations of the sections that are read are applied.
Relocation numbers: the psABI of each architecture.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np

from ring3.elf import SHT_NOBITS, Elf, Section
from ring3.errors import BadInput, Unsupported

# Type -> (bytes, relative to the place) of the relocations that unwind sections hold.
_RELOCATIONS = {
    "x86": {1: (8, False), 2: (4, True), 4: (4, True), 10: (4, False), 24: (8, True)},
    "arm64": {257: (8, False), 258: (4, False), 260: (8, True), 261: (4, True)},
    "s390": {4: (4, False), 5: (4, True), 22: (8, False), 23: (8, True)},
}
_NONE = 0
_SHF_ALLOC = 2


class Image:
    """``elf`` with an address for every section."""

    def __init__(self, elf: Elf) -> None:
        self.elf = elf
        self.relocatable = elf.type == "ET_REL"

    @cached_property
    def addresses(self) -> list[int]:
        """Address of each section by its number.  Raises BadInput for sizes that are no sizes."""
        if not self.relocatable:
            return [section.addr for section in self.elf.sections]
        addresses = []
        at = 0
        for section in self.elf.sections:
            if not section.flags & _SHF_ALLOC:
                addresses.append(0)
                continue
            align = max(section.align, 1)
            at += -at % align
            addresses.append(at)
            at += section.size + 1  # no section's end is another's beginning
            if at >> 62:
                raise BadInput("its sections fit no address space", where=str(self.elf.path))
        return addresses

    def address(self, name: str) -> int:
        """Address of the first section called ``name``, 0 when there is none."""
        section = self.elf.section(name)
        return self.addresses[section.index] if section else 0

    def contents(self, name: str) -> np.ndarray | None:
        """The bytes (u8) of a section with its relocations applied; None when there is none.

        Raises BadInput for relocations that leave it, Unsupported for types that have no place there.
        """
        section = self.elf.section(name)
        if section is None or section.type == SHT_NOBITS:
            return None
        data = np.frombuffer(self.elf.contents(section), np.uint8)
        relocations = self.elf.section(f".rela{name}") if self.relocatable else None
        return self._relocate(section, data.copy(), relocations) if relocations else data

    @cached_property
    def _symbols(self) -> np.ndarray:
        """Address of each symbol by its number; 0 for those that are not in this file."""
        raw = self.elf.symbol_records(self.elf.section(".symtab"))
        bases = np.array(self.addresses, np.uint64).astype(np.int64)
        inside = (raw["shndx"] > 0) & (raw["shndx"] < len(bases))
        values = raw["value"].astype(np.int64)
        return np.where(inside, values + bases[np.where(inside, raw["shndx"], 0)], 0)

    def _relocate(self, section: Section, data: np.ndarray, relocations: Section) -> np.ndarray:
        order: Literal["<", ">"] = "<" if self.elf.endian == "little" else ">"
        dtype = np.dtype([("offset", "u8"), ("info", "u8"), ("addend", "i8")]).newbyteorder(order)
        body = self.elf.contents(relocations)
        entries = np.frombuffer(body, dtype, len(body) // dtype.itemsize)
        where = f"{self.elf.path}: {relocations.name}"
        kinds = (entries["info"] & 0xFFFFFFFF).astype(np.int64)
        symbols = (entries["info"] >> 32).astype(np.int64)
        offsets = entries["offset"].astype(np.int64)
        if len(symbols) and int(symbols.max()) >= max(len(self._symbols), 1):
            raise BadInput("a relocation names a symbol that does not exist", where=where)
        known = _RELOCATIONS[self.elf.arch.family] if self.elf.arch else {}
        for kind in np.unique(kinds):
            if kind == _NONE:
                continue
            if int(kind) not in known:
                raise Unsupported(f"relocation type {kind}", where=where)
            width, relative = known[int(kind)]
            chosen = kinds == kind
            at = offsets[chosen]
            if len(at) and (int(at.min()) < 0 or int(at.max()) + width > len(data)):
                raise BadInput("a relocation lies outside its section", where=where)
            value = self._symbols[symbols[chosen]] + entries["addend"][chosen]
            if relative:
                value = value - (at + self.addresses[section.index])
            raw = value.astype(np.int64).astype(f"{order}i{width}").view(np.uint8)
            data[at[:, None] + np.arange(width)] = raw.reshape(-1, width)
        return data
