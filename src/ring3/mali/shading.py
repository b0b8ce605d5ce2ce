"""Fragments to samples: shading, tests, blending.

A chunk of fragments is shaded at once; then each sample of a pixel is tested and blended.  Where fragments of
one chunk meet on a sample they are taken in order of primitive, one round after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.blending import times, times_exact
from ring3.mali.descriptors import (
    Blend,
    DepthStencil,
    Draw,
    Framebuffer,
    LocalStorage,
    ShaderProgram,
)
from ring3.mali.raster import Interpolator, Setup
from ring3.mali.shader.operands import Selection
from ring3.mali.shader.run import Execution, Program
from ring3.mali.shader.threads import Threads
from ring3.mali.tilebuffer import DepthBuffer, Target

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue

PER_SAMPLE, ALPHA_TO_COVERAGE = 1 << 11, 1 << 22  # flags of a draw call
SHADER, OPAQUE, FIXED, OFF = 0, 1, 2, 3
PREDICATE, COUNTER = 1, 3
#: Number of samples -> where they lie, in 1/256 from a pixel's centre (Vulkan's standard locations).
SAMPLES: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((0, 0),),
    2: ((64, 64), (-64, -64)),
    4: ((-32, -96), (96, -32), (-96, 32), (32, 96)),
    8: (
        (16, -48), (-16, 48), (80, 16), (-48, -80), (-80, 80), (-112, -16), (48, 112), (112, -112),
    ),
    16: (
        (16, 16), (-16, -48), (-48, 32), (64, -16), (-80, -32), (32, 80), (80, 48), (48, -80),
        (-32, 96), (0, -112), (-64, -96), (-96, 64), (-128, 0), (112, -64), (96, 112), (-112, -128),
    ),
}  # fmt: skip


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

    @property
    def samples(self) -> int:
        return 1 << self.frame.sample_count_log2

    @property
    def every(self) -> int:
        """The mask of all samples that the draw call writes."""
        mask = (1 << self.samples) - 1
        return mask & self.draw.flags1 if self.samples > 1 else mask

    @property
    def per_sample(self) -> bool:
        return self.samples > 1 and bool(self.draw.flags0 & PER_SAMPLE)


@dataclass
class Fragments:
    """Fragments of one chunk: triangle, pixel, facing, number of the primitive.

    ``mask``: the samples that each covers, None for all; 0 marks a helper that completes a quad.
    ``sample``: the one sample that each is shaded for, when every sample is.
    """

    which: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    front: NDArray[np.bool_]
    numbers: NDArray[np.int32]
    mask: NDArray[np.uint32] | None = None
    in_quads: bool = False
    sample: NDArray[np.int64] | None = None

    def take(self, chosen: NDArray[Any]) -> Fragments:
        return replace(
            self,
            which=self.which if len(self.which) == 1 else self.which[chosen],
            x=self.x[chosen],
            y=self.y[chosen],
            front=self.front[chosen],
            numbers=self.numbers if len(self.numbers) == 1 else self.numbers[chosen],
            mask=None if self.mask is None else self.mask[chosen],
            sample=None if self.sample is None else self.sample[chosen],
        )

    def quads(self, every: int) -> Fragments:
        """With helpers, so that each triangle's 2 x 2 quads are complete: lane 1 to the right, 2 below.

        Derivatives are differences between lanes of a quad, so that every lane needs its neighbours.
        """
        key = np.broadcast_to(self.which, self.x.shape) << 40 | (self.y >> 1) << 20 | self.x >> 1
        unique, first, place = np.unique(key, return_index=True, return_inverse=True)
        mask = np.zeros(4 * len(unique), dtype=np.uint32)
        mask[4 * place + (self.x & 1) + 2 * (self.y & 1)] = (
            every if self.mask is None else self.mask
        )
        lane, rows = np.tile(np.arange(4), len(unique)), np.repeat(first, 4)
        whole = self.take(rows)
        whole.x, whole.y = (self.x[rows] & ~1) + (lane & 1), (self.y[rows] & ~1) + (lane >> 1)
        whole.mask, whole.in_quads = mask, True
        return whole

    def samples(self, count: int, every: int) -> Fragments:
        """One for each sample that is covered; of quads, for each that any of their lanes covers."""
        mask = np.full(len(self.x), every, np.uint32) if self.mask is None else self.mask & every
        wanted = mask
        if self.in_quads:
            wanted = np.repeat(np.bitwise_or.reduce(mask.reshape(-1, 4), axis=1), 4)
        parts, numbers = [], []
        for sample in range(count):
            mine = np.flatnonzero(wanted >> np.uint32(sample) & 1)
            parts.append(mine)
            numbers.append(np.full(len(mine), sample))
        chosen, sample_of = np.concatenate(parts), np.concatenate(numbers)
        # In the order of the fragments, quads staying together: order of primitives is order of blending.
        group = chosen >> 2 if self.in_quads else chosen
        order = np.lexsort((chosen, sample_of, group))
        chosen, sample_of = chosen[order], sample_of[order]
        fresh = self.take(chosen)
        fresh.sample = sample_of
        only = np.uint32(1) << sample_of.astype(np.uint32)
        fresh.mask = (mask[chosen] & only).astype(np.uint32)
        return fresh


def _count_samples(one: Pass, passed: int) -> None:
    """Occlusion query: a counter, or whether anything passed."""
    mode = one.draw.flags0 >> 14 & 3
    if not passed or mode not in (PREDICATE, COUNTER) or not one.draw.occlusion:
        return
    space, address = one.queue.space, one.draw.occlusion
    count = space.read_int(address, 8) + passed if mode == COUNTER else 1
    space.write_int(address, count, 8)


def shade(one: Pass, setup: Setup | None, fragments: Fragments) -> Iterator[None]:
    """Shade fragments of one chunk, test and blend them.

    A shader that reads the tile buffer sees what was drawn before: its fragments go round by round.
    """
    if one.per_sample:
        fragments = fragments.samples(one.samples, one.every)
    reads = any(blend.mode == SHADER and blend.enable for blend in one.blends)
    if one.program is not None and not reads:
        reads = one.program.reads_tile()
    if not reads or setup is None or len(fragments.which) == 1:
        yield from _shade(one, setup, fragments)
        return
    at = (fragments.y * one.frame.width + fragments.x) * one.samples
    if fragments.in_quads:
        # Quads stay whole: rounds of quads.
        at = ((fragments.y[::4] >> 1) * one.frame.width + (fragments.x[::4] >> 1)) * one.samples
    if fragments.sample is not None:
        at = at + (fragments.sample[::4] if fragments.in_quads else fragments.sample)
    for chosen in _rounds(at, np.ones(len(at), dtype=bool), one_triangle=False):
        if fragments.in_quads:
            chosen = (4 * chosen[:, None] + np.arange(4)).reshape(-1)
        yield from _shade(one, setup, fragments.take(chosen))


def _tile_reader(one: Pass, at: NDArray[Any]) -> Callable[[int, int, Selection, Any], NDArray[Any]]:
    """LD_TILE: samples of a render target, as its conversion descriptor says."""

    def read(target: int, conversion: int, sel: Selection, sample: Any) -> NDArray[Any]:
        if target >= len(one.targets):
            raise Unsupported(f"LD_TILE of target {target} of {len(one.targets)}")
        pixels = (at if sel is None else at[sel]) + np.minimum(sample, one.samples - 1)
        return one.targets[target].read(pixels, conversion)

    return read


def _places(one: Pass) -> NDArray[np.float32]:
    """Where samples lie, in pixels from the centre (samples, 2)."""
    return np.array(SAMPLES[one.samples], dtype=np.float32) / np.float32(256)


def _shade(one: Pass, setup: Setup | None, fragments: Fragments) -> Iterator[None]:
    """Shade fragments, then test and blend those of each sample in order."""
    x, y, front = fragments.x, fragments.y, fragments.front
    at = (y * one.frame.width + x) * one.samples
    interpolator = None
    if setup is not None:
        interpolator = Interpolator(
            setup, fragments.which, x.astype(np.float32), y.astype(np.float32)
        )
    mask = np.full(len(at), one.every, dtype=np.uint32)
    if fragments.mask is not None:
        mask &= fragments.mask
    stages: dict[str, Any] = {
        "varyings": interpolator,
        "samples": _places(one),
        "colors": {},
        "internal": {},
        "depth": np.zeros(len(at), dtype=np.float32),
        "stencil": np.zeros(len(at), dtype=np.uint32),
        "killed": np.zeros(len(at), dtype=bool),
        "coverage": mask.copy(),
        "alpha_to_coverage": one.samples > 1 and bool(one.draw.flags0 & ALPHA_TO_COVERAGE),
        "tile": _tile_reader(one, at),
        "quads": fragments.in_quads,
    }
    if one.program is not None and one.described is not None:
        threads = _threads(one, len(at))
        threads.registers[57] = fragments.numbers.astype(np.uint32)
        threads.registers[58] = ~front
        threads.registers[59] = x | y << 16
        threads.registers[60] = mask
        threads.registers[61] = mask
        threads.registers[62] = one.frame.layer
        if fragments.sample is not None:
            threads.registers[61] |= fragments.sample.astype(np.uint32) << np.uint32(16)
        if fragments.in_quads:
            threads.helpers = mask == 0
        threads.stages.update(stages)
        stages = threads.stages
        execution = Execution(one.program, threads)
        one.queue.running = execution
        yield from execution.run(one.queue.gpu.slice)
        threads.finish()
    else:
        yield
    mask = np.where(stages["killed"], np.uint32(0), mask & stages["coverage"])
    written = stages["depth"] if stages.get("wrote_depth") else None
    stencil = stages["stencil"] if stages.get("wrote_stencil") else None
    for sample in range(one.samples):
        covered = mask != 0 if one.samples == 1 else mask >> np.uint32(sample) & 1 != 0
        if not covered.any():
            continue
        seen = interpolator
        if interpolator is not None and one.samples > 1:
            place = np.broadcast_to(_places(one)[sample], (len(at), 2))
            seen = interpolator.moved(None, place)
        with np.errstate(all="ignore"):
            depth = _depth(one, seen, len(at), front) if written is None else written
        alone = interpolator is None or len(fragments.which) == 1
        for chosen in _rounds(at, covered, one_triangle=alone):
            _test(one, at + sample, sample, chosen, (depth, stencil, front), stages)


def _test(
    one: Pass,
    at: NDArray[Any],
    sample: int,
    chosen: NDArray[np.intp],
    values: tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.bool_]],
    stages: dict[str, Any],
) -> None:
    """Depth and stencil of one sample of ``chosen`` fragments, and the colours of those that pass."""
    depth, stencil, front = values
    passed = one.depth.test(
        at[chosen],
        depth[chosen],
        front[chosen],
        one.state,
        None if stencil is None else stencil[chosen],
    )
    merged = chosen if passed.all() else chosen[passed]
    _count_samples(one, len(merged))
    for (index, which), (color, mask) in stages["colors"].items():
        if which not in (None, sample):
            continue
        written = mask >> np.uint32(sample) & 1 != 0
        mine = merged if written.all() else merged[written[merged]]
        if index < len(one.blends) and one.draw.flags1 >> 16 + index & 1 and len(mine):
            blend = one.blends[index]
            # A blend shader has done what the descriptor's equation and mask would.
            masked = blend.mode != SHADER
            blend = blend.with_internal(stages["internal"][index])
            if not masked:
                blend = replace(blend, color_mask=15)
            _merge(one, at, blend, color, mine)


def _depth(
    one: Pass, interpolator: Interpolator | None, count: int, front: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Fixed-function depth of fragments, with bias, clamped; 0 before that of what is no primitive."""
    state = one.state
    # Nobody looks at depth that is neither compared nor written.
    if state.depth_function == 7 and not state.depth_write:
        return np.zeros(count, dtype=np.float32)
    depth = np.zeros(count, dtype=np.float32) if interpolator is None else interpolator.depth(None)
    if state.depth_bias:
        slope, which = np.zeros(1, dtype=np.float32), np.zeros(1, dtype=np.int64)
        if interpolator is not None:
            planes, which = interpolator.setup.position(2), interpolator.which
            slope = np.maximum(np.abs(planes.dadx), np.abs(planes.dady))
        unit = np.float32(2.0 ** -(16 if one.frame.z_internal == 0 else 24))
        bias = np.float32(state.depth_units) * unit + np.float32(state.depth_factor) * slope
        if state.depth_bias_clamp > 0:
            bias = np.minimum(bias, np.float32(state.depth_bias_clamp))
        elif state.depth_bias_clamp < 0:
            bias = np.maximum(bias, np.float32(state.depth_bias_clamp))
        depth = depth + bias[which]
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
    threads.specials["sample"] = _constant(one.frame.sample_locations)
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
    at: NDArray[Any], alive: NDArray[np.bool_], *, one_triangle: bool
) -> Iterator[NDArray[np.intp]]:
    """Fragments so that no pixel is twice in one round, and order on each pixel is kept."""
    chosen = np.flatnonzero(alive)
    if one_triangle:
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
