"""Pixel formats: memory to channels and back, and the layouts of pixels in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported

Bytes = NDArray[np.uint8]

#: Pixel formats by number (v10): channels, bits of one, kind.  u/s normalised, i/j signed/unsigned integer.
_KINDS = {"unorm": "u", "snorm": "s", "ui": "j", "i": "i", "f": "f"}
_FORMATS = """
131 R8UI 132 R16UI 133 R32UI 139 RG8UI 140 RG16UI 141 RG32UI 147 RGB8UI 148 RGB16UI 149 RGB32UI
155 RGBA8UI 156 RGBA16UI 157 RGBA32UI 163 R8UNORM 164 R16UNORM 165 R32UNORM 167 R32F 171 RG8UNORM
172 RG16UNORM 173 RG32UNORM 175 RG32F 179 RGB8UNORM 180 RGB16UNORM 181 RGB32UNORM 183 RGB32F
187 RGBA8UNORM 188 RGBA16UNORM 189 RGBA32UNORM 191 RGBA32F 195 R8I 196 R16I 197 R32I 199 R16F
203 RG8I 204 RG16I 205 RG32I 207 RG16F 211 RGB8I 212 RGB16I 213 RGB32I 215 RGB16F 219 RGBA8I
220 RGBA16I 221 RGBA32I 223 RGBA16F 99 R8SNORM 100 R16SNORM 107 RG8SNORM 108 RG16SNORM
115 RGB8SNORM 116 RGB16SNORM 123 RGBA8SNORM 124 RGBA16SNORM 237 RGBA8UNORM 93 R8UI
75 R16UNORM 76 R32F 77 R24UNORM
"""
#: RGB component orders: which stored channel (4: zero, 5: one) gives R, G, B, A.
_ORDERS = {
    0: (0, 1, 2, 3), 4: (2, 1, 0, 3), 8: (1, 2, 3, 0), 12: (3, 2, 1, 0), 16: (0, 1, 2, 5),
    20: (2, 1, 0, 5), 2: (1, 0, 2, 3), 226: (0, 0, 0, 0), 227: (0, 0, 0, 5), 228: (0, 0, 0, 3),
    229: (4, 4, 4, 3), 230: (4, 4, 4, 5), 231: (4, 4, 4, 4), 240: (0, 4, 4, 4), 232: (0, 1, 2, 3),
    233: (0, 1, 2, 3),
}  # fmt: skip


@dataclass(frozen=True)
class Format:
    """A format whose channels are equally wide."""

    name: str
    channels: int
    bits: int
    kind: str  # u, s: normalised; i, j: signed, unsigned integer; f: float

    @property
    def stored_bits(self) -> int:
        """Bits of a channel in memory: 24-bit depth lies in the low bits of a 32-bit word."""
        return 32 if self.bits == 24 else self.bits

    @property
    def size(self) -> int:
        return self.channels * self.stored_bits // 8

    @property
    def dtype(self) -> np.dtype[Any]:
        letter = {"u": "u", "s": "i", "i": "i", "j": "u", "f": "f"}[self.kind]
        return np.dtype(f"<{letter}{self.stored_bits // 8}")

    @property
    def integer(self) -> bool:
        return self.kind in "ij"

    def unpack(self, data: Bytes) -> NDArray[Any]:
        """(n, size) bytes to (n, channels): float32, or int64 for integer formats."""
        raw = np.ascontiguousarray(data).view(self.dtype)
        if self.kind == "f":
            return raw.astype(np.float32)
        if self.bits == 24:
            raw = raw & 0xFFFFFF
        if self.integer:
            return raw.astype(np.int64)
        if self.kind == "u":
            return (raw / np.float64((1 << self.bits) - 1)).astype(np.float32)
        scaled = raw / np.float64((1 << self.bits - 1) - 1)
        return np.maximum(scaled, -1.0).astype(np.float32)

    def pack(self, values: NDArray[Any]) -> Bytes:
        """(n, channels) to (n, size) bytes; floats are rounded to nearest even and clamped."""
        if self.kind == "f":
            raw = values.astype(self.dtype)
        elif self.integer:
            raw = values.astype(np.int64).astype(self.dtype)
        else:
            top = np.float32((1 << self.bits) - 1 if self.kind == "u" else (1 << self.bits - 1) - 1)
            low = np.float32(0 if self.kind == "u" else -1)
            finite = np.where(np.isnan(values), np.float32(0), values)
            raw = np.rint(np.clip(finite, low, np.float32(1)) * top).astype(self.dtype)
        return np.ascontiguousarray(raw).view(np.uint8).reshape(len(values), self.size)


def _parse(name: str) -> Format:
    letters = name[: len(name) - len(name.lstrip("RGBA"))]
    rest = name[len(letters) :]
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return Format(name, len(letters), int(digits), _KINDS[rest[len(digits) :].lower()])


@cache
def _table() -> dict[int, Format]:
    items = _FORMATS.split()
    return {int(number): _parse(name) for number, name in zip(items[::2], items[1::2], strict=True)}


def pixel_format(value: int) -> tuple[Format, tuple[int, ...]]:
    """The 22-bit pixel format field: component order in bits 7:0, format in 19:12."""
    number, order = value >> 12 & 255, value & 255
    found = _table().get(number)
    if found is None:
        raise Unsupported(f"pixel format {number} is not there yet")
    if order not in _ORDERS:
        raise Unsupported(f"component order {order} is not there yet")
    return found, _ORDERS[order]


def to_rgba(kind: Format, order: tuple[int, ...], data: Bytes) -> NDArray[Any]:
    """(n, size) bytes to (n, 4) in R, G, B, A; channels that are missing are 0, 0, 0, 1."""
    channels = kind.unpack(data)
    out = np.zeros((len(channels), 6), dtype=channels.dtype)
    out[:, 5] = 1
    out[:, 3] = 1
    out[:, : kind.channels] = channels
    return out[:, list(order)]


@cache
def _interleave() -> NDArray[np.int64]:
    """Index of pixel (y, x) inside a 16 x 16 u-interleaved block: x ^ y in the even bits, y in the odd."""
    y, x = np.mgrid[0:16, 0:16]
    index = np.zeros((16, 16), dtype=np.int64)
    for bit in range(4):
        index |= ((x ^ y) >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1
    return index


def tiled_offset(x: NDArray[Any], y: NDArray[Any], size: int, row_stride: int) -> NDArray[np.int64]:
    """Byte offset of a pixel in a u-interleaved surface; ``row_stride`` is that of a row of blocks."""
    block = (y >> 4).astype(np.int64) * row_stride + (x >> 4).astype(np.int64) * (256 * size)
    return block + _interleave()[y & 15, x & 15] * size


def to_tiled(image: Bytes) -> Bytes:
    """(height, width, size), both multiples of 16, to (rows of blocks, bytes of a row)."""
    height, width, size = image.shape
    blocks = image.reshape(height // 16, 16, width // 16, 16, size).transpose(0, 2, 1, 3, 4)
    flat = blocks.reshape(height // 16, width // 16, 256, size)
    inverse = np.argsort(_interleave().reshape(-1))
    return np.ascontiguousarray(flat[:, :, inverse]).reshape(height // 16, width * 16 * size)


def from_tiled(rows: Bytes, width: int, size: int) -> Bytes:
    """The inverse of :func:`to_tiled`."""
    blocks = rows.reshape(len(rows), width // 16, 256, size)[:, :, _interleave().reshape(-1)]
    grid = blocks.reshape(len(rows), width // 16, 16, 16, size).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid).reshape(len(rows) * 16, width, size)
