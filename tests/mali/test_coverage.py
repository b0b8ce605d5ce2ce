"""The rest of the arithmetic, and that none is left: every encoding that computes is checked.

What computes is derived from the declaration; what is checked, from the texts that the tests assemble.
"""

from __future__ import annotations

import inspect
import math
import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import mali_arithmetic as one
import numpy as np
import pytest
from mali_arithmetic import M32, M64

from ring3.errors import Unsupported
from ring3.mali.isa.asm import instruction
from ring3.mali.isa.model import Instruction, decode, encodings
from ring3.mali.shader import memory, stages, textures  # noqa: F401 - they fill BUILD
from ring3.mali.shader.integers import BUILD
from tests.mali import test_arithmetic as arithmetic

#: Mnemonics that move data rather than compute, by the test or corpus that executes them.
MOVERS = {
    "test_shader.py": "LOAD STORE ATOM ATOM_RETURN ATOM1_RETURN LD_BUFFER LEA_BUFFER CLPER WMASK LD_GCLK",
    "test_draw.py": "LD_VAR_BUF_IMM LD_VAR_BUF LD_VAR LD_VAR_IMM LD_VAR_FLAT LD_VAR_FLAT_IMM "
    "LD_VAR_SPECIAL LEA_BUF_IMM LD_ATTR LD_ATTR_IMM ATEST ZS_EMIT BLEND LD_TILE ST_TILE",
    "vulkan_pictures.py": "LD_TEX LD_TEX_IMM LEA_TEX LEA_TEX_IMM LD_CVT ST_CVT LEA_BUF TEX_FETCH TEX_SINGLE "
    "TEX_GATHER TEX_GRADIENT",
}


def halves(text: str, sources: int, reference: Callable[..., float]) -> None:
    """A v2f16 instruction, each half by itself, against a function of Python floats."""
    columns = one.operands(300, sources)
    got = one.execute(text, columns)
    for index, row in enumerate(zip(*columns, strict=True)):
        for shift in (0, 16):
            want = reference(*(one.half(word >> shift & 0xFFFF) for word in row))
            value = got[index] >> shift & 0xFFFF
            assert one.same(value, want, "f16"), (
                text,
                [hex(word) for word in row],
                hex(value),
                want,
            )


def near_half(value: float) -> float:
    if not math.isfinite(value) or not value:
        return value
    rounded = float(one.nearest(Fraction(value), 11, -24, 16))
    return rounded or math.copysign(0.0, value)


def test_half_floats() -> None:
    halves("FADD.v2f16 r20, r0, r1", 2, lambda a, b: near_half(a + b))
    halves("FADD_IMM.v2f16 r20, r0, #0x3C003C00", 1, lambda a: near_half(a + 1.0))
    halves("FMIN.v2f16 r20, r0, r1", 2, one.float_minimum)
    halves("FMAX.v2f16 r20, r0, r1", 2, one.float_maximum)
    for mode, function in one.ROUND.items():
        halves(
            f"FROUND.v2f16{mode} r20, r0",
            1,
            lambda a, function=function: (
                math.copysign(float(function(a)), a) if math.isfinite(a) else a
            ),
        )
    for name, signed in (("S", True), ("U", False)):

        def converted(word: int, signed: bool = signed) -> int:
            value = one.half(word)
            if math.isnan(value):
                return 0
            whole = int(math.copysign(1 << 20, value)) if math.isinf(value) else round(value)
            return one.saturated(whole, 16, signed) & 0xFFFF

        def wide(word: int, signed: bool = signed) -> int:
            value = one.half(word & 0xFFFF)
            if math.isnan(value):
                return 0
            whole = int(math.copysign(1 << 40, value)) if math.isinf(value) else round(value)
            return one.saturated(whole, 32, signed) & M32

        one.check(f"V2F16_TO_V2{name}16 r20, r0", 1, one.lanewise(16, converted))
        one.check(f"F16_TO_{name}32 r20, r0.h00", 1, wide)
        halves_of_integers(name, signed)
    condition = one.lanewise(16, lambda a, b: 0xFFFF if one.half(a) < one.half(b) else 0)
    one.check("FCMP_OR.v2f16.lt.m1 r20, r0, r1, 0x0", 2, condition)
    one.check(
        "CSEL.v2f16.lt r20, r0, r1, r2, r3",
        4,
        one.lanewise(16, lambda a, b, c, d: c if one.half(a) < one.half(b) else d),
    )


