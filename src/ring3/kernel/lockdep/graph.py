"""Lock classes and the dependencies between them, with the search for strong paths.

A dependency A -> B ("B was taken while A was held") is one of four kinds: A held exclusively or
shared (E, S), B taken recursively shared or not (R, N). A path is strong, that is able to deadlock,
unless a step that is only -(*R)-> is followed by one that is only -(S*)->
(Documentation/locking/lockdep-design.rst).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ring3.kernel.report import Stack

# Bits of Edge.kinds.  Bit 0 of the index: the near end is exclusive; bit 1: the far end is not recursive.
SR, ER, SN, EN = 1, 2, 4, 8
_NEAR_SHARED = SR | SN
_FAR_NOT_RECURSIVE = SN | EN


def forward_kind(held_read: int, taken_read: int) -> int:
    """The kind of a dependency as seen from the lock that is held."""
    return int(1 << (held_read == 0) + ((taken_read != 2) << 1))


def backward_kind(held_read: int, taken_read: int) -> int:
    """The same seen from the lock that is taken: what is near and far changes places."""
    return int(1 << (taken_read != 2) + ((held_read == 0) << 1))


@dataclass(eq=False, slots=True)
class LockClass:
    """All locks that obey the same rules: a key and a subclass."""

    name: str
    subclass: int
    index: int
    wait_inner: int
    wait_outer: int
    per_cpu: bool
    usage: int = 0
    traces: dict[int, Stack] = field(default_factory=dict)
    after: dict[LockClass, Edge] = field(default_factory=dict)
    before: dict[LockClass, Edge] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}/{self.subclass}" if self.subclass else self.name


@dataclass(eq=False, slots=True)
class Edge:
    """One dependency; ``kinds`` grows, ``trace`` is where it was first seen."""

    kinds: int
    trace: Stack


@dataclass(eq=False, slots=True)
class Step:
    """A class reached by the search.  ``only_weak`` is the kernel's only_xr: from here no -(S*)-> step."""

    lock_class: LockClass
    only_weak: bool
    parent: Step | None = None
    trace: Stack = ()

    def path(self) -> list[Step]:
        """From the root to here."""
        steps: list[Step] = []
        step: Step | None = self
        while step is not None:
            steps.append(step)
            step = step.parent
        return steps[::-1]


Test = Callable[[Step], bool]


def search(
    root: Step, match: Test, *, backwards: bool = False, skip: Test | None = None
) -> Step | None:
    """The nearest step on a strong path from ``root`` that satisfies ``match``."""
    seen: set[LockClass] = set()
    queue: deque[tuple[Step, int]] = deque([(root, 0)])
    while queue:
        step, kinds = queue.popleft()
        if step.lock_class in seen:
            continue
        # As in the kernel a class counts as seen even if this way to it was too weak.
        seen.add(step.lock_class)
        if step.parent is not None:
            if step.parent.only_weak:
                kinds &= ~_NEAR_SHARED
            if not kinds:
                continue
            step.only_weak = not kinds & _FAR_NOT_RECURSIVE
        if skip is not None and skip(step):
            continue
        if match(step):
            return step
        edges = step.lock_class.before if backwards else step.lock_class.after
        for lock_class, edge in edges.items():
            queue.append((Step(lock_class, False, step, edge.trace), edge.kinds))
    return None
