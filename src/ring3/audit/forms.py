"""The form of facts: what one C file says, as plain tuples that marshal.

A function's body is kept as marshalled bytes and read back only when an analysis walks it.  Bodies are lists
of events in source order:

``("c", line, callee, args, target)``   a call; target is the variable it is assigned to, or ""
``("=", line, left, operator, right)``  an assignment or an initialiser
``("if", line, condition, then, otherwise)``  calls of the condition come before it
``("loop", line, condition, body)``, ``("block", line, "", body)`` the body of a guard,
``("switch", line, value, ((case or None, body), ...))``
``("ret", line, value)``, ``("goto", line, label)``, ``("label", line, name)``, ``("jump", line, kind)``
"""

from __future__ import annotations

import marshal
from typing import Any, NamedTuple

Event = tuple[Any, ...]


class Function(NamedTuple):
    """A function or (``macro``) a function-like macro.  ``params`` are (type, name)."""

    name: str
    line: int
    static: bool
    macro: bool
    returns: str
    params: tuple[tuple[str, str], ...]
    callees: tuple[str, ...]
    locks: tuple[tuple[str, str], ...]  # (primitive, first argument) of direct lock and scope calls
    body: bytes  # marshalled (locals, events)

    def read(self) -> tuple[dict[str, str], list[Event]]:
        """Local variable -> type, and the events of the body."""
        names, events = marshal.loads(self.body)
        return dict(names), events


class Facts(NamedTuple):
    """What one file says."""

    functions: tuple[Function, ...]
    structs: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]  # name, ((type, member), ...)
    ops: tuple[
        tuple[str, str, int, tuple[tuple[str, str], ...]], ...
    ]  # struct, variable, line, fields
    constants: tuple[tuple[str, str], ...]  # name, expression
    variables: tuple[tuple[str, str], ...]  # type, name, of file scope
    suppressed: tuple[tuple[int, str], ...]  # line, what: "ring3: allow WHAT" comments
    problem: str  # why the file was left out or read in part; "" when whole


EMPTY = Facts((), (), (), (), (), (), "")
