"""Textures of several planes: luma, and chroma of fewer texels.  Shaders do the arithmetic of colours.

The field of the pixel format that is an order of components elsewhere says in bits 2:0 which channels luma
and the chromas become, and in bits 11:9 where chroma lies between the texels of luma.
Source: Mesa's description of the descriptors; Vulkan's "Chroma Reconstruction" (the implicit one).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.descriptors import Plane, Sampler, Texture
from ring3.mali.shader.sampler import Filter, Lookup
from ring3.mali.shader.texels import CHROMA_2P, IDENTITY, swizzled
from ring3.mali.shader.threads import Threads

#: Pixel format -> chroma's divisors across and down.
SUBSAMPLED = {36: (2, 1), 37: (2, 1), 38: (2, 2), 39: (2, 2)}
#: Order of components -> the channel (R, G, B) that Y, U and V become.
_ORDERS = {0: (0, 1, 2), 1: (0, 2, 1), 2: (1, 0, 2), 3: (1, 2, 0), 4: (2, 1, 0), 5: (2, 0, 1)}
#: Siting -> along which axes chroma lies midway; elsewhere on the texels of even number.  422 has one axis.
_MIDWAY = {0: (False, False), 1: (False, True), 2: (True, False), 3: (True, True)}
_MIDWAY_422 = {0: (False, False), 1: (True, False)}
_R8, _RG8 = 163 << 12, 171 << 12


@dataclass(frozen=True)
class Luma(Texture):
    """The first plane of a texture as one of its own."""

    planes = 2


@dataclass(frozen=True)
class Chroma(Luma):
    """The second."""

    plane = 1


@dataclass(frozen=True)
class SecondChroma(Chroma):
    """The third, whose descriptor the second shares."""

    secondary = True


def planar(texture: Texture) -> bool:
    return texture.format >> 12 & 255 in SUBSAMPLED


def sample(
    threads: Threads, texture: Texture, sampler: Sampler, lookup: Lookup
) -> NDArray[np.float32]:
    """(n, 4) filtered values."""
    number, order, siting = (
        texture.format >> at & mask for at, mask in ((12, 255), (0, 7), (9, 7))
    )
    down = SUBSAMPLED[number]
    midway = (_MIDWAY if down == (2, 2) else _MIDWAY_422).get(siting)
    if order not in _ORDERS or midway is None:
        raise Unsupported(f"order {order} and siting {siting} of chroma are not there yet")
    first = Plane.read(threads.space, texture.surfaces + Plane.BYTES)
    kinds: list[tuple[type[Luma], int, int]] = [(Chroma, _RG8, 2)]
    if first.plane_type == CHROMA_2P:
        kinds = [(Chroma, _R8, 1), (SecondChroma, _R8, 1)]
    shifted = replace(lookup, coordinates=list(lookup.coordinates))
    for axis in range(2):
        if down[axis] == 2 and not midway[axis]:
            # A texel of chroma lies on every second one of luma, not between two.
            size = (texture.width, texture.height)[axis]
            shifted.coordinates[axis] = lookup.coordinates[axis] + np.float32(0.5 / size)
    parts = [_plane(threads, texture, Luma, _R8, (1, 1), sampler, lookup)[:, :1]]
    for kind, form, channels in kinds:
        parts.append(_plane(threads, texture, kind, form, down, sampler, shifted)[:, :channels])
    out = np.ones((len(lookup.layer), 4), dtype=np.float32)
    out[:, _ORDERS[order]] = np.concatenate(parts, axis=1)
    return swizzled(texture, out)


def _plane(
    threads: Threads,
    texture: Texture,
    kind: type[Luma],
    form: int,
    down: tuple[int, int],
    sampler: Sampler,
    lookup: Lookup,
) -> NDArray[Any]:
    values = {item.name: getattr(texture, item.name) for item in fields(Texture)}
    values |= {"format": form, "swizzle": IDENTITY, "array_size": texture.array_size // 2}
    values |= {"width": -(-texture.width // down[0]), "height": -(-texture.height // down[1])}
    return Filter(threads, kind(**values), sampler).sample(lookup)