def halves_of_integers(name: str, signed: bool) -> None:
    columns = one.operands(300, 1)
    for text, bits, places in (
        (f"V2{name}16_TO_V2F16 r20, r0", 16, (0, 16)),
        (f"V2{name}8_TO_V2F16 r20, r0.b31", 8, (24, 8)),
    ):
        got = one.execute(text, columns)
        for word, value in zip(columns[0], got, strict=True):
            for half, place in enumerate(places):
                whole = word >> place & (1 << bits) - 1
                whole = one.signed(whole, bits) if signed else whole
                want = near_half(float(whole))
                assert one.same(value >> 16 * half & 0xFFFF, want, "f16"), (text, hex(word))


def test_narrow_integers() -> None:
    signed = one.signed
    one.check("S16_TO_S32 r20, r0.h10", 1, lambda a: signed(a >> 16, 16) & M32)
    one.check("U8_TO_U32 r20, r0.b1", 1, lambda a: a >> 8 & 255)
    one.check("V2U8_TO_V2U16 r20, r0.b20", 1, lambda a: (a >> 16 & 255) | (a & 255) << 16)
    one.check(
        "IADD_IMM.v4i8 r20, r0, #0x01FF7F80",
        1,
        lambda a: sum(
            ((a >> at & 255) + (0x01FF7F80 >> at & 255) & 255) << at for at in (0, 8, 16, 24)
        ),
    )
    one.check(
        "MUX.v2i16.bit r20, r0, r1, r2",
        3,
        lambda a, b, c: a & c | b & ~c & M32,
    )
    columns = one.operands(300, 1)
    for text, convert in (
        ("S8_TO_F32 r20, r0.b3", lambda a: float(signed(a >> 24, 8))),
        ("U16_TO_F32 r20, r0.h10", lambda a: float(a >> 16)),
    ):
        got = one.execute(text, columns)
        for word, value in zip(columns[0], got, strict=True):
            assert one.same(value, convert(word), "f32"), (text, hex(word))


def test_wide_integers() -> None:
    columns = [
        [a for a in one.EDGES32 for _ in one.EDGES32],
        [b << 32 | b ^ 0x5A for _ in one.EDGES32 for b in one.EDGES32],
    ]

    def both(text: str, reference: Callable[[int, int], int]) -> None:
        got = one.execute(text, columns, wide=True)
        for value, a, b in zip(got, *columns, strict=True):
            assert value == reference(a, b) & M64, (text, hex(a), hex(b), hex(value))

    both("ISUB.u64 r20, r0, r2", lambda a, b: a - b)
    both("LSHIFT_OR.i64 r20, r0, r2.b00, 0x0", lambda a, b: a << (b & 63))
    both("LSHIFT_AND.i64 r20, r0, r2.b00, 0x0", lambda a, b: 0)
    both("RSHIFT_XOR.i64 r20, r0, r2.b00, 0x0", lambda a, b: a >> (b & 63))
    both("RSHIFT_AND.i64 r20, r0, r2.b00, 0x0", lambda a, b: 0)
    both("NOT_OLD.i64 r20, r0", lambda a, b: ~a)


