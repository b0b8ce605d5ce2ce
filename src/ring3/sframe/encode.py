"""The canonical table to SFrame bytes: V2 and V3.

Rows that repeat the one before them are merged; functions whose attributes and rows come to the same
bytes share one block, unless asked not to (libsframe's endian flip would flip a shared block twice).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ring3.errors import Unsupported
from ring3.sframe.encode_rows import REFUSED, ROW_BYTES_MAX, make_abi, write_blocks
from ring3.sframe.section import (
    ABI_OF,
    ATTRIBUTE,
    FIXED_RA,
    HEADER,
    INDEX,
    MAGIC,
    PCREL,
    SORTED,
)
from ring3.sframe.table import Reason, Refusal, Table


@dataclass(frozen=True)
class Encoded:
    """A section's bytes, and what they could not say of the table that they came from."""

    data: bytes
    refused: list[Refusal]
    functions: int
    rows: int  # rows in the section; a shared block counts once


def encode(
    table: Table, vaddr: int = 0, *, version: int = 3, share: bool = True, auxiliary: bytes = b""
) -> Encoded:
    """The section for address ``vaddr``, in the byte order of the table's architecture.

    ``auxiliary`` becomes the auxiliary header (255 bytes at most).  Functions that the version cannot
    say are left out and listed in ``refused`` together with the table's own refusals.  Raises
    Unsupported for a version other than 2 and 3.
    """
    if version not in (2, 3):
        raise Unsupported(f"no writing of SFrame version {version}", remedy="2 or 3")
    if len(auxiliary) > 255:
        raise Unsupported("an auxiliary header has 255 bytes at most")
    order: Literal["<", ">"] = ">" if table.arch.elf.endian == "big" else "<"
    functions = table.functions
    # A V2 descriptor reaches 2 GiB either way, from a place that is not known before all are placed:
    # leave room for the largest index.
    index = INDEX[version]
    begin = _signed(vaddr) + HEADER.itemsize + len(auxiliary)
    near = np.ones(len(functions), bool)
    if version == 2:
        distance = functions["start"] - begin
        reach = (1 << 31) - len(functions) * index.itemsize - 1
        near = (distance < reach) & (distance > -reach)
    out = np.empty(_bound(table), np.uint8)
    blocks = np.zeros(len(functions), REFUSED)
    size, rows = write_blocks(
        functions, table.rows, near, make_abi(table.arch), version, share, order == ">", out, blocks
    )
    kept = blocks["reason"] == 0
    chosen, placed = functions[kept], blocks[kept]
    fdes = np.zeros(len(chosen), index.newbyteorder(order))
    fdes["size"] = chosen["size"]
    fdes["fre_off"] = placed["offset"]
    fields = begin + np.arange(len(chosen), dtype=np.int64) * index.itemsize
    fdes["start"] = chosen["start"] - fields
    if version == 2:
        fdes["num_fres"] = placed["num_fres"]
        fdes["info"] = placed["info"]
        fdes["rep_size"] = chosen["rep_size"]
    header = np.zeros(1, HEADER.newbyteorder(order))
    header["magic"] = MAGIC
    header["version"] = version
    header["flags"] = SORTED | PCREL
    header["abi"] = ABI_OF[table.arch.name]
    header["cfa_fixed_ra_off"] = FIXED_RA[table.arch.name]
    header["auxhdr_len"] = len(auxiliary)
    header["num_fdes"] = len(fdes)
    header["num_fres"] = rows
    header["fre_len"] = size
    header["freoff"] = fdes.nbytes
    refused = [
        Refusal(int(function["start"]), int(function["size"]), Reason(block["reason"]))
        for function, block in zip(functions[~kept], blocks[~kept], strict=True)
    ]
    data = header.tobytes() + auxiliary + fdes.tobytes() + out[:size].tobytes()
    return Encoded(data, table.refused + refused, len(fdes), rows)


def _bound(table: Table) -> int:
    """No fewer bytes than the FREs can take."""
    count = int(table.functions["row_count"].sum())
    return count * ROW_BYTES_MAX + len(table.functions) * ATTRIBUTE.itemsize


def _signed(address: int) -> int:
    return address - (1 << 64) if address >> 63 else address
