"""Every schedule: plainly, within a bound on preemptions, or reduced to one per partial order.

The reduction is source-DPOR with sleep sets (Abdulla, Aronis, Jonsson, Sagonas, POPL 2014): a
schedule is run, and for each two of its steps that touch the same thing in an order that could have
been the other, a schedule is noted in which it is. Steps are dependent when their accesses share a
key and one of them writes (:data:`ring3.kernel.WRITE`), or when one lets the other's task run
(spawn, wake).
"""

from __future__ import annotations

from ring3.kernel.core import LOCAL, Kernel
from ring3.kernel.explore.outcome import Finding, Observer, Program, Result, encode, run_once
from ring3.kernel.schedulers import Preemptive, next_fresh
from ring3.kernel.task import RUNNING, Carrier, Task

Footprint = tuple[int, ...]


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

    ``reduce`` skips schedules that cannot be told apart from one that was run.  ``preemptions`` bounds how
    often a task is interrupted that could have gone on (and turns the reduction off, which would miss
    schedules under a bound).  Different failures are reported once each.  ``observe`` is called with
    every kernel at the end of its run, and (kind, message) of what went wrong in it.
    """
    bounded = preemptions is not None
    search: _Reduced | _Plain = (
        _Plain(max_steps, preemptions) if bounded or not reduce else _Reduced(max_steps)
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
        if kernel.stopped or wrong is not None:
            kernel.close()
        if wrong is not None and stop_at_first:
            return result
        if not search.advance():
            result.complete = not bounded and not search.cut
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
        self.fixed = 0  # this many choices repeat the run before
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
                task = self.choose(kernel, runnable)
                before = kernel.tasks[tid]
                # Leaving a task that has blocked, ended, or yielded is no preemption.
                if before.state is RUNNING and before.access >= 0:
                    goes_on = tid
                if self.bound is None or not goes_on or spent < self.bound:
                    others = [other.tid for other in runnable if other is not task]
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


class _Reduced(Preemptive):
    """Source-DPOR with sleep sets.  Lists are indexed by step, as far as the steps are still on the path."""

    def __init__(self, max_steps: int) -> None:
        super().__init__(max_steps)
        self.cut = False  # some run was too long
        self.fixed = 0
        self.feet: list[Footprint] = []  # what the step touched
        self.woken: list[int | tuple[int, ...]] = []  # the steps that let its task run
        self.clocks: list[
            list[int]
        ] = []  # per task: its latest step known to come before, or this one
        self.asleep: list[
            dict[int, Footprint]
        ] = []  # tasks whose next step was tried elsewhere already
        self.done: list[dict[int, Footprint]] = []  # tasks tried here
        self.wanted: list[list[list[int]]] = []  # tasks to be tried here, each with who follows
        self.guide: list[int] = []  # who is to follow in this run, the first one last
        self.undo: list[tuple[int, int, list[tuple[int, tuple[int, tuple[int, ...]]]]]] = []
        self.last: dict[int, int] = {}  # task -> its latest step
        self.seen: dict[int, tuple[int, tuple[int, ...]]] = {}  # key -> latest write, reads since
        self.extra: list[int] = []
        self.touch = self.extra.append
        self._access = 0

    def begin(self) -> None:
        self.exhausted = False
        self.extra.clear()

    def pick(self, kernel: Kernel) -> Task | None:
        kernel.step = step = kernel.step + 1
        fixed = self.fixed
        if step < fixed:
            task = kernel.tasks[self.choices[step]]
            if step == fixed - 1:
                assert task.state is RUNNING, "the reduction wants a task that cannot run"
                self.extra.clear()
                self.woken.append(task.woken_step)
                self._access = task.access
                if task.interruptible:
                    self.extra.append(task.key)
            return task
        # The step before has ended: what it touched is known.
        extra = self.extra
        if step:
            access = self._access
            if extra:
                self.feet.append((access, *extra) if access >= 0 else tuple(extra))
                extra.clear()
            else:
                self.feet.append((access,) if access >= 0 else ())
        if step >= self.max_steps:
            # While somebody sleeps a run is not fair, so that its length says nothing.
            self.exhausted = not any(self.asleep)
            self.cut = kernel.stopped = True
            return None
        asleep = _NONE
        if step and (self.asleep[-1] or self.done[-1]):
            asleep = self._still_asleep(step - 1)
        runner = self.runners[step - 1] if step else 0
        chosen = kernel.current
        if (
            asleep
            or self.guide
            or kernel.fresh
            or chosen.tid != runner
            or chosen.access < 0
            or chosen.state is not RUNNING
        ):
            other = self._other(kernel, asleep)
            if other is None:
                kernel.stopped = True
                return None
            chosen = other
        tid = chosen.tid
        access = chosen.access
        self.asleep.append(asleep)
        self.done.append(_NONE)
        self.wanted.append(_NOWHERE)
        self.choices.append(tid)
        self.runners.append(tid if access != LOCAL else runner)
        self.woken.append(chosen.woken_step)
        self._access = access
        if chosen.interruptible:
            extra.append(chosen.key)
        return chosen

    def _other(self, kernel: Kernel, asleep: dict[int, Footprint]) -> Task | None:
        """Who runs, where that is not simply who ran; None when all who could are asleep."""
        if self.guide and (guided := self._guided(kernel, asleep)) is not None:
            return guided
        if kernel.fresh:
            fresh = next_fresh(kernel)
            if fresh is not None and fresh.tid not in asleep:
                return fresh
        runnable = kernel.runnable
        if asleep:
            runnable = [task for task in runnable if task.tid not in asleep]
            if not runnable:
                return None
        return runnable[0] if len(runnable) == 1 else self.choose(kernel, runnable)

    def _guided(self, kernel: Kernel, asleep: dict[int, Footprint]) -> Task | None:
        task = kernel.tasks[self.guide.pop()]
        if task.state is RUNNING and task.tid not in asleep:
            return task
        self.guide.clear()
        return None

    def _end_step(self) -> None:
        access, extra = self._access, self.extra
        if extra:
            self.feet.append((access, *extra) if access >= 0 else tuple(extra))
            extra.clear()
        else:
            self.feet.append((access,) if access >= 0 else ())

    def _still_asleep(self, step: int) -> dict[int, Footprint]:
        """Who sleeps after ``step``: those who slept or were tried there, and whom it does not concern."""
        asleep, done = self.asleep[step], self.done[step]
        if not asleep and not done:
            return asleep
        feet = self.feet[step]
        mine = self.choices[step]
        return {
            tid: other
            for tid, other in (asleep | done).items()
            if tid != mine and not _dependent(feet, other)
        }

    def advance(self) -> bool:
        """Look for races in the run that has ended, and set up the next run; False when there is none."""
        if len(self.feet) < len(self.choices):
            self._end_step()
        self._analyse()
        step, guide = self._next_try()
        for back_tid, before, keys in reversed(self.undo[max(step, 0) :]):
            self.last[back_tid] = before
            for key, entry in reversed(keys):
                self.seen[key] = entry
        if step < 0:
            return False
        self.fixed = step + 1
        del self.asleep[self.fixed :], self.done[self.fixed :], self.wanted[self.fixed :]
        del self.feet[step:], self.woken[step:], self.clocks[step:], self.undo[step:]
        self.choices[step:] = self.runners[step:] = [guide[0]]
        self.guide = guide[:0:-1]
        return True

    def _next_try(self) -> tuple[int, list[int]]:
        """The deepest step at which another task is to be tried, with who follows; -1 when there is none."""
        for step in range(len(self.choices) - 1, -1, -1):
            wanted = self.wanted[step]
            if not wanted:
                continue
            done, asleep = self.done[step], self.asleep[step]
            self.done[step] = done = {**done, self.choices[step]: self.feet[step]}
            while wanted:
                guide = wanted.pop()
                if guide[0] not in done and guide[0] not in asleep:
                    return step, guide
        return -1, []

    def _analyse(self) -> None:
        """Clocks and races of the steps that are new in this run."""
        choices, feet, clocks = self.choices, self.feet, self.clocks
        last, seen = self.last, self.seen
        tasks = max(choices, default=0) + 1
        for step in range(len(clocks), len(choices)):
            tid = choices[step]
            before = last.get(tid, -1)
            clock = clocks[before][:] if before >= 0 else []
            if len(clock) < tasks:
                clock += [-1] * (tasks - len(clock))
            woken = self.woken[step]
            if isinstance(woken, tuple):
                for other in woken:
                    if other >= 0:
                        _merge(clock, clocks[other])
            elif woken >= 0:
                if clock[choices[woken]] < woken:
                    _merge(clock, clocks[woken])
            elif -2 - woken > before:
                for other in range(-1 - woken):
                    _merge(clock, clocks[other])
            keys: list[tuple[int, tuple[int, tuple[int, ...]]]] = []
            rivals: list[int] = []
            for access in feet[step]:
                key = access >> 1
                entry = seen.get(key, _NOTHING)
                write, reads = entry
                if access & 1:
                    if reads:
                        rivals += reads
                    seen[key] = (step, ())
                else:
                    seen[key] = (write, (*reads, step))
                if write >= 0:
                    rivals.append(write)
                keys.append((key, entry))
            if len(rivals) > 1:
                rivals.sort(reverse=True)
            for rival in rivals:
                owner = choices[rival]
                if clock[owner] < rival < step:
                    if owner != tid:
                        self._race(rival, step, clock)
                    _merge(clock, clocks[rival])
            clock[tid] = step
            clocks.append(clock)
            last[tid] = step
            self.undo.append((tid, before, keys))

    def _race(self, early: int, late: int, clock: list[int]) -> None:
        """``late`` could have come before ``early``: make sure that a schedule for that will be run.

        ``clock`` is what comes before ``late`` if ``early`` does not.
        """
        choices, clocks = self.choices, self.clocks
        owner = choices[early]
        wanted, done, asleep = self.wanted[early], self.done[early], self.asleep[early]
        if wanted:
            done = {**done, **{guide[0]: () for guide in wanted}}
        firsts: dict[int, int] = {}  # the first step of each task among those that need not wait
        guide: list[int] = []
        for step in range(early + 1, late + 1):
            if step == late:
                known = clock
            else:
                known = clocks[step]
                if known[owner] >= early:
                    continue
            tid = choices[step]
            guide.append(tid)
            if tid not in firsts:
                if tid in done or tid in asleep:
                    # Could it be the first?  Then that is tried here or was tried elsewhere.
                    for other, first in firsts.items():
                        if known[other] >= first:
                            break
                    else:
                        return
                firsts[tid] = step
        if wanted:
            wanted.append(guide)
        else:
            self.wanted[early] = [guide]


_NONE: dict[int, Footprint] = {}
_NOWHERE: list[list[int]] = []
_NOTHING: tuple[int, tuple[int, ...]] = (-1, ())


def _dependent(one: Footprint, two: Footprint) -> bool:
    for a in one:
        for b in two:
            if a >> 1 == b >> 1 and (a | b) & 1:
                return True
    return False


def _merge(clock: list[int], other: list[int]) -> None:
    """Make ``clock`` the later of the two, task by task; it is the longer one."""
    for tid, step in enumerate(other):
        clock[tid] = max(clock[tid], step)
