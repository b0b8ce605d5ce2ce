"""The scheduler: takes jobs from entities, hands them to the hardware, watches the clock, cleans up."""

from __future__ import annotations

from collections import deque
from enum import Enum
from errno import ECANCELED
from typing import TYPE_CHECKING, Protocol

from ring3.dma_buf.fence import DmaFence, Fences
from ring3.drm.sched.entity import Entity, RunQueue
from ring3.kernel import DelayedWork, Kernel, Spinlock, WaitQueue, Work, Workqueue

if TYPE_CHECKING:
    from ring3.drm.sched.job import Job


class Policy(Enum):
    """In which order entities of one priority are served."""

    FIFO = "fifo"  # oldest job first
    RR = "rr"  # one job each in turn


class TimeoutStatus(Enum):
    """What a driver has found out about a job that took too long."""

    RESET = "reset"
    ENODEV = "enodev"
    NO_HANG = "no hang"


class Backend(Protocol):
    """What a driver does for its scheduler.  ``run_job`` may neither allocate nor fail late."""

    def prepare_job(self, job: Job, entity: Entity) -> DmaFence | None:
        """One more fence that the job has to wait for, or None."""

    def run_job(self, job: Job) -> DmaFence | int | None:
        """Hand it to the hardware: its fence, None if it is done, or a negative errno."""

    def timedout_job(self, job: Job) -> TimeoutStatus:
        """The job took too long."""

    def free_job(self, job: Job) -> None:
        """Nobody needs the job any more."""

    def cancel_job(self, job: Job) -> None:
        """The scheduler goes away while the hardware has the job."""


class JobWatcher(Protocol):
    """Sees what becomes of jobs: the contract checker, the timeline."""

    def job_armed(self, job: Job) -> None: ...
    def job_dependency_late(self, job: Job, fence: DmaFence) -> None: ...
    def job_pushed(self, job: Job) -> None: ...
    def job_discarded(self, job: Job) -> None: ...
    def job_run(self, job: Job, hardware: DmaFence | int | None) -> None: ...


