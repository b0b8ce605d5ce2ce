"""Instructions of the vertex and fragment stages: attributes, varyings, coverage, blending.

What they need is in ``threads.stages``: ``outputs`` of a vertex shader, ``varyings`` (an Interpolator),
``colors``, ``depth``, ``stencil`` of a fragment shader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.descriptors import Attribute, Buffer, descriptor
from ring3.mali.formats import pixel_format, to_rgba
from ring3.mali.isa.declare import SPECIAL
from ring3.mali.isa.model import Instruction
from ring3.mali.shader.integers import Execute, builds
from ring3.mali.shader.memory import active_count, spread
from ring3.mali.shader.operands import (
    Array,
    Read,
    Selection,
    distinct,
    floating,
    raw64,
    source32,
    store32,
)
from ring3.mali.shader.threads import Threads

if TYPE_CHECKING:
    from ring3.mali.raster import Interpolator

_COUNTS = {"none": 1, "v2": 2, "v3": 3, "v4": 4}


def components(instruction: Instruction) -> int:
    return _COUNTS[instruction.modifier("vecsize")]


def stage(threads: Threads, name: str, instruction: Instruction) -> Any:
    found = threads.stages.get(name)
    if found is None:
        raise Unsupported(f"{instruction.encoding.name} does not belong to this shader stage")
    return found


def write_vector(
    threads: Threads, sel: Selection, register: int, values: NDArray[Any], kind: str
) -> None:
    """(n, c) numbers to staging registers in register format ``kind``; 16-bit ones two to a register."""
    if kind in ("f16", "s16", "u16"):
        dtype = {"f16": np.float16, "s16": np.int16, "u16": np.uint16}[kind]
        if values.shape[1] & 1:
            values = np.concatenate((values, np.zeros_like(values[:, :1])), axis=1)
        raw = values.astype(dtype) if kind == "f16" else values.astype(np.int64).astype(dtype)
        words = np.ascontiguousarray(raw).view(np.uint32)
    elif kind == "f32" or (kind == "auto" and values.dtype.kind == "f"):
        words = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    else:
        words = values.astype(np.int64).astype(np.uint32)
    for index in range(words.shape[1]):
        store32(threads, sel, register + index, words[:, index])


def read_vector(
    threads: Threads, sel: Selection, register: int, count: int, kind: str
) -> NDArray[Any]:
    """The inverse: (n, count) float32, or int64 for integer formats."""
    wide = kind not in ("f16", "s16", "u16")
    words = count if wide else (count + 1) // 2
    rows = threads.registers[register : register + words]
    chosen = rows if sel is None else rows[:, sel]
    data = np.ascontiguousarray(chosen.T)
    if kind in {"f32", "auto"}:
        return data.view(np.float32)
    if wide:
        return data.view(np.int32 if kind == "s32" else np.uint32).astype(np.int64)
    dtype = {"f16": np.float16, "s16": np.int16, "u16": np.uint16}[kind]
    narrow = data.view(dtype)[:, :count]
    return narrow.astype(np.float32 if kind == "f16" else np.int64)


# -- vertex stage ---------------------------------------------------------------------------------


@builds("LD_ATTR_IMM", "LD_ATTR")
def _ld_attr(instruction: Instruction) -> Execute:
    vertex, instance = source32(instruction, 0), source32(instruction, 1)
    immediate = instruction.encoding.mnemonic == "LD_ATTR_IMM"
    handle = None if immediate else source32(instruction, 2)
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, kind = components(instruction), instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        if handle is None:
            table, index = instruction.immediate("table"), instruction.immediate("index")
        else:
            where = distinct(handle(threads, sel))
            if len(where) > 1:
                raise Unsupported("LD_ATTR of an index that diverges is not defined")
            table, index = where[0] >> 24, where[0] & 0xFFFFFF
        attribute = descriptor(threads.space, threads.resources, table, index, Attribute)
        lanes = active_count(threads, sel)
        vertices = spread(vertex(threads, sel), lanes).astype(np.int64)
        instances = spread(instance(threads, sel), lanes).astype(np.int64)
        values = fetch_attribute(threads, attribute, vertices, instances)
        write_vector(threads, sel, register, values[:, :count], kind)

    return run


def fetch_attribute(
    threads: Threads, attribute: Attribute, vertices: Array, instances: Array
) -> NDArray[Any]:
    """Attribute values (n, 4) in R, G, B, A; out of bounds reads are zero."""
    if attribute.type != 5:
        return np.zeros((len(vertices), 4), dtype=np.float32)
    buffer = descriptor(
        threads.space, threads.resources, attribute.table, attribute.buffer_index, Buffer
    )
    element = vertices
    if attribute.offset_enable:
        element = element + threads.stages.get("attribute_offset", 0)
    if attribute.frequency:
        element = _divided(attribute, instances)
    kind, order = pixel_format(attribute.format)
    offset = element * attribute.stride + attribute.offset
    inside = (offset >= 0) & (offset + kind.size <= buffer.size)
    if inside.all():
        return to_rgba(kind, order, threads.load(offset + buffer.address, kind.size))
    data = np.zeros((len(offset), kind.size), dtype=np.uint8)
    if inside.any():
        data[inside] = threads.load(offset[inside] + buffer.address, kind.size)
    return to_rgba(kind, order, data)


def _divided(attribute: Attribute, instances: Array) -> Array:
    if attribute.attribute_type == 2:
        return instances >> attribute.divisor_r
    if attribute.attribute_type == 3:
        # The reciprocal of the divisor, as Mali encodes it: (n * (2**31 + D) + E) >> (32 + R).
        scaled = instances.astype(np.uint64) + np.uint64(attribute.divisor_e)
        return (
            scaled * np.uint64(attribute.divisor_d | 1 << 31) >> np.uint64(32 + attribute.divisor_r)
        ).astype(np.int64)
    return instances


# -- fragment stage -------------------------------------------------------------------------------

Placed = Callable[["Threads", Selection, "Interpolator"], tuple["Interpolator", Selection]]


def placed(instruction: Instruction) -> Placed:
    """Where in their pixels fragments take a varying: at the centre, at a covered sample, at their sample, or
    where the source says.  The interpolator there, and the selection to give it."""
    mode, source = instruction.modifier("sample"), source32(instruction, 0)
    retrieve = instruction.modifier("update") == "retrieve"

    def run(
        threads: Threads, sel: Selection, varyings: Interpolator
    ) -> tuple[Interpolator, Selection]:
        samples = threads.stages.get("samples")
        if mode == "center" and not retrieve:
            threads.stages.pop("placed", None)
            return varyings, sel
        if retrieve:
            kept = threads.stages.get("placed")
            if kept is None:
                return varyings, sel
            return varyings.moved(sel, kept if sel is None else kept[sel]), None
        count = active_count(threads, sel)
        word = spread(source(threads, sel), count)
        if mode == "explicit":
            halves = np.ascontiguousarray(word).view(np.int16).reshape(-1, 2)
            where = halves.astype(np.float32) / np.float32(256) - np.float32(0.5)
        elif samples is None or len(samples) == 1:
            return varyings, sel
        elif mode == "sample":
            where = samples[np.minimum(word >> np.uint32(16) & 31, len(samples) - 1)]
        else:
            # The centroid: the centre of pixels that are covered whole, else the first sample that is.
            covered = word & np.uint32((1 << len(samples)) - 1)
            lowest = np.log2(np.maximum(covered & -covered.astype(np.int64), 1)).astype(np.int64)
            whole = (covered == (1 << len(samples)) - 1) | (covered == 0)
            where = np.where(whole[:, None], np.float32(0), samples[lowest])
        kept = threads.stages.setdefault("placed", np.zeros((threads.count, 2), np.float32))
        kept[slice(None) if sel is None else sel] = where
        return varyings.moved(sel, where), None

    return run


@builds("LD_VAR_BUF_IMM", "LD_VAR_BUF")
def _ld_var_buf(instruction: Instruction) -> Execute:
    immediate = instruction.encoding.mnemonic == "LD_VAR_BUF_IMM"
    offset = None if immediate else source32(instruction, 1)
    kind = instruction.encoding.type
    return _load_varying(
        instruction,
        lambda threads, sel: (
            instruction.immediate("index") if offset is None else _agreed(offset(threads, sel))
        ),
        instruction.modifier("source_format"),
        kind,
    )


def _agreed(value: Array) -> int:
    found = distinct(value)
    if len(found) > 1:
        raise Unsupported("a varying index that diverges is not there yet")
    return found[0]


def _load_varying(
    instruction: Instruction,
    offset: Callable[[Threads, Selection], int],
    source: str,
    kind: str,
) -> Execute:
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, place = components(instruction), placed(instruction)

    def run(threads: Threads, sel: Selection) -> None:
        varyings: Interpolator = stage(threads, "varyings", instruction)
        at = offset(threads, sel)
        if source in ("src_flat32", "src_flat16"):
            bits = 32 if source == "src_flat32" else 16
            raw = varyings.flat(at, count, bits, sel)
            write_vector(threads, sel, register, raw, f"u{bits}")
            return
        seen, all_of = place(threads, sel, varyings)
        values = seen.smooth(at, count, 16 if source == "src_f16" else 32, all_of)
        write_vector(threads, sel, register, values, kind)

    return run


@builds("LD_VAR_IMM", "LD_VAR", "LD_VAR_FLAT_IMM", "LD_VAR_FLAT")
def _ld_var(instruction: Instruction) -> Execute:
    name = instruction.encoding.mnemonic
    immediate, flat = name.endswith("IMM"), "FLAT" in name
    handle = None if immediate else source32(instruction, 0 if flat else 1)
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, kind = components(instruction), instruction.modifier("regfmt")
    place = None if flat else placed(instruction)

    def run(threads: Threads, sel: Selection) -> None:
        varyings: Interpolator = stage(threads, "varyings", instruction)
        if handle is None:
            table, index = instruction.immediate("table"), instruction.immediate("index")
        else:
            where = _agreed(handle(threads, sel))
            table, index = where >> 24, where & 0xFFFFFF
        attribute = descriptor(threads.space, threads.resources, table, index, Attribute)
        # Varyings of vertex packets are addressed from 1024 on.
        at = attribute.offset - 1024
        form, _ = pixel_format(attribute.format)
        if place is None or form.integer:
            write_vector(threads, sel, register, varyings.flat(at, count, form.bits, sel), "u32")
        else:
            seen, all_of = place(threads, sel, varyings)
            values = seen.smooth(at, count, form.bits, all_of)
            write_vector(threads, sel, register, values, kind)

    return run


@builds("LD_VAR_SPECIAL")
def _ld_var_special(instruction: Instruction) -> Execute:
    index, place = instruction.immediate("index"), placed(instruction)
    register, _ = instruction.staging(instruction.encoding.staging[0])
    kind = instruction.modifier("regfmt")
    if index not in (0, 2, 3):
        raise Unsupported(f"LD_VAR_SPECIAL of entry {index} is not there yet")
    count = components(instruction)

    def run(threads: Threads, sel: Selection) -> None:
        varyings: Interpolator = stage(threads, "varyings", instruction)
        if index == 0:
            value = varyings.point(sel)[:, :count]
        else:
            seen, all_of = place(threads, sel, varyings)
            value = (seen.oow(all_of) if index == 2 else seen.depth(all_of))[:, None]
        write_vector(threads, sel, register, value, kind)

    return run


@builds("ATEST")
def _atest(instruction: Instruction) -> Execute:
    """The coverage that is left: with alpha to coverage, alpha's share of the samples."""
    coverage, alpha = source32(instruction, 0), floating(instruction, 1, 32)
    register, _ = instruction.staging(instruction.encoding.staging[0])

    def run(threads: Threads, sel: Selection) -> None:
        mask = coverage(threads, sel)
        if threads.stages.get("alpha_to_coverage"):
            value, count = alpha(threads, sel), len(threads.stages["samples"])
            for sample in range(count):
                off = ~(value >= np.float32((sample + 0.5) / count))
                mask = mask & ~(off.astype(np.uint32) << np.uint32(sample))
        _leave(threads, sel, mask)
        store32(threads, sel, register, mask)

    return run


