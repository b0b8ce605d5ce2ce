"""The two clocks of a kernel: virtual time, which only moves when the kernel says so, and real time."""

from __future__ import annotations

import time
from typing import Protocol

NSEC_PER_USEC = 1_000
NSEC_PER_MSEC = 1_000_000
NSEC_PER_SEC = 1_000_000_000
JIFFY = NSEC_PER_SEC // 250  # ns, as distributions configure HZ


class Clock(Protocol):
    """``now()`` is nanoseconds since boot, the kernel's or the machine's.
    ``real`` clocks move by themselves."""

    real: bool

    def now(self) -> int: ...

    def advance(self, to: int) -> None:
        """Virtual clocks jump to ``to`` (never back); real ones ignore it."""
        ...


class VirtualClock:
    """Stands still while tasks run and jumps to the next timer when none can.  Deterministic."""

    __slots__ = ("_now",)
    real = False

    def __init__(self) -> None:
        self._now = 0

    def now(self) -> int:
        return self._now

    def advance(self, to: int) -> None:
        self._now = max(self._now, to)


class RealClock:
    """The machine's own CLOCK_MONOTONIC: real clients give absolute times that they have read there."""

    __slots__ = ()
    real = True

    def now(self) -> int:
        return time.monotonic_ns()

    def advance(self, to: int) -> None:
        pass
