"""Descriptors in memory, declared once: word, bit and size of each field (v10 layouts of Mesa's genxml)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, TypeVar

from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.mmu import AddressSpace

T = TypeVar("T", bound="Descriptor")


def at(
    word: int, bit: int = 0, size: int = 32, *, kind: str = "uint", plus: int = 0, shift: int = 0
) -> Any:
    """A field: ``size`` bits at ``word``:``bit``; value << shift + plus.  ``kind``: uint, int, float."""

    return field(default=0, metadata={"place": (32 * word + bit, size, kind, plus, shift)})


@dataclass(frozen=True)
class Descriptor:
    """Base of all: ``parse`` takes the bytes, ``pack`` gives them back (for tests and drivers)."""

    BYTES = 0

    @classmethod
    def parse(cls: type[T], data: bytes) -> T:
        whole = int.from_bytes(data[: cls.BYTES], "little")
        values = {}
        for name, (start, size, kind, plus, shift) in _places_of(cls):  # type: ignore[arg-type]
            value: float = whole >> start & (1 << size) - 1
            if kind == "int":
                value = value - (int(value) >> size - 1 << size)
            elif kind == "float":
                value = struct.unpack("<f", struct.pack("<I", value))[0]
            else:
                value = (int(value) << shift) + plus
            values[name] = value
        return cls(**values)

    @classmethod
    def read(cls: type[T], space: AddressSpace, address: int) -> T:
        return cls.parse(space.read(address, cls.BYTES))

    def pack(self) -> bytes:
        whole = 0
        for name, (start, size, kind, plus, shift) in _places_of(type(self)):  # type: ignore[arg-type]
            value = getattr(self, name)
            if kind == "float":
                value = struct.unpack("<I", struct.pack("<f", value))[0]
            else:
                value = int(value) - plus >> shift
            whole |= (value & (1 << size) - 1) << start
        return whole.to_bytes(self.BYTES, "little")


@cache
def _places_of(cls: Any) -> list[tuple[str, tuple[int, int, str, int, int]]]:
    return [(item.name, item.metadata["place"]) for item in fields(cls)]


@dataclass(frozen=True)
class Resource(Descriptor):
    """One resource table."""

    BYTES = 16
    address: int = at(0, 0, 56)
    size: int = at(2, 0, 64)


@dataclass(frozen=True)
class Buffer(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    size: int = at(1)
    address: int = at(2, 0, 64)
    stride: int = at(4)


@dataclass(frozen=True)
class Attribute(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    attribute_type: int = at(0, 4, 4)
    offset_enable: int = at(0, 8, 1)
    format: int = at(0, 10, 22)
    table: int = at(1, 0, 6)
    frequency: int = at(1, 6, 2)
    divisor_r: int = at(1, 24, 5)
    divisor_e: int = at(1, 29, 1)
    offset: int = at(2, kind="int")
    buffer_index: int = at(3)
    stride: int = at(4)
    divisor_d: int = at(5)


@dataclass(frozen=True)
class ShaderProgram(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    stage: int = at(0, 4, 4)
    flush_to_zero: int = at(0, 17, 2)
    helpers: int = at(0, 28, 1)
    register_allocation: int = at(0, 30, 2)
    preload: int = at(1, 0, 16)
    binary: int = at(2, 0, 64)


@dataclass(frozen=True)
class LocalStorage(Descriptor):
    BYTES = 32
    tls_size: int = at(0, 0, 5)
    wls_instances: int = at(1, 0, 5)
    wls_size_base: int = at(1, 5, 2)
    wls_size_scale: int = at(1, 8, 5)
    tls_base: int = at(2, 0, 48)
    wls_base: int = at(4, 0, 64)

    @property
    def thread_bytes(self) -> int:
        """Stack of one thread: 2**n * 16 bytes; 0 stands for none."""
        return 16 << self.tls_size if self.tls_size else 0

    @property
    def group_bytes(self) -> int:
        """Local memory of one workgroup."""
        return 1 << self.wls_size_scale - 1 if self.wls_size_scale else 0


def descriptor(space: AddressSpace, tables: int, table: int, index: int, kind: type[T]) -> T:
    """Entry ``index`` of resource table ``table``; ``tables`` is a resource table pointer, whose low six
    bits count the tables.  A fault when there is no such entry."""
    if table >= tables & 63:
        raise GpuFault(
            ExceptionCode.DATA_INVALID_FAULT,
            tables & ~63,
            f"resource table {table} of {tables & 63}",
        )
    resource = Resource.read(space, (tables & ~63) + 16 * table)
    if kind.BYTES * (index + 1) > resource.size:
        raise GpuFault(
            ExceptionCode.DATA_INVALID_FAULT,
            resource.address,
            f"entry {index} of resource table {table}, which has {resource.size} bytes",
        )
    return kind.read(space, resource.address + kind.BYTES * index)


@dataclass(frozen=True)
class TilerContext(Descriptor):
    """Words 24 to 31 are the tiler's own (``PrivateState``)."""

    BYTES = 128
    polygon_list: int = at(0, 0, 64)
    hierarchy_mask: int = at(2, 0, 13)
    first_provoking_vertex: int = at(2, 18, 1)
    width: int = at(3, 0, 16, plus=1)
    height: int = at(3, 16, 16, plus=1)
    layers: int = at(4, 0, 8, plus=1)
    layer_offset: int = at(4, 8, 8)
    heap: int = at(6, 0, 64)
    completed_top: int = at(10, 0, 64)
    completed_bottom: int = at(12, 0, 64)
    chunk: int = at(24, 0, 64)
    used: int = at(26)
    chunk_size: int = at(27)
    last_list: int = at(28, 0, 64)
    first_chunk: int = at(30, 0, 64)


