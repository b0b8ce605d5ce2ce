"""Lockdep's reports, laid out as the kernel lays them out, with Python source lines for its addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ring3.kernel.lockdep import usage
from ring3.kernel.report import Stack, stack
from ring3.kernel.task import HARDIRQ_MASK, IRQS_OFF, SOFTIRQ_MASK, SOFTIRQ_OFFSET, Task

if TYPE_CHECKING:
    from ring3.kernel.lockdep.graph import LockClass, Step
    from ring3.kernel.lockdep.validator import HeldLock

_TITLES = {
    "recursive": "WARNING: possible recursive locking detected",
    "circular": "WARNING: possible circular locking dependency detected",
    "inconsistent": "WARNING: inconsistent lock state",
    "irq-dependency": "WARNING: {irq}-safe -> {irq}-unsafe lock order detected",
    "irq-inversion": "WARNING: possible irq lock inversion dependency detected",
    "wait-context": "[ BUG: Invalid wait context ]",
    "unlock-balance": "WARNING: bad unlock balance detected!",
    "nest-lock": "WARNING: Nested lock was not taken",
    "held-freed": "WARNING: held lock freed!",
    "debug-locks": "WARNING: DEBUG_LOCKS_WARN_ON",
}


@dataclass(frozen=True)
class Report:
    """What lockdep found.  ``kind`` is a key of the titles above; ``chain`` names the classes in order."""

    kind: str
    task: str
    chain: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return self.text


def compose(
    kind: str, task: Task, body: list[str], chain: list[LockClass], *, irq: str = ""
) -> Report:
    """A report: title, ``body``, the locks held, the stack."""
    title = _TITLES[kind].format(irq=irq)
    rule = "=" * len(title)
    lines = [rule, title, "-" * len(title), *body, "", *held_locks(task), "", "stack backtrace:"]
    lines += _indent(stack())
    return Report(kind, str(task), tuple(map(str, chain)), "\n".join(lines))


def describe(held: HeldLock) -> str:
    """One lock: its instance, class, usage and where it was taken."""
    mark = ("", "read ", "recursive read ")[held.read] + ("trylock " if held.trylock else "")
    letters = usage.letters(held.lock_class.usage)
    return f"{mark}({held.lock_class}){{{letters}}}, at: {held.frame}"


def held_locks(task: Task) -> list[str]:
    stack = task.held_locks or []
    if not stack:
        return [f"no locks held by {task}."]
    lines = [f"{len(stack)} lock{'s' * (len(stack) > 1)} held by {task}:"]
    return lines + [f" #{i}: {describe(held)}" for i, held in enumerate(stack)]


def contexts(task: Task) -> str:
    """[HC:SC:HE:SE]: in hardirq, in softirq, hardirqs enabled, softirqs enabled."""
    count = task.preempt_count
    bits = (
        count & HARDIRQ_MASK != 0,
        count & SOFTIRQ_OFFSET != 0,
        count & IRQS_OFF == 0,
        count & SOFTIRQ_MASK == 0,
    )
    return "[HC{:d}:SC{:d}:HE{:d}:SE{:d}]".format(*bits)


def chain(path: list[Step], *, reverse: bool = True) -> list[str]:
    """The dependency chain, the newest link first, each with the stack that made it."""
    lines: list[str] = []
    numbered = list(enumerate(path))
    for number, step in reversed(numbered) if reverse else numbered:
        letters = usage.letters(step.lock_class.usage)
        lines.append(f"-> #{number} ({step.lock_class}){{{letters}}}:")
        lines += _indent(step.trace, 7)
    return lines


def two_cpus(left: list[str], right: list[str]) -> list[str]:
    """The scenario table.  ``left`` happens on one CPU; the lines of ``right`` come after its first."""
    rows = [(left[0], "")] + [("", line) for line in right] + [(line, "") for line in left[1:]]
    return [
        " Possible unsafe locking scenario:",
        "",
        f"       {'CPU0':28}CPU1",
        f"       {'----':28}----",
        *(f"  {a:31}{b}".rstrip() for a, b in rows),
        "",
        " *** DEADLOCK ***",
    ]


def one_cpu(lines: list[str]) -> list[str]:
    """A scenario that needs one CPU only."""
    head = [" Possible unsafe locking scenario:", "", "       CPU0", "       ----"]
    return [*head, *(f"  {line}" for line in lines), "", " *** DEADLOCK ***"]


def _indent(frames: Stack, by: int = 1) -> list[str]:
    return [" " * by + str(frame) for frame in frames]
