"""RUN_FRAGMENT: polygon lists to pixels.

For each batch of the list, in order: triangles become runs of pixels, fragments are shaded thousands at a
time, then tested and blended.  Where fragments of one chunk meet on a pixel they are taken in order of
primitive, one round after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.descriptors import (
    POLYGON_LIST,
    Blend,
    DepthStencil,
    Draw,
    Framebuffer,
    LocalStorage,
    PolygonList,
    ShaderProgram,
    TilerContext,
)
from ring3.mali.draw import read_positions
from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.primitives import POINTS, TRIANGLES, rectangles, squares
from ring3.mali.raster import Interpolator, Ints, Setup, Triangles, clip, orient, scan
from ring3.mali.shader.operands import Selection
from ring3.mali.shader.run import Execution, Program
from ring3.mali.shader.threads import Threads
from ring3.mali.tilebuffer import (
    DepthBuffer,
    Target,
    load_frame,
    times,
    times_exact,
)

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue

FRONT_CCW, CULL_FRONT, CULL_BACK = 1 << 16, 1 << 17, 1 << 18
LOW_CULL, HIGH_CULL = 1 << 16, 1 << 17
SHADER, OPAQUE, FIXED, OFF = 0, 1, 2, 3
PREDICATE, COUNTER = 1, 3
EVERYWHERE = 0xFFFFFFFF << 32  # a scissor that cuts nothing
_MOST_LISTS = 1 << 20


@dataclass
class Pass:
    """The state of one draw call, ready for its fragments."""

    queue: Queue
    frame: Framebuffer
    targets: list[Target]
    depth: DepthBuffer
    draw: Draw
    state: DepthStencil
    blends: list[Blend]
    program: Program | None
    described: ShaderProgram | None


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
    points, sizes = read_positions(one.queue, polygons.positions, polygons.vertices, polygons.flags)
    varyings = None
    if polygons.stride:
        data = space.read(polygons.varyings, polygons.stride * polygons.vertices)
        varyings = np.frombuffer(data, dtype=np.uint8).reshape(-1, polygons.stride)
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
        runs = scan(snapped, box)
        setup = Setup(triangles, varyings, mode)
        setup.provoking = 0 if frame.first_provoking_vertex else 2
    helpers = one.described is not None and bool(one.described.helpers)
    for which, x, y in runs.chunks():
        covered = None
        if helpers:
            which, x, y, covered = quads(which, x, y)
        interpolator = Interpolator(setup, which, x.astype(np.float32), y.astype(np.float32))
        front = np.broadcast_to(triangles.front[which], x.shape)
        numbers = triangles.numbers[which]
        yield from shade(one, interpolator, Fragments(x, y, front, numbers, covered))


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
        yield from shade(one, None, Fragments(x, y, front, np.zeros(1, dtype=np.int32)))


@dataclass
class Fragments:
    """Fragments of one chunk.  ``covered`` None: all; else some are helpers that complete a quad."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    front: NDArray[np.bool_]
    numbers: NDArray[np.int32]
    covered: NDArray[np.bool_] | None = None

    def take(self, chosen: NDArray[np.intp]) -> Fragments:
        numbers = self.numbers if len(self.numbers) == 1 else self.numbers[chosen]
        covered = None if self.covered is None else self.covered[chosen]
        return Fragments(self.x[chosen], self.y[chosen], self.front[chosen], numbers, covered)


