"""Triangles to fragments, and values of varyings at fragments.

Coverage: vertices are snapped to 1/256 of a pixel; a pixel belongs to a triangle when its centre is inside,
or on a top or left edge.  All of it is integer arithmetic, so that triangles that share an edge share no
pixel and leave none out.  A triangle's pixels are runs, one a row, found by one division per edge and row.

Interpolation: planes over the pixel grid, a(x, y) = a0 + dadx * x + dady * y, in float32, two fused steps;
perspective values are interpolated as a/w and divided by the interpolated 1/w.  Hardware does not document
its arithmetic; this order of operations is the one llvmpipe documents by its code, so that pictures can be
compared bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.shader.kernels import fma32
from ring3.mali.shader.operands import Selection

SUBPIXEL = 256
#: Fragments shaded together: as in compute, enough for speed, few enough for the cache.
CHUNK = 32768
_LIMIT = 1 << 22  # snapped coordinates beyond +-16384 pixels are clipped away first
F32 = np.float32
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Masks = NDArray[np.uint32]


@dataclass
class Triangles:
    """A batch: screen positions (n, 3, 4) of x, y, z, 1/w; vertex numbers; facing."""

    positions: Floats
    corners: NDArray[np.int32]  # (n, 3)
    numbers: NDArray[np.int32]  # primitive id
    front: NDArray[np.bool_]
    outline: Floats | None = None  # (n, 3, 2): what is rasterised, where it differs (clipped)
    sizes: Floats | None = None  # of points

    def take(self, chosen: NDArray[Any]) -> Triangles:
        return Triangles(
            self.positions[chosen],
            self.corners[chosen],
            self.numbers[chosen],
            self.front[chosen],
            None if self.outline is None else self.outline[chosen],
            None if self.sizes is None else self.sizes[chosen],
        )

    @property
    def shape(self) -> Floats:
        return self.positions[:, :, :2] if self.outline is None else self.outline


def snap(points: NDArray[Any]) -> Ints:
    """Screen coordinates to 1/256 pixels from the centre of pixel (0, 0), to nearest even."""
    centred = points.astype(F32) - F32(0.5)
    return np.rint(centred * F32(SUBPIXEL)).astype(np.int64)


def orient(triangles: Triangles, front_ccw: bool) -> tuple[Triangles, Ints]:
    """Drop triangles without area; say which way the others face.  Snapped corners (n, 3, 2), with positive
    area."""
    corners = snap(triangles.shape)
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    keep = area != 0
    kept = triangles.take(keep) if not keep.all() else triangles
    corners, area = corners[keep], area[keep]
    # y goes down: positive area is clockwise on the screen.
    clockwise = area > 0
    kept.front = clockwise != front_ccw
    flipped = corners[:, [0, 2, 1]]
    return kept, np.where(clockwise[:, None, None], corners, flipped)


@dataclass
class Runs:
    """Runs of pixels: triangle, row, first column, length; in order of triangle, then row.

    ``spans``, with more than one sample a pixel: first and last + 1 column of each sample, (samples, n).
    """

    triangle: Ints
    y: Ints
    x: Ints
    length: Ints
    spans: tuple[Ints, Ints] | None = None

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[Ints, Ints, Ints, Masks | None]]:
        """(triangle, x, y, samples covered) of fragments, about ``size`` at a time, in order."""
        ends = np.cumsum(self.length)
        start = 0
        while start < len(ends):
            done = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, done + size, side="right"))
            stop = max(stop, start + 1)
            length = self.length[start:stop]
            first = np.cumsum(length) - length
            total = int(length.sum())
            column = np.arange(total) - np.repeat(first - self.x[start:stop], length)
            row = np.repeat(self.y[start:stop], length)
            one = self.triangle[start] == self.triangle[stop - 1]
            which = (
                self.triangle[start : start + 1]
                if one
                else np.repeat(self.triangle[start:stop], length)
            )
            if self.spans is None:
                yield which, column, row, None
            else:
                mask = np.zeros(total, dtype=np.uint32)
                for sample, (low, high) in enumerate(zip(*self.spans, strict=True)):
                    inside = column >= np.repeat(low[start:stop], length)
                    inside &= column < np.repeat(high[start:stop], length)
                    mask |= inside.astype(np.uint32) << np.uint32(sample)
                some = mask != 0
                yield which if one else which[some], column[some], row[some], mask[some]
            start = stop


def scan(
    corners: Ints, box: tuple[int, int, int, int], samples: Sequence[tuple[int, int]] = ((0, 0),)
) -> Runs:
    """The runs of triangles (n, 3, 2) with positive area, inside ``box`` (x0, y0, x1, y1; ends excluded).

    ``samples``: where in a pixel it is sampled, from its centre, in 1/256.
    """
    x0, y0, x1, y1 = box
    # Pixel centres have coordinates that are multiples of 256: rows where a sample can be inside.
    above, below = max(y for _, y in samples), min(y for _, y in samples)
    top = np.maximum(-(-(corners[:, :, 1].min(axis=1) - above) // SUBPIXEL), y0)
    bottom = np.minimum((corners[:, :, 1].max(axis=1) - below) // SUBPIXEL + 1, y1)
    rows = np.maximum(bottom - top, 0)
    triangle = np.repeat(np.arange(len(corners)), rows)
    y = np.arange(len(triangle)) - np.repeat(np.cumsum(rows) - rows - top, rows)
    if len(samples) == 1:
        low, high = _span(corners - np.array(samples[0]), triangle, y, (x0, x1))
        some = high > low
        return Runs(triangle[some], y[some], low[some], (high - low)[some])
    spans = [_span(corners - np.array(place), triangle, y, (x0, x1)) for place in samples]
    lows, highs = (np.stack([span[end] for span in spans]) for end in range(2))
    empty = highs <= lows
    low = np.where(empty, x1, lows).min(axis=0)
    high = np.where(empty, x0, highs).max(axis=0)
    some = high > low
    return Runs(
        triangle[some], y[some], low[some], (high - low)[some], (lows[:, some], highs[:, some])
    )


def _span(corners: Ints, triangle: Ints, y: Ints, bounds: tuple[int, int]) -> tuple[Ints, Ints]:
    """First and last + 1 column whose centre is inside, for rows ``y`` of triangles."""
    low, high = np.full(len(y), bounds[0]), np.full(len(y), bounds[1])
    for edge in range(3):
        start, end = corners[:, edge], corners[:, (edge + 1) % 3]
        dx, dy = end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]
        # Inside: dx * (Y - sy) - dy * (X - sx) > 0, or = 0 on a top or left edge.  With positive area and
        # y down, a left edge goes up (dy < 0), a top edge goes right (dy = 0, dx > 0).
        closed = (dy < 0) | ((dy == 0) & (dx > 0))
        reach = (
            dx[triangle] * (SUBPIXEL * y - start[triangle, 1]) + dy[triangle] * start[triangle, 0]
        )
        reach -= np.where(closed, 0, 1)[triangle]  # now: reach - dy * X >= 0
        step = SUBPIXEL * dy[triangle]
        level = step == 0
        safe = np.where(level, 1, step)
        bound = np.floor_divide(reach, safe)  # dy > 0: x <= reach / step
        ceiling = -np.floor_divide(reach, -safe)  # dy < 0: x >= reach / step
        high = np.where(step > 0, np.minimum(high, bound + 1), high)
        low = np.where(step < 0, np.maximum(low, ceiling), low)
        high = np.where(level & (reach < 0), low, high)
    return low, high


def clip(triangles: Triangles, near: float, far: float, corners: int = 3) -> Triangles:
    """Cut off what is behind the eye, before ``near``, beyond ``far``, or far off the screen.

    Pieces keep the planes of their triangle: only the outline that is rasterised changes.  ``corners``: 1
    and 2 for points and lines.
    """
    w = triangles.positions[:, :, 3]
    xy = triangles.positions[:, :, :2]
    z = triangles.positions[:, :, 2]
    finite: Any = np.isfinite(triangles.positions).all(axis=(1, 2))
    inside: Any = (
        finite
        & (w > 0).all(axis=1)
        & (np.abs(xy) < _LIMIT / SUBPIXEL).all(axis=(1, 2))
        & (z >= near).all(axis=1)
        & (z <= far).all(axis=1)
    )
    if inside.all():
        return triangles
    if corners == 1:
        return triangles.take(inside)
    which: list[int] = []
    outlines: list[Any] = []
    for index in range(len(inside)):
        if inside[index]:
            which.append(index)
            outlines.append(xy[index])
        elif finite[index]:
            cut = _pieces(triangles.positions[index, :corners].astype(np.float64), near, far)
            for piece in cut:
                which.append(index)
                outlines.append(piece)
    if not which:
        return triangles.take(np.zeros(0, dtype=np.int64))
    chosen = triangles.take(np.array(which))
    chosen.outline = np.array(outlines, dtype=F32)
    return chosen


def _pieces(corners: NDArray[np.float64], near: float, far: float) -> list[NDArray[np.float64]]:
    """One triangle cut by the planes, as a fan of screen triangles (3, 2); or one line (its end twice)."""
    w = 1 / corners[:, 3]
    polygon = np.concatenate((corners[:, :3] * w[:, None], w[:, None]), axis=1)  # homogeneous
    edge = _LIMIT / SUBPIXEL
    planes = (
        (0, 0, 0, 1, -1e-7),
        (0, 0, 1, -near, 0),
        (0, 0, -1, far, 0),
        (1, 0, 0, edge, 0),
        (-1, 0, 0, edge, 0),
        (0, 1, 0, edge, 0),
        (0, -1, 0, edge, 0),
    )
    for a, b, c, d, constant in planes:
        distance = polygon @ np.array([a, b, c, d], dtype=np.float64) + constant
        kept = []
        if len(polygon) == 2:
            kept = _cut_line(polygon, distance)
            if not kept:
                return []
            polygon = np.array(kept)
            continue
        for at in range(len(polygon)):
            before, here = distance[at - 1], distance[at]
            if (before >= 0) != (here >= 0):
                share = before / (before - here)
                kept.append(polygon[at - 1] + share * (polygon[at] - polygon[at - 1]))
            if here >= 0:
                kept.append(polygon[at])
        if len(kept) < 3:
            return []
        polygon = np.array(kept)
    screen = polygon[:, :2] / polygon[:, 3:]
    if len(screen) == 2:
        return [screen[[0, 1, 1]]]
    return [screen[[0, at, at + 1]] for at in range(1, len(screen) - 1)]


def _cut_line(
    ends: NDArray[np.float64], distance: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """The part of a line whose distance from a plane is not negative."""
    a, b = float(distance[0]), float(distance[1])
    if a < 0 and b < 0:
        return []
    if a >= 0 and b >= 0:
        return [ends[0], ends[1]]
    middle = ends[0] + a / (a - b) * (ends[1] - ends[0])
    return [middle, ends[1]] if a < 0 else [ends[0], middle]


@dataclass
class Planes:
    """a0, dadx, dady of one value over each triangle: (n,) each."""

    a0: Floats
    dadx: Floats
    dady: Floats


class Setup:
    """What is the same for all values of a batch of triangles."""

    def __init__(
        self, triangles: Triangles, varyings: NDArray[np.uint8] | None, mode: int = 8
    ) -> None:
        self.triangles = triangles
        self.data = varyings  # (vertices, stride)
        self.provoking = 0  # the corner that gives flat values; 2: the last
        self.corners = {1: 1, 2: 2, 4: 2, 6: 2}.get(mode, 3)  # of a primitive
        p = triangles.positions
        self._origin = p[:, 0, :2] - F32(0.5)
        d01, d20 = p[:, 0, :2] - p[:, 1, :2], p[:, 2, :2] - p[:, 0, :2]
        if self.corners == 2:
            squared = (d01 * d01).sum(axis=1)
            self._along = d01 * (F32(1) / np.where(squared > 0, squared, F32(1)))[:, None]
        inverse = F32(1) / (d01[:, 0] * d20[:, 1] - d01[:, 1] * d20[:, 0])
        self._d01, self._d20 = d01 * inverse[:, None], d20 * inverse[:, None]
        self._planes: dict[Any, Planes] = {}

    def planes(self, key: Any, values: Any) -> Planes:
        """Planes through three values a triangle, computed once for ``key``."""
        found = self._planes.get(key)
        if found is None:
            a, b, c = values()
            da01, da20 = a - b, c - a
            if self.corners == 3:
                dadx = da01 * self._d20[:, 1] - self._d01[:, 1] * da20
                dady = da20 * self._d01[:, 0] - self._d20[:, 0] * da01
            elif self.corners == 2:
                dadx, dady = da01 * self._along[:, 0], da01 * self._along[:, 1]
            else:
                dadx = dady = np.zeros_like(a)
            a0 = a - (dadx * self._origin[:, 0] + dady * self._origin[:, 1])
            found = self._planes[key] = Planes(a0, dadx, dady)
        return found

    def position(self, component: int) -> Planes:
        p = self.triangles.positions
        return self.planes(
            component, lambda: (p[:, 0, component], p[:, 1, component], p[:, 2, component])
        )

    def point(self, axis: int) -> Planes:
        """gl_PointCoord: from 0 to 1 across a point's square."""
        sizes = self.triangles.sizes
        if sizes is None:
            raise Unsupported("a point coordinate of what is no point")
        slope = F32(1) / sizes
        centre = F32(0.5) - slope * self._origin[:, axis]
        still = np.zeros_like(slope)
        return Planes(centre, *((slope, still) if axis == 0 else (still, slope)))

    def varying(self, offset: int, bits: int) -> Planes:
        """A varying times 1/w."""

        def values() -> list[Floats]:
            numbers = self.column(offset, bits).astype(F32)
            w = self.triangles.positions[:, :, 3]
            return [numbers[self.triangles.corners[:, k]] * w[:, k] for k in range(3)]

        return self.planes((offset, bits), values)

    def column(self, offset: int, bits: int, *, integer: bool = False) -> NDArray[Any]:
        """One component of every vertex."""
        size = bits // 8
        if self.data is None or offset < 0 or offset + size > self.data.shape[1]:
            raise Unsupported(f"a varying at byte {offset}, beyond what the vertex shader wrote")
        raw = np.ascontiguousarray(self.data[:, offset : offset + size])
        return raw.view(f"<{'u' if integer else 'f'}{size}")[:, 0]


