"""RUN_IDVS: index-driven vertex shading.  Indices to primitives, vertices through the position and varying
shaders, primitives into polygon lists."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ring3.mali.compute import environment, shader
from ring3.mali.descriptors import Draw, LocalStorage, PolygonList
from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.primitives import TRIANGLES, Indices, assemble
from ring3.mali.shader.run import Execution
from ring3.mali.shader.threads import Threads
from ring3.mali.tiler import Tiler

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue
    from ring3.mali.mmu import AddressSpace

POSITION_BYTES = 16  # x, y, z, 1/w
PACKET = (
    4  # vertices whose extended positions lie together: four positions, then four times the rest
)
SECONDARY_SHADER, RESTART, LAYERS = 1 << 18, 1 << 19, 1 << 20
EXTENDED = 2  # position FIFO format, bits 23:22
HALF_SIZES = 2  # point size array format, bits 12:11
_MOST_TRIANGLES = 16384
_MOST_INDICES = 1 << 24


def run_idvs(queue: Queue, fields: dict[str, int]) -> Iterator[None]:
    """Shade and bin one draw call, in batches that fit a heap chunk."""
    regs = queue.registers
    flags = regs[56] | fields["flags_override"]
    tiler = Tiler(queue, queue.reg64(40))
    views = layers_of(tiler, flags)
    stored = max(flags >> 24, 1).bit_length()  # views whose outputs each vertex has room for
    indices = read_indices(queue, flags)
    provoking = bool(tiler.context.first_provoking_vertex)
    primitives = assemble(flags & 255, indices, bool(flags & RESTART), flags >> 8 & 7, provoking)
    instances = regs[34]
    if not len(primitives) or not instances or not views:
        return
    stride = -(-regs[48] // 16) * 16 if flags & SECONDARY_SHADER else 0
    vertex = max(2 * POSITION_BYTES, stride) * stored
    # Packets are filled up: room for some vertices more.
    batch = max(1, min(_MOST_TRIANGLES, tiler.room // (3 * vertex) - 8))
    per_instance = len(primitives)
    for first in range(0, per_instance * instances, batch):
        numbers = np.arange(first, min(first + batch, per_instance * instances))
        instance = numbers // per_instance
        corners = primitives[numbers % per_instance]
        keys = corners + (instance << 32)[:, None]
        unique, inverse = np.unique(keys, return_inverse=True)
        vertices = (unique & 0xFFFFFFFF, unique >> 32)
        positions = yield from _shade(tiler, fields, vertices, POSITION_BYTES, stored, 0)
        size = _float(regs[60])
        varyings = 0
        if stride:
            varyings = yield from _shade(tiler, fields, vertices, stride, stored, 1)
        triangles = np.empty((len(numbers), 4), dtype="<i4")
        triangles[:, :3] = inverse.reshape(-1, 3)
        triangles[:, 3] = numbers % per_instance
        where = yield from tiler.allocate(triangles.nbytes)
        queue.space.write(where, triangles.tobytes())
        shared = PolygonList(
            count=len(triangles),
            triangles=where,
            positions=positions,
            varyings=varyings,
            vertices=len(unique),
            stride=stride,
            scissor=queue.reg64(42),
            low_depth=_float(regs[44]),
            high_depth=_float(regs[45]),
            flags=flags,
            size=size,
            views=stored,
            draw=int.from_bytes(_draw(queue, fields).pack(), "little"),
        )
        for view, layer in views:
            polygons = replace(shared, layer=layer, view=view)
            box = bounds(read_positions(queue, polygons), size, flags)
            yield from tiler.append(replace(polygons, **box))
        yield


def layers_of(tiler: Tiler, flags: int) -> list[tuple[int, int]]:
    """(view, layer of the tiler context) that a draw call goes to: its views, or the frame's first layer."""
    if flags & LAYERS:
        raise GpuFault(
            ExceptionCode.DATA_INVALID_FAULT, 0, "a layer chosen by the vertex is not there yet"
        )
    views = [view for view in range(8) if flags >> 24 + view & 1] or [0]
    inside = [(view, view + tiler.context.layer_offset & 255) for view in views]
    return [(view, layer) for view, layer in inside if layer < tiler.context.layers]


def run_fullscreen(queue: Queue, fields: dict[str, int]) -> Iterator[None]:
    """Bin one primitive that covers the scissor rectangle; its draw call descriptor is in memory."""
    flags = queue.registers[56] | fields["flags_override"]
    tiler = Tiler(queue, queue.reg64(40))
    draw = Draw.read(queue.space, queue.reg64(fields["dcd"]))
    polygons = PolygonList(
        full_screen=1,
        scissor=queue.reg64(42),
        flags=flags,
        max_x=65535,
        max_y=65535,
        draw=int.from_bytes(draw.pack(), "little"),
    )
    for _, layer in layers_of(tiler, flags):
        yield from tiler.append(replace(polygons, layer=layer))
    yield


def _draw(queue: Queue, fields: dict[str, int]) -> Draw:
    """The draw call descriptor that the fragment stage will use."""
    regs = queue.registers
    fau = queue.reg64(12)
    blend = queue.reg64(50)
    return Draw(
        flags0=regs[57],
        flags1=regs[58],
        min_z=_float(regs[44]),
        max_z=_float(regs[45]),
        depth_stencil=queue.reg64(52),
        blend_count=blend & 15,
        blend=blend & ~15,
        occlusion=queue.reg64(46),
        fau_count=fau >> 56,
        fau=fau & (1 << 48) - 1,
        resources=queue.reg64(4 if fields["fragment_srt_select"] else 0),
        shader=queue.reg64(20),
        thread_storage=queue.reg64(28 if fields["fragment_tsd_select"] else 24),
    )


