"""Entities: queues of jobs of one client, in order, and run queues of entities of one priority."""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from errno import ECANCELED, ESRCH
from typing import TYPE_CHECKING

from ring3.dma_buf.fence import DmaFence
from ring3.drm.sched.job import Job, SchedFence
from ring3.kernel import Completion, Spinlock, State, Work

if TYPE_CHECKING:
    from ring3.drm.sched.scheduler import GpuScheduler


class Priority(IntEnum):
    """drm_sched_priority: a lower number goes first."""

    KERNEL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


class RunQueue:
    """The entities of one priority that have jobs, each with the time that orders it."""

    def __init__(self, sched: GpuScheduler) -> None:
        self.sched = sched
        self.lock = Spinlock(sched.kernel, "drm_sched_rq.lock")
        self.members: set[Entity] = set()
        self.waiting: dict[Entity, int] = {}
        self.rr_ts = 0

    def add(self, entity: Entity, ts: int) -> None:
        """``entity`` got its first job, submitted at ``ts``."""
        with self.lock:
            if entity not in self.members:
                self.members.add(entity)
                self.sched.score += 1
            self.waiting[entity] = entity.rr_ts if self.sched.round_robin else ts

    def remove(self, entity: Entity) -> None:
        """``entity`` takes part no more."""
        with self.lock:
            if entity in self.members:
                self.members.remove(entity)
                self.sched.score -= 1
            self.waiting.pop(entity, None)

    def popped(self, entity: Entity) -> None:
        """``entity`` has given a job away: put it where its next one belongs."""
        with self.lock:
            if not entity.queue:
                self.waiting.pop(entity, None)
            elif self.sched.round_robin:
                self.rr_ts += 1
                self.waiting[entity] = entity.rr_ts = self.rr_ts
            else:
                self.waiting[entity] = entity.queue[0].submit_ts

    def select(self) -> tuple[Entity | None, bool]:
        """(the first entity that is ready, or None; whether the credits are spent on others)."""
        with self.lock:
            best = None
            for entity, ts in self.waiting.items():
                if entity.ready() and (best is None or ts < self.waiting[best]):
                    best = entity
            if best is None:
                return None, False
            if not self.sched.can_queue(best.queue[0]):
                return None, True
            best.idle.reinit()
            return best, False


