"""What is known at one place of a function: values, locks held, scopes begun; joined where ways meet."""

from __future__ import annotations

import re

from ring3.audit import cexpr
from ring3.audit.cexpr import Value
from ring3.audit.contexts import Lock
from ring3.audit.program import SHARED_BY_ALL, WORD

_SEPARATOR = re.compile(r"->|\.")
_INDEX = re.compile(r"\[[^\[\]]*\]")
_PARAMETER = re.compile(r"^\(?(\w+)\)(?=->|$)")
#: In a state's scopes: one that was begun by setting flags of the task.
TASK_FLAGS = "current->flags"
#: Known where the task has a transaction already, and with it what beginning one locks.
NESTED = "@nested"


def plain(text: str) -> str:
    """``text`` as a name for a place: no blanks, no brackets around a macro's parameter, any index."""
    text = _INDEX.sub("[]", text.replace(" ", ""))
    return _PARAMETER.sub(r"\1", text) if text[:1] == "(" or ")->" in text else text


def variable_of(text: str) -> str:
    """The variable that a member is reached from: ``x`` of ``x->a.b`` and of ``&x->a``."""
    return text.lstrip("&").partition("->")[0].partition(".")[0]


class State:
    __slots__ = (
        *("env", "failed", "held", "masked", "own", "private", "released", "scopes"),
        *("spinning", "tables"),
    )

    def __init__(self) -> None:
        self.env: dict[str, Value] = {}
        #: Variables that are, or point to, a struct that nobody knows who was not handed it by a call.
        self.private: frozenset[str] = frozenset()
        self.held: tuple[Lock, ...] = ()
        self.released: frozenset[str] = frozenset()
        self.scopes: tuple[tuple[str, int], ...] = ()
        self.own: frozenset[str] = frozenset()
        #: Inodes whose mappings have the flags ``env`` knows (values.MASK).
        self.masked: frozenset[str] = frozenset()
        #: Something before this place has failed.
        self.failed = False
        #: So many spinning locks are held for certain: nothing here may sleep.
        self.spinning = 0
        #: Pointer to a table of operations -> the tables that it may be at (instances.py); never changed.
        self.tables: dict[str, frozenset[str]] = {}

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

    def known(self, name: str) -> Value | None:
        """What is known of a variable or member; None when nothing is, not even that it is unknown."""
        value = self.env.get(name)
        if value is None and ("." in name or "->" in name) and (star := self.star(name)):
            value = self.env[star]
        return value

    def structs(self) -> set[str]:
        """Variables of whose members, or of what they point to, something is known."""
        return {
            variable_of(name.lstrip("*"))
            for name in self.env
            if name[0] == "*" or (("." in name or "->" in name) and name[0] != "=")
        }

    def star(self, name: str) -> str:
        """The key that tells the rest of the struct ``name`` is a member of (``x.*``), or ""."""
        rest = ""
        if "." not in name and "->" not in name:
            return rest
        for found in _SEPARATOR.finditer(name):
            if rest and self.env.get(name[: found.start()]) == cexpr.UNKNOWN:
                rest = ""  # a part of which nothing is known
            if name[: found.end()] + "*" in self.env and "->" not in name[found.end() :]:
                rest = name[: found.end()] + "*"
        return rest

    def set(self, name: str, value: Value) -> None:
        """``name`` has been assigned ``value``."""
        if "[" in name and name[-2:] != "[]":  # one of them; an initialiser tells of all
            name, value = _INDEX.sub("[]", name), cexpr.UNKNOWN
        if self.env:
            self.drop(name, None)
        if value != cexpr.UNKNOWN or self.star(name):
            self.env[name] = value
        else:
            self.env.pop(name, None)
        if self.tables:
            begins = (f"{name}.", f"{name}->")
            self.tables = {
                key: tables
                for key, tables in self.tables.items()
                if key != name and not key.startswith(begins)
            }

    def drop(self, variable: str, members: frozenset[str] | None) -> None:
        """Forget ``members`` (None: all) of the struct that ``variable`` is or points to.

        Of a member ``m->`` only what it points to is forgotten.
        """
        begins = (f"{variable}.", f"{variable}->")
        names = "\n".join(self.env)
        if begins[0] in names or begins[1] in names:  # mostly not
            for key in [key for key in self.env if key.lstrip("*").startswith(begins)]:
                member = key.lstrip("*")[len(variable) :].lstrip("->.")
                first = variable_of(member)
                if (
                    members is None
                    or first in members
                    or (first != member and f"{first}->" in members)
                ):
                    del self.env[key]
        if members is None:
            self.env.pop(f"*{variable}", None)
        for sign in (".", "->") if members else ():
            if f"{variable}{sign}*" in self.env:
                self.env.update(
                    (f"{variable}{sign}{one}", cexpr.UNKNOWN)
                    for one in members or ()
                    if one[-1] != ">"
                )

    def copy(self) -> State:
        other = State()
        other.env = dict(self.env)
        other.private = self.private
        other.held, other.released = self.held, self.released
        other.scopes, other.own, other.masked = self.scopes, self.own, self.masked
        other.failed, other.spinning = self.failed, self.spinning
        other.tables = self.tables
        return other


def join(a: State | None, b: State | None) -> State | None:
    if a is None or b is None:
        return a or b
    out = a.copy()
    if a.env != b.env:
        out.env = {}
        stars = any(name[-1] == "*" and name in b.env for name in a.env)
        for name in {**a.env, **b.env} if stars else a.env:
            value, other = a.known(name), b.known(name)
            if value is not None and other is not None:
                both = cexpr.either(value, other)
                if both != cexpr.UNKNOWN or (stars and _SEPARATOR.search(name)):
                    out.env[name] = both
    if a.held != b.held:
        mine, theirs = {lock.name for lock in a.held}, {lock.name for lock in b.held}
        nested = NESTED in a.env or NESTED in b.env
        out.held = tuple(
            lock if nested or lock.name in theirs else lock._replace(sure=False) for lock in a.held
        ) + tuple(
            lock if nested else lock._replace(sure=False)
            for lock in b.held
            if lock.name not in mine
        )
    out.released = a.released | b.released
    out.private = a.private & b.private
    if a.scopes != b.scopes:
        scopes, others = (
            (a.scopes, b.scopes) if len(a.scopes) >= len(b.scopes) else (b.scopes, a.scopes)
        )
        # What was begun on one side alone keeps nothing out, and yet is ended later; but where one side
        # has a lock more, that side is what is asked about.
        alone = a.held == b.held
        out.scopes = tuple(
            (scope[0], 0) if alone and scope not in others else scope
            for scope in scopes
            if scope[0] != TASK_FLAGS or scope in others
        )
    out.own = a.own | b.own
    out.masked = a.masked | b.masked
    out.failed = a.failed and b.failed
    out.spinning = min(a.spinning, b.spinning)
    if a.tables != b.tables:
        out.tables = {key: a.tables[key] | b.tables[key] for key in a.tables if key in b.tables}
    return out
