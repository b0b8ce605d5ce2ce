"""A driver for hardware that does nothing until it is told to: the second one on ring3.drm.

Buffers, sync objects and one ring behind the GPU scheduler.  ``module/ring3_mock.c`` is the same driver for a
real kernel, so that what programs see of the two can be compared.
"""

from __future__ import annotations

from collections import deque
from errno import EBUSY, ECANCELED, EINVAL, ENOENT
from typing import TYPE_CHECKING

from ring3.dma_buf.fence import DmaFence
from ring3.dma_buf.file import Process, refuse
from ring3.dma_buf.resv import Usage
from ring3.drm.device import DriverInfo, DrmDevice
from ring3.drm.differential import uapi
from ring3.drm.gem import PAGE, Allocator, GemObject, anonymous_memory, handle_create
from ring3.drm.handles import HandleTable
from ring3.drm.sched import Entity, GpuScheduler, Job, Priority, TimeoutStatus
from ring3.kernel import Kernel, Spinlock, Workqueue

if TYPE_CHECKING:
    from ring3.drm.file import DrmFile

RING_CREDITS = 4
MAX_CONTEXTS = 8
LARGEST_BO = 1 << 20


class MockFence(DmaFence):
    """The hardware is done with a job."""

    driver = timeline = "mock"


class MockJob(Job):
    """Work that takes until ADVANCE."""

    def __init__(self, entity: Entity, credits: int, number: int) -> None:
        super().__init__(entity, credits)
        self.number = number
        self.hardware: MockFence | None = None


class Ring:
    """One open file's hardware: what it has taken waits in order."""

    def __init__(self, device: MockDevice) -> None:
        self.lock = Spinlock(device.kernel, "mock.ring_lock")
        self.fences = device.fences
        self.context = device.fences.context_alloc()
        self.contexts: HandleTable[Entity] = HandleTable(limit=MAX_CONTEXTS, full=EBUSY)
        self.taken: deque[MockJob] = deque()
        self.jobs = 0
        self._seqno = 0
        self.sched = GpuScheduler(
            device.kernel, self, name="mock", credit_limit=RING_CREDITS, submit_wq=device.wq
        )

    def prepare_job(self, job: Job, entity: Entity) -> DmaFence | None:
        return None

    def run_job(self, job: Job) -> DmaFence:
        assert isinstance(job, MockJob)
        self._seqno += 1
        job.hardware = MockFence(self.fences, self.context, self._seqno, self.lock)
        with self.lock.irqsave():
            self.taken.append(job)
        return job.hardware

    def timedout_job(self, job: Job) -> TimeoutStatus:
        return TimeoutStatus.NO_HANG

    def free_job(self, job: Job) -> None:
        job.release()

    def cancel_job(self, job: Job) -> None:
        assert isinstance(job, MockJob)
        with self.lock.irqsave():
            self.taken.remove(job)
            self._complete(job, -ECANCELED)
        self.fences.run_irq_work()

    def advance(self, error: int) -> MockJob | None:
        """The hardware has finished its next job, with the negative errno ``error`` or 0."""
        with self.lock.irqsave():
            job = self.taken.popleft() if self.taken else None
            if job is not None:
                self._complete(job, error)
        self.fences.run_irq_work()
        return job

    def _complete(self, job: MockJob, error: int) -> None:
        fence = job.hardware
        assert fence is not None
        if not fence.is_signaled_flag:
            if error:
                fence.set_error(error)
            fence.signal_locked()


class MockDevice(DrmDevice):
    """The device.  Each open file has a ring of its own."""

    info = DriverInfo("ring3_mock", "hardware that waits to be told", 1, 0)

    def __init__(self, kernel: Kernel, *, allocate: Allocator = anonymous_memory) -> None:
        super().__init__(kernel, allocate=allocate)
        self.wq = Workqueue.ordered(kernel, "mock")
        self.register(uapi.CREATE_BO, _create_bo)
        self.register(uapi.CREATE_CONTEXT, _create_context)
        self.register(uapi.DESTROY_CONTEXT, _destroy_context)
        self.register(uapi.SUBMIT, _submit)
        self.register(uapi.ADVANCE, _advance)
        self.register(uapi.SETTLE, _settle)

    def settle(self) -> None:
        """Sleep until the kernel has nothing left to do by itself."""
        self.kernel.sleep(1)

    def opened(self, file: DrmFile) -> None:
        file.driver_private = Ring(self)

    def closed(self, file: DrmFile) -> None:
        ring = _ring(file)
        for entity in ring.contexts.clear():
            entity.fini()
        self.settle()
        ring.sched.fini()


def _ring(file: DrmFile) -> Ring:
    ring = file.driver_private
    assert isinstance(ring, Ring)
    return ring


def _rest(file: DrmFile) -> None:
    device = file.device
    assert isinstance(device, MockDevice)
    device.settle()


def _create_bo(file: DrmFile, process: Process, args: uapi.CreateBo) -> None:
    if args.pad or not 0 < args.size <= LARGEST_BO:
        raise refuse(
            EINVAL, f"MOCK_CREATE_BO: {args.size} bytes, at most {LARGEST_BO}; pad is zero"
        )
    args.handle = handle_create(file, GemObject(file.device, -(-args.size // PAGE) * PAGE))


def _create_context(file: DrmFile, process: Process, args: uapi.CreateContext) -> None:
    if args.priority >= len(Priority):
        raise refuse(EINVAL, f"MOCK_CREATE_CONTEXT: priority {args.priority}")
    ring = _ring(file)
    args.id = ring.contexts.add(Entity(Priority(args.priority), [ring.sched]))


def _destroy_context(file: DrmFile, process: Process, args: uapi.DestroyContext) -> None:
    if args.pad:
        raise refuse(EINVAL, "MOCK_DESTROY_CONTEXT: pad is zero")
    _ring(file).contexts.remove(args.id, ENOENT).fini()
    _rest(file)


def _submit(file: DrmFile, process: Process, args: uapi.Submit) -> None:
    if args.write > 1 or (args.write and not args.bo):
        raise refuse(EINVAL, "MOCK_SUBMIT: write is 0 or 1, and of a buffer")
    ring = _ring(file)
    entity = ring.contexts.get(args.context, ENOENT)
    job = MockJob(entity, args.credits, ring.jobs + 1)
    if args.wait:
        waited = file.syncobjs.get(args.wait, ENOENT)
        job.add_syncobj_dependency(waited, args.wait_point)
    signal = file.syncobjs.get(args.signal, ENOENT) if args.signal else None
    bo = file.objects.get(args.bo, ENOENT) if args.bo else None
    if bo is None:
        job.arm()
    else:
        with bo.resv.locked():
            bo.resv.reserve_fences(1)
            job.add_resv_dependencies(bo.resv, Usage.READ if args.write else Usage.WRITE)
            job.arm()
            bo.resv.add_fence(job.finished, Usage.WRITE if args.write else Usage.READ)
    ring.jobs += 1
    if signal is not None and args.signal_point:
        signal.add_point(job.finished, args.signal_point)
    elif signal is not None:
        signal.replace_fence(job.finished)
    job.push()
    _rest(file)


def _advance(file: DrmFile, process: Process, args: uapi.Advance) -> None:
    if not -4095 <= args.error <= 0:
        raise refuse(EINVAL, f"MOCK_ADVANCE: {args.error} is no error")
    ring = _ring(file)
    args.done = args.last = 0
    while args.done < args.count and (job := ring.advance(args.error)) is not None:
        args.done += 1
        args.last = job.number
        _rest(file)


def _settle(file: DrmFile, process: Process, args: uapi.Settle) -> None:
    _rest(file)
