"""Running a recorded schedule again, and making a failing one smaller."""

from __future__ import annotations

from itertools import chain, pairwise

from ring3.kernel.explore.outcome import Finding, Program, decode, encode, run_once
from ring3.kernel.schedulers import Preemptive, Recorded


def replay(
    program: Program, schedule: str, *, lockdep: bool = False, max_steps: int = 10_000
) -> Finding | None:
    """What goes wrong under ``schedule``; None when nothing does.

    Raises :class:`BadInput` when the string is no schedule, or not one of this program.
    """
    scheduler = Recorded(decode(schedule), strict=True, max_steps=max_steps)
    return _finding(program, scheduler, lockdep=lockdep)


def shrink(
    program: Program, finding: Finding, *, lockdep: bool = False, budget: int = 2_000
) -> Finding:
    """The same kind of failure with fewer switches between tasks, then fewer steps.

    Tries at most ``budget`` runs: leaves out stretches of the schedule, and joins stretches of one task.
    """
    max_steps = max(finding.steps + 1, 100)

    def attempt(choices: list[int]) -> Finding | None:
        nonlocal budget
        budget -= 1
        scheduler = Recorded(choices, strict=False, max_steps=max_steps)
        got = _finding(program, scheduler, lockdep=lockdep)
        return got if got is not None and got.kind == finding.kind else None

    best = finding
    improved = True
    while improved and budget > 0:
        improved = False
        for choices in _smaller(decode(best.schedule)):
            if budget <= 0:
                break
            got = attempt(choices)
            if got is not None and _size(got) < _size(best):
                best = got
                improved = True
                break
    return best


def _size(finding: Finding) -> tuple[int, int, str]:
    choices = decode(finding.schedule)
    switches = sum(a != b for a, b in pairwise(choices))
    return switches, len(choices), finding.schedule


def _smaller(choices: list[int]) -> list[list[int]]:
    """Candidates: cut the end, drop a stretch, or let a stretch come later, next to its task's next one."""
    stretches: list[list[int]] = []
    for tid in choices:
        if stretches and stretches[-1][0] == tid:
            stretches[-1].append(tid)
        else:
            stretches.append([tid])
    out: list[list[int]] = []
    count = len(stretches)
    size = count // 2
    while size:
        for at in range(0, count, size):
            out.append(_joined(stretches[:at] + stretches[at + size :]))
        size //= 2
    for i in range(count):
        for j in range(i + 1, count):
            if stretches[j][0] == stretches[i][0]:
                middle = stretches[i + 1 : j]
                pair = [stretches[i] + stretches[j]]
                out.append(_joined(stretches[:i] + middle + pair + stretches[j + 1 :]))
                out.append(_joined(stretches[:i] + pair + middle + stretches[j + 1 :]))
                break
    return out


def _joined(stretches: list[list[int]]) -> list[int]:
    return list(chain.from_iterable(stretches))


def _finding(program: Program, scheduler: Preemptive, *, lockdep: bool) -> Finding | None:
    kernel, wrong = run_once(program, scheduler, lockdep=lockdep)
    kernel.close()
    if wrong is None:
        return None
    return Finding(wrong[0], wrong[1], encode(scheduler.choices), len(scheduler.choices))
