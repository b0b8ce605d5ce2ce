"""sw_sync: timelines that user space advances by hand.  Semantics of drivers/dma-buf/sw_sync.c (7.2).

An open of /dev/sw_sync (or debugfs sync/sw_sync) is a timeline with a 32-bit counter.
"""

from __future__ import annotations

import weakref
from errno import EINVAL, ENOENT, ENOTTY

from ring3.dma_buf import uapi
from ring3.dma_buf.fence import DmaFence, Fences
from ring3.dma_buf.file import File, Process, install_and_tell, read_struct, refuse
from ring3.dma_buf.sync_file import SyncFile, sync_file_of
from ring3.kernel.locks import Spinlock

_INT_MAX = 0x7FFFFFFF


class SyncPoint(DmaFence):
    """A point on a timeline; signalled once the counter has reached its number."""

    driver = "sw_sync"

    def __init__(self, timeline: SwSync, seqno: int) -> None:
        self.parent = timeline
        self.deadline: int | None = None
        super().__init__(timeline.fences, timeline.context, seqno, timeline.lock)

    def timeline_name(self) -> str:
        return self.parent.name

    def poll_signaled(self) -> bool:
        return not self.seqno_later(self.seqno, self.parent.value)

    def deadline_hint(self, deadline: int) -> None:
        with self.lock.irqsave():
            if self.deadline is None or deadline < self.deadline:
                self.deadline = deadline


class SwSync(File):
    """An open timeline.  Fences that nobody holds any more are not on it."""

    kind = "sw_sync"

    def __init__(self, fences: Fences, name: str) -> None:
        super().__init__()
        self.fences = fences
        self.name = name[:31]
        self.context = fences.context_alloc()
        self.value = 0
        self.lock = Spinlock(fences.kernel, "sync_timeline.lock")
        self._points: weakref.WeakValueDictionary[int, SyncPoint] = weakref.WeakValueDictionary()

    def serve(self, process: Process, cmd: int, arg: int) -> int:
        if cmd == uapi.SW_SYNC_IOC_CREATE_FENCE.number:
            return self._create_fence(process, arg)
        if cmd == uapi.SW_SYNC_IOC_INC.number:
            return self._inc(process, arg)
        if cmd == uapi.SW_SYNC_GET_DEADLINE.number:
            return self._get_deadline(process, arg)
        raise refuse(ENOTTY, f"sw_sync has no ioctl {cmd:#x}")

    def create_point(self, value: int) -> SyncPoint:
        """The fence of counter value ``value`` (u32); one that is pending already is shared."""
        point = SyncPoint(self, value)
        with self.lock.irqsave():
            if not point.is_signaled_locked():
                pending = self._points.get(value)
                if pending is not None and not pending.is_signaled_flag:
                    return pending
                self._points[value] = point
        return point

    def increase(self, step: int) -> None:
        """Advance the counter by ``step`` (u32), signalling what it passes."""
        while step > _INT_MAX:
            self._signal(_INT_MAX)
            step -= _INT_MAX
        self._signal(step)

    def _signal(self, step: int) -> None:
        with self.lock.irqsave():
            # In order of the points as they were before: the counter may pass all of them.
            pending = self._pending()
            self.value = (self.value + step) & 0xFFFFFFFF
            for point in pending:
                if not point.poll_signaled():
                    break
                point.signal_locked()
        self.fences.run_irq_work()

    def _pending(self) -> list[SyncPoint]:
        """Unsignalled points in order of the 32-bit timeline."""
        points = [point for point in self._points.values() if not point.is_signaled_flag]
        return sorted(points, key=lambda point: (point.seqno - self.value) & 0xFFFFFFFF)

    def _create_fence(self, process: Process, arg: int) -> int:
        data = read_struct(process, uapi.SwSyncCreateFenceData, arg)
        install_and_tell(process, SyncFile(self.create_point(data.value)), data, "fence", arg)
        return 0

    def _inc(self, process: Process, arg: int) -> int:
        self.increase(int.from_bytes(process.memory.copy_from_user(arg, 4), "little"))
        return 0

    def _get_deadline(self, process: Process, arg: int) -> int:
        data = read_struct(process, uapi.SwSyncGetDeadline, arg)
        if data.deadline_ns or data.pad:
            raise refuse(EINVAL, "SW_SYNC_GET_DEADLINE: deadline_ns and pad are zero")
        fence = sync_file_of(process, data.fence_fd, EINVAL).fence
        if not isinstance(fence, SyncPoint):
            raise refuse(EINVAL, "SW_SYNC_GET_DEADLINE: not a fence of sw_sync")
        if fence.deadline is None:
            raise refuse(ENOENT, "SW_SYNC_GET_DEADLINE: nobody has set one")
        data.deadline_ns = fence.deadline & (1 << 64) - 1
        process.memory.copy_to_user(arg, data.pack())
        return 0

    def release(self) -> None:
        with self.lock.irqsave():
            for point in self._pending():
                point.set_error(-ENOENT)
                point.signal_locked()
        self.fences.run_irq_work()