class Entity:
    """A queue of jobs that run in order, on the least loaded of ``scheds`` whenever it is empty.

    ``guilty`` is a list with one flag, shared with the driver: when it is set, jobs run with ECANCELED.
    """

    def __init__(
        self,
        priority: Priority,
        scheds: list[GpuScheduler],
        guilty: list[bool] | None = None,
    ) -> None:
        assert scheds, "an entity has a scheduler"
        first = scheds[0]
        self.kernel = first.kernel
        self.priority = Priority(min(priority, len(first.run_queues) - 1))
        self.rq_priority = self.priority
        self.scheds = scheds if len(scheds) > 1 else None
        self.guilty = guilty
        self.rq: RunQueue | None = first.run_queues[self.rq_priority]
        self.lock = Spinlock(self.kernel, "drm_sched_entity.lock")
        self.queue: deque[Job] = deque()
        self.fence_context = first.fences.context_alloc(2)
        self.stopped = False
        self.dependency: DmaFence | None = None
        self.last_scheduled: DmaFence | None = None
        self.rr_ts = 0
        #: Complete while the scheduler holds no job of this entity in its hands.
        self.idle = Completion(self.kernel, "drm_sched_entity.idle")
        self.idle.complete_all()
        self._seqno = 0

    def next_seqno(self) -> int:
        """The number of the next job's fences."""
        self._seqno += 1
        return self._seqno

    def ready(self) -> bool:
        """It has a job, and that waits for nothing."""
        return bool(self.queue) and self.dependency is None

    def is_idle(self) -> bool:
        """Nothing is left that the scheduler would take."""
        return not self.queue or self.stopped or self.rq is None or self not in self.rq.members

    def error(self) -> int:
        """The error of the job scheduled last, 0 or negative."""
        return self.last_scheduled.error if self.last_scheduled else 0

    def set_priority(self, priority: Priority) -> None:
        """What jobs say of themselves from now on.  It does not move: its run queue is the one that it was
        made for (``rq_priority``), under both policies that are here."""
        with self.lock:
            self.priority = priority

    def modify_sched(self, scheds: list[GpuScheduler]) -> None:
        """The schedulers that it may run on from the next time it is empty."""
        with self.lock:
            self.scheds = scheds

    def select_rq(self) -> None:
        """Move to the least loaded scheduler, if every job so far is done."""
        if self.scheds is None or self.queue:
            return
        if self.last_scheduled is not None and not self.last_scheduled.is_signaled():
            return
        with self.lock:
            usable = [sched for sched in self.scheds if sched.ready]
            best = min(usable, key=lambda sched: sched.score, default=None)
            rq = best.run_queues[self.rq_priority] if best else None
            if rq is not self.rq:
                if self.rq is not None:
                    self.rq.remove(self)
                self.rq = rq
            if len(self.scheds) == 1:
                self.scheds = None

    def push_job(self, job: Job) -> None:
        """Append an armed job; a killed entity keeps it until it is torn down."""
        rq = self.rq
        assert rq is not None
        sched = rq.sched
        sched.score += 1
        job.submit_ts = self.kernel.now()
        with self.lock:
            self.queue.append(job)
            if len(self.queue) > 1:
                return
            if self.stopped:
                self.kernel.warn("drm_sched: pushing to a killed entity")
                return
            rq.add(self, job.submit_ts)
            sched.wakeup()

    def pop_job(self) -> Job | None:
        """The first job if nothing holds it up; else arrange to be woken and return None."""
        job = self.queue[0] if self.queue else None
        if job is None:
            return None
        while (dependency := self._next_dependency(job)) is not None:
            self.dependency = dependency
            if self._wait_for_dependency():
                return None
        self.dependency = None
        if self.guilty and self.guilty[0]:
            job.finished.set_error(-ECANCELED)
        self.last_scheduled = job.finished
        with self.lock:
            self.queue.popleft()
            assert self.rq is not None
            self.rq.popped(self)
        job.entity = None
        return job

    def _next_dependency(self, job: Job) -> DmaFence | None:
        if job.next_dependency < len(job.dependencies):
            job.next_dependency += 1
            return job.dependencies[job.next_dependency - 1]
        return job.sched.backend.prepare_job(job, self)

    def _wait_for_dependency(self) -> bool:
        """Whether ``dependency`` holds the first job up; a callback then wakes the scheduler."""
        fence = self.dependency
        assert fence is not None and self.rq is not None
        if fence.context in (self.fence_context, self.fence_context + 1):
            return False  # jobs of one entity run in order anyway
        if isinstance(fence, SchedFence) and fence.sched is self.rq.sched and not fence.error:
            # The same hardware runs them in order: being scheduled after it is enough.
            self.dependency = fence = fence.scheduled
        return fence.add_callback(self._dependency_done)

    def _dependency_done(self, _: DmaFence) -> None:
        self.dependency = None
        if self.rq is not None:
            self.rq.sched.wakeup()

    # -- the end ----------------------------------------------------------------------------------

    def flush(self, timeout: int) -> None:
        """Wait until the scheduler has taken every job, at most ``timeout`` ns."""
        if self.rq is not None:
            self.rq.sched.job_scheduled.wait_event(
                self.is_idle, timeout=timeout, state=State.KILLABLE
            )

    def kill(self) -> None:
        """Take part no more.  Each job that is left waits for what it depends on and for the one before
        it, then finishes with ESRCH without having run."""
        if self.rq is None:
            return
        with self.lock:
            self.stopped = True
            self.rq.remove(self)
        self.idle.wait()
        prev = self.last_scheduled
        while self.queue:
            job = self.queue.popleft()
            finished = job.finished
            killing = _Killing(job)
            if prev is None or not prev.add_callback(killing.resume):
                killing.queue_work()
            prev = finished

    def fini(self) -> None:
        """Kill it and forget what it waited for."""
        self.kill()
        dependency = self.dependency
        if dependency is not None:
            dependency.remove_callback(self._dependency_done)
            self.dependency = None
        self.last_scheduled = None

    def destroy(self) -> None:
        """flush (at most a second) and :meth:`fini`.

        (drm_sched_entity_flush bounds the wait for tasks that exit only.  Here a client's end is a worker's
        task, and a client that died may have left fences that nobody will ever signal.)
        """
        self.flush(1_000_000_000)
        self.fini()


class _Killing:
    """A job of a killed entity on its way to ESRCH."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.work = Work(job.sched.kernel, self._next, name="drm_sched_entity_kill_jobs")

    def queue_work(self) -> None:
        self.job.sched.system_wq.queue(self.work)

    def resume(self, _: DmaFence) -> None:
        """Fence callback: go on, where locks may be taken."""
        self.queue_work()

    def _next(self) -> None:
        job = self.job
        while job.dependencies:
            fence = job.dependencies.pop(0)
            if isinstance(fence, SchedFence) and fence.which == "scheduled":
                fence = fence.peer
            if fence.add_callback(self.resume):
                return
        job.scheduled.signal()
        job.finished.set_error(-ESRCH)
        job.finished.signal()
        job.sched.backend.free_job(job)
