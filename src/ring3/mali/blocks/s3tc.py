"""BC1 to BC5: S3TC and RGTC.

Source: the Khronos Data Format Specification's chapters on S3TC and RGTC.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ring3.mali.blocks.decode import Ints, packed, widen
from ring3.mali.formats import Bytes


def bc1(data: Bytes, x: Ints, y: Ints, three: bool) -> NDArray[np.float32]:
    """(n, 4).  ``three``: where the first colour is not larger, the fourth is transparent black."""
    word = packed(data, "<")
    index = word >> 32 + 2 * (y * 4 + x) & 3
    ends = []
    for color in (word & 0xFFFF, word >> 16 & 0xFFFF):
        red, green, blue = color >> 11, color >> 5 & 63, color & 31
        ends.append(np.stack([widen(red, 5), widen(green, 6), widen(blue, 5)], axis=1))
    fewer = (word & 0xFFFF <= word >> 16 & 0xFFFF) & three
    share = np.where(fewer, np.array([0, 3, 1.5, 0])[index], np.array([0, 3, 1, 2])[index]) / 3
    mixed = ends[0] + (ends[1] - ends[0]) * share[:, None]
    black = fewer & (index == 3)
    out = np.concatenate((mixed / 255, np.ones((len(word), 1))), axis=1)
    return np.where(black[:, None], 0, out).astype(np.float32)


def channel(data: Bytes, x: Ints, y: Ints, signed: bool) -> NDArray[np.float32]:
    """One channel of eight bytes: two ends, and six or four values between them."""
    word = packed(data, "<")
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


def bc2(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
    color = bc1(data[:, 8:], x, y, False)
    color[:, 3] = (packed(data[:, :8], "<") >> 4 * (y * 4 + x) & 15) / 15
    return color


def bc3(data: Bytes, x: Ints, y: Ints) -> NDArray[np.float32]:
    color = bc1(data[:, 8:], x, y, False)
    color[:, 3] = channel(data[:, :8], x, y, False)
    return color
