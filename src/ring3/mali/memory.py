"""Physical memory as the GPU sees it: page-aligned regions of bytes that somebody else owns.

The owner (a driver, a test) adds each region once: a ``bytearray``, an ``mmap``, a NumPy array.  Nothing is
copied; what the GPU writes is in the owner's buffer.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import BadInput

PAGE = 4096
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Region:
    """``data`` (uint8, one dimension) lies at physical addresses ``base .. base + len(data)``."""

    base: int
    data: Bytes

    @property
    def end(self) -> int:
        return self.base + len(self.data)


class BusError(Exception):
    """A physical address without memory behind it."""

    def __init__(self, address: int) -> None:
        super().__init__(f"no memory at physical address {address:#x}")
        self.address = address


class PhysicalMemory:
    """Regions by physical address.  Lookups are by bisection; a region is thousands of pages at best."""

    def __init__(self) -> None:
        self._regions: list[Region] = []
        self._bases: list[int] = []

    def add(self, base: int, data: Any) -> Region:
        """Put the writable buffer ``data`` at physical address ``base``; both page-aligned, no overlap."""
        region = Region(base, np.frombuffer(data, dtype=np.uint8))
        if not region.data.flags.writeable:
            raise BadInput("the buffer is read-only", where=f"physical memory {base:#x}")
        if base % PAGE or len(region.data) % PAGE or not len(region.data):
            raise BadInput(
                f"{len(region.data)} bytes at {base:#x} are not whole pages",
                where="physical memory",
                remedy="align base and size to 4096",
            )
        at = bisect_right(self._bases, base)
        if (at and self._regions[at - 1].end > base) or (
            at < len(self._bases) and self._bases[at] < region.end
        ):
            raise BadInput(f"{base:#x} overlaps another region", where="physical memory")
        self._regions.insert(at, region)
        self._bases.insert(at, base)
        return region

    def remove(self, base: int) -> None:
        """Take the region at ``base`` away.  The driver flushes the MMUs that could reach it first."""
        at = bisect_right(self._bases, base) - 1
        if at < 0 or self._bases[at] != base:
            raise BadInput(f"no region starts at {base:#x}", where="physical memory")
        del self._regions[at], self._bases[at]

    def region(self, address: int) -> Region:
        """The region that holds ``address``; BusError when there is none."""
        at = bisect_right(self._bases, address) - 1
        if at < 0 or self._regions[at].end <= address:
            raise BusError(address)
        return self._regions[at]

    def words(self, address: int, count: int) -> NDArray[np.uint64]:
        """``count`` little-endian 64-bit words at ``address`` (8-aligned, within one region), as a view."""
        region = self.region(address)
        at = address - region.base
        if at + 8 * count > len(region.data):
            raise BusError(region.end)
        return region.data[at : at + 8 * count].view("<u8")
