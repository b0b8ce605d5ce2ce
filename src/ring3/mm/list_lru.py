"""list_lru: objects in the order in which they became unused (mm/list_lru.c, Linux 7.2; one node)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Lru(Enum):
    """What a walk does with an item."""

    REMOVED = 0
    ROTATE = 1
    SKIP = 2


class ListLru(Generic[Item]):
    """The least recently unused item first."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: dict[Item, None] = {}

    def add(self, item: Item) -> bool:
        """At the end; False when it was there already."""
        if item in self.items:
            return False
        self.items[item] = None
        return True

    def remove(self, item: Item) -> bool:
        """False when it was not there."""
        if item not in self.items:
            return False
        del self.items[item]
        return True

    def walk(self, isolate: Callable[[Item], Lru], nr_to_walk: int) -> int:
        """Show at most ``nr_to_walk`` items to ``isolate``; how many it removed.

        ``isolate`` must not sleep; the walk removes an item itself when told so.
        """
        removed = 0
        for item in list(islice(self.items, max(0, nr_to_walk))):
            verdict = isolate(item)
            if verdict is Lru.REMOVED:
                self.items.pop(item, None)
                removed += 1
            elif verdict is Lru.ROTATE:
                self.items[item] = self.items.pop(item)
        return removed

    def __len__(self) -> int:
        return len(self.items)
