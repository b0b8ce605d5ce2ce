"""Compressed pixels: blocks of 4 x 4 texels of ETC2, EAC and BC1 to BC5.

Source: the Khronos Data Format Specification's chapters on ETC2 and S3TC, RGTC.  A decoder takes blocks
(n, bytes) and a place x, y in each, and gives (n, channels) float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.mali.formats import Bytes, Format

Ints = NDArray[np.int64]
Decoder = Callable[[Bytes, Ints, Ints], NDArray[np.float32]]


@dataclass(frozen=True)
class Blocks(Format):
    """A format whose texels are decoded from blocks; ``x`` and ``y`` are the place in each block."""

    bytes: int = 8
    decode: Decoder | None = None
    x: Any = None
    y: Any = None

    @property
    def size(self) -> int:
        return self.bytes

    @property
    def order(self) -> tuple[int, ...]:
        """R, G, B, A of what is decoded: what is missing is 0, alpha 1."""
        return {1: (0, 4, 4, 5), 2: (0, 1, 4, 5), 4: (0, 1, 2, 3)}[self.channels]

    def at(self, x: Ints, y: Ints) -> Blocks:
        return replace(self, x=x & 3, y=y & 3)

    def unpack(self, data: Bytes) -> NDArray[Any]:
        if self.decode is None:
            raise AssertionError(f"{self.name} has a decoder")
        return self.decode(data, self.x, self.y)


def _word(data: Bytes, order: str) -> Ints:
    """Eight bytes as a number; the sign bit is one like any other."""
    return np.ascontiguousarray(data).view(f"{order}i8")[:, 0].astype(np.int64)


# -- ETC2 and EAC ---------------------------------------------------------------------------------

_ETC = np.array(
    [(2, 8), (5, 17), (9, 29), (13, 42), (18, 60), (24, 80), (33, 106), (47, 183)], dtype=np.int64
)
_DISTANCES = np.array([3, 6, 11, 16, 23, 32, 41, 64], dtype=np.int64)
_EAC = np.array(
    [
        (-3, -6, -9, -15, 2, 5, 8, 14), (-3, -7, -10, -13, 2, 6, 9, 12),
        (-2, -5, -8, -13, 1, 4, 7, 12), (-2, -4, -6, -13, 1, 3, 5, 12),
        (-3, -6, -8, -12, 2, 5, 7, 11), (-3, -7, -9, -11, 2, 6, 8, 10),
        (-4, -7, -8, -11, 3, 6, 7, 10), (-3, -5, -8, -11, 2, 4, 7, 10),
        (-2, -6, -8, -10, 1, 5, 7, 9), (-2, -5, -8, -10, 1, 4, 7, 9),
        (-2, -4, -8, -10, 1, 3, 7, 9), (-2, -5, -7, -10, 1, 4, 6, 9),
        (-3, -4, -7, -10, 2, 3, 6, 9), (-1, -2, -3, -10, 0, 1, 2, 9),
        (-4, -6, -8, -9, 3, 5, 7, 8), (-3, -5, -7, -9, 2, 4, 6, 8),
    ],
    dtype=np.int64,
)  # fmt: skip


def _etc_colors(data: Bytes, x: Ints, y: Ints, punch: bool) -> Ints:
    """(n, 4) of 0 to 255.  ``punch``: the bit of the mode says whether texels may be transparent instead."""
    word = _word(data, ">")

    def bits(high: int, low: int) -> Ints:
        return word >> low & (1 << high - low + 1) - 1

    def signed(high: int, low: int) -> Ints:
        return (bits(high, low) ^ 4) - 4

    pixel = x * 4 + y
    index = (word >> 16 + pixel & 1) << 1 | word >> pixel & 1
    bases = [bits(63, 59), bits(55, 51), bits(47, 43)]
    others = [
        base + signed(low - 1, low - 3) for base, low in zip(bases, (59, 51, 43), strict=True)
    ]
    flag = bits(33, 33) != 0
    differential = np.ones(len(word), dtype=bool) if punch else flag
    outside = [(other < 0) | (other > 31) for other in others]
    first = outside[0]
    second = ~first & outside[1]
    third = ~first & ~second & outside[2]
    # Two base colours, each of them for one half of the block.
    half = np.where(bits(32, 32) != 0, y >= 2, x >= 2)
    whole = np.stack(
        [
            np.where(
                differential,
                _widen(np.where(half, other, base) & 31, 5),
                _widen(np.where(half, bits(low - 4, low - 7), bits(low, low - 3)), 4),
            )
            for base, other, low in zip(bases, others, (63, 55, 47), strict=True)
        ],
        axis=1,
    )
    table = _ETC[np.where(half, bits(36, 34), bits(39, 37))]
    amount = np.where(index & 1, table[:, 1], table[:, 0]) * np.where(index & 2, -1, 1)
    hidden = ~flag if punch else np.zeros(len(word), dtype=bool)
    amount = np.where(hidden & (index & 1 == 0), 0, amount)
    color = np.clip(whole + amount[:, None], 0, 255)
    for chosen, special in ((first, _etc_t(bits, index)), (second, _etc_h(bits, index))):
        color = np.where((differential & chosen)[:, None], special, color)
    planar = differential & third
    color = np.where(planar[:, None], _etc_planar(bits, x, y), color)
    clear = hidden & (index == 2) & ~planar
    alpha = np.where(clear, 0, 255)
    return np.where(clear[:, None], 0, np.concatenate((color, alpha[:, None]), axis=1))


def _widen(value: Ints, bits: int) -> Ints:
    """``bits`` bits to eight, the high ones repeated below."""
    return value << 8 - bits | value >> 2 * bits - 8


def _etc_t(bits: Callable[[int, int], Ints], index: Ints) -> Ints:
    one = np.stack([bits(60, 59) << 2 | bits(57, 56), bits(55, 52), bits(51, 48)], axis=1)
    two = np.stack([bits(47, 44), bits(43, 40), bits(39, 36)], axis=1)
    distance = _DISTANCES[bits(35, 34) << 1 | bits(32, 32)]
    by = np.where(index == 1, distance, np.where(index == 3, -distance, 0))
    return np.clip(_widen(np.where((index == 0)[:, None], one, two), 4) + by[:, None], 0, 255)


def _etc_h(bits: Callable[[int, int], Ints], index: Ints) -> Ints:
    one = [bits(62, 59), bits(58, 56) << 1 | bits(52, 52), bits(51, 51) << 3 | bits(49, 47)]
    two = [bits(46, 43), bits(42, 39), bits(38, 35)]
    order = (one[0] << 8 | one[1] << 4 | one[2]) >= (two[0] << 8 | two[1] << 4 | two[2])
    distance = _DISTANCES[bits(34, 34) << 2 | bits(32, 32) << 1 | order]
    chosen = np.where((index & 2 == 0)[:, None], np.stack(one, axis=1), np.stack(two, axis=1))
    by = np.where(index & 1, -distance, distance)
    return np.clip(_widen(chosen, 4) + by[:, None], 0, 255)


def _etc_planar(bits: Callable[[int, int], Ints], x: Ints, y: Ints) -> Ints:
    origin = [
        _widen(bits(62, 57), 6),
        _widen(bits(56, 56) << 6 | bits(54, 49), 7),
        _widen(bits(48, 48) << 5 | bits(44, 43) << 3 | bits(41, 39), 6),
    ]
    across = [
        _widen(bits(38, 34) << 1 | bits(32, 32), 6),
        _widen(bits(31, 25), 7),
        _widen(bits(24, 19), 6),
    ]
    down = [_widen(bits(18, 13), 6), _widen(bits(12, 6), 7), _widen(bits(5, 0), 6)]
    channels = [
        np.clip(x * (h - o) + y * (v - o) + 4 * o + 2 >> 2, 0, 255)
        for o, h, v in zip(origin, across, down, strict=True)
    ]
    return np.stack(channels, axis=1)


def _eac(data: Bytes, x: Ints, y: Ints) -> tuple[Ints, Ints, Ints]:
    """Base (0 to 255), multiplier and modifier."""
    word = _word(data, ">")
    modifier = _EAC[word >> 48 & 15, word >> 45 - 3 * (x * 4 + y) & 7]
    return word >> 56 & 255, word >> 52 & 15, modifier


def _etc2_alpha(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
    color = _etc_colors(data[:, 8:], x, y, False)
    base, multiplier, modifier = _eac(data[:, :8], x, y)
    color[:, 3] = np.clip(base + modifier * multiplier, 0, 255)
    return (color / 255).astype(np.float32)


def _r11(data: Bytes, x: Ints, y: Ints, signed: bool) -> NDArray[np.float32]:
    base, multiplier, modifier = _eac(data, x, y)
    step = np.where(multiplier == 0, modifier, modifier * multiplier * 8)
    if signed:
        low = np.maximum((base ^ 128) - 128, -127)
        return (np.clip(low * 8 + step, -1023, 1023) / 1023).astype(np.float32)
    return (np.clip(base * 8 + 4 + step, 0, 2047) / 2047).astype(np.float32)


# -- BC1 to BC5 -----------------------------------------------------------------------------------


def _bc_colors(data: Bytes, x: Ints, y: Ints, three: bool) -> NDArray[np.float32]:
    """(n, 4).  ``three``: where the first colour is not larger, the fourth is transparent black."""
    word = _word(data, "<")
    index = word >> 32 + 2 * (y * 4 + x) & 3
    ends = []
    for color in (word & 0xFFFF, word >> 16 & 0xFFFF):
        red, green, blue = color >> 11, color >> 5 & 63, color & 31
        ends.append(np.stack([_widen(red, 5), _widen(green, 6), _widen(blue, 5)], axis=1))
    fewer = (word & 0xFFFF <= word >> 16 & 0xFFFF) & three
    share = np.where(fewer, np.array([0, 3, 1.5, 0])[index], np.array([0, 3, 1, 2])[index]) / 3
    mixed = ends[0] + (ends[1] - ends[0]) * share[:, None]
    black = fewer & (index == 3)
    out = np.concatenate((mixed / 255, np.ones((len(word), 1))), axis=1)
    return np.where(black[:, None], 0, out).astype(np.float32)


def _bc_channel(data: Bytes, x: Ints, y: Ints, signed: bool) -> NDArray[np.float32]:
    """One channel of eight bytes: two ends, and six or four values between them."""
    word = _word(data, "<")
    ends = [word & 255, word >> 8 & 255]
    index = word >> 16 + 3 * (y * 4 + x) & 7
    if signed:
        ends = [np.maximum((end ^ 128) - 128, -127) for end in ends]
    first, second = ends
    more = first > second
    steps = np.where(more, 7, 5)
    share = np.where(index < 2, index * steps, index - 1) / steps
    value = first + (second - first) * share
    low, high = (-127, 127) if signed else (0, 255)
    value = np.where(~more & (index == 6), low, np.where(~more & (index == 7), high, value))
    return (value / high).astype(np.float32)


def _bc2(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
    color = _bc_colors(data[:, 8:], x, y, False)
    color[:, 3] = (_word(data[:, :8], "<") >> 4 * (y * 4 + x) & 15) / 15
    return color


def _bc3(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
    color = _bc_colors(data[:, 8:], x, y, False)
    color[:, 3] = _bc_channel(data[:, :8], x, y, False)
    return color


def _columns(decode: Callable[..., NDArray[np.float32]], channels: int, signed: bool) -> Decoder:
    def run(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
        parts = [decode(data[:, 8 * one : 8 * one + 8], x, y, signed) for one in range(channels)]
        return np.stack(parts, axis=1)

    return run


def _etc(punch: bool) -> Decoder:
    return lambda data, x, y: (_etc_colors(data, x, y, punch) / 255).astype(np.float32)


#: Clump format of a plane -> how its blocks are decoded.
COMPRESSED: dict[int, Blocks] = {
    32: Blocks("ETC2 RGB8", 4, 8, "u", 8, _etc(False)),
    33: Blocks("EAC R11", 1, 16, "u", 8, _columns(_r11, 1, False)),
    34: Blocks("EAC R11 signed", 1, 16, "s", 8, _columns(_r11, 1, True)),
    35: Blocks("EAC RG11", 2, 16, "u", 16, _columns(_r11, 2, False)),
    36: Blocks("EAC RG11 signed", 2, 16, "s", 16, _columns(_r11, 2, True)),
    37: Blocks("ETC2 RGBA8", 4, 8, "u", 16, _etc2_alpha),
    38: Blocks("ETC2 RGB8A1", 4, 8, "u", 8, _etc(True)),
    48: Blocks("BC1", 4, 8, "u", 8, lambda data, x, y: _bc_colors(data, x, y, True)),
    49: Blocks("BC2", 4, 8, "u", 16, _bc2),
    50: Blocks("BC3", 4, 8, "u", 16, _bc3),
    51: Blocks("BC4", 1, 8, "u", 8, _columns(_bc_channel, 1, False)),
    52: Blocks("BC4 signed", 1, 8, "s", 8, _columns(_bc_channel, 1, True)),
    53: Blocks("BC5", 2, 8, "u", 16, _columns(_bc_channel, 2, False)),
    54: Blocks("BC5 signed", 2, 8, "s", 16, _columns(_bc_channel, 2, True)),
}


@dataclass(frozen=True)
class AlphaOnly(Format):
    """Memory that holds nothing but the alpha of a format of four channels."""

    @property
    def size(self) -> int:
        return self.bits // 8

    def unpack(self, data: Bytes) -> NDArray[Any]:
        out = np.zeros((len(data), 4), dtype=np.float32)
        out[:, 3] = data[:, 0] / np.float32(255)
        return out


ALPHA = 26
A8 = AlphaOnly("A8", 4, 8, "u")
#: Clump formats that are read as they are: the texture's own format says how.
PLAIN = 32
