"""Instructions of the shader cores on many lanes, and exact references for them in plain Python numbers."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from ring3.mali.isa.asm import instruction
from ring3.mali.isa.model import decode
from ring3.mali.memory import PhysicalMemory
from ring3.mali.mmu import AddressSpace
from ring3.mali.shader import floats, flow, memory, stages, textures  # noqa: F401 - they fill BUILD
from ring3.mali.shader.integers import BUILD
from ring3.mali.shader.threads import PRESERVE, Threads

M32, M64 = (1 << 32) - 1, (1 << 64) - 1
#: Values that go wrong first.
EDGES32 = [
    0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
    0x80000001, 0xFFFFFFFE, 0xFFFFFFFF, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000,
    0x00800000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0xFF7FFFFF, 0x33800000, 0x4B800000, 0x3F800001,
    0x40490FDB, 0x3C003C00, 0x7C00FC00, 0x7E000001, 0x04008400, 0x03FF83FF, 0x4F000000, 0xCF000000,
    0x4F7FFFFF, 0x5F000000, 0x3EFFFFFF, 0x3F000000, 0x3FC00000, 0x40200000, 0xBF000000, 0xBFC00000,
]  # fmt: skip


def operands(count: int, sources: int) -> list[list[int]]:
    """Every pair of edges in the first two sources, then random words."""
    edges = [(a, b) for a in EDGES32 for b in EDGES32]
    columns = [[a for a, _ in edges], [b for _, b in edges]]
    while len(columns) < sources:
        columns.append([EDGES32[(3 * i + len(columns)) % len(EDGES32)] for i in range(len(edges))])
    dice = np.random.default_rng(7)
    for column in columns:
        column += dice.integers(0, 1 << 32, count).tolist()
    return columns[:sources]


def execute(
    text: str, columns: list[list[int]], *, flush: int = PRESERVE, wide: bool = False
) -> list[int]:
    """Run ``text`` with columns in r0, r1, ... (wide: r0:r1, r2:r3, ...); the result from r20 (r20:r21)."""
    code = decode(instruction(text))
    threads = Threads(len(columns[0]), AddressSpace(0, PhysicalMemory()), flush=flush)
    for index, column in enumerate(columns):
        values = np.array(column, dtype=np.uint64)
        if wide:
            threads.registers[2 * index] = values & np.uint64(M32)
            threads.registers[2 * index + 1] = values >> np.uint64(32)
        else:
            threads.registers[index] = values
    with np.errstate(all="ignore"):
        BUILD[code.encoding.mnemonic](code)(threads, None)
    low = threads.registers[20].astype(np.uint64)
    if wide:
        low |= threads.registers[21].astype(np.uint64) << np.uint64(32)
    return low.tolist()


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (value >> bits - 1 << bits)


def check(text: str, sources: int, reference: Callable[..., int], **options: int) -> None:
    columns = operands(500, sources)
    got = execute(text, columns, **options)
    for index, row in enumerate(zip(*columns, strict=True)):
        want = reference(*row)
        shown = ", ".join(f"{value:#010x}" for value in row)
        assert got[index] == want, f"{text}: ({shown}) -> {got[index]:#x}, not {want:#x}"


def lanewise(bits: int, function: Callable[..., int]) -> Callable[..., int]:
    def reference(*words: int) -> int:
        result = 0
        for at in range(0, 32, bits):
            parts = [word >> at & (1 << bits) - 1 for word in words]
            result |= (function(*parts) & (1 << bits) - 1) << at
        return result

    return reference


def saturated(value: int, bits: int, is_signed: bool) -> int:
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
    return min(max(value, low), high)


def to_float(word: int) -> float:
    return struct.unpack("<f", struct.pack("<I", word))[0]


def half(word: int) -> float:
    return struct.unpack("<e", struct.pack("<H", word))[0]


def nearest(value: Fraction, digits: int, lowest: int, top: int) -> Fraction | float:
    """Round to ``digits`` significant bits, to even; ``lowest`` the smallest exponent of the last bit."""
    if not value:
        return value
    exponent = math.floor(math.log2(abs(value.numerator)) - math.log2(value.denominator))
    while abs(value) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while abs(value) < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - digits + 1, lowest)
    rounded = round(value / unit) * unit
    return math.copysign(math.inf, rounded) if abs(rounded) >= Fraction(2) ** top else rounded


def fma_reference(a: float, b: float, c: float, digits: int, lowest: int, top: int) -> float:
    if not all(map(math.isfinite, (a, b, c))):
        # Infinities and NaN follow the unfused operations; overflow of a finite product does not happen.
        if math.isfinite(a) and math.isfinite(b):
            return c
        product = math.nan if a == 0 or b == 0 else a * b
        return product + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if not exact:
        signs = math.copysign(1, a) * math.copysign(1, b)
        minus = signs < 0 and math.copysign(1, c) < 0
        return -0.0 if minus and (a == 0 or b == 0) and c == 0 else 0.0
    return float(nearest(exact, digits, lowest, top)) or math.copysign(0.0, exact)


def same(got: int, want: float, kind: str) -> bool:
    pattern, integer = ("<f", "<I") if kind == "f32" else ("<e", "<H")
    value = struct.unpack(pattern, struct.pack(integer, got))[0]
    if math.isnan(want):
        return math.isnan(value)
    return value == want and math.copysign(1, value) == math.copysign(1, want)


def check_float(text: str, sources: int, reference: Callable[..., float], **options: int) -> None:
    columns = operands(400, sources)
    got = execute(text, columns, **options)
    for index, row in enumerate(zip(*columns, strict=True)):
        want = reference(*(to_float(word) for word in row))
        assert same(got[index], want, "f32"), (
            f"{text}: {[hex(w) for w in row]} -> {got[index]:#x}, not {want}"
        )


def float_sum(a: float, b: float) -> float:
    if a == 0 and b == 0:
        return a + b
    return fma_reference(1.0, a, b, 24, -149, 128)


def float_minimum(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return b if math.isnan(a) else a
    if a == b == 0:
        return a if math.copysign(1, a) < 0 else b
    return min(a, b)


def float_maximum(a: float, b: float) -> float:
    return -float_minimum(-a, -b)


ROUND = {"": round, ".rtp": math.ceil, ".rtn": math.floor, ".rtz": math.trunc}
