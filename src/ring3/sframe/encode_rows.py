"""Writes FREs: canonical rows to bytes, in Numba.

A function is DEFAULT when every row of it can be, else FLEX (V3 only).  The width of its rows' start
addresses follows from the last of them, not from the function's size, so that more functions agree to
the byte.
"""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.arch import Arch
from ring3.compiled import njit
from ring3.sframe.section import (
    FDE_KEY_B,
    FDE_PCMASK,
    FDE_SIGNAL,
    FIXED_RA,
    FLEX,
    FLEX_DEREF,
    FLEX_REG,
    FLEX_REG_SHIFT,
    FRE_COUNT_SHIFT,
    FRE_MANGLED,
    FRE_SIZE_SHIFT,
    FRE_SP,
    S390_BIAS,
    S390_UNIT,
)
from ring3.sframe.table import (
    CFA,
    DEREF,
    PAUTH_KEY_B,
    PCMASK,
    REGISTER,
    SAME,
    SIGNAL,
    UNDEFINED,
    Reason,
    same_rules,
)

#: What became of a function: where its block is, or why it has none.
REFUSED = np.dtype([("offset", "i8"), ("num_fres", "i8"), ("info", "u1"), ("reason", "u1")])
ROW_BYTES_MAX = 4 + 1 + 6 * 4
_REGISTER_MAX = 31  # what tools keep of a control word's register
_WORDS_MAX = 6

_ABI_SP, _ABI_FP, _ABI_FIXED_RA, _ABI_S390, _ABI_ARM = range(5)

# Instead of a number of words: this row needs FLEX.  Below it, negated Reasons.
_NEEDS_FLEX = -1
_FIRST_REASON = -2

_ROWS = int(Reason.ROWS)
_V2_RULE = int(Reason.V2_RULE)
_CFA_UNIT = int(Reason.CFA_UNIT)
_REGISTER = int(Reason.REGISTER)
_RA_EXPRESSION = int(Reason.RA_EXPRESSION)
_FP_EXPRESSION = int(Reason.FP_EXPRESSION)
_OFFSET = int(Reason.OFFSET)


def make_abi(arch: Arch) -> np.ndarray:
    """The array that :func:`write_blocks` takes."""
    assert arch.dwarf is not None
    return np.array(
        [
            arch.dwarf.sp,
            arch.dwarf.fp,
            FIXED_RA[arch.name],
            arch.family == "s390",
            arch.family == "arm64",
        ],
        np.int64,
    )


@njit
def write_blocks(functions, rows, earlier, abi, version, share, big, out, blocks):
    """Write the FRE sub-section into ``out``; (bytes, rows) written.

    ``blocks`` (REFUSED) says for each function where its block went or why it has none; those with a
    reason already are left out.  ``earlier`` is the index of a function with the same rows, or -1.
    """
    words = np.zeros(_WORDS_MAX, np.int64)
    # Open addressing over the blocks written so far: index + 1 of a function with such a block.
    slots = 16
    while slots < 2 * len(functions):
        slots *= 2
    table = np.zeros(slots if share else 1, np.int32)
    head = 5 if version == 3 else 0
    at = np.int64(0)
    total = 0
    for i in range(len(functions)):
        function = functions[i]
        block = blocks[i]
        if block.reason:
            continue
        if earlier[i] >= 0:
            other = blocks[earlier[i]]
            block.offset, block.num_fres = other.offset, other.num_fres
            block.info, block.reason = other.info, other.reason
            continue
        block.offset = at
        flex, width, reason = _survey(function, rows, abi, version, words)
        if reason:
            block.reason = reason
            continue
        end, count = _write_rows(
            function, rows, abi, version, flex, width, big, out, at + head, words
        )
        if count > 0xFFFF and version == 3:
            block.reason = _ROWS
            continue
        info = (
            (width >> 1)
            | (FDE_PCMASK if function.flags & PCMASK else 0)
            | (FDE_KEY_B if function.flags & PAUTH_KEY_B else 0)
            | (FDE_SIGNAL if function.flags & SIGNAL else 0)
        )
        block.num_fres = count
        block.info = info
        if version == 3:
            out[at + (1 if big else 0)] = count & 0xFF
            out[at + (0 if big else 1)] = count >> 8
            out[at + 2] = info
            out[at + 3] = FLEX if flex else 0
            out[at + 4] = function.rep_size
        if share:
            slot = _hash(out, at, end, count) & (slots - 1)
            while table[slot]:
                other = blocks[table[slot] - 1]
                alike = other.num_fres == count and (version == 3 or other.info == info)
                if alike and _equal(out, other.offset, at, end):
                    break
                slot = (slot + 1) & (slots - 1)
            if table[slot]:
                block.offset = blocks[table[slot] - 1].offset
                continue
            table[slot] = i + 1
        at = end
        total += count
    return at, total


