"""What a condition says by its text alone, whatever its variables are."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ring3.audit.conditions import LAST_REFERENCE
from ring3.audit.primitives import JOURNAL_INFO
from ring3.audit.program import WORD

#: What holds whether a call has failed.
_FAILURE = re.compile(r"(?:err|error|ret|rc|retval|status|result)\d?$")
_IS_ERR = re.compile(r"[( ]*(!?)[( ]*(?:(?:un)?likely\()?IS_ERR(?:_OR_NULL)?\([^&|]*$")
_NEVER_TRUE = re.compile(
    r"\(*(?:unlikely\()?(?:WARN|WARN_ON|WARN_ON_ONCE|WARN_ONCE|VM_WARN_ON|VM_WARN_ON_ONCE)\("
)
_CALL = re.compile(r"(likely|unlikely|IS_ERR|IS_ERR_OR_NULL)\(")
_AGAINST_0 = re.compile(r"(\w+) (<|!=|==|>=) 0$")
#: What a condition changes before it is tested, or in between.
_CHANGES = re.compile(r"\b(\w++)\s*+(?:=(?!=)|[-+*/&|^]=|\+\+|--)|(?:\+\+|--)\s*+(\w++)")


class Told(NamedTuple):
    """What one condition says."""

    mark: str  # see mark_of()
    opposite: str
    failed: bool | None  # something has failed where it is true, or false; None: in neither case
    never: bool  # it is true only where there is a bug
    last_of: str  # the object whose last reference has gone where it is true
    nests: bool  # the task has a transaction where it is true
    changes: frozenset[str]  # variables that it assigns


@lru_cache(maxsize=100_000)
def told_by(condition: str) -> Told:
    """What ``condition`` says."""
    mark = mark_of(condition)
    failed = None
    if error := _IS_ERR.match(condition):
        failed = not error[1]
    elif _FAILURE.match(mark.removeprefix("!")):
        failed = mark[0] != "!"
    last = LAST_REFERENCE.match(condition)
    return Told(
        mark,
        opposite(mark),
        failed,
        bool(_NEVER_TRUE.match(condition)),
        last[1] if last else "",
        condition.strip("()") == JOURNAL_INFO,
        frozenset(found[1] or found[2] for found in _CHANGES.finditer(condition)),
    )


@lru_cache(maxsize=100_000)
def mark_of(text: str) -> str:
    """``text`` without its brackets, negations taken together: the mark of an undecided branch.

    ``x < 0`` and ``x != 0`` are told as ``x``, ``IS_ERR(x)`` as ``!x``: whether a call has failed.
    """
    negated = False
    while True:
        text = text.strip()
        if text[:1] == "!" and text[1:2] != "=":
            rest = text[1:].strip()
            inner = _CALL.match(rest)
            whole = _whole(rest[inner.end() - 1 :]) if inner else rest[:1] == "(" and _whole(rest)
            if not (whole or WORD.fullmatch(rest)):
                break
            negated, text = not negated, rest
        elif text[:1] == "(" and _whole(text):
            text = text[1:-1]
        elif (inner := _CALL.match(text)) and _whole(text[inner.end() - 1 :]):
            negated ^= inner.group(1)[:6] == "IS_ERR"
            text = text[inner.end() - 1 :]
        else:
            break
    compared = _AGAINST_0.match(text)
    if compared:
        negated ^= compared.group(2) in ("==", ">=")
        text = compared.group(1)
    return "!" + text if negated else text


def _whole(text: str) -> bool:
    """Whether the bracket that ``text`` begins with ends at its end."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return at == len(text) - 1
    return False


def opposite(mark: str) -> str:
    """The mark of where ``mark`` is false."""
    return mark[1:] if mark[:1] == "!" else "!" + mark
