"""One schedule for each partial order: source-DPOR with sleep sets (Abdulla, Aronis, Jonsson, Sagonas,
POPL 2014).

A schedule is run, and for each two of its steps that touch the same thing in an order that could have been
the other, a schedule is noted in which it is.  Steps are dependent when their accesses share a key and
one of them writes (:data:`ring3.kernel.WRITE`), or when one lets the other's task run (spawn, wake).

Sets of steps are integers, bit n for step n: which steps come before another, and which of those before
could still race with it, are then an ``or`` and an ``and not``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ring3.kernel.core import LOCAL, Kernel
from ring3.kernel.schedulers import Preemptive, next_fresh
from ring3.kernel.task import RUNNING, Task

#: What a step touched: accesses, each a key and whether it writes.
Footprint = tuple[int, ...]
#: Tasks whose next step need not be tried, with what that step touches.
Sleepers = dict[int, Footprint]


class Branch:
    """A step at which others than its task are to go first, too.

    ``guides``: those still to be tried, each with who follows; ``done``: those that were, and what they
    touched; ``tried``: whoever need not be noted any more.
    """

    __slots__ = ("done", "guides", "tried")

    def __init__(self, asleep: Sleepers) -> None:
        self.guides: list[list[int]] = []
        self.done: Sleepers = {}
        self.tried = set(asleep)


class Reduced(Preemptive):
    """Depth-first.  Lists and the keys of dicts are steps, as far as those are still on the path."""

    def __init__(self, max_steps: int) -> None:
        super().__init__(max_steps)
        self.cut = False  # some run was too long
        self.fixed = 0  # this many choices repeat the run before
        self.accesses: list[int] = []
        self.touched: dict[int, Footprint] = {}  # beyond that one access, where there was more
        self.woken: list[int | tuple[int, ...]] = []  # the steps that let the step's task run
        self.past: list[int] = []  # the steps that come before, and the step itself
        self.rivals: dict[
            int, list[int]
        ] = {}  # key -> steps that a read, and that a write races with
        self.asleep: dict[int, Sleepers] = {}  # tasks that were tried elsewhere already
        self.branches: dict[int, Branch] = {}
        self.guide: list[int] = []  # who is to follow in this run, the first one last
        self.sleepers: Sleepers = {}  # who sleeps now
        self.alone = 0  # before this step nobody sleeps, and nobody guides
        self.extra: list[int] = []
        self.touch = self.extra.append

    def begin(self) -> None:
        self.exhausted = False
        self.extra.clear()

    def pick(self, kernel: Kernel) -> Task | None:
        kernel.step = step = kernel.step + 1
        if step < self.fixed:
            return kernel.tasks[self.choices[step]]
        if self.extra:
            self._note_touched(step - 1)
        if step >= self.max_steps:
            # While somebody sleeps a run is not fair, so that its length says nothing.
            self.exhausted = not self.asleep
            self.cut = kernel.stopped = True
            return None
        asleep = self.sleepers
        if asleep and step > self.fixed:
            asleep = self.sleepers = self._still_asleep(step - 1, asleep)
        if asleep:
            self.asleep[step] = asleep
        chosen = kernel.tasks[self.guide.pop()] if self.guide else None
        if chosen is None or chosen.state is not RUNNING or chosen.tid in asleep:
            self.guide.clear()
            chosen = self._awake(kernel, asleep)
        if chosen is None:
            kernel.stopped = True
            return None
        access = chosen.access
        if access != LOCAL:
            self.runner = chosen.tid
        if step == self.fixed and step in self.branches:
            self.sleepers = asleep | self.branches[step].done
        self.choices.append(chosen.tid)
        self.accesses.append(access)
        self.woken.append(chosen.woken_step)
        if chosen.interruptible:
            self.extra.append(chosen.key)
            self.alone = 0
        else:
            self.alone = 0 if self.sleepers or self.guide else self.max_steps
        return chosen

    def bind(self, kernel: Kernel) -> Callable[[str, Any, int], None]:
        """Kernel._preempt and :meth:`pick` in one, for the two cases that most steps are: repeat a step of
        the run before, or go on with who runs."""
        choices, accesses, woken, extra = self.choices, self.accesses, self.woken, self.extra
        fixed, tasks, fresh, pick = self.fixed, kernel.tasks, kernel.fresh, self.pick

        def point(op: str, obj: Any, access: int) -> None:
            task = kernel.current
            task.access = access
            step = kernel.step + 1
            chosen: Task | None
            if step < fixed:
                kernel.step = step
                chosen = tasks[choices[step]]
            elif (
                step < self.alone
                and task.tid == self.runner
                and access >= 0
                and not fresh
                and not extra
            ):
                kernel.step = step
                choices.append(task.tid)
                accesses.append(access)
                woken.append(task.woken_step)
                return
            else:
                chosen = pick(kernel)
            if chosen is not task:
                kernel.hand_over(chosen)
            if task.irq_queue:
                kernel.run_interrupts(task)

        return point

    def _awake(self, kernel: Kernel, asleep: Sleepers) -> Task | None:
        """Who runs unless there is a guide; None when all who could are asleep."""
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

    def _still_asleep(self, step: int, asleep: Sleepers) -> Sleepers:
        """Those whom ``step`` does not concern."""
        feet, mine = self._feet(step), self.choices[step]
        return {
            tid: other
            for tid, other in asleep.items()
            if tid != mine and not _dependent(feet, other)
        }

    def _note_touched(self, step: int) -> None:
        # Steps of the part that is repeated touch again what is known already.
        if step >= self.fixed:
            self.touched[step] = tuple(self.extra)
        self.extra.clear()

    def _feet(self, step: int) -> Footprint:
        access = self.accesses[step]
        more = self.touched.get(step, ())
        return (access, *more) if access >= 0 else more

    def advance(self) -> bool:
        """Look for races in the run that has ended, and set up the next run; False when there is none."""
        if self.extra:
            self._note_touched(len(self.choices) - 1)
        self._analyse()
        step, guide = self._next_try()
        if step < 0:
            return False
        before = (1 << step) - 1
        touched, asleep = self.touched, self.asleep
        for with_it in self.rivals.values():
            with_it[0] &= before
            with_it[1] &= before
        while touched and next(reversed(touched)) >= step:
            touched.popitem()
        while asleep and next(reversed(asleep)) > step:
            asleep.popitem()
        self.sleepers = asleep.pop(step, _NOBODY)
        self.fixed = step
        self.guide = guide[::-1]
        self.runner = 0
        while step and not self.runner:
            step -= 1
            if self.accesses[step] != LOCAL:
                self.runner = self.choices[step]
        for per_step in (self.choices, self.accesses, self.woken, self.past):
            del per_step[self.fixed :]
        return True

    def _next_try(self) -> tuple[int, list[int]]:
        """The deepest step at which another task is to be tried, with who follows; -1 when there is none."""
        branches = self.branches
        while branches:
            step = max(branches)
            branch = branches[step]
            if branch.guides:
                mine = self.choices[step]
                branch.done[mine] = self._feet(step)
                branch.tried.add(mine)
                return step, branch.guides.pop()
            del branches[step]
        return -1, []

    def _analyse(self) -> None:
        """What comes before each of the steps that are new in this run, and where it races with what."""
        choices, accesses, touched, woken = self.choices, self.accesses, self.touched, self.woken
        past, rivals = self.past, self.rivals
        begin = step = len(past)
        bit = 1 << begin
        latest = dict(zip(choices[:begin], range(begin), strict=True))  # of each task
        before = -1  # whose step the one before was
        known = 0
        after: int | tuple[int, ...] = -1
        for tid in choices[begin:]:
            if tid != before:
                latest[before] = step - 1
                before = tid
                mine = latest.get(tid, -1)
                known, after = (past[mine], woken[mine]) if mine >= 0 else (0, -1)
            if woken[step] is not after:
                after = woken[step]
                known |= self._lets_run(after)
            access = accesses[step]
            more = touched.get(step, ())
            unordered = 0
            while True:
                if access >= 0:
                    try:
                        with_it = rivals[access >> 1]
                    except KeyError:
                        with_it = rivals[access >> 1] = [0, 0]
                    unordered |= with_it[access & 1]
                    with_it[1] |= bit
                    if access & 1:
                        with_it[0] |= bit
                if not more:
                    break
                access, more = more[0], more[1:]
            unordered &= ~(known | bit)
            while unordered:
                rival = unordered.bit_length() - 1
                if choices[rival] != tid:
                    self._race(rival, step, known)
                known |= past[rival]
                unordered &= ~known
            known |= bit
            past.append(known)
            step += 1
            bit += bit

    def _lets_run(self, woken: int | tuple[int, ...]) -> int:
        """The steps up to those that Task.woken_step stands for."""
        if isinstance(woken, tuple):
            known = 0
            for step in woken:
                if step >= 0:
                    known |= self.past[step]
            return known
        return self.past[woken] if woken >= 0 else (1 << (-1 - woken)) - 1

    def _race(self, early: int, late: int, known: int) -> None:
        """``late`` could have come before ``early``: make sure that a schedule for that will be run.

        ``known`` are the steps before ``late`` if ``early`` is not.
        """
        choices, past = self.choices, self.past
        branch = self.branches.get(early)
        if branch is None:
            branch = self.branches[early] = Branch(self.asleep.get(early, _NOBODY))
        tried = branch.tried
        guide: list[int] = []
        free = 0  # the steps from early on that need not wait for it
        for step in range(early + 1, late + 1):
            before = known if step == late else past[step]
            if before >> early & 1:
                continue
            tid = choices[step]
            # Whoever could be the first of them may stand for all.
            if tid in tried and not before & free:
                return
            guide.append(tid)
            free |= 1 << step
        branch.guides.append(guide)
        tried.add(guide[0])


_NOBODY: Sleepers = {}


def _dependent(one: Footprint, two: Footprint) -> bool:
    for a in one:
        for b in two:
            if a >> 1 == b >> 1 and (a | b) & 1:
                return True
    return False
