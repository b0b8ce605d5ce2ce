"""Filtering: coordinates and level of detail to texels and their mean.

As the Vulkan specification's chapter on image operations says; weights have 8 bits, which is the precision
that the driver promises.  The level of detail comes from differences across a quad of fragments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.descriptors import Sampler, Texture
from ring3.mali.formats import pixel_format
from ring3.mali.shader.cube import beyond
from ring3.mali.shader.operands import Array
from ring3.mali.shader.texels import CUBE, NULL, ONE, THREE, level_size, texel_addresses, texels
from ring3.mali.shader.threads import Threads
from ring3.mali.tilebuffer import COMPARE

F32 = np.float32
MIP_NEAREST, MIP_NONE, MIP_LINEAR = 0, 1, 3
REPEAT, EDGE, BORDER, MIRROR, MIRROR_EDGE, MIRROR_BORDER = 8, 9, 11, 12, 13, 15
AVERAGE, MINIMUM, MAXIMUM = 0, 2, 3


@dataclass
class Footprint:
    """How much of a texture a fragment covers: a level, and for anisotropic filtering how many probes lie
    along which line (n, 2), in texture coordinates from end to end."""

    lod: Array  # float32, without the sampler's bias
    probes: Array | None = None  # 1 to 16; None: 1
    line: Array | None = None

    def take(self, chosen: Array) -> Footprint:
        return Footprint(
            self.lod[chosen],
            None if self.probes is None else self.probes[chosen],
            None if self.line is None else self.line[chosen],
        )


@dataclass
class Lookup:
    """One texture instruction's operands, an element a thread."""

    coordinates: list[Array]  # float32; of a cube: s, t
    face: Array  # of a cube, else 0
    layer: Array  # array layer, int64
    reference: Array | None = None  # what depths are compared with
    offset: tuple[Array, Array, Array] | None = None  # in texels
    footprint: Footprint | None = None  # None: level 0
    least: Array | None = None  # the shader's own minimum of the level


def border_color(sampler: Sampler, texture: Texture) -> NDArray[Any]:
    words = [sampler.border >> 32 * channel & 0xFFFFFFFF for channel in range(4)]
    raw = np.array(words, dtype=np.uint32)
    kind, _ = pixel_format(texture.format)
    if not kind.integer:
        return raw.view(F32)
    return (raw.view(np.int32) if kind.kind == "i" else raw).astype(np.int64)


def wrap(mode: int, at: Array, size: int) -> Array:
    """Texel numbers (int64) into the image; -1 is the border."""
    if mode == REPEAT:
        return at % size
    if mode == EDGE:
        return np.clip(at, 0, size - 1)
    if mode == BORDER:
        return np.where((at < 0) | (at >= size), -1, at)
    if mode == MIRROR:
        turned = at % (2 * size)
        return np.where(turned < size, turned, 2 * size - 1 - turned)
    mirrored = np.where(at < 0, -1 - at, at)
    if mode == MIRROR_EDGE:
        return np.clip(mirrored, 0, size - 1)
    if mode == MIRROR_BORDER:
        return np.where(mirrored >= size, -1, mirrored)
    raise Unsupported(f"wrap mode {mode} is not there yet")


def levels_of(
    sampler: Sampler, texture: Texture, lod: Array, least: Array | None = None
) -> tuple[Array, Array, Array, Array]:
    """(finer level, coarser level, weight of the coarser, magnified) for each thread."""
    low = max(sampler.minimum_lod, texture.minimum_lod) / 256
    high = min(sampler.maximum_lod, texture.maximum_lod or (1 << 13) - 1) / 256
    wanted = lod + F32(sampler.lod_bias / 256)
    if least is not None:
        wanted = np.maximum(wanted, least)
    wanted = np.minimum(np.maximum(np.where(np.isnan(wanted), 0, wanted), F32(low)), F32(high))
    magnified = wanted <= (0.5 if sampler.magnify_cutoff else 0.0)
    top = texture.levels - 1
    if sampler.mipmap_mode == MIP_NONE:
        none = np.zeros(len(lod), dtype=np.int64)
        return none, none, np.zeros(len(lod), dtype=F32), magnified
    level = np.clip(wanted, 0, top)
    if sampler.mipmap_mode == MIP_NEAREST:
        chosen = np.clip(np.ceil(level + F32(0.5)) - 1, 0, top).astype(np.int64)
        return chosen, chosen, np.zeros(len(lod), dtype=F32), magnified
    finer = np.floor(level)
    weight = np.floor((level - finer) * 256).astype(F32) / F32(256)
    return finer.astype(np.int64), np.minimum(finer + 1, top).astype(np.int64), weight, magnified


