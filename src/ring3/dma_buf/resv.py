"""dma_resv: who uses a buffer, as fences with a usage.  Semantics of drivers/dma-buf/dma-resv.c (7.2).

Usages order: a query for one sees the fences of that one and of all lower ones.  A new write waits for
READ (so for reads and writes), a new read for WRITE; BOOKKEEP fences only matter to memory management.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from ring3.dma_buf.containers import DmaFenceArray, is_container
from ring3.dma_buf.fence import DmaFence, Fences
from ring3.kernel import Kernel, WwClass, WwMutex


class Usage(IntEnum):
    """dma_resv_usage."""

    KERNEL = 0
    WRITE = 1
    READ = 2
    BOOKKEEP = 3


def usage_rw(write: bool) -> Usage:
    """What a new access has to wait for."""
    return Usage.READ if write else Usage.WRITE


class DmaResv:
    """The reservation object of a buffer.  Adding needs the lock and a slot reserved beforehand."""

    def __init__(self, fences: Fences) -> None:
        self.core = fences
        self.lock = WwMutex(fences.kernel, "dma_resv", reservation_ww_class(fences.kernel))
        self._entries: list[tuple[DmaFence, Usage]] = []
        self._slots = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold its lock alone, under no acquire context."""
        self.core.resv_locking()
        self.lock.lock()
        try:
            yield
        finally:
            self.lock.unlock()

    def assert_held(self) -> None:
        """Whoever changes fences holds the lock."""
        assert self.lock.owner is self.core.kernel.current, "the reservation is not locked"

    def reserve_fences(self, count: int) -> None:
        """Make room so that the next ``count`` additions cannot fail.  Drops signalled fences."""
        self.assert_held()
        assert count > 0
        if len(self._entries) + count <= self._slots:
            return
        self._entries = [entry for entry in self._entries if not entry[0].is_signaled()]
        self._slots = max(self._slots * 2, len(self._entries) + count, 4)

    def reset_max_fences(self) -> None:
        """Debugging: forget the slots that were reserved and not used."""
        self.assert_held()
        self._slots = len(self._entries)

    def add_fence(self, fence: DmaFence, usage: Usage) -> None:
        """Add ``fence``, in the place of an earlier one of its context with no lower usage, or of a
        signalled one."""
        self.assert_held()
        if is_container(fence):
            self.core.kernel.warn("dma_resv_add_fence: a reservation holds simple fences")
        for index, (old, old_usage) in enumerate(self._entries):
            same = old.context == fence.context and old_usage >= usage
            if (same and fence.is_later_or_same(old)) or old.is_signaled():
                self._entries[index] = (fence, usage)
                return
        if len(self._entries) >= self._slots:
            self.core.kernel.bug("dma_resv_add_fence without a reserved slot")
        self._entries.append((fence, usage))

    def iterate(self, usage: Usage) -> Iterator[tuple[DmaFence, Usage]]:
        """(fence, usage) of this usage and below, signalled ones too.  Lock held."""
        self.assert_held()
        return (entry for entry in list(self._entries) if entry[1] <= usage)

    def iterate_unlocked(self, usage: Usage) -> Iterator[tuple[DmaFence, Usage]]:
        """The unsignalled (fence, usage) of this usage and below, as they are now; no lock needed."""
        return (
            entry
            for entry in list(self._entries)
            if entry[1] <= usage and not entry[0].is_signaled()
        )

    def get_fences(self, usage: Usage) -> list[DmaFence]:
        """The unsignalled fences of this usage and below."""
        return [fence for fence, _ in self.iterate_unlocked(usage)]

    def get_singleton(self, usage: Usage) -> DmaFence | None:
        """One fence for all of :meth:`get_fences`, or None."""
        fences = self.get_fences(usage)
        if len(fences) < 2:
            return fences[0] if fences else None
        return DmaFenceArray(self.core, fences)

    def wait(
        self, usage: Usage, timeout: int | None = None, *, interruptible: bool = False
    ) -> bool:
        """Sleep until every fence of this usage and below is signalled; False after ``timeout`` ns."""
        kernel = self.core.kernel
        end = None if timeout is None else kernel.now() + timeout
        for fence, _ in self.iterate_unlocked(usage):
            left = None if end is None else max(0, end - kernel.now())
            if not fence.wait(left, interruptible=interruptible):
                return False
        return True

    def set_deadline(self, usage: Usage, deadline: int) -> None:
        """Pass the hint to every fence of this usage and below."""
        for fence, _ in self.iterate_unlocked(usage):
            fence.set_deadline(deadline)

    def test_signaled(self, usage: Usage) -> bool:
        """Whether every fence of this usage and below is signalled."""
        return next(self.iterate_unlocked(usage), None) is None


def reservation_ww_class(kernel: Kernel) -> WwClass:
    """reservation_ww_class: one a kernel, for all reservations."""
    found = kernel.parts.get("reservation_ww_class")
    if found is None:
        found = kernel.parts["reservation_ww_class"] = WwClass(kernel, "reservation_ww_class")
    assert isinstance(found, WwClass)
    return found
