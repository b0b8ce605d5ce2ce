"""Groups of command-stream queues, and the jobs submitted to them.

A job becomes a few instructions in its queue's ring, which call the user's stream and then count up the
queue's sync object in memory; a job is done when that object has reached the job's number.  Rules of
drivers/gpu/drm/panthor/panthor_sched.c (7.2).
"""

from __future__ import annotations

import struct
from collections import deque
from enum import Enum
from errno import ECANCELED, EINVAL, ETIMEDOUT
from typing import TYPE_CHECKING

from ring3.dma_buf.fence import DmaFence
from ring3.dma_buf.file import Process, refuse
from ring3.dma_buf.resv import Usage
from ring3.drm.exec import Exec
from ring3.drm.gem import GemObject
from ring3.drm.sched import Entity, GpuScheduler, Job, Priority, TimeoutStatus
from ring3.kernel import DelayedWork, Spinlock, Work
from ring3.mali import GpuConfig, QueueConfig, QueueState
from ring3.mali import Group as HwGroup
from ring3.mali.cs.state import SyncWait
from ring3.mali.cs.table import encode
from ring3.panthor import uapi
from ring3.panthor.bo import KernelBo

if TYPE_CHECKING:
    from ring3.panthor.device import PanthorDevice
    from ring3.panthor.vm import Vm

JOB_TIMEOUT = 5_000_000_000
MIN_RING, MAX_RING = 4 << 10, 64 << 10
MAX_PRIORITY = 15
SYNCOBJ_SIZE = 16  # u64 seqno, u32 status, pad
_NOP = 0
_IMM48 = (1 << 48) - 1


class QueueFence(DmaFence):
    """What the hardware promises for one job."""

    driver = "panthor"
    timeline = "queue-fence"


class PanthorJob(Job):
    """A stream for a queue; of size 0 it only carries synchronisation."""

    def __init__(self, group: Group, submit: uapi.QueueSubmit) -> None:
        if not group.can_run():
            raise refuse(EINVAL, "GROUP_SUBMIT: the group timed out, has a fault, or is destroyed")
        if submit.queue_index >= len(group.queues):
            raise refuse(EINVAL, f"GROUP_SUBMIT: no queue {submit.queue_index}")
        self.group = group
        self.queue = group.queues[submit.queue_index]
        self.stream = submit.stream_addr
        self.size = submit.stream_size
        self.latest_flush = submit.latest_flush
        self.done_fence: DmaFence | None = None
        self.ring_start = self.ring_end = 0
        super().__init__(self.queue.entity, credits=len(self.queue.template))
        self._holds_group = True
        group.get()

    def release(self) -> None:
        if self._holds_group:
            self._holds_group = False
            self.group.put()

    def prepare_resvs(self, locks: Exec, slots: int) -> None:
        """Lock the VM and everything mapped in it."""
        self.group.vm.prepare_resvs(locks, slots)

    def update_resvs(self, objects: list[GemObject]) -> None:
        for obj in objects:
            obj.resv.add_fence(self.finished, Usage.BOOKKEEP)


def check_submit(submit: uapi.QueueSubmit) -> None:
    """EINVAL for an argument that no group could take."""
    if submit.pad:
        raise refuse(EINVAL, "GROUP_SUBMIT: pad is zero")
    if bool(submit.stream_size) != bool(submit.stream_addr):
        raise refuse(EINVAL, "GROUP_SUBMIT: stream_addr and stream_size, or neither")
    if submit.stream_addr % 64 or submit.stream_size % 8:
        raise refuse(EINVAL, "GROUP_SUBMIT: stream_addr is 64-byte aligned, stream_size 8-byte")
    if submit.latest_flush & 0x7F00_0000:
        raise refuse(EINVAL, "GROUP_SUBMIT: latest_flush bits 30:24 are zero")


class State(Enum):
    """Of a group."""

    CREATED = "created"
    ACTIVE = "active"  # in a slot
    SUSPENDED = "suspended"
    TERMINATED = "terminated"


