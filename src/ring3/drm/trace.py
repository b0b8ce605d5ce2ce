"""What became of each job, as data and as a Perfetto timeline.

A :class:`JobTrace` watches a kernel; :attr:`JobTrace.jobs` are spans that a page can draw, and
:meth:`JobTrace.timeline` has one row a queue, with arrows along dependencies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ring3.dma_buf.containers import unwrap
from ring3.dma_buf.fence import DmaFence, Fences
from ring3.drm.sched import Job, SchedFence
from ring3.kernel import Kernel
from ring3.timeline import Timeline


@dataclass
class JobSpan:
    """One job: its queue, number, and times in ns (None: it never got there).

    ``depends_on`` are the indices of jobs (in :attr:`JobTrace.jobs`) whose fences it waited for;
    ``error`` is its fence's, 0 or negative.
    """

    queue: str
    seqno: int
    pushed: int | None = None
    run: int | None = None
    finished: int | None = None
    error: int = 0
    depends_on: list[int] = field(default_factory=list)
    waits_for_outside: int = 0


class JobTrace:
    """Records every job from now on."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.jobs: list[JobSpan] = []
        self._by_fence: dict[DmaFence, int] = {}
        Fences.of(kernel).watchers.append(self)
        kernel.parts.setdefault("drm_sched_watchers", []).append(self)

    # -- watching ---------------------------------------------------------------------------------

    def job_armed(self, job: Job) -> None:
        span = JobSpan(job.sched.name, job.finished.seqno)
        self._by_fence[job.finished] = len(self.jobs)
        for dependency in job.dependencies:
            for fence in unwrap(dependency):
                index = self._by_fence.get(fence)
                if index is None:
                    span.waits_for_outside += 1
                else:
                    span.depends_on.append(index)
        self.jobs.append(span)

    def _span(self, fence: DmaFence) -> JobSpan | None:
        index = self._by_fence.get(fence)
        return None if index is None else self.jobs[index]

    def job_pushed(self, job: Job) -> None:
        span = self._span(job.finished)
        if span is not None:
            span.pushed = self.kernel.now()

    def job_run(self, job: Job, hardware: DmaFence | int | None) -> None:
        span = self._span(job.finished)
        if span is not None:
            span.run = self.kernel.now()

    def fence_signaled(self, fence: DmaFence) -> None:
        if isinstance(fence, SchedFence) and fence.which == "finished":
            span = self._span(fence)
            if span is not None:
                span.finished, span.error = fence.timestamp, fence.error

    def job_discarded(self, job: Job) -> None: ...
    def job_dependency_late(self, job: Job, fence: DmaFence) -> None: ...
    def fence_init(self, fence: DmaFence) -> None: ...
    def fence_wait(self, fence: DmaFence) -> None: ...
    def resv_lock(self) -> None: ...

    # -- showing ----------------------------------------------------------------------------------

    def timeline(self) -> Timeline:
        """A row of waiting and a row of running a queue; arrows from what a job waited for.

        A queue has one job after another: one that it got early runs from the end of the one before.
        """
        made = Timeline()
        rows: dict[str, tuple[int, int]] = {}
        free: dict[int, int] = {}  # since when each running row is
        end = max((span.finished or 0 for span in self.jobs), default=0)
        for index, span in enumerate(self.jobs):
            if span.queue not in rows:
                parent = made.track(span.queue)
                rows[span.queue] = (
                    made.track("queued", parent=parent),
                    made.track("running", parent=parent),
                )
            queued, running = rows[span.queue]
            name = f"job {span.seqno}" + (f" ({span.error})" if span.error else "")
            if span.pushed is not None:
                made.instant(queued, f"push {name}", span.pushed)
            if span.run is not None:
                stop = span.finished if span.finished is not None else end
                flows = (index + 1, *(other + 1 for other in span.depends_on))
                start = max(span.run, free.get(running, 0))
                free[running] = max(stop, start + 1)
                made.slice(running, name, start, free[running], flows=flows)
        return made
