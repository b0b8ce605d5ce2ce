"""The CFI interpreter: runs the instructions of one function and writes its rows.

Opcodes: DWARF 5, section 7.24; the GNU and AArch64 ones: binutils' include/dwarf2.def and the AArch64
DWARF supplement.  Only CFA, return address, frame pointer and stack pointer are followed; what a program
says of other registers is skipped.
"""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.compiled import njit
from ring3.sframe import cfi_expression
from ring3.sframe.cfi_bytes import pointer, sleb, uleb, unsigned
from ring3.sframe.table import (
    CFA,
    DEREF,
    REGISTER,
    SAME,
    UNDEFINED,
    Reason,
    canonical,
    same_rules,
)

# A state is an i64 array: three words (kind, register, offset) a rule, then whether RA is mangled, and
# the CIE's return address column.
CFA_RULE, RA_RULE, FP_RULE, SP_RULE, MANGLED, RA_COLUMN = 0, 3, 6, 9, 12, 13
STATE = 14
NESTING_MAX = 64
SCRATCH = NESTING_MAX + 1  # states: those remembered, and a PLT's
# Kinds that only a state has.  BAD: offset is the Reason.  PLT: register and offset are end and start
# of an expression that depends on the pc.
BAD, PLT, MISSING = 16, 17, 18

# What of the architecture matters: an i64 array.
ABI_SP, ABI_FP, ABI_RA, ABI_PC, ABI_S390, ABI_ARM = 0, 1, 2, 3, 4, 5

#: The result of :func:`run` for a function whose last row is a PLT expression.
IS_PLT = -1

_TRUNCATED = int(Reason.TRUNCATED)
_OPCODE = int(Reason.OPCODE)
_ROWS = int(Reason.ROWS)
_NESTING = int(Reason.NESTING)
_OFFSET = int(Reason.OFFSET)
_REGISTER = int(Reason.REGISTER)
_NO_CFA = int(Reason.NO_CFA)
_NO_RA = int(Reason.NO_RA)
_SP_RULE = int(Reason.SP_RULE)
_CFA_EXPRESSION = int(Reason.CFA_EXPRESSION)
_RA_EXPRESSION = int(Reason.RA_EXPRESSION)
_FP_EXPRESSION = int(Reason.FP_EXPRESSION)

_LIMIT = 1 << 31
_TOO_FAR = 1 << 40  # no sum or difference with another offset brings it back below the limit


@njit
def start_state(state, abi, ra_column):
    """What holds before any instruction: the ABI's rules."""
    state[:] = 0
    state[RA_COLUMN] = ra_column
    state[RA_RULE] = MISSING if abi[ABI_PC] >= 0 else SAME
    state[FP_RULE] = SAME
    state[SP_RULE] = CFA


@njit
def _slot(register, abi, state):
    """Where the rule of ``register`` is in a state, or -1 for one that nobody follows."""
    if register == state[RA_COLUMN]:
        return RA_RULE
    if register == abi[ABI_FP]:
        return FP_RULE
    # s390x saves r15 like any register; by its ABI what it saves is the CFA - 160.
    if register == abi[ABI_SP] and not abi[ABI_S390]:
        return SP_RULE
    return -1


@njit
def _set(state, slot, kind, register, offset):
    if slot >= 0:
        state[slot] = kind
        state[slot + 1] = register
        state[slot + 2] = offset


@njit
def _scaled(factor, align):
    """``factor * align``, or a number that fits no table when that is so large that it might wrap."""
    return factor * align if abs(factor) < _LIMIT else _TOO_FAR


