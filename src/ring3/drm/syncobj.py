"""syncobj: a container of a fence that user space names by a handle; binary or a timeline of points.

Semantics of drivers/gpu/drm/drm_syncobj.c (7.2), all twelve ioctls.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EBADF, EINVAL, ENOENT, ETIME
from typing import TYPE_CHECKING

from ring3.dma_buf.containers import DmaFenceChain, find_seqno, merge, walk
from ring3.dma_buf.cstruct import Ioctl, signed
from ring3.dma_buf.fence import DmaFence, Fences
from ring3.dma_buf.file import EventFd, File, Process, refuse
from ring3.dma_buf.sync_file import SyncFile, sync_file_of
from ring3.drm import uapi
from ring3.kernel import ERESTARTSYS, Spinlock, State

if TYPE_CHECKING:
    from ring3.drm.device import Handler
    from ring3.drm.file import DrmFile

_NO_INDEX = 0xFFFF_FFFF
_SUBMIT_TIMEOUT = 5_000_000_000  # ns that WAIT_FOR_SUBMIT waits inside an import or a transfer


class Syncobj:
    """A fence that can be replaced.  Whoever asks for a point that is not there yet can wait for it."""

    def __init__(self, fences: Fences, fence: DmaFence | None = None) -> None:
        self.fences = fences
        self.lock = Spinlock(fences.kernel, "syncobj.lock")
        self.fence = fence
        self.refs = 1
        self._watchers: list[Callable[[], bool]] = []

    def get(self) -> Syncobj:
        """One more handle or file."""
        self.refs += 1
        return self

    def put(self) -> None:
        """One less; eventfds that wait are forgotten with the last."""
        self.refs -= 1
        if self.refs == 0:
            self.replace_fence(None)
            self._watchers.clear()

    def replace_fence(self, fence: DmaFence | None) -> None:
        """Put ``fence`` (or nothing) in the place of what is there: a binary signal or reset."""
        with self.lock:
            changed, self.fence = fence is not self.fence, fence
            if changed:
                self._tell()
        self.fences.run_irq_work()

    def add_point(self, fence: DmaFence, point: int) -> None:
        """Append ``fence`` to the timeline as ``point``."""
        with self.lock:
            prev = self.fence
            self.fence = DmaFenceChain(self.fences, prev, fence, point)
            self._tell()
        for _ in walk(prev):  # drop what is signalled already
            pass
        self.fences.run_irq_work()

    def at(self, point: int) -> DmaFence | None:
        """The fence that stands for ``point`` now (signalled if it is past), None if it is not there."""
        if self.fence is None:
            return None
        try:
            return find_seqno(self.fence, point) or self.fences.stub
        except OSError:
            return None

    def watch(self, watcher: Callable[[], bool]) -> None:
        """Call ``watcher`` under the lock now and after each change, until it returns True."""
        with self.lock:
            if not watcher():
                self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], bool]) -> None:
        """Forget ``watcher``."""
        with self.lock:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

    def _tell(self) -> None:
        self._watchers = [watcher for watcher in self._watchers if not watcher()]

    def find_fence(self, point: int, flags: int = 0) -> DmaFence:
        """The fence of ``point``; EINVAL if there is none, or, with WAIT_FOR_SUBMIT, ETIME after 5 s."""
        if flags & ~uapi.WAIT_FOR_SUBMIT:
            raise refuse(EINVAL, f"unknown flags {flags:#x}")
        fence = self.at(point)
        if fence is None and flags:
            entry = _Entry(self, point)
            _wait([entry], uapi.WAIT_FOR_SUBMIT | uapi.WAIT_AVAILABLE, _SUBMIT_TIMEOUT, None)
            fence = entry.fence
        if fence is None:
            raise refuse(EINVAL, f"nothing has been submitted for point {point}")
        return fence


class SyncobjFile(File):
    """A syncobj as a file descriptor."""

    kind = "syncobj"
    writable = False

    def __init__(self, syncobj: Syncobj) -> None:
        super().__init__()
        self.syncobj = syncobj.get()

    def release(self) -> None:
        self.syncobj.put()


@dataclass(eq=False)
class _Entry:
    """One handle of a wait, and its fence once there is one."""

    syncobj: Syncobj
    point: int
    fence: DmaFence | None = None


def _wait(entries: list[_Entry], flags: int, timeout: int, deadline: int | None) -> int:
    """Sleep until one entry, or with WAIT_ALL every one, is signalled; the index of the first.

    ``timeout`` is in ns, 0 polls.  EINVAL for a missing fence that nobody may wait for, ETIME,
    ERESTARTSYS.  In the kernel's order, for asking a fence whether it is signalled may signal it.
    """
    available = bool(flags & uapi.WAIT_AVAILABLE)
    future = bool(flags & (uapi.WAIT_FOR_SUBMIT | uapi.WAIT_AVAILABLE))
    ready: list[int] = []
    for index, entry in enumerate(entries):
        entry.fence = entry.syncobj.at(entry.point)
        if entry.fence is None:
            if not future:
                raise refuse(EINVAL, f"nothing has been submitted for point {entry.point}")
        elif available or entry.fence.is_signaled():
            ready.append(index)
    every = bool(flags & uapi.WAIT_ALL)
    # With WAIT_ALL the index is that of the first that was ready before anything was waited for, or none.
    first = ready[0] if ready else _NO_INDEX
    if len(ready) == len(entries) or (ready and not every):
        return first
    found = _sleep(entries, every, available, timeout, deadline)
    return first if every else found


def _sleep(
    entries: list[_Entry], every: bool, available: bool, timeout: int, deadline: int | None
) -> int:
    """Sleep until ``every`` entry, or one, is signalled; the index of the one.  ETIME, ERESTARTSYS."""
    kernel = entries[0].syncobj.fences.kernel
    kernel.might_sleep("drm_syncobj_wait")
    task = kernel.current
    end = kernel.now() + timeout
    callbacks: list[DmaFence] = []

    def wake(_: DmaFence) -> None:
        kernel.wake(task)

    def watcher_of(entry: _Entry) -> Callable[[], bool]:
        def arrived() -> bool:
            entry.fence = entry.syncobj.at(entry.point)
            if entry.fence is not None:
                kernel.wake(task)
            return entry.fence is not None

        return arrived

    def done(fence: DmaFence) -> bool:
        if available or fence.is_signaled():
            return True
        if fence in callbacks:
            return False
        if not fence.add_callback(wake):
            return True
        callbacks.append(fence)
        return False

    watchers = [(e.syncobj, watcher_of(e)) for e in entries if e.fence is None]
    for syncobj, watcher in watchers:
        syncobj.watch(watcher)
    if deadline is not None:
        _set_deadline(entries, deadline)
    try:
        while True:
            ready = 0
            for index, entry in enumerate(entries):
                if entry.fence is not None and done(entry.fence):
                    ready += 1
                    if not every or ready == len(entries):
                        return index
            left = end - kernel.now()
            if left <= 0:
                raise refuse(ETIME, "the time is over")
            if task.signal_pending:
                raise refuse(ERESTARTSYS, "a signal interrupted the wait")
            kernel.block(entries[0].syncobj, State.INTERRUPTIBLE, left)
    finally:
        for fence in callbacks:
            fence.remove_callback(wake)
        for syncobj, watcher in watchers:
            syncobj.unwatch(watcher)


def _set_deadline(entries: list[_Entry], deadline: int) -> None:
    for entry in entries:
        if entry.fence is not None:
            entry.fence.set_deadline(deadline)


# -- ioctls ---------------------------------------------------------------------------------------


def _find(file: DrmFile, handle: int) -> Syncobj:
    return file.syncobjs.get(handle, ENOENT)


def _array(process: Process, address: int, count: int, code: str) -> tuple[int, ...]:
    size = struct.calcsize("<" + code)
    return struct.unpack(f"<{count}{code}", process.memory.copy_from_user(address, count * size))


def _handles(file: DrmFile, process: Process, address: int, count: int) -> list[Syncobj]:
    return [_find(file, handle) for handle in _array(process, address, count, "I")]


def _points(process: Process, address: int, count: int) -> tuple[int, ...]:
    return _array(process, address, count, "Q") if address else (0,) * count


def _check(args: object, name: str, flags: int) -> None:
    """EINVAL for unknown flags, a pad that is not zero, or no handles."""
    given = getattr(args, "flags", 0)
    if given & ~flags:
        raise refuse(EINVAL, f"{name}: unknown flags {given:#x}")
    if getattr(args, "pad", 0):
        raise refuse(EINVAL, f"{name}: pad is zero")
    if getattr(args, "count_handles", 1) == 0:
        raise refuse(EINVAL, f"{name}: no handles")


def _create(file: DrmFile, process: Process, args: uapi.SyncobjCreate) -> None:
    _check(args, "SYNCOBJ_CREATE", uapi.DRM_SYNCOBJ_CREATE_SIGNALED)
    fences = file.device.fences
    fence = fences.signaled_stub(fences.kernel.now()) if args.flags else None
    args.handle = file.syncobjs.add(Syncobj(fences, fence))


def _destroy(file: DrmFile, process: Process, args: uapi.SyncobjDestroy) -> None:
    _check(args, "SYNCOBJ_DESTROY", 0)
    file.syncobjs.remove(args.handle).put()


def _handle_to_fd(file: DrmFile, process: Process, args: uapi.SyncobjHandle) -> None:
    sync_file, timeline = uapi.HANDLE_TO_FD_EXPORT_SYNC_FILE, uapi.HANDLE_TO_FD_TIMELINE
    _check(args, "SYNCOBJ_HANDLE_TO_FD", sync_file | timeline)
    if args.flags & sync_file:
        point = args.point if args.flags & timeline else 0
        args.fd = process.install(SyncFile(_find(file, args.handle).find_fence(point)))
        return
    if args.point:
        raise refuse(EINVAL, "SYNCOBJ_HANDLE_TO_FD: a point belongs to a sync_file")
    args.fd = process.install(SyncobjFile(file.syncobjs.get(args.handle)))


def _fd_to_handle(file: DrmFile, process: Process, args: uapi.SyncobjHandle) -> None:
    sync_file, timeline = uapi.FD_TO_HANDLE_IMPORT_SYNC_FILE, uapi.FD_TO_HANDLE_TIMELINE
    _check(args, "SYNCOBJ_FD_TO_HANDLE", sync_file | timeline)
    point = args.point if args.flags & timeline else 0
    if args.flags & sync_file:
        fence = sync_file_of(process, args.fd, EINVAL).fence
        _put(_find(file, args.handle), fence, point)
        return
    if args.point:
        raise refuse(EINVAL, "SYNCOBJ_FD_TO_HANDLE: a point belongs to a sync_file")
    found = process.lookup(args.fd)
    if not isinstance(found, SyncobjFile):
        raise refuse(EINVAL, f"SYNCOBJ_FD_TO_HANDLE: descriptor {args.fd} is no syncobj")
    args.handle = file.syncobjs.add(found.syncobj.get())


def _put(syncobj: Syncobj, fence: DmaFence, point: int) -> None:
    if point:
        syncobj.add_point(fence, point)
    else:
        syncobj.replace_fence(fence)


def _transfer(file: DrmFile, process: Process, args: uapi.SyncobjTransfer) -> None:
    if args.pad:
        raise refuse(EINVAL, "SYNCOBJ_TRANSFER: pad is zero")
    target = _find(file, args.dst_handle)
    fence = _find(file, args.src_handle).find_fence(args.src_point, args.flags)
    if args.dst_point:
        fence = merge(file.device.fences, [fence])
    _put(target, fence, args.dst_point)


def _do_wait(
    file: DrmFile,
    process: Process,
    args: uapi.SyncobjWait | uapi.SyncobjTimelineWait,
    flags: int,
    points_at: int,
) -> None:
    if args.flags & ~flags:
        raise refuse(EINVAL, f"SYNCOBJ_WAIT: unknown flags {args.flags:#x}")
    if args.count_handles == 0:
        return
    syncobjs = _handles(file, process, args.handles, args.count_handles)
    points = _points(process, points_at, args.count_handles)
    entries = [_Entry(*pair) for pair in zip(syncobjs, points, strict=True)]
    timeout = max(0, args.timeout_nsec - file.device.kernel.now()) if args.timeout_nsec else 0
    deadline = signed(args.deadline_nsec) if args.flags & uapi.WAIT_DEADLINE else None
    args.first_signaled = _wait(entries, args.flags, timeout, deadline)


def _syncobj_wait(file: DrmFile, process: Process, args: uapi.SyncobjWait) -> None:
    flags = uapi.WAIT_ALL | uapi.WAIT_FOR_SUBMIT | uapi.WAIT_DEADLINE
    _do_wait(file, process, args, flags, 0)


def _timeline_wait(file: DrmFile, process: Process, args: uapi.SyncobjTimelineWait) -> None:
    flags = uapi.WAIT_ALL | uapi.WAIT_FOR_SUBMIT | uapi.WAIT_AVAILABLE | uapi.WAIT_DEADLINE
    _do_wait(file, process, args, flags, args.points)


def _reset(file: DrmFile, process: Process, args: uapi.SyncobjArray) -> None:
    _check(args, "SYNCOBJ_RESET", 0)
    for syncobj in _handles(file, process, args.handles, args.count_handles):
        syncobj.replace_fence(None)


def _signal(file: DrmFile, process: Process, args: uapi.SyncobjArray) -> None:
    _check(args, "SYNCOBJ_SIGNAL", 0)
    fences = file.device.fences
    for syncobj in _handles(file, process, args.handles, args.count_handles):
        syncobj.replace_fence(fences.signaled_stub(fences.kernel.now()))


def _timeline_signal(file: DrmFile, process: Process, args: uapi.SyncobjTimelineArray) -> None:
    _check(args, "SYNCOBJ_TIMELINE_SIGNAL", 0)
    syncobjs = _handles(file, process, args.handles, args.count_handles)
    points = _points(process, args.points, args.count_handles)
    for syncobj, point in zip(syncobjs, points, strict=True):
        syncobj.add_point(file.device.fences.stub, point)


def _query(file: DrmFile, process: Process, args: uapi.SyncobjTimelineArray) -> None:
    _check(args, "SYNCOBJ_QUERY", uapi.QUERY_LAST_SUBMITTED)
    syncobjs = _handles(file, process, args.handles, args.count_handles)
    last_submitted = bool(args.flags & uapi.QUERY_LAST_SUBMITTED)
    for index, syncobj in enumerate(syncobjs):
        data = struct.pack("<Q", _reached(syncobj.fence, last_submitted))
        process.memory.copy_to_user(args.points + 8 * index, data)


def _reached(head: DmaFence | None, last_submitted: bool) -> int:
    """How far a timeline has got; 0 for a binary syncobj."""
    if not isinstance(head, DmaFenceChain):
        return 0
    if last_submitted:
        return head.seqno
    oldest = head
    for link in walk(head):
        if link.context != head.context or not isinstance(link, DmaFenceChain):
            break
        oldest = link
    return oldest.seqno if oldest.is_signaled() else oldest.prev_seqno


def _eventfd(file: DrmFile, process: Process, args: uapi.SyncobjEventfd) -> None:
    _check(args, "SYNCOBJ_EVENTFD", uapi.WAIT_AVAILABLE)
    syncobj = _find(file, args.handle)
    event = process.lookup(args.fd)
    if event is None:
        raise refuse(EBADF, f"SYNCOBJ_EVENTFD: no open file {args.fd}")
    if not isinstance(event, EventFd):
        raise refuse(EINVAL, f"SYNCOBJ_EVENTFD: descriptor {args.fd} is no eventfd")
    point, available = args.point, bool(args.flags & uapi.WAIT_AVAILABLE)

    def arrived() -> bool:
        fence = syncobj.at(point)
        if fence is None:
            return False
        if available or not fence.add_callback(lambda _: event.signal()):
            event.signal()
        return True

    syncobj.watch(arrived)
    file.device.fences.run_irq_work()


def ioctl_handlers() -> Iterator[tuple[Ioctl, Handler]]:
    """The syncobj ioctls with what serves them."""
    yield uapi.SYNCOBJ_CREATE, _create
    yield uapi.SYNCOBJ_DESTROY, _destroy
    yield uapi.SYNCOBJ_HANDLE_TO_FD, _handle_to_fd
    yield uapi.SYNCOBJ_FD_TO_HANDLE, _fd_to_handle
    yield uapi.SYNCOBJ_WAIT, _syncobj_wait
    yield uapi.SYNCOBJ_RESET, _reset
    yield uapi.SYNCOBJ_SIGNAL, _signal
    yield uapi.SYNCOBJ_TIMELINE_WAIT, _timeline_wait
    yield uapi.SYNCOBJ_QUERY, _query
    yield uapi.SYNCOBJ_TRANSFER, _transfer
    yield uapi.SYNCOBJ_TIMELINE_SIGNAL, _timeline_signal
    yield uapi.SYNCOBJ_EVENTFD, _eventfd