@dataclass(frozen=True)
class TilerHeap(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    buffer_type: int = at(0, 4, 4)
    size: int = at(1)
    base: int = at(2, 0, 64)
    bottom: int = at(4, 0, 64)
    top: int = at(6, 0, 64)


@dataclass(frozen=True)
class DepthStencil(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    front_compare: int = at(0, 4, 3)
    front_fail: int = at(0, 7, 3)
    front_depth_fail: int = at(0, 10, 3)
    front_depth_pass: int = at(0, 13, 3)
    back_compare: int = at(0, 16, 3)
    back_fail: int = at(0, 19, 3)
    back_depth_fail: int = at(0, 22, 3)
    back_depth_pass: int = at(0, 25, 3)
    stencil_from_shader: int = at(0, 30, 1)
    stencil_test: int = at(0, 31, 1)
    front_write_mask: int = at(1, 0, 8)
    back_write_mask: int = at(1, 8, 8)
    front_value_mask: int = at(1, 16, 8)
    back_value_mask: int = at(1, 24, 8)
    front_reference: int = at(2, 0, 8)
    back_reference: int = at(2, 8, 8)
    depth_clamp_mode: int = at(4, 23, 2)
    depth_source: int = at(4, 25, 2)
    depth_write: int = at(4, 27, 1)
    depth_bias: int = at(4, 28, 1)
    depth_function: int = at(4, 29, 3)
    depth_units: float = at(5, kind="float")
    depth_factor: float = at(6, kind="float")
    depth_bias_clamp: float = at(7, kind="float")


@dataclass(frozen=True)
class Blend(Descriptor):
    BYTES = 16
    load_destination: int = at(0, 0, 1)
    alpha_to_one: int = at(0, 8, 1)
    enable: int = at(0, 9, 1)
    srgb: int = at(0, 10, 1)
    round_to_fb: int = at(0, 11, 1)
    constant: int = at(0, 16, 16)
    rgb: int = at(1, 0, 12)
    alpha: int = at(1, 12, 12)
    color_mask: int = at(1, 28, 4)
    mode: int = at(2, 0, 2)
    target: int = at(2, 16, 4)
    memory_format: int = at(3, 0, 22)
    raw: int = at(3, 22, 1)
    register_format: int = at(3, 24, 3)

    def with_internal(self, internal: int) -> Blend:
        """This equation with the second half that a shader handed to BLEND."""
        mask = (1 << 64) - 1
        low = int.from_bytes(self.pack(), "little") & mask
        return Blend.parse((low | internal << 64).to_bytes(16, "little"))


@dataclass(frozen=True)
class Framebuffer(Descriptor):
    BYTES = 64
    pre_frame_0: int = at(0, 0, 3)
    pre_frame_1: int = at(0, 3, 3)
    post_frame: int = at(0, 6, 3)
    layer: int = at(0, 24, 8)
    frame_argument: int = at(2, 0, 64)
    sample_locations: int = at(4, 0, 64)
    frame_shaders: int = at(6, 0, 64)
    width: int = at(8, 0, 16, plus=1)
    height: int = at(8, 16, 16, plus=1)
    min_x: int = at(9, 0, 16)
    min_y: int = at(9, 16, 16)
    max_x: int = at(10, 0, 16)
    max_y: int = at(10, 16, 16)
    sample_count_log2: int = at(11, 0, 3)
    first_provoking_vertex: int = at(11, 14, 1)
    targets: int = at(11, 19, 4, plus=1)
    stencil_clear: int = at(12, 0, 8)
    stencil_write: int = at(12, 8, 1)
    z_internal: int = at(12, 16, 2)
    z_write: int = at(12, 18, 1)
    has_extension: int = at(12, 21, 1)
    z_clear: float = at(13, kind="float")
    tiler: int = at(14, 0, 64)


@dataclass(frozen=True)
class ZsExtension(Descriptor):
    BYTES = 64
    zs_format: int = at(0, 0, 4)
    zs_block: int = at(0, 4, 4)
    zs_msaa: int = at(0, 8, 2)
    s_format: int = at(0, 16, 4)
    s_block: int = at(0, 20, 4)
    s_msaa: int = at(0, 24, 2)
    zs_base: int = at(8, 0, 64)
    zs_row_stride: int = at(10)
    zs_surface_stride: int = at(11)
    s_base: int = at(12, 0, 64)
    s_row_stride: int = at(14)
    s_surface_stride: int = at(15)


@dataclass(frozen=True)
class RenderTarget(Descriptor):
    BYTES = 64
    internal_format: int = at(0, 26, 6)
    write: int = at(1, 0, 1)
    format: int = at(1, 3, 5)
    block: int = at(1, 8, 4)
    msaa: int = at(1, 12, 2)
    srgb: int = at(1, 14, 1)
    swizzle: int = at(1, 16, 12)
    base: int = at(8, 0, 64)
    row_stride: int = at(10)
    surface_stride: int = at(11)
    clear: int = at(12, 0, 128)


@dataclass(frozen=True)
class Draw(Descriptor):
    """Draw call descriptor: what the fragment stage needs; frame shaders have one in memory."""

    BYTES = 128
    flags0: int = at(0)
    flags1: int = at(1)
    min_z: float = at(6, kind="float")
    max_z: float = at(7, kind="float")
    depth_stencil: int = at(10, 0, 64)
    blend_count: int = at(12, 0, 4)
    blend: int = at(12, 4, 60, shift=4)
    occlusion: int = at(14, 0, 64)
    attribute_offset: int = at(16)
    fau_count: int = at(17, 0, 8)
    resources: int = at(24, 0, 64)
    shader: int = at(26, 0, 64)
    thread_storage: int = at(28, 0, 64)
    fau: int = at(30, 0, 64)


@dataclass(frozen=True)
class Texture(Descriptor):
    BYTES = 32
    #: Planes of a surface, which of them this is, and whether it is the second that its descriptor names.
    planes: ClassVar[int] = 1
    plane: ClassVar[int] = 0
    secondary: ClassVar[bool] = False
    type: int = at(0, 0, 4)
    dimension: int = at(0, 4, 2)
    format: int = at(0, 10, 22)
    width: int = at(1, 0, 16, plus=1)
    height: int = at(1, 16, 16, plus=1)
    swizzle: int = at(2, 0, 12)
    levels: int = at(2, 16, 5, plus=1)
    minimum_level: int = at(2, 24, 5)
    minimum_lod: int = at(3, 0, 13)
    maximum_lod: int = at(3, 16, 13)
    samples_log2: int = at(3, 13, 3)
    surfaces: int = at(4, 0, 64)
    array_size: int = at(6, 0, 16, plus=1)
    depth: int = at(7, 0, 16, plus=1)


@dataclass(frozen=True)
class Sampler(Descriptor):
    """LODs in units of 1/256."""

    BYTES = 32
    type: int = at(0, 0, 4)
    reduction: int = at(0, 4, 2)
    wrap_r: int = at(0, 8, 4)
    wrap_t: int = at(0, 12, 4)
    wrap_s: int = at(0, 16, 4)
    linear_srgb: int = at(0, 22, 1)
    seamless: int = at(0, 23, 1)
    normalized: int = at(0, 25, 1)
    minify_nearest: int = at(0, 27, 1)
    magnify_nearest: int = at(0, 28, 1)
    magnify_cutoff: int = at(0, 29, 1)
    mipmap_mode: int = at(0, 30, 2)
    minimum_lod: int = at(1, 0, 13)
    compare: int = at(1, 13, 3)
    maximum_lod: int = at(1, 16, 13)
    lod_bias: int = at(2, 0, 16, kind="int")
    anisotropy: int = at(2, 16, 5, plus=1)
    lod_algorithm: int = at(2, 24, 2)
    border: int = at(4, 0, 128)


@dataclass(frozen=True)
class Plane(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    plane_type: int = at(0, 4, 4)
    ordering: int = at(0, 8, 4)
    clump: int = at(0, 24, 8)
    # Of planes of ASTC blocks, in the place of the clump format.
    decode_hdr: int = at(0, 24, 1)
    decode_wide: int = at(0, 25, 1)
    block_width: int = at(0, 26, 3)
    block_height: int = at(0, 29, 3)
    size: int = at(1)
    pointer: int = at(2, 0, 64)
    row_stride: int = at(4)
    slice_stride: int = at(6, kind="int")
    secondary: int = at(6, 0, 64)  # address of the other chroma


@dataclass(frozen=True)
class PolygonList(Descriptor):
    """One batch of primitives as our tiler writes it into a heap chunk; the rasteriser reads it there.

    The layout is ours: hardware's is not documented.  ``triangles`` is int32 (count, 4): three vertices and
    a primitive number.  ``positions`` is what the position shader wrote; ``varyings`` is ``stride`` bytes a
    vertex; ``size`` the width of lines and of points that have none of their own.
    """

    BYTES = 256
    magic: int = at(0)
    count: int = at(1)
    next: int = at(2, 0, 64)
    triangles: int = at(4, 0, 64)
    positions: int = at(6, 0, 64)
    varyings: int = at(8, 0, 64)
    vertices: int = at(10)
    stride: int = at(11)
    scissor: int = at(12, 0, 64)
    low_depth: float = at(14, kind="float")
    high_depth: float = at(15, kind="float")
    flags: int = at(16)
    size: float = at(19, kind="float")
    full_screen: int = at(20, 0, 1)  # no primitives: every pixel of the scissor rectangle
    layer: int = at(20, 8, 8)  # of the tiler context
    view: int = at(20, 16, 8)  # which of the positions and varyings of each vertex it uses
    views: int = at(20, 24, 8, plus=1)  # how many there are
    min_x: int = at(17, 0, 16)
    min_y: int = at(17, 16, 16)
    max_x: int = at(18, 0, 16)
    max_y: int = at(18, 16, 16)
    draw: int = at(32, 0, 1024)


POLYGON_LIST = 0x504F4C59
