"""Texel access without filtering: TEX_FETCH, LD_TEX, LEA_TEX and ST_CVT."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.descriptors import Plane, Texture, descriptor
from ring3.mali.formats import Format, pixel_format, tiled_offset, to_rgba
from ring3.mali.isa.model import Instruction
from ring3.mali.shader.integers import Execute, builds
from ring3.mali.shader.memory import active_count, spread
from ring3.mali.shader.operands import (
    Array,
    Selection,
    distinct,
    source32,
    source64,
    store32,
    store64,
)
from ring3.mali.shader.stages import components, read_vector, write_vector
from ring3.mali.shader.threads import NOWHERE, Threads
from ring3.mali.tilebuffer import afbc_stride

TILED, LINEAR = 1, 2
GENERIC, AFBC = 1, 6


def unfold(table: int) -> int:
    """Four-bit table numbers of 12 and more stand for the special tables from 60 on."""
    return table if table < 12 else table + 48


def texel_addresses(
    threads: Threads, texture: Texture, place: tuple[Array, Array, Array], level: Array
) -> tuple[NDArray[np.int64], Format]:
    """Addresses of texels (x, y, layer) of a level; NOWHERE outside the image."""
    kind, _ = pixel_format(texture.format)
    x, y, layer = place
    out = np.full(len(x), NOWHERE, dtype=np.int64)
    surfaces = layer * texture.levels + level
    inside_layer = (layer >= 0) & (layer < max(texture.array_size, texture.depth))
    inside_layer &= (level >= 0) & (level < texture.levels)
    for number in distinct(surfaces[inside_layer]) if inside_layer.any() else ():
        plane = Plane.read(threads.space, texture.surfaces + Plane.BYTES * number)
        if plane.plane_type not in (GENERIC, AFBC):
            raise Unsupported(f"texture plane type {plane.plane_type} is not there yet")
        at_level = number % texture.levels
        width, height = max(1, texture.width >> at_level), max(1, texture.height >> at_level)
        mine = inside_layer & (surfaces == number)
        mine &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
        if plane.plane_type == AFBC:
            offset = y[mine] * afbc_stride(width, kind.size) + x[mine] * kind.size
        elif plane.ordering == LINEAR:
            offset = y[mine] * plane.row_stride + x[mine] * kind.size
        elif plane.ordering == TILED:
            offset = tiled_offset(x[mine], y[mine], kind.size, plane.row_stride)
        else:
            raise Unsupported(f"clump ordering {plane.ordering} is not there yet")
        out[mine] = offset + plane.pointer
    return out, kind


def texels(threads: Threads, texture: Texture, addresses: NDArray[np.int64]) -> NDArray[Any]:
    """(n, 4) values; zero outside."""
    kind, order = pixel_format(texture.format)
    values = to_rgba(kind, order, threads.load(addresses, kind.size))
    outside = addresses == NOWHERE
    if outside.any():
        values[outside] = 0
    swizzle = [texture.swizzle >> 3 * channel & 7 for channel in range(4)]
    if swizzle != [0, 1, 2, 3]:
        extra = np.zeros((len(values), 6), dtype=values.dtype)
        extra[:, :4], extra[:, 5] = values, 1
        values = extra[:, swizzle]
    return values


def _texture(threads: Threads, table: int, index: int) -> Texture:
    found = descriptor(threads.space, threads.resources, table, index, Texture)
    if found.type != 2:
        raise Unsupported(f"a descriptor of type {found.type} where a texture is expected")
    return found


@builds("TEX_FETCH")
def _tex_fetch(instruction: Instruction) -> Execute:
    encoding = instruction.encoding
    written, read = encoding.staging
    target, _ = instruction.staging(written)
    first, count = instruction.staging(read)
    handles = source64(instruction, 0)
    wide, array = instruction.flag("wide_indices"), instruction.flag("array_enable")
    offset = instruction.flag("texel_offset")
    dimension = instruction.modifier("dimension")
    if dimension == "cube":
        raise Unsupported("TEX_FETCH of a cube map is not there yet")
    axes = int(dimension[0])
    mask = instruction.word >> 22 & 15
    channels = [channel for channel in range(4) if mask >> channel & 1]
    width = instruction.modifier("register_width")
    number = {"f": "f", "u": "u", "s": "s"}.get(instruction.modifier("register_type"), "")

    def run(threads: Threads, sel: Selection) -> None:
        lanes = active_count(threads, sel)

        def staged(index: int) -> Array:
            row = threads.registers[first + index]
            return (row if sel is None else row[sel]).view(np.int32).astype(np.int64)

        zero = np.zeros(lanes, dtype=np.int64)
        coordinates = [staged(index) if index < axes else zero for index in range(3)]
        used = axes
        layer = coordinates[2]
        if array:
            layer = staged(used)
            used += 1
        x, y = coordinates[0], coordinates[1]
        if offset:
            shift = staged(used)
            used += 1
            x = x + (shift & 255).astype(np.int8)
            y = y + (shift >> 8 & 255).astype(np.int8)
        level = staged(used) if used < count else zero
        values = None
        for handle in distinct(handles(threads, sel)):
            if wide:
                table, index = handle >> 56, handle >> 32 & 0xFFFFFF
            else:
                table, index = unfold(handle >> 27 & 15), handle >> 16 & 0x7FF
            texture = _texture(threads, table, index)
            at, _ = texel_addresses(threads, texture, (x, y, layer), level)
            found = texels(threads, texture, at)
            if values is None:
                values = found
            else:
                mine = spread(handles(threads, sel), lanes) == handle
                values[mine] = found[mine]
        if values is None:
            return
        kind = number or ("f" if values.dtype.kind == "f" else "u")
        write_vector(threads, sel, target, values[:, channels], f"{kind}{width}")

    return run


def _coordinates(
    threads: Threads, sel: Selection, low: Array, high: Array
) -> tuple[Array, Array, Array]:
    lanes = active_count(threads, sel)
    xy, zw = spread(low, lanes).astype(np.int64), spread(high, lanes).astype(np.int64)
    return xy & 0xFFFF, xy >> 16, zw & 0xFFFF


@builds("LD_TEX_IMM", "LD_TEX", "LEA_TEX_IMM", "LEA_TEX")
def _ld_tex(instruction: Instruction) -> Execute:
    name = instruction.encoding.mnemonic
    low, high = source32(instruction, 0), source32(instruction, 1)
    handle = None if name.endswith("IMM") else source32(instruction, 2)
    register, _ = instruction.staging(instruction.encoding.staging[0])
    address_only = name.startswith("LEA")
    kind = instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        if handle is None:
            table, index = unfold(instruction.immediate("table")), instruction.immediate("index")
        else:
            where = distinct(handle(threads, sel))
            if len(where) > 1:
                raise Unsupported(f"{name} of an index that diverges is not there yet")
            table, index = where[0] >> 24, where[0] & 0xFFFFFF
        texture = _texture(threads, table, index)
        place = _coordinates(threads, sel, low(threads, sel), high(threads, sel))
        at, _ = texel_addresses(threads, texture, place, np.zeros_like(place[0]))
        if address_only:
            store64(threads, sel, register, at)
            store32(threads, sel, register + 2, np.array([texture.format], dtype=np.uint32))
            return
        values = texels(threads, texture, at)[:, : components(instruction)]
        write_vector(threads, sel, register, values, kind)

    return run


@builds("ST_CVT")
def _st_cvt(instruction: Instruction) -> Execute:
    address, form = source64(instruction, 0), source32(instruction, 1)
    offset = instruction.immediate("offset")
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, kind = components(instruction), instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        if threads.helpers is not None:
            chosen = np.arange(threads.count) if sel is None else sel
            sel = chosen[~threads.helpers[chosen]]
        lanes = active_count(threads, sel)
        if not lanes:
            return
        formats = distinct(form(threads, sel))
        if len(formats) > 1:
            raise Unsupported("ST_CVT with formats that diverge is not there yet")
        memory, order = pixel_format(formats[0] & (1 << 22) - 1)
        values = read_vector(threads, sel, register, count, kind)
        stored = np.zeros((lanes, memory.channels), dtype=values.dtype)
        for channel, place in enumerate(order[:count]):
            if place < memory.channels:
                stored[:, place] = values[:, channel]
        at = spread(address(threads, sel), lanes).view(np.int64) + offset
        threads.store(at, memory.pack(stored))

    return run
