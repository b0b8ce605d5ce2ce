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
from ring3.sframe.table import SIGNAL, Reason, Refusal, Table, signed

# A hundred times what the largest real file has; also what its bytes can hold.
_ROWS_MAX = 1 << 27


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
    begin = signed(vaddr) + HEADER.itemsize + len(auxiliary)
    blocks = np.zeros(len(functions), REFUSED)
    blocks["reason"][(functions["size"] < 0) | (functions["size"] >> 32 != 0)] = Reason.SIZE
    if version == 3:
        silent = (functions["row_count"] == 0) & (functions["flags"] & SIGNAL == 0)
        blocks["reason"][silent] = Reason.NO_ROWS
    if version == 2:
        distance = functions["start"] - begin
        reach = (1 << 31) - len(functions) * index.itemsize - 1
        blocks["reason"][(distance >= reach) | (distance <= -reach)] = Reason.V2_DISTANCE
        blocks["reason"][(functions["flags"] & SIGNAL) != 0] = Reason.V2_SIGNAL
    earlier, count = _earlier(table, blocks["reason"] == 0, share)
    if count > _ROWS_MAX:
        raise Unsupported(f"{count:,} rows", remedy="let equal functions share them")
    out = np.empty(count * ROW_BYTES_MAX + len(functions) * ATTRIBUTE.itemsize, np.uint8)
    size, rows = write_blocks(
        functions,
        table.rows,
        earlier,
        make_abi(table.arch),
        version,
        share,
        order == ">",
        out,
        blocks,
    )
    if size >> 32:
        raise Unsupported("more than 4 GiB of rows")
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


def _earlier(table: Table, sayable: np.ndarray, share: bool) -> tuple[np.ndarray, int]:
    """For each function the index of an earlier one with the very same rows of the table, or -1; and
    how many rows are then left to write at most."""
    functions = table.functions
    earlier = np.full(len(functions), -1, np.int64)
    counts = functions["row_count"].astype(np.int64)
    count = int(counts.sum())
    if not share or count <= len(table.rows):
        return earlier, count
    chosen = np.flatnonzero(sayable)
    names = ("first_row", "row_count", "flags", "rep_size")
    key = np.stack([functions[name][chosen].astype(np.int64) for name in names], 1)
    _, first, same = np.unique(key, axis=0, return_index=True, return_inverse=True)
    held = chosen[first[same.reshape(-1)]]
    earlier[chosen] = np.where(held < chosen, held, -1)
    # The last block that is written may turn out to be there already.
    return earlier, int(counts[chosen[first]].sum() + counts.max())
