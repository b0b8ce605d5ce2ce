"""Compressed pixels: formats whose texels lie in blocks.  One file for each family of decoders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.blocks import astc, bptc, etc2, s3tc
from ring3.mali.blocks.decode import Decoder, Ints, columns, whole
from ring3.mali.descriptors import Plane
from ring3.mali.formats import Bytes, Format


@dataclass(frozen=True)
class Blocks(Format):
    """A format whose texels are decoded from blocks; ``x`` and ``y`` are the place in each block."""

    bytes: int = 8
    decode: Decoder | None = None
    width: int = 4
    height: int = 4
    x: Any = None
    y: Any = None

    @property
    def size(self) -> int:
        return self.bytes

    @property
    def order(self) -> tuple[int, ...]:
        """R, G, B, A of what is decoded: what is missing is 0, alpha 1."""
        return {1: (0, 4, 4, 5), 2: (0, 1, 4, 5), 3: (0, 1, 2, 5), 4: (0, 1, 2, 3)}[self.channels]

    def at(self, x: Ints, y: Ints) -> Blocks:
        return replace(self, x=x % self.width, y=y % self.height)

    def unpack(self, data: Bytes) -> NDArray[Any]:
        if self.decode is None:
            raise AssertionError(f"{self.name} has a decoder")
        return self.decode(data, self.x, self.y)


def _etc2(punch: bool) -> Decoder:
    return lambda data, x, y: (etc2.colors(data, x, y, punch) / 255).astype(np.float32)


#: Clump format of a plane -> how its blocks are decoded.
COMPRESSED: dict[int, Blocks] = {
    32: Blocks("ETC2 RGB8", 4, 8, "u", 8, _etc2(False)),
    33: Blocks("EAC R11", 1, 16, "u", 8, columns(etc2.eleven_bits, 1, False)),
    34: Blocks("EAC R11 signed", 1, 16, "s", 8, columns(etc2.eleven_bits, 1, True)),
    35: Blocks("EAC RG11", 2, 16, "u", 16, columns(etc2.eleven_bits, 2, False)),
    36: Blocks("EAC RG11 signed", 2, 16, "s", 16, columns(etc2.eleven_bits, 2, True)),
    37: Blocks("ETC2 RGBA8", 4, 8, "u", 16, etc2.colors_and_alpha),
    38: Blocks("ETC2 RGB8A1", 4, 8, "u", 8, _etc2(True)),
    48: Blocks("BC1", 4, 8, "u", 8, lambda data, x, y: s3tc.bc1(data, x, y, True)),
    49: Blocks("BC2", 4, 8, "u", 16, s3tc.bc2),
    50: Blocks("BC3", 4, 8, "u", 16, s3tc.bc3),
    51: Blocks("BC4", 1, 8, "u", 8, columns(s3tc.channel, 1, False)),
    52: Blocks("BC4 signed", 1, 8, "s", 8, columns(s3tc.channel, 1, True)),
    53: Blocks("BC5", 2, 8, "u", 16, columns(s3tc.channel, 2, False)),
    54: Blocks("BC5 signed", 2, 8, "s", 16, columns(s3tc.channel, 2, True)),
    55: Blocks("BC6H", 3, 16, "f", 16, whole(lambda blocks: bptc.bc6h(blocks, False))),
    56: Blocks("BC6H signed", 3, 16, "f", 16, whole(lambda blocks: bptc.bc6h(blocks, True))),
    57: Blocks("BC7", 4, 8, "u", 16, whole(bptc.bc7)),
}


def astc_blocks(plane: Plane, srgb: bool) -> Blocks:
    """The format of a plane of ASTC blocks."""
    width, height = astc.SIDES.get(plane.block_width), astc.SIDES.get(plane.block_height)
    if width is None or height is None:
        raise Unsupported("an ASTC plane with a reserved size of blocks")
    hdr, wide = bool(plane.decode_hdr), bool(plane.decode_wide)
    decode = whole(astc.decoder(width, height, hdr=hdr, srgb=srgb, wide=wide))
    return Blocks("ASTC", 4, 16, "f" if hdr else "u", 16, decode, width, height)


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
