"""The GPU's MMU: address spaces that walk page tables in simulated memory.

Format: AArch64 stage 1, 4 KiB granule, 48-bit addresses, four levels (Arm ARM D8; io-pgtable's
ARM_64_LPAE_S1, which Linux uses for Mali CSF).  A descriptor is 8 bytes: bits 1:0 are 3 for a table or a
page and 1 for a block (1 GiB at level 1, 2 MiB at level 2); bit 7 read-only; bit 10 accessed; bit 54
execute-never; bits 47:12 the address.

Speed: a walk enters the whole last-level table into the TLB as *extents*, runs of pages that are contiguous
both virtually and physically, each a NumPy view of the owner's memory.  Bulk access is then a slice or one
gather, not a page at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ring3.mali.events import Access, ExceptionCode, GpuFault
from ring3.mali.memory import PAGE, BusError, Bytes, PhysicalMemory

VA_BITS = 48
_ADDRESS = ((1 << 48) - 1) & ~(PAGE - 1)
_READ_ONLY = 1 << 7
_EXECUTE_NEVER = 1 << 54
_LEAF_TABLE = 512 * PAGE  # what one last-level table covers

Addresses = NDArray[np.int64]


class TranslationFault(GpuFault):
    """A walk failed.  ``access`` is what was tried."""

    def __init__(self, code: ExceptionCode, address: int, access: Access) -> None:
        super().__init__(
            code, address, f"{code.name} at {address:#x} ({access.name.lower()})", fatal=False
        )
        self.access = access


@dataclass(frozen=True)
class Extent:
    """Virtual ``start .. end`` is ``data``; all of it has the same permissions."""

    start: int
    end: int
    data: Bytes
    writable: bool
    executable: bool


class AddressSpace:
    """One AS register set.  ``enable`` is TRANSTAB plus the UPDATE command.

    The kernel locks a range while it changes it, which only matters to concurrent hardware; here it flushes.
    """

    def __init__(self, number: int, memory: PhysicalMemory) -> None:
        self.number = number
        self.memory = memory
        self.page_table: int | None = None
        self.fault_status = 0
        self.fault_address = 0
        self._extents: list[Extent] = []
        self._starts: list[int] = []

    # -- registers and commands -------------------------------------------------------------------

    def enable(self, page_table: int) -> None:
        """Translate through the level-0 table at physical address ``page_table``."""
        self.page_table = page_table
        self.flush()

    def disable(self) -> None:
        """AS_COMMAND_UPDATE with ADRMODE_UNMAPPED: every access faults."""
        self.page_table = None
        self.flush()

    def flush(self) -> None:
        """AS_COMMAND_FLUSH_PT / FLUSH_MEM: drop every cached translation."""
        self._extents = []
        self._starts = []

    # -- translation ------------------------------------------------------------------------------

    def extent(self, va: int, access: Access) -> Extent:
        """The run of memory that holds ``va``; TranslationFault when there is none or it may not be used."""
        found = self._cached(va)
        if found is None:
            self._walk(va, access)
            found = self._cached(va)
            if found is None:  # the entry is invalid, its neighbours are not
                raise self._fault(ExceptionCode.TRANSLATION_FAULT_3, va, access)
        if (access in (Access.WRITE, Access.ATOMIC) and not found.writable) or (
            access == Access.EXECUTE and not found.executable
        ):
            raise self._fault(ExceptionCode.PERM_FAULT_3, va, access)
        return found

    def _cached(self, va: int) -> Extent | None:
        at = bisect_right(self._starts, va) - 1
        if at >= 0 and self._extents[at].end > va:
            return self._extents[at]
        return None

    def _fault(self, code: ExceptionCode, va: int, access: Access) -> TranslationFault:
        self.fault_status = code | access << 8
        self.fault_address = va
        return TranslationFault(code, va, access)

    def _walk(self, va: int, access: Access) -> None:
        if self.page_table is None:
            raise self._fault(ExceptionCode.TRANSLATION_FAULT_0, va, access)
        if not 0 <= va < 1 << VA_BITS:
            raise self._fault(ExceptionCode.ADDR_SIZE_FAULT_IN, va & (1 << 64) - 1, access)
        table = self.page_table
        try:
            for level in range(3):
                shift = 39 - 9 * level
                entry = int(self.memory.words(table + 8 * (va >> shift & 511), 1)[0])
                if entry & 3 == 1 and level:
                    base = va >> shift << shift
                    if base < (1 << VA_BITS):
                        self._enter_block(base, 1 << shift, entry)
                    return
                if entry & 3 != 3:
                    code = ExceptionCode(ExceptionCode.TRANSLATION_FAULT_0 + level)
                    raise self._fault(code, va, access)
                table = entry & _ADDRESS
            entries = self.memory.words(table, 512)
            self._enter_pages(va & ~(_LEAF_TABLE - 1), entries)
        except BusError as error:
            raise GpuFault(ExceptionCode.GPU_BUS_FAULT, error.address, str(error)) from error

    def _enter_block(self, va: int, size: int, entry: int) -> None:
        """A block may span several regions of memory, or holes between them."""
        physical, end = entry & _ADDRESS & ~(size - 1), va + size
        while va < end:
            try:
                region = self.memory.region(physical)
            except BusError:
                return
            run = min(region.end - physical, end - va)
            self._enter(va, run, physical, entry)
            va += run
            physical += run

    def _enter_pages(self, va: int, entries: NDArray[np.uint64]) -> None:
        """Split one last-level table into runs and enter those that are not cached."""
        valid = (entries & 3) == 3
        # A run continues where the next descriptor is this one plus a page, attributes included.
        joins = valid[1:] & valid[:-1] & (entries[1:] - entries[:-1] == PAGE)
        bounds = np.flatnonzero(~joins) + 1
        for start, stop in zip([0, *bounds.tolist()], [*bounds.tolist(), 512], strict=True):
            if not valid[start]:
                continue
            entry = int(entries[start])
            at, size, physical = va + start * PAGE, (stop - start) * PAGE, entry & _ADDRESS
            while size:
                try:
                    region = self.memory.region(physical)
                except BusError:
                    break
                run = min(region.end - physical, size)
                self._enter(at, run, physical, entry)
                at, size, physical = at + run, size - run, physical + run

    def _enter(self, va: int, size: int, physical: int, entry: int) -> None:
        region = self.memory.region(physical)
        offset = physical - region.base
        writable, executable = not entry & _READ_ONLY, not entry & _EXECUTE_NEVER
        at = bisect_right(self._starts, va)
        if at and self._extents[at - 1].end > va:
            return
        data = region.data[offset : offset + size]
        if at and (before := self._extents[at - 1]).end == va:
            # Grow the neighbour when it is the same run of memory: large buffers become one extent.
            joined = before.data.ctypes.data + len(before.data) == data.ctypes.data
            head = before.data.ctypes.data - region.data.ctypes.data
            same = (before.writable, before.executable) == (writable, executable)
            if joined and same and head >= 0:
                grown = region.data[head : offset + size]
                self._extents[at - 1] = Extent(before.start, va + size, grown, writable, executable)
                return
        self._starts.insert(at, va)
        self._extents.insert(at, Extent(va, va + size, data, writable, executable))

    # -- access -----------------------------------------------------------------------------------

    def view(self, va: int, size: int, access: Access) -> Bytes | None:
        """``size`` bytes at ``va`` as a view of memory; None when they are not contiguous there."""
        extent = self.extent(va, access)
        while extent.end < va + size:
            grown = self.extent(extent.end, access)
            if grown.start == extent.end:
                return None
            extent = grown
        return extent.data[va - extent.start : va - extent.start + size]

    def read(self, va: int, size: int, access: Access = Access.READ) -> bytes:
        """``size`` bytes at ``va``, wherever their pages are."""
        extent = self.extent(va, access)
        if extent.end >= va + size:
            at = va - extent.start
            return extent.data[at : at + size].tobytes()
        parts = []
        while size:
            extent = self.extent(va, access)
            run = min(extent.end - va, size)
            parts.append(extent.data[va - extent.start : va - extent.start + run].tobytes())
            va, size = va + run, size - run
        return b"".join(parts)

    def write(self, va: int, data: bytes) -> None:
        """``data`` to ``va``; nothing is written when any part may not be."""
        end, at = va + len(data), va
        runs = []
        while at < end:
            extent = self.extent(at, Access.WRITE)
            run = min(extent.end, end)
            runs.append((extent.data[at - extent.start : run - extent.start], at - va, run - va))
            at = run
        for view, start, stop in runs:
            view[:] = np.frombuffer(data[start:stop], dtype=np.uint8)

    def read_int(self, va: int, size: int) -> int:
        return int.from_bytes(self.read(va, size), "little")

    def write_int(self, va: int, value: int, size: int) -> None:
        self.write(va, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))

    def gather(self, va: Addresses, size: int) -> Bytes:
        """``size`` bytes at each of ``va``: an array (len(va), size).  Faults name the lowest bad address."""
        low, high = int(va.min()), int(va.max())
        extent = self.extent(low, Access.READ)
        if high + size <= extent.end:
            return _gather(extent.data, va - extent.start, size)
        out = np.empty((len(va), size), dtype=np.uint8)
        for extent, lanes, column in self._split(va, size, Access.READ):
            if column is None:
                out[lanes] = _gather(extent.data, va[lanes] - extent.start, size)
            else:
                out[lanes, column] = extent.data[va[lanes] + column - extent.start]
        return out

    def scatter(self, va: Addresses, values: Bytes) -> None:
        """Store row i of ``values`` (len(va), size) at ``va[i]``; the last lane wins where they meet."""
        size = values.shape[1]
        low, high = int(va.min()), int(va.max())
        extent = self.extent(low, Access.WRITE)
        if high + size <= extent.end:
            _scatter(extent.data, va - extent.start, values)
            return
        for extent, lanes, column in list(self._split(va, size, Access.WRITE)):
            if column is None:
                _scatter(extent.data, va[lanes] - extent.start, values[lanes])
            else:
                extent.data[va[lanes] + column - extent.start] = values[lanes, column]

    def _split(
        self, va: Addresses, size: int, access: Access
    ) -> list[tuple[Extent, NDArray[np.intp], int | None]]:
        """Lanes by the extent that holds them; lanes across a border byte column by byte column."""
        pages = np.unique(np.concatenate((va, va + (size - 1))) & -PAGE)
        extents: list[Extent] = []
        for page in pages.tolist():
            if not extents or page >= extents[-1].end:
                extents.append(self.extent(max(page, int(va.min())), access))
        # A walk may have grown an extent that was seen earlier; take each as it is now.
        extents = [self.extent(extent.start, access) for extent in extents]
        starts = np.array([extent.start for extent in extents], dtype=np.int64)
        ends = np.array([extent.end for extent in extents], dtype=np.int64)
        first = np.searchsorted(starts, va, side="right") - 1
        whole = va + size <= ends[first]
        parts: list[tuple[Extent, NDArray[np.intp], int | None]] = []
        for at in np.unique(first[whole]).tolist():
            parts.append((extents[at], np.flatnonzero(whole & (first == at)), None))
        torn = np.flatnonzero(~whole)
        for column in range(size) if len(torn) else ():
            holder = np.searchsorted(starts, va[torn] + column, side="right") - 1
            for at in np.unique(holder).tolist():
                parts.append((extents[at], torn[holder == at], column))
        return parts


def _gather(data: Bytes, at: Addresses, size: int) -> Bytes:
    count = len(at)
    first = int(at[0])
    if count > 1 and int(at[-1]) - first == size * (count - 1) and _is_run(at, size):
        return data[first : first + size * count].reshape(count, size)
    word = _word(data, at, size)
    words = data[: len(data) // word * word].view(f"<u{word}")
    index = at // word
    if size == word:
        return words[index][:, None].view(np.uint8)
    return words[index[:, None] + np.arange(size // word)].view(np.uint8)


def _scatter(data: Bytes, at: Addresses, values: Bytes) -> None:
    count, size = values.shape
    first = int(at[0])
    if count > 1 and int(at[-1]) - first == size * (count - 1) and _is_run(at, size):
        data[first : first + size * count] = values.reshape(-1)
        return
    word = _word(data, at, size)
    words = data[: len(data) // word * word].view(f"<u{word}")
    index = at // word
    packed = np.ascontiguousarray(values).view(f"<u{word}")
    if size == word:
        words[index] = packed[:, 0]
    else:
        words[index[:, None] + np.arange(size // word)] = packed


def _is_run(at: Addresses, size: int) -> bool:
    return bool((at[1:] - at[:-1] == size).all())


def _word(data: Bytes, at: Addresses, size: int) -> int:
    """The widest word in which these accesses are aligned."""
    mixed = int(np.bitwise_or.reduce(at)) | size | data.ctypes.data
    return min(mixed & -mixed, 8)