class Filter:
    """One sampler on one texture, for some threads."""

    def __init__(self, threads: Threads, texture: Texture, sampler: Sampler) -> None:
        self.threads, self.texture, self.sampler = threads, texture, sampler
        self.border = border_color(sampler, texture)
        if texture.type == NULL:
            self.border[:] = 0
        self.axes = {ONE: 1, THREE: 3}.get(texture.dimension, 2)
        self.integer = pixel_format(texture.format)[0].integer
        self.wraps = [sampler.wrap_s, sampler.wrap_t, sampler.wrap_r]
        self.seamless = texture.dimension == CUBE and bool(sampler.seamless)

    def sample(self, lookup: Lookup) -> NDArray[Any]:
        """(n, 4) filtered values."""
        footprint = lookup.footprint
        if footprint is None or footprint.probes is None or footprint.line is None:
            return self._isotropic(lookup)
        if self.integer:
            return self._isotropic(lookup)
        out: NDArray[Any] | None = None
        for count in np.unique(footprint.probes).tolist():
            mine = np.flatnonzero(footprint.probes == count)
            part = _take(lookup, mine)
            line, middle = footprint.line[mine], list(part.coordinates)
            total: Any = 0
            for number in range(1, count + 1):
                share = number / (count + 1) - 0.5
                for axis in range(min(len(middle), 2)):
                    part.coordinates[axis] = (middle[axis] + line[:, axis] * share).astype(F32)
                total = total + self._isotropic(part)
            if out is None:
                out = np.zeros((len(lookup.layer), 4), dtype=total.dtype)
            out[mine] = total / F32(count)
        if out is None:
            raise AssertionError("a lookup has threads")
        return out

    def _isotropic(self, lookup: Lookup) -> NDArray[Any]:
        footprint = lookup.footprint
        lod = np.zeros(len(lookup.layer), dtype=F32) if footprint is None else footprint.lod
        found = levels_of(self.sampler, self.texture, lod, lookup.least)
        finer, coarser, weight, magnified = found
        value = self._level(lookup, finer, magnified)
        mixed = np.flatnonzero(weight > 0)
        if len(mixed):
            part = _take(lookup, mixed)
            other = self._level(part, coarser[mixed], magnified[mixed])
            share = weight[mixed, None]
            value[mixed] = value[mixed] * (1 - share) + other * share
        return value

    def _level(self, lookup: Lookup, level: Array, magnified: Array) -> NDArray[Any]:
        kinds = [
            (magnified, bool(self.sampler.magnify_nearest)),
            (~magnified, bool(self.sampler.minify_nearest)),
        ]
        out: NDArray[Any] | None = None
        for chosen, nearest in kinds:
            if kinds[0][1] == kinds[1][1]:
                chosen = np.ones(len(level), dtype=bool)
            for number in np.unique(level[chosen]).tolist():
                mine = np.flatnonzero(chosen & (level == number))
                part = _take(lookup, mine)
                one = self._nearest(part, number) if nearest else self._linear(part, number)
                if out is None:
                    out = np.zeros((len(level), 4), dtype=one.dtype)
                out[mine] = one
            if kinds[0][1] == kinds[1][1]:
                break
        if out is None:
            return np.zeros((len(level), 4), dtype=F32)
        return out

    def _scaled(self, lookup: Lookup, level: int) -> list[Array]:
        """Coordinates in texels."""
        size = level_size(self.texture, level)
        out = []
        for axis in range(self.axes):
            at = lookup.coordinates[axis]
            if self.sampler.normalized:
                at = at * F32(size[axis])
            at = np.clip(np.where(np.isfinite(at), at, 0), -(1 << 24), 1 << 24)
            out.append(at)
        return out

    def texel(self, lookup: Lookup, level: int, at: list[Array]) -> NDArray[Any]:
        """Values of texels ``at`` (int64), wrapped; compared when the lookup has a reference."""
        size = level_size(self.texture, level)
        face = lookup.face
        if self.seamless:
            face, *at = beyond(face, at[0], at[1], size[0])
        places = []
        for axis in range(3):
            if axis < self.axes:
                one = at[axis]
                if lookup.offset is not None:
                    one = one + lookup.offset[axis]
                places.append(wrap(self.wraps[axis], one, size[axis]))
            else:
                places.append(np.zeros(len(lookup.layer), dtype=np.int64))
        if self.axes < 3:
            layer = np.minimum(lookup.layer, self.texture.array_size - 1)
            if self.texture.dimension == CUBE:
                layer = layer * 6 + face
            places[2] = layer
        levels = np.full(len(lookup.layer), level, dtype=np.int64)
        found = texel_addresses(
            self.threads, self.texture, (places[0], places[1], places[2]), levels
        )
        linear = bool(self.sampler.linear_srgb)
        values = texels(self.threads, self.texture, found, self.border, linear=linear)
        if lookup.reference is None:
            return values
        kind, _ = pixel_format(self.texture.format)
        reference = lookup.reference
        if kind.kind == "u":
            reference = np.clip(reference, 0, 1)
        # The driver turns the comparison around: the texel is on the left.
        passed = COMPARE[self.sampler.compare](values[:, 0], reference)
        return np.repeat(passed.astype(F32)[:, None], 4, axis=1)

    def _nearest(self, lookup: Lookup, level: int) -> NDArray[Any]:
        at = [np.floor(one).astype(np.int64) for one in self._scaled(lookup, level)]
        if self.seamless:
            top = level_size(self.texture, level)[0] - 1
            at = [np.clip(one, 0, top) for one in at]
        return self.texel(lookup, level, at)

    def _corners(self, lookup: Lookup, level: int) -> tuple[list[Array], list[Array]]:
        """The lower texel and the weight of the upper, along each axis."""
        low, weights = [], []
        for one in self._scaled(lookup, level):
            fixed = np.floor(one.astype(np.float64) * 256 + 0.5).astype(np.int64) - 128
            low.append(fixed >> 8)
            weights.append(((fixed & 255) / 256).astype(F32))
        return low, weights

    def _linear(self, lookup: Lookup, level: int) -> NDArray[Any]:
        if self.integer:
            return self._nearest(lookup, level)
        low, weights = self._corners(lookup, level)
        reduction = self.sampler.reduction
        total: NDArray[Any] | None = None
        corners = [
            self.texel(
                lookup, level, [low[axis] + (corner >> axis & 1) for axis in range(self.axes)]
            )
            for corner in range(1 << self.axes)
        ]
        if self.seamless:
            self._cube_corners(low, corners, level_size(self.texture, level)[0])
        for corner, value in enumerate(corners):
            share = np.ones(len(value), dtype=F32)
            for axis, weight in enumerate(weights):
                share = share * (weight if corner >> axis & 1 else 1 - weight)
            if reduction == AVERAGE:
                value = value * share[:, None]
                total = value if total is None else total + value
            else:
                used = (share > 0)[:, None]
                pick = np.fmin if reduction == MINIMUM else np.fmax
                bad = np.where(used, value, np.nan)
                total = bad if total is None else pick(total, bad)
        if total is None:
            raise AssertionError("a texture has an axis")
        return total

    def _cube_corners(self, low: list[Array], values: list[NDArray[Any]], size: int) -> None:
        """Three faces meet at a corner of a cube: the fourth texel is the mean of the three."""
        for corner, value in enumerate(values):
            missing = np.ones(len(value), dtype=bool)
            for axis in range(2):
                at = low[axis] + (corner >> axis & 1)
                missing &= (at < 0) | (at >= size)
            if missing.any():
                others = [values[one][missing] for one in range(4) if one != corner]
                value[missing] = sum(others) / F32(3)

    def gather(self, lookup: Lookup, channel: int) -> NDArray[Any]:
        """One channel of the four texels around, row by row (the shader brings them into its order)."""
        low, _ = self._corners(lookup, 0)
        out = []
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            value = self.texel(lookup, 0, [low[0] + dx, low[1] + dy])
            out.append(value[:, channel])
        return np.stack(out, axis=1)


