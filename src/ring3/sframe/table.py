"""The unwind table of one module: how to find, at every pc, the caller's frame.

SFrame (V1, V2, V3), .eh_frame, .debug_frame and ORC are all read into this one form; the encoder, the
comparison and the unwinder take nothing else.  It is two NumPy record arrays, which Numba reads
directly.

:data:`FUNCTION`, one record a function, sorted by ``start``:

=========  ===  ===========================================================================
start      i64  virtual address in the file.  Two's complement: a vmlinux's are negative
size       i64  bytes
first_row  i32  index of its first row.  Functions with equal rows may share them
row_count  i32  0: the function is known, but nothing is known about its frames
flags      u8   :data:`SIGNAL`, :data:`PCMASK`, :data:`PAUTH_KEY_B`
rep_size   u8   PCMASK only: bytes of one repeated block
=========  ===  ===========================================================================

:data:`ROW`, one record a row, ``start`` ascending within a function:

==========  ===  ==========================================================================
start       u32  first offset in the function (PCMASK: in the block) for which it holds
cfa_offset  i32  bytes
ra_offset   i32  bytes
fp_offset   i32  bytes
cfa_reg     u8   DWARF number of the base register where the kind is REGISTER, else 0
ra_reg      u8   likewise
fp_reg      u8   likewise
cfa         u8   the rule: a kind, perhaps with :data:`DEREF`
ra          u8   likewise
fp          u8   likewise
mangled     u8   1: the return address carries a pointer authentication code (AArch64)
_pad        u8   0, so that rows compare as three u64
==========  ===  ==========================================================================

A rule is one of four kinds, with v = base + offset, and where DEREF is set the 8 bytes at address v:

- UNDEFINED: there is none.  ``ra`` undefined means the outermost frame; ``cfa`` and ``fp`` are then
  undefined, too.
- SAME: the register still holds the caller's value (``ra``: the return address is in the ABI's return
  address register; never on AMD64).
- CFA: base is the canonical frame address.  ``CFA | DEREF`` is "saved at CFA + offset".
- REGISTER: base is register ``*_reg`` of this frame.  ``cfa`` is always of this kind.

Rules are canonical: what can be said as SAME or CFA is not said as REGISTER, and fields that a kind does
not use are 0; so rows are equal exactly when their bytes are.  The CFA is the caller's SP, on s390x
SP + 160; where .eh_frame gives SP another rule (setcontext), that rule is the table's CFA.  Offsets are
bytes on every architecture (SFrame's own scaling on s390x is undone).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from ring3.arch import Arch
from ring3.compiled import njit

UNDEFINED = 0
SAME = 1
CFA = 2
REGISTER = 3
KIND = 3  # mask
DEREF = 4

SIGNAL = 1  # a signal trampoline: the caller's pc is exact, not one behind a call
PCMASK = 2  # rows repeat every rep_size bytes (a PLT)
PAUTH_KEY_B = 4  # return addresses are signed with key B, not A

FUNCTION = np.dtype(
    [
        ("start", "i8"),
        ("size", "i8"),
        ("first_row", "i4"),
        ("row_count", "i4"),
        ("flags", "u1"),
        ("rep_size", "u1"),
    ],
    align=True,
)
ROW = np.dtype(
    [
        ("start", "u4"),
        ("cfa_offset", "i4"),
        ("ra_offset", "i4"),
        ("fp_offset", "i4"),
        ("cfa_reg", "u1"),
        ("ra_reg", "u1"),
        ("fp_reg", "u1"),
        ("cfa", "u1"),
        ("ra", "u1"),
        ("fp", "u1"),
        ("mangled", "u1"),
        ("_pad", "u1"),
    ]
)


class Reason(IntEnum):
    """Why a function is in no table, or was left out of a section.  ``text`` is for people."""

    CFA_EXPRESSION = 1
    RA_EXPRESSION = 2
    FP_EXPRESSION = 3
    SP_RULE = 4
    NO_CFA = 5
    OPCODE = 6
    TRUNCATED = 7
    OFFSET = 8
    REGISTER = 9
    SIZE = 10
    NESTING = 11
    ROWS = 12
    ORC_TYPE = 13
    AUGMENTATION = 14
    NO_RA = 15
    NO_CIE = 16
    CFA_UNIT = 17
    V2_RULE = 18
    V2_SIGNAL = 19
    V2_DISTANCE = 20
    NO_ROWS = 21

    @property
    def text(self) -> str:
        """One phrase."""
        return _REASONS[self]


_REASONS = {
    Reason.CFA_EXPRESSION: "the CFA is a DWARF expression that SFrame cannot say",
    Reason.RA_EXPRESSION: "the return address is a DWARF expression that SFrame cannot say",
    Reason.FP_EXPRESSION: "the frame pointer is a DWARF expression that SFrame cannot say",
    Reason.SP_RULE: "the caller's stack pointer is not the CFA",
    Reason.NO_CFA: "no CFA is defined",
    Reason.OPCODE: "unknown CFI opcode",
    Reason.TRUNCATED: "the CFI program is truncated or malformed",
    Reason.OFFSET: "an offset does not fit 32 bits",
    Reason.REGISTER: "a register number is beyond what SFrame can say",
    Reason.SIZE: "the function is larger than 4 GiB",
    Reason.NESTING: "restore_state without remember_state, or nested too deep",
    Reason.ROWS: "more rows than a 16-bit count can say",
    Reason.ORC_TYPE: "ORC describes no frame there",
    Reason.AUGMENTATION: "the CIE's version, augmentation or pointer encoding is not known",
    Reason.NO_RA: "no return address is defined",
    Reason.NO_CIE: "the FDE's CIE is not there",
    Reason.CFA_UNIT: "the CFA's offset from 160 is no multiple of 8",
    Reason.NO_ROWS: "nothing is known of its frames, and V3 would call it outermost",
    Reason.V2_RULE: "V2 has no FLEX FDEs",
    Reason.V2_SIGNAL: "V2 has no signal frames",
    Reason.V2_DISTANCE: "V2 reaches only 2 GiB from the section",
}


@dataclass(frozen=True)
class Refusal:
    """A function that could not be expressed.  ``where`` is the place in the source section, ``name`` the
    function's, where a symbol says."""

    start: int
    size: int
    reason: Reason
    where: str = ""
    name: str = ""

    def __str__(self) -> str:
        name = f"{self.name} at " if self.name else ""
        place = f" ({self.where})" if self.where else ""
        address = self.start & 0xFFFFFFFFFFFFFFFF
        return f"{name}{address:#x}+{self.size:#x}: {self.reason.text}{place}"


