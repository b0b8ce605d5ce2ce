"""Writers and readers of the layouts that :mod:`ring3.sframe.layout` compares, in Numba.

Every reader takes the same bytes as u8, u16 and u32.  ``find_*`` adds up the first word (the CFA's) of the
row that rules at each place, ``read_*`` those of all rows, so that the layouts can be checked against
each other.
"""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.compiled import njit
from ring3.sframe.section import (
    FDE_ADDR,
    FRE_COUNT,
    FRE_COUNT_SHIFT,
    FRE_SIZE,
    FRE_SIZE_SHIFT,
)

_ATTRIBUTE = 8  # of the aligned layouts; columns keep the number and size of words there, too


@njit
def _bytes(data, at, width, big):
    """An unaligned number, byte by byte: in Numba the compiler merges that into one load."""
    if width == 1:
        return np.int64(data[at])
    if width == 2:
        a, b = np.int64(data[at]), np.int64(data[at + 1])
        return a << 8 | b if big else b << 8 | a
    a, b = np.int64(data[at]), np.int64(data[at + 1])
    c, d = np.int64(data[at + 2]), np.int64(data[at + 3])
    return a << 24 | b << 16 | c << 8 | d if big else d << 24 | c << 16 | b << 8 | a


@njit
def _load(d8, d16, d32, at, width):
    """An aligned number in this machine's byte order."""
    if width == 1:
        return np.int64(d8[at])
    if width == 2:
        return np.int64(d16[at >> 1])
    return np.int64(d32[at >> 2])


@njit
def _store(out, at, value, width):
    for i in range(width):
        out[at + i] = value >> 8 * i & 0xFF


@njit
def _shape(info):
    """(number of words, bytes of one) by a row's info."""
    return info >> FRE_COUNT_SHIFT & FRE_COUNT, 1 << (info >> FRE_SIZE_SHIFT & FRE_SIZE)


@njit
def _signed(value, width):
    return value - (np.int64(1) << 8 * width) if value >> (8 * width - 1) else value


@njit
def to_aligned(data, big, fdes, out, offsets):
    """Write each block with natural alignment; the bytes used."""
    to = np.int64(0)
    for i in range(len(fdes)):
        to += -to & 7
        to += _ATTRIBUTE
        offsets[i] = to
        width = 1 << (fdes[i].info & FDE_ADDR)
        at = fdes[i].rows
        for _ in range(fdes[i].num_fres):
            to += -to & (width - 1)
            _store(out, to, _bytes(data, at, width, big), width)
            info = np.int64(data[at + width])
            out[to + width] = info
            at += width + 1
            to += width + 1
            count, size = _shape(info)
            to += -to & (size - 1) if count else 0
            for _ in range(count):
                _store(out, to, _bytes(data, at, size, big), size)
                at += size
                to += size
    return to


@njit
def to_columns(data, big, fdes, out, offsets):
    """Write each block as columns; the bytes used."""
    to = np.int64(0)
    for i in range(len(fdes)):
        n = fdes[i].num_fres
        width = 1 << (fdes[i].info & FDE_ADDR)
        most, largest = 0, 1
        at = fdes[i].rows
        for _ in range(n):
            count, size = _shape(np.int64(data[at + width]))
            most, largest = max(most, count), max(largest, size if count else 1)
            at += width + 1 + count * size
        to += -to & 7
        out[to] = most
        out[to + 1] = largest
        to += _ATTRIBUTE
        offsets[i] = to
        infos = to + n * width
        words = infos + n
        words += -words & (largest - 1)
        at = fdes[i].rows
        for r in range(n):
            _store(out, to + r * width, _bytes(data, at, width, big), width)
            info = np.int64(data[at + width])
            out[infos + r] = info
            at += width + 1
            count, size = _shape(info)
            for w in range(count):
                word = _signed(_bytes(data, at, size, big), size)
                _store(out, words + (r * most + w) * largest, word, largest)
                at += size
        to = words + n * most * largest
    return to