@njit
def _caller_sp(state, abi):
    """(kind, register, offset) of the caller's SP, which is what the table calls the CFA.

    It differs from the program's CFA where SP has a rule of its own (longjmp, setcontext, signal
    trampolines).  The kind is BAD where it cannot be said.
    """
    cfa, cfa_reg, cfa_offset = state[CFA_RULE], state[CFA_RULE + 1], state[CFA_RULE + 2]
    kind, register, offset = state[SP_RULE], state[SP_RULE + 1], state[SP_RULE + 2]
    if kind == CFA and offset == 0:
        return cfa, cfa_reg, cfa_offset
    if kind == SAME:
        return REGISTER, abi[ABI_SP], 0
    if kind & ~DEREF == REGISTER:
        return kind, register, offset
    if kind & ~DEREF == CFA and cfa == REGISTER:
        return REGISTER | (kind & DEREF), cfa_reg, cfa_offset + offset
    return BAD, 0, _SP_RULE


@njit
def _row_rule(state, slot, own, base, base_reg, base_offset):
    """The canonical (kind, register, offset) of a rule of register ``own``; ``base``: the table's CFA."""
    kind, register, offset = state[slot], state[slot + 1], state[slot + 2]
    cfa, cfa_reg, cfa_offset = state[CFA_RULE], state[CFA_RULE + 1], state[CFA_RULE + 2]
    moved = base != cfa or base_reg != cfa_reg or base_offset != cfa_offset
    if kind & ~DEREF == CFA and moved:
        if cfa != REGISTER:
            return BAD, 0, _SP_RULE
        kind, register, offset = REGISTER | (kind & DEREF), cfa_reg, cfa_offset + offset
    return canonical(kind, register, offset, base, base_reg, base_offset, own)


@njit
def write_row(state, row, start, abi):
    """Turn ``state`` into ``row``; 0 or the Reason why it has no place in a table."""
    row.start = start
    row.cfa_offset = row.ra_offset = row.fp_offset = 0
    row.cfa_reg = row.ra_reg = row.fp_reg = 0
    row.cfa = row.ra = row.fp = UNDEFINED
    row.mangled = 0
    row._pad = 0
    if state[RA_RULE] == UNDEFINED:
        return 0
    if state[CFA_RULE] == BAD:
        return state[CFA_RULE + 2]
    if state[CFA_RULE] == UNDEFINED:
        return _NO_CFA
    cfa, cfa_reg, cfa_offset = _caller_sp(state, abi)
    if cfa == BAD:
        return cfa_offset
    ra, ra_reg, ra_offset = _row_rule(state, RA_RULE, abi[ABI_RA], cfa, cfa_reg, cfa_offset)
    fp, fp_reg, fp_offset = _row_rule(state, FP_RULE, abi[ABI_FP], cfa, cfa_reg, cfa_offset)
    if ra == SAME and state[RA_COLUMN] != abi[ABI_RA]:
        column = state[RA_COLUMN]
        ra, ra_reg, ra_offset = canonical(REGISTER, column, 0, cfa, cfa_reg, cfa_offset, -1)
    if ra == BAD:
        return ra_offset
    if fp == BAD:
        return fp_offset
    if ra == MISSING or (ra == SAME and abi[ABI_PC] >= 0):
        return _NO_RA
    if max(cfa_reg, ra_reg, fp_reg) > 255 or min(cfa_reg, ra_reg, fp_reg) < 0:
        return _REGISTER
    if max(cfa_offset, ra_offset, fp_offset) >= _LIMIT:
        return _OFFSET
    if min(cfa_offset, ra_offset, fp_offset) < -_LIMIT:
        return _OFFSET
    row.cfa, row.cfa_reg, row.cfa_offset = cfa, cfa_reg, cfa_offset
    row.ra, row.ra_reg, row.ra_offset = ra, ra_reg, ra_offset
    # No promise about FP is kept as well by leaving it alone.
    row.fp = SAME if fp == UNDEFINED else fp
    row.fp_reg, row.fp_offset = fp_reg, fp_offset
    row.mangled = state[MANGLED]
    return 0