@dataclass
class Interpolator:
    """Values at fragments.  ``which`` is the triangle of each, or one for all."""

    setup: Setup
    which: Ints
    x: Floats
    y: Floats
    _oow: Floats | None = field(default=None)
    _w: Floats | None = field(default=None)

    def plane(self, planes: Planes, sel: Selection) -> Floats:
        which = self.which if len(self.which) == 1 or sel is None else self.which[sel]
        x, y = (self.x, self.y) if sel is None else (self.x[sel], self.y[sel])
        value = fma32(planes.dadx[which], x, planes.a0[which])
        out: Floats = fma32(planes.dady[which], y, value)
        return out

    def oow(self, sel: Selection) -> Floats:
        """1/w."""
        if self._oow is None:
            self._oow = self.plane(self.setup.position(3), None)
        return self._oow if sel is None else self._oow[sel]

    def w(self, sel: Selection) -> Floats:
        if self._w is None:
            self._w = F32(1) / self.oow(None)
        return self._w if sel is None else self._w[sel]

    def moved(self, sel: Selection, place: Floats) -> Interpolator:
        """The same for the fragments of ``sel`` alone, at ``place`` (n, 2) from their pixels' centres."""
        which = self.which if len(self.which) == 1 or sel is None else self.which[sel]
        x, y = (self.x, self.y) if sel is None else (self.x[sel], self.y[sel])
        return Interpolator(self.setup, which, x + place[:, 0], y + place[:, 1])

    def depth(self, sel: Selection) -> Floats:
        return self.plane(self.setup.position(2), sel)

    def point(self, sel: Selection) -> Floats:
        """gl_PointCoord (n, 2)."""
        axes = [self.plane(self.setup.point(axis), sel) for axis in range(2)]
        return np.stack(axes, axis=1)

    def smooth(self, offset: int, count: int, bits: int, sel: Selection) -> Floats:
        """(n, count) perspective-correct values of components from byte ``offset`` on."""
        w = self.w(sel)
        out = np.empty((len(w), count), dtype=F32)
        for component in range(count):
            planes = self.setup.varying(offset + component * bits // 8, bits)
            out[:, component] = self.plane(planes, sel) * w
        return out

    def flat(self, offset: int, count: int, bits: int, sel: Selection) -> NDArray[np.uint32]:
        """(n, count) raw values of the provoking vertex."""
        lanes = len(self.x) if sel is None else len(sel)
        which = self.which if len(self.which) == 1 or sel is None else self.which[sel]
        first = self.setup.triangles.corners[which, self.setup.provoking]
        out = np.empty((lanes, count), dtype=np.uint32)
        for component in range(count):
            column = self.setup.column(offset + component * bits // 8, bits, integer=True)
            out[:, component] = column[first]
        return out