def _float(bits: int) -> float:
    return float(np.array([bits], dtype=np.uint32).view(np.float32)[0])


def read_indices(queue: Queue, flags: int) -> Indices:
    """The vertex indices of one instance, before the vertex offset."""
    regs = queue.registers
    count, kind = regs[33], flags >> 8 & 7
    if count > _MOST_INDICES:
        raise GpuFault(ExceptionCode.DATA_INVALID_FAULT, 0, f"a draw of {count} indices")
    if not kind:
        return np.arange(count, dtype=np.int64)
    if kind > 3:
        raise GpuFault(ExceptionCode.DATA_INVALID_FAULT, 0, f"indices of type {kind}")
    size = 1 << kind - 1
    start = regs[35] * size
    available = max(0, regs[39] - start) // size
    data = np.zeros(count, dtype=f"<u{size}")
    inside = min(count, available)
    if inside:
        raw = queue.space.read(queue.reg64(54) + start, inside * size)
        data[:inside] = np.frombuffer(raw, dtype=data.dtype)
    return data.astype(np.int64)


def vertex_numbers(count: int, slots: int) -> Indices:
    """Where vertex n's first output is, of packets that hold ``slots`` outputs for each of four vertices."""
    at = np.arange(count)
    return at if slots == 1 else at // PACKET * (slots * PACKET) + at % PACKET


def position_slots(flags: int, views: int) -> int:
    """What the position shader writes for a vertex: a position a view; the extended format as much again."""
    return views * (2 if flags >> 22 & 3 == EXTENDED else 1)


def read_vertices(space: AddressSpace, where: int, at: Indices, size: int) -> NDArray[np.uint8]:
    """Outputs of ``size`` bytes, of which those numbered ``at`` are wanted: (len(at), size)."""
    raw = np.frombuffer(space.read(where, (int(at[-1]) + 1) * size), dtype=np.uint8)
    return raw.reshape(-1, size)[at]


def read_positions(
    queue: Queue, polygons: PolygonList
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Screen positions (vertices, 4) and point sizes, when the shader wrote them as float16."""
    flags, slots = polygons.flags, position_slots(polygons.flags, polygons.views)
    own = slots // polygons.views
    at = vertex_numbers(polygons.vertices, slots) + PACKET * own * polygons.view
    raw = read_vertices(queue.space, polygons.positions, at, POSITION_BYTES)
    positions = np.ascontiguousarray(raw).view("<f4")
    if own == 1 or flags >> 11 & 3 != HALF_SIZES:
        return positions, None
    rest = read_vertices(queue.space, polygons.positions, at + PACKET, POSITION_BYTES)
    return positions, np.ascontiguousarray(rest).view("<f2")[:, 0].astype(np.float32)


def read_varyings(queue: Queue, polygons: PolygonList) -> NDArray[np.uint8] | None:
    """What the varying shader wrote (vertices, bytes); None without one."""
    if not polygons.stride:
        return None
    at = vertex_numbers(polygons.vertices, polygons.views) + PACKET * polygons.view
    return read_vertices(queue.space, polygons.varyings, at, polygons.stride)


def bounds(
    vertices: tuple[NDArray[np.float32], NDArray[np.float32] | None], size: float, flags: int
) -> dict[str, int]:
    """The pixels that a batch can touch, from its vertices; everything when one is behind the eye."""
    points, sizes = vertices
    x, y, w = points[:, 0], points[:, 1], points[:, 3]
    if not (np.isfinite(points[:, :4]).all() and (w > 0).all()):
        return {"min_x": 0, "min_y": 0, "max_x": 65535, "max_y": 65535}
    around = 1.0
    if flags & 255 < TRIANGLES:
        around += float(np.nanmax(sizes)) if sizes is not None else size

    def pixel(value: float) -> int:
        return int(min(max(value, 0), 65535))

    return {
        "min_x": pixel(x.min() - around),
        "min_y": pixel(y.min() - around),
        "max_x": pixel(x.max() + around),
        "max_y": pixel(y.max() + around),
    }


def _shade(
    tiler: Tiler,
    fields: dict[str, int],
    vertices: tuple[Indices, Indices],
    stride: int,
    views: int,
    secondary: int,
) -> Generator[None, None, int]:
    """Run the position (0) or varying (1) shader over a batch; the address of its outputs."""
    queue, (index, instance) = tiler.queue, vertices
    flags = queue.registers[56] | fields["flags_override"]
    slots = views if secondary else position_slots(flags, views)
    numbers = vertex_numbers(len(index), slots)
    where = yield from tiler.allocate((int(numbers[-1]) + 1 + (slots - 1) * PACKET) * stride)
    srt = 2 if secondary and fields["varying_srt_select"] else 0
    fau = 10 if secondary and fields["varying_fau_select"] else 8
    tsd = 26 if secondary and fields["varying_tsd_select"] else 24
    described, program = shader(queue, 18 if secondary else 16)
    flush, files = described.flush_to_zero, queue.gpu.files
    threads = Threads(len(index), queue.space, flush=flush, files=files)
    environment(queue, threads, srt, fau)
    if queue.reg64(tsd):
        threads.thread_bytes = LocalStorage.read(queue.space, queue.reg64(tsd)).thread_bytes
    threads.stages["outputs"] = (where, stride)
    threads.stages["attribute_offset"] = queue.registers[32]
    threads.registers[59] = numbers
    threads.registers[60] = (index + queue.registers[36]).astype(np.uint32)
    threads.registers[61] = instance
    execution = Execution(program, threads)
    queue.running = execution
    yield from execution.run(queue.gpu.slice)
    threads.finish()
    return where
