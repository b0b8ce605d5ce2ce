"""DWARF expressions in call frame information, followed symbolically as far as SFrame can say them.

What compilers and assembly emit comes down to a register (or the CFA) plus a constant, perhaps
dereferenced once at the end; and, in PLTs, a constant that depends on the low bits of the pc.  Opcodes:
DWARF 5, section 7.7.1.
"""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.compiled import njit
from ring3.sframe.cfi_bytes import sleb, uleb, unsigned
from ring3.sframe.table import CFA, DEREF, REGISTER

# Kinds of symbolic values, beside CFA and REGISTER of the table.
FAILED = 0
CONSTANT = 8
PC = 9
DEPTH = 8
LONGEST = 64  # bytes; longer ones are nothing we could express
_PLT_MASK_MAX = 127  # rep_size is one byte

_DEREF, _DUP, _DROP, _SWAP = 0x06, 0x12, 0x13, 0x16
_AND, _MINUS, _PLUS, _PLUS_UCONST, _SHL = 0x1A, 0x1C, 0x22, 0x23, 0x24
_EQ, _GE, _GT, _LE, _LT, _NE = 0x29, 0x2A, 0x2B, 0x2C, 0x2D, 0x2E
_LIT0, _LIT31, _BREG0, _BREG31, _BREGX, _NOP = 0x30, 0x4F, 0x70, 0x8F, 0x92, 0x96
_CONST1U, _CONST8S, _CONSTU, _CONSTS = 0x08, 0x0F, 0x10, 0x11


@njit
def follow(data, at, end, big, pc_column, pc, on_cfa):
    """The value of the expression in ``data[at:end]`` as (kind, register, offset, pc mask).

    ``kind`` is CFA or REGISTER, perhaps with DEREF, or FAILED.  ``pc`` stands for the register
    ``pc_column``, of which only low bits may matter: their mask is returned, 0 when none do.
    ``on_cfa``: the stack begins with the CFA (DW_CFA_expression, DW_CFA_val_expression).
    """
    failed = (FAILED, 0, 0, 0)
    if end - at > LONGEST:
        return failed
    kind = np.zeros(DEPTH, np.int64)
    reg = np.zeros(DEPTH, np.int64)
    off = np.zeros(DEPTH, np.int64)
    mask = 0
    top = -1
    if on_cfa:
        top = 0
        kind[0] = CFA
    while at < end:
        op = np.int64(data[at])
        at += 1
        if op == _NOP:
            continue
        new_kind, new_reg, new_off = CONSTANT, 0, 0
        pushes = True
        if _LIT0 <= op <= _LIT31:
            new_off = op - _LIT0
        elif _CONST1U <= op <= _CONST8S:
            width = 1 << ((op - _CONST1U) >> 1)
            if at + width > end:
                return failed
            new_off = unsigned(data, at, width, big)
            if (op & 1) and width < 8 and new_off >> (width * 8 - 1):
                new_off -= 1 << (width * 8)
            at += width
        elif op == _CONSTU:
            new_off, at = uleb(data, at, end)
        elif op == _CONSTS:
            new_off, at = sleb(data, at, end)
        elif _BREG0 <= op <= _BREG31 or op == _BREGX:
            new_reg = op - _BREG0
            if op == _BREGX:
                new_reg, at = uleb(data, at, end)
            new_off, at = sleb(data, at, end)
            new_kind = REGISTER
            if new_reg == pc_column:
                new_kind, new_reg, new_off = PC, 0, new_off + pc
        elif op == _DUP and top >= 0:
            new_kind, new_reg, new_off = kind[top], reg[top], off[top]
        else:
            pushes = False
        if at > end:
            return failed
        if pushes:
            top += 1
            if top == DEPTH:
                return failed
            kind[top], reg[top], off[top] = new_kind, new_reg, new_off
            continue
        if top < 0:
            return failed
        if op == _DEREF:
            if kind[top] != CFA and kind[top] != REGISTER:
                return failed
            kind[top] |= DEREF
            continue
        if op == _PLUS_UCONST:
            add, at = uleb(data, at, end)
            if at > end or (kind[top] & DEREF and add):
                return failed
            off[top] += add
            continue
        if op == _DROP:
            top -= 1
            continue
        if top < 1:
            return failed
        if op == _SWAP:
            kind[top], kind[top - 1] = kind[top - 1], kind[top]
            reg[top], reg[top - 1] = reg[top - 1], reg[top]
            off[top], off[top - 1] = off[top - 1], off[top]
            continue
        # What is left takes two values; the result stands in the lower's place.
        b = off[top]
        top -= 1
        a = off[top]
        if op == _PLUS and kind[top] == CONSTANT:
            kind[top], reg[top], kind[top + 1] = kind[top + 1], reg[top + 1], CONSTANT
        if kind[top + 1] != CONSTANT or kind[top] & DEREF:
            return failed
        if op == _PLUS:
            off[top] = a + b
        elif op == _MINUS:
            off[top] = a - b
        elif op == _AND and kind[top] == PC and 0 < b <= _PLT_MASK_MAX and b & (b + 1) == 0:
            mask |= b
            kind[top], off[top] = CONSTANT, a & b
        elif kind[top] != CONSTANT:
            return failed
        elif op == _AND:
            off[top] = a & b
        elif op == _SHL and 0 <= b < 32:
            off[top] = a << b
        elif op == _EQ:
            off[top] = a == b
        elif op == _GE:
            off[top] = a >= b
        elif op == _GT:
            off[top] = a > b
        elif op == _LE:
            off[top] = a <= b
        elif op == _LT:
            off[top] = a < b
        elif op == _NE:
            off[top] = a != b
        else:
            return failed
    if top < 0 or kind[top] & ~DEREF not in (CFA, REGISTER):
        return failed
    return kind[top], reg[top], off[top], mask
