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
115 RGB8SNORM 116 RGB16SNORM 123 RGBA8SNORM 124 RGBA16SNORM 237 RGBA8UNORM
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
        """(n, channels) to (n, size) bytes; floats are rounded to nearest even, all but float are clamped."""
        if self.kind == "f":
            raw = values.astype(self.dtype)
        elif self.integer:
            raw = _clamped(values, self.bits, self.kind).astype(self.dtype)
        else:
            top = np.float32((1 << self.bits) - 1 if self.kind == "u" else (1 << self.bits - 1) - 1)
            low = np.float32(0 if self.kind == "u" else -1)
            finite = np.where(np.isnan(values), np.float32(0), values)
            raw = np.rint(np.clip(finite, low, np.float32(1)) * top).astype(self.dtype)
        return np.ascontiguousarray(raw).view(np.uint8).reshape(len(values), self.size)


@dataclass(frozen=True)
class Packed(Format):
    """A format whose channels share a word; ``widths`` from the lowest bit on, R first unless ``reverse``."""

    widths: tuple[int, ...] = ()
    reverse: bool = False

    @property
    def size(self) -> int:
        return sum(self.widths) // 8

    def _places(self) -> list[tuple[int, int, int]]:
        """(channel, lowest bit, width)"""
        places, at = [], 0
        for number, width in enumerate(self.widths):
            channel = len(self.widths) - 1 - number if self.reverse else number
            places.append((channel, at, width))
            at += width
        return places

    def unpack(self, data: Bytes) -> NDArray[Any]:
        words = np.zeros(len(data), dtype=np.int64)
        for number in range(self.size):
            words |= data[:, number].astype(np.int64) << 8 * number
        out = np.zeros((len(data), self.channels), dtype=np.int64 if self.integer else np.float32)
        for channel, low, width in self._places():
            raw = words >> low & (1 << width) - 1
            if self.kind in "si":
                raw = raw - (raw >> width - 1 << width)
            if self.integer:
                out[:, channel] = raw
            elif self.kind == "f":
                out[:, channel] = _small_float(raw, width)
            else:
                top = np.float64((1 << width) - 1 if self.kind == "u" else (1 << width - 1) - 1)
                out[:, channel] = np.maximum(raw / top, -1)
        return out

    def pack(self, values: NDArray[Any]) -> Bytes:
        words = np.zeros(len(values), dtype=np.int64)
        for channel, low, width in self._places():
            value, mask = values[:, channel], (1 << width) - 1
            if self.integer:
                raw = _clamped(value, width, self.kind)
            elif self.kind == "f":
                raw = _to_small_float(value, width)
            else:
                top = mask if self.kind == "u" else mask >> 1
                clean = np.where(np.isnan(value), np.float32(0), value)
                raw = np.rint(
                    np.clip(clean, 0 if self.kind == "u" else -1, 1) * np.float32(top)
                ).astype(np.int64)
            words |= (raw & mask) << low
        columns = [(words >> 8 * number & 255).astype(np.uint8) for number in range(self.size)]
        return np.stack(columns, axis=1)


def _clamped(values: NDArray[Any], bits: int, kind: str) -> NDArray[np.int64]:
    """Integers of registers as those of ``bits`` bits that are nearest; 32 bits hold all of them."""
    wide = values.astype(np.int64)
    if bits == 32:
        return wide
    low = -(1 << bits - 1) if kind == "i" else 0
    return np.clip(wide, low, low + (1 << bits) - 1)


