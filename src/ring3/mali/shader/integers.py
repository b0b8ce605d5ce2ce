"""Integer instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ring3.errors import Unsupported
from ring3.mali.isa.model import Instruction
from ring3.mali.shader.operands import (
    Array,
    Read,
    Selection,
    digits,
    integer,
    lanes,
    pack,
    selection,
    source32,
    source64,
    write32,
    write64,
)

if TYPE_CHECKING:
    from ring3.mali.shader.threads import Threads

Execute = Callable[["Threads", Selection], None]
Build = Callable[[Instruction], Execute]
BUILD: dict[str, Build] = {}

WIDE: dict[int, Any] = {8: np.int16, 16: np.int32, 32: np.int64, 64: np.int64}
UNSIGNED: dict[int, Any] = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


def builds(*names: str) -> Callable[[Build], Build]:
    """Register the builder of instructions by mnemonic."""

    def register(build: Build) -> Build:
        for name in names:
            BUILD[name] = build
        return build

    return register


def signed_type(instruction: Instruction) -> bool:
    kind = instruction.encoding.type
    return kind.startswith("s") or kind[2:3] == "s"


def result(instruction: Instruction, bits: int) -> Callable[[Threads, Selection, Array], None]:
    """Writes (n,) of 32 or 64 bits, or (n, lanes) of narrower ones, truncated to the type."""
    if bits == 64:
        return write64(instruction)
    write = write32(instruction)
    kind = UNSIGNED[bits]
    if bits == 32:
        return lambda threads, sel, value: write(threads, sel, value.astype(kind, copy=False))
    return lambda threads, sel, value: write(threads, sel, pack(value.astype(kind, copy=False)))


def unary(instruction: Instruction, function: Callable[[Array], Array]) -> Execute:
    read, write = source32(instruction, 0), write32(instruction)
    return lambda threads, sel: write(threads, sel, function(read(threads, sel)))


def binary(
    instruction: Instruction, function: Callable[[Array, Array], Array], *, wide: bool = False
) -> Execute:
    """``function`` on both sources; ``wide``: in a type that cannot overflow, then clipped."""
    bits, signed = instruction.encoding.width, signed_type(instruction)
    a, b = (integer(instruction, number, bits, signed) for number in (0, 1))
    write = result(instruction, bits)
    if not wide:
        return lambda threads, sel: write(threads, sel, function(a(threads, sel), b(threads, sel)))
    if bits == 64:
        raise Unsupported(f"{instruction.encoding.name}.saturate is not there yet")
    # A product of unsigned 32-bit numbers needs all of uint64; differences need a sign.
    kind = np.uint64 if function is np.multiply and not signed else WIDE[bits]
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def clipped(threads: Threads, sel: Selection) -> None:
        value = function(a(threads, sel).astype(kind), b(threads, sel).astype(kind))
        write(threads, sel, np.clip(value, low, high))

    return clipped


@builds("IADD")
def _iadd(instruction: Instruction) -> Execute:
    return binary(instruction, lambda a, b: a + b, wide=instruction.flag("saturate"))


@builds("ISUB")
def _isub(instruction: Instruction) -> Execute:
    return binary(instruction, lambda a, b: a - b, wide=instruction.flag("saturate"))


@builds("IMUL")
def _imul(instruction: Instruction) -> Execute:
    return binary(instruction, np.multiply, wide=instruction.flag("saturate"))


@builds("IMULD")
def _imuld(instruction: Instruction) -> Execute:
    reads = []
    for number, source in enumerate(instruction.encoding.sources):
        name = selection(instruction, source)
        if name not in ("none", "w0"):
            reads.append(integer(instruction, number, 64, False))
        else:
            reads.append(source32(instruction, number))
    a, b = reads
    write = write64(instruction)
    return lambda threads, sel: write(
        threads, sel, a(threads, sel).astype(np.uint64) * b(threads, sel).astype(np.uint64)
    )


@builds("HADD")
def _hadd(instruction: Instruction) -> Execute:
    bits, signed = instruction.encoding.width, signed_type(instruction)
    a, b = (integer(instruction, number, bits, signed) for number in (0, 1))
    write, kind = result(instruction, bits), WIDE[bits]
    more = kind(1 if instruction.flag("rhadd") else 0)
    return lambda threads, sel: write(
        threads, sel, (a(threads, sel).astype(kind) + b(threads, sel).astype(kind) + more) >> 1
    )


@builds("SHADDX")
def _shaddx(instruction: Instruction) -> Execute:
    a = source64(instruction, 0)
    b = integer(instruction, 1, 64, signed_type(instruction))
    shift = np.uint64(instruction.immediate("shift"))
    write = write64(instruction)
    return lambda threads, sel: write(
        threads, sel, a(threads, sel) + (b(threads, sel).view(np.uint64) << shift)
    )


@builds("SEG_ADD")
def _seg_add(instruction: Instruction) -> Execute:
    a = source64(instruction, 0)
    b = integer(instruction, 1, 64, False)
    write, minus = write64(instruction), instruction.flag("neg")
    keep = instruction.flag("preserve_null")

    def run(threads: Threads, sel: Selection) -> None:
        base, offset = a(threads, sel), b(threads, sel)
        value = base - offset if minus else base + offset
        if keep:
            value = np.where(base == 0, np.uint64(0), value)
        write(threads, sel, value)

    return run


@builds("IADD_IMM")
def _iadd_imm(instruction: Instruction) -> Execute:
    bits = instruction.encoding.width
    read, write = source32(instruction, 0), write32(instruction)
    constant = np.array([instruction.immediate("constant")], dtype=np.uint32)
    if bits == 32:
        return lambda threads, sel: write(threads, sel, read(threads, sel) + constant)
    parts = lanes(constant, bits)
    return lambda threads, sel: write(threads, sel, pack(lanes(read(threads, sel), bits) + parts))


@builds("MOV")
def _mov(instruction: Instruction) -> Execute:
    return unary(instruction, lambda value: value)


@builds("NOT_OLD")
def _not(instruction: Instruction) -> Execute:
    if instruction.encoding.width == 64:
        read, write = source64(instruction, 0), write64(instruction)
        return lambda threads, sel: write(threads, sel, ~read(threads, sel))
    return unary(instruction, lambda value: ~value)


@builds("POPCOUNT")
def _popcount(instruction: Instruction) -> Execute:
    return unary(instruction, lambda value: np.bitwise_count(value).astype(np.uint32))


@builds("BITREV")
def _bitrev(instruction: Instruction) -> Execute:
    return unary(instruction, reverse_bits)


def reverse_bits(value: Array) -> Array:
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F)):
        mask32 = np.uint32(mask)
        value = (value >> np.uint32(shift)) & mask32 | (value & mask32) << np.uint32(shift)
    return value.byteswap()


@builds("CLZ")
def _clz(instruction: Instruction) -> Execute:
    bits = instruction.encoding.width
    read, write = integer(instruction, 0, bits, False), result(instruction, bits)

    def run(threads: Threads, sel: Selection) -> None:
        value = read(threads, sel).astype(np.float64)
        # frexp's exponent of an integer is its bit length; these are exact in float64.
        write(threads, sel, bits - np.frexp(value)[1])

    return run


@builds("IABS")
def _iabs(instruction: Instruction) -> Execute:
    bits = instruction.encoding.width
    read, write = integer(instruction, 0, bits, True), result(instruction, bits)
    return lambda threads, sel: write(threads, sel, np.abs(read(threads, sel)))


def _convert(bits_in: int, signed: bool) -> Build:
    """Narrow integers to 32-bit integers; the lane selection is one lane."""

    def build(instruction: Instruction) -> Execute:
        read, write = one_lane(instruction, bits_in, signed), write32(instruction)
        kind = np.int32 if signed else np.uint32
        return lambda threads, sel: write(
            threads, sel, read(threads, sel).astype(kind).view(np.uint32)
        )

    return build


def one_lane(instruction: Instruction, bits: int, signed: bool) -> Read:
    read = source32(instruction, 0)
    lane = int(selection(instruction, instruction.encoding.sources[0])[1])
    kind = np.dtype(f"{'i' if signed else 'u'}{bits // 8}")
    return lambda threads, sel: lanes(read(threads, sel), bits).view(kind)[:, lane]


def two_bytes(instruction: Instruction, signed: bool) -> Read:
    read = source32(instruction, 0)
    chosen = digits(selection(instruction, instruction.encoding.sources[0]))
    kind = np.int8 if signed else np.uint8
    return lambda threads, sel: lanes(read(threads, sel), 8).view(kind)[:, chosen]


BUILD["S16_TO_S32"] = _convert(16, True)
BUILD["U16_TO_U32"] = _convert(16, False)
BUILD["S8_TO_S32"] = _convert(8, True)
BUILD["U8_TO_U32"] = _convert(8, False)


@builds("V2S8_TO_V2S16", "V2U8_TO_V2U16")
def _widen_bytes(instruction: Instruction) -> Execute:
    signed = "S8" in instruction.encoding.name
    read, write = two_bytes(instruction, signed), write32(instruction)
    kind = np.int16 if signed else np.uint16
    return lambda threads, sel: write(threads, sel, pack(read(threads, sel).astype(kind)))


_LOGIC: dict[str, Callable[[Array, Array], Array]] = {
    "AND": np.bitwise_and,
    "OR": np.bitwise_or,
    "XOR": np.bitwise_xor,
}


@builds("LSHIFT_AND", "LSHIFT_OR", "LSHIFT_XOR", "RSHIFT_AND", "RSHIFT_OR", "RSHIFT_XOR")
def _shift(instruction: Instruction) -> Execute:
    encoding = instruction.encoding
    bits, signed = encoding.width, instruction.flag("signed")
    kind = UNSIGNED[bits]
    a = integer(instruction, 0, bits, signed)
    amount = source32(instruction, 1)
    chosen = digits(selection(instruction, encoding.sources[1]))
    if bits in (32, 64):
        chosen = chosen[:1]
    elif bits == 8:
        chosen = [0, 1, 2, 3] if chosen == [0, 2] else chosen * 2
    invert = encoding.sources[2].invert
    inverted = invert is not None and bool(instruction.word >> invert & 1)
    b = source64(instruction, 2) if bits == 64 else source32(instruction, 2)
    left, logic = encoding.name[0] == "L", _LOGIC[encoding.mnemonic.partition("_")[2]]
    not_result = instruction.flag("not_result")
    write = result(instruction, bits)
    # Only bits 0 to log2(width) - 1 of a shift count matter.
    limit = np.uint8(bits - 1)

    def run(threads: Threads, sel: Selection) -> None:
        value = a(threads, sel)
        count = lanes(amount(threads, sel), 8)[:, chosen] & limit
        if bits >= 32:
            count = count[:, 0]
        shift = count.astype(value.dtype)
        shifted = (value << shift if left else value >> shift).view(kind)
        other = b(threads, sel)
        if bits < 32:
            other = lanes(other, bits)
        value = logic(shifted, ~other if inverted else other)
        write(threads, sel, ~value if not_result else value)

    return run


COMPARE: dict[str, Callable[[Array, Array], Array]] = {
    "eq": np.equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gtlt": lambda a, b: (a < b) | (a > b),
    "total": lambda a, b: (a == a) & (b == b),  # noqa: PLR0124 - false for NaN
}

_TRUE = {
    ("i1", 32): 1,
    ("i1", 16): 1,
    ("i1", 8): 1,
    ("f1", 32): 0x3F800000,
    ("f1", 16): 0x3C00,
    ("m1", 32): 0xFFFFFFFF,
    ("m1", 16): 0xFFFF,
    ("m1", 8): 0xFF,
    ("u1", 32): 1,
}


def comparison(instruction: Instruction, a: Read, b: Read, bits: int) -> Execute:
    """ICMP and FCMP: compare, combine with the third source, give true as the result type says."""
    encoding = instruction.encoding
    test = COMPARE[instruction.modifier("cmp")]
    kind = instruction.modifier("result")
    true = _TRUE.get((kind, bits))
    if true is None:
        raise Unsupported(f"{encoding.name}.{kind} is not there yet")
    c, write = source32(instruction, 2), result(instruction, bits)
    value = UNSIGNED[bits](true)
    how = encoding.mnemonic.partition("_")[2]

    def run(threads: Threads, sel: Selection) -> None:
        left, right = a(threads, sel), b(threads, sel)
        holds = test(left, right)
        before = c(threads, sel)
        already = (before if bits == 32 else lanes(before, bits)) != 0
        if how == "OR":
            holds = holds | already
        elif how == "AND":
            holds = holds & already
        elif kind != "u1":
            # The high half of a 64-bit compare: where it is equal, the low half decides.
            holds = np.where(left == right, already, holds)
        write(threads, sel, holds * value)

    return run


@builds("ICMP_OR", "ICMP_AND", "ICMP_MULTI")
def _icmp(instruction: Instruction) -> Execute:
    bits, signed = instruction.encoding.width, signed_type(instruction)
    a, b = (integer(instruction, number, bits, signed) for number in (0, 1))
    return comparison(instruction, a, b, bits)


@builds("MUX")
def _mux(instruction: Instruction) -> Execute:
    bits = instruction.encoding.width
    reads = [integer(instruction, number, bits, False) for number in range(3)]
    write, how = result(instruction, bits), instruction.modifier("mux")
    sign = UNSIGNED[bits](1 << bits - 1)

    def run(threads: Threads, sel: Selection) -> None:
        a, b, mask = (read(threads, sel) for read in reads)
        if how == "bit":
            write(threads, sel, a & mask | b & ~mask)
            return
        if how == "neg":
            chosen = mask & sign != 0
        elif how == "int_zero":
            chosen = mask == 0
        else:
            chosen = mask & ~sign == 0
        write(threads, sel, np.where(chosen, a, b))

    return run


@builds("MKVEC")
def _mkvec(instruction: Instruction) -> Execute:
    encoding = instruction.encoding
    write = write32(instruction)
    first = [digits(selection(instruction, source))[0] for source in encoding.sources[:2]]
    a, b = source32(instruction, 0), source32(instruction, 1)
    bits = encoding.width
    shift = np.uint32(bits)

    def pair(threads: Threads, sel: Selection) -> Array:
        low = lanes(a(threads, sel), bits)[:, first[0]].astype(np.uint32)
        high = lanes(b(threads, sel), bits)[:, first[1]].astype(np.uint32)
        return low | high << shift

    if bits == 16:
        return lambda threads, sel: write(threads, sel, pair(threads, sel))
    rest = source32(instruction, 2)
    return lambda threads, sel: write(
        threads, sel, pair(threads, sel) | rest(threads, sel) << np.uint32(16)
    )


@builds("IDP")
def _idp(instruction: Instruction) -> Execute:
    signed = instruction.encoding.type == "v4s8"
    kind = np.int8 if signed else np.uint8
    reads = [source32(instruction, number) for number in range(3)]
    write, saturate = write32(instruction), instruction.flag("saturate")

    def run(threads: Threads, sel: Selection) -> None:
        a, b = (lanes(read(threads, sel), 8).view(kind).astype(np.int64) for read in reads[:2])
        accumulator = reads[2](threads, sel).view(np.int32 if signed else np.uint32)
        value = (a * b).sum(axis=1) + accumulator.astype(np.int64)
        if saturate:
            low, high = (-1 << 31, (1 << 31) - 1) if signed else (0, (1 << 32) - 1)
            value = np.clip(value, low, high)
        write(threads, sel, value.astype(np.uint32))

    return run
