"""Findings of two runs compared, and baselines: identities do not depend on line numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ring3.audit.findings import Finding, nth_identity
from ring3.errors import BadInput
from ring3.files import read_input, write_atomically

_FORMAT = "ring3 audit baseline"
_VERSION = 1


def difference(
    old: Iterable[Finding], new: Iterable[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """(added, removed): findings only in ``new``, and only in ``old``.

    One that differs in the allocator's name alone is neither: kernels rename theirs, and every caller's
    finding would be removed and added.  Nothing is said of one behind another that is told, nor of one
    whose place is told of both: under which of its locks an allocation is behind another changes easily.
    """
    before, after = list(old), list(new)
    known, left = ({one.id for one in these} for these in (before, after))
    added = [one for one in after if one.id not in known]
    removed = [one for one in before if one.id not in left]
    return (
        _nearest(_without(added, removed), before),
        _nearest(_without(removed, added), after),
    )


def _nearest(these: list[Finding], others: list[Finding]) -> list[Finding]:
    told = {_call_under_lock(one) for one in these if not one.behind}
    places = {_allocation(one) for one in others}
    return [
        one
        for one in these
        if not one.behind or (_call_under_lock(one) not in told and _allocation(one) not in places)
    ]


def _allocation(one: Finding) -> tuple[str, ...]:
    return one.subject, one.at.file, one.at.function, one.at.call


def _call_under_lock(one: Finding) -> tuple[str, ...]:
    return one.subject, one.lock, one.chain[0].function, *(step.call for step in one.chain[1:2])


def _without(these: list[Finding], those: list[Finding]) -> list[Finding]:
    left = Counter(map(_place, those))
    out = []
    for one in these:
        if left[_place(one)]:
            left[_place(one)] -= 1
        else:
            out.append(one)
    return out


def _place(one: Finding) -> tuple[str, ...]:
    return one.rule, one.subject, one.at.function, one.lock


def write_baseline(path: Path, findings: Iterable[Finding]) -> None:
    """Write the identities of ``findings``, with what they are for the reader, as JSON."""
    rows = [{"id": one.id, "rule": one.rule, "message": one.message} for one in findings]
    write_atomically(path, json.dumps({_FORMAT: _VERSION, "findings": rows}, indent=1) + "\n")


def not_in_baseline(findings: Iterable[Finding], path: Path) -> list[Finding]:
    """Those of ``findings`` that the baseline at ``path`` does not have; BadInput when it is none.

    An identity that it has twice (they were not told apart once) stands for the second one, too.
    """
    numbers: Counter[str] = Counter()
    known = set()
    for name in _identities(path):
        numbers[name] += 1
        known.add(nth_identity(name, numbers[name]))
    return [one for one in findings if one.id not in known]


def _identities(path: Path) -> list[str]:
    remedy = "make it with --write-baseline"
    try:
        data = json.loads(read_input(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not a baseline: {error}", where=str(path), remedy=remedy) from None
    if not isinstance(data, dict) or _FORMAT not in data:
        raise BadInput("not a baseline", where=str(path), remedy=remedy)
    if data[_FORMAT] != _VERSION:
        raise BadInput(
            f"a baseline of version {json.dumps(data[_FORMAT])[:40]}, {_VERSION} is read",
            where=str(path),
            remedy=remedy,
        )
    try:
        return [str(row["id"]) for row in data["findings"]]
    except (KeyError, TypeError):
        raise BadInput(
            "not a baseline: findings without id", where=str(path), remedy=remedy
        ) from None
