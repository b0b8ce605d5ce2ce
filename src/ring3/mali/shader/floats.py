"""Floating-point instructions.

Results are rounded once, to nearest even unless the instruction says otherwise.  Subnormals are kept or
flushed as the shader program's flush-to-zero mode says (:meth:`Threads.flush32`).  The special functions
(FRCP, FRSQ, FLOGD, FEXP, the tables) return the correctly rounded value, which is better than the hardware
promises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ring3.mali.isa.model import Instruction
from ring3.mali.shader.integers import (
    BUILD,
    COMPARE,
    Build,
    Execute,
    builds,
    comparison,
    one_lane,
    result,
    two_bytes,
)
from ring3.mali.shader.kernels import fma32
from ring3.mali.shader.operands import (
    Array,
    Selection,
    floating,
    integer,
    lanes,
    pack,
    source32,
    write32,
)

if TYPE_CHECKING:
    from ring3.mali.shader.threads import Threads

F32, F64, F16 = np.float32, np.float64, np.float16
WriteFloat = Callable[["Threads", Selection, Array], None]


def fmin(a: Array, b: Array) -> Array:
    """IEEE minimumNumber: the other operand where one is NaN; -0 is less than +0."""
    return _zeros(np.fmin(a, b), a, b, np.bitwise_or)


def fmax(a: Array, b: Array) -> Array:
    """IEEE maximumNumber."""
    return _zeros(np.fmax(a, b), a, b, np.bitwise_and)


def _zeros(value: Array, a: Array, b: Array, combine: Any) -> Array:
    equal = (a == b) & (a == 0)
    if not equal.any():
        return value
    kind = np.uint32 if value.dtype == F32 else np.uint16
    bits = combine(a.view(kind), b.view(kind))
    fixed: Array = np.where(equal, bits, value.view(kind)).view(value.dtype)
    return fixed


_CLAMPS: dict[str, tuple[float | None, float | None]] = {
    "none": (None, None),
    "clamp_0_inf": (0.0, None),
    "clamp_m1_1": (-1.0, 1.0),
    "clamp_0_1": (0.0, 1.0),
}


def clamped(value: Array, clamp: str) -> Array:
    """min(max(value, low), high) by the rules of fmin and fmax: NaN gives the lower bound."""
    low, high = _CLAMPS[clamp or "none"]
    if low is not None:
        value = fmax(value, np.full(1, low, value.dtype))
    if high is not None:
        value = fmin(value, np.full(1, high, value.dtype))
    return value


def output(instruction: Instruction, bits: int) -> WriteFloat:
    """Clamp, flush and write a float result: (n,) float32, or float16 in half a register; (n, 2) float16."""
    clamp, write = instruction.modifier("clamp"), write32(instruction)
    plain = clamp in ("", "none")
    if bits == 16:

        def halves(threads: Threads, sel: Selection, value: Array) -> None:
            value = threads.flush16(value if plain else clamped(value, clamp))
            write(threads, sel, pack(value))

        return halves

    if instruction.destination[1] in (1, 2):
        # One half of a register: the float32 result is rounded once more, to float16.
        def narrowed(threads: Threads, sel: Selection, value: Array) -> None:
            value = threads.flush32(value if plain else clamped(value, clamp))
            half = threads.flush16(value.astype(F16))
            write(threads, sel, pack(np.stack((half, half), axis=1)))

        return narrowed

    def whole(threads: Threads, sel: Selection, value: Array) -> None:
        value = threads.flush32(value if plain else clamped(value, clamp))
        write(threads, sel, value.view(np.uint32))

    return whole


def _arith(instruction: Instruction, count: int, function: Callable[..., Array]) -> Execute:
    bits = 16 if instruction.encoding.width == 16 else 32
    reads = [floating(instruction, number, bits) for number in range(count)]
    write = output(instruction, bits)
    return lambda threads, sel: write(
        threads, sel, function(*(read(threads, sel) for read in reads))
    )


@builds("FADD")
def _fadd(instruction: Instruction) -> Execute:
    return _arith(instruction, 2, np.add)


@builds("FMIN")
def _fmin(instruction: Instruction) -> Execute:
    return _arith(instruction, 2, fmin)


@builds("FMAX")
def _fmax(instruction: Instruction) -> Execute:
    return _arith(instruction, 2, fmax)


def fma16(a: Array, b: Array, c: Array) -> Array:
    """float16 a * b + c.  In float64 the product is exact and the sum keeps every bit that can decide a
    tie: a float16 has 11 significant bits and exponents from -24 to 15."""
    wide = a.astype(F64) * b.astype(F64) + c.astype(F64)
    return wide.astype(F16)


@builds("FMA")
def _fma(instruction: Instruction) -> Execute:
    if instruction.encoding.width == 16:
        return _arith(instruction, 3, fma16)
    return _arith(instruction, 3, fma32)


@builds("FADD_IMM")
def _fadd_imm(instruction: Instruction) -> Execute:
    bits = 16 if instruction.encoding.width == 16 else 32
    read, write = floating(instruction, 0, bits), output(instruction, bits)
    constant = np.array([instruction.immediate("constant")], dtype=np.uint32)
    other = lanes(constant, 16).view(F16) if bits == 16 else constant.view(F32)
    return lambda threads, sel: write(threads, sel, read(threads, sel) + other)


@builds("CSEL")
def _csel(instruction: Instruction) -> Execute:
    encoding = instruction.encoding
    bits = encoding.width
    test = COMPARE[instruction.modifier("cmp")]
    kind = encoding.type.lstrip("v2")[0] if encoding.type.startswith("v2") else encoding.type[0]
    if kind == "f":
        a, b = (floating(instruction, number, bits) for number in (0, 1))
    else:
        a, b = (integer(instruction, number, bits, kind == "s") for number in (0, 1))
    yes, no = (integer(instruction, number, bits, False) for number in (2, 3))
    write = result(instruction, bits)
    return lambda threads, sel: write(
        threads,
        sel,
        np.where(test(a(threads, sel), b(threads, sel)), yes(threads, sel), no(threads, sel)),
    )


@builds("FCMP_OR", "FCMP_AND")
def _fcmp(instruction: Instruction) -> Execute:
    bits = 16 if instruction.encoding.width == 16 else 32
    a, b = (floating(instruction, number, bits) for number in (0, 1))
    return comparison(instruction, a, b, bits)


# -- rounding and conversion ----------------------------------------------------------------------

_ROUND: dict[str, Callable[[Array], Array]] = {
    "rte": np.rint,
    "rtp": np.ceil,
    "rtn": np.floor,
    "rtz": np.trunc,
}


def rounded(value: Array, kind: Any, mode: str) -> Array:
    """float64 ``value`` in the narrower float ``kind``, rounded by ``mode``."""
    near = value.astype(kind)
    if mode in ("", "rte"):
        return near
    back = near.astype(F64)
    down, up = np.nextafter(near, kind(-np.inf)), np.nextafter(near, kind(np.inf))
    low = np.where(back > value, down, near)
    high = np.where(back < value, up, near)
    if mode == "rtn":
        return low
    if mode == "rtp":
        return high
    return np.where(value < 0, high, low)


@builds("FROUND")
def _fround(instruction: Instruction) -> Execute:
    return _arith(instruction, 1, _ROUND[instruction.modifier("round")])


def _to_integer(value: Array, mode: str, bits: int, signed: bool) -> Array:
    """Round, saturate; NaN is 0."""
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    wide = np.clip(_ROUND[mode](value.astype(F64)), low, high)
    kind = np.dtype(f"{'i' if signed else 'u'}{bits // 8}")
    return np.where(np.isnan(wide), 0.0, wide).astype(np.int64).astype(kind)


@builds("F32_TO_S32", "F32_TO_U32", "V2F16_TO_V2S16", "V2F16_TO_V2U16", "F16_TO_S32", "F16_TO_U32")
def _float_to_integer(instruction: Instruction) -> Execute:
    name = instruction.encoding.mnemonic
    signed, mode = name[-3] == "S", instruction.modifier("round")
    write = write32(instruction)
    read = floating(instruction, 0, 32 if name.startswith("F32") else 16)
    bits = 16 if name.startswith("V2") else 32

    def run(threads: Threads, sel: Selection) -> None:
        value = read(threads, sel)
        if bits == 32 and value.ndim == 2:
            value = value[:, 0]
        converted = _to_integer(value, mode, bits, signed)
        write(threads, sel, pack(converted) if bits == 16 else converted.view(np.uint32))

    return run


@builds("S32_TO_F32", "U32_TO_F32", "V2S16_TO_V2F16", "V2U16_TO_V2F16")
def _integer_to_float(instruction: Instruction) -> Execute:
    name = instruction.encoding.mnemonic
    bits = 16 if name.startswith("V2") else 32
    read = integer(instruction, 0, bits, "S" in name.partition("_")[0])
    write, mode = output(instruction, bits), instruction.modifier("round")
    kind = F16 if bits == 16 else F32
    return lambda threads, sel: write(
        threads, sel, rounded(read(threads, sel).astype(F64), kind, mode)
    )


def _narrow_to_float(bits: int, signed: bool) -> Build:
    def build(instruction: Instruction) -> Execute:
        read, write = one_lane(instruction, bits, signed), output(instruction, 32)
        return lambda threads, sel: write(threads, sel, read(threads, sel).astype(F32))

    return build


BUILD["S16_TO_F32"] = _narrow_to_float(16, True)
BUILD["U16_TO_F32"] = _narrow_to_float(16, False)
BUILD["S8_TO_F32"] = _narrow_to_float(8, True)
BUILD["U8_TO_F32"] = _narrow_to_float(8, False)


@builds("V2S8_TO_V2F16", "V2U8_TO_V2F16")
def _bytes_to_halves(instruction: Instruction) -> Execute:
    read, write = two_bytes(instruction, "S8" in instruction.encoding.name), output(instruction, 16)
    return lambda threads, sel: write(threads, sel, read(threads, sel).astype(F16))


@builds("F16_TO_F32")
def _widen(instruction: Instruction) -> Execute:
    read, write = floating(instruction, 0, 32), output(instruction, 32)
    return lambda threads, sel: write(threads, sel, read(threads, sel))


@builds("V2F32_TO_V2F16")
def _narrow(instruction: Instruction) -> Execute:
    a, b = (floating(instruction, number, 32) for number in (0, 1))
    write, mode = output(instruction, 16), instruction.modifier("round")

    def run(threads: Threads, sel: Selection) -> None:
        low, high = np.broadcast_arrays(a(threads, sel), b(threads, sel))
        write(threads, sel, rounded(np.stack((low, high), axis=1).astype(F64), F16, mode))

    return run


# -- exponents and special functions --------------------------------------------------------------


def exact_frexp(value: Array, mode: str) -> tuple[Array, Array]:
    """Mantissa and exponent: value = m * 2**e; m in [0.5, 1).

    ``log``: m in [0.75, 1.5).  ``sqrt``: m in [0.25, 1) and e counts powers of 4.  Zero, infinity and NaN
    are their own mantissa with exponent 0.
    """
    wide = value.astype(F64)
    mantissa, exponent = np.frexp(wide)
    if mode == "log":
        low = np.abs(mantissa) < 0.75
        mantissa = np.where(low, mantissa * 2, mantissa)
        exponent = np.where(low, exponent - 1, exponent)
    elif mode == "sqrt":
        odd = exponent & 1
        mantissa = np.where(odd != 0, mantissa * 0.5, mantissa)
        exponent = (exponent + odd) >> 1
    plain = (wide == 0) | ~np.isfinite(wide)
    return (
        np.where(plain, wide, mantissa).astype(value.dtype),
        np.where(plain, 0, exponent).astype(np.int32),
    )


def _frexp_mode(instruction: Instruction) -> str:
    return "log" if instruction.flag("log") else "sqrt" if instruction.flag("sqrt") else ""


@builds("FREXPM", "FREXPE")
def _frexp(instruction: Instruction) -> Execute:
    bits = 16 if instruction.encoding.width == 16 else 32
    read, mode = floating(instruction, 0, bits), _frexp_mode(instruction)
    if instruction.encoding.mnemonic == "FREXPM":
        mantissa = output(instruction, bits)
        return lambda threads, sel: mantissa(threads, sel, exact_frexp(read(threads, sel), mode)[0])
    exponent = result(instruction, bits)
    return lambda threads, sel: exponent(threads, sel, exact_frexp(read(threads, sel), mode)[1])


def scaled(value: Array, power: Array, mode: str = "rte") -> Array:
    """float64 value * 2**power as float32; powers far beyond the range saturate."""
    return rounded(np.ldexp(value, np.clip(power, -1200, 1200).astype(np.int32)), F32, mode)


@builds("LDEXP")
def _ldexp(instruction: Instruction) -> Execute:
    bits = 16 if instruction.encoding.width == 16 else 32
    a, power = floating(instruction, 0, bits), source32(instruction, 1)
    write, mode = output(instruction, bits), instruction.modifier("round")

    def run(threads: Threads, sel: Selection) -> None:
        value, by = a(threads, sel).astype(F64), power(threads, sel)
        if bits == 32:
            write(threads, sel, scaled(value, by.view(np.int32), mode))
            return
        shift = lanes(by, 16).view(np.int16).astype(np.int32)
        write(threads, sel, rounded(np.ldexp(value, shift), F16, mode))

    return run


def _special(function: Callable[[Array], Array]) -> Build:
    """A function of one float, computed in float64; a float16 result fills both halves."""

    def build(instruction: Instruction) -> Execute:
        bits = 16 if instruction.encoding.width == 16 else 32
        read, write = floating(instruction, 0, bits), output(instruction, bits)
        if bits == 32:
            return lambda threads, sel: write(
                threads, sel, function(read(threads, sel).astype(F64)).astype(F32)
            )

        def run(threads: Threads, sel: Selection) -> None:
            value = function(read(threads, sel)[:, :1].astype(F64)).astype(F16)
            write(threads, sel, np.repeat(value, 2, axis=1))

        return run

    return build


def flogd(value: Array) -> Array:
    """log2(m) / (m - 1), m the mantissa in [0.75, 1.5): times FADD_LSCALE's m - 1 it is log2(m)."""
    mantissa, _ = exact_frexp(value, "log")
    near = mantissa == 1
    safe = np.where(near | ~(np.isfinite(mantissa) & (mantissa > 0)), 2.0, mantissa)
    quotient = np.log2(safe) / (safe - 1)
    quotient = np.where(near, 1 / np.log(2.0), quotient)
    return np.where(np.isnan(value) | (value < 0), np.nan, quotient)


