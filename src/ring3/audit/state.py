"""What is known at one place of a function: values, locks held, scopes begun; joined where ways meet."""

from __future__ import annotations

from ring3.audit import cexpr
from ring3.audit.cexpr import Value
from ring3.audit.contexts import Lock
from ring3.audit.forms import Event
from ring3.audit.program import SHARED_BY_ALL, WORD, flatten

#: In a state's scopes: one that was begun by setting flags of the task.
TASK_FLAGS = "current->flags"


class State:
    __slots__ = ("env", "held", "masked", "own", "released", "scopes")

    def __init__(self) -> None:
        self.env: dict[str, Value] = {}
        self.held: tuple[Lock, ...] = ()
        self.released: frozenset[str] = frozenset()
        self.scopes: tuple[tuple[str, int], ...] = ()
        self.own: frozenset[str] = frozenset()
        #: Inodes whose mappings have the flags ``env`` knows (values.MASK).
        self.masked: frozenset[str] = frozenset()

    def owns(self, text: str) -> bool:
        """Whether ``text`` names something of an object that reclaim has taken out of use.

        What is reached through the superblock belongs to everybody.
        """
        words = self.own and WORD.findall(text)
        return bool(words) and not self.own.isdisjoint(words) and not SHARED_BY_ALL.search(text)

    def is_masked(self, text: str) -> bool:
        """Whether ``text`` names one of the inodes whose mapping's flags are known, or something of it."""
        return bool(self.masked) and (
            not self.masked.isdisjoint(WORD.findall(text)) and not SHARED_BY_ALL.search(text)
        )

    def copy(self) -> State:
        other = State()
        other.env = dict(self.env)
        other.held, other.released = self.held, self.released
        other.scopes, other.own, other.masked = self.scopes, self.own, self.masked
        return other


def join(a: State | None, b: State | None) -> State | None:
    if a is None or b is None:
        return a or b
    out = a.copy()
    if a.env != b.env:
        out.env = {}
        for name, value in a.env.items():
            other = b.env.get(name)
            if other is not None:
                both = cexpr.either(value, other)
                if both[1]:
                    out.env[name] = both
    if a.held != b.held:
        mine, theirs = {lock.name for lock in a.held}, {lock.name for lock in b.held}
        out.held = tuple(
            lock if lock.name in theirs else lock._replace(sure=False) for lock in a.held
        ) + tuple(lock._replace(sure=False) for lock in b.held if lock.name not in mine)
    out.released = a.released | b.released
    scopes, others = (
        (a.scopes, b.scopes) if len(a.scopes) >= len(b.scopes) else (b.scopes, a.scopes)
    )
    out.scopes = tuple(scope for scope in scopes if scope[0] != TASK_FLAGS or scope in others)
    out.own = a.own | b.own
    out.masked = a.masked | b.masked
    return out


def forget(state: State, events: list[Event]) -> None:
    """What ``events`` assign may have been assigned already, the time before."""
    for event in flatten(events):
        if event[0] == "=":
            state.env.pop(event[2].replace(" ", ""), None)
        elif event[0] == "c" and event[4]:
            state.env.pop(event[4].replace(" ", ""), None)
