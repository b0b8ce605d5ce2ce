"""Compressed blocks.  ETC2 and EAC: every mode against a reading of the specification texel by texel.  BC6H:
against Pillow, whose values have eight bits.  ASTC: against Arm's astcenc.

BC1 to BC7 are compared with lavapipe in ``tests/gateway/test_vulkan_wide.py``; it does not have the others.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import astc_files
import numpy as np
import pytest
from PIL import Image

from ring3.mali.blocks import COMPRESSED, astc, bptc

MODIFIERS = [(2, 8), (5, 17), (9, 29), (13, 42), (18, 60), (24, 80), (33, 106), (47, 183)]
DISTANCES = [3, 6, 11, 16, 23, 32, 41, 64]


def clamp(value: int) -> int:
    return max(0, min(255, value))


def widened(text: str) -> int:
    """Four to seven bits to eight: the text repeated, cut after eight."""
    return int((text * 2)[:8], 2)


def color(block: bytes, x: int, y: int, punch: bool) -> list[int]:
    """One texel.  ``s``: the block as 64 characters, bit 63 first, as the specification draws it."""
    s = "".join(f"{byte:08b}" for byte in block)

    def field(*ranges: tuple[int, int]) -> str:
        return "".join(s[63 - high : 64 - low] for high, low in ranges)

    k = 4 * x + y
    index = 2 * int(s[63 - 16 - k]) + int(s[63 - k])
    flag, flip = s[63 - 33] == "1", s[63 - 32] == "1"
    shown = flag or not punch
    second = y >= 2 if flip else x >= 2
    modifiers = MODIFIERS[int(field((36, 34) if second else (39, 37)), 2)]
    if punch or flag:
        bases, sums = [], []
        for top in (63, 55, 47):
            step = int(field((top - 5, top - 7)), 2)
            bases.append(field((top, top - 4)))
            sums.append(int(bases[-1], 2) + (step - 8 if step > 3 else step))
        if not 0 <= sums[0] <= 31:
            one = [widened(field(*r)) for r in (((60, 59), (57, 56)), ((55, 52),), ((51, 48),))]
            two = [widened(field(*r)) for r in (((47, 44),), ((43, 40),), ((39, 36),))]
            by = DISTANCES[int(field((35, 34), (32, 32)), 2)]
            if index == 2 and not shown:
                return [0, 0, 0, 0]
            paints = [one, [c + by for c in two], two, [c - by for c in two]]
            return [*map(clamp, paints[index]), 255]
        if not 0 <= sums[1] <= 31:
            one_text = [field((62, 59)), field((58, 56), (52, 52)), field((51, 51), (49, 47))]
            two_text = [field((46, 43)), field((42, 39)), field((38, 35))]
            last = "1" if "".join(one_text) >= "".join(two_text) else "0"
            by = DISTANCES[int(field((34, 34), (32, 32)) + last, 2)]
            if index == 2 and not shown:
                return [0, 0, 0, 0]
            chosen = [widened(text) for text in (two_text if index & 2 else one_text)]
            return [*(clamp(c - by if index & 1 else c + by) for c in chosen), 255]
        if not 0 <= sums[2] <= 31:
            o = (field((62, 57)), field((56, 56), (54, 49)), field((48, 48), (44, 43), (41, 39)))
            h = (field((38, 34), (32, 32)), field((31, 25)), field((24, 19)))
            v = (field((18, 13)), field((12, 6)), field((5, 0)))
            out = []
            for co, ch, cv in zip(*((widened(t) for t in part) for part in (o, h, v)), strict=True):
                out.append(clamp((x * (ch - co) + y * (cv - co) + 4 * co + 2) // 4))
            return [*out, 255]
        base = [
            widened(f"{total:05b}") if second else widened(b)
            for b, total in zip(bases, sums, strict=True)
        ]
    else:
        base = [
            widened(field((top - 4, top - 7) if second else (top, top - 3))) for top in (63, 55, 47)
        ]
    if not shown and index == 2:
        return [0, 0, 0, 0]
    small, large = modifiers if shown else (0, modifiers[1])
    by = (small, large, -small, -large)[index]
    return [*(clamp(c + by) for c in base), 255]


@pytest.mark.parametrize(("clump", "punch"), [(32, False), (38, True)])
def test_etc2_colors(clump, punch):
    data = np.random.default_rng(clump).integers(0, 256, (600, 8), np.uint8)
    for x in range(4):
        for y in range(4):
            count = len(data)
            places = np.full(count, x), np.full(count, y)
            got = COMPRESSED[clump].at(*places).unpack(data)
            want = [color(block.tobytes(), x, y, punch) for block in data]
            assert np.rint(got * 255).astype(int).tolist() == want


@pytest.mark.parametrize(
    ("code", "values"),
    # Base 100, multiplier 3, table 13, indices 0 to 7 again and again; and a multiplier of 0.
    [(0x643D, [97, 94, 91, 70, 100, 103, 106, 127]), (0x640D, [100] * 8)],
)
def test_eac_alpha(code, values):
    bits = code << 48 | int("".join(f"{index % 8:03b}" for index in range(16)), 2)
    data = np.frombuffer(bits.to_bytes(8, "big") + bytes(8), np.uint8)[None]
    got = [
        int(
            np.rint(
                COMPRESSED[37].at(np.array([k // 4]), np.array([k % 4])).unpack(data)[0, 3] * 255
            )
        )
        for k in range(8)
    ]
    assert got == values


def test_eac_eleven_bits():
    bits = 0x643D << 48 | int("".join(f"{index % 8:03b}" for index in range(16)), 2)
    data = np.frombuffer(bits.to_bytes(8, "big"), np.uint8)[None]
    place = np.array([0]), np.array([3])  # index 3: -10
    assert COMPRESSED[33].at(*place).unpack(data)[0, 0] == np.float32((804 - 240) / 2047)
    assert COMPRESSED[34].at(*place).unpack(data)[0, 0] == np.float32((800 - 240) / 1023)
    still = np.frombuffer((bits & ~(15 << 52)).to_bytes(8, "big"), np.uint8)[None]
    assert COMPRESSED[33].at(*place).unpack(still)[0, 0] == np.float32((804 - 10) / 2047)
    low = np.frombuffer((bits & ~(255 << 56) | 0x80 << 56).to_bytes(8, "big"), np.uint8)[None]
    assert COMPRESSED[34].at(*place).unpack(low)[0, 0] == np.float32(-1)


def test_bc6h():
    """All modes, all partitions: what Pillow makes of them, which cuts values to eight bits of [0, 1]."""
    data = np.random.default_rng(6).integers(0, 256, (20_000, 16), np.uint8)
    picture = Image.frombytes("RGB", (4, 4 * len(data)), data.tobytes(), "bcn", (6, "BC6H"))
    wanted = np.asarray(picture).reshape(-1, 4, 4, 3)
    got = np.floor(np.clip(bptc.bc6h(data, False).astype(np.float64), 0, 1) * 255)
    assert np.abs(got - wanted).max() <= 1
    assert len(np.unique(wanted)) == 256
    assert not bptc.bc6h(data[data[:, 0] & 31 == 0b10011], False).any()


@pytest.mark.parametrize("size", astc_files.SIZES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("profile", ["dl", "ds", "dh"])
def test_astc(
    size: tuple[int, int], profile: str, tmp_path: Path, needs: Callable[[str], str]
) -> None:
    needs("astcenc")
    blocks = astc_files.blocks(size, np.random.default_rng(sum(size)), tmp_path)
    width, height = size
    decode = astc.decoder(
        width, height, hdr=profile == "dh", srgb=profile == "ds", wide=profile != "ds"
    )
    got = decode(blocks)
    wanted, legal = astc_files.decode(blocks, size, profile, tmp_path)
    assert legal.mean() > (0.4 if profile == "dh" else 0.2)
    assert (got[~legal] == [1, 0, 1, 1]).all()
    scale = 255 if profile != "dh" else 1
    assert np.abs(got[legal] * scale - wanted[legal] * scale).max() <= (1 if scale > 1 else 0)
