"""A scheduler over hardware that does nothing: jobs end after a time, or when the test says so.

What drivers/gpu/drm/scheduler/tests/mock_scheduler.c offers, written anew.  A job that was freed is poisoned:
whoever touches it afterwards has a use after free.
"""

from __future__ import annotations

from errno import ECANCELED, ETIMEDOUT
from typing import Any

from ring3.dma_buf.fence import DmaFence
from ring3.drm.sched import Entity, GpuScheduler, Job, Policy, Priority, TimeoutStatus
from ring3.kernel import (
    Completion,
    HrTimer,
    Kernel,
    KernelBug,
    Mutex,
    Spinlock,
    Work,
    Workqueue,
)

US = 1_000
MS = 1_000_000
SEC = 1_000_000_000


class HwFence(DmaFence):
    driver = timeline = "drm_mock_sched"


class MockJob(Job):
    """``duration`` (ns) None: it runs until :meth:`MockScheduler.advance`."""

    def __init__(self, entity: Entity, duration: int | None = None, credits: int = 1) -> None:
        super().__init__(entity, credits)
        self.duration = duration
        self.hw_fence: HwFence | None = None
        self.finish_at = 0
        self.timed_out = False
        self.dont_reset = False
        self.reset_skipped = False
        self.done = Completion(entity.kernel, "mock job")

    def submit(self) -> MockJob:
        self.arm()
        self.push()
        return self

    def wait_scheduled(self, timeout: int) -> bool:
        return self.scheduled.wait(timeout)

    def wait_finished(self, timeout: int) -> bool:
        return self.finished.wait(timeout)


class Freed:
    """What a freed job has become."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__dict__"):
            return object.__getattribute__(self, name)
        raise KernelBug(f"use after free: {name} of a job that was freed")

    def __repr__(self) -> str:
        return "a job that was freed"


class MockScheduler:
    """Hardware with one ring: jobs run one after the other."""

    scheduler: type[GpuScheduler] = GpuScheduler

    def __init__(
        self,
        kernel: Kernel,
        *,
        timeout: int | None = None,
        credit_limit: int = 2**32 - 1,
        policy: Policy = Policy.FIFO,
        poison: bool = True,
        ordered: bool = True,
    ) -> None:
        self.kernel = kernel
        self.poison = poison
        self.sched = self.scheduler(
            kernel,
            self,
            name="drm-mock-scheduler",
            credit_limit=credit_limit,
            timeout=timeout,
            policy=policy,
            # Ordered, as the scheduler makes it; drivers like Panthor share one that is not.
            submit_wq=None if ordered else Workqueue(kernel, "mock-submit"),
            timeout_wq=Workqueue.ordered(kernel, "mock-reset"),
        )
        self.reset_work = Work(kernel, self._reset, name="mock_reset")
        self.lock = Spinlock(kernel, "mock_sched.lock")
        self.context = self.sched.fences.context_alloc()
        self.seqno = 0
        self.running: list[MockJob] = []
        self.order: list[DmaFence] = []
        self.freed = 0
        self.timer = HrTimer(kernel, "mock_sched", self._timer)
        self.gone = False
        self.teardown = Mutex(kernel, "mock_sched.teardown")

    def entity(self, priority: Priority = Priority.NORMAL) -> Entity:
        return Entity(priority, [self.sched])

    # -- backend ----------------------------------------------------------------------------------

    def prepare_job(self, job: Job, entity: Entity) -> DmaFence | None:
        return None

    def run_job(self, job: Job) -> DmaFence:
        assert isinstance(job, MockJob)
        self.seqno += 1
        fence = HwFence(self.sched.fences, self.context, self.seqno, self.lock)
        job.hw_fence = fence
        self.order.append(job.finished)
        with self.lock.irqsave():
            if job.duration is not None:
                start = max(self.kernel.now(), self.running[-1].finish_at if self.running else 0)
                job.finish_at = start + job.duration
            self.running.append(job)
            if len(self.running) == 1:
                self._start_timer()
        return fence

    def timedout_job(self, job: Job) -> TimeoutStatus:
        assert isinstance(job, MockJob)
        if job.dont_reset:
            job.reset_skipped = True
            return TimeoutStatus.NO_HANG
        assert job.hw_fence is not None
        with self.lock.irqsave():
            if not job.hw_fence.is_signaled_flag:
                if job in self.running:
                    self.running.remove(job)
                job.timed_out = True
                job.hw_fence.set_error(-ETIMEDOUT)
                job.hw_fence.signal_locked()
        self.sched.fences.run_irq_work()
        return TimeoutStatus.RESET

    def free_job(self, job: Job) -> None:
        self.freed += 1
        if self.poison:
            job.__class__ = Freed  # type: ignore[assignment]

    def cancel_job(self, job: Job) -> None:
        assert isinstance(job, MockJob)
        assert job.hw_fence is not None
        with self.lock.irqsave():
            if not job.hw_fence.is_signaled_flag:
                if job in self.running:  # (a reset may have made the hardware forget it)
                    self.running.remove(job)
                job.hw_fence.set_error(-ECANCELED)
                job.hw_fence.signal_locked()
        self.sched.fences.run_irq_work()

    def reset(self) -> None:
        """Take everything back, forget it, and start again; ordered after any time-out's handling."""
        if not self.gone:
            self.sched.timeout_wq.queue(self.reset_work)
            self.reset_work.flush()

    def _reset(self) -> None:
        if self.gone:
            return
        self.sched.stop()
        with self.lock.irqsave():
            self.running.clear()
        self.sched.start()

    def kill(self, entity: Entity) -> None:
        """A client is gone.  Whoever else ends its entity waits (one consumer empties its queue)."""
        with self.teardown:
            entity.kill()

    def unplug(self, entities: list[Entity]) -> None:
        """The device is gone: no reset begins any more, then everything ends."""
        self.gone = True
        self.reset_work.cancel_sync()
        with self.teardown:
            for entity in entities:
                entity.fini()
            self.sched.fini()

    # -- hardware ---------------------------------------------------------------------------------

    def advance(self, count: int) -> int:
        """Finish the next ``count`` jobs; how many there were."""
        with self.lock.irqsave():
            done = self.running[:count]
            for job in done:
                self._complete(job)
        self.sched.fences.run_irq_work()
        return len(done)

    def _complete(self, job: MockJob) -> None:
        self.running.remove(job)
        assert job.hw_fence is not None
        done = job.done
        job.hw_fence.signal_locked()
        done.complete()

    def _start_timer(self) -> None:
        if self.running and self.running[0].duration is not None:
            self.timer.mod(self.running[0].finish_at - self.kernel.now())

    def _timer(self) -> None:
        with self.lock.irqsave():
            now = self.kernel.now()
            while self.running and 0 < self.running[0].finish_at <= now:
                self._complete(self.running[0])
            self._start_timer()
        self.sched.fences.run_irq_work()
