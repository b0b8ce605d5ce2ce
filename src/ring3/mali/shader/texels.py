"""Texels in memory: where they lie, what they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.blocks import A8, ALPHA, COMPRESSED, PLAIN, Blocks, astc_blocks
from ring3.mali.descriptors import Plane, Texture, descriptor
from ring3.mali.formats import (
    AFBC_Z24,
    Format,
    from_srgb,
    pixel_format,
    tiled_64k_offset,
    tiled_offset,
    to_rgba,
)
from ring3.mali.shader.operands import Array, distinct
from ring3.mali.shader.threads import NOWHERE, Threads
from ring3.mali.tilebuffer import afbc_stride

TILED, LINEAR, TILED_64K = 1, 2, 8
GENERIC, ASTC, AFBC, CHROMA_2P = 1, 4, 6, 8  # types of planes
CUBE, ONE, TWO, THREE = range(4)  # dimensions
NULL, TEXTURE = 0, 2  # types of descriptors
RGBA8, IDENTITY = (
    187 << 12,
    0o3210,
)  # a pixel format, and the swizzle that leaves channels where they are
Z24 = 77
YUV8 = (64, 72)  # clump formats of planes that hold bytes
SRGB = 1 << 20  # of a pixel format


def unfold(table: int) -> int:
    """Four-bit table numbers of 12 and more stand for the special tables from 60 on."""
    return table if table < 12 else table + 48


def read_texture(threads: Threads, table: int, index: int) -> Texture:
    found = descriptor(threads.space, threads.resources, table, index, Texture)
    if found.type == NULL:
        # Nothing: its one texel is outside.
        return replace(found, dimension=TWO, format=RGBA8, swizzle=IDENTITY)
    if found.type != TEXTURE:
        raise Unsupported(f"a descriptor of type {found.type} where a texture is expected")
    if found.minimum_level:
        raise Unsupported("a texture with a minimum level is not there yet")
    return found


def level_size(texture: Texture, level: int) -> tuple[int, int, int]:
    """Width, height and depth of a level."""
    depth = texture.depth if texture.dimension == THREE else 1
    return (
        max(1, texture.width >> level),
        max(1, texture.height >> level),
        max(1, depth >> level),
    )


def layers(texture: Texture) -> int:
    """Planes of a level: array layers, six of them a cube."""
    return texture.array_size * (6 if texture.dimension == CUBE else 1)


def texel_addresses(
    threads: Threads,
    texture: Texture,
    place: tuple[Array, Array, Array],
    level: Array,
    sample: Array | None = None,
) -> tuple[NDArray[np.int64], Format]:
    """Addresses of texels (x, y, layer or z) of a level; NOWHERE outside the image."""
    kind, _ = pixel_format(texture.format)
    x, y, layer = place
    out = np.full(len(x), NOWHERE, dtype=np.int64)
    volume = texture.dimension == THREE
    inside = (level >= 0) & (level < texture.levels) & (texture.type != NULL)
    if not volume:
        inside &= (layer >= 0) & (layer < layers(texture))
    if sample is not None:
        inside &= (sample >= 0) & (sample < 1 << texture.samples_log2)
    surfaces = level if volume else layer * texture.levels + level
    for number in distinct(surfaces[inside]) if inside.any() else ():
        plane = Plane.read(threads.space, _where(texture, number))
        width, height, depth = level_size(texture, number % texture.levels)
        mine = inside & (surfaces == number)
        mine &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
        if volume:
            mine &= (layer >= 0) & (layer < depth)
        mine_x, mine_y = x[mine], y[mine]
        if plane.plane_type == GENERIC and plane.clump == ALPHA:
            kind = A8
        found = _blocks(texture, plane)
        if found:
            kind = found.at(x, y)
            mine_x, mine_y = mine_x // found.width, mine_y // found.height
        if plane.plane_type == AFBC:
            if texture.format >> 12 & 255 == Z24:
                kind = AFBC_Z24
            offset = mine_y * afbc_stride(width, kind.size) + mine_x * kind.size
        elif plane.plane_type not in (GENERIC, ASTC, CHROMA_2P):
            raise Unsupported(f"texture plane type {plane.plane_type} is not there yet")
        elif plane.ordering == LINEAR:
            offset = mine_y * plane.row_stride + mine_x * kind.size
        elif plane.ordering == TILED:
            shift = 2 if found else 4
            offset = tiled_offset(mine_x, mine_y, kind.size, plane.row_stride, shift)
        elif plane.ordering == TILED_64K:
            offset = tiled_64k_offset(mine_x, mine_y, kind.size, plane.row_stride)
        else:
            raise Unsupported(f"clump ordering {plane.ordering} is not there yet")
        if volume:
            offset = offset + layer[mine] * plane.slice_stride
        elif sample is not None:
            offset = offset + sample[mine] * plane.slice_stride
        out[mine] = offset + (plane.secondary if texture.secondary else plane.pointer)
    return out, kind


def _where(texture: Texture, surface: int) -> int:
    """The address of the plane descriptor of a surface."""
    return texture.surfaces + Plane.BYTES * (surface * texture.planes + texture.plane)


def _blocks(texture: Texture, plane: Plane) -> Blocks | None:
    """How the blocks of a plane are decoded; None where it has none."""
    if plane.plane_type == ASTC:
        return astc_blocks(plane, srgb=bool(texture.format & SRGB))
    if plane.plane_type != GENERIC or plane.clump < PLAIN or plane.clump in YUV8:
        return None
    found = COMPRESSED.get(plane.clump)
    if found is None:
        raise Unsupported(f"compressed texture format {plane.clump} is not there yet")
    return found


def texels(
    threads: Threads,
    texture: Texture,
    found: tuple[NDArray[np.int64], Format],
    border: NDArray[Any] | None = None,
    *,
    linear: bool = False,
) -> NDArray[Any]:
    """(n, 4) values; outside the image the border colour, or zero.  ``linear``: sRGB is left as it is."""
    addresses, kind = found
    _, order = pixel_format(texture.format)
    if isinstance(kind, Blocks) and kind.channels < 4:
        order = kind.order
    values = to_rgba(kind, order, threads.load(addresses, kind.size))
    if texture.format & SRGB and not linear:
        values[:, :3] = from_srgb(values[:, :3])
    outside = addresses == NOWHERE
    if outside.any():
        values[outside] = 0 if border is None else border.astype(values.dtype)
    return swizzled(texture, values)


def swizzled(texture: Texture, values: NDArray[Any]) -> NDArray[Any]:
    """(n, 4) values as the texture orders them."""
    swizzle = [texture.swizzle >> 3 * channel & 7 for channel in range(4)]
    if swizzle != [0, 1, 2, 3]:
        extra = np.zeros((len(values), 6), dtype=values.dtype)
        extra[:, :4], extra[:, 5] = values, 1
        values = extra[:, swizzle]
    return values
