"""ETC2 and EAC.

Source: the Khronos Data Format Specification's chapter on ETC2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ring3.mali.blocks.decode import Ints, packed, widen
from ring3.mali.formats import Bytes

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


def colors(data: Bytes, x: Ints, y: Ints, punch: bool) -> Ints:
    """(n, 4) of 0 to 255.  ``punch``: the bit of the mode says whether texels may be transparent instead."""
    word = packed(data, ">")

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
                widen(np.where(half, other, base) & 31, 5),
                widen(np.where(half, bits(low - 4, low - 7), bits(low, low - 3)), 4),
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


def _etc_t(bits: Callable[[int, int], Ints], index: Ints) -> Ints:
    one = np.stack([bits(60, 59) << 2 | bits(57, 56), bits(55, 52), bits(51, 48)], axis=1)
    two = np.stack([bits(47, 44), bits(43, 40), bits(39, 36)], axis=1)
    distance = _DISTANCES[bits(35, 34) << 1 | bits(32, 32)]
    by = np.where(index == 1, distance, np.where(index == 3, -distance, 0))
    return np.clip(widen(np.where((index == 0)[:, None], one, two), 4) + by[:, None], 0, 255)


def _etc_h(bits: Callable[[int, int], Ints], index: Ints) -> Ints:
    one = [bits(62, 59), bits(58, 56) << 1 | bits(52, 52), bits(51, 51) << 3 | bits(49, 47)]
    two = [bits(46, 43), bits(42, 39), bits(38, 35)]
    order = (one[0] << 8 | one[1] << 4 | one[2]) >= (two[0] << 8 | two[1] << 4 | two[2])
    distance = _DISTANCES[bits(34, 34) << 2 | bits(32, 32) << 1 | order]
    chosen = np.where((index & 2 == 0)[:, None], np.stack(one, axis=1), np.stack(two, axis=1))
    by = np.where(index & 1, -distance, distance)
    return np.clip(widen(chosen, 4) + by[:, None], 0, 255)


def _etc_planar(bits: Callable[[int, int], Ints], x: Ints, y: Ints) -> Ints:
    origin = [
        widen(bits(62, 57), 6),
        widen(bits(56, 56) << 6 | bits(54, 49), 7),
        widen(bits(48, 48) << 5 | bits(44, 43) << 3 | bits(41, 39), 6),
    ]
    across = [
        widen(bits(38, 34) << 1 | bits(32, 32), 6),
        widen(bits(31, 25), 7),
        widen(bits(24, 19), 6),
    ]
    down = [widen(bits(18, 13), 6), widen(bits(12, 6), 7), widen(bits(5, 0), 6)]
    channels = [
        np.clip(x * (h - o) + y * (v - o) + 4 * o + 2 >> 2, 0, 255)
        for o, h, v in zip(origin, across, down, strict=True)
    ]
    return np.stack(channels, axis=1)


def _eac(data: Bytes, x: Ints, y: Ints) -> tuple[Ints, Ints, Ints]:
    """Base (0 to 255), multiplier and modifier."""
    word = packed(data, ">")
    modifier = _EAC[word >> 48 & 15, word >> 45 - 3 * (x * 4 + y) & 7]
    return word >> 56 & 255, word >> 52 & 15, modifier


def colors_and_alpha(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
    color = colors(data[:, 8:], x, y, False)
    base, multiplier, modifier = _eac(data[:, :8], x, y)
    color[:, 3] = np.clip(base + modifier * multiplier, 0, 255)
    return (color / 255).astype(np.float32)


def eleven_bits(data: Bytes, x: Ints, y: Ints, signed: bool) -> NDArray[np.float32]:
    base, multiplier, modifier = _eac(data, x, y)
    step = np.where(multiplier == 0, modifier, modifier * multiplier * 8)
    if signed:
        low = np.maximum((base ^ 128) - 128, -127)
        return (np.clip(low * 8 + step, -1023, 1023) / 1023).astype(np.float32)
    return (np.clip(base * 8 + 4 + step, 0, 2047) / 2047).astype(np.float32)
