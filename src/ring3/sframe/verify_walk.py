"""Walks two tables side by side, in Numba."""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.compiled import njit
from ring3.sframe.table import PAUTH_KEY_B, PCMASK, SIGNAL, find_function, find_row, same_rules

#: From pc to end row ``row`` of ``function`` and row ``other`` of ``other_function`` differ; -1: none.
#: ``flags``: what differs is the functions' flags.
DIFFERENCE = np.dtype(
    [
        ("pc", "i8"),
        ("end", "i8"),
        ("function", "i4"),
        ("row", "i4"),
        ("other_function", "i4"),
        ("other", "i4"),
        ("flags", "u1"),
    ],
    align=True,
)
_COMPARED_FLAGS = SIGNAL | PAUTH_KEY_B


@njit
def _until(functions, rows, function, row, pc):
    """The first address after ``pc`` where another row rules in ``function``."""
    held = functions[function]
    end = held.start + held.size
    base = held.start
    if held.flags & PCMASK:
        base = pc - (pc - held.start) % held.rep_size
        end = min(end, base + held.rep_size)
    after = held.first_row if row < 0 else row + 1
    if after < held.first_row + held.row_count:
        end = min(end, base + np.int64(rows[after].start))
    return end


@njit
def _next_start(functions, pc):
    """The first start of a function after ``pc``, or a number beyond all."""
    low = 0
    high = len(functions)
    while low < high:
        middle = (low + high) >> 1
        if functions[middle].start <= pc:
            low = middle + 1
        else:
            high = middle
    return functions[low].start if low < len(functions) else np.int64((1 << 63) - 1)


@njit
def walk(functions, rows, other_functions, other_rows, found, limit):
    """Compare at every pc of ``functions``; (pieces compared, pieces that differ), -1 pieces compared
    when there are more than ``limit``.

    ``found`` (DIFFERENCE) takes as many as it has room for; neighbours with the same two rows are one.
    """
    compared = 0
    n = 0
    for i in range(len(functions)):
        pc = functions[i].start
        end = pc + functions[i].size
        if i + 1 < len(functions):
            # Where functions overlap the later one rules, as in any look-up.
            end = min(end, functions[i + 1].start)
        last_row, last_other, last_end = -2, -2, pc
        while pc < end:
            row = find_row(functions, rows, i, pc)
            until = min(end, _until(functions, rows, i, row, pc))
            until = min(until, _next_start(other_functions, pc))
            j = find_function(other_functions, pc)
            other = -1
            if j >= 0:
                other = find_row(other_functions, other_rows, j, pc)
                until = min(until, _until(other_functions, other_rows, j, other, pc))
            compared += 1
            if compared > limit:
                return -1, n
            same = (row < 0) == (other < 0)
            flags = False
            if same and row >= 0:
                same = same_rules(rows[row], other_rows[other])
                if same and (functions[i].flags ^ other_functions[j].flags) & _COMPARED_FLAGS:
                    same = False
                    flags = True
            if not same:
                if (
                    row == last_row
                    and other == last_other
                    and last_end == pc
                    and 0 < n <= len(found)
                ):
                    found[n - 1].end = until
                else:
                    if n < len(found):
                        found[n].pc = pc
                        found[n].end = until
                        found[n].function = i
                        found[n].row = row
                        found[n].other_function = j
                        found[n].other = other
                        found[n].flags = flags
                    n += 1
                last_row, last_other, last_end = row, other, until
            pc = until
    return compared, n
