"""BC6H and BC7: BPTC.

Source: the Khronos Data Format Specification's chapter on BPTC.  BC7 is decoded by Pillow, which has no BC6H
of more than eight bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ring3.mali.blocks.decode import Ints
from ring3.mali.formats import Bytes


def bc7(blocks: Bytes) -> NDArray[np.float64]:
    """(m, 16) bytes to (m, 4, 4, 4); a block of the reserved mode is transparent black."""
    image = Image.frombytes("RGBA", (4, 4 * len(blocks)), blocks.tobytes(), "bcn", (7, "BC7"))
    values = np.asarray(image).reshape(-1, 4, 4, 4) / 255
    values[blocks[:, 0] == 0] = 0
    return values


# Modes of BC6H, and the fields behind the bits of the mode, from the lowest on: r, g, b of the ends w and x
# of the first region, of y and z of the second, and the number d of the partition.  "rw9:0" are ten bits,
# the lowest first; "rw10:11" two, the highest first.
_FIELDS = """
00 gy4 by4 bz4 rw9:0 gw9:0 bw9:0 rx4:0 gz4 gy3:0 gx4:0 bz0 gz3:0 bx4:0 bz1 by3:0 ry4:0 bz2 rz4:0 bz3
d4:0;
01 gy5 gz4 gz5 rw6:0 bz0 bz1 by4 gw6:0 by5 bz2 gy4 bw6:0 bz3 bz5 bz4 rx5:0 gy3:0 gx5:0 gz3:0 bx5:0 by3:0
ry5:0 rz5:0 d4:0;
00010 rw9:0 gw9:0 bw9:0 rx4:0 rw10 gy3:0 gx3:0 gw10 bz0 gz3:0 bx3:0 bw10 bz1 by3:0 ry4:0 bz2 rz4:0 bz3
d4:0;
00110 rw9:0 gw9:0 bw9:0 rx3:0 rw10 gz4 gy3:0 gx4:0 gw10 gz3:0 bx3:0 bw10 bz1 by3:0 ry3:0 bz0 bz2 rz3:0
gy4 bz3 d4:0;
01010 rw9:0 gw9:0 bw9:0 rx3:0 rw10 by4 gy3:0 gx3:0 gw10 bz0 gz3:0 bx4:0 bw10 by3:0 ry3:0 bz1 bz2 rz3:0
bz4 bz3 d4:0;
01110 rw8:0 by4 gw8:0 gy4 bw8:0 bz4 rx4:0 gz4 gy3:0 gx4:0 bz0 gz3:0 bx4:0 bz1 by3:0 ry4:0 bz2 rz4:0 bz3
d4:0;
10010 rw7:0 gz4 by4 gw7:0 bz2 gy4 bw7:0 bz3 bz4 rx5:0 gy3:0 gx4:0 bz0 gz3:0 bx4:0 bz1 by3:0 ry5:0 rz5:0
d4:0;
10110 rw7:0 bz0 by4 gw7:0 gy5 gy4 bw7:0 gz5 bz4 rx4:0 gz4 gy3:0 gx5:0 gz3:0 bx4:0 bz1 by3:0 ry4:0 bz2
rz4:0 bz3 d4:0;
11010 rw7:0 bz1 by4 gw7:0 by5 gy4 bw7:0 bz5 bz4 rx4:0 gz4 gy3:0 gx4:0 bz0 gz3:0 bx5:0 by3:0 ry4:0 bz2
rz4:0 bz3 d4:0;
11110 rw5:0 gz4 bz0 bz1 by4 gw5:0 gy5 by5 bz2 gy4 bw5:0 gz5 bz3 bz5 bz4 rx5:0 gy3:0 gx5:0 gz3:0 bx5:0
by3:0 ry5:0 rz5:0 d4:0;
00011 rw9:0 gw9:0 bw9:0 rx9:0 gx9:0 bx9:0;
00111 rw9:0 gw9:0 bw9:0 rx8:0 rw10 gx8:0 gw10 bx8:0 bw10;
01011 rw9:0 gw9:0 bw9:0 rx7:0 rw10:11 gx7:0 gw10:11 bx7:0 bw10:11;
01111 rw9:0 gw9:0 bw9:0 rx3:0 rw10:15 gx3:0 gw10:15 bx3:0 bw10:15
"""
#: Partition -> its texels of the second region, a bit each; and the one whose index lacks its highest bit.
_PARTITIONS = np.array(
    [
        0xCCCC, 0x8888, 0xEEEE, 0xECC8, 0xC880, 0xFEEC, 0xFEC8, 0xEC80, 0xC800, 0xFFEC, 0xFE80, 0xE800,
        0xFFE8, 0xFF00, 0xFFF0, 0xF000, 0xF710, 0x008E, 0x7100, 0x08CE, 0x008C, 0x7310, 0x3100, 0x8CCE,
        0x088C, 0x3110, 0x6666, 0x366C, 0x17E8, 0x0FF0, 0x718E, 0x399C,
    ]
)  # fmt: skip
_ANCHORS = np.array([15] * 17 + [2, 8, 2, 2, 8, 8, 15, 2, 8, 2, 2, 8, 8, 2, 2])
_WEIGHTS = {
    3: np.array([0, 9, 18, 27, 37, 46, 55, 64]),
    4: np.array([0, 4, 9, 13, 17, 21, 26, 30, 34, 38, 43, 47, 51, 55, 60, 64]),
}


@dataclass(frozen=True)
class Mode:
    """How bits of blocks (m, 128) become numbers: a matrix whose columns are r, g, b of w, x, y, z, and d."""

    matrix: NDArray[np.int64]  # (128, 13)
    widths: NDArray[np.int64]  # (13,) bits of each
    end: int  # where the indices begin

    @classmethod
    def of(cls, at: int, fields: str) -> Mode:
        """From bit ``at`` on there are ``fields``."""
        matrix = np.zeros((128, 13), dtype=np.int64)
        for name, left, right in re.findall(r"([a-z]+)(\d+):?(\d*)", fields):
            column = 12 if name == "d" else 3 * "wxyz".index(name[1]) + "rgb".index(name[0])
            last, first = int(left), int(right or left)
            for bit in range(first, last + 1) if first <= last else range(first, last - 1, -1):
                matrix[at, column] = 1 << bit
                at += 1
        return cls(matrix, (matrix > 0).sum(axis=0), at)

    @property
    def two(self) -> bool:
        """Whether there are two regions."""
        return bool(self.widths[12])

    @property
    def differences(self) -> bool:
        """Whether all ends but the first are differences to it."""
        return bool(self.widths[3] < self.widths[0])


def _modes() -> Iterator[tuple[int, Mode]]:
    for one in _FIELDS.split(";"):
        mode, fields = one.split(maxsplit=1)
        yield int(mode, 2), Mode.of(len(mode), fields)


_MODES = dict(_modes())


def bc6h(blocks: Bytes, signed: bool) -> NDArray[np.float16]:
    """(m, 16) bytes to (m, 4, 4, 3); a block of a reserved mode is black."""
    low = blocks[:, 0].astype(np.int64) & 31
    modes = np.where(low & 2, low, low & 3)
    bits = np.unpackbits(blocks, axis=1, bitorder="little").astype(np.int64)
    out = np.zeros((len(blocks), 16, 3), dtype=np.float16)
    for number in np.unique(modes).tolist():
        if number in _MODES:
            mine = np.flatnonzero(modes == number)
            out[mine] = _of_mode(_MODES[number], bits[mine], signed)
    return out.reshape(-1, 4, 4, 3)


def _of_mode(mode: Mode, bits: Ints, signed: bool) -> NDArray[np.float16]:
    """(m, 16, 3)"""
    numbers = bits @ mode.matrix
    texel, partition = np.arange(16), numbers[:, 12:]
    region = (
        _PARTITIONS[partition] >> texel & 1
        if mode.two
        else np.zeros((len(bits), 16), dtype=np.int64)
    )
    anchor = _ANCHORS[partition] if mode.two else np.full((len(bits), 1), 16)
    ends = _ends(mode, numbers[:, :12], signed).reshape(-1, 4, 3)
    rows = np.arange(len(bits))[:, None]
    width = 3 if mode.two else 4
    start = mode.end + width * texel - (texel > 0) - (texel > anchor)
    index = sum(bits[rows, start + place] << place for place in range(width - 1))
    top = np.minimum(start + width - 1, 127)
    full = (texel > 0) & (texel != anchor)
    index = index + np.where(full, bits[rows, top] << width - 1, 0)
    weight = _WEIGHTS[width][index][:, :, None]
    value = ends[rows, 2 * region] * (64 - weight) + ends[rows, 2 * region + 1] * weight + 32 >> 6
    size = np.abs(value) * 31 >> (5 if signed else 6)
    half = np.where((value < 0) & (size > 0), size | 0x8000, size)
    return half.astype(np.uint16).view(np.float16)


def _ends(mode: Mode, numbers: Ints, signed: bool) -> Ints:
    """Ends (m, 12) as integers of 16 bits, or of 17 with their sign."""
    first = np.tile(mode.widths[:3], 4)

    def extend(values: Ints, widths: Ints) -> Ints:
        return (values ^ 1 << widths - 1) - (1 << widths - 1)

    if mode.differences:
        base = np.tile(numbers[:, :3], 4)
        base[:, :3] = 0
        steps = np.where(
            np.arange(12) < 3, numbers, extend(numbers, np.maximum(mode.widths[:12], 1))
        )
        numbers = base + steps & (1 << first) - 1
    if not signed:
        top = (1 << first) - 1
        wide = np.where(numbers == top, 0xFFFF, (numbers << 16) + 0x8000 >> first)
        return np.where((first >= 15) | (numbers == 0), numbers, wide)
    numbers = extend(numbers, first)
    size, top = np.abs(numbers), (1 << first - 1) - 1
    wide = np.where(size >= top, 0x7FFF, (size << 15) + 0x4000 >> first - 1)
    return np.where((first >= 16) | (numbers == 0), numbers, np.sign(numbers) * wide)
