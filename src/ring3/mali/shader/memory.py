"""Loads, stores, atomics, buffer and attribute access."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ring3.errors import Unsupported
from ring3.mali.descriptors import Buffer, Resource, descriptor
from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.isa.model import Instruction
from ring3.mali.shader.integers import Execute, builds
from ring3.mali.shader.operands import (
    Array,
    Read,
    Selection,
    distinct,
    source32,
    source64,
    store32,
    store64,
)
from ring3.mali.shader.threads import NOWHERE, Threads

if TYPE_CHECKING:
    from numpy.typing import NDArray


def active_count(threads: Threads, sel: Selection) -> int:
    return threads.count if sel is None else len(sel)


def spread(value: Array, count: int) -> Array:
    """A value for each thread, where they agreed on one."""
    return np.broadcast_to(value, (count,)) if len(value) != count else value


def writers(threads: Threads, sel: Selection) -> Selection:
    """The threads whose stores count: helper threads' do not."""
    if threads.helpers is None:
        return sel
    chosen = np.arange(threads.count) if sel is None else sel
    return chosen[~threads.helpers[chosen]]


def place(instruction: Instruction, bits: int) -> tuple[int, str, bool]:
    """Staging register, lane and signedness of a load."""
    register, _ = instruction.staging(instruction.encoding.staging[0])
    lane = instruction.modifier(f"lane{bits}")
    if lane == "-":
        raise Unsupported(f"a reserved load lane of {instruction.encoding.name}")
    return register, lane, not instruction.flag("unsigned")