class Queue:
    """One queue: its ring, its scheduler, the jobs that the hardware has."""

    def __init__(self, group: Group, number: int, args: uapi.QueueCreate) -> None:
        if any(args.pad):
            raise refuse(EINVAL, "GROUP_CREATE: a queue's pad is zero")
        size = args.ringbuf_size
        if not MIN_RING <= size <= MAX_RING or size & (size - 1):
            raise refuse(EINVAL, f"GROUP_CREATE: a ring of {size} bytes, not 4K to 64K, power of 2")
        if args.priority > MAX_PRIORITY:
            raise refuse(EINVAL, f"GROUP_CREATE: queue priority {args.priority} is above 15")
        self.group = group
        self.number = number
        self.priority = args.priority
        device = group.device
        kernel = device.kernel
        flags = uapi.OP_MAP_NOEXEC | uapi.OP_MAP_UNCACHED
        self.ring = KernelBo(group.vm, size, flags, "CS ring buffer")
        self.ring_size = size
        self.insert = 0
        self.lock = Spinlock(kernel, "panthor_queue.fence_ctx.lock")
        self.context = device.fences.context_alloc()
        self.seqno = 0
        self.in_flight: deque[PanthorJob] = deque()
        self.last_fence: DmaFence | None = None
        self.timeout = DelayedWork(kernel, self._timed_out, name="panthor_queue_timeout")
        self.time_left = JOB_TIMEOUT
        self._deadline: int | None = None
        self._seen = 0  # slices that the group had done when time was last looked at
        self.template = job_template(device.gpu.config)
        self.sched = GpuScheduler(
            kernel,
            device.queue_backend,
            name=f"panthor-queue-{group.client}-{group.handle}-{number}",
            credit_limit=size // 8,
            priorities=1,
            submit_wq=device.sched.wq,
            timeout_wq=device.reset_wq,
        )
        self.entity = Entity(Priority.KERNEL, [self.sched])

    # -- jobs -------------------------------------------------------------------------------------

    def write_job(self, job: PanthorJob) -> QueueFence:
        """Put a job into the ring; its fence.  The scheduler's credits say that there is room."""
        self.seqno += 1
        fence = QueueFence(self.group.device.fences, self.context, self.seqno, self.lock)
        words = list(self.template)
        words[0] |= job.latest_flush
        words[2] |= job.stream & _IMM48
        words[3] |= job.size
        words[6] |= self.group.sync_va(self) & _IMM48
        data = struct.pack(f"<{len(words)}Q", *words)
        job.ring_start = self.insert
        at = self.insert % self.ring_size
        first = min(len(data), self.ring_size - at)
        self.ring.buffer[at : at + first] = data[:first]
        self.ring.buffer[: len(data) - first] = data[first:]
        self.insert += len(data)
        job.ring_end = self.insert
        job.done_fence = self.last_fence = fence
        with self.lock.irqsave():
            self.in_flight.append(job)
        return fence

    def check_completion(self) -> bool:
        """Signal the jobs that the sync object says are done; whether there were any."""
        done = struct.unpack_from("<Q", self.group.syncs.buffer, self.number * SYNCOBJ_SIZE)[0]
        first = self.in_flight[0].done_fence if self.in_flight else None
        if first is None or first.seqno > done:
            return False
        progress = False
        fences = self.group.device.fences
        with fences.signalling():
            with self.lock.irqsave():
                while self.in_flight:
                    fence = self.in_flight[0].done_fence
                    assert fence is not None
                    if fence.seqno > done:
                        break
                    self.in_flight.popleft()
                    fence.signal_locked()
                    progress = True
            fences.run_irq_work()
        if progress:
            # What the finished jobs left of their time is not the next one's.
            self.stop_timeout()
            self.time_left = JOB_TIMEOUT
            if self.in_flight:
                self.start_timeout()
        return progress

    def fail(self, error: int) -> None:
        """The hardware will not do what it has: signal it all with ``error``."""
        fences = self.group.device.fences
        with fences.signalling():
            with self.lock.irqsave():
                while self.in_flight:
                    fence = self.in_flight.popleft().done_fence
                    assert fence is not None
                    if not fence.is_signaled_flag:
                        fence.set_error(error)
                        fence.signal_locked()
            fences.run_irq_work()
        self.stop_timeout()
        sync = struct.pack("<QI", self.seqno, 0xFFFF_FFFF)
        at = self.number * SYNCOBJ_SIZE
        self.group.syncs.buffer[at : at + len(sync)] = sync

    def job_fault(self, extract: int) -> None:
        """The job at ring position ``extract`` failed; it goes on to its end, with an error."""
        with self.lock.irqsave():
            for job in self.in_flight:
                if job.ring_start <= extract < job.ring_end:
                    assert job.done_fence is not None
                    job.done_fence.set_error(-EINVAL)
                    break

    # -- time -------------------------------------------------------------------------------------

    def start_timeout(self) -> None:
        """The clock runs while the group is in a slot and has jobs."""
        self._seen = self.group.slices
        self._deadline = self.group.device.kernel.now() + self.time_left
        self.group.device.reset_wq.mod_delayed(self.timeout, self.time_left)

    def stop_timeout(self) -> None:
        """The clock stands."""
        if self._deadline is not None:
            self.time_left = max(0, self._deadline - self.group.device.kernel.now())
            self._deadline = None
        self.timeout.cancel()

    def _timed_out(self) -> None:
        self.check_completion()
        if not self.in_flight or self._deadline is None:
            return
        if self.group.device.hardware.slow(self.group, self._seen):
            self.time_left = JOB_TIMEOUT
            self.start_timeout()
            return
        self.sched.fault()

    def destroy(self) -> None:
        """The group is gone."""
        self.timeout.cancel_sync()
        self.entity.destroy()
        self.sched.fini()
        self.ring.destroy()


