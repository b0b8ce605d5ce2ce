"""RUN_FRAGMENT: polygon lists to pixels.

For each batch of the list, in order: triangles become runs of pixels, and fragments are shaded thousands at a
time (:mod:`ring3.mali.shading`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ring3.errors import Unsupported
from ring3.mali.descriptors import (
    POLYGON_LIST,
    Blend,
    DepthStencil,
    Draw,
    Framebuffer,
    PolygonList,
    ShaderProgram,
    TilerContext,
)
from ring3.mali.draw import read_positions, read_varyings
from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.primitives import POINTS, TRIANGLES, rectangles, squares
from ring3.mali.raster import Ints, Setup, Triangles, clip, orient, scan
from ring3.mali.shading import SAMPLES, Fragments, Pass, shade
from ring3.mali.tilebuffer import DepthBuffer, Target, load_frame

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue

FRONT_CCW, CULL_FRONT, CULL_BACK = 1 << 16, 1 << 17, 1 << 18
MULTISAMPLE = 1 << 19
LOW_CULL, HIGH_CULL = 1 << 16, 1 << 17
EVERYWHERE = 0xFFFFFFFF << 32  # a scissor that cuts nothing
_MOST_LISTS = 1 << 20


def run_fragment(queue: Queue, fields: dict[str, int]) -> Iterator[None]:
    """Render a frame: clear, frame shaders, every batch of the polygon list, write back."""
    space = queue.space
    try:
        frame, targets, depth = load_frame(space, queue.reg64(40))
        for index, mode in enumerate((frame.pre_frame_0, frame.pre_frame_1)):
            # Mode "always" without shaders only asks for clean tiles to be written, as they are here anyway.
            if mode and frame.frame_shaders:
                draw = Draw.read(space, frame.frame_shaders + Draw.BYTES * index)
                one = prepare(queue, frame, targets, depth, draw)
                yield from full_screen(one, _box(frame, EVERYWHERE))
        if frame.tiler:
            yield from _lists(queue, frame, targets, depth)
        yield
        for target in targets:
            target.write_back(space)
        depth.write_back(space)
    except Unsupported as error:
        raise GpuFault(ExceptionCode.DATA_INVALID_FAULT, queue.pc, str(error)) from error


def _lists(
    queue: Queue, frame: Framebuffer, targets: list[Target], depth: DepthBuffer
) -> Iterator[None]:
    space = queue.space
    where = TilerContext.read(space, frame.tiler).polygon_list
    for _ in range(_MOST_LISTS):
        if not where:
            return
        polygons = PolygonList.read(space, where)
        if polygons.magic != POLYGON_LIST:
            raise GpuFault(
                ExceptionCode.DATA_INVALID_FAULT, where, f"no polygon list at {where:#x}"
            )
        if polygons.layer == frame.layer:
            draw = Draw.parse(polygons.draw.to_bytes(Draw.BYTES, "little"))
            one = prepare(queue, frame, targets, depth, draw)
            yield from _batch(one, polygons)
        where = polygons.next
    raise GpuFault(ExceptionCode.DATA_INVALID_FAULT, where, "the polygon list does not end")


def prepare(
    queue: Queue, frame: Framebuffer, targets: list[Target], depth: DepthBuffer, draw: Draw
) -> Pass:
    """Read what a draw call descriptor points at."""
    space = queue.space
    state = DepthStencil.read(space, draw.depth_stencil)
    blends = [
        Blend.read(space, draw.blend + Blend.BYTES * index) for index in range(draw.blend_count)
    ]
    program = described = None
    if draw.shader:
        described = ShaderProgram.read(space, draw.shader)
        program = queue.gpu.program(space, described.binary)
    return Pass(queue, frame, targets, depth, draw, state, blends, program, described)


def _box(frame: Framebuffer, scissor: int) -> tuple[int, int, int, int]:
    """Frame bounds and scissor; ends excluded."""
    low_x, low_y = scissor & 0xFFFF, scissor >> 16 & 0xFFFF
    high_x, high_y = scissor >> 32 & 0xFFFF, scissor >> 48
    return (
        max(frame.min_x, low_x),
        max(frame.min_y, low_y),
        min(frame.max_x, high_x, frame.width - 1) + 1,
        min(frame.max_y, high_y, frame.height - 1) + 1,
    )


def _batch(one: Pass, polygons: PolygonList) -> Iterator[None]:
    space, frame = one.queue.space, one.frame
    box = _box(frame, polygons.scissor)
    outside = (
        polygons.min_x >= box[2]
        or polygons.min_y >= box[3]
        or polygons.max_x < box[0]
        or polygons.max_y < box[1]
    )
    if outside or box[0] >= box[2] or box[1] >= box[3]:
        return
    if polygons.full_screen:
        yield from full_screen(one, box)
        return
    if polygons.count > 1 << 24 or polygons.vertices > 1 << 26:
        raise GpuFault(ExceptionCode.DATA_INVALID_FAULT, 0, "a polygon list beyond all measure")
    raw = space.read(polygons.triangles, 16 * polygons.count)
    corners = np.frombuffer(raw, dtype="<i4").reshape(-1, 4)
    if corners.size and not 0 <= corners[:, :3].min() <= corners[:, :3].max() < polygons.vertices:
        raise GpuFault(
            ExceptionCode.DATA_INVALID_FAULT, polygons.triangles, "a vertex out of range"
        )
    if not len(corners) or not polygons.vertices:
        return
    points, sizes = read_positions(one.queue, polygons)
    varyings = read_varyings(one.queue, polygons)
    triangles = Triangles(
        points[corners[:, :3]],
        corners[:, :3],
        corners[:, 3],
        np.ones(len(corners), dtype=bool),
    )
    near = polygons.low_depth if polygons.flags & LOW_CULL else -np.inf
    far = polygons.high_depth if polygons.flags & HIGH_CULL else np.inf
    flags = one.draw.flags0
    with np.errstate(all="ignore"):
        mode = polygons.flags & 255
        triangles = clip(
            triangles, near, far, {POINTS: 1, TRIANGLES: 3}.get(max(mode & 8, mode & 1), 2)
        )
        if mode == POINTS:
            triangles, snapped = squares(triangles, sizes, polygons.size)
        elif mode < TRIANGLES:
            triangles, snapped = rectangles(triangles, polygons.size)
        else:
            triangles, snapped = _culled(triangles, flags)
        if not len(snapped):
            return
        # Without multisampling, the centre of a pixel decides for all its samples.
        many = one.samples > 1 and flags & MULTISAMPLE
        runs = scan(snapped, box, SAMPLES[one.samples] if many else ((0, 0),))
        setup = Setup(triangles, varyings, mode)
        setup.provoking = 0 if frame.first_provoking_vertex else 2
    helpers = one.described is not None and bool(one.described.helpers)
    for which, x, y, mask in runs.chunks():
        front = np.broadcast_to(triangles.front[which], x.shape)
        fragments = Fragments(which, x, y, front, triangles.numbers[which], mask)
        if helpers:
            fragments = fragments.quads(one.every)
        yield from shade(one, setup, fragments)


def _culled(triangles: Triangles, flags: int) -> tuple[Triangles, Ints]:
    """Triangles that face a way that is drawn, and their snapped corners."""
    triangles, snapped = orient(triangles, bool(flags & FRONT_CCW))
    keep = np.ones(len(snapped), dtype=bool)
    if flags & CULL_FRONT:
        keep &= ~triangles.front
    if flags & CULL_BACK:
        keep &= triangles.front
    if keep.all():
        return triangles, snapped
    return triangles.take(keep), snapped[keep]


def full_screen(one: Pass, box: tuple[int, int, int, int]) -> Iterator[None]:
    """A frame shader or RUN_FULLSCREEN: every pixel of a box, no primitive."""
    low_x, low_y, high_x, high_y = box
    if low_x >= high_x or low_y >= high_y:
        return
    width = high_x - low_x
    total = width * (high_y - low_y)
    for first in range(0, total, 32768):
        at = np.arange(first, min(first + 32768, total))
        x, y = at % width + low_x, at // width + low_y
        front = np.ones(len(at), dtype=bool)
        zero = np.zeros(1, dtype=np.int32)
        yield from shade(one, None, Fragments(zero.astype(np.int64), x, y, front, zero))
