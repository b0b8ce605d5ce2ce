"""Every schedule: plainly, within a bound on preemptions, or reduced to one per partial order."""

from __future__ import annotations

from ring3.kernel.core import YIELD, Kernel
from ring3.kernel.explore.outcome import Finding, Observer, Program, Result, encode, run_once
from ring3.kernel.explore.reduced import Reduced
from ring3.kernel.schedulers import Preemptive, next_fresh
from ring3.kernel.task import RUNNING, Carrier, Task


def exhaustive(
    program: Program,
    *,
    reduce: bool = True,
    preemptions: int | None = None,
    max_schedules: int | None = None,
    max_steps: int = 2_000,
    stop_at_first: bool = False,
    lockdep: bool = False,
    observe: Observer | None = None,
) -> Result:
    """Run ``program`` under every schedule.

    ``reduce`` skips schedules that cannot be told apart from one that was run; it relies on what tasks
    share being locks, waits, :class:`Shared` or announced by Kernel.touch, and on time that passes only in
    sleeps.  ``preemptions`` bounds how often a task is interrupted that could have gone on, or somebody
    else than the next in line follows one that yields, and turns the reduction off, which would miss
    schedules under a bound.  Different failures are reported once each.  ``observe`` is called with
    every kernel at the end of its run, and (kind, message) of what went wrong in it.
    """
    search: Reduced | _Plain = (
        Reduced(max_steps) if reduce and preemptions is None else _Plain(max_steps, preemptions)
    )
    result = Result()
    carriers: list[Carrier] = []
    while True:
        search.begin()
        kernel, wrong = run_once(program, search, carriers, lockdep=lockdep)
        pruned = kernel.stopped and not search.exhausted
        result.steps += kernel.step + 1
        if pruned:
            result.pruned += 1
        else:
            result.schedules += 1
            if observe is not None:
                observe(kernel, wrong)
        if wrong is not None:
            steps = len(search.choices)
            result.add(Finding(wrong[0], wrong[1], encode(search.choices), steps))
        kernel.forget()
        if wrong is not None and stop_at_first:
            return result
        if not search.advance():
            result.complete = not search.cut and not (isinstance(search, _Plain) and search.bounded)
            result.exhausted = not search.cut
            return result
        if max_schedules is not None and result.schedules >= max_schedules:
            return result


_NOBODY: list[int] = []


class _Plain(Preemptive):
    """Depth-first over all choices, optionally with at most ``bound`` preemptions."""

    def __init__(self, max_steps: int, bound: int | None) -> None:
        super().__init__(max_steps)
        self.bound = bound
        self.cut = False  # some run was too long
        self.bounded = False  # somewhere the bound left a choice out
        self.fixed = 0  # this many choices repeat the run before
        self.runners: list[int] = []  # per step: who ran last
        self.others: list[list[int]] = []  # per step: choices not made yet
        self.spent: list[int] = []  # per step: preemptions before it
        self.could_go_on: list[int] = []  # per step: whom another choice than this one preempts

    def begin(self) -> None:
        self.exhausted = False

    def pick(self, kernel: Kernel) -> Task | None:
        kernel.step = step = kernel.step + 1
        if step < self.fixed:
            return kernel.tasks[self.choices[step]]
        if step >= self.max_steps:
            self.exhausted = self.cut = kernel.stopped = True
            return None
        tid = self.runners[step - 1] if step else 0
        others: list[int] = _NOBODY
        goes_on = 0
        spent = self._spent(step) if self.bound is not None else 0
        task = next_fresh(kernel) if kernel.fresh else None
        if task is None:
            runnable = kernel.runnable
            task = runnable[0]
            if len(runnable) > 1:
                self.runner = tid
                task = self.choose(kernel, runnable)
                before = kernel.tasks[tid]
                # Leaving a task that has blocked or ended is no preemption.  After one that has yielded the
                # next in line goes on: polling loops would make the bound meaningless otherwise.
                if before.state is RUNNING:
                    if before.access >= 0:
                        goes_on = tid
                    elif before.access == YIELD:
                        goes_on = task.tid
                if self.bound is None or not goes_on or spent < self.bound:
                    others = [other.tid for other in runnable if other is not task]
                else:
                    self.bounded = True
            tid = task.tid
        self.choices.append(task.tid)
        self.runners.append(tid)
        self.others.append(others)
        if self.bound is not None:
            self.spent.append(spent)
            self.could_go_on.append(goes_on)
        return task

    def _spent(self, step: int) -> int:
        if not step:
            return 0
        preempted = self.could_go_on[step - 1] not in (0, self.choices[step - 1])
        return self.spent[step - 1] + preempted

    def advance(self) -> bool:
        """Set up the next run; False when there is none."""
        step = len(self.choices) - 1
        while step >= 0 and not self.others[step]:
            step -= 1
        if step < 0:
            return False
        choice = self.others[step].pop()
        self.fixed = step + 1
        for per_step in (self.others, self.spent, self.could_go_on):
            del per_step[self.fixed :]
        self.choices[step:] = self.runners[step:] = [choice]
        return True