@njit
def _survey(function, rows, abi, version, words):
    """(needs FLEX, width of start addresses, 0 or a Reason) of a function."""
    flex = False
    first, end = function.first_row, function.first_row + function.row_count
    for r in range(first, end):
        n = _default_words(rows[r], abi, version, words)
        if n == _NEEDS_FLEX:
            if version == 2:
                return False, 1, _V2_RULE
            flex = True
            break
        if n <= _FIRST_REASON:
            return False, 1, _FIRST_REASON - n
    if flex:
        for r in range(first, end):
            n = _flex_words(rows[r], abi, words)
            if n <= _FIRST_REASON:
                return False, 1, _FIRST_REASON - n
    last = np.int64(rows[end - 1].start) if end > first else np.int64(0)
    return flex, 1 if last < 1 << 8 else 2 if last < 1 << 16 else 4, 0


@njit
def _refuse(reason):
    return _FIRST_REASON - reason


@njit
def _cfa_word(row, abi):
    """(the stored offset of the CFA, whether there is one)."""
    offset = np.int64(row.cfa_offset)
    if abi[_ABI_S390]:
        return (offset - S390_BIAS) // S390_UNIT, (offset - S390_BIAS) % S390_UNIT == 0
    return offset, True


@njit
def _saved_word(kind, register, offset, abi, version):
    """(the word of a saved register, whether DEFAULT has one).  0 is "not saved"."""
    in_register = abi[_ABI_S390] and version == 2
    if kind == SAME:
        return 0, True
    if kind == CFA | DEREF:
        return offset, offset != 0 and not (in_register and offset & 1)
    if kind == REGISTER and in_register and offset == 0:
        return register << 1 | 1, True
    return 0, False


@njit
def _default_words(row, abi, version, words):
    """Words of a DEFAULT row: their number, _NEEDS_FLEX, or a refusal."""
    if row.ra == UNDEFINED:
        return 0
    if row.cfa != REGISTER or (row.cfa_reg != abi[_ABI_SP] and row.cfa_reg != abi[_ABI_FP]):
        return _NEEDS_FLEX
    words[0], whole = _cfa_word(row, abi)
    if not whole:
        return _refuse(_CFA_UNIT)
    n = 1
    fp_offset = np.int64(row.fp_offset)
    if abi[_ABI_FIXED_RA]:
        if row.ra != CFA | DEREF or row.ra_offset != abi[_ABI_FIXED_RA]:
            return _NEEDS_FLEX
        if row.fp == CFA | DEREF:
            words[1] = fp_offset
            n = 2
        elif row.fp != SAME:
            return _NEEDS_FLEX
        return n
    words[1], sayable = _saved_word(row.ra, row.ra_reg, np.int64(row.ra_offset), abi, version)
    if not sayable:
        return _NEEDS_FLEX
    if row.ra != SAME:
        n = 2
    if row.fp != SAME:
        if abi[_ABI_ARM] and row.ra == SAME:
            return _NEEDS_FLEX  # on AArch64 there is no word for "RA is not saved"
        words[2], sayable = _saved_word(row.fp, row.fp_reg, fp_offset, abi, version)
        if not sayable and not (row.fp == CFA | DEREF and fp_offset == 0):
            return _NEEDS_FLEX
        n = 3
    return n


