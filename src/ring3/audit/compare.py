"""Findings of two runs compared, and baselines: identities do not depend on line numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ring3.audit.findings import Finding
from ring3.errors import BadInput
from ring3.files import read_input, write_atomically


def difference(
    old: Iterable[Finding], new: Iterable[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """(added, removed): findings only in ``new``, and only in ``old``.

    Several findings of one identity are told apart by their number.
    """
    return _without(new, old), _without(old, new)


def _without(these: Iterable[Finding], those: Iterable[Finding]) -> list[Finding]:
    left = Counter(one.id for one in those)
    out = []
    for one in these:
        if left[one.id]:
            left[one.id] -= 1
        else:
            out.append(one)
    return out


def write_baseline(path: Path, findings: Iterable[Finding]) -> None:
    """Write the identities of ``findings``, with what they are for the reader, as JSON."""
    rows = [{"id": one.id, "rule": one.rule, "message": one.message} for one in findings]
    write_atomically(
        path, json.dumps({"ring3 audit baseline": 1, "findings": rows}, indent=1) + "\n"
    )


def not_in_baseline(findings: Iterable[Finding], path: Path) -> list[Finding]:
    """Those of ``findings`` that the baseline at ``path`` does not have; BadInput when it is none."""
    try:
        data = json.loads(read_input(path))
        known = Counter(str(row["id"]) for row in data["findings"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"not a baseline: {error}", where=str(path)) from None
    out = []
    for one in findings:
        if known[one.id]:
            known[one.id] -= 1
        else:
            out.append(one)
    return out
