"""Functions due at a time: what sleeps, timeouts and timers are made of."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Alarm:
    """A function due at ``deadline``; ``cancel()`` forgets it."""

    __slots__ = ("args", "deadline", "fn")

    def __init__(self, deadline: int, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.deadline = deadline
        self.fn: Callable[..., Any] | None = fn
        self.args = args

    def cancel(self) -> bool:
        """True when it was still pending."""
        pending = self.fn is not None
        self.fn = None
        return pending


class Alarms:
    """Pending alarms, the first due first; those due at one time in the order they were set.

    ``heap`` is empty when there are none, not even cancelled ones.
    """

    __slots__ = ("_count", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, Alarm]] = []
        self._count = 0

    def add(self, alarm: Alarm) -> None:
        self._count += 1
        heapq.heappush(self.heap, (alarm.deadline, self._count, alarm))

    def next_deadline(self) -> int | None:
        """When the next pending alarm is due."""
        heap = self.heap
        while heap and heap[0][2].fn is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop(self) -> Alarm:
        """The first alarm, which :meth:`next_deadline` has shown to be pending."""
        return heapq.heappop(self.heap)[2]
