"""Two executions of a program side by side, and the smallest program on which they still differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ring3.drm.differential import machine
from ring3.drm.differential.generate import final_look
from ring3.drm.differential.program import Program

#: Executes programs elsewhere: for each the answers to its steps.
Elsewhere = Callable[[Sequence[Program]], list[list[str]]]
#: Executes one here.
Here = Callable[[Program], list[str]]


@dataclass(frozen=True)
class Disagreement:
    """The first step of ``program`` that was answered differently."""

    program: Program
    index: int
    here: str
    there: str

    @property
    def operation(self) -> str:
        """The name of the call."""
        return self.program.steps[self.index].name

    def __str__(self) -> str:
        lines = [str(step) for step in self.program.steps[: self.index + 1]]
        return "\n".join([*lines, f"    here:  {self.here}", f"    there: {self.there}"])


def complete(program: Program) -> Program:
    """``program`` and then a look at everything that it leaves."""
    return Program((*program.steps, *final_look(program)))


def disagreement(
    program: Program, here: Sequence[str], there: Sequence[str]
) -> Disagreement | None:
    """The first step of ``program`` to which ``there`` has another answer than ``here``, or None."""
    for index, answer in enumerate(here):
        other = there[index] if index < len(there) else "nothing"
        if answer != other:
            return Disagreement(program, index, answer, other)
    extra = there[len(here) :]
    return Disagreement(program, len(here) - 1, "the end", extra[0]) if extra else None


def disagreements(
    programs: Sequence[Program], elsewhere: Elsewhere, here: Here = machine.run
) -> list[Disagreement]:
    """What differs between here and elsewhere, at most one each program."""
    answers = elsewhere(programs)
    compared = map(disagreement, programs, map(here, programs), answers)
    return [found for found in compared if found is not None]


def shrink(
    found: Disagreement, elsewhere: Elsewhere, here: Here = machine.run, rounds: int = 12
) -> Disagreement:
    """A smaller program that still disagrees at a call of the same name (delta debugging).

    Candidates of a round go elsewhere together, since starting a machine takes longer than running them.
    """
    best = Disagreement(
        Program(found.program.steps[: found.index + 1]), found.index, found.here, found.there
    )
    for _ in range(rounds):
        candidates = list(_smaller(best.program))
        still = [
            other
            for other in disagreements(candidates, elsewhere, here)
            if other.operation == found.operation
        ]
        if not still:
            return best
        best = min(still, key=lambda other: other.index)
        best = Disagreement(
            Program(best.program.steps[: best.index + 1]), best.index, best.here, best.there
        )
    return best


def _smaller(program: Program) -> Iterable[Program]:
    """Without one run of steps, of every length that halving gives; the last step stays."""
    steps = program.steps
    size = (len(steps) - 1) // 2 or 1
    while True:
        for start in range(0, len(steps) - 1, size):
            end = min(start + size, len(steps) - 1)
            yield Program((*steps[:start], *steps[end:]))
        if size == 1:
            return
        size //= 2