def _take(lookup: Lookup, chosen: Array) -> Lookup:
    """Some threads of a lookup."""
    offset = lookup.offset
    return Lookup(
        [one[chosen] for one in lookup.coordinates],
        lookup.face[chosen],
        lookup.layer[chosen],
        None if lookup.reference is None else lookup.reference[chosen],
        None if offset is None else (offset[0][chosen], offset[1][chosen], offset[2][chosen]),
        None if lookup.footprint is None else lookup.footprint.take(chosen),
        None if lookup.least is None else lookup.least[chosen],
    )


def footprint(
    texture: Texture, sampler: Sampler, across: list[Array], down: list[Array]
) -> Footprint:
    """From differences of coordinates to the right and below: the longer one decides the level; with an
    anisotropic sampler the shorter one does, and probes lie along the longer."""
    size = level_size(texture, 0)
    squares = []
    for differences in (across, down):
        total = np.zeros(len(differences[0]), dtype=np.float64)
        for axis, difference in enumerate(differences):
            scale = size[axis] if sampler.normalized else 1
            total += (difference.astype(np.float64) * scale) ** 2
        squares.append(np.where(np.isfinite(total), total, 1))
    tiny = np.float64(2.0**-60)
    longest = np.maximum(np.maximum(squares[0], squares[1]), tiny)
    lod = np.log2(longest) / 2
    if not (sampler.lod_algorithm and sampler.anisotropy > 1) or texture.dimension == THREE:
        return Footprint(lod.astype(F32))
    shortest = np.maximum(np.minimum(squares[0], squares[1]), tiny)
    probes = np.minimum(np.ceil(np.sqrt(longest / shortest)), sampler.anisotropy).astype(np.int64)
    chosen = squares[0] >= squares[1]
    line = np.zeros((len(lod), 2))
    for axis in range(min(len(across), 2)):
        line[:, axis] = np.where(chosen, across[axis], down[axis])
    return Footprint((lod - np.log2(probes)).astype(F32), probes, line)