def test_floats_by_power_and_table() -> None:
    one.check_float("FADD_IMM.f32 r20, r0, #0x3F800000", 1, lambda a: one.float_sum(a, 1.0))
    columns = one.operands(300, 2)
    for text, read in (("LDEXP.f32 r20, r0, r1", one.to_float),):
        got = one.execute(text, columns)
        for a, b, value in zip(*columns, got, strict=True):
            number, power = read(a), max(-600, min(600, one.signed(b, 32)))
            want = number
            if math.isfinite(number) and number:
                exact = Fraction(number) * Fraction(2) ** power
                want = float(one.nearest(exact, 24, -149, 128)) or math.copysign(0.0, number)
            assert one.same(value, want, "f32"), (text, hex(a), hex(b))
    got = one.execute("LDEXP.v2f16 r20, r0, r1", columns)
    for a, b, value in zip(*columns, got, strict=True):
        for shift in (0, 16):
            number, power = one.half(a >> shift & 0xFFFF), one.signed(b >> shift, 16)
            want = number
            if math.isfinite(number) and number:
                exact = Fraction(number) * Fraction(2) ** max(-200, min(200, power))
                want = float(one.nearest(exact, 11, -24, 16)) or math.copysign(0.0, number)
            assert one.same(value >> shift & 0xFFFF, want, "f16"), (hex(a), hex(b))
    for text, function, unit in (
        ("FCOS_TABLE.u6 r20, r0", lambda x: math.cos(x * math.pi / 32), 64),
        ("FEXP_TABLE.u4 r20, r0", lambda x: 2.0 ** (x / 16), 16),
    ):
        got = one.execute(text, [list(range(unit))])
        for number, value in enumerate(got):
            assert abs(one.to_float(value) - function(number)) < 2e-7, (text, number)
    words = [
        struct.unpack("<I", struct.pack("<f", x))[0] for x in (0.3, 1.0, 2.5, 7.0, 1e-3, 900.0)
    ]
    for word, value in zip(words, one.execute("FRCP_APPROX.f32 r20, r0", [words]), strict=True):
        assert abs(one.to_float(value) * one.to_float(word) - 1) < 1e-6
    for word, value in zip(words, one.execute("FRSQ_APPROX.f32 r20, r0", [words]), strict=True):
        mantissa, exponent = math.frexp(one.to_float(word))
        mantissa *= 0.5 if exponent & 1 else 1
        assert abs(one.to_float(value) ** 2 * mantissa - 1) < 1e-6
    small = [struct.unpack("<H", struct.pack("<e", x))[0] for x in (0.25, 1.0, 3.0, 100.0, 0.01)]
    for name, function in (("FRCP", lambda x: 1 / x), ("FRSQ", lambda x: 1 / math.sqrt(x))):
        got = one.execute(f"{name}.f16 r20, r0.h00", [small])
        for word, value in zip(small, got, strict=True):
            assert one.same(value & 0xFFFF, near_half(function(one.half(word))), "f16")
    for word in small:
        pair = [word | word << 16]
        mantissa = one.execute("FREXPM.v2f16 r20, r0", [pair])[0]
        exponent = one.execute("FREXPE.v2f16 r20, r0", [pair])[0]
        for shift in (0, 16):
            part = one.half(mantissa >> shift & 0xFFFF)
            assert 0.5 <= part < 1
            assert part * 2.0 ** one.signed(exponent >> shift, 16) == one.half(word)


def test_float_compare_and_rescale() -> None:
    def both(a: int, b: int, c: int) -> int:
        return M32 if one.to_float(a) < one.to_float(b) and c else 0

    one.check("FCMP_AND.f32.lt.m1 r20, r0, r1, r2", 3, both)
    values = [0.0, 1.0, -2.5, 3.25, 1e10, -0.125]
    words = [struct.unpack("<I", struct.pack("<f", value))[0] for value in values]
    for text, power in (("FMA_RSCALE.f32", 3), ("FMA_RSCALE_SCALE16.f32", 0x10003)):
        columns = [words, words[::-1], words[2:] + words[:2], [power] * len(words)]
        got = one.execute(f"{text} r20, r0, r1, r2, r3", columns)
        for a, b, c, value in zip(*columns[:3], got, strict=True):
            a, b, c = (one.to_float(word) for word in (a, b, c))
            exact = (Fraction(a) * Fraction(b) + Fraction(c)) * 8
            want = float(one.nearest(exact, 24, -149, 128)) if exact else 0.0
            assert one.to_float(value) == want