@njit
def run(
    data, at, end, big, vaddr, bases, cie, start, size, abi, state, initial, stack, rows, first
):
    """Run ``data[at:end]`` for the function of ``size`` bytes at ``start``.

    ``state`` is what holds at its start and ``initial`` what DW_CFA_restore goes back to; ``stack`` is
    scratch of SCRATCH states.  Rows are written from ``rows[first]`` on.  Returns the index after
    the last row, and 0, a Reason or IS_PLT (the rule from the last row on is then a PLT's, in
    ``state``; that row is not counted).
    """
    n = first
    loc = np.int64(0)
    depth = 0
    plt = False
    while True:
        delta = np.int64(0)
        if at >= end:
            delta = size - loc
            if delta <= 0:
                break
        else:
            op = np.int64(data[at])
            at += 1
            low = op & 0x3F
            if op >= 0xC0:  # restore
                slot = _slot(low, abi, state)
                if slot >= 0:
                    state[slot : slot + 3] = initial[slot : slot + 3]
            elif op >= 0x80:  # offset
                factor, at = uleb(data, at, end)
                slot = _slot(low, abi, state)
                _set(state, slot, CFA | DEREF, 0, _scaled(factor, cie.data_align))
            elif op >= 0x40:
                delta = low * cie.code_align
            elif op == 0x0E:  # def_cfa_offset
                offset, at = uleb(data, at, end)
                if state[CFA_RULE] != REGISTER:
                    return n, _TRUNCATED
                state[CFA_RULE + 2] = offset if 0 <= offset < _LIMIT else _TOO_FAR
            elif op == 0x0A:  # remember_state
                if depth == NESTING_MAX:
                    return n, _NESTING
                stack[depth] = state
                depth += 1
            elif op == 0x0B:  # restore_state
                if depth == 0:
                    return n, _NESTING
                depth -= 1
                state[:] = stack[depth]
            elif 0x02 <= op <= 0x04 or op == 0x1D:  # advance_loc1, 2, 4, MIPS_advance_loc8
                width = 8 if op == 0x1D else 1 << (op - 2)
                if at + width > end:
                    return n, _TRUNCATED
                delta = unsigned(data, at, width, big)
                delta = min(delta, size) * cie.code_align if delta >= 0 else size
                at += width
            elif op == 0x01:  # set_loc
                to, at, understood = pointer(data, at, end, big, cie.encoding, vaddr, bases)
                delta = to - start - loc
                if not understood or delta < 0:
                    return n, _TRUNCATED
            elif op == 0x00:  # nop
                pass
            elif op in (0x05, 0x11, 0x14, 0x15, 0x2F):
                # offset_extended, offset_extended_sf, val_offset, val_offset_sf and
                # GNU_negative_offset_extended
                register, at = uleb(data, at, end)
                if op in (0x11, 0x15):
                    factor, at = sleb(data, at, end)
                else:
                    factor, at = uleb(data, at, end)
                offset = _scaled(factor, -cie.data_align if op == 0x2F else cie.data_align)
                kind = CFA if op in (0x14, 0x15) else CFA | DEREF
                _set(state, _slot(register, abi, state), kind, 0, offset)
            elif op in (0x06, 0x07, 0x08):  # restore_extended, undefined, same_value
                register, at = uleb(data, at, end)
                slot = _slot(register, abi, state)
                if op == 0x06 and slot >= 0:
                    state[slot : slot + 3] = initial[slot : slot + 3]
                elif op != 0x06:
                    _set(state, slot, UNDEFINED if op == 0x07 else SAME, 0, 0)
            elif op == 0x09:  # register
                register, at = uleb(data, at, end)
                source, at = uleb(data, at, end)
                _set(state, _slot(register, abi, state), REGISTER, source, 0)
            elif op in (0x0C, 0x12):  # def_cfa, def_cfa_sf
                register, at = uleb(data, at, end)
                if op == 0x12:
                    offset, at = sleb(data, at, end)
                    offset = _scaled(offset, cie.data_align)
                else:
                    offset, at = uleb(data, at, end)
                    offset = offset if 0 <= offset < _LIMIT else _TOO_FAR
                _set(state, CFA_RULE, REGISTER, register, offset)
            elif op == 0x0D:  # def_cfa_register
                register, at = uleb(data, at, end)
                if state[CFA_RULE] != REGISTER:
                    return n, _TRUNCATED
                state[CFA_RULE + 1] = register
            elif op == 0x13:  # def_cfa_offset_sf
                offset, at = sleb(data, at, end)
                if state[CFA_RULE] != REGISTER:
                    return n, _TRUNCATED
                state[CFA_RULE + 2] = _scaled(offset, cie.data_align)
            elif op in (0x0F, 0x10, 0x16):  # def_cfa_expression, expression, val_expression
                register = np.int64(-1)
                if op != 0x0F:
                    register, at = uleb(data, at, end)
                length, at = uleb(data, at, end)
                if at > end or not 0 <= length <= end - at:
                    return n, _TRUNCATED
                slot = CFA_RULE if op == 0x0F else _slot(register, abi, state)
                if slot >= 0:
                    _set_expression(state, slot, op, data, at, at + length, big, abi)
                at += length
            elif (
                op == 0x2E
            ):  # GNU_args_size: what a landing pad pops; the CFA does not depend on it
                _, at = uleb(data, at, end)
            elif op == 0x2D:  # AARCH64_negate_ra_state; elsewhere GNU_window_save
                if not abi[ABI_ARM]:
                    return n, _OPCODE
                state[MANGLED] ^= 1
            else:
                return n, _OPCODE
            if at > end:
                return n, _TRUNCATED
        if delta > 0 and loc < size:
            # The state holds from loc on for delta bytes.
            if plt:
                return n, _CFA_EXPRESSION  # a PLT's rule must be its last
            if n == len(rows):
                return n, _ROWS
            if state[CFA_RULE] == PLT and state[RA_RULE] != UNDEFINED:
                plt = True
                stack[NESTING_MAX] = state
                rows[n].start = loc
            else:
                reason = write_row(state, rows[n], loc, abi)
                if reason:
                    return n, reason
                if n == first or not same_rules(rows[n], rows[n - 1]):
                    n += 1
            loc += min(delta, size - loc)
    if plt:
        state[:] = stack[NESTING_MAX]
        return n, IS_PLT
    return n, 0