def quads(
    which: NDArray[np.int64], x: NDArray[np.int64], y: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Complete 2 x 2 quads of each triangle, lane 1 to the right, lane 2 below; which fragments are real.

    Derivatives are differences between lanes of a quad, so that every lane needs its neighbours.
    """
    key = np.broadcast_to(which, x.shape) << 40 | (y >> 1) << 20 | x >> 1
    unique, place = np.unique(key, return_inverse=True)
    covered = np.zeros(4 * len(unique), dtype=bool)
    covered[4 * place + (x & 1) + 2 * (y & 1)] = True
    lane = np.tile(np.arange(4), len(unique))
    every = np.repeat(unique, 4)
    triangle = which if len(which) == 1 else every >> 40
    return (
        triangle,
        (every & 0xFFFFF) * 2 + (lane & 1),
        (every >> 20 & 0xFFFFF) * 2 + (lane >> 1),
        covered,
    )


def _count_samples(one: Pass, passed: int) -> None:
    """Occlusion query: a counter, or whether anything passed."""
    mode = one.draw.flags0 >> 14 & 3
    if not passed or mode not in (PREDICATE, COUNTER) or not one.draw.occlusion:
        return
    space, address = one.queue.space, one.draw.occlusion
    count = space.read_int(address, 8) + passed if mode == COUNTER else 1
    space.write_int(address, count, 8)


def shade(
    one: Pass,
    interpolator: Interpolator | None,
    fragments: Fragments,
) -> Iterator[None]:
    """Shade fragments of one chunk, test and blend them.

    A shader that reads the tile buffer sees what was drawn before: its fragments go round by round.
    """
    reads = any(blend.mode == SHADER and blend.enable for blend in one.blends)
    if one.program is not None and not reads:
        reads = one.program.reads_tile()
    if not reads or interpolator is None or len(interpolator.which) == 1:
        yield from _shade(one, interpolator, fragments)
        return
    at = fragments.y * one.frame.width + fragments.x
    alive = np.ones(len(at), dtype=bool)
    if fragments.covered is not None:
        # Quads stay whole: rounds of quads.
        at = (fragments.y[::4] >> 1) * one.frame.width + (fragments.x[::4] >> 1)
        alive = alive[::4]
    for chosen in _rounds(at, alive, interpolator):
        if fragments.covered is not None:
            chosen = (4 * chosen[:, None] + np.arange(4)).reshape(-1)
        part = Interpolator(
            interpolator.setup,
            interpolator.which[chosen],
            interpolator.x[chosen],
            interpolator.y[chosen],
        )
        yield from _shade(one, part, fragments.take(chosen))


def _tile_reader(one: Pass, at: NDArray[Any]) -> Callable[[int, int, Selection], NDArray[Any]]:
    """LD_TILE: the pixels of a render target, as its conversion descriptor says."""

    def read(target: int, conversion: int, sel: Selection) -> NDArray[Any]:
        if target >= len(one.targets):
            raise Unsupported(f"LD_TILE of target {target} of {len(one.targets)}")
        pixels = at if sel is None else at[sel]
        return one.targets[target].read(pixels, conversion)

    return read


def _shade(
    one: Pass,
    interpolator: Interpolator | None,
    fragments: Fragments,
) -> Iterator[None]:
    """Shade fragments, then test and blend those of each pixel in order."""
    x, y, front = fragments.x, fragments.y, fragments.front
    at = y * one.frame.width + x
    with np.errstate(all="ignore"):
        depth = _depth(one, interpolator, len(at), front)
    colors: dict[int, tuple[Any, Any]] = {}
    internal: dict[int, int] = {}
    alive = np.ones(len(at), dtype=bool)
    stencil: NDArray[Any] | None = None
    if one.program is not None and one.described is not None:
        threads = _threads(one, len(at))
        threads.registers[57] = fragments.numbers.astype(np.uint32)
        threads.registers[58] = ~front
        threads.registers[59] = x | y << 16
        threads.registers[60] = 1
        threads.registers[61] = 1
        if fragments.covered is not None:
            threads.helpers = ~fragments.covered
            threads.stages["quads"] = True
            threads.registers[60] = threads.registers[61] = fragments.covered
        threads.stages.update(
            varyings=interpolator,
            colors=colors,
            depth=np.zeros(len(at), dtype=np.float32),
            stencil=np.zeros(len(at), dtype=np.uint32),
            killed=~alive,
            internal=internal,
            tile=_tile_reader(one, at),
        )
        execution = Execution(one.program, threads)
        one.queue.running = execution
        yield from execution.run(one.queue.gpu.slice)
        threads.finish()
        alive = ~threads.stages["killed"]
        if fragments.covered is not None:
            alive &= fragments.covered
        if threads.stages.get("wrote_depth"):
            depth = threads.stages["depth"]
        if threads.stages.get("wrote_stencil"):
            stencil = threads.stages["stencil"]
    else:
        yield
    for chosen in _rounds(at, alive, interpolator):
        passed = one.depth.test(
            at[chosen],
            depth[chosen],
            front[chosen],
            one.state,
            None if stencil is None else stencil[chosen],
        )
        merged = chosen if passed.all() else chosen[passed]
        _count_samples(one, len(merged))
        for index, (values, covered) in colors.items():
            mine = merged if covered.all() else merged[covered[merged]]
            if index < len(one.blends) and one.draw.flags1 >> 16 + index & 1 and len(mine):
                blend = one.blends[index]
                # A blend shader has done what the descriptor's equation and mask would.
                masked = blend.mode != SHADER
                blend = blend.with_internal(internal[index])
                if not masked:
                    blend = replace(blend, color_mask=15)
                _merge(one, at, blend, values, mine)


def _depth(
    one: Pass, interpolator: Interpolator | None, count: int, front: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Fixed-function depth of fragments, with bias, clamped."""
    if interpolator is None:
        return np.zeros(count, dtype=np.float32)
    state = one.state
    # Nobody looks at depth that is neither compared nor written.
    if state.depth_function == 7 and not state.depth_write:
        return np.zeros(count, dtype=np.float32)
    depth = interpolator.depth(None)
    if state.depth_bias:
        planes = interpolator.setup.position(2)
        slope = np.maximum(np.abs(planes.dadx), np.abs(planes.dady))
        unit = np.float32(2.0 ** -(16 if one.frame.z_internal == 0 else 24))
        bias = np.float32(state.depth_units) * unit + np.float32(state.depth_factor) * slope
        if state.depth_bias_clamp > 0:
            bias = np.minimum(bias, np.float32(state.depth_bias_clamp))
        elif state.depth_bias_clamp < 0:
            bias = np.maximum(bias, np.float32(state.depth_bias_clamp))
        depth = depth + bias[interpolator.which]
    low, high = np.float32(one.draw.min_z), np.float32(one.draw.max_z)
    if state.depth_clamp_mode != 2:
        low, high = np.float32(0), np.float32(1)
    return np.minimum(np.maximum(depth, low), high)


def _threads(one: Pass, count: int) -> Threads:
    if one.described is None:
        raise AssertionError("a shader has a descriptor")
    draw, space = one.draw, one.queue.space
    flush, files = one.described.flush_to_zero, one.queue.gpu.files
    threads = Threads(count, space, flush=flush, files=files)
    threads.resources = draw.resources
    words = min(draw.fau_count * 2, len(threads.uniforms))
    if words:
        data = space.read(draw.fau, 4 * words)
        threads.uniforms[:words] = np.frombuffer(data, dtype="<u4")
    if draw.thread_storage:
        storage = LocalStorage.read(space, draw.thread_storage)
        threads.thread_bytes = storage.thread_bytes
    threads.specials["atest_datum"] = _constant(0)
    for index, blend in enumerate(one.blends):
        threads.specials[f"blend_descriptor_{index}"] = _constant(
            int.from_bytes(blend.pack()[8:], "little")
        )
    return threads


def _constant(value: int) -> Callable[[int, Selection], NDArray[Any]]:
    """A special constant of 64 bits that is the same for every thread."""
    words = np.array([value & 0xFFFFFFFF, value >> 32], dtype=np.uint32)
    return lambda word, sel: words[word : word + 1]


def _rounds(
    at: NDArray[Any], alive: NDArray[np.bool_], interpolator: Interpolator | None
) -> Iterator[NDArray[np.intp]]:
    """Fragments so that no pixel is twice in one round, and order on each pixel is kept."""
    chosen = np.flatnonzero(alive)
    if interpolator is None or len(interpolator.which) == 1:
        yield chosen
        return
    keys = at[chosen]
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    fresh = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    if fresh.all():
        yield chosen
        return
    starts = np.flatnonzero(fresh)
    rank = np.arange(len(ordered)) - np.repeat(starts, np.diff([*starts.tolist(), len(ordered)]))
    ranks = np.empty(len(ordered), dtype=np.int64)
    ranks[order] = rank
    for number in range(int(rank.max()) + 1):
        yield chosen[ranks == number]


def _merge(
    one: Pass, at: NDArray[Any], blend: Blend, values: NDArray[Any], mine: NDArray[np.intp]
) -> None:
    """Blend colours of fragments on distinct pixels into a render target."""
    if blend.mode == OFF or not blend.enable or blend.target >= len(one.targets):
        return
    target = one.targets[blend.target]
    pixels, source = (at, values) if len(mine) == len(at) else (at[mine], values[mine])
    product = times_exact if one.queue.gpu.config.exact_blending else times
    target.put(pixels, target.blended(blend, pixels, source, product))