@dataclass(frozen=True)
class Table:
    """Functions and rows of one module, and what its source said but this table could not.

    ``arch.dwarf`` gives the DWARF numbers of SP, FP and RA that the rules are about.
    """

    arch: Arch
    functions: np.ndarray  # FUNCTION, sorted by start
    rows: np.ndarray  # ROW
    refused: list[Refusal] = field(default_factory=list)

    def find(self, pc: int) -> tuple[int, int]:
        """Index of the function that holds ``pc`` and of the row that rules there; -1 for none."""
        function = find_function(self.functions, pc)
        return function, find_row(self.functions, self.rows, function, pc)


def signed(address: int) -> int:
    """An address (u64) as tables hold it: an i64 of the same bits."""
    return address - (1 << 64) if address >> 63 else address


def empty(arch: Arch) -> Table:
    """A table of nothing."""
    return Table(arch, np.zeros(0, FUNCTION), np.zeros(0, ROW))


@njit
def find_function(functions: np.ndarray, pc: int) -> int:
    """Index of the function that holds ``pc``, or -1."""
    low = 0
    high = len(functions)
    while low < high:
        middle = (low + high) >> 1
        if functions[middle].start <= pc:
            low = middle + 1
        else:
            high = middle
    found = low - 1
    if found < 0 or pc - functions[found].start >= functions[found].size:
        return -1
    return found


@njit
def find_row(functions: np.ndarray, rows: np.ndarray, function: int, pc: int) -> int:
    """Index of the row that rules at ``pc`` in ``function``, or -1 (no such function or row)."""
    if function < 0:
        return -1
    offset = pc - functions[function].start
    if functions[function].flags & PCMASK:
        offset %= functions[function].rep_size
    first = functions[function].first_row
    low = first
    high = first + functions[function].row_count
    while low < high:
        middle = (low + high) >> 1
        if rows[middle].start <= offset:
            low = middle + 1
        else:
            high = middle
    return low - 1 if low > first else -1


@njit
def same_rules(a: Any, b: Any) -> bool:
    """Whether two rows say the same, wherever they start."""
    return (
        a.cfa_offset == b.cfa_offset
        and a.fp_offset == b.fp_offset
        and a.ra_offset == b.ra_offset
        and a.cfa_reg == b.cfa_reg
        and a.cfa == b.cfa
        and a.ra == b.ra
        and a.fp == b.fp
        and a.ra_reg == b.ra_reg
        and a.fp_reg == b.fp_reg
        and a.mangled == b.mangled
    )


@njit
def canonical(
    kind: int, register: int, offset: int, cfa: int, cfa_reg: int, cfa_offset: int, own: int
) -> tuple[int, int, int]:
    """(kind, register, offset) of a rule for register ``own``, in the one way of saying it.

    ``cfa``, ``cfa_reg`` and ``cfa_offset`` are the row's CFA.
    """
    if kind == REGISTER and register == own and offset == 0:
        return SAME, 0, 0
    by_cfa = kind & ~DEREF == REGISTER and cfa == REGISTER and register == cfa_reg
    if by_cfa and -(1 << 31) <= offset - cfa_offset < 1 << 31:
        return CFA | (kind & DEREF), 0, offset - cfa_offset
    return kind, register, offset
