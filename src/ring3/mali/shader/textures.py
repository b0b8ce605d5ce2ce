"""Texture instructions: TEX_FETCH, TEX_SINGLE, TEX_GATHER and TEX_GRADIENT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.descriptors import Sampler, Texture, descriptor
from ring3.mali.isa.model import Instruction
from ring3.mali.shader import yuv
from ring3.mali.shader.cube import direction, project
from ring3.mali.shader.integers import Execute, builds
from ring3.mali.shader.memory import active_count, spread
from ring3.mali.shader.operands import (
    Array,
    Selection,
    distinct,
    source64,
    store32,
)
from ring3.mali.shader.sampler import Filter, Footprint, Lookup, footprint
from ring3.mali.shader.stages import write_vector
from ring3.mali.shader.texels import read_texture, texel_addresses, texels, unfold
from ring3.mali.shader.threads import Threads

FACE = 29  # of a cube: above the low bits of s
_AXES = {"1d": 1, "2d": 2, "3d": 3, "cube": 2}


@dataclass
class Operands:
    """Staging registers of a texture instruction, in the order the hardware reads them."""

    coordinates: list[int]
    array: int | None = None
    reference: int | None = None
    offset: int | None = None
    lod: int | None = None
    gradient: int | None = None


def operands(instruction: Instruction) -> Operands:
    """Which register holds what, from the flags of the instruction."""
    read = instruction.encoding.staging[1]
    first, count = instruction.staging(read)
    axes = _AXES[instruction.modifier("dimension")]
    found = Operands([first + axis for axis in range(axes)])
    used = axes

    def flag(name: str) -> bool:
        declared = any(item.name == name for item in instruction.encoding.modifiers)
        return declared and instruction.flag(name)

    for name, field in (
        ("array_enable", "array"),
        ("shadow", "reference"),
        ("texel_offset", "offset"),
    ):
        if flag(name):
            setattr(found, field, first + used)
            used += 1
    if used < count:
        found.lod = first + used
    if used + 1 < count:
        found.gradient = first + used + 1
    return found


@dataclass(frozen=True)
class Handle:
    """What the 64-bit source says: (table, index) of texture and sampler; offsets in texels and a level."""

    texture: tuple[int, int]
    sampler: tuple[int, int]
    offset: tuple[int, int, int] = (0, 0, 0)
    level: int = 0


def _wide(handle: int) -> Handle:
    texture, sampler = handle >> 32, handle & 0xFFFFFFFF
    return Handle((texture >> 24, texture & 0xFFFFFF), (sampler >> 24, sampler & 0xFFFFFF))


def _narrow(handle: int) -> Handle:
    """16 bits each for sampler and texture; in the high word three signed nibbles, then the level."""
    texture, sampler, high = handle >> 16 & 0xFFFF, handle & 0xFFFF, handle >> 32
    x, y, z = ((high >> 4 * axis & 15 ^ 8) - 8 for axis in range(3))
    return Handle(
        (unfold(texture >> 11 & 15), texture & 0x7FF),
        (unfold(sampler >> 11 & 15), sampler & 0x7FF),
        (x, y, z),
        high >> 12 & 31,
    )


class Access:
    """What TEX instructions share: operands by thread, one run for each texture and sampler, the result."""

    def __init__(self, instruction: Instruction) -> None:
        self.instruction = instruction
        self.where = operands(instruction)
        self.source = source64(instruction, 0)
        self.split = _wide if instruction.flag("wide_indices") else _narrow
        self.cube = instruction.modifier("dimension") == "cube"
        mask = instruction.word >> 22 & 15
        self.channels = [channel for channel in range(4) if mask >> channel & 1]
        self.target, _ = instruction.staging(instruction.encoding.staging[0])
        self.width = instruction.modifier("register_width")
        self.number = {"f": "f", "u": "u", "s": "s"}.get(instruction.modifier("register_type"), "")

    def row(self, threads: Threads, sel: Selection, register: int) -> Array:
        row: Array = threads.registers[register]
        return row if sel is None else row[sel]

    def lookup(self, threads: Threads, sel: Selection, handle: Handle) -> Lookup:
        """Coordinates as float32, with face, layer, reference and offset."""
        count, where = active_count(threads, sel), self.where
        raw = [self.row(threads, sel, register) for register in where.coordinates]
        face = np.zeros(count, dtype=np.int64)
        if self.cube:
            face = (raw[0] >> FACE).astype(np.int64)
            # s lies in [0, 1], so that its top three bits are known.
            low = raw[0] & np.uint32((1 << FACE) - 1) | np.uint32(1 << FACE)
            raw[0] = low
        found = Lookup([one.view(np.float32) for one in raw], face, np.zeros(count, dtype=np.int64))
        if where.array is not None:
            layer = self.row(threads, sel, where.array).view(np.float32)
            clean = np.where(np.isfinite(layer), layer, 0)
            found.layer = np.rint(np.clip(clean, 0, 1 << 16)).astype(np.int64)
        if where.reference is not None:
            found.reference = self.row(threads, sel, where.reference).view(np.float32)
        if where.offset is not None or handle.offset != (0, 0, 0):
            found.offset = self.offsets(threads, sel, handle)
        return found

    def offsets(
        self, threads: Threads, sel: Selection, handle: Handle
    ) -> tuple[Array, Array, Array]:
        """Three signed bytes of one register, or what the handle says."""
        if self.where.offset is None:
            x, y, z = (np.array([by], dtype=np.int64) for by in handle.offset)
            count = active_count(threads, sel)
            return spread(x, count), spread(y, count), spread(z, count)
        packed = self.row(threads, sel, self.where.offset)
        parts = [(packed >> 8 * axis & 255).astype(np.uint8).view(np.int8) for axis in range(3)]
        return parts[0].astype(np.int64), parts[1].astype(np.int64), parts[2].astype(np.int64)

    def textures(self, threads: Threads, sel: Selection) -> list[tuple[Selection, Handle]]:
        """Threads by the handle they hold."""
        handles = self.source(threads, sel)
        different = distinct(handles)
        if len(different) == 1:
            return [(sel, self.split(different[0]))]
        every = np.arange(threads.count) if sel is None else sel
        return [
            (every[spread(handles, len(every)) == handle], self.split(handle))
            for handle in different
        ]

    def write(self, threads: Threads, sel: Selection, values: NDArray[Any]) -> None:
        kind = self.number or ("f" if values.dtype.kind == "f" else "u")
        write_vector(threads, sel, self.target, values[:, self.channels], f"{kind}{self.width}")


def read_sampler(threads: Threads, where: tuple[int, int]) -> Sampler:
    found = descriptor(threads.space, threads.resources, *where, Sampler)
    if found.type != 1:
        raise Unsupported(f"a descriptor of type {found.type} where a sampler is expected")
    return found


@builds("TEX_FETCH")
def _tex_fetch(instruction: Instruction) -> Execute:
    access = Access(instruction)
    if access.cube:
        raise Unsupported("TEX_FETCH of a cube map is not there yet")

    def run(threads: Threads, sel: Selection) -> None:
        for mine, handle in access.textures(threads, sel):
            count, where = active_count(threads, mine), access.where

            def staged(register: int, mine: Selection = mine) -> Array:
                return access.row(threads, mine, register).view(np.int32).astype(np.int64)

            zero = np.zeros(count, dtype=np.int64)
            level = zero + handle.level
            at = [staged(register) for register in where.coordinates]
            at += [zero] * (3 - len(at))
            if where.array is not None:
                at[2] = staged(where.array)
            offsets = access.offsets(threads, mine, handle)
            axes = len(where.coordinates)
            at = [
                one + by if axis < axes else one
                for axis, (one, by) in enumerate(zip(at, offsets, strict=True))
            ]
            if where.offset is not None:
                # The fourth byte, beside three of offsets.
                level = access.row(threads, mine, where.offset).astype(np.int64) >> 24
            texture = read_texture(threads, *handle.texture)
            # Of two-dimensional images, the third offset is the number of a sample.
            sample = offsets[2] if texture.samples_log2 else None
            found = texel_addresses(threads, texture, (at[0], at[1], at[2]), level, sample)
            access.write(threads, mine, texels(threads, texture, found))

    return run


def _fixed(raw: Array) -> Array:
    """A level of detail: the low half of a register, signed, in units of 1/256."""
    return ((raw & np.uint32(0xFFFF)).astype(np.uint16).view(np.int16) / np.float32(256)).astype(
        np.float32
    )


def quad_differences(
    threads: Threads, sel: Selection, rows: list[Array]
) -> tuple[list[Array], list[Array]]:
    """How whole-register values (float32) change to the right and below, in the quad of each thread."""
    me = np.arange(threads.count) if sel is None else sel
    base = me & ~3
    across = [row[np.minimum(base + 1, len(row) - 1)] - row[base] for row in rows]
    down = [row[np.minimum(base + 2, len(row) - 1)] - row[base] for row in rows]
    return across, down


def quad_footprint(
    access: Access, threads: Threads, sel: Selection, texture: Texture, sampler: Sampler
) -> Footprint | None:
    """What the coordinates of a quad say; None where there are no quads."""
    if not threads.stages.get("quads"):
        return None
    lookup = access.lookup(threads, None, Handle((0, 0), (0, 0)))
    rows = lookup.coordinates
    if access.cube:
        # Lanes may see different faces: all of a quad are seen from the face of its first.
        base = np.arange(threads.count) & ~3
        plane = direction(lookup.face % 6, *(2.0 * row.astype(np.float64) - 1 for row in rows))
        seen = project(plane, lookup.face[base] % 6)
        rows = [((one + 1) / 2).astype(np.float32) for one in seen]
    across, down = quad_differences(threads, sel, rows)
    return footprint(texture, sampler, across, down)


@builds("TEX_SINGLE")
def _tex_single(instruction: Instruction) -> Execute:
    access, mode = Access(instruction), instruction.modifier("lod_mode")
    if mode not in ("zero", "computed", "explicit", "computed_bias", "grdesc"):
        raise Unsupported(f"a reserved level-of-detail mode of {instruction.encoding.name}")

    def run(threads: Threads, sel: Selection) -> None:
        for mine, handle in access.textures(threads, sel):
            texture = read_texture(threads, *handle.texture)
            sampler = read_sampler(threads, handle.sampler)
            lookup = access.lookup(threads, mine, handle)
            where = access.where
            if mode in ("computed", "computed_bias"):
                lookup.footprint = quad_footprint(access, threads, mine, texture, sampler)
            if mode != "zero" and where.lod is not None:
                words = access.row(threads, mine, where.lod)
                if mode == "computed_bias":
                    # A bias, and a minimum in the other half.
                    zero = np.zeros(len(words), dtype=np.float32)
                    found = lookup.footprint or Footprint(zero)
                    found.lod = found.lod + _fixed(words)
                    lookup.footprint, lookup.least = found, _fixed(words >> np.uint32(16))
                elif mode == "explicit" or where.gradient is None:
                    lookup.footprint = Footprint(_fixed(words))
                else:
                    line = access.row(threads, mine, where.gradient)
                    lookup.footprint = unpack_gradient(words, line)
            if yuv.planar(texture):
                values = yuv.sample(threads, texture, sampler, lookup)
            else:
                values = Filter(threads, texture, sampler).sample(lookup)
            access.write(threads, mine, values)

    return run


# A gradient descriptor is two words.  The lower half of the first is the level of detail: shaders read it.
# The rest is ours: the number of probes, and the line that they lie on as two float16.


def pack_gradient(found: Footprint, bias: float) -> tuple[Array, Array]:
    """A footprint as TEX_GRADIENT returns it; ``bias`` is added to the level."""
    level = np.clip(np.rint((found.lod.astype(np.float64) + bias) * 256), -(1 << 15), (1 << 15) - 1)
    words = level.astype(np.int64).astype(np.uint32) & np.uint32(0xFFFF)
    if found.probes is None or found.line is None:
        return words, np.zeros_like(words)
    line = np.ascontiguousarray(found.line.astype(np.float16)).view(np.uint32)[:, 0]
    return words | found.probes.astype(np.uint32) << np.uint32(16), line


def unpack_gradient(words: Array, line: Array) -> Footprint:
    probes = (words >> np.uint32(16)).astype(np.int64)
    if not probes.any():
        return Footprint(_fixed(words))
    ends = np.ascontiguousarray(line).view(np.float16).reshape(-1, 2)
    return Footprint(_fixed(words), np.clip(probes, 1, 16), ends.astype(np.float64))


@builds("TEX_GRADIENT")
def _tex_gradient(instruction: Instruction) -> Execute:
    access = Access(instruction)
    given = instruction.flag("derivative")
    biased, clamped = (not instruction.flag(f"lod_{name}_disable") for name in ("bias", "clamp"))
    register, _ = instruction.staging(instruction.encoding.staging[1])
    axes = len(access.where.coordinates)

    def run(threads: Threads, sel: Selection) -> None:
        for mine, handle in access.textures(threads, sel):
            texture = read_texture(threads, *handle.texture)
            sampler = read_sampler(threads, handle.sampler)
            found: Footprint | None
            if given:
                # Two differences of each axis: to the right, then below.
                rows = [
                    access.row(threads, mine, register + number).view(np.float32)
                    for number in range(2 * axes)
                ]
                found = footprint(texture, sampler, rows[::2], rows[1::2])
            else:
                found = quad_footprint(access, threads, mine, texture, sampler)
            found = found or Footprint(np.zeros(active_count(threads, mine), dtype=np.float32))
            bias = sampler.lod_bias / 256 if biased else 0.0
            if clamped:
                low, high = sampler.minimum_lod / 256 - bias, sampler.maximum_lod / 256 - bias
                found.lod = np.clip(found.lod, np.float32(low), np.float32(high))
            both = pack_gradient(found, bias)
            for place, channel in enumerate(access.channels[:2]):
                store32(threads, mine, access.target + place, both[channel & 1])

    return run


@builds("TEX_GATHER")
def _tex_gather(instruction: Instruction) -> Execute:
    access = Access(instruction)
    channel = "rgba".index(instruction.modifier("fetch_component")[-1])
    if instruction.flag("integer_coordinates"):
        raise Unsupported("TEX_GATHER with integer coordinates is not there yet")

    def run(threads: Threads, sel: Selection) -> None:
        for mine, handle in access.textures(threads, sel):
            texture = read_texture(threads, *handle.texture)
            sampler = read_sampler(threads, handle.sampler)
            lookup = access.lookup(threads, mine, handle)
            access.write(threads, mine, Filter(threads, texture, sampler).gather(lookup, channel))

    return run
