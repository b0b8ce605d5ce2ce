"""Texels and elements without filtering: LD_TEX, LEA_TEX, LEA_BUF, LD_CVT and ST_CVT."""

from __future__ import annotations

import numpy as np

from ring3.mali.descriptors import Buffer, Texture, descriptor
from ring3.mali.formats import from_srgb, pixel_format, to_rgba, to_srgb
from ring3.mali.isa.model import Instruction
from ring3.mali.shader.integers import Execute, builds
from ring3.mali.shader.memory import active_count, spread, writers
from ring3.mali.shader.operands import (
    Array,
    Read,
    Selection,
    distinct,
    source32,
    source64,
    store32,
    store64,
)
from ring3.mali.shader.stages import components, read_vector, stage, write_vector
from ring3.mali.shader.texels import SRGB, THREE, read_texture, texel_addresses, texels, unfold
from ring3.mali.shader.threads import NOWHERE, Threads

OUTPUT_TABLE = 13  # LEA_BUF_IMM: the vertex's own outputs


def split(threads: Threads, sel: Selection, key: Array) -> list[tuple[Selection, int]]:
    """Threads by the value of ``key`` that they hold."""
    values = distinct(key)
    if len(values) == 1:
        return [(sel, values[0])]
    every = np.arange(threads.count) if sel is None else sel
    return [(every[key == value], value) for value in values]


def _coordinates(
    texture: Texture, lanes: int, low: Array, high: Array
) -> tuple[Array, Array, Array]:
    """x and y in the halves of one register; z and the array layer in those of the other."""
    xy, zw = spread(low, lanes).astype(np.int64), spread(high, lanes).astype(np.int64)
    z, layer = zw & 0xFFFF, zw >> 16
    if texture.dimension == THREE:
        return xy & 0xFFFF, xy >> 16, z
    # Of an image without depth, only z = 0 is inside: shaders put there what does not fit into 16 bits.
    return xy & 0xFFFF, xy >> 16, np.where(z == 0, layer, -1)


@builds("LD_TEX_IMM", "LD_TEX", "LEA_TEX_IMM", "LEA_TEX")
def _ld_tex(instruction: Instruction) -> Execute:
    name = instruction.encoding.mnemonic
    low, high, handle = source32(instruction, 0), source32(instruction, 1), _handle(instruction, 2)
    register, _ = instruction.staging(instruction.encoding.staging[0])
    kind = instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        for mine, one in split(threads, sel, handle(threads, sel)):
            texture = read_texture(threads, one >> 24, one & 0xFFFFFF)
            lanes = active_count(threads, mine)
            place = _coordinates(texture, lanes, low(threads, mine), high(threads, mine))
            found = texel_addresses(threads, texture, place, np.zeros_like(place[0]))
            at, _ = found
            if name.startswith("LEA"):
                store64(threads, mine, register, at)
                store32(threads, mine, register + 2, np.array([texture.format], dtype=np.uint32))
                continue
            values = texels(threads, texture, found)[:, : components(instruction)]
            write_vector(threads, mine, register, values, kind)

    return run


def _handle(instruction: Instruction, number: int) -> Read:
    """Table in bits 31:24, index below; from immediate fields where the instruction has them."""
    if not instruction.encoding.mnemonic.endswith("_IMM"):
        return source32(instruction, number)
    table, index = unfold(instruction.immediate("table")), instruction.immediate("index")
    constant = np.array([table << 24 | index], dtype=np.uint32)
    return lambda threads, sel: constant


@builds("LEA_BUF_IMM", "LEA_BUF")
def _lea_buf(instruction: Instruction) -> Execute:
    """The address of an element of a texel buffer; or of a vertex's own outputs."""
    linear, handle = source32(instruction, 0), _handle(instruction, 1)
    register, _ = instruction.staging(instruction.encoding.staging[0])

    def run(threads: Threads, sel: Selection) -> None:
        for mine, one in split(threads, sel, handle(threads, sel)):
            element = linear(threads, mine).astype(np.int64)
            if one >> 24 == unfold(OUTPUT_TABLE):
                base, stride = stage(threads, "outputs", instruction)
                store64(threads, mine, register, element * stride + base)
                continue
            buffer = descriptor(threads.space, threads.resources, one >> 24, one & 0xFFFFFF, Buffer)
            inside = (element + 1) * buffer.stride <= buffer.size
            at = np.where(inside, element * buffer.stride + buffer.address, NOWHERE)
            store64(threads, mine, register, at)

    return run


@builds("LD_CVT")
def _ld_cvt(instruction: Instruction) -> Execute:
    """Load a pixel, whose format is a conversion descriptor, into registers."""
    address, conversion = source64(instruction, 0), source32(instruction, 1)
    offset = instruction.immediate("offset")
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, kind = components(instruction), instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        for mine, form in split(threads, sel, conversion(threads, sel)):
            memory, order = pixel_format(form & (1 << 22) - 1)
            lanes = active_count(threads, mine)
            at = spread(address(threads, mine), lanes).view(np.int64) + offset
            at = at if memory.size else np.full(lanes, NOWHERE)
            values = to_rgba(memory, order, threads.load(at, memory.size))
            if form & SRGB:
                values[:, :3] = from_srgb(values[:, :3])
            values[at >= NOWHERE] = 0
            write_vector(threads, mine, register, values[:, :count], kind)

    return run


@builds("ST_CVT")
def _st_cvt(instruction: Instruction) -> Execute:
    address, conversion = source64(instruction, 0), source32(instruction, 1)
    offset = instruction.immediate("offset")
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, kind = components(instruction), instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        sel = writers(threads, sel)
        if not active_count(threads, sel):
            return
        for mine, given in split(threads, sel, conversion(threads, sel)):
            lanes = active_count(threads, mine)
            memory, order = pixel_format(given & (1 << 22) - 1)
            if not memory.size:
                continue
            form = {"i": "s32", "j": "u32"}.get(memory.kind, kind) if kind == "auto" else kind
            values = read_vector(threads, mine, register, count, form)
            stored = np.zeros((lanes, memory.channels), dtype=values.dtype)
            for channel, place in enumerate(order[:count]):
                if place < memory.channels:
                    stored[:, place] = values[:, channel]
            if given & SRGB:
                stored[:, :3] = to_srgb(stored[:, :3])
            at = spread(address(threads, mine), lanes).view(np.int64) + offset
            threads.store(at, memory.pack(stored))

    return run
