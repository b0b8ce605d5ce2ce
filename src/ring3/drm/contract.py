"""The fence contract, checked while a driver runs.

Once a job is armed its fences exist, and somebody may wait for them; from there to their signal nothing may
happen that could itself wait for a fence: no allocation that may reclaim memory, no reservation lock, no
wait.  What breaks the contract rarely hangs at once, so it is looked for, not waited for.

The rules, with where the kernel states them (7.2):

=================  ===========================================================================
allocation         dma-fence.c, "Fence cross-driver contract": no GFP_KERNEL in the signalling path
reservation lock   the same: dma_resv_lock is held around waits for fences
wait               the same: a fence that waits for a fence
order              sched_main.c: init, add_dependency, arm, push; pushed in the order of their numbers
unsignalled        dma-fence.c: fences complete in reasonable time
cycle              jobs that wait for each other never will
=================  ===========================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from ring3.dma_buf.containers import unwrap
from ring3.dma_buf.fence import DmaFence, Fences
from ring3.drm.sched import Job, SchedFence
from ring3.kernel import Kernel, Task
from ring3.kernel.report import Stack, stack


@dataclass(frozen=True)
class Violation:
    """A rule (see the module) that was broken: how, by whom, when (ns), and where."""

    rule: str
    what: str
    task: str
    time: int
    stack: Stack

    def __str__(self) -> str:
        lines = [
            f"[{self.time / 1e9:12.6f}] fence contract: {self.rule}: {self.what} ({self.task})"
        ]
        return "\n".join(lines + [f"  {frame}" for frame in self.stack[:8]])


class FenceContract:
    """Watches every fence and job of a kernel from the moment it is made.

    ``violations`` grows as it happens; :meth:`finish` adds what only the end shows.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.core = Fences.of(kernel)
        self.violations: list[Violation] = []
        self._armed: dict[Task, list[Job]] = {}
        self._jobs: dict[DmaFence, Job] = {}  # by the finished fence
        self._pushed: dict[int, int] = {}  # context -> the last number pushed
        self._open: dict[DmaFence, None] = {}  # waited for by somebody, not yet signalled, in order
        self.core.watchers.append(self)
        kernel.parts.setdefault("drm_sched_watchers", []).append(self)

    def _broken(self, rule: str, what: str) -> None:
        found = Violation(rule, what, str(self.kernel.current), self.kernel.now(), stack())
        self.violations.append(found)

    def _critical(self) -> str | None:
        """Why the running task may neither allocate nor wait, or None."""
        armed = self._armed.get(self.kernel.current)
        if armed:
            return f"{len(armed)} job(s) armed and not pushed"
        return "in the signalling path" if self.core.is_signalling() else None

    # -- what may not happen in between -----------------------------------------------------------

    def allocating(self, what: str) -> None:
        """An allocation with GFP_KERNEL."""
        if (why := self._critical()) is not None:
            self._broken("allocation", f"{what}, {why}")

    def resv_lock(self) -> None:
        """A reservation's lock is taken."""
        if (why := self._critical()) is not None:
            self._broken("reservation lock", why)

    def fence_wait(self, fence: DmaFence) -> None:
        """Somebody waits for a fence."""
        if (why := self._critical()) is not None and not fence.is_signaled_flag:
            self._broken("wait", f"for {fence!r}, {why}")

    # -- jobs -------------------------------------------------------------------------------------

    def job_armed(self, job: Job) -> None:
        self._armed.setdefault(self.kernel.current, []).append(job)
        self._jobs[job.finished] = job
        self._open[job.finished] = None

    def job_dependency_late(self, job: Job, fence: DmaFence) -> None:
        self._broken("order", f"a dependency on {fence!r} after the job was armed")

    def job_pushed(self, job: Job) -> None:
        armed = self._armed.get(self.kernel.current, [])
        if job not in armed:
            self._broken("order", f"{job.finished!r} pushed by a task that did not arm it")
            armed = next((jobs for jobs in self._armed.values() if job in jobs), armed)
        if job in armed:
            armed.remove(job)
        context, seqno = job.finished.context, job.finished.seqno
        if seqno <= self._pushed.get(context, 0):
            last = self._pushed[context]
            self._broken("order", f"{job.finished!r} pushed after number {last} of its entity")
        self._pushed[context] = max(seqno, self._pushed.get(context, 0))

    def job_discarded(self, job: Job) -> None:
        for armed in self._armed.values():
            if job in armed:
                armed.remove(job)
        if job.finished.has_callbacks:
            self._broken("unsignalled", f"{job.finished!r} discarded while somebody waits for it")
        self._open.pop(job.finished, None)

    def job_run(self, job: Job, hardware: DmaFence | int | None) -> None:
        if isinstance(hardware, DmaFence) and not hardware.is_signaled_flag:
            self._open[hardware] = None

    # -- fences -----------------------------------------------------------------------------------

    def fence_init(self, fence: DmaFence) -> None:
        """A container can be waited for; a driver's own fences are followed from job_run on."""

    def fence_signaled(self, fence: DmaFence) -> None:
        self._open.pop(fence, None)
        if isinstance(fence, SchedFence) and fence.which == "finished":
            self._jobs.pop(fence, None)

    def finish(self) -> list[Violation]:
        """After everything has come to rest: what was never pushed, never signalled, and why."""
        for task, jobs in self._armed.items():
            for job in jobs:
                self._broken("order", f"{job.finished!r} armed by {task} and never pushed")
        for cycle in self._cycles():
            shown = " -> ".join(f"{job.finished.context}:{job.finished.seqno}" for job in cycle)
            self._broken("cycle", f"jobs wait for each other: {shown}")
        for fence in list(self._open):
            if not fence.is_signaled_flag:
                self._broken("unsignalled", f"{fence!r} was never signalled")
        return self.violations

    def _cycles(self) -> list[list[Job]]:
        """A cycle for each job of which the search, depth first, is still under way when it is met again."""
        done: set[Job] = set()
        found: list[list[Job]] = []
        for start in list(self._jobs.values()):
            if start in done:
                continue
            path, left = [start], [iter(self._waits_for(start))]
            while path:
                job = next(left[-1], None)
                if job is None:
                    done.add(path.pop())
                    left.pop()
                elif job in path:
                    found.append([*path[path.index(job) :], job])
                elif job not in done:
                    path.append(job)
                    left.append(iter(self._waits_for(job)))
        return found

    def _waits_for(self, job: Job) -> list[Job]:
        """The unfinished jobs that ``job`` waits for."""
        found = []
        for dependency in job.dependencies:
            for fence in unwrap(dependency):
                if isinstance(fence, SchedFence) and fence.which == "scheduled":
                    fence = fence.peer
                other = self._jobs.get(fence)
                if other is not None and not fence.is_signaled_flag:
                    found.append(other)
        return found