BUILD["FRCP"] = _special(lambda value: 1 / value)
BUILD["FRSQ"] = _special(lambda value: 1 / np.sqrt(value))
BUILD["FRCP_APPROX"] = BUILD["FRCP"]
BUILD["FRSQ_APPROX"] = _special(lambda value: 1 / np.sqrt(exact_frexp(value, "sqrt")[0]))
BUILD["FLOGD"] = _special(flogd)


@builds("FADD_LSCALE")
def _fadd_lscale(instruction: Instruction) -> Execute:
    a, b = (floating(instruction, number, 32) for number in (0, 1))
    write = output(instruction, 32)

    def run(threads: Threads, sel: Selection) -> None:
        value = b(threads, sel)
        mantissa, _ = exact_frexp(value, "log")
        total = a(threads, sel) + mantissa
        total = np.where(value == 0, F32(-np.inf), total)
        write(threads, sel, total)

    return run


@builds("FEXP")
def _fexp(instruction: Instruction) -> Execute:
    fixed, write = source32(instruction, 0), output(instruction, 32)
    original = floating(instruction, 1, 32)

    def run(threads: Threads, sel: Selection) -> None:
        power = fixed(threads, sel).view(np.int32).astype(F64) / (1 << 24)
        value, given = np.exp2(power), original(threads, sel)
        value = np.where(given >= F32(2.0**31), np.inf, value)
        value = np.where(given <= F32(-(2.0**31)), 0.0, value)
        write(threads, sel, np.where(np.isnan(given), np.nan, value).astype(F32))

    return run


