"""Reading sources and writing destinations, for all threads of a selection at once.

A value is an array with one element a thread, or with one element when all threads agree (uniforms,
immediates); NumPy broadcasts the two.  ``sel`` is None for every thread, else the indices of those that
execute.  Vectors (v2f16, v4u8) have their lanes along a second axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.isa.declare import IMMEDIATES, SPECIAL
from ring3.mali.isa.model import Instruction, Source

if TYPE_CHECKING:
    from ring3.mali.shader.threads import Threads

Array = NDArray[Any]
Selection = NDArray[np.intp] | None
Read = Callable[["Threads", Selection], Array]
Write = Callable[["Threads", Selection, Array], None]

_UNSIGNED = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
_SIGNED = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}


def raw32(value: int, page: int) -> Read:
    """Source byte ``value`` as uint32."""
    kind, index = value >> 6, value & 63
    if kind < 2:

        def register(threads: Threads, sel: Selection) -> Array:
            row: Array = threads.registers[index]
            return row if sel is None else row[sel]

        return register
    if kind == 2:
        slot = index | page << 6

        def uniform(threads: Threads, sel: Selection) -> Array:
            return threads.uniforms[slot : slot + 1]

        return uniform
    if index < 32:
        constant = np.array([IMMEDIATES[index]], dtype=np.uint32)
        return lambda threads, sel: constant
    name = SPECIAL[page].get(index - 32 >> 1)
    if name is None:
        raise Unsupported(f"special constant {index - 32} of page {page} is not there yet")
    word = index & 1
    return lambda threads, sel: threads.special(name, word, sel)


def raw64(value: int, page: int) -> Read:
    """Source byte ``value`` and its successor as uint64."""
    low = raw32(value, page)
    if value >> 6 == 3 and value & 63 < 32:
        return lambda threads, sel: low(threads, sel).astype(np.uint64)
    high = raw32(value ^ 1 if value >> 6 == 3 else value + 1, page)
    return lambda threads, sel: join64(low(threads, sel), high(threads, sel))


def join64(low: Array, high: Array) -> Array:
    wide: Array = high.astype(np.uint64)
    wide = wide << np.uint64(32)
    return wide | low


def distinct(value: Array) -> list[int]:
    """The different values; threads that all agree are found without sorting."""
    if (value == value[0]).all():
        return [int(value[0])]
    return [int(item) for item in np.unique(value)]


def lanes(value: Array, bits: int) -> Array:
    """A uint32 array as (n, 32 / bits) unsigned lanes."""
    return np.ascontiguousarray(value).view(_UNSIGNED[bits]).reshape(-1, 32 // bits)


def pack(value: Array) -> Array:
    """Lanes along the last axis back to uint32."""
    return np.ascontiguousarray(value).view(np.uint32).reshape(-1)


def digits(name: str) -> list[int]:
    """Lane numbers of a selection: ``b0123`` -> [0, 1, 2, 3]."""
    return [int(character) for character in name[1:]]


def selection(instruction: Instruction, source: Source) -> str:
    """The name of the lane selection of ``source``, as written or by default."""
    if source.select is None:
        return "none"
    name = source.select.names[source.select.get(instruction.word)]
    if name == "-":
        raise Unsupported(f"a reserved lane selection of {instruction.encoding.name}")
    return name


def source32(instruction: Instruction, number: int) -> Read:
    source = instruction.encoding.sources[number]
    return raw32(instruction.source(source), instruction.page)


def source64(instruction: Instruction, number: int) -> Read:
    source = instruction.encoding.sources[number]
    return raw64(instruction.source(source), instruction.page)


def integer(instruction: Instruction, number: int, bits: int, signed: bool) -> Read:
    """Source ``number`` as integers of the type's width: (n,) for 32 and 64 bits, (n, lanes) below.

    Lane selections narrower than the type are sign- or zero-extended.
    """
    encoding = instruction.encoding
    source = encoding.sources[number]
    name = selection(instruction, source)
    target = (_SIGNED if signed else _UNSIGNED)[bits]
    plain = name == "none" or (bits, name) in ((16, "h01"), (8, "b0123"))
    if bits == 64:
        if plain:
            wide = source64(instruction, number)
            return lambda threads, sel: wide(threads, sel).view(target)
        read = source32(instruction, number)
        if name == "w0":
            narrow = _SIGNED[32] if signed else _UNSIGNED[32]
            return lambda threads, sel: read(threads, sel).view(narrow).astype(target)
        return _extended(read, name, signed, target)
    read = source32(instruction, number)
    if bits == 32:
        if plain:
            return lambda threads, sel: read(threads, sel).view(target)
        return _extended(read, name, signed, target)
    if plain:
        return lambda threads, sel: lanes(read(threads, sel), bits).view(target)
    part = 8 if name[0] == "b" else 16
    chosen = digits(name)
    if bits == 8 and len(chosen) == 2:
        chosen = chosen * 2
    kind = (_SIGNED if signed else _UNSIGNED)[part]
    return lambda threads, sel: lanes(read(threads, sel), part).view(kind)[:, chosen].astype(target)


def _extended(read: Read, name: str, signed: bool, target: Any) -> Read:
    part, lane = (8 if name[0] == "b" else 16), int(name[1])
    kind = (_SIGNED if signed else _UNSIGNED)[part]
    return lambda threads, sel: lanes(read(threads, sel), part).view(kind)[:, lane].astype(target)


def floating(instruction: Instruction, number: int, bits: int) -> Read:
    """Source ``number`` as float32 (n,), or float16 (n, 2), with negate, absolute, lanes, flushing."""
    encoding = instruction.encoding
    source = encoding.sources[number]
    name = selection(instruction, source)
    read = source32(instruction, number)
    word = instruction.word
    neg = source.neg is not None and word >> source.neg & 1
    absolute = source.absolute is not None and word >> source.absolute & 1
    half = bits == 16 or name in ("h0", "h1")
    sign = np.uint32(0x80008000 if half else 0x80000000)

    def signs(value: Array) -> Array:
        if absolute:
            value = value & ~sign
        if neg:
            value = value ^ sign
        return value

    if bits == 16:
        chosen = None if name in ("none", "h01") else digits(name)

        def halves(threads: Threads, sel: Selection) -> Array:
            value = lanes(signs(read(threads, sel)), 16).view(np.float16)
            if chosen is not None:
                value = value[:, chosen]
            return threads.flush16(value)

        return halves
    if half:
        lane = int(name[1])
        return lambda threads, sel: threads.flush16(
            lanes(signs(read(threads, sel)), 16).view(np.float16)[:, lane]
        ).astype(np.float32)
    if neg or absolute:
        return lambda threads, sel: threads.flush32(signs(read(threads, sel)).view(np.float32))
    return lambda threads, sel: threads.flush32(read(threads, sel).view(np.float32))


def write32(instruction: Instruction) -> Write:
    """The destination register, or one half of it, from uint32."""
    register, mask = instruction.destination
    if mask in (0, 3):

        def whole(threads: Threads, sel: Selection, value: Array) -> None:
            if sel is None:
                threads.registers[register] = value
            else:
                threads.registers[register][sel] = value

        return whole
    half = mask >> 1

    def part(threads: Threads, sel: Selection, value: Array) -> None:
        row = threads.registers[register].view(np.uint16).reshape(-1, 2)
        row[slice(None) if sel is None else sel, half] = lanes(value, 16)[:, half]

    return part


def write64(instruction: Instruction) -> Write:
    register, _ = instruction.destination
    return lambda threads, sel, value: store64(threads, sel, register, value)


def store32(threads: Threads, sel: Selection, register: int, value: Array) -> None:
    if sel is None:
        threads.registers[register] = value
    else:
        threads.registers[register][sel] = value


def store64(threads: Threads, sel: Selection, register: int, value: Array) -> None:
    bits = value.view(np.uint64)
    store32(threads, sel, register, bits.astype(np.uint32))
    store32(threads, sel, register + 1, (bits >> np.uint64(32)).astype(np.uint32))
