"""SFrame rows to the canonical table.

Layout of rows and words: the SFrame specification, chapter "SFrame FRE" and the appendix on
interpretation by ABI; where the appendix has FP's index the wrong way round, what libsframe does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ring3.sframe.decode_rows import FAULTS, block, make_abi
from ring3.sframe.section import FDE_KEY_B, FDE_PCMASK, FDE_SIGNAL, Section
from ring3.sframe.table import FUNCTION, PAUTH_KEY_B, PCMASK, ROW, SIGNAL, Table


def decode(section: Section) -> Table:
    """The table that ``section`` says.  Functions that share a block of rows share it here.

    Raises BadInput, naming the function descriptor and its offset, for blocks that leave the FRE
    sub-section or overlap, and for types, sizes and orders that the format does not have.
    """
    fdes = section.fdes
    order = np.argsort(fdes["start"], kind="stable")
    fdes = fdes[order]
    functions: Any = np.zeros(len(fdes), FUNCTION)
    functions["start"] = fdes["start"]
    functions["size"] = fdes["size"]
    info = fdes["info"]
    masked = (info & FDE_PCMASK) != 0
    functions["flags"] = (
        PCMASK * masked
        + SIGNAL * ((info & FDE_SIGNAL) != 0)
        + PAUTH_KEY_B * (((info & FDE_KEY_B) != 0) & (section.arch.family == "arm64"))
    )
    functions["rep_size"] = fdes["rep_size"] * masked
    if (masked & (fdes["rep_size"] == 0)).any():
        bad = int((masked & (fdes["rep_size"] == 0)).argmax())
        section.fail("a PCMASK function without a block size", int(order[bad]))
    key = np.stack([fdes["rows"], fdes["num_fres"], info & ~np.uint8(FDE_PCMASK), fdes["info2"]], 1)
    # No two rows share a byte, and a row takes two bytes at least; one more for outermost functions.
    rows: Any = np.zeros(len(section.fres) // 2 + 1, ROW)
    seen, first, same = np.unique(key, axis=0, return_index=True, return_inverse=True)
    blocks = np.zeros((len(seen), 2), np.int32)
    abi = make_abi(section)
    count, fault, bad = block(
        section.fres, section.big, section.version, abi, fdes[first], blocks, rows
    )
    if fault:
        section.fail(FAULTS[fault], int(order[first[bad]]))
    functions["first_row"] = blocks[same.reshape(-1), 0]
    functions["row_count"] = blocks[same.reshape(-1), 1]
    return Table(section.arch, functions, rows[:count].copy())