class Group:
    """Queues that share a VM and a slot; the unit of scheduling, suspension and termination."""

    def __init__(
        self,
        device: PanthorDevice,
        process: Process,
        vm: Vm,
        args: uapi.GroupCreate,
        queues: list[uapi.QueueCreate],
        client: int,
        handle: int,
    ) -> None:
        self.device = device
        self.vm = vm
        self.priority = args.priority
        self.client = client
        self.handle = handle
        self.pid, self.comm = process.pid, process.comm
        self.slot: int | None = None
        self.since = 0  # when it came into its slot
        self.refs = 1  # of its handle, one a job and one each work that is queued
        self._let_go = False
        self.state = State.CREATED
        self.fatal_queues = 0
        self.timedout = False
        self.innocent = False
        self.destroyed = False
        self.reports: list[str] = []
        self.queues: list[Queue] = []
        flags = uapi.OP_MAP_NOEXEC | uapi.OP_MAP_UNCACHED
        vm.get()
        try:
            self.syncs = KernelBo(vm, len(queues) * SYNCOBJ_SIZE, flags, "Group sync objects")
        except OSError:
            vm.put()
            raise
        try:
            for number, queue in enumerate(queues):
                self.queues.append(Queue(self, number, queue))
        except OSError:
            self.release()
            raise
        configs = [QueueConfig(q.ring.va, q.ring_size, q.priority) for q in self.queues]
        self.hardware = HwGroup(0, configs, self.priority)
        self.sync_work = Work(device.kernel, self._synced, name="panthor_group_sync_upd")
        self.term_work = Work(device.kernel, self._terminated, name="panthor_group_term")
        self.release_work = Work(device.kernel, self.release, name="panthor_group_release")

    @property
    def slices(self) -> int:
        """How often the GPU got on with the group's queues."""
        return sum(queue.steps for queue in self.hardware.state)

    @property
    def memory(self) -> int:
        """Bytes of the driver's own buffers for it."""
        return self.syncs.bo.size + sum(queue.ring.bo.size for queue in self.queues)

    def can_run(self) -> bool:
        """Jobs may still be handed to the hardware."""
        return not (
            self.state is State.TERMINATED or self.destroyed or self.fatal_queues or self.timedout
        )

    def is_idle(self) -> bool:
        """No queue can execute anything: all have nothing left, or wait for a sync object."""
        return all(
            hw.state is QueueState.FATAL
            or (hw.extract == queue.insert and not hw.calls)
            or self._waits(hw.waiting_for)
            for hw, queue in zip(self.hardware.state, self.queues, strict=True)
        )

    def is_waiting(self) -> bool:
        """It is idle, but a queue waits for a sync object."""
        return self.is_idle() and any(hw.waiting_for for hw in self.hardware.state)

    def _waits(self, wait: SyncWait | None) -> bool:
        return wait is not None and not wait.met(self.vm.read(wait.address, wait.size))

    def sync_va(self, queue: Queue) -> int:
        """Where ``queue``'s sync object is."""
        return self.syncs.va + queue.number * SYNCOBJ_SIZE

    def check_completion(self) -> None:
        """Look at every queue's sync object."""
        for queue in self.queues:
            queue.check_completion()

    def queue_work(self, work: Work) -> None:
        """Have ``sync_work`` or ``term_work`` done: the group lasts until it is (group_queue_work() in
        panthor_sched.c)."""
        self.get()
        if not self.device.sched.wq.queue(work):
            self.put()

    def _synced(self) -> None:
        self.check_completion()
        self.put()

    def _terminated(self) -> None:
        """The hardware has let go of the group for good: what it still had fails."""
        self.state = State.TERMINATED
        self.check_completion()
        for queue in self.queues:
            if self.fatal_queues >> queue.number & 1:
                queue.fail(-EINVAL)
            else:
                queue.fail(-ETIMEDOUT if self.timedout else -ECANCELED)
        if self.destroyed and not self._let_go:
            self._let_go = True
            self.put()
        self.put()

    def get(self) -> None:
        """One more job, or work to do, refers to the group."""
        self.refs += 1

    def put(self) -> None:
        """One less; without any the group, whose handle is gone then, is given back."""
        self.refs -= 1
        if self.refs == 0:
            self.device.sched.wq.queue(self.release_work)

    def release(self) -> None:
        """Give everything back."""
        for queue in self.queues:
            queue.destroy()
        self.queues = []
        self.syncs.destroy()
        self.vm.put()

    def get_state(self, args: uapi.GroupGetState) -> None:
        """GROUP_GET_STATE."""
        args.state = (
            (uapi.GROUP_STATE_TIMEDOUT if self.timedout else 0)
            | (uapi.GROUP_STATE_FATAL_FAULT if self.fatal_queues else 0)
            | (uapi.GROUP_STATE_INNOCENT if self.innocent else 0)
        )
        args.fatal_queues = self.fatal_queues


