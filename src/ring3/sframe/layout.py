"""A study: what would SFrame's rows cost, and how fast would they be found, if they were aligned?

Three layouts of the same rows, functions with equal blocks sharing one in each:

- packed: V3 as it is.  A row is a start address, an info byte and words of 1, 2 or 4 bytes, nothing
  aligned.
- aligned: the same, but every start address and every word lies on a multiple of its size, and a
  function's attributes take 8 bytes.  A look-up still walks the rows.
- columns: per function all start addresses, then all info bytes, then as many words of one size for each
  row, aligned.  A look-up is a binary search.

Look-ups are of random places in the code; finding the function, the same in all three, is left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from ring3.sframe.encode import encode
from ring3.sframe.layout_rows import (
    find_aligned,
    find_columns,
    find_packed,
    read_aligned,
    read_columns,
    read_packed,
    to_aligned,
    to_columns,
)
from ring3.sframe.section import Section, parse
from ring3.sframe.table import Table

_LOOKUPS = 1 << 20
_GROWTH_MAX = 16  # no layout takes more bytes a packed one, alignment of a block included


@dataclass(frozen=True)
class Layout:
    """``size``: bytes of all rows and attributes.  Times are of this machine, in nanoseconds."""

    name: str
    size: int
    lookup_ns: float  # one random look-up
    decode_ns: float  # one row, when all are read in order


def study(table: Table) -> list[Layout]:
    """Lay out the rows of ``table`` in three ways and measure.  Empty for a table without rows."""
    section = parse(encode(table).data)
    fdes = section.fdes
    fdes = fdes[fdes["num_fres"] > 0]
    if not len(fdes):
        return []
    unique = fdes[np.unique(fdes["rows"], return_index=True)[1]]
    which = np.searchsorted(unique["rows"], fdes["rows"])
    packed = np.append(section.fres, np.zeros(8, np.uint8))
    made = [("packed", packed, unique["rows"].copy(), find_packed, read_packed)]
    for name, change, find, read in (
        ("aligned", to_aligned, find_aligned, read_aligned),
        ("columns", to_columns, find_columns, read_columns),
    ):
        out = np.zeros(len(packed) * _GROWTH_MAX + 16 * len(unique), np.uint8)
        offsets = np.zeros(len(unique), np.int64)
        size = change(packed, section.big, unique, out, offsets)
        made.append((name, out[: size + 8 & ~7].copy(), offsets, find, read))
    places = _random_places(fdes, which)
    layouts = []
    answers = set()
    for name, data, offsets, find, read in made:
        lookup, answer = _timed(find, data, section, unique, offsets, *places)
        answers.add(answer)
        decode, total = _timed(read, data, section, unique, offsets)
        answers.add(-total)
        size = len(section.fres) if name == "packed" else len(data)
        rows = int(unique["num_fres"].sum())
        layouts.append(Layout(name, size, lookup / len(places[0]), decode / rows))
    if len(answers) != 2:
        raise AssertionError(f"the layouts do not hold the same rows: {answers}")
    return layouts


def _random_places(fdes: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(block, offset) of places spread evenly over the code; the same ones every time."""
    random = np.random.default_rng(1)
    ends = np.cumsum(fdes["size"])
    at = random.integers(0, ends[-1], _LOOKUPS)
    function = np.searchsorted(ends, at, side="right")
    offset = at - (ends[function] - fdes["size"][function])
    repeat = fdes["rep_size"][function].astype(np.int64)
    return which[function], np.where(repeat > 0, offset % np.maximum(repeat, 1), offset)


def _timed(work: Any, data: np.ndarray, section: Section, *rest: np.ndarray) -> tuple[float, int]:
    """(nanoseconds of CPU of the best of five runs after one that compiles, answer)."""
    views = data, data[: len(data) & ~7].view("u2"), data[: len(data) & ~7].view("u4")
    answer = work(*views, section.big, *rest)
    best = float("inf")
    for _ in range(5):
        before = time.thread_time_ns()
        work(*views, section.big, *rest)
        best = min(best, time.thread_time_ns() - before)
    return best, int(answer)
