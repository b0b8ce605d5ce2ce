"""Small programs of fence system calls, to be run here and on a real kernel and compared.

A program is lines of an operation and numbers, so that a C program can run it as well::

    sw_open 0            # slot 0 = open("/dev/sw_sync")
    sw_create 0 1 5      # slot 1 = sync_file of timeline slot 0, value 5
    poll 1
    sw_inc 0 5
    info 1

Numbers are literals or slots; a slot holds a descriptor or a handle, and at first :data:`EMPTY`, which is
neither.  Each operation answers ``errno`` (0 for success) and then its outputs; new descriptors and
handles go into slots and are no outputs, since their values are nobody's business.  Operations are
declared in :data:`OPERATIONS`, with the kind of each argument, from which random programs are made.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from ring3.dma_buf import uapi as dma
from ring3.dma_buf.cstruct import CStruct, Ioctl
from ring3.dma_buf.file import EPOLLIN, EPOLLOUT, EventFd, LocalMemory, Process
from ring3.dma_buf.sw_sync import SwSync
from ring3.drm import uapi as drm
from ring3.drm.device import DrmDevice
from ring3.drm.file import DrmFile
from ring3.drm.gem import GemObject, handle_create
from ring3.errors import BadInput
from ring3.kernel import Kernel

EMPTY = 9999
SLOTS = 16

#: operation -> kinds of its arguments: "=k" a slot that gets a k, "k" a slot of that kind, or a range of
#: literals.  Kinds: s(w_sync), f(ile of a fence), h(andle of a syncobj), o(bject of a syncobj, as file),
#: e(ventfd), b(uffer's handle), d(ma-buf).
OPERATIONS: dict[str, tuple[str | tuple[int, ...], ...]] = {
    "sw_open": ("=s",),
    "sw_create": ("s", "=f", (0, 1, 2, 3, 5, 8)),
    "sw_inc": ("s", (0, 1, 2, 3)),
    "merge": ("f", "f", "=f", (0, 0, 0, 1)),
    "info": ("f", (0, 1, 2, 8)),
    "set_deadline": ("f", (10, 20), (0, 0, 1)),
    "get_deadline": ("s", "f", (0, 0, 1)),
    "poll": ("f",),
    "close": ("f",),
    "dup": ("f", "=f"),
    "syncobj_create": ("=h", (0, 0, 1, 2)),
    "syncobj_destroy": ("h", (0, 0, 1)),
    "handle_to_fd": ("h", "=o", (0, 0, 2, 4), (0, 0, 1)),
    "export_sync_file": ("h", "=f", (1, 1, 3), (0, 1, 2, 3)),
    "fd_to_handle": ("o", "=h", (0, 0, 2, 4), (0, 0, 1)),
    "import_sync_file": ("f", "h", (1, 1, 3), (0, 1, 2, 3)),
    "wait": ("h", "h", (0, 1, 2), (0, 1, 2, 3, 4, 8, 16)),
    "timeline_wait": ("h", "h", (0, 1, 2), (0, 1, 2, 3), (0, 1, 2, 4, 5, 6, 7, 16)),
    "reset": ("h", (0, 1), (0, 0, 1)),
    "signal": ("h", (0, 1), (0, 0, 1)),
    "timeline_signal": ("h", (0, 1, 1), (0, 1, 2, 3, 4), (0, 0, 0, 1)),
    "query": ("h", (0, 1, 1), (0, 0, 1, 2)),
    "transfer": ("h", "h", (0, 1, 2), (0, 1, 2, 3), (0, 0, 0, 1)),
    "eventfd_open": ("=e",),
    "eventfd_read": ("e",),
    "syncobj_eventfd": ("h", "e", (0, 1, 2), (0, 4, 1)),
    "bo_create": ("=b",),
    "prime_export": ("b", "=d"),
    "dma_export": ("d", "=f", (0, 1, 2, 3, 4)),
    "dma_import": ("d", "f", (0, 1, 2, 3, 4)),
    "dma_sync": ("d", (0, 1, 2, 5, 6, 8)),
    "dma_poll": ("d",),
}
# Every wait has a time-out that is over: a program never sleeps.


@dataclass
class Program:
    """Operations with their arguments."""

    steps: list[tuple[str, tuple[int, ...]]]

    def text(self) -> str:
        """One line an operation."""
        return "".join(f"{name} {' '.join(map(str, args))}\n" for name, args in self.steps)

    @classmethod
    def parse(cls, text: str) -> Program:
        """The inverse of :meth:`text`; BadInput names the line."""
        steps = []
        for number, line in enumerate(text.splitlines(), 1):
            name, *words = line.partition("#")[0].split() or [""]
            if not name:
                continue
            kinds = OPERATIONS.get(name)
            if kinds is None or len(words) != len(kinds):
                raise BadInput(f"no operation {line.strip()!r}", where=f"line {number}")
            try:
                args = tuple(int(word) for word in words)
            except ValueError:
                raise BadInput(f"{line.strip()!r} has no numbers", where=f"line {number}") from None
            if any(not 0 <= arg < 1 << 31 for arg in args):
                raise BadInput(f"{line.strip()!r} is out of range", where=f"line {number}")
            slots = [arg for arg, kind in zip(args, kinds, strict=True) if isinstance(kind, str)]
            if any(slot >= SLOTS for slot in slots):
                raise BadInput(f"there are {SLOTS} slots", where=f"line {number}")
            steps.append((name, args))
        return cls(steps)


def random_program(seed: int, length: int = 32) -> Program:
    """A program in which most arguments make sense, and some do not."""
    choose = random.Random(seed)
    held: dict[str, list[int]] = {}
    steps: list[tuple[str, tuple[int, ...]]] = []
    names = list(OPERATIONS)
    while len(steps) < length:
        name = choose.choice(names)
        wanted = [kind for kind in OPERATIONS[name] if isinstance(kind, str) and kind[0] != "="]
        if any(not held.get(kind) for kind in wanted) and choose.random() < 0.95:
            continue
        args = []
        for kind in OPERATIONS[name]:
            if isinstance(kind, tuple):
                args.append(choose.choice(kind))
            elif kind.startswith("="):
                slot = choose.randrange(SLOTS)
                for slots in held.values():
                    if slot in slots:
                        slots.remove(slot)
                held.setdefault(kind[1:], []).append(slot)
                args.append(slot)
            else:
                slots = held.get(kind, [])
                stray = not slots or choose.random() < 0.04
                args.append(choose.randrange(SLOTS) if stray else choose.choice(slots))
        steps.append((name, tuple(args)))
    return Program(steps)


class _FenceDevice(DrmDevice):
    """A device that has nothing but the core: handles, syncobjs, buffers."""


@dataclass
class _Machine:
    """A process that executes a program."""

    device: DrmDevice
    process: Process
    memory: LocalMemory
    fd: int
    slots: list[int] = field(default_factory=lambda: [EMPTY] * SLOTS)

    def ioctl(self, ioctl: Ioctl, args: CStruct, fd: int | None = None) -> CStruct:
        return type(args).unpack(self.raw(ioctl, args.pack(), fd))

    def raw(self, ioctl: Ioctl, data: bytes, fd: int | None = None) -> bytes:
        file = self.process.file(self.fd if fd is None else fd)
        address = self.memory.put(data)
        file.ioctl(self.process, ioctl.number, address)
        return self.memory.copy_from_user(address, len(data))

    def words(self, code: str, *values: int) -> int:
        return self.memory.put(struct.pack(f"<{len(values)}{code}", *values))


Outputs = list[int | str]


def run(program: Program) -> list[Outputs]:
    """Execute a program on a fresh kernel; for each step errno and outputs, then the final state."""
    kernel = Kernel()
    device = _FenceDevice(kernel)
    memory = LocalMemory()
    process = Process("program", memory=memory)
    machine = _Machine(device, process, memory, process.install(DrmFile(device, process)))
    answers: list[Outputs] = []

    def body() -> None:
        for name, args in [*program.steps, *_final_state()]:
            answers.append(_step(machine, name, args))

    kernel.call(body)
    kernel.call(process.exit)
    kernel.close()
    return answers


def _final_state() -> list[tuple[str, tuple[int, ...]]]:
    """Look at every slot as whatever it may be."""
    looks: list[tuple[str, tuple[int, ...]]] = []
    for slot in range(SLOTS):
        looks += [("info", (slot, 8)), ("poll", (slot,)), ("query", (slot, 1, 0))]
        looks += [("query", (slot, 1, 1)), ("wait", (slot, slot, 1, 0)), ("dma_poll", (slot,))]
        looks.append(("eventfd_read", (slot,)))
    return looks


def _step(machine: _Machine, name: str, args: tuple[int, ...]) -> Outputs:
    kinds = OPERATIONS[name]
    values = [
        machine.slots[arg] if isinstance(kind, str) and not kind.startswith("=") else arg
        for arg, kind in zip(args, kinds, strict=True)
    ]
    try:
        return [0, *_FUNCTIONS[name](machine, *values)]
    except OSError as error:
        return [error.errno or 0]


# -- what the operations do -----------------------------------------------------------------------


def _sw_open(m: _Machine, slot: int) -> Outputs:
    m.slots[slot] = m.process.install(SwSync(m.device.fences, "program"))
    return []


def _sw_create(m: _Machine, fd: int, slot: int, value: int) -> Outputs:
    args = dma.SwSyncCreateFenceData(value=value, name=b"point")
    made = dma.SwSyncCreateFenceData.unpack(m.raw(dma.SW_SYNC_IOC_CREATE_FENCE, args.pack(), fd))
    m.slots[slot] = made.fence
    return []


def _sw_inc(m: _Machine, fd: int, step: int) -> Outputs:
    m.raw(dma.SW_SYNC_IOC_INC, step.to_bytes(4, "little"), fd)
    return []


def _merge(m: _Machine, fd: int, other: int, slot: int, flags: int) -> Outputs:
    args = dma.SyncMergeData(name=b"merged", fd2=other, flags=flags)
    m.slots[slot] = dma.SyncMergeData.unpack(m.raw(dma.SYNC_IOC_MERGE, args.pack(), fd)).fence
    return []


def _info(m: _Machine, fd: int, room: int) -> Outputs:
    size = dma.SyncFenceInfo.SIZE
    where = m.memory.put(bytes(size * room)) if room else 0
    args = dma.SyncFileInfo(num_fences=room, sync_fence_info=where)
    info = dma.SyncFileInfo.unpack(m.raw(dma.SYNC_IOC_FILE_INFO, args.pack(), fd))
    out: Outputs = [info.status, info.num_fences]
    for index in range(info.num_fences if room else 0):
        data = m.memory.copy_from_user(where + index * size, size)
        fence = dma.SyncFenceInfo.unpack(data)
        names = (fence.driver_name, fence.obj_name)
        out += [fence.status, *(text.rstrip(b"\0").decode() for text in names)]
    return out


def _set_deadline(m: _Machine, fd: int, deadline: int, pad: int) -> Outputs:
    args = dma.SyncSetDeadline(deadline_ns=deadline, pad=pad)
    m.raw(dma.SYNC_IOC_SET_DEADLINE, args.pack(), fd)
    return []


def _get_deadline(m: _Machine, fd: int, fence: int, pad: int) -> Outputs:
    args = dma.SwSyncGetDeadline(fence_fd=fence, pad=pad)
    data = m.raw(dma.SW_SYNC_GET_DEADLINE, args.pack(), fd)
    return [dma.SwSyncGetDeadline.unpack(data).deadline_ns]


def _poll(m: _Machine, fd: int) -> Outputs:
    return [m.process.file(fd).poll() & (EPOLLIN | EPOLLOUT)]


def _close(m: _Machine, fd: int) -> Outputs:
    m.process.close(fd)
    return []


def _dup(m: _Machine, fd: int, slot: int) -> Outputs:
    m.slots[slot] = m.process.dup(fd)
    return []


def _syncobj_create(m: _Machine, slot: int, flags: int) -> Outputs:
    made = m.ioctl(drm.SYNCOBJ_CREATE, drm.SyncobjCreate(flags=flags))
    assert isinstance(made, drm.SyncobjCreate)
    m.slots[slot] = made.handle
    return []


def _syncobj_destroy(m: _Machine, handle: int, pad: int) -> Outputs:
    m.ioctl(drm.SYNCOBJ_DESTROY, drm.SyncobjDestroy(handle=handle, pad=pad))
    return []


def _to_fd(m: _Machine, handle: int, slot: int, flags: int, point: int) -> Outputs:
    args = drm.SyncobjHandle(handle=handle, flags=flags, point=point)
    made = m.ioctl(drm.SYNCOBJ_HANDLE_TO_FD, args)
    assert isinstance(made, drm.SyncobjHandle)
    m.slots[slot] = made.fd
    return []


def _fd_to_handle(m: _Machine, fd: int, slot: int, flags: int, point: int) -> Outputs:
    args = drm.SyncobjHandle(fd=fd, flags=flags, point=point)
    made = m.ioctl(drm.SYNCOBJ_FD_TO_HANDLE, args)
    assert isinstance(made, drm.SyncobjHandle)
    m.slots[slot] = made.handle
    return []


def _import_sync_file(m: _Machine, fd: int, handle: int, flags: int, point: int) -> Outputs:
    args = drm.SyncobjHandle(fd=fd, handle=handle, flags=flags, point=point)
    m.ioctl(drm.SYNCOBJ_FD_TO_HANDLE, args)
    return []


def _wait(m: _Machine, first: int, second: int, count: int, flags: int) -> Outputs:
    handles = m.words("I", first, second)
    args = drm.SyncobjWait(handles=handles, count_handles=count, flags=flags)
    done = m.ioctl(drm.SYNCOBJ_WAIT, args)
    assert isinstance(done, drm.SyncobjWait)
    return [done.first_signaled]


def _timeline_wait(
    m: _Machine, first: int, second: int, count: int, point: int, flags: int
) -> Outputs:
    handles, points = m.words("I", first, second), m.words("Q", point, point)
    args = drm.SyncobjTimelineWait(handles=handles, points=points, count_handles=count, flags=flags)
    done = m.ioctl(drm.SYNCOBJ_TIMELINE_WAIT, args)
    assert isinstance(done, drm.SyncobjTimelineWait)
    return [done.first_signaled]


def _on_array(ioctl: Ioctl) -> Callable[..., Outputs]:
    def call(m: _Machine, handle: int, count: int, pad: int) -> Outputs:
        handles = m.words("I", handle)
        m.ioctl(ioctl, drm.SyncobjArray(handles=handles, count_handles=count, pad=pad))
        return []

    return call


def _timeline_signal(m: _Machine, handle: int, count: int, point: int, flags: int) -> Outputs:
    handles, points = m.words("I", handle), m.words("Q", point)
    args = drm.SyncobjTimelineArray(
        handles=handles, points=points, count_handles=count, flags=flags
    )
    m.ioctl(drm.SYNCOBJ_TIMELINE_SIGNAL, args)
    return []


def _query(m: _Machine, handle: int, count: int, flags: int) -> Outputs:
    handles, points = m.words("I", handle), m.words("Q", 0)
    args = drm.SyncobjTimelineArray(
        handles=handles, points=points, count_handles=count, flags=flags
    )
    m.ioctl(drm.SYNCOBJ_QUERY, args)
    return [int.from_bytes(m.memory.copy_from_user(points, 8), "little")]


def _transfer(
    m: _Machine, source: int, target: int, from_point: int, to_point: int, flags: int
) -> Outputs:
    args = drm.SyncobjTransfer(
        src_handle=source,
        dst_handle=target,
        src_point=from_point,
        dst_point=to_point,
        flags=flags & ~drm.WAIT_FOR_SUBMIT,
    )
    m.ioctl(drm.SYNCOBJ_TRANSFER, args)
    return []


def _eventfd_open(m: _Machine, slot: int) -> Outputs:
    m.slots[slot] = m.process.install(EventFd())
    return []


def _eventfd_read(m: _Machine, fd: int) -> Outputs:
    file = m.process.lookup(fd)
    if not isinstance(file, EventFd):
        return [-1]
    count, file.count = file.count, 0
    return [count]


def _syncobj_eventfd(m: _Machine, handle: int, fd: int, point: int, flags: int) -> Outputs:
    args = drm.SyncobjEventfd(handle=handle, fd=fd, point=point, flags=flags)
    m.ioctl(drm.SYNCOBJ_EVENTFD, args)
    return []


def _bo_create(m: _Machine, slot: int) -> Outputs:
    file = m.process.file(m.fd)
    assert isinstance(file, DrmFile)
    m.slots[slot] = handle_create(file, GemObject(m.device, 4096))
    return []


def _prime_export(m: _Machine, handle: int, slot: int) -> Outputs:
    args = drm.PrimeHandle(handle=handle, flags=drm.O_CLOEXEC | drm.O_RDWR)
    made = m.ioctl(drm.PRIME_HANDLE_TO_FD, args)
    assert isinstance(made, drm.PrimeHandle)
    m.slots[slot] = made.fd
    return []


def _dma_export(m: _Machine, fd: int, slot: int, flags: int) -> Outputs:
    args = dma.DmaBufExportSyncFile(flags=flags)
    data = m.raw(dma.DMA_BUF_IOCTL_EXPORT_SYNC_FILE, args.pack(), fd)
    m.slots[slot] = dma.DmaBufExportSyncFile.unpack(data).fd
    return []


def _dma_import(m: _Machine, fd: int, sync_file: int, flags: int) -> Outputs:
    args = dma.DmaBufImportSyncFile(flags=flags, fd=sync_file)
    m.raw(dma.DMA_BUF_IOCTL_IMPORT_SYNC_FILE, args.pack(), fd)
    return []


def _dma_sync(m: _Machine, fd: int, flags: int) -> Outputs:
    # Beginning an access waits for fences, which nobody may be going to signal: only where none is open.
    ready = m.process.file(fd).poll()
    if not flags & dma.DMA_BUF_SYNC_END and ready & EPOLLOUT == 0:
        return [-1]
    m.raw(dma.DMA_BUF_IOCTL_SYNC, dma.DmaBufSync(flags=flags).pack(), fd)
    return []


_FUNCTIONS: dict[str, Callable[..., Outputs]] = {
    "sw_open": _sw_open,
    "sw_create": _sw_create,
    "sw_inc": _sw_inc,
    "merge": _merge,
    "info": _info,
    "set_deadline": _set_deadline,
    "get_deadline": _get_deadline,
    "poll": _poll,
    "close": _close,
    "dup": _dup,
    "syncobj_create": _syncobj_create,
    "syncobj_destroy": _syncobj_destroy,
    "handle_to_fd": _to_fd,
    "export_sync_file": _to_fd,
    "fd_to_handle": _fd_to_handle,
    "import_sync_file": _import_sync_file,
    "wait": _wait,
    "timeline_wait": _timeline_wait,
    "reset": _on_array(drm.SYNCOBJ_RESET),
    "signal": _on_array(drm.SYNCOBJ_SIGNAL),
    "timeline_signal": _timeline_signal,
    "query": _query,
    "transfer": _transfer,
    "eventfd_open": _eventfd_open,
    "eventfd_read": _eventfd_read,
    "syncobj_eventfd": _syncobj_eventfd,
    "bo_create": _bo_create,
    "prime_export": _prime_export,
    "dma_export": _dma_export,
    "dma_import": _dma_import,
    "dma_sync": _dma_sync,
    "dma_poll": _poll,
}
