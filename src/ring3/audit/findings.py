"""What the audit says: findings with their chains, ranked; identity across versions of a tree."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Rule:
    """A kind of finding.  ``rank`` orders reports; ``help`` says why it matters and what fixes it."""

    name: str
    rank: int
    title: str
    help: str


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "nofail-in-reclaim",
            0,
            "Reclaim reaches an allocation that must not fail",
            "A task in reclaim has PF_MEMALLOC: its allocation gets the reserves and never reclaims. When "
            "they are gone, __GFP_NOFAIL has it loop for memory that it alone was freeing. The page "
            "allocator warns of it. Take what is needed before the object can be reclaimed, let the "
            "operation fail, or hand the work to a worker.",
        ),
        Rule(
            "lock-across-reclaim",
            1,
            "A lock is held around an allocation whose reclaim takes it",
            "The allocation may enter reclaim in the same task, or wait for somebody who did; reclaim "
            "takes the lock that is held: deadlock. Allocate before taking the lock, or inside "
            "memalloc_nofs_save() or with GFP_NOFS.",
        ),
        Rule(
            "lock-of-nofs-region",
            2,
            "A lock is held around a reclaiming allocation, and elsewhere waited for under a reclaim lock",
            "Another task holds a lock that reclaim takes, and waits for this one; this task, holding it, "
            "allocates and enters reclaim, which waits for the other. Allocate with GFP_NOFS under it.",
        ),
        Rule(
            "wait-in-reclaim",
            3,
            "Reclaim waits for work that allocates",
            "What is waited for needs memory that only reclaim can free. Do not wait in reclaim, or give "
            "the work a memory-reclaim workqueue and GFP_NOFS or atomic allocations.",
        ),
        Rule(
            "sleep-in-reclaim",
            4,
            "Reclaim reaches an allocation that may sleep",
            "It is served from the reserves (PF_MEMALLOC) and may use them up; it does not reclaim again.",
        ),
    )
}


@dataclass(frozen=True)
class Step:
    """One call of a chain: in ``function`` (of ``file``) at ``line``; ``note`` has the flags there."""

    function: str
    file: str
    line: int
    call: str
    note: str = ""
    home: str = ""  # the subject that the function belongs to; "" for a macro


@dataclass(frozen=True)
class Finding:
    """One finding.  ``chain`` leads to the allocation or wait; ``other`` shows how reclaim gets the lock.

    ``subject`` is the filesystem or driver; ``lock`` the lock's class or ""; ``why`` is the evidence.
    ``behind``: it matters only where two states are compared: under the same lock another allocation is
    nearer, which stands for this one; or whether it is waited for is not known.
    """

    rule: str
    level: Level
    subject: str
    message: str
    chain: tuple[Step, ...]
    at: Step
    lock: str = ""
    other: tuple[Step, ...] = ()
    why: tuple[str, ...] = ()
    others: int = 0
    id: str = field(default="")
    behind: bool = False

    @staticmethod
    def identity(rule: str, subject: str, *parts: str) -> str:
        """Eight hex digits that do not depend on line numbers."""
        text = "\0".join((rule, subject, *parts))
        return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def told_apart(findings: list[Finding]) -> list[Finding]:
    """``findings`` with no identity twice: of those that share one, the first in the source keeps it.

    None is taken from those that are not behind another.
    """
    numbers: Counter[str] = Counter()
    out = []
    for one in sorted(findings, key=lambda one: (one.behind, one.at.file, one.at.line)):
        numbers[one.id] += 1
        out.append(replace(one, id=nth_identity(one.id, numbers[one.id])))
    return out


def nth_identity(identity: str, number: int) -> str:
    """The identity of the finding that is the ``number``-th (from 1) to have ``identity``."""
    if number == 1:
        return identity
    return hashlib.blake2b(f"{identity}\0{number}".encode(), digest_size=4).hexdigest()


def ranked(findings: list[Finding]) -> list[Finding]:
    """Worst first: by level, rule, subject and place."""
    return sorted(
        findings,
        key=lambda one: (
            LEVELS.index(one.level),
            RULES[one.rule].rank,
            one.subject,
            one.at.file,
            one.at.line,
            one.id,
        ),
    )


def at_least(findings: list[Finding], level: Level) -> list[Finding]:
    """Those of ``level`` and worse."""
    return [one for one in findings if LEVELS.index(one.level) <= LEVELS.index(level)]
