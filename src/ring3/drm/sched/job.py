"""A job and its two fences: scheduled (the hardware has it) and finished."""

from __future__ import annotations

from errno import EINVAL, ENOENT
from typing import TYPE_CHECKING

from ring3.dma_buf.fence import Callback, DmaFence
from ring3.dma_buf.file import refuse
from ring3.dma_buf.resv import DmaResv, Usage
from ring3.drm.gem import GemObject
from ring3.drm.syncobj import Syncobj
from ring3.kernel import Spinlock

if TYPE_CHECKING:
    from ring3.drm.sched.entity import Entity
    from ring3.drm.sched.scheduler import GpuScheduler


class SchedFence(DmaFence):
    """One of a job's two fences.  ``peer`` is the other one."""

    driver = "drm_sched"
    peer: SchedFence

    def __init__(
        self, sched: GpuScheduler, context: int, seqno: int, lock: Spinlock, which: str
    ) -> None:
        self.sched = sched
        self.which = which
        self.parent: DmaFence | None = None
        self._deadline: int | None = None
        super().__init__(sched.fences, context, seqno, lock)

    def timeline_name(self) -> str:
        return self.sched.name

    @property
    def scheduled(self) -> SchedFence:
        """The fence that says that the hardware has the job."""
        return self if self.which == "scheduled" else self.peer

    def deadline_hint(self, deadline: int) -> None:
        """The finished fence hands it on to the hardware's fence, now or when there is one."""
        if self.which == "scheduled":
            return
        if self._deadline is None or deadline < self._deadline:
            self._deadline = deadline
            if self.parent is not None:
                self.parent.set_deadline(deadline)

    def set_parent(self, parent: DmaFence) -> None:
        """The hardware's fence for the job."""
        self.parent = parent
        if self._deadline is not None:
            parent.set_deadline(self._deadline)


class Job:
    """A unit of work on an entity.  A driver subclasses it.

    ``credits`` is what it takes of the scheduler's limit while it runs.
    """

    scheduled: SchedFence
    finished: SchedFence
    sched: GpuScheduler
    hardware_done: Callback

    def __init__(self, entity: Entity, credits: int = 1) -> None:
        if entity.rq is None:
            raise refuse(ENOENT, "the entity has no run queue")
        if credits <= 0:
            raise refuse(EINVAL, "a job takes at least one credit")
        self.entity: Entity | None = entity
        self.credits = credits
        self.dependencies: list[DmaFence] = []
        self.next_dependency = 0
        self.armed = False
        self.submit_ts = 0

    def add_dependency(self, fence: DmaFence | None) -> None:
        """Run only after ``fence``; of one context only the latest is kept."""
        if fence is None:
            return
        if self.armed:
            for watcher in self.sched.watchers:
                watcher.job_dependency_late(self, fence)
        for index, known in enumerate(self.dependencies):
            if known.context == fence.context:
                if fence.is_later(known):
                    self.dependencies[index] = fence
                return
        self.dependencies.append(fence)

    def add_syncobj_dependency(self, syncobj: Syncobj, point: int) -> None:
        """Run only after ``point`` of ``syncobj``; EINVAL if nothing was submitted for it."""
        self.add_dependency(syncobj.find_fence(point))

    def add_resv_dependencies(self, resv: DmaResv, usage: Usage) -> None:
        """Run only after the fences of ``usage`` and below.  Its lock is held."""
        for fence, _ in resv.iterate(usage):
            self.add_dependency(fence)

    def arm(self) -> None:
        """Make the fences.  From here on the job is pushed, and its fences are signalled.

        Whoever arms and pushes holds one lock over both, so that an entity's jobs are queued in order of
        their sequence numbers.
        """
        entity = self.entity
        assert entity is not None and not self.armed
        entity.select_rq()
        assert entity.rq is not None
        self.sched = sched = entity.rq.sched
        seqno = entity.next_seqno()
        lock = Spinlock(sched.kernel, "drm_sched_fence.lock")
        context = entity.fence_context
        self.scheduled = SchedFence(sched, context, seqno, lock, "scheduled")
        self.finished = SchedFence(sched, context + 1, seqno, lock, "finished")
        self.scheduled.peer, self.finished.peer = self.finished, self.scheduled
        self.armed = True
        for watcher in sched.watchers:
            watcher.job_armed(self)

    def push(self) -> None:
        """Hand it to the scheduler."""
        assert self.armed and self.entity is not None, "arm comes before push"
        for watcher in self.sched.watchers:
            watcher.job_pushed(self)
        self.entity.push_job(self)

    def update_resvs(self, objects: list[GemObject]) -> None:
        """Put the finished fence into the reservations of ``objects``, which are locked."""

    def release(self) -> None:
        """Nobody needs the job any more: let go of what it holds.  May be called more than once."""

    def discard(self) -> None:
        """Drop a job that was armed but will not be pushed; nobody may have seen its fences."""
        for watcher in self.sched.watchers:
            watcher.job_discarded(self)

    @property
    def parent(self) -> DmaFence | None:
        """The hardware's fence, while the hardware has the job."""
        return self.finished.parent