class GpuScheduler:
    """One ring of a device.

    ``credit_limit`` bounds the credits of jobs in the hardware's hands; ``timeout`` (ns, None for never)
    is how long one may take.  Jobs are run and freed by work on ``submit_wq``, which is ordered.
    """

    def __init__(
        self,
        kernel: Kernel,
        backend: Backend,
        *,
        name: str,
        credit_limit: int,
        timeout: int | None = None,
        priorities: int = 4,
        policy: Policy = Policy.FIFO,
        submit_wq: Workqueue | None = None,
        timeout_wq: Workqueue | None = None,
    ) -> None:
        self.kernel = kernel
        self.fences = Fences.of(kernel)
        self.backend = backend
        self.name = name
        self.credit_limit = credit_limit
        self.credit_count = 0
        self.timeout = timeout
        self.round_robin = policy is Policy.RR
        self.run_queues = [RunQueue(self) for _ in range(priorities)]
        self.score = 0
        self.ready = True
        self.paused = False
        self.pending: deque[Job] = deque()
        self.pending_lock = Spinlock(kernel, "drm_sched.job_list_lock")
        self.job_scheduled = WaitQueue(kernel, "drm_sched.job_scheduled")
        self.watchers: list[JobWatcher] = kernel.parts.setdefault("drm_sched_watchers", [])
        self.system_wq = _system_wq(kernel)
        self.submit_wq = submit_wq or Workqueue.ordered(kernel, name)
        self.timeout_wq = timeout_wq or self.system_wq
        self._run_work = Work(kernel, self._run_jobs, name="drm_sched_run_job_work")
        self._free_work = Work(kernel, self._free_jobs, name="drm_sched_free_job_work")
        self._timeout_work = DelayedWork(kernel, self._timed_out, name="drm_sched_job_timedout")
        self._guilty_to_free: Job | None = None

    # -- submission -------------------------------------------------------------------------------

    def can_queue(self, job: Job) -> bool:
        """The credits that are left pay for ``job``; one that asks for more than there are gets them all."""
        if job.credits > self.credit_limit:
            self.kernel.warn("drm_sched: jobs may not exceed the credit limit, truncate")
            job.credits = self.credit_limit
        return self.credit_limit - self.credit_count >= job.credits

    def wakeup(self) -> None:
        """Something may be ready to run."""
        if not self.paused:
            self.submit_wq.queue(self._run_work)

    def _select(self) -> Entity | None:
        for rq in self.run_queues:
            if not rq.waiting:
                continue
            entity, out_of_credits = rq.select()
            if entity is not None or out_of_credits:
                return entity
        return None

    def _run_jobs(self) -> None:
        if not self.paused:  # see pause()
            self._run_one()

    def _run_one(self) -> None:
        entity = self._select()
        if entity is None:
            return
        job = entity.pop_job()
        if job is None:
            entity.idle.complete_all()
            self.wakeup()
            return
        self.credit_count += job.credits
        with self.pending_lock:
            self.pending.append(job)
            self._start_timeout()
        finished = job.finished
        hardware = self.backend.run_job(job)
        for watcher in self.watchers:
            watcher.job_run(job, hardware)
        entity.idle.complete_all()
        if isinstance(hardware, DmaFence):
            finished.set_parent(hardware)
            finished.peer.signal()
            self._wait_for_hardware(job, hardware)
        else:
            finished.peer.signal()
            self._job_done(job, hardware or 0)
        self.job_scheduled.wake_up_all()
        self.wakeup()

    def _wait_for_hardware(self, job: Job, hardware: DmaFence) -> None:
        def done(fence: DmaFence) -> None:
            self._job_done(job, fence.error)

        job.hardware_done = done
        if not hardware.add_callback(done):
            self._job_done(job, hardware.error)

    def _job_done(self, job: Job, error: int) -> None:
        self.credit_count -= job.credits
        self.score -= 1
        if error and not job.finished.is_signaled_flag:
            job.finished.set_error(error)
        job.finished.signal()
        if not self.paused:
            self.submit_wq.queue(self._free_work)

    def _free_jobs(self) -> None:
        if not self.paused:
            self._free_finished()

    def _free_finished(self) -> None:
        while (job := self._take_finished()) is not None:
            self.backend.free_job(job)
        self.wakeup()

    def _take_finished(self) -> Job | None:
        with self.pending_lock:
            if not self.pending or not self.pending[0].finished.is_signaled():
                return None
            job = self.pending.popleft()
            self._timeout_work.cancel()
            self._start_timeout()
            return job

    # -- time-outs --------------------------------------------------------------------------------

    def _start_timeout(self) -> None:
        if self.timeout is not None and self.pending:
            self.timeout_wq.mod_delayed(self._timeout_work, self.timeout)

    def fault(self) -> None:
        """The hardware has told of a fault: do not wait for the clock."""
        self.timeout_wq.mod_delayed(self._timeout_work, 0)

    def _timed_out(self) -> None:
        with self.pending_lock:
            job = self.pending.popleft() if self.pending else None
        status = TimeoutStatus.RESET
        if job is not None:
            # Out of the list nobody else frees the job meanwhile.
            status = self.backend.timedout_job(job)
            if self._guilty_to_free is not None:
                guilty, self._guilty_to_free = self._guilty_to_free, None
                self.backend.free_job(guilty)
            if status is TimeoutStatus.NO_HANG:
                with self.pending_lock:
                    self.pending.appendleft(job)
                if not self.paused:
                    self.submit_wq.queue(self._free_work)
        if status is not TimeoutStatus.ENODEV:
            with self.pending_lock:
                self._start_timeout()

    # -- reset ------------------------------------------------------------------------------------

    def pause(self) -> None:
        """No job is run or freed until :meth:`resume` (drm_sched_wqueue_stop).

        Somebody may have seen ``paused`` unset and queue the work only after it was cancelled here; the
        work looks again.  (7.2 does not: exploration finds the schedule, see tests/drm/test_explore.py.)
        """
        self.paused = True
        self._run_work.cancel_sync()
        self._free_work.cancel_sync()

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self.paused = False
        self.submit_wq.queue(self._run_work)
        self.submit_wq.queue(self._free_work)

    def stop(self, bad: Job | None = None) -> None:
        """Before a reset: take the hardware's jobs back; those that finish meanwhile are freed."""
        self.pause()
        if bad is not None and bad.sched is self:
            self.pending.appendleft(bad)
        for job in reversed(list(self.pending)):
            parent = job.finished.parent
            if parent is not None and parent.remove_callback(job.hardware_done):
                job.finished.parent = None
                self.credit_count -= job.credits
                continue
            with self.pending_lock:
                self.pending.remove(job)
            job.finished.wait()
            if job is bad:
                self._guilty_to_free = job
            else:
                self.backend.free_job(job)
        self._timeout_work.cancel()

    def start(self, error: int = 0) -> None:
        """After a reset: jobs whose hardware fence is gone finish with ``error`` (default ECANCELED)."""
        for job in list(self.pending):
            self.credit_count += job.credits
            parent = job.finished.parent
            if parent is None:
                self._job_done(job, error or -ECANCELED)
            else:
                self._wait_for_hardware(job, parent)
        with self.pending_lock:
            self._start_timeout()
        self.resume()

    def fini(self) -> None:
        """Cancel what the hardware has and go away."""
        self.pause()
        self.job_scheduled.wake_up_all()
        self._timeout_work.cancel_sync()
        for job in reversed(list(self.pending)):
            self.backend.cancel_job(job)
            self.pending.remove(job)
            self.backend.free_job(job)
        self.ready = False


def _system_wq(kernel: Kernel) -> Workqueue:
    """system_wq: one a kernel, for work that nobody has a queue of his own for."""
    found = kernel.parts.get("system_wq")
    if found is None:
        found = kernel.parts["system_wq"] = Workqueue(kernel, "events")
    assert isinstance(found, Workqueue)
    return found