@njit
def _pair(words, n, kind, register, offset, row):
    """Append a control word and an offset; the new number of words, or 0 where it cannot be said."""
    if kind == CFA:
        # Control 0 would be padding; the same value by way of the CFA's own register.
        if row.cfa != REGISTER:
            return 0
        kind, register, offset = REGISTER, np.int64(row.cfa_reg), offset + row.cfa_offset
    control = FLEX_DEREF if kind & DEREF else 0
    if kind & ~DEREF == REGISTER:
        control |= FLEX_REG | register << FLEX_REG_SHIFT
    words[n] = control
    words[n + 1] = offset
    return n + 2


@njit
def _flex_words(row, abi, words):
    """Words of a FLEX row: their number or a refusal."""
    if row.ra == UNDEFINED:
        return 0
    if max(row.cfa_reg, row.ra_reg, row.fp_reg) > _REGISTER_MAX:
        return _refuse(_REGISTER)
    cfa, whole = _cfa_word(row, abi)
    if not whole:
        return _refuse(_CFA_UNIT)
    n = _pair(words, 0, row.cfa, np.int64(row.cfa_reg), cfa, row)
    if abi[_ABI_FIXED_RA]:
        by_default = row.ra == CFA | DEREF and row.ra_offset == abi[_ABI_FIXED_RA]
    else:
        by_default = row.ra == SAME
    if by_default:
        if row.fp != SAME:
            words[n] = 0
            n += 1
    elif row.ra == SAME:
        return _refuse(_RA_EXPRESSION)
    else:
        n = _pair(words, n, row.ra, np.int64(row.ra_reg), np.int64(row.ra_offset), row)
        if not n:
            return _refuse(_RA_EXPRESSION)
    if row.fp != SAME:
        n = _pair(words, n, row.fp, np.int64(row.fp_reg), np.int64(row.fp_offset), row)
        if not n:
            return _refuse(_FP_EXPRESSION)
    for i in range(n):
        if not -(1 << 31) <= words[i] < 1 << 31:
            return _refuse(_OFFSET)
    return n


@njit
def _write_rows(function, rows, abi, version, flex, width, big, out, at, words):
    """Write a function's rows at ``at``; (end, rows written)."""
    first = function.first_row
    count = 0
    for r in range(first, first + function.row_count):
        row = rows[r]
        if r > first and same_rules(row, rows[r - 1]):
            continue
        if flex:
            n = _flex_words(row, abi, words)
        else:
            n = _default_words(row, abi, version, words)
        low = high = np.int64(0)
        for i in range(n):
            low = min(low, words[i])
            high = max(high, words[i])
        code = 2
        if low >= -(1 << 7) and high < 1 << 7:
            code = 0
        elif low >= -(1 << 15) and high < 1 << 15:
            code = 1
        info = n << FRE_COUNT_SHIFT | code << FRE_SIZE_SHIFT
        if row.cfa_reg == abi[_ABI_SP] or (flex and n and row.cfa_reg != abi[_ABI_FP]):
            info |= FRE_SP
        if row.mangled and n:
            info |= FRE_MANGLED
        at = _write(out, at, np.int64(row.start), width, big)
        out[at] = info
        at += 1
        for i in range(n):
            at = _write(out, at, words[i], 1 << code, big)
        count += 1
    return at, count


@njit
def _write(out, at, value, width, big):
    for i in range(width):
        shift = 8 * (width - 1 - i) if big else 8 * i
        out[at + i] = value >> shift & 0xFF
    return at + width


@njit
def _hash(out, at, end, count):
    """FNV-1a over a block's bytes."""
    value = np.uint64(0xCBF29CE484222325) ^ np.uint64(count)
    for i in range(at, end):
        value = (value ^ np.uint64(out[i])) * np.uint64(0x100000001B3)
    return np.int64((value ^ (value >> np.uint64(29))) & np.uint64(0x7FFFFFFF))


@njit
def _equal(out, other, at, end):
    """Whether the block at ``other`` begins with the bytes ``out[at:end]``."""
    i = 0
    while i < end - at and out[other + i] == out[at + i]:
        i += 1
    return i == end - at
