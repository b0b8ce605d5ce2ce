"""Reads FREs: bytes to canonical rows, in Numba."""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.compiled import njit
from ring3.sframe.cfi_bytes import unsigned
from ring3.sframe.section import (
    FDE_ADDR,
    FDE_SIGNAL,
    FDE_TYPE,
    FLEX,
    FLEX_DEREF,
    FLEX_REG,
    FLEX_REG_SHIFT,
    FRE_COUNT,
    FRE_COUNT_SHIFT,
    FRE_MANGLED,
    FRE_SIZE,
    FRE_SIZE_SHIFT,
    FRE_SP,
    S390_BIAS,
    S390_UNIT,
    Section,
)
from ring3.sframe.table import CFA, DEREF, REGISTER, SAME, canonical

FAULTS = {
    1: "its rows leave the FRE sub-section",
    2: "its rows are not in ascending order",
    3: "an FRE type that does not exist",
    4: "an FDE type that does not exist",
    5: "a row whose number or size of words does not exist",
    6: "its rows overlap another function's",
    7: "a CFA without a base register, or a register beyond 255",
}
_OUTSIDE, _ORDER, _FRE_TYPE, _FDE_TYPE, _WORDS, _OVERLAP, _BASE = range(1, 8)
_WORDS_MAX = FRE_COUNT

# What of architecture and header matters: an i64 array.
ABI_SP, ABI_FP, ABI_RA, ABI_FIXED_FP, ABI_FIXED_RA, ABI_S390, ABI_ARM = range(7)


def make_abi(section: Section) -> np.ndarray:
    """The array that :func:`block` takes."""
    dwarf = section.arch.dwarf
    assert dwarf is not None
    return np.array(
        [
            dwarf.sp,
            dwarf.fp,
            dwarf.ra,
            section.header["cfa_fixed_fp_off"],
            section.header["cfa_fixed_ra_off"],
            section.arch.family == "s390",
            section.arch.family == "arm64",
        ],
        np.int64,
    )


@njit
def block(data, big, version, abi, fdes, blocks, rows):
    """Decode the rows of each of ``fdes`` (all different) into ``rows``.

    ``blocks[i]`` becomes (first row, number of rows).  Returns (rows, fault, index of the faulty FDE).
    """
    words = np.zeros(_WORDS_MAX, np.int64)
    n = 0
    outermost = -1
    for i in range(len(fdes)):
        fde = fdes[i]
        blocks[i, 0] = n
        kind = fde.info2 & FDE_TYPE
        if kind > FLEX:
            return n, _FDE_TYPE, i
        if fde.info & FDE_ADDR > 2:
            return n, _FRE_TYPE, i
        if fde.num_fres == 0:
            # No rows: the outermost frame; but V1 and V2, a signal frame or a FLEX function say
            # nothing that way.
            if version == 3 and not fde.info & FDE_SIGNAL and kind != FLEX:
                if outermost < 0:
                    if n == len(rows):
                        return n, _OVERLAP, i
                    outermost = n
                    n += 1
                blocks[i, 0] = outermost
                blocks[i, 1] = 1
            continue
        width = 1 << (fde.info & FDE_ADDR)
        at = fde.rows
        last = np.int64(-1)
        for _ in range(fde.num_fres):
            if at < 0 or at + width + 1 > len(data):
                return n, _OUTSIDE, i
            if n == len(rows):
                return n, _OVERLAP, i
            start = unsigned(data, at, width, big)
            if start <= last:
                return n, _ORDER, i
            last = start
            at += width
            info = np.int64(data[at])
            at += 1
            count = info >> FRE_COUNT_SHIFT & FRE_COUNT
            size = info >> FRE_SIZE_SHIFT & FRE_SIZE
            if size == 3:
                return n, _WORDS, i
            size = 1 << size
            if at + count * size > len(data):
                return n, _OUTSIDE, i
            for w in range(count):
                word = unsigned(data, at, size, big)
                words[w] = word - (1 << 8 * size) if word >> (8 * size - 1) else word
                at += size
            row = rows[n]
            row.start = start
            if kind == FLEX:
                fault = _flex(row, words, count, size, abi)
            else:
                fault = _default(row, info, words, count, abi, version)
            if fault:
                return n, fault, i
            row.mangled = 1 if abi[ABI_ARM] and info & FRE_MANGLED and count else 0
            n += 1
        blocks[i, 1] = n - blocks[i, 0]
    return n, 0, 0


@njit
def _defaults(row, abi):
    """The rules that hold where a row says nothing."""
    row.ra, row.ra_reg, row.ra_offset = SAME, 0, 0
    row.fp, row.fp_reg, row.fp_offset = SAME, 0, 0
    if abi[ABI_FIXED_RA]:
        row.ra, row.ra_offset = CFA | DEREF, abi[ABI_FIXED_RA]
    if abi[ABI_FIXED_FP]:
        row.fp, row.fp_offset = CFA | DEREF, abi[ABI_FIXED_FP]


@njit
def _default(row, info, words, count, abi, version):
    """A row of a DEFAULT function (every function of V1 and V2); 0 or a fault."""
    if count == 0:
        return 0
    _defaults(row, abi)
    row.cfa = REGISTER
    row.cfa_reg = abi[ABI_SP] if info & FRE_SP else abi[ABI_FP]
    row.cfa_offset = words[0] * S390_UNIT + S390_BIAS if abi[ABI_S390] else words[0]
    # In V2 a set bit 0 marks a register on s390x, where every saved register's offset is even.
    in_register = abi[ABI_S390] and version == 2
    at = 1
    if not abi[ABI_FIXED_RA]:
        if at < count and words[at]:
            if in_register and words[at] & 1:
                row.ra, row.ra_reg = REGISTER, words[at] >> 1 & 0xFF
            else:
                row.ra, row.ra_offset = CFA | DEREF, words[at]
        at += 1
    if not abi[ABI_FIXED_FP]:
        if at < count:
            if in_register and words[at] & 1:
                row.fp, row.fp_reg = REGISTER, words[at] >> 1 & 0xFF
            else:
                row.fp, row.fp_offset = CFA | DEREF, words[at]
        at += 1
    return _WORDS if count > at else 0


@njit
def _flex(row, words, count, size, abi):
    """A row of a FLEX function: pairs of a control word and an offset; 0 or a fault."""
    if count == 0:
        return 0
    _defaults(row, abi)
    unsigned_word = (np.int64(1) << 8 * size) - 1
    at = 0
    for rule in range(3):
        if at == count:
            break
        control = words[at] & unsigned_word
        at += 1
        if control == 0 and rule:
            continue  # padding: the default rule
        if at == count:
            return _WORDS
        offset = words[at]
        at += 1
        register = control >> FLEX_REG_SHIFT
        if register > 255:
            return _BASE
        kind = REGISTER if control & FLEX_REG else CFA
        if kind == CFA:
            register = 0
        if control & FLEX_DEREF:
            kind |= DEREF
        if rule == 0:
            if not control & FLEX_REG:
                return _BASE
            row.cfa, row.cfa_reg = kind, register
            row.cfa_offset = offset * S390_UNIT + S390_BIAS if abi[ABI_S390] else offset
        elif rule == 1:
            row.ra, row.ra_reg, row.ra_offset = canonical(
                kind, register, offset, row.cfa, row.cfa_reg, row.cfa_offset, abi[ABI_RA]
            )
        else:
            row.fp, row.fp_reg, row.fp_offset = canonical(
                kind, register, offset, row.cfa, row.cfa_reg, row.cfa_offset, abi[ABI_FP]
            )
    return _WORDS if at < count else 0