class QueueBackend:
    """What the DRM scheduler asks of Panthor's queues."""

    def __init__(self, device: PanthorDevice) -> None:
        self.device = device

    def prepare_job(self, job: Job, entity: Entity) -> DmaFence | None:
        return None

    def run_job(self, job: Job) -> DmaFence | int | None:
        """Hand a job to the hardware, or its group to the tick."""
        assert isinstance(job, PanthorJob)
        queue, sched = job.queue, self.device.sched
        if job.size == 0:
            job.done_fence = queue.last_fence
            return queue.last_fence
        with sched.lock:
            if not job.group.can_run():
                return -ECANCELED
            fence = queue.write_job(job)
            sched.job_ready(job.group, queue)
            return fence

    def timedout_job(self, job: Job) -> TimeoutStatus:
        assert isinstance(job, PanthorJob)
        self.device.sched.timed_out(job)
        return TimeoutStatus.RESET

    def free_job(self, job: Job) -> None:
        job.release()

    def cancel_job(self, job: Job) -> None:
        assert isinstance(job, PanthorJob)
        job.queue.fail(-ECANCELED)


def job_template(config: GpuConfig) -> list[int]:
    """The ring's share of a job: flush, call the stream, wait, count up the sync object.

    Padded to whole cache lines of eight instructions.  Uses the registers that the kernel keeps for itself.
    The immediates of instructions 0, 2, 3 and 6 are a job's own.
    """
    address = config.registers - config.unpreserved_registers
    value = address + 2
    all_scoreboards = (1 << config.scoreboards) - 1
    words = [
        encode("MOVE32", d=value),
        encode("FLUSH_CACHE2", l2=3, lsc=3, other=2, flush_id=value),
        encode("MOVE", d=address),
        encode("MOVE32", d=value),
        encode("WAIT", wait_mask=1),
        encode("CALL", address=address, length=value),
        encode("MOVE", d=address),
        encode("MOVE", d=value, imm=1),
        encode("WAIT", wait_mask=all_scoreboards),
        encode("SYNC_ADD64", data=value, address=address, error_propagate=1),
        encode("ERROR_BARRIER"),
    ]
    return words + [_NOP] * (-len(words) % 8)
