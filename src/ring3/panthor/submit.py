"""A batch of jobs with sync operations: VM_BIND (async) and GROUP_SUBMIT share it.

The order is what keeps fences' promises (panthor_drv.c, 7.2): everything that may fail comes first, signal
operations are collected over the whole batch, then job by job dependencies are taken, the job is armed and
its finished fence put into the batch's signal operations, where a later job of the batch finds it; then
all are pushed and the syncobjs told.  Arming and pushing happen under the VM's reservation lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from errno import E2BIG, EINVAL, ENOENT, ENOMEM
from typing import TypeVar

from ring3.dma_buf.cstruct import CStruct
from ring3.dma_buf.fence import DmaFence
from ring3.dma_buf.file import Process, refuse
from ring3.drm.exec import Exec
from ring3.drm.file import DrmFile
from ring3.drm.gem import GemObject
from ring3.drm.sched import Job
from ring3.drm.syncobj import Syncobj
from ring3.panthor import uapi

#: More objects than this in one array are refused as memory that the kernel does not have.
MAX_ARRAY = 1 << 16

Struct = TypeVar("Struct", bound=CStruct)


def object_array(
    process: Process, kind: type[Struct], array: uapi.ObjArray, last_mandatory: str
) -> list[Struct]:
    """The objects of an array whose stride says which version of ``kind`` user space knows.

    EINVAL for a stride shorter than up to ``last_mandatory``, E2BIG for a tail that is not zero, EFAULT.
    """
    if array.count == 0:
        return []
    field = next(field for field in kind.FIELDS if field.name == last_mandatory)
    if array.stride < field.offset + field.size:
        raise refuse(EINVAL, f"{kind.C_NAME}: stride {array.stride} is too short")
    if array.count > MAX_ARRAY:
        raise refuse(ENOMEM, f"{kind.C_NAME}: {array.count} objects")
    places = range(array.array, array.array + array.count * array.stride, array.stride)
    return [copy_struct(process, kind, address, array.stride) for address in places]


def copy_struct(process: Process, kind: type[Struct], address: int, size: int) -> Struct:
    """A structure of which user space knows the first ``size`` bytes (copy_struct_from_user).

    E2BIG when what it knows beyond this kernel is not zero, EFAULT.
    """
    at, end = address + kind.SIZE, address + size
    while at < end:  # (a piece at a time: sizes are hostile)
        piece = min(end - at, 1 << 16)
        if any(process.memory.copy_from_user(at, piece)):
            raise refuse(E2BIG, f"{kind.C_NAME}: fields that this kernel does not know")
        at += piece
    data = process.memory.copy_from_user(address, min(kind.SIZE, size))
    return kind.unpack(data.ljust(kind.SIZE, b"\0"))


@dataclass(eq=False)
class _Signal:
    """A syncobj point that the batch signals, with the fence that stands for it so far."""

    syncobj: Syncobj
    point: int
    fence: DmaFence | None


def check_sync_op(op: uapi.SyncOp) -> None:
    """EINVAL for unknown flags or kinds, or a binary syncobj with a point."""
    kind = op.flags & uapi.SYNC_OP_HANDLE_TYPE_MASK
    if op.flags & ~(uapi.SYNC_OP_HANDLE_TYPE_MASK | uapi.SYNC_OP_SIGNAL):
        raise refuse(EINVAL, f"sync op: unknown flags {op.flags:#x}")
    if kind not in (uapi.SYNC_OP_SYNCOBJ, uapi.SYNC_OP_TIMELINE_SYNCOBJ):
        raise refuse(EINVAL, f"sync op: unknown handle type {kind}")
    if kind == uapi.SYNC_OP_SYNCOBJ and op.timeline_value:
        raise refuse(EINVAL, "sync op: a binary syncobj has no timeline value")


class Batch:
    """Jobs with their sync operations, until they are submitted."""

    def __init__(self, file: DrmFile) -> None:
        self.file = file
        self.jobs: list[tuple[Job, list[uapi.SyncOp]]] = []
        self._signals: dict[tuple[int, int], _Signal] = {}

    def add(self, process: Process, job: Job, syncs: uapi.ObjArray) -> None:
        """One more job."""
        self.jobs.append((job, []))
        ops = object_array(process, uapi.SyncOp, syncs, "timeline_value")
        self.jobs[-1] = job, ops

    def collect_signals(self) -> None:
        """Find the syncobjs to signal, so that nothing about them can fail later."""
        for op in (op for _, ops in self.jobs for op in ops):
            key = (op.handle, op.timeline_value)
            if not op.flags & uapi.SYNC_OP_SIGNAL:
                continue
            check_sync_op(op)
            if key not in self._signals:
                syncobj = self.file.syncobjs.get(op.handle, EINVAL)
                self._signals[key] = _Signal(syncobj, op.timeline_value, syncobj.at(key[1]))

    def submit(self, lock: Callable[[Exec], None]) -> None:
        """Lock what ``lock`` locks, then take dependencies, arm, push and tell the syncobjs."""
        try:
            self._submit(lock)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Nothing of the batch will be pushed."""
        for job, _ in self.jobs:
            job.release()

    def _submit(self, lock: Callable[[Exec], None]) -> None:
        self.collect_signals()
        fences = self.file.device.fences
        with Exec(fences, interruptible=True, ignore_duplicates=True) as locks:
            locks.until_all_locked(lambda: lock(locks))
            armed: list[Job] = []
            try:
                for job, ops in self.jobs:
                    self._add_dependencies(job, ops)
                    job.arm()
                    armed.append(job)
                    self._update_signals(job, ops)
            except OSError:
                # A later job of the batch may still fail; the earlier ones are known to nobody yet.
                for job in armed:
                    job.discard()
                raise
            self._push(locks.objects)
        fences.run_irq_work()

    def _add_dependencies(self, job: Job, ops: Sequence[uapi.SyncOp]) -> None:
        for op in ops:
            if op.flags & uapi.SYNC_OP_SIGNAL:
                continue
            check_sync_op(op)
            signal = self._signals.get((op.handle, op.timeline_value))
            if signal is None:
                syncobj = self.file.syncobjs.get(op.handle, ENOENT)
                job.add_syncobj_dependency(syncobj, op.timeline_value)
            elif signal.fence is None:
                raise refuse(EINVAL, "sync op: waits for what only a later job signals")
            else:
                job.add_dependency(signal.fence)

    def _update_signals(self, job: Job, ops: Sequence[uapi.SyncOp]) -> None:
        for op in ops:
            if op.flags & uapi.SYNC_OP_SIGNAL:
                self._signals[op.handle, op.timeline_value].fence = job.finished

    def _push(self, locked: list[GemObject]) -> None:
        for job, _ in self.jobs:
            job.update_resvs(locked)
            job.push()
        for signal in self._signals.values():
            assert signal.fence is not None
            if signal.point:
                signal.syncobj.add_point(signal.fence, signal.point)
            else:
                signal.syncobj.replace_fence(signal.fence)