def _leave(threads: Threads, sel: Selection, mask: Array) -> None:
    """Of the fragments' samples, these are tested and drawn."""
    left = threads.stages.get("coverage")
    if left is not None:
        left[slice(None) if sel is None else sel] = mask


@builds("ZS_EMIT")
def _zs_emit(instruction: Instruction) -> Execute:
    depth, stencil, coverage = (source32(instruction, number) for number in range(3))
    register, _ = instruction.staging(instruction.encoding.staging[0])
    z, s = instruction.flag("z"), instruction.flag("stencil")

    def run(threads: Threads, sel: Selection) -> None:
        every = slice(None) if sel is None else sel
        if z:
            stage(threads, "depth", instruction)[every] = depth(threads, sel).view(np.float32)
            threads.stages["wrote_depth"] = True
        if s:
            stage(threads, "stencil", instruction)[every] = stencil(threads, sel) & np.uint32(255)
            threads.stages["wrote_stencil"] = True
        mask = coverage(threads, sel)
        _leave(threads, sel, mask)
        store32(threads, sel, register, mask)

    return run


def blend_descriptor(instruction: Instruction) -> tuple[int | None, Read]:
    """Which render target a BLEND names (None: its descriptor says so), and the descriptor's second half."""
    byte = instruction.source(instruction.encoding.sources[0])
    name = SPECIAL[instruction.page].get((byte & 63) - 32 >> 1, "") if byte >= 0xE0 else ""
    named = int(name.rpartition("_")[2]) if name.startswith("blend_descriptor_") else None
    return named, raw64(byte, instruction.page)


