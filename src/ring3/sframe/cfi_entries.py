"""Walks .eh_frame and .debug_frame: where the entries are, and what each CIE says.

Layout: DWARF 5, section 6.4.1; for .eh_frame LSB Core, section 10.6.  The walk goes by the entries' own
lengths, so that no entry is seen twice however much a file lies.
"""

# Numba infers the types of what it compiles.
# mypy: disallow-untyped-defs=False, check-untyped-defs=False

from __future__ import annotations

import numpy as np

from ring3.compiled import njit
from ring3.sframe.cfi_bytes import pointer, sleb, uleb, unsigned
from ring3.sframe.table import Reason

CIE = np.dtype(
    [
        ("offset", "i8"),
        ("program", "i8"),  # first byte of the initial instructions
        ("end", "i8"),
        ("code_align", "i8"),
        ("data_align", "i8"),
        ("ra", "i8"),
        ("encoding", "u1"),  # of FDE pointers
        ("augmented", "u1"),  # FDEs carry augmentation data
        ("signal", "u1"),
        ("key_b", "u1"),
        ("reason", "u1"),  # a Reason that refuses every FDE of it, or 0
    ],
    align=True,
)
_ALIGN_MAX = 1 << 12
_TRUNCATED = int(Reason.TRUNCATED)
_AUGMENTATION = int(Reason.AUGMENTATION)


@njit
def header(data, at, big, debug):
    """(first byte after id, end, id, its position, is CIE) of the entry at ``at``.

    The end is ``at + 4`` for a terminator and -1 for an entry that leaves the section.
    """
    total = len(data)
    if at + 4 > total:
        return at, np.int64(-1), np.int64(0), at, False
    length = unsigned(data, at, 4, big)
    body = at + 4
    width = 4
    if length == 0:
        return body, body, np.int64(0), body, False
    if length == 0xFFFFFFFF:
        if at + 12 > total:
            return at, np.int64(-1), np.int64(0), at, False
        length = unsigned(data, body, 8, big)
        body += 8
        width = 8 if debug else 4
    if length < width or length > total - body:
        return at, np.int64(-1), np.int64(0), at, False
    id_ = unsigned(data, body, width, big)
    if debug:
        cie = id_ == (-1 if width == 8 else 0xFFFFFFFF)
    else:
        cie = id_ == 0
    return body + width, body + length, id_, body, cie


@njit
def count(data, big, debug):
    """(CIEs, FDEs, offset of the first entry that leaves the section or -1)."""
    cies = 0
    fdes = 0
    at = np.int64(0)
    while at < len(data):
        body, end, _, _, cie = header(data, at, big, debug)
        if end < 0:
            return cies, fdes, at
        if end > body:
            if cie:
                cies += 1
            else:
                fdes += 1
        at = end
    return cies, fdes, np.int64(-1)


@njit
def until_terminator(data, big):
    """Bytes of an .eh_frame that begins ``data``: up to its terminator or to what is no entry."""
    at = np.int64(0)
    while at < len(data):
        body, end, _, _, _ = header(data, at, big, False)
        if end <= body:
            break
        at = end
    return at


@njit
def read_cies(data, big, debug, vaddr, cies):
    """Fill ``cies`` (CIE) in order of offset."""
    n = 0
    at = np.int64(0)
    while at < len(data):
        body, end, _, _, is_cie = header(data, at, big, debug)
        if end > body and is_cie:
            cies[n].offset = at
            cies[n].end = end
            cies[n].reason = _read_cie(data, body, end, big, debug, vaddr, cies[n])
            n += 1
        at = end


@njit
def _read_cie(data, at, end, big, debug, vaddr, cie):
    """Fill one CIE from its version byte on; 0 or a Reason."""
    cie.encoding = 0
    if at >= end:
        return _TRUNCATED
    version = data[at]
    if version not in (1, 3, 4):
        return _AUGMENTATION
    letters = at + 1
    at = letters
    while at < end and data[at]:
        at += 1
    letters_end = at
    at += 1
    if letters_end - letters == 2 and data[letters] == ord("e") and data[letters + 1] == ord("h"):
        at += 8  # a pointer that GCC 2 wrote
        letters = letters_end
    if version == 4:
        if at + 2 > end or data[at] != 8 or data[at + 1] != 0:
            return _AUGMENTATION  # other address sizes, segmented memory
        at += 2
    cie.code_align, at = uleb(data, at, end)
    cie.data_align, at = sleb(data, at, end)
    if version == 1:
        if at >= end:
            return _TRUNCATED
        cie.ra = data[at]
        at += 1
    else:
        cie.ra, at = uleb(data, at, end)
    if at > end or not (0 < cie.code_align <= _ALIGN_MAX and abs(cie.data_align) <= _ALIGN_MAX):
        return _TRUNCATED
    program = at
    bases = np.zeros(3, np.int64)
    for i in range(letters, letters_end):
        letter = data[i]
        if letter == ord("z") and i == letters:
            cie.augmented = 1
            size, at = uleb(data, at, end)
            if at > end or not 0 <= size <= end - at:
                return _TRUNCATED
            program = at + size
        elif letter == ord("R"):
            if at >= end:
                return _TRUNCATED
            cie.encoding = data[at]
            at += 1
        elif letter == ord("L"):
            at += 1
        elif letter == ord("P"):
            if at >= end:
                return _TRUNCATED
            # Where the personality routine is does not matter, only how long its pointer is.
            _, at, understood = pointer(data, at + 1, end, big, data[at] & 0x7F, vaddr, bases)
            if not understood:
                return _AUGMENTATION
        elif letter == ord("S"):
            cie.signal = 1
        elif letter == ord("B"):
            cie.key_b = 1
        elif letter != ord("G"):  # G: frames with memory tags (AArch64); nothing to unwind by
            return _AUGMENTATION
    if not cie.augmented:
        program = at
    if at > end:
        return _TRUNCATED
    cie.program = program
    return 0


@njit
def find_cie(cies, offset):
    """Index of the CIE at ``offset``, or -1."""
    low = 0
    high = len(cies)
    while low < high:
        middle = (low + high) >> 1
        if cies[middle].offset < offset:
            low = middle + 1
        else:
            high = middle
    return low if low < len(cies) and cies[low].offset == offset else -1
