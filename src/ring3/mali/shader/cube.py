"""Cube maps: faces, directions, and what lies beyond a face's edge.

Source: the table of cube map face selection of the Vulkan specification's chapter on image operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.mali.shader.operands import Array

#: Face (+x, -x, +y, -y, +z, -z) -> axis and sign of the major direction, then of s and of t.
FACES = (
    ((0, 1), (2, -1), (1, -1)),
    ((0, -1), (2, 1), (1, -1)),
    ((1, 1), (0, 1), (2, 1)),
    ((1, -1), (0, 1), (2, -1)),
    ((2, 1), (0, 1), (1, -1)),
    ((2, -1), (0, -1), (1, -1)),
)
_AXES = np.array(FACES)[:, :, 0]
_SIGNS = np.array(FACES, dtype=np.float64)[:, :, 1]


def direction(face: Array, s: Array, t: Array) -> NDArray[np.float64]:
    """(n, 3) directions through ``s``, ``t`` of [-1, 1] on a face; the major one has length 1."""
    out = np.empty((len(face), 3))
    rows = np.arange(len(face))
    for number, value in enumerate((1.0, s, t)):
        out[rows, _AXES[face, number]] = value * _SIGNS[face, number]
    return out


def project(towards: NDArray[np.float64], face: Array) -> tuple[Any, Any]:
    """s and t where directions meet the plane of ``face``."""
    rows = np.arange(len(face))
    major, s, t = (towards[rows, _AXES[face, number]] * _SIGNS[face, number] for number in range(3))
    return s / np.abs(major), t / np.abs(major)


def face_of(towards: NDArray[np.float64]) -> NDArray[np.int64]:
    """The face that a direction meets."""
    axis = np.abs(towards).argmax(axis=1)
    return 2 * axis + (towards[np.arange(len(axis)), axis] < 0)


def beyond(face: Array, x: Array, y: Array, size: int) -> tuple[Array, Array, Array]:
    """(face, x, y) of texels that may lie outside ``face`` by less than its size: the neighbour's there.

    A texel beyond a corner is none; what is given for it is some texel near it.
    """
    outside = (x < 0) | (x >= size) | (y < 0) | (y >= size)
    if not outside.any():
        return face, x, y
    mine = np.flatnonzero(outside)
    scale = 1 / size
    towards = direction(face[mine], (2 * x[mine] + 1) * scale - 1, (2 * y[mine] + 1) * scale - 1)
    there = face_of(towards)
    face, x, y = face.copy(), x.copy(), y.copy()
    face[mine] = there
    for place, value in zip((x, y), project(towards, there), strict=True):
        place[mine] = np.clip(np.floor((value + 1) / 2 * size), 0, size - 1).astype(np.int64)
    return face, x, y
