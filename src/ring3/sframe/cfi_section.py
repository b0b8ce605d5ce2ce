"""Runs a whole section: every CIE once, then every FDE."""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.compiled import njit
from ring3.sframe.cfi_bytes import pointer, uleb
from ring3.sframe.cfi_entries import find_cie, header
from ring3.sframe.cfi_program import IS_PLT, SCRATCH, STATE, run, start_state, write_plt
from ring3.sframe.table import PAUTH_KEY_B, PCMASK, SIGNAL, Reason

#: A function that has no place in a table; offset is that of its FDE.
REFUSED = np.dtype([("start", "i8"), ("size", "i8"), ("reason", "u1"), ("offset", "i8")])
_TRUNCATED = int(Reason.TRUNCATED)
_AUGMENTATION = int(Reason.AUGMENTATION)
_NO_CIE = int(Reason.NO_CIE)
_SIZE = int(Reason.SIZE)


@njit
def start_cies(data, big, vaddr, bases, cies, abi, states, rows):
    """Run the initial instructions of every CIE once."""
    stack = np.zeros((SCRATCH, STATE), np.int64)
    zero = np.zeros(STATE, np.int64)
    for i in range(len(cies)):
        cie = cies[i]
        start_state(zero, abi, cie.ra)
        states[i] = zero
        if cie.reason == 0:
            _, reason = run(
                data,
                cie.program,
                cie.end,
                big,
                vaddr,
                bases,
                cie,
                0,
                0,
                abi,
                states[i],
                zero,
                stack,
                rows,
                0,
            )
            cie.reason = max(reason, 0)


@njit
def fill(data, big, debug, vaddr, bases, cies, states, abi, functions, rows, refused):
    """Interpret every FDE; (functions, rows, refused) written."""
    stack = np.zeros((SCRATCH, STATE), np.int64)
    state = np.zeros(STATE, np.int64)
    n = 0
    row = 0
    out = 0
    at = np.int64(0)
    while at < len(data):
        entry = at
        body, end, id_, id_at, is_cie = header(data, at, big, debug)
        at = end
        if is_cie or end <= body:
            continue
        start = size = np.int64(0)
        reason = 0
        c = find_cie(cies, id_ if debug else id_at - id_)
        if c < 0:
            reason = _NO_CIE
        elif cies[c].reason:
            reason = np.int64(cies[c].reason)
        else:
            encoding = cies[c].encoding
            start, body, understood = pointer(data, body, end, big, encoding, vaddr, bases)
            size, body, _ = pointer(data, body, end, big, encoding & 0x0F, vaddr, bases)
            if not understood:
                reason = _AUGMENTATION
            elif body <= end and cies[c].augmented:
                length, body = uleb(data, body, end)
                if 0 <= length <= end - body:
                    body += length
                else:
                    body = end + 1
            if body > end:
                reason = _TRUNCATED
            elif not 0 <= size < 1 << 32:
                reason = _SIZE
        first = row
        if reason == 0:
            if size == 0:
                continue
            bases[2] = start
            state[:] = states[c]
            row, reason = run(
                data,
                body,
                end,
                big,
                vaddr,
                bases,
                cies[c],
                start,
                size,
                abi,
                state,
                states[c],
                stack,
                rows,
                first,
            )
        flags = 0
        if c >= 0:
            flags = SIGNAL * cies[c].signal + PAUTH_KEY_B * cies[c].key_b
        if reason == IS_PLT:
            skip = np.int64(rows[row].start)
            plt_row = row
            row, block, reason = write_plt(data, big, state, start + skip, abi, rows, plt_row)
            if reason == 0:
                if skip:
                    _put(functions[n], start, skip, first, plt_row - first, flags, 0)
                    n += 1
                _put(
                    functions[n],
                    start + skip,
                    size - skip,
                    plt_row,
                    row - plt_row,
                    flags | PCMASK,
                    block,
                )
                n += 1
        elif reason == 0:
            _put(functions[n], start, size, first, row - first, flags, 0)
            n += 1
        if reason:
            row = first
            refused[out].start = start
            refused[out].size = size
            refused[out].reason = reason
            refused[out].offset = entry
            out += 1
    return n, row, out


@njit
def _put(function, start, size, first_row, row_count, flags, rep_size):
    function.start = start
    function.size = size
    function.first_row = first_row
    function.row_count = row_count
    function.flags = flags
    function.rep_size = rep_size
