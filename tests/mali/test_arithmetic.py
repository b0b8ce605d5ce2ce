"""Every executed instruction's arithmetic against exact references: Python integers, fractions, struct.

Each case assembles one instruction, executes it on many lanes, and compares with a function of plain Python
numbers written from the instruction set's description, never with the executor's own code.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mali_arithmetic import (
    M32,
    M64,
    ROUND,
    check,
    check_float,
    execute,
    float_maximum,
    float_minimum,
    float_sum,
    fma_reference,
    half,
    lanewise,
    nearest,
    operands,
    same,
    saturated,
    signed,
    to_float,
)

from ring3.mali.isa.asm import instruction
from ring3.mali.isa.model import decode
from ring3.mali.memory import PhysicalMemory
from ring3.mali.mmu import AddressSpace
from ring3.mali.shader import floats, flow, memory, stages, textures  # noqa: F401 - they fill BUILD
from ring3.mali.shader.integers import BUILD
from ring3.mali.shader.threads import ALWAYS, PRESERVE, Threads

# -- integers -------------------------------------------------------------------------------------

KINDS = [("u32", 32), ("v2u16", 16), ("v4u8", 8), ("s32", 32), ("v2s16", 16), ("v4s8", 8)]


@pytest.mark.parametrize(("kind", "bits"), KINDS)
@pytest.mark.parametrize("name", ["IADD", "ISUB", "IMUL", "HADD", "RHADD"])
@pytest.mark.parametrize("saturate", [False, True])
def test_integer_arithmetic(kind, bits, name, saturate):
    is_signed = "s" in kind
    if name in ("HADD", "RHADD"):
        if saturate:
            return
        text = f"HADD.{kind}{'.rhadd' if name == 'RHADD' else ''}"
    else:
        if name == "IMUL" and not is_signed:
            kind = kind.replace("u", "i")
        text = f"{name}.{kind}{'.saturate' if saturate else ''}"

    def lane(a: int, b: int) -> int:
        if is_signed:
            a, b = signed(a, bits), signed(b, bits)
        value = {
            "IADD": a + b, "ISUB": a - b, "IMUL": a * b, "HADD": (a + b) >> 1, "RHADD": (a + b + 1) >> 1,
        }[name]  # fmt: skip
        return saturated(value, bits, is_signed) if saturate else value

    check(f"{text} r20, r0, r1", 2, lanewise(bits, lane))


@pytest.mark.parametrize("select", ["", ".h0", ".h1", ".b0", ".b1", ".b2", ".b3"])
@pytest.mark.parametrize("kind", ["u32", "s32"])
def test_lanes_are_extended(select, kind):
    def reference(a: int, b: int) -> int:
        if select:
            bits = 16 if select[1] == "h" else 8
            b = b >> bits * int(select[2]) & (1 << bits) - 1
            if kind == "s32":
                b = signed(b, bits)
        return a + b & M32

    check(f"IADD.{kind} r20, r0, r1{select}", 2, reference)


@pytest.mark.parametrize("name", ["h00", "h10", "h11", "b02", "b20", "b13", "b31", "b00", "b33"])
def test_halves_and_bytes_are_selected(name):
    def reference(a: int, b: int) -> int:
        bits = 16 if name[0] == "h" else 8
        parts = [b >> bits * int(digit) & (1 << bits) - 1 for digit in name[1:]]
        return (a + parts[0] & 0xFFFF) | ((a >> 16) + parts[1] & 0xFFFF) << 16

    check(f"IADD.v2u16 r20, r0, r1.{name}", 2, reference)


@pytest.mark.parametrize(("kind", "bits"), [("i32", 32), ("v2i16", 16), ("v4i8", 8)])
@pytest.mark.parametrize("logic", ["AND", "OR", "XOR"])
@pytest.mark.parametrize("side", ["LSHIFT", "RSHIFT", "RSHIFT.signed"])
@pytest.mark.parametrize("inverted", [False, True])
def test_shifts(kind, bits, logic, side, inverted):
    side, _, arithmetic = side.partition(".")
    text = f"{side}_{logic}.{kind}{'.signed' if arithmetic else ''}"
    text += ".not_result r20, r0, r1.b00, r2" if inverted else " r20, r0, r1.b00, r2.not"

    def reference(a: int, shift: int, c: int) -> int:
        def lane(x: int, y: int) -> int:
            x = signed(x, bits) if arithmetic else x
            count = shift & 255 & bits - 1
            x = x << count if side == "LSHIFT" else x >> count
            y = y if inverted else ~y
            value = {"AND": x & y, "OR": x | y, "XOR": x ^ y}[logic]
            return ~value if inverted else value

        return lanewise(bits, lane)(a, c)

    check(text, 3, reference)


CONDITIONS = {
    "eq": lambda a, b: a == b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
}  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_compare_and_select(condition, kind, bits):
    test = CONDITIONS[condition]

    def pick(a: int, b: int) -> bool:
        return test(signed(a, bits), signed(b, bits)) if "s" in kind else test(a, b)

    ones = (1 << bits) - 1
    check(
        f"ICMP_OR.{kind}.{condition}.m1 r20, r0, r1, r2",
        3,
        lanewise(bits, lambda a, b, c: ones if pick(a, b) or c else 0),
    )
    check(
        f"ICMP_AND.{kind}.{condition}.i1 r20, r0, r1, r2",
        3,
        lanewise(bits, lambda a, b, c: int(pick(a, b) and bool(c))),
    )
    if bits > 8:
        check(
            f"CSEL.{kind}.{condition} r20, r0, r1, r2, r3",
            4,
            lanewise(bits, lambda a, b, c, d: c if pick(a, b) else d),
        )


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("kind", ["u32", "s32"])
def test_64_bit_compare_in_two_steps(condition, kind):
    low = operands(300, 4)
    first = execute(f"ICMP_MULTI.u32.{condition}.u1 r20, r0, r1, 0x0", low[:2])
    got = execute(f"ICMP_MULTI.{kind}.{condition}.m1 r20, r0, r1, r2", [low[2], low[3], first])
    for index, (al, bl, ah, bh) in enumerate(zip(*low, strict=True)):
        a, b = ah << 32 | al, bh << 32 | bl
        if kind == "s32":
            a, b = signed(a, 64), signed(b, 64)
        assert got[index] == (M32 if CONDITIONS[condition](a, b) else 0)


def test_bit_operations():
    check("CLZ.u32 r20, r0", 1, lambda a: 32 - a.bit_length())
    check("CLZ.v2u16 r20, r0", 1, lanewise(16, lambda a: 16 - a.bit_length()))
    check("CLZ.v4u8 r20, r0", 1, lanewise(8, lambda a: 8 - a.bit_length()))
    check("POPCOUNT.i32 r20, r0", 1, int.bit_count)
    check("BITREV.i32 r20, r0", 1, lambda a: int(f"{a:032b}"[::-1], 2))
    check("NOT_OLD.i32 r20, r0", 1, lambda a: a ^ M32)
    check("MOV.i32 r20, r0", 1, lambda a: a)
    for kind, bits in (("s32", 32), ("v2s16", 16), ("v4s8", 8)):
        check(f"IABS.{kind} r20, r0", 1, lanewise(bits, lambda a, bits=bits: abs(signed(a, bits))))


def test_vectors_are_made():
    check("MKVEC.v2i16 r20, r0.h10, r1.h00", 2, lambda a, b: a >> 16 | (b & 0xFFFF) << 16)
    check(
        "MKVEC.v2i8 r20, r0.b3, r1.b1, r2",
        3,
        lambda a, b, c: a >> 24 | (b >> 8 & 255) << 8 | (c & 0xFFFF) << 16,
    )
    check(
        "IADD_IMM.v2i16 r20, r0, #0xFFFF0001",
        1,
        lambda a: (a + 1 & 0xFFFF) | (((a >> 16) - 1) & 0xFFFF) << 16,
    )
    check("IADD_IMM.i32 r20, r0, #0xFFFFFFF0", 1, lambda a: a - 16 & M32)


def test_mux():
    neg = lambda m: m >> 31  # noqa: E731
    check("MUX.i32.neg r20, r0, r1, r2", 3, lambda a, b, m: a if neg(m) else b)
    check("MUX.i32 r20, r0, r1, r2", 3, lambda a, b, m: b if m else a)
    check("MUX.i32.fp_zero r20, r0, r1, r2", 3, lambda a, b, m: b if m & 0x7FFFFFFF else a)
    check("MUX.i32.bit r20, r0, r1, r2", 3, lambda a, b, m: a & m | b & ~m)
    check("MUX.v4i8 r20, r0, r1, r2", 3, lanewise(8, lambda a, b, m: b if m else a))


def test_dot_products():
    def dot(a: int, b: int, c: int, is_signed: bool, saturate: bool) -> int:
        total = signed(c, 32) if is_signed else c
        for at in range(0, 32, 8):
            x, y = a >> at & 255, b >> at & 255
            total += signed(x, 8) * signed(y, 8) if is_signed else x * y
        return (saturated(total, 32, is_signed) if saturate else total) & M32

    check("IDP.v4s8 r20, r0, r1, r2", 3, lambda a, b, c: dot(a, b, c, True, False))
    check("IDP.v4u8.saturate r20, r0, r1, r2", 3, lambda a, b, c: dot(a, b, c, False, True))


def test_wide_arithmetic():
    base = operands(400, 4)
    columns = [
        [h << 32 | low for low, h in zip(a, b, strict=True)]
        for a, b in ((base[0], base[2]), (base[1], base[3]))
    ]

    def both(text: str, reference: Callable[[int, int], int]) -> None:
        got = execute(text, columns, wide=True)
        for index, (a, b) in enumerate(zip(*columns, strict=True)):
            assert got[index] == reference(a, b) & M64, f"{text} {a:#x} {b:#x}"

    both("IADD.u64 r20, r0, r2", lambda a, b: a + b)
    both("ISUB.s64 r20, r0, r2", lambda a, b: a - b)
    both("IADD.s64 r20, r0, r2.w0", lambda a, b: a + signed(b, 32))
    both("SHADDX.u64 r20, r0, r2.w0, shift:0x3", lambda a, b: a + ((b & M32) << 3))
    both("SHADDX.s64 r20, r0, r2.w0, shift:0x2", lambda a, b: a + (signed(b, 32) << 2))
    both("SHADDX.u64 r20, r0, r2, shift:0x7", lambda a, b: a + (b << 7))
    both("SEG_ADD.u64 r20, r0, r2", lambda a, b: a + b)
    both("SEG_ADD.u64.neg.preserve_null r20, r0, r2", lambda a, b: a - b if a else 0)
    both("IMULD.u64 r20, r0, r2", lambda a, b: (a & M32) * (b & M32))
    both("LSHIFT_XOR.i64 r20, r0, r2.b00, 0x0", lambda a, b: a << (b & 63))
    both("RSHIFT_OR.i64.signed r20, r0, r2.b00, 0x0", lambda a, b: signed(a, 64) >> (b & 63))


# -- floats ---------------------------------------------------------------------------------------


def test_fma_rounds_once():
    check_float("FMA.f32 r20, r0, r1, r2", 3, lambda a, b, c: fma_reference(a, b, c, 24, -149, 128))


def test_fma_of_the_hard_cases():
    # Products whose sum with c lies a hair beside the middle between two floats: double rounding fails here.
    one = 0x3F800001
    rows = [(one, one, 0x33800000 | low) for low in range(64)] + [
        (0x3F800001, 0x3F7FFFFF, 0x32800000 + low) for low in range(-32, 32)
    ]
    columns = [list(column) for column in zip(*rows, strict=True)]
    got = execute("FMA.f32 r20, r0, r1, r2", columns)
    for index, row in enumerate(rows):
        a, b, c = (to_float(word) for word in row)
        assert same(got[index], fma_reference(a, b, c, 24, -149, 128), "f32")


def test_half_fma_rounds_once():
    columns = operands(400, 3)
    got = execute("FMA.v2f16 r20, r0, r1, r2", columns)
    for index, row in enumerate(zip(*columns, strict=True)):
        for shift in (0, 16):
            a, b, c = (half(word >> shift & 0xFFFF) for word in row)
            want = fma_reference(a, b, c, 11, -24, 16)
            assert same(got[index] >> shift & 0xFFFF, want, "f16"), [hex(w) for w in row]


def test_float_add_and_modifiers():
    check_float(
        "FADD.f32 r20, r0, r1",
        2,
        lambda a, b: fma_reference(1.0, a, b, 24, -149, 128) if not (a == 0 and b == 0) else a + b,
    )
    check_float("FADD.f32 r20, r0.neg, r1.abs", 2, lambda a, b: float_sum(-a, abs(b)))
    check_float("FADD.f32 r20, r0.neg.abs, 0x0.neg", 1, lambda a: -abs(a))


def test_minimum_maximum_and_clamps():
    check_float("FMIN.f32 r20, r0, r1", 2, float_minimum)
    check_float("FMAX.f32 r20, r0, r1", 2, float_maximum)
    # The identities that the description of the clamps lists.
    for clamp, low, high in (
        ("clamp_0_1", 0.0, 1.0),
        ("clamp_m1_1", -1.0, 1.0),
        ("clamp_0_inf", 0.0, math.inf),
    ):
        check_float(
            f"FADD.f32.{clamp} r20, r0, 0x0.neg",
            1,
            lambda a, low=low, high=high: float_minimum(float_maximum(a, low), high),
        )


def test_subnormals_are_flushed_when_the_program_says_so():
    tiny = 2.0**-126

    def flushed(value: float) -> float:
        return math.copysign(0.0, value) if abs(value) < tiny else value

    check_float(
        "FADD.f32 r20, r0, r1",
        2,
        lambda a, b: flushed(float_sum(flushed(a), flushed(b))),
        flush=ALWAYS,
    )
    check_float("FADD.f32 r20, r0, 0x0.neg", 1, lambda a: a, flush=PRESERVE)


FLOAT_CONDITIONS = {
    **CONDITIONS,
    "gtlt": lambda a, b: a < b or a > b,
    "total": lambda a, b: not (math.isnan(a) or math.isnan(b)),
}


@pytest.mark.parametrize("condition", FLOAT_CONDITIONS)
def test_float_compare(condition):
    test = FLOAT_CONDITIONS[condition]
    check(
        f"FCMP_OR.f32.{condition}.f1 r20, r0, r1, 0x0",
        2,
        lambda a, b: 0x3F800000 if test(to_float(a), to_float(b)) else 0,
    )
    check(
        f"FCMP_AND.v2f16.{condition}.m1 r20, r0, r1, r2",
        3,
        lanewise(16, lambda a, b, c: 0xFFFF if test(half(a), half(b)) and c else 0),
    )
    check(
        f"CSEL.f32.{condition} r20, r0, r1, r2, r3",
        4,
        lambda a, b, c, d: c if test(to_float(a), to_float(b)) else d,
    )


@pytest.mark.parametrize("mode", ROUND)
def test_rounding_and_conversion(mode):
    def rounded(value: float) -> float:
        if not math.isfinite(value):
            return value
        return math.copysign(float(ROUND[mode](value)), value)

    check_float(f"FROUND.f32{mode} r20, r0", 1, rounded)

    def integer(word: int, is_signed: bool) -> int:
        value = to_float(word)
        if math.isnan(value):
            return 0
        if math.isinf(value):
            return saturated(int(math.copysign(1 << 40, value)), 32, is_signed) & M32
        return saturated(ROUND[mode](value), 32, is_signed) & M32

    check(f"F32_TO_S32{mode} r20, r0", 1, lambda a: integer(a, True))
    check(f"F32_TO_U32{mode} r20, r0", 1, lambda a: integer(a, False))


def test_integers_to_floats():
    def near(value: int) -> float:
        return float(nearest(Fraction(value), 24, -149, 128)) if value else 0.0

    columns = operands(400, 1)
    for name, convert in (
        ("S32_TO_F32 r20, r0", lambda a: near(signed(a, 32))),
        ("U32_TO_F32 r20, r0", near),
        ("S16_TO_F32 r20, r0.h10", lambda a: float(signed(a >> 16, 16))),
        ("U8_TO_F32 r20, r0.b2", lambda a: float(a >> 16 & 255)),
        ("F16_TO_F32 r20, r0.h1", lambda a: half(a >> 16)),
    ):
        got = execute(name, columns)
        for index, word in enumerate(columns[0]):
            assert same(got[index], convert(word), "f32"), (name, hex(word))
    check("S8_TO_S32 r20, r0.b3", 1, lambda a: signed(a >> 24, 8) & M32)
    check("U16_TO_U32 r20, r0.h00", 1, lambda a: a & 0xFFFF)
    check(
        "V2S8_TO_V2S16 r20, r0.b31",
        1,
        lambda a: (signed(a >> 24, 8) & 0xFFFF) | (signed(a >> 8, 8) & 0xFFFF) << 16,
    )


def test_float_pair_to_halves():
    columns = operands(400, 2)
    got = execute("V2F32_TO_V2F16 r20, r0, r1", columns)
    for index, row in enumerate(zip(*columns, strict=True)):
        for shift, word in zip((0, 16), row, strict=True):
            value = to_float(word)
            want = value
            if math.isfinite(value) and value:
                want = float(nearest(Fraction(value), 11, -24, 16)) or math.copysign(0.0, value)
            assert same(got[index] >> shift & 0xFFFF, want, "f16"), hex(word)


@settings(deadline=None)
@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_frexp_recombines(values):
    words = [struct.unpack("<I", struct.pack("<f", value))[0] for value in values]
    for mode, low, high, base in (("", 0.5, 1, 2), (".log", 0.75, 1.5, 2), (".sqrt", 0.25, 1, 4)):
        mantissas = execute(f"FREXPM.f32{mode} r20, r0", [words])
        exponents = execute(f"FREXPE.f32{mode} r20, r0", [words])
        for value, m, e in zip(values, mantissas, exponents, strict=True):
            mantissa = to_float(m)
            if value == 0 or not math.isfinite(value):
                assert signed(e, 32) == 0
                continue
            assert low <= abs(mantissa) < high
            assert Fraction(mantissa) * Fraction(base) ** signed(e, 32) == Fraction(value)


def _ulps(got: int, want: float) -> float:
    if math.isnan(want):
        return 0 if math.isnan(to_float(got)) else math.inf
    if math.isinf(want) or want == 0:
        return 0 if to_float(got) == want else math.inf
    return abs(to_float(got) - want) / 2.0 ** (max(math.frexp(want)[1], -125) - 24)


def test_reciprocals_are_within_an_ulp():
    columns = operands(400, 1)
    for text, function in (
        ("FRCP.f32 r20, r0", lambda x: math.copysign(math.inf, x) if x == 0 else 1 / x),
        (
            "FRSQ.f32 r20, r0",
            lambda x: (
                math.copysign(math.inf, x) if x == 0 else math.nan if x < 0 else 1 / math.sqrt(x)
            ),
        ),
    ):
        got = execute(text, columns)
        for index, word in enumerate(columns[0]):
            want = function(to_float(word))
            if abs(want) > 3.4028236e38:
                want = math.copysign(math.inf, want)
            assert _ulps(got[index], want) <= 0.51, (text, hex(word))


def test_transcendental_sequences():
    """The sequences a compiler emits: log2 = FLOGD * FADD_LSCALE(-1) + FREXPE, exp2 through FEXP, the sine
    tables."""
    values = [0.1, 0.5, 0.74, 0.75, 0.9999, 1.0, 1.0001, 1.49, 1.5, 3.0, 1e-30, 1e30]
    words = [struct.unpack("<I", struct.pack("<f", value))[0] for value in values]
    d = execute("FLOGD.f32 r20, r0", [words])
    s = execute(
        "FADD_LSCALE.f32 r20, 0xBF800000, r0".replace("0xBF800000", "0x3F800000.neg"), [words]
    )
    e = execute("FREXPE.f32.log r20, r0", [words])
    for value, dw, sw, ew in zip(values, d, s, e, strict=True):
        got = to_float(dw) * to_float(sw) + signed(ew, 32)
        assert got == pytest.approx(math.log2(value), rel=1e-6, abs=1e-6)
    fixed = [
        signed(int(x * (1 << 24)), 32) & M32 for x in (-20.5, -1.0, 0.0, 0.25, 1.0, 7.75, 100.0)
    ]
    given_ = [struct.unpack("<I", struct.pack("<f", float(signed(f, 32))))[0] for f in fixed]
    for f, got in zip(fixed, execute("FEXP.f32 r20, r0, r1", [fixed, given_]), strict=True):
        assert _ulps(got, 2.0 ** (signed(f, 32) / (1 << 24))) <= 0.51
    angles = list(range(128))
    for angle, got in zip(angles, execute("FSIN_TABLE.u6 r20, r0", [angles]), strict=True):
        assert to_float(got) == pytest.approx(math.sin(angle % 64 * math.pi / 32), abs=1e-7)


def test_rescaled_fma():
    columns = [[0x3FC00000, 0, 0x7F800000, 0x00000000], [0x40000000, 0x7F800000, 0, 0x3F800000]]
    columns += [[0x3F800000, 0, 0, 0x3F800000], [3, 0, 0, M32]]
    left = execute("FMA_RSCALE_LEFT.f32 r20, r0, r1, r2, r3", columns)
    assert [to_float(word) for word in left] == [32.0, 0.0, math.inf, 0.5]
    none = execute("FMA_RSCALE_N.f32 r20, r0, r1, r2, r3", columns)
    assert [to_float(word) for word in none] == [32.0, 0.0, 0.0, 0.5]


def test_half_destination_leaves_the_other_half():
    code = decode(instruction("IADD.v2u16 r20.h1, r0.h10, 0x0"))
    threads = Threads(2, AddressSpace(0, PhysicalMemory()))
    threads.registers[0], threads.registers[20] = 0x11112222, 0xAAAABBBB
    BUILD["IADD"](code)(threads, None)
    assert threads.registers[20].tolist() == [0x2222BBBB] * 2