def _table(function: Callable[[Array], Array], mask: int, unit: float) -> Build:
    """sin and cos of the low six bits in units of pi / 32; exp2 of the low four in sixteenths."""

    def build(instruction: Instruction) -> Execute:
        read, write = source32(instruction, 0), output(instruction, 32)
        return lambda threads, sel: write(
            threads,
            sel,
            function((read(threads, sel) & np.uint32(mask)).astype(F64) * unit).astype(F32),
        )

    return build


BUILD["FSIN_TABLE"] = _table(np.sin, 63, np.pi / 32)
BUILD["FCOS_TABLE"] = _table(np.cos, 63, np.pi / 32)
BUILD["FEXP_TABLE"] = _table(np.exp2, 15, 1 / 16)


@builds("FMA_RSCALE", "FMA_RSCALE_N", "FMA_RSCALE_LEFT", "FMA_RSCALE_SCALE16")
def _fma_rscale(instruction: Instruction) -> Execute:
    reads = [floating(instruction, number, 32) for number in range(3)]
    power, write = source32(instruction, 3), output(instruction, 32)
    name = instruction.encoding.mnemonic

    def run(threads: Threads, sel: Selection) -> None:
        a, b, c = (read(threads, sel).astype(F64) for read in reads)
        product = a * b
        zero = (a == 0) | (b == 0)
        if name == "FMA_RSCALE_N":
            product = np.where(zero, 0.0, product)
        elif name == "FMA_RSCALE_LEFT":
            product = np.where(zero, a, product)
        by = power(threads, sel).view(np.int32)
        if name == "FMA_RSCALE_SCALE16":
            by = by.astype(np.int16).astype(np.int32)
        write(threads, sel, scaled(product + c, by))

    return run