@njit
def _set_expression(state, slot, op, data, at, end, big, abi):
    kind, register, offset, mask = cfi_expression.follow(
        data, at, end, big, abi[ABI_PC], 0, op != 0x0F
    )
    if op == 0x10:
        # The expression says where the register is saved.
        kind = kind | DEREF if kind and not kind & DEREF else cfi_expression.FAILED
    if slot == CFA_RULE:
        bad = _CFA_EXPRESSION
    elif slot == RA_RULE:
        bad = _RA_EXPRESSION
    elif slot == FP_RULE:
        bad = _FP_EXPRESSION
    else:
        bad = _SP_RULE
    if not kind:
        _set(state, slot, BAD, 0, bad)
    elif mask:
        if slot == CFA_RULE:
            _set(state, slot, PLT, end, at)
        else:
            _set(state, slot, BAD, 0, bad)
    else:
        _set(state, slot, kind, register, offset)


@njit
def write_plt(data, big, state, start, abi, rows, first):
    """Write the rows of one block of the PLT at ``start`` whose rule ``state`` holds.

    Returns (index after the last row, bytes of a block, 0 or a Reason).
    """
    at, end = state[CFA_RULE + 2], state[CFA_RULE + 1]
    n = first
    block = 1
    offset = 0
    while offset < block:
        kind, register, value, mask = cfi_expression.follow(
            data, at, end, big, abi[ABI_PC], start + offset, False
        )
        if not kind:
            return first, 0, _CFA_EXPRESSION
        if n == len(rows):
            return first, 0, _ROWS
        block = max(block, mask + 1)
        _set(state, CFA_RULE, kind, register, value)
        reason = write_row(state, rows[n], offset, abi)
        if reason:
            return first, 0, reason
        if n == first or not same_rules(rows[n], rows[n - 1]):
            n += 1
        offset += 1
    return n, block, 0
