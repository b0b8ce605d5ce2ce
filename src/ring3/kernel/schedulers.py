"""Scheduling strategies that preempt: random, PCT, and a recorded schedule.

A strategy is asked before every visible operation.  A task that has only begun or woken, and touches
nothing that others see before its next visible operation, goes first: no other order can be told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ring3.errors import BadInput
from ring3.kernel.core import LOCAL, YIELD
from ring3.kernel.task import RUNNING, Task

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel


_MASK = (1 << 64) - 1


class Preemptive:
    """Base: counts steps, records the choices, and ends a run that has too many.

    ``choices`` are the tids in order; ``runner`` is who ran last, not counting a task that merely began or
    woke.  After the run ``exhausted`` tells whether ``max_steps`` ended it.
    """

    preemptive = True

    def __init__(self, max_steps: int = 10_000) -> None:
        self.max_steps = max_steps
        self.choices: list[int] = []
        self.runner = 0
        self.exhausted = False

    def pick(self, kernel: Kernel) -> Task | None:
        kernel.step += 1
        if kernel.step >= self.max_steps:
            self.exhausted = kernel.stopped = True
            return None
        if kernel.fresh and (fresh := next_fresh(kernel)) is not None:
            self.choices.append(fresh.tid)
            return fresh
        runnable = kernel.runnable
        task = runnable[0] if len(runnable) == 1 else self.choose(kernel, runnable)
        self.choices.append(task.tid)
        self.runner = task.tid
        return task

    def choose(self, kernel: Kernel, runnable: list[Task]) -> Task:
        """Without a strategy: the running task goes on until it blocks or yields."""
        tid = self.runner
        for place, task in enumerate(runnable):
            if task.tid == tid:
                # Who yields goes to the end of the line.
                return runnable[(place + (task.access == YIELD)) % len(runnable)]
        return runnable[0]


def next_fresh(kernel: Kernel) -> Task | None:
    """A task that has begun or woken and may run on before anybody else."""
    fresh = kernel.fresh
    while fresh:
        task = fresh.pop()
        if task.access == LOCAL and task.state is RUNNING:
            return task
    return None


class _Numbers:
    """Random numbers: Knuth's MMIX generator, of which only high bits are used, seeded as SplitMix64 is.

    random.Random takes longer to be seeded than a short program takes to run.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = (seed + 1) * 0x9E3779B97F4A7C15 & _MASK

    def below(self, limit: int) -> int:
        self._state = state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        return (state >> 33) % limit


class RandomScheduler(Preemptive):
    """Before every visible operation any runnable task may go first; ``seed`` decides."""

    def __init__(self, seed: int, max_steps: int = 10_000) -> None:
        super().__init__(max_steps)
        self._random = _Numbers(seed)

    def choose(self, kernel: Kernel, runnable: list[Task]) -> Task:
        return runnable[self._random.below(len(runnable))]


class Pct(Preemptive):
    """Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010).

    Tasks get random priorities and the highest runs; at ``depth - 1`` random steps among the first
    ``length`` the running task falls below all others.  A bug that needs ``depth`` ordered steps is found
    with probability at least 1 / (tasks * length ** (depth - 1)) by each seed.
    """

    def __init__(
        self, seed: int, max_steps: int = 10_000, *, depth: int = 3, length: int = 100
    ) -> None:
        super().__init__(max_steps)
        self._random = _Numbers(seed)
        self._priority: dict[int, int] = {}
        self._lowest = 0
        self._changes = {1 + self._random.below(max(1, length - 1)) for _ in range(depth - 1)}

    def choose(self, kernel: Kernel, runnable: list[Task]) -> Task:
        priority = self._priority
        best = runnable[0]
        highest = self._lowest - 1
        for task in runnable:
            mine = priority.get(task.tid)
            if mine is None:
                mine = priority[task.tid] = 1 + self._random.below(1 << 20)
            if mine > highest:
                best, highest = task, mine
        if best.access == YIELD or kernel.step in self._changes:
            self._changes.discard(kernel.step)
            self._lowest -= 1
            priority[best.tid] = self._lowest
            return max(runnable, key=lambda task: priority[task.tid])
        return best


class Recorded(Preemptive):
    """Follows recorded choices, then lets the running task go on.

    ``strict``: a choice that is not runnable is an error; otherwise it is left out.
    """

    def __init__(self, recorded: list[int], *, strict: bool, max_steps: int = 10_000) -> None:
        super().__init__(max_steps)
        self._recorded = iter(recorded)
        self._strict = strict

    def pick(self, kernel: Kernel) -> Task | None:
        for tid in self._recorded:
            if tid < len(kernel.tasks) and kernel.tasks[tid].state is RUNNING and tid:
                kernel.step += 1
                if kernel.step >= self.max_steps:
                    self.exhausted = kernel.stopped = True
                    return None
                task = kernel.tasks[tid]
                if task.access != LOCAL or not self.choices:
                    self.runner = tid
                self.choices.append(tid)
                return task
            if self._strict:
                kernel.stopped = True
                raise BadInput(
                    f"the schedule is of another program: task {tid} cannot run",
                    where=f"schedule, step {len(self.choices) + 1}",
                )
        return super().pick(kernel)