# -- cube maps -----------------------------------------------------------------------------------


@builds("CUBEFACE1")
def _cubeface1(instruction: Instruction) -> Execute:
    return _arith(instruction, 3, lambda x, y, z: fmax(fmax(np.abs(x), np.abs(y)), np.abs(z)))


#: Where a cube's face number lies: above the bits of a coordinate in [0, 1] that say something.
FACE = 29


@builds("CUBEFACE2")
def _cubeface2(instruction: Instruction) -> Execute:
    reads = [floating(instruction, number, 32) for number in range(3)]
    write = write32(instruction)

    def run(threads: Threads, sel: Selection) -> None:
        x, y, z = (read(threads, sel) for read in reads)
        ax, ay, az = np.abs(x), np.abs(y), np.abs(z)
        # Where two are as long, z goes before y and y before x (Vulkan, cube map face selection).
        face = np.where(np.signbit(x), 1, 0)
        face = np.where(ay >= ax, np.where(np.signbit(y), 3, 2), face)
        face = np.where((az >= ax) & (az >= ay), np.where(np.signbit(z), 5, 4), face)
        write(threads, sel, face.astype(np.uint32) << np.uint32(FACE))

    return run


def _cube_select(signs: tuple[tuple[int, int], ...]) -> Build:
    """One of two coordinates, negated or not, by face: (which, sign) for each."""

    def build(instruction: Instruction) -> Execute:
        a, b = (floating(instruction, number, 32) for number in (0, 1))
        face, write = source32(instruction, 2), output(instruction, 32)
        which = np.array([one for one, _ in signs] * 2)[:8]
        sign = np.array([one for _, one in signs] * 2, dtype=F32)[:8]

        def run(threads: Threads, sel: Selection) -> None:
            number = face(threads, sel) >> np.uint32(FACE)
            chosen = np.where(which[number] == 0, a(threads, sel), b(threads, sel))
            write(threads, sel, chosen * sign[number])

        return run

    return build


# Faces +x -x +y -y +z -z (Vulkan, cube map coordinates): s from (z, x), t from (y, z).
BUILD["CUBE_SSEL"] = _cube_select(((0, -1), (0, 1), (1, 1), (1, 1), (1, 1), (1, -1)))
BUILD["CUBE_TSEL"] = _cube_select(((0, -1), (0, -1), (1, 1), (1, -1), (0, -1), (0, -1)))
