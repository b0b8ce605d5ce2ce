"""Instructions that look across threads or change the flow of control."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ring3.errors import Unsupported
from ring3.mali.isa.model import Instruction
from ring3.mali.shader.integers import COMPARE, Execute, builds
from ring3.mali.shader.memory import active_count, spread
from ring3.mali.shader.operands import (
    Array,
    Read,
    Selection,
    floating,
    integer,
    lanes,
    selection,
    source32,
    write32,
)
from ring3.mali.shader.threads import WARP, Threads

#: A branch: which of the executing threads take it, and where to.
Condition = Callable[[Threads, Selection], Array]

_SUBGROUP = {"subgroup2": 2, "subgroup4": 4, "subgroup8": 8, "subgroup16": 16}
_INACTIVE = {
    "zero": 0, "umax": 0xFFFFFFFF, "i1": 1, "v2i1": 0x00010001, "smin": 0x80000000,
    "smax": 0x7FFFFFFF, "v2smin": 0x80008000, "v2smax": 0x7FFF7FFF, "v4smin": 0x80808080,
    "v4smax": 0x7F7F7F7F, "f1": 0x3F800000, "v2f1": 0x3C003C00, "infn": 0xFF800000,
    "inf": 0x7F800000, "v2infn": 0xFC00FC00, "v2inf": 0x7C007C00,
}  # fmt: skip


def branch_condition(instruction: Instruction) -> Condition:
    """BRANCHZ and BRANCHZI: the threads whose value is not zero (``.eq``: is zero)."""
    source = instruction.encoding.sources[0]
    read = source32(instruction, 0)
    part, equal = selection(instruction, source), instruction.flag("eq")
    if part == "lowbits":
        raise Unsupported("BRANCHZ.lowbits is not there yet")

    def taken(threads: Threads, sel: Selection) -> Array:
        value = read(threads, sel)
        if part == "none":
            zero = value == 0
        else:
            halves = lanes(value, 16) == 0
            zero = halves.any(axis=1) if part == "and" else halves[:, int(part[1])]
        return zero if equal else ~zero

    return taken


def discard_condition(instruction: Instruction) -> Condition:
    a, b = (floating(instruction, number, 32) for number in (0, 1))
    test = COMPARE[instruction.modifier("cmp")]
    return lambda threads, sel: test(a(threads, sel), b(threads, sel))


def branch_target(instruction: Instruction) -> Read:
    """The low 32 bits of where BRANCHZI goes."""
    return source32(instruction, 1)


def _whole(threads: Threads, sel: Selection, value: Array, idle: int) -> Array:
    """A value by thread number, ``idle`` where a thread does not execute; padded to whole warps."""
    size = -(-threads.count // WARP) * WARP
    out = np.full(size, idle, dtype=value.dtype)
    if sel is None:
        out[: threads.count] = value
    else:
        out[sel] = value
    return out


@builds("CLPER")
def _clper(instruction: Instruction) -> Execute:
    if instruction.encoding.type not in ("i32", "s32"):
        raise Unsupported(f"{instruction.encoding.name} is not there yet")
    a, write = source32(instruction, 0), write32(instruction)
    lane = integer(instruction, 1, 32, False)
    size = _SUBGROUP[instruction.modifier("subgroup")]
    how = instruction.modifier("lane_op")
    idle = _INACTIVE[instruction.modifier("inactive")]
    if how == "accumulate":
        raise Unsupported("CLPER.accumulate is not there yet")

    def run(threads: Threads, sel: Selection) -> None:
        me = np.arange(threads.count) if sel is None else sel
        table = _whole(threads, sel, spread(a(threads, sel), len(me)), idle)
        by = spread(lane(threads, sel), len(me)).astype(np.int64)
        base, inside = me & -size, me & size - 1
        if how == "xor":
            chosen = inside ^ by & size - 1
        elif how == "shift":
            chosen = inside + by
        else:
            chosen = by & size - 1
        value = table[np.minimum(base + (chosen & size - 1), len(table) - 1)]
        write(threads, sel, np.where(chosen >= size, np.uint32(idle), value))

    return run


@builds("WMASK")
def _wmask(instruction: Instruction) -> Execute:
    read, write = source32(instruction, 0), write32(instruction)
    size = _SUBGROUP[instruction.modifier("subgroup")]

    def run(threads: Threads, sel: Selection) -> None:
        count = active_count(threads, sel)
        true = _whole(threads, sel, spread(read(threads, sel), count) != 0, 0)
        weights = np.uint32(1) << np.arange(size, dtype=np.uint32)
        masks = (true.reshape(-1, size) * weights).sum(axis=1, dtype=np.uint32)
        me = np.arange(threads.count) if sel is None else sel
        write(threads, sel, masks[me // size])

    return run