OFF = 3  # mode of a blend descriptor without a render target
#: BLEND in shader mode sets this stage flag: the code behind it, which calls the shader, executes.
CALLS = "calls_blend_shader"


@builds("BLEND")
def _blend(instruction: Instruction) -> Execute:
    named, descriptor_of = blend_descriptor(instruction)
    coverage = source32(instruction, 1)
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, kind = components(instruction), instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        internal = distinct(descriptor_of(threads, sel))
        if len(internal) > 1:
            raise Unsupported("BLEND with descriptors that diverge is not there yet")
        # The second half of a blend descriptor: mode in bits 1:0, render target in 19:16.
        if internal[0] & 3 == 0:
            threads.stages[CALLS] = True
            return
        if internal[0] & 3 == OFF:
            return
        target = internal[0] >> 16 & 15 if named is None else named
        values = read_vector(threads, sel, register, count, kind)
        write_color(
            threads, sel, instruction, target, (values, coverage(threads, sel)), internal[0]
        )

    return run


def write_color(
    threads: Threads,
    sel: Selection,
    instruction: Instruction,
    target: int,
    color: tuple[NDArray[Any], Array],
    internal: int,
    sample: int | None = None,
) -> None:
    """Keep a colour (n, c) with the samples that get it (``sample``: only that one) until the fragment has
    passed its tests."""
    colors = stage(threads, "colors", instruction)
    values, mask = color
    covered = np.broadcast_to(mask, (len(values),))
    threads.stages["internal"][target] = internal
    key = target, sample
    if sel is None:
        colors[key] = (values, covered)
        return
    old = colors.get(key)
    if old is None or old[0].shape[1] != values.shape[1]:
        shape = (threads.count, values.shape[1])
        old = (np.zeros(shape, values.dtype), np.zeros(threads.count, dtype=np.uint32))
    full = np.array(old[0]), np.array(old[1])
    full[0][sel] = values
    full[1][sel] = covered
    colors[key] = full


