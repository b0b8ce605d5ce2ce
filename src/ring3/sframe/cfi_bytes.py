"""Numbers in call frame information: fixed size, LEB128, encoded pointers.  For use from Numba.

Readers never look past ``end``: a number that does not fit returns a position beyond ``end``, which
callers test once an operation.  Pointer encodings: LSB Core, section 10.5.1.
"""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.compiled import njit

_PCREL, _TEXTREL, _DATAREL, _FUNCREL, _ALIGNED, _INDIRECT, _OMIT = (
    0x10,
    0x20,
    0x30,
    0x40,
    0x50,
    0x80,
    0xFF,
)


@njit
def unsigned(data, at, width, big):
    """``width`` bytes at ``at`` as an i64 (8 bytes wrap around); the caller checked the bounds."""
    value = np.int64(0)
    for i in range(width):
        byte = np.int64(data[at + i])
        value |= byte << (8 * (width - 1 - i) if big else 8 * i)
    return value


@njit
def uleb(data, at, end):
    """(value, next position).  Bits beyond 64 are dropped."""
    value = np.int64(0)
    shift = 0
    while at < end:
        byte = np.int64(data[at])
        at += 1
        if shift < 64:
            value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    return value, end + 1


@njit
def sleb(data, at, end):
    """(value, next position), signed."""
    value = np.int64(0)
    shift = 0
    while at < end:
        byte = np.int64(data[at])
        at += 1
        if shift < 64:
            value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if shift < 64 and byte & 0x40:
                value -= np.int64(1) << shift
            return value, at
    return value, end + 1


@njit
def pointer(data, at, end, big, encoding, vaddr, bases):
    """A pointer of DW_EH_PE ``encoding`` as (value, next position, understood).

    ``vaddr`` is the address of ``data[0]``; ``bases`` are those of .text, of the GOT and of the
    function.  Indirect pointers, which need the running program's memory, are not understood.
    """
    if encoding == _OMIT or encoding & _INDIRECT:
        return np.int64(0), at, False
    where = encoding & 0x70
    if where == _ALIGNED:
        at += -(vaddr + at) & 7
    field = at
    form = encoding & 0x0F
    if form == 0x01:
        value, at = uleb(data, at, end)
    elif form == 0x09:
        value, at = sleb(data, at, end)
    else:
        size = form & 7
        if size == 2:
            width = 2
        elif size == 3:
            width = 4
        elif size in (0, 4):
            width = 8
        else:
            return np.int64(0), at, False
        if at + width > end:
            return np.int64(0), end + 1, True
        value = unsigned(data, at, width, big)
        if form & 8 and width < 8 and value >> (width * 8 - 1):
            value -= np.int64(1) << (width * 8)
        at += width
    if where == _PCREL:
        value += vaddr + field
    elif where == _TEXTREL:
        value += bases[0]
    elif where == _DATAREL:
        value += bases[1]
    elif where == _FUNCREL:
        value += bases[2]
    elif where not in (0, _ALIGNED):
        return value, at, False
    return value, at, True