def deposit(
    threads: Threads, sel: Selection, target: tuple[int, str, bool], data: NDArray[np.uint8]
) -> None:
    """Put loaded bytes (n, size) into staging registers, extended as the lane says."""
    register, lane, signed = target
    size = data.shape[1]
    count = active_count(threads, sel)
    if len(data) != count:
        data = np.broadcast_to(data, (count, size))
    if lane[0] in "bh" and size <= 2:
        part = 8 if lane[0] == "b" else 16
        narrow = np.ascontiguousarray(data).view(f"<{'i' if signed else 'u'}{size}")[:, 0]
        row = threads.registers[register].view(f"u{part // 8}").reshape(-1, 32 // part)
        row[slice(None) if sel is None else sel, int(lane[1])] = narrow.astype(f"u{part // 8}")
        return
    if size % 4:
        fill = np.zeros((count, 4 - size % 4), dtype=np.uint8)
        if signed and lane in ("w0", "d0"):
            fill[data[:, -1] >= 128] = 255
        data = np.concatenate((data, fill), axis=1)
    words = np.ascontiguousarray(data).view("<u4")
    for index in range(words.shape[1]):
        store32(threads, sel, register + index, words[:, index])
    if lane == "d0":
        high = words[:, 0].view(np.int32) >> 31 if signed else np.zeros(count, np.int32)
        store32(threads, sel, register + 1, high.view(np.uint32))


def addresses(instruction: Instruction) -> Read:
    """Source 0, a 64-bit address, plus the offset, as int64."""
    base, offset = source64(instruction, 0), instruction.immediate("offset")
    step = np.int64(offset)
    return lambda threads, sel: base(threads, sel).view(np.int64) + step


def _clean(address: Array) -> Array:
    """Addresses beyond 2**58 and below 0 mean nothing: they fault as out of range."""
    if int(address.min()) < 0 or int(address.max()) >= NOWHERE << 1:
        bad = address[(address < 0) | (address >= NOWHERE << 1)][0]
        raise GpuFault(
            ExceptionCode.ADDR_SIZE_FAULT_IN, int(bad) & (1 << 64) - 1, "no 48-bit address"
        )
    return address


@builds("LOAD")
def _load(instruction: Instruction) -> Execute:
    bits = int(instruction.encoding.type[1:])
    address, target = addresses(instruction), place(instruction, bits)

    def run(threads: Threads, sel: Selection) -> None:
        at = _clean(address(threads, sel))
        deposit(threads, sel, target, threads.load(at, bits // 8))

    return run


@builds("STORE")
def _store(instruction: Instruction) -> Execute:
    size = int(instruction.encoding.type[1:]) // 8
    register, _ = instruction.staging(instruction.encoding.staging[0])
    address = addresses(instruction)
    words = (size + 3) // 4

    def run(threads: Threads, sel: Selection) -> None:
        sel = writers(threads, sel)
        count = active_count(threads, sel)
        if not count:
            return
        at = _clean(spread(address(threads, sel), count))
        rows = threads.registers[register : register + words]
        data = np.empty((count, words), dtype=np.uint32)
        for index in range(words):
            data[:, index] = rows[index] if sel is None else rows[index][sel]
        threads.store(at, data.view(np.uint8)[:, :size])

    return run


_ATOM1 = {
    "ainc": ("aadd", 1),
    "adec": ("aadd", -1),
    "aumax1": ("aumax", 1),
    "asmax1": ("asmax", 1),
    "aor1": ("aor", 1),
}


@builds("ATOM", "ATOM_RETURN", "ATOM1_RETURN")
def _atom(instruction: Instruction) -> Execute:
    encoding = instruction.encoding
    size = encoding.width // 8
    kind = np.uint32 if size == 4 else np.uint64
    address = addresses(instruction)
    written = next((item for item in encoding.staging if item.writes), None)
    read = next((item for item in encoding.staging if item.reads), None)
    target = instruction.staging(written) if written else (0, 0)
    operand_register = instruction.staging(read)[0] if read else None
    constant = 0
    if encoding.mnemonic == "ATOM1_RETURN":
        op, constant = _ATOM1[instruction.modifier("atom_opc_1")]
    else:
        op = instruction.modifier("atom_opc")
    if op == "-":
        raise Unsupported(f"a reserved operation of {encoding.name}")
    exchange = instruction.flag("compare")
    if exchange:
        op = "acmpxchg"

    def value(threads: Threads, sel: Selection, register: int) -> Array:
        low = threads.registers[register] if sel is None else threads.registers[register][sel]
        if size == 4:
            return low
        high = threads.registers[register + 1]
        high = high if sel is None else high[sel]
        return low.astype(np.uint64) | high.astype(np.uint64) << np.uint64(32)

    def run(threads: Threads, sel: Selection) -> None:
        sel = writers(threads, sel)
        count = active_count(threads, sel)
        if not count:
            return
        at = _clean(spread(address(threads, sel), count))
        if operand_register is None:
            operand = np.full(count, constant, dtype=np.int64).astype(kind)
        else:
            operand = value(threads, sel, operand_register)
        compare = operand
        if exchange and operand_register is not None:
            # The registers hold the new value, then the value to compare with.
            compare = value(threads, sel, operand_register + size // 4)
        old = threads.atomic(at, op, operand, compare, size)
        register, registers = target
        if written and registers:
            if size == 4:
                store32(threads, sel, register, old)
            else:
                store64(threads, sel, register, old)

    return run


# -- buffers through the resource tables ----------------------------------------------------------


#: Entries of this table are the resource tables themselves: how a shader reads its own descriptors.
TABLES = 62


def _buffer(threads: Threads, handle: int) -> Buffer:
    if handle >> 24 == TABLES:
        tables, index = threads.resources, handle & 0xFFFFFF
        if index >= tables & 63:
            raise GpuFault(
                ExceptionCode.DATA_INVALID_FAULT,
                tables & ~63,
                f"there is no resource table {index}",
            )
        found = Resource.read(threads.space, (tables & ~63) + Resource.BYTES * index)
        return Buffer(type=9, size=found.size, address=found.address)
    return descriptor(threads.space, threads.resources, handle >> 24, handle & 0xFFFFFF, Buffer)


def _buffer_address(threads: Threads, offset: Array, handle: Array, size: int) -> Array:
    """Addresses of ``offset`` in the buffers of ``handle``; NOWHERE where that is out of bounds."""
    count = max(len(offset), len(handle))
    offset = spread(offset, count).astype(np.int64)
    out = np.empty(count, dtype=np.int64)
    for each in distinct(handle):
        buffer = _buffer(threads, each)
        inside = offset + size <= buffer.size
        at = np.where(inside, offset + buffer.address, NOWHERE)
        if len(at) == count and (len(handle) == 1 or (handle == each).all()):
            return at
        mine = handle == each
        out[mine] = at[mine]
    return out


@builds("LD_BUFFER")
def _ld_buffer(instruction: Instruction) -> Execute:
    bits = int(instruction.encoding.type[1:])
    offset, handle = source32(instruction, 0), source32(instruction, 1)
    target = place(instruction, bits)

    def run(threads: Threads, sel: Selection) -> None:
        at = _buffer_address(threads, offset(threads, sel), handle(threads, sel), bits // 8)
        deposit(threads, sel, target, threads.load(at, bits // 8))

    return run


@builds("LD_GCLK")
def _ld_gclk(instruction: Instruction) -> Execute:
    """The GPU's clock: all sources are the same."""
    register, _ = instruction.staging(instruction.encoding.staging[0])

    def run(threads: Threads, sel: Selection) -> None:
        store64(threads, sel, register, np.array([threads.clock()], dtype=np.int64))

    return run


@builds("LEA_BUFFER")
def _lea_buffer(instruction: Instruction) -> Execute:
    offset, handle = source32(instruction, 0), source32(instruction, 1)
    register, count = instruction.staging(instruction.encoding.staging[0])

    def run(threads: Threads, sel: Selection) -> None:
        at = _buffer_address(threads, offset(threads, sel), handle(threads, sel), 1)
        store64(threads, sel, register, at)
        if count > 2:
            store32(threads, sel, register + 2, np.zeros(1, np.uint32))

    return run