def test_cube_maps_by_the_table_of_the_specification() -> None:
    dice = np.random.default_rng(3)
    points = dice.uniform(-1, 1, (400, 3)).astype(np.float32)
    points[:8] = [
        (1, 1, 1),
        (-1, 1, -1),
        (1, -1, 0),
        (0, 1, 1),
        (1, 0, 0),
        (0, -1, 0),
        (0, 0, -1),
        (1, 0, 1),
    ]
    columns = [points[:, axis].copy().view(np.uint32).tolist() for axis in range(3)]
    face = one.execute("CUBEFACE2 r20, r0, r1, r2", columns)
    longest = one.execute("CUBEFACE1 r20, r0, r1, r2", columns)
    s = one.execute("CUBE_SSEL r20, r2, r0, r3", [*columns, face])
    t = one.execute("CUBE_TSEL r20, r1, r2, r3", [*columns, face])
    for index, (x, y, z) in enumerate(points.tolist()):
        size = max(abs(x), abs(y), abs(z))
        assert one.to_float(longest[index]) == size
        # Vulkan: the major axis, z before y before x where two are as long; then (face, s, t).
        if abs(z) == size:
            want = (4, x, -y) if z >= 0 else (5, -x, -y)
        elif abs(y) == size:
            want = (2, x, z) if y >= 0 else (3, x, -z)
        else:
            want = (0, -z, -y) if x >= 0 else (1, z, -y)
        got = (face[index] >> 29, one.to_float(s[index]), one.to_float(t[index]))
        assert got == want, (x, y, z)


def test_float_result_in_half_a_register_is_rounded_to_float16() -> None:
    columns = one.operands(300, 2)
    for half in (0, 1):
        got = one.execute(f"FADD.f32 r20.h{half}, r0, 0x0.neg", columns)
        for word, value in zip(columns[0], got, strict=True):
            assert one.same(value >> 16 * half & 0xFFFF, near_half(one.to_float(word)), "f16"), hex(
                word
            )


def executable(encoding: Any) -> bool:
    """Whether the executor takes a plain instance of it."""
    build = BUILD.get(encoding.mnemonic)
    if build is None:
        return False
    try:
        build(Instruction(encoding.opcode << 48 | encoding.code, encoding))
    except Unsupported:
        return False
    return True


def combinations(function: Any) -> list[dict[str, Any]]:
    """The parameters of every run of a parametrised test."""
    sets = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name != "parametrize":
            continue
        names, values = mark.args[:2]
        names = [names] if isinstance(names, str) else list(names)
        sets.append(
            [dict(zip(names, one if len(names) > 1 else [one], strict=True)) for one in values]
        )
    return [
        {key: value for part in parts for key, value in part.items()} for parts in product(*sets)
    ]


def test_every_encoding_that_computes_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    real = one.execute

    def note(text: str, *args: Any, **options: Any) -> None:
        seen.add(decode(instruction(text)).encoding.name)

    def execute(text: str, *args: Any, **options: Any) -> list[int]:
        note(text)
        return real(text, *args, **options)

    for module in one, arithmetic:
        monkeypatch.setattr(module, "check", note)
        monkeypatch.setattr(module, "execute", execute)
    here = [each for each in globals().items() if "every_encoding" not in each[0]]
    for name, function in [*inspect.getmembers(arithmetic, inspect.isfunction), *here]:
        if name.startswith("test_"):
            for parameters in combinations(function):
                function(**parameters)
    movers = {word for words in MOVERS.values() for word in words.split()}
    computing = {
        encoding.name
        for encoding in encodings()
        if encoding.mnemonic not in movers and executable(encoding)
    }
    assert len(computing) > 100
    assert not sorted(computing - seen)
