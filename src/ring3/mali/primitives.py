"""Index lists to primitives, and what is rasterised for points and lines.

A primitive is three vertex numbers; a line repeats its second, a point its only one.  A point covers a
square, a line a rectangle as wide as the line (Vulkan's strict lines): both are two triangles that share
their primitive's values.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.raster import SUBPIXEL, Floats, Ints, Triangles, snap

POINTS, LINES, LINE_STRIP, LINE_LOOP, TRIANGLES, STRIP, FAN = 1, 2, 4, 6, 8, 10, 12
Indices = NDArray[np.int64]


def assemble(mode: int, indices: Indices, restart: bool, kind: int, first: bool = True) -> Indices:
    """Primitives (n, 3) of vertex indices, wound as the strip or fan says.

    ``first``: the first vertex of each gives flat values, else the last.  ``kind`` is the index type, whose
    highest value cuts strips when ``restart`` is set.
    """
    if restart and kind:
        cut = np.flatnonzero(indices == (1 << (8 << kind - 1)) - 1)
        ends = [-1, *cut.tolist(), len(indices)]
        runs = [assemble(mode, indices[a + 1 : b], False, kind, first) for a, b in pairwise(ends)]
        return np.concatenate(runs)
    count = len(indices)
    if mode == POINTS:
        return np.repeat(indices[:, None], 3, axis=1)
    if mode == LINES:
        return indices[: count // 2 * 2].reshape(-1, 2)[:, [0, 1, 1]]
    if mode in (LINE_STRIP, LINE_LOOP):
        ends_ = np.append(indices[1:], indices[:1] if mode == LINE_LOOP else [])[:count]
        starts = indices[: len(ends_)]
        return np.stack((starts, ends_, ends_), axis=1).astype(np.int64)
    if mode == TRIANGLES:
        return indices[: count // 3 * 3].reshape(-1, 3)
    at = np.arange(max(0, count - 2))
    if mode == FAN:
        hub = np.repeat(indices[:1], len(at))
        rim = (indices[at + 1], indices[at + 2])
        return np.stack((*rim, hub) if first else (hub, *rim), axis=1)
    if mode != STRIP:
        raise GpuFault(ExceptionCode.DATA_INVALID_FAULT, 0, f"drawing mode {mode} is not there yet")
    odd = at & 1
    if first:
        return np.stack((indices[at], indices[at + 1 + odd], indices[at + 2 - odd]), axis=1)
    return np.stack((indices[at + odd], indices[at + 1 - odd], indices[at + 2]), axis=1)


def _two(triangles: Triangles, corners: Ints) -> tuple[Triangles, Ints]:
    """Quads (n, 4, 2) as pairs of triangles with positive area; those without area are dropped."""
    halves = corners[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 2)
    pairs = triangles.take(np.repeat(np.arange(len(corners)), 2))
    one, two = halves[:, 1] - halves[:, 0], halves[:, 2] - halves[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    wound = np.where((area > 0)[:, None, None], halves, halves[:, [0, 2, 1]])
    keep = area != 0
    return pairs.take(keep), wound[keep]


def squares(triangles: Triangles, sizes: Floats | None, constant: float) -> tuple[Triangles, Ints]:
    """Points and their snapped squares; ``sizes`` of the vertices, or one for all."""
    if sizes is None:
        size = np.full(len(triangles.corners), constant, dtype=np.float32)
    else:
        size = sizes[triangles.corners[:, 0]]
    triangles.sizes = np.fmax(size, np.float32(1))
    width = np.rint(triangles.sizes * np.float32(SUBPIXEL)).astype(np.int64)
    low = snap(triangles.positions[:, 0, :2]) - (width // 2)[:, None]
    offsets = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    return _two(triangles, low[:, None] + width[:, None, None] * offsets)


def rectangles(triangles: Triangles, width: float) -> tuple[Triangles, Ints]:
    """Lines, and their snapped rectangles."""
    ends = triangles.shape[:, :2]
    along = (ends[:, 1] - ends[:, 0]).astype(np.float32)
    length = np.sqrt((along * along).sum(axis=1))
    scale = np.float32(width * 0.5) / np.where(length > 0, length, np.float32(1))
    across = np.stack((-along[:, 1] * scale, along[:, 0] * scale), axis=1)
    half = np.rint(across * np.float32(SUBPIXEL)).astype(np.int64)
    points = snap(ends)
    corners = np.stack(
        (points[:, 0] - half, points[:, 1] - half, points[:, 1] + half, points[:, 0] + half),
        axis=1,
    )
    return _two(triangles, corners)
