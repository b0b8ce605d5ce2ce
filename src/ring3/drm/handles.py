"""Small numbers for objects, as idr and xarray hand them out: the lowest that is free."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from errno import EINVAL, ENOSPC
from typing import Generic, TypeVar

from ring3.dma_buf.file import refuse

Item = TypeVar("Item")


class HandleTable(Generic[Item]):
    """Objects by handle, 1 and up; at most ``limit`` of them."""

    def __init__(self, limit: int = 0xFFFF_FFFE, full: int = ENOSPC) -> None:
        self.limit = limit
        self.full = full
        self._items: dict[int, Item] = {}
        self._free: list[int] = []
        self._next = 1

    def next(self) -> int:
        """The lowest free handle; the errno ``full`` when there is none."""
        if self._free:
            return self._free[0]
        if self._next > self.limit:
            raise refuse(self.full, f"all {self.limit} handles are taken")
        return self._next

    def add(self, item: Item) -> int:
        """:meth:`next`, now the handle of ``item``."""
        handle = self.next()
        if self._free:
            heapq.heappop(self._free)
        else:
            self._next += 1
        self._items[handle] = item
        return handle

    def get(self, handle: int, errno: int = EINVAL) -> Item:
        """The object of ``handle``, or ``errno``."""
        try:
            return self._items[handle]
        except KeyError:
            raise refuse(errno, f"no handle {handle}") from None

    def remove(self, handle: int, errno: int = EINVAL) -> Item:
        """Free ``handle``; its object, or ``errno``."""
        item = self.get(handle, errno)
        del self._items[handle]
        heapq.heappush(self._free, handle)
        return item

    def find(self, item: Item) -> int | None:
        """The handle of ``item``, or None."""
        return next((handle for handle, held in self._items.items() if held is item), None)

    def clear(self) -> list[Item]:
        """Free every handle; the objects."""
        items = list(self._items.values())
        self._items.clear()
        self._free.clear()
        self._next = 1
        return items

    def __iter__(self) -> Iterator[tuple[int, Item]]:
        return iter(sorted(self._items.items()))

    def __len__(self) -> int:
        return len(self._items)