CURRENT_PIXEL = 255


def _pixel_indices(
    threads: Threads, sel: Selection, instruction: Instruction, value: Array
) -> list[tuple[Selection, int, int]]:
    """Threads by render target and sample, of pixel indices descriptors: sample in bits 7:0, target in 15:8,
    then x and y."""
    every = np.arange(threads.count) if sel is None else sel
    parts: list[tuple[Selection, int, int]] = []
    found = distinct(value)
    for one in found:
        if one >> 24 != CURRENT_PIXEL:
            raise Unsupported(f"{instruction.encoding.name} of another pixel is not there yet")
        mine = sel if len(found) == 1 else every[value == one]
        parts.append((mine, one >> 8 & 255, one & 255))
    return parts


@builds("LD_TILE")
def _ld_tile(instruction: Instruction) -> Execute:
    where, conversion = source32(instruction, 0), source32(instruction, 2)
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, kind = components(instruction), instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        tile = stage(threads, "tile", instruction)
        forms = distinct(conversion(threads, sel))
        if len(forms) > 1:
            raise Unsupported("LD_TILE with formats that diverge is not there yet")
        for mine, target, sample in _pixel_indices(threads, sel, instruction, where(threads, sel)):
            values = tile(target, forms[0], mine, sample)
            form = "u32" if kind == "auto" and values.dtype.kind != "f" else kind
            write_vector(threads, mine, register, values[:, :count], form)

    return run


@builds("ST_TILE")
def _st_tile(instruction: Instruction) -> Execute:
    where, coverage = source32(instruction, 0), source32(instruction, 1)
    conversion = source32(instruction, 2)
    register, _ = instruction.staging(instruction.encoding.staging[0])
    count, kind = components(instruction), instruction.modifier("regfmt")

    def run(threads: Threads, sel: Selection) -> None:
        for mine, target, sample in _pixel_indices(threads, sel, instruction, where(threads, sel)):
            values = read_vector(threads, mine, register, count, kind)
            opaque = 1 | target << 16 | distinct(conversion(threads, mine))[0] << 32
            color = (values, coverage(threads, mine))
            write_color(threads, mine, instruction, target, color, opaque, sample)

    return run
