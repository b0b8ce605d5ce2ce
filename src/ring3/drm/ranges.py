"""Free ranges of an address space, first fit."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from errno import ENOSPC

from ring3.dma_buf.file import refuse


class RangeAllocator:
    """Hands out ranges of ``[start, end)``; addresses are multiples of what they are aligned to."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self._starts: list[int] = []
        self._sizes: list[int] = []

    def allocate(self, size: int, align: int = 1) -> int:
        """The address of a free range; ENOSPC.  After the last one if there is room, else in a gap."""
        at = self._starts[-1] + self._sizes[-1] if self._starts else self.start
        at = -(-at // align) * align
        index = len(self._starts)
        if at + size > self.end:
            at, index = self._gap(size, align)
        self._starts.insert(index, at)
        self._sizes.insert(index, size)
        return at

    def _gap(self, size: int, align: int) -> tuple[int, int]:
        at = self.start
        for index, start in enumerate(self._starts):
            at = -(-at // align) * align
            if start - at >= size:
                return at, index
            at = start + self._sizes[index]
        raise refuse(ENOSPC, f"no free range of {size:#x}")

    def release(self, address: int) -> None:
        """Give the range at ``address`` back."""
        index = bisect_left(self._starts, address)
        assert self._starts[index] == address, "the range is not allocated"
        del self._starts[index], self._sizes[index]

    def find(self, address: int) -> int | None:
        """The start of the range that holds ``address``."""
        index = bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._starts[index] + self._sizes[index]:
            return self._starts[index]
        return None
