"""Compares two tables at every pc: what SFrame says against what .eh_frame says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ring3.arch import Arch
from ring3.elf import Elf
from ring3.errors import Unsupported
from ring3.sframe import cfi, load
from ring3.sframe.decode import decode
from ring3.sframe.section import Section
from ring3.sframe.table import (
    CFA,
    DEREF,
    PAUTH_KEY_B,
    SAME,
    SIGNAL,
    UNDEFINED,
    Table,
    empty,
)
from ring3.sframe.verify_walk import DIFFERENCE, walk

_ADDRESS = (1 << 64) - 1
_SHOWN_MAX = 1 << 16
# Rows that repeat and blocks that are shared let a small file describe any number of pieces.
_PIECES_MAX = 1 << 26


@dataclass(frozen=True)
class Disagreement:
    """Rules in words that hold from ``pc`` to ``end`` in the function at ``start``."""

    start: int
    pc: int
    end: int
    sframe: str
    reference: str


@dataclass(frozen=True)
class Verdict:
    """``compared``: pieces of code with one rule on either side.  ``extra``: bytes of code for which only
    SFrame has a rule.  ``differences`` counts all; ``disagreements`` holds the first 65,536."""

    compared: int
    differences: int
    extra: int
    disagreements: list[Disagreement]


def rules(row: np.void, arch: Arch) -> str:
    """A row in words: "CFA sp+16, FP at CFA-16, RA at CFA-8"."""
    if row["ra"] == UNDEFINED:
        return "outermost frame"
    words = []
    for name in ("cfa", "fp", "ra"):
        value = _value(row, name, arch)
        words.append(f"{name.upper()} {value}")
    return ", ".join(words) + (", mangled" if row["mangled"] else "")


def _value(row: np.void, name: str, arch: Arch) -> str:
    assert arch.dwarf is not None
    kind, offset = int(row[name]), int(row[f"{name}_offset"])
    if kind == SAME:
        return "unchanged"
    base = "CFA"
    if kind & ~DEREF != CFA:
        number = int(row[f"{name}_reg"])
        known = arch.dwarf.registers
        base = known[number] if number < len(known) and known[number] else f"r{number}"
    return f"at {base}{offset:+d}" if kind & DEREF else f"{base}{offset:+d}"


def compare(sframe: Table, reference: Table) -> Verdict:
    """Compare at every pc of every function of ``reference``, and find what only ``sframe`` covers.

    A function that ``reference`` refused to say must not be in ``sframe``.  Raises Unsupported for more
    than 67 million pieces of code, fifty times the largest real file.
    """
    found: Any = np.zeros(_SHOWN_MAX, DIFFERENCE)
    compared, count = walk(
        reference.functions, reference.rows, sframe.functions, sframe.rows, found, _PIECES_MAX
    )
    if compared < 0:
        raise Unsupported(f"more than {_PIECES_MAX:,} pieces of code with a rule each")
    disagreements = [
        Disagreement(
            int(reference.functions[d["function"]]["start"]),
            int(d["pc"]),
            int(d["end"]),
            _said(sframe, d["other"], d["other_function"], bool(d["flags"])),
            _said(reference, d["row"], d["function"], bool(d["flags"])),
        )
        for d in found[: min(count, len(found))]
    ]
    covered = Table(
        reference.arch,
        np.zeros(len(reference.functions) + len(reference.refused), reference.functions.dtype),
        empty(reference.arch).rows,
    )
    covered.functions["start"][: len(reference.functions)] = reference.functions["start"]
    covered.functions["size"][: len(reference.functions)] = reference.functions["size"]
    for i, refusal in enumerate(reference.refused, len(reference.functions)):
        covered.functions[i]["start"] = refusal.start
        covered.functions[i]["size"] = refusal.size
        function, row = sframe.find(refusal.start)
        if row >= 0:
            count += 1
            if len(disagreements) < _SHOWN_MAX:
                disagreements.append(
                    Disagreement(
                        refusal.start,
                        refusal.start,
                        refusal.start + refusal.size,
                        _said(sframe, row, function, False),
                        refusal.reason.text,
                    )
                )
    return Verdict(compared, count, _uncovered(sframe.functions, covered.functions), disagreements)


def check(path: Path, section: Section) -> tuple[Verdict, list[str]]:
    """Compare ``section`` with the CFI of the ELF file at ``path``; also the name of each disagreement's
    function ("0x1234" where no symbol says).

    Raises BadInput, Unsupported.
    """
    with Elf(path) as elf:
        verdict = compare(decode(section), cfi.read(elf))
        starts = [found.start for found in verdict.disagreements]
        names = [load.function_name(elf, start) or f"{start & _ADDRESS:#x}" for start in starts]
        return verdict, names


def _said(table: Table, row: int, function: int, flags: bool) -> str:
    if function < 0:
        return "no function"
    if row < 0:
        return "no rule"
    text = rules(table.rows[row], table.arch)
    if flags:
        held = int(table.functions[function]["flags"])
        text += ", signal frame" if held & SIGNAL else ", no signal frame"
        text += ", key B" if held & PAUTH_KEY_B else ""
    return text


def _uncovered(functions: np.ndarray, covered: np.ndarray) -> int:
    """Bytes of ``functions`` that lie in none of ``covered``."""
    spans = [
        np.stack([f["start"], f["start"] + f["size"]], 1)[f["size"] > 0]
        for f in (functions, covered)
    ]
    return _length(np.concatenate(spans)) - _length(spans[1])


def _length(spans: np.ndarray) -> int:
    """Bytes in the union of ``spans`` ([start, end) rows)."""
    if not len(spans):
        return 0
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    before = np.concatenate([[spans[0, 0]], reach[:-1]])
    return int((reach - np.maximum(before, np.minimum(spans[:, 0], reach))).clip(0).sum())