@njit
def find_packed(d8, d16, d32, big, fdes, offsets, blocks, places):
    total = np.int64(0)
    for k in range(len(blocks)):
        fde = fdes[blocks[k]]
        width = 1 << (fde.info & FDE_ADDR)
        at = offsets[blocks[k]]
        found = np.int64(-1)
        for _ in range(fde.num_fres):
            if _bytes(d8, at, width, big) > places[k]:
                break
            found = at
            count, size = _shape(np.int64(d8[at + width]))
            at += width + 1 + count * size
        if found >= 0:
            count, size = _shape(np.int64(d8[found + width]))
            if count:
                total += _signed(_bytes(d8, found + width + 1, size, big), size)
    return total


@njit
def find_aligned(d8, d16, d32, big, fdes, offsets, blocks, places):
    total = np.int64(0)
    for k in range(len(blocks)):
        fde = fdes[blocks[k]]
        width = 1 << (fde.info & FDE_ADDR)
        at = offsets[blocks[k]]
        found = np.int64(-1)
        for _ in range(fde.num_fres):
            at += -at & (width - 1)
            if _load(d8, d16, d32, at, width) > places[k]:
                break
            found = at
            count, size = _shape(np.int64(d8[at + width]))
            at += width + 1
            if count:
                at += -at & (size - 1)
                at += count * size
        if found >= 0:
            count, size = _shape(np.int64(d8[found + width]))
            if count:
                at = found + width + 1
                at += -at & (size - 1)
                total += _signed(_load(d8, d16, d32, at, size), size)
    return total


@njit
def find_columns(d8, d16, d32, big, fdes, offsets, blocks, places):
    total = np.int64(0)
    for k in range(len(blocks)):
        fde = fdes[blocks[k]]
        width = 1 << (fde.info & FDE_ADDR)
        base = offsets[blocks[k]]
        low, high = np.int64(0), fde.num_fres
        while low < high:
            middle = (low + high) >> 1
            if _load(d8, d16, d32, base + middle * width, width) <= places[k]:
                low = middle + 1
            else:
                high = middle
        if low:
            total += _column_word(d8, d16, d32, base, fde.num_fres, width, low - 1)
    return total


@njit
def _column_word(d8, d16, d32, base, n, width, row):
    """The first word of a row, 0 for a row without words."""
    infos = base + n * width
    if not np.int64(d8[infos + row]) >> FRE_COUNT_SHIFT & FRE_COUNT:
        return np.int64(0)
    most, size = np.int64(d8[base - _ATTRIBUTE]), np.int64(d8[base - _ATTRIBUTE + 1])
    words = infos + n
    words += -words & (size - 1)
    return _signed(_load(d8, d16, d32, words + row * most * size, size), size)


@njit
def read_packed(d8, d16, d32, big, fdes, offsets):
    total = np.int64(0)
    for i in range(len(fdes)):
        width = 1 << (fdes[i].info & FDE_ADDR)
        at = offsets[i]
        for _ in range(fdes[i].num_fres):
            total += _bytes(d8, at, width, big)
            count, size = _shape(np.int64(d8[at + width]))
            if count:
                total += _signed(_bytes(d8, at + width + 1, size, big), size)
            at += width + 1 + count * size
    return total


@njit
def read_aligned(d8, d16, d32, big, fdes, offsets):
    total = np.int64(0)
    for i in range(len(fdes)):
        width = 1 << (fdes[i].info & FDE_ADDR)
        at = offsets[i]
        for _ in range(fdes[i].num_fres):
            at += -at & (width - 1)
            total += _load(d8, d16, d32, at, width)
            count, size = _shape(np.int64(d8[at + width]))
            at += width + 1
            if count:
                at += -at & (size - 1)
                total += _signed(_load(d8, d16, d32, at, size), size)
                at += count * size
    return total


@njit
def read_columns(d8, d16, d32, big, fdes, offsets):
    total = np.int64(0)
    for i in range(len(fdes)):
        n = fdes[i].num_fres
        width = 1 << (fdes[i].info & FDE_ADDR)
        for r in range(n):
            total += _load(d8, d16, d32, offsets[i] + r * width, width)
            total += _column_word(d8, d16, d32, offsets[i], n, width, r)
    return total
