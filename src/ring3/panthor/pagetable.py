"""Page tables in memory, as the GPU walks them.

AArch64 stage 1, 4 KiB granule, four levels (io-pgtable's ARM_64_LPAE_S1, which Linux uses for Mali CSF):
a descriptor is 8 bytes; bits 1:0 are 3 for a table or a page, 1 for a 2 MiB block; bit 7 read-only, bit 10
accessed, bit 54 execute-never, bits 47:12 the address.
"""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

from ring3.mali import PhysicalMemory

PAGE = 4096
BLOCK = 2 << 20
_ADDRESS = ((1 << 48) - 1) & ~(PAGE - 1)
_ATTRIBUTES = ~_ADDRESS & (1 << 64) - 1
READ_ONLY = 1 << 7
ACCESSED = 1 << 10
EXECUTE_NEVER = 1 << 54

Table = NDArray[np.uint64]


class TablePool:
    """Pages for page tables, in physical memory at ``base`` and up."""

    CHUNK = 256

    def __init__(self, memory: PhysicalMemory, base: int) -> None:
        self._memory = memory
        self._next_base = base
        self._free: list[tuple[int, Table]] = []
        self.used = 0

    def take(self) -> tuple[int, Table]:
        """(physical address, the table, all zero)."""
        if not self._free:
            backing = mmap.mmap(-1, self.CHUNK * PAGE)
            self._memory.add(self._next_base, backing)
            words = np.frombuffer(backing, dtype=np.uint64).reshape(self.CHUNK, 512)
            for index in reversed(range(self.CHUNK)):
                self._free.append((self._next_base + index * PAGE, words[index]))
            self._next_base += self.CHUNK * PAGE
        self.used += 1
        address, table = self._free.pop()
        table[:] = 0
        return address, table

    def give(self, address: int, table: Table) -> None:
        """Take a page back."""
        self.used -= 1
        self._free.append((address, table))


class PageTable:
    """The tables of one address space; ``root`` is the physical address of the first."""

    def __init__(self, pool: TablePool) -> None:
        self._pool = pool
        self.root, table = pool.take()
        self._tables: dict[int, Table] = {self.root: table}

    def free(self) -> None:
        """Give every table back."""
        for address, table in self._tables.items():
            self._pool.give(address, table)
        self._tables.clear()

    def map(self, va: int, physical: int, size: int, attributes: int) -> None:
        """Map ``size`` bytes (whole pages) of contiguous memory; what was mapped there is replaced."""
        end = va + size
        while va < end:
            run = min(end - va, BLOCK - va % BLOCK)
            if run == BLOCK and physical % BLOCK == 0:
                table, index = self._level(va, 2)
                self._drop_table(table, index)
                table[index] = physical | attributes | ACCESSED | 1
            else:
                table, first = self._level(va, 3)
                count = run // PAGE
                base = physical | attributes | ACCESSED | 3
                table[first : first + count] = np.arange(
                    base, base + count * PAGE, PAGE, dtype=np.uint64
                )
            va += run
            physical += run

    def unmap(self, va: int, size: int) -> None:
        """Unmap a range; what is not mapped in it stays so."""
        end = va + size
        while va < end:
            run = min(end - va, BLOCK - va % BLOCK)
            found = self._find(va)
            if found is not None:
                table, index = found
                if run == BLOCK:
                    self._drop_table(table, index)
                    table[index] = 0
                elif table[index]:
                    leaf, first = self._level(va, 3)
                    leaf[first : first + run // PAGE] = 0
            va += run

    def _find(self, va: int) -> tuple[Table, int] | None:
        """The level-2 table and index for ``va``, if there is one."""
        table = self._tables[self.root]
        for level in range(2):
            entry = int(table[va >> 39 - 9 * level & 511])
            if entry & 3 != 3:
                return None
            table = self._tables[entry & _ADDRESS]
        return table, va >> 21 & 511

    def _level(self, va: int, wanted: int) -> tuple[Table, int]:
        """The table of level ``wanted`` for ``va``, made if need be, and the index in it."""
        table = self._tables[self.root]
        for level in range(wanted):
            index = va >> 39 - 9 * level & 511
            entry = int(table[index])
            if entry & 3 != 3:
                address, fresh = self._pool.take()
                self._tables[address] = fresh
                if entry & 3 == 1:
                    base = (entry & _ADDRESS) | (entry & _ATTRIBUTES) | 3
                    fresh[:] = np.arange(base, base + BLOCK, PAGE, dtype=np.uint64)
                table[index] = address | 3
                table = fresh
            else:
                table = self._tables[entry & _ADDRESS]
        return table, va >> 39 - 9 * wanted & 511

    def _drop_table(self, table: Table, index: int) -> None:
        """A last-level table is about to be replaced by a block or nothing."""
        entry = int(table[index])
        if entry & 3 == 3:
            address = entry & _ADDRESS
            self._pool.give(address, self._tables.pop(address))