def _small_float(raw: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """Unsigned floats of 11 and 10 bits: five of exponent, the top of a float16's."""
    return (raw << 15 - width).astype(np.uint16).view(np.float16).astype(np.float32)


def _to_small_float(value: NDArray[Any], width: int) -> NDArray[np.int64]:
    """Rounded toward zero, negative values are 0; what is too large is the largest finite number."""
    drop = 15 - width
    clean = np.clip(np.where(np.isnan(value), 0, value), 0, np.finfo(np.float16).max)
    bits = clean.astype(np.float32).view(np.uint32).astype(np.int64)
    # Toward zero: cut the mantissa before the conversion, so that it rounds nothing up.
    half = (bits >> 13 << 13).astype(np.uint32).view(np.float32).astype(np.float16)
    raw = half.view(np.uint16).astype(np.int64) >> drop
    special = np.where(np.isnan(value), 31 << width - 5 | 1, 31 << width - 5)
    return np.where(np.isnan(value) | (value == np.inf), special, raw)


@dataclass(frozen=True)
class SharedExponent(Format):
    """RGB with nine bits of mantissa each and one exponent (bits 31:27)."""

    @property
    def size(self) -> int:
        return 4

    def unpack(self, data: Bytes) -> NDArray[Any]:
        words = np.ascontiguousarray(data).view("<u4")[:, 0].astype(np.int64)
        scale = np.exp2((words >> 27) - 24.0)
        channels = [(words >> 9 * number & 511) * scale for number in range(3)]
        return np.stack(channels, axis=1).astype(np.float32)

    def pack(self, values: NDArray[Any]) -> Bytes:
        top = np.float64(511 / 512 * 65536)
        rgb = np.clip(
            np.where(np.isnan(values[:, :3]), 0, values[:, :3]).astype(np.float64), 0, top
        )
        most = rgb.max(axis=1)
        exponent = np.maximum(-16, np.floor(np.log2(np.where(most > 0, most, 2.0**-40)))) + 16
        exponent += np.floor(most / np.exp2(exponent - 24) + 0.5) == 512
        mantissas = np.floor(rgb / np.exp2(exponent - 24)[:, None] + 0.5).astype(np.int64)
        words = exponent.astype(np.int64) << 27
        for number in range(3):
            words |= mantissas[:, number] << 9 * number
        return words.astype("<u4").view(np.uint8).reshape(-1, 4)


@dataclass(frozen=True)
class Stencil(Format):
    """One byte, as the second channel (the first is depth's) and as the first: orders have either."""

    @property
    def size(self) -> int:
        return 1

    def unpack(self, data: Bytes) -> NDArray[Any]:
        return np.repeat(data.astype(np.int64), 2, axis=1)

    def pack(self, values: NDArray[Any]) -> Bytes:
        return values.max(axis=1, keepdims=True).astype(np.uint8)


@dataclass(frozen=True)
class Constant(Format):
    """No memory, for texel buffers that are nothing."""

    @property
    def size(self) -> int:
        return 0

    def unpack(self, data: Bytes) -> NDArray[Any]:
        return np.zeros((len(data), self.channels), dtype=np.float32)


def _packed() -> dict[int, Format]:
    table: dict[int, Format] = {
        64: Packed("RGB565", 3, 0, "u", (5, 6, 5)),
        65: Packed("RGB5A1UNORM", 4, 0, "u", (5, 5, 5, 1)),
        66: Packed("A1BGR5UNORM", 4, 0, "u", (1, 5, 5, 5), True),
        89: Packed("R11FG11FB10F", 3, 0, "f", (11, 11, 10)),
        91: SharedExponent("R9FG9FB9FE5F", 3, 9, "f"),
        93: Stencil("S8", 2, 8, "j"),
        95: Constant("Constant", 4, 0, "f"),
        186: Packed("RGBA4UNORM", 4, 0, "u", (4, 4, 4, 4)),
        # What the tile buffer holds, to the width of its channels.
        224: Packed("RGB5A1AU", 4, 0, "u", (5, 5, 5, 1)),
        226: Packed("R5G6B5AU", 3, 0, "u", (5, 6, 5)),
        232: Packed("RGBA4AU", 4, 0, "u", (4, 4, 4, 4)),
        238: Packed("RGB10A2TB", 4, 0, "u", (10, 10, 10, 2)),
    }
    for first, kind in ((67, "u"), (69, "s"), (71, "j"), (73, "i")):
        table[first] = Packed(f"RGB10A2{kind}", 4, 0, kind, (10, 10, 10, 2))
        table[first + 1] = Packed(f"A2BGR10{kind}", 4, 0, kind, (2, 10, 10, 10), True)
    return table


def _parse(name: str) -> Format:
    letters = name[: len(name) - len(name.lstrip("RGBA"))]
    rest = name[len(letters) :]
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return Format(name, len(letters), int(digits), _KINDS[rest[len(digits) :].lower()])


@cache
def _table() -> dict[int, Format]:
    items = _FORMATS.split()
    plain = zip(items[::2], items[1::2], strict=True)
    return {int(number): _parse(name) for number, name in plain} | _packed()


#: 24-bit depth where AFBC has no room for the fourth byte.
AFBC_Z24 = Packed("Z24", 1, 24, "u", (24,))


def from_srgb(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """sRGB to linear (IEC 61966-2-1)."""
    wide = values.astype(np.float64)
    curve = ((np.maximum(wide, 0) + 0.055) / 1.055) ** 2.4
    return np.where(wide <= 0.04045, wide / 12.92, curve).astype(np.float32)


def to_srgb(values: NDArray[Any]) -> NDArray[np.float32]:
    """Linear to sRGB."""
    wide = np.clip(np.where(np.isnan(values), 0, values), 0, 1).astype(np.float64)
    curve = 1.055 * wide ** (1 / 2.4) - 0.055
    return np.where(wide <= 0.0031308, wide * 12.92, curve).astype(np.float32)


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


def tiled_offset(
    x: NDArray[Any], y: NDArray[Any], size: int, row_stride: int, shift: int = 4
) -> NDArray[np.int64]:
    """Byte offset of a pixel in a u-interleaved surface; ``row_stride`` is that of a row of tiles, each of
    which is 2 ** ``shift`` pixels wide and high."""
    tile = (y >> shift).astype(np.int64) * row_stride + (x >> shift).astype(np.int64) * (
        size << 2 * shift
    )
    inside = (1 << shift) - 1
    return tile + _interleave()[y & inside, x & inside] * size


def tiled_64k_offset(
    x: NDArray[Any], y: NDArray[Any], size: int, row_stride: int
) -> NDArray[np.int64]:
    """The same in a surface of tiles of 64 KiB, of sparse images: square or twice as wide as high, a tile is
    rows of u-interleaved blocks of 16 x 16.

    Source: the description of the format modifier INTERLEAVED_64K in Linux's drm_fourcc.h.
    """
    bits = 16 - (size - 1).bit_length()
    wide, high = (bits + 1) // 2, bits // 2
    tile = (y >> high).astype(np.int64) * row_stride + (x >> wide).astype(np.int64) * (1 << 16)
    block = ((y >> 4 & (1 << high - 4) - 1) << wide - 4) + (x >> 4 & (1 << wide - 4) - 1)
    return tile + (block * 256 + _interleave()[y & 15, x & 15]) * size


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
