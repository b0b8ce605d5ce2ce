"""The tile buffer: colours, depth and stencil of a frame, from clear to write-back.

It holds the whole frame: on the simulated chip there is room.  Colours are kept as the internal format's
bytes, depth as float32 (D32) or as integers of 16 or 24 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.blending import Product, blend_floats, blend_rgba8, quantize
from ring3.mali.descriptors import Blend, DepthStencil, Framebuffer, RenderTarget, ZsExtension
from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.formats import (
    Format,
    from_srgb,
    pixel_format,
    tiled_64k_offset,
    tiled_offset,
    to_rgba,
    to_srgb,
    to_tiled,
)
from ring3.mali.mmu import AddressSpace

RGBA8 = 1
_RAW_SIZES = {32: 1, 33: 2, 34: 4, 35: 8, 36: 16}
#: Internal formats narrower than they look, and write-back formats, as pixel formats.
_PACKED = {2: 238, 4: 232, 5: 226, 6: 224, 16: 199, 17: 207, 18: 223, 20: 89}
#: Clear colours of formats that the tile buffer holds with a fraction: (lowest bit, its bits, width).
_CLEARED = {
    4: ((0, 4, 4), (8, 4, 4), (16, 4, 4), (24, 4, 4)),
    5: ((0, 5, 5), (10, 4, 6), (20, 5, 5)),
    6: ((0, 5, 5), (10, 5, 5), (20, 5, 5), (30, 1, 1)),
}
_WRITTEN = {16: 163, 17: 171, 18: 179, 20: 186, 21: 64, 24: 67, 25: 68, 28: 65, 29: 66, 19: 187}
_RGBA = (0, 1, 2, 3)
FIXED = 2
_FORMAT_SIZES = {
    20: 2,
    21: 2,
    24: 4,
    25: 4,
    28: 2,
    29: 2,
    0: 1,
    1: 2,
    2: 3,
    3: 4,
    4: 6,
    5: 8,
    6: 12,
    7: 16,
    16: 1,
    17: 2,
    18: 3,
    19: 4,
}
TILED, LINEAR, TILED_64K = 1, 2, 8
AFBC = (12, 13)
SINGLE, AVERAGE, MULTIPLE, LAYERED = range(4)  # what becomes of samples in memory
_MOST_BYTES = 1 << 31
DEPTH_BYTES = 5  # of depth and stencil, a sample
Index = NDArray[np.int64]


def sample_bytes(internal: int) -> int:
    """What one sample takes in an internal format."""
    if internal == RGBA8:
        return 4
    if internal in _PACKED:
        return pixel_format(_PACKED[internal] << 12)[0].size
    if internal in _RAW_SIZES:
        return _RAW_SIZES[internal]
    raise Unsupported(f"internal colour format {internal} is not there yet")


class Target:
    """One render target: (height, width, samples, bytes) in internal format."""

    def __init__(self, described: RenderTarget, frame: Framebuffer) -> None:
        self.described = described
        self.width, self.height = width, height = frame.width, frame.height
        self.samples = 1 << frame.sample_count_log2
        self.bounds = bounds_of(frame)
        internal = described.internal_format
        self.packed: Format | None = None
        self.size = sample_bytes(internal)
        if internal in _PACKED:
            self.packed, _ = pixel_format(_PACKED[internal] << 12)
        clear = described.clear.to_bytes(16, "little")[: self.size]
        if internal in _CLEARED and self.packed is not None:
            places = _CLEARED[internal]
            values = [
                (described.clear >> low >> fraction & (1 << width) - 1) / ((1 << width) - 1)
                for low, fraction, width in places
            ]
            clear = self.packed.pack(np.array([values], dtype=np.float32)).tobytes()
        self.words = np.empty((height * width * self.samples, self.size), dtype=np.uint8)
        self.words[:] = np.frombuffer(clear, dtype=np.uint8)

    def put(self, at: Index, values: NDArray[np.uint8]) -> None:
        """Store bytes (n, size) at samples ``at`` ((y * width + x) * samples + sample)."""
        if self.size == 4:
            self.words.view(np.uint32)[at, 0] = np.ascontiguousarray(values).view(np.uint32)[:, 0]
        else:
            self.words[at] = values

    def get(self, at: Index) -> NDArray[np.uint8]:
        if self.size == 4:
            return self.words.view(np.uint32)[at].view(np.uint8)
        return self.words[at]

    def read(self, at: Index, conversion: int) -> NDArray[Any]:
        """(n, 4) values in R, G, B, A of pixels ``at``, as an internal conversion descriptor says."""
        if self.packed is not None:
            return to_rgba(self.packed, _RGBA, self.get(at))
        if self.described.internal_format == RGBA8:
            values = (self.get(at) / np.float32(255)).astype(np.float32)
            if self.described.srgb:
                values[:, :3] = from_srgb(values[:, :3])
            return values
        kind, order = pixel_format(conversion & (1 << 22) - 1)
        if kind.size > self.size:
            raise Unsupported(f"{self.size}-byte pixels read as {kind.name}")
        return to_rgba(kind, order, self.get(at)[:, : kind.size])

    def blended(
        self, blend: Blend, at: Index, values: NDArray[Any], product: Product
    ) -> NDArray[np.uint8]:
        """What pixels ``at`` hold after ``values`` (n, c) went through the blend descriptor."""
        fixed = blend.mode == FIXED
        plain = self.described.internal_format == RGBA8
        if plain and not (self.described.srgb or blend.srgb):
            fresh = quantize(values)
            if fixed:
                fresh = blend_rgba8(fresh, self.get(at), blend, product)
        elif plain or self.packed is not None:
            wide = np.zeros((len(values), 4), dtype=np.float32)
            wide[:, 3] = 1
            wide[:, : values.shape[1]] = values
            limited = self.packed is None or self.packed.kind != "f"
            if limited:
                wide = np.fmin(np.fmax(wide, np.float32(0)), np.float32(1))
            if fixed:
                wide = blend_floats(wide, self.read(at, 0), blend, limited)
            if plain:
                wide[:, :3] = to_srgb(wide[:, :3])
                fresh = quantize(wide)
            else:
                kind = self.packed
                fresh = kind.pack(wide[:, : kind.channels]) if kind is not None else self.get(at)
        else:
            kind, order = conversion(blend)
            if kind.integer and values.dtype == np.float32:
                # A shader of another type than its target's: Vulkan leaves it open, Gallium copies so.
                bits = np.int32 if kind.kind == "i" else np.uint32
                values = np.ascontiguousarray(values).view(bits).astype(np.int64)
            wanted = np.zeros((len(values), kind.channels), dtype=values.dtype)
            for channel, stored in enumerate(order[: values.shape[1]]):
                if stored < kind.channels:
                    wanted[:, stored] = values[:, channel]
            fresh = self._padded(kind.pack(wanted))
        if blend.color_mask == 15:
            return fresh
        return self._masked(blend, at, fresh)

    def _padded(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pixels of three channels take the room of four."""
        short = self.size - pixels.shape[1]
        return np.pad(pixels, ((0, 0), (0, short))) if short > 0 else pixels

    def _masked(self, blend: Blend, at: Index, fresh: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Channels that are not written keep what they held."""
        kept = [channel for channel in range(4) if not blend.color_mask >> channel & 1]
        old = self.get(at)
        if self.described.internal_format == RGBA8:
            fresh[:, kept] = old[:, kept]
            return fresh
        kind, order = (self.packed, _RGBA) if self.packed is not None else conversion(blend)
        new_values, old_values = (
            kind.unpack(fresh[:, : kind.size]),
            kind.unpack(old[:, : kind.size]),
        )
        for channel in kept:
            if order[channel] < kind.channels:
                new_values[:, order[channel]] = old_values[:, order[channel]]
        return self._padded(kind.pack(new_values))

    def write_back(self, space: AddressSpace) -> None:
        """To memory, in the write-back format and layout."""
        described = self.described
        if not described.write or not described.block:
            return
        if described.format not in _FORMAT_SIZES or described.msaa == MULTIPLE:
            raise Unsupported(
                f"write-back of format {described.format}, MSAA {described.msaa} is not there yet"
            )
        words = self.words.reshape(-1, self.samples, self.size)
        if described.msaa == AVERAGE and self.samples > 1:
            surfaces = [self._resolved(words)]
        else:
            count = self.samples if described.msaa == LAYERED else 1
            surfaces = [np.ascontiguousarray(words[:, sample]) for sample in range(count)]
        for sample, surface in enumerate(surfaces):
            base = described.base + sample * described.surface_stride
            place = (base, described.row_stride, described.block)
            store_image(space, place, self._stored(surface), self.bounds)

    def _resolved(self, words: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(pixels, samples, size) to the mean of each pixel's samples."""
        if self.described.internal_format == RGBA8 and not self.described.srgb:
            total = words.astype(np.uint32).sum(axis=1)
            return ((2 * total + self.samples) // (2 * self.samples)).astype(np.uint8)
        if self.packed is None and self.described.internal_format != RGBA8:
            raise Unsupported(f"the mean of {self.size}-byte pixels without a format")
        at = np.arange(len(self.words))
        mean = self.read(at, 0).reshape(-1, self.samples, 4).mean(axis=1, dtype=np.float64)
        values = mean.astype(np.float32)
        if self.packed is not None:
            return self.packed.pack(values[:, : self.packed.channels])
        values[:, :3] = to_srgb(values[:, :3])
        return quantize(values)

    def _stored(self, words: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pixels (n, size) of the tile buffer as an image (height, width, size) in the format of memory."""
        described = self.described
        size = _FORMAT_SIZES[described.format]
        image = words.reshape(self.height, self.width, self.size)
        if described.internal_format == RGBA8:
            order = _stored_order(described.swizzle)
            if order != (0, 1, 2, 3):
                image = image[:, :, list(order)]
            return image[:, :, :size]
        if self.packed is not None:
            if described.format not in _WRITTEN:
                raise Unsupported(f"write-back format {described.format} is not there yet")
            values = to_rgba(self.packed, _RGBA, words)
            values = values[:, list(_stored_order(described.swizzle))]
            kind = self.packed
            if kind.kind != "f":
                kind, _ = pixel_format(_WRITTEN[described.format] << 12)
            return kind.pack(values[:, : kind.channels]).reshape(self.height, self.width, -1)
        if size > self.size:
            raise Unsupported(f"{self.size}-byte pixels written back as {size} bytes")
        return image[:, :, :size]


def _stored_order(swizzle: int) -> tuple[int, ...]:
    """Which of R, G, B, A goes to each stored channel; of constants, any."""
    wanted = [swizzle >> 3 * stored & 7 for stored in range(4)]
    return tuple(one if one < 4 else stored for stored, one in enumerate(wanted))


def afbc_stride(width: int, size: int) -> int:
    """Bytes of a row of pixels in a surface that the driver gave us for AFBC.

    We do not compress: such a surface holds plain rows from its header's address on.  It is always large
    enough, since AFBC keeps room for every block uncompressed; only the GPU itself can read it back.
    """
    return -(-width // 16) * 16 * size


def store_image(
    space: AddressSpace,
    place: tuple[int, int, int],
    image: NDArray[np.uint8],
    box: tuple[int, int, int, int],
) -> None:
    """Pixels of ``image`` (height, width, size) inside ``box`` (x0, y0, x1, y1; ends excluded) to a surface.

    ``place``: base, row stride and block format.  What lies outside the box keeps its bytes.
    """
    (base, stride, block), (x0, y0, x1, y1) = place, box
    height, width, size = image.shape
    if x0 >= x1 or y0 >= y1:
        return
    if block in AFBC:
        block, stride = LINEAR, afbc_stride(width, size)
    if block == TILED and box == (0, 0, width, height) and not (width | height) & 15:
        rows = to_tiled(image)
        if stride == rows.shape[1]:
            space.write(base, rows.tobytes())
            return
        for index, row in enumerate(rows):
            space.write(base + index * stride, row.tobytes())
    elif block in (TILED, TILED_64K):
        y, x = (axis.reshape(-1) for axis in np.mgrid[y0:y1, x0:x1])
        pixels = np.ascontiguousarray(image[y0:y1, x0:x1]).reshape(-1, size)
        offset = tiled_offset if block == TILED else tiled_64k_offset
        space.scatter(base + offset(x, y, size, stride), pixels)
    elif block == LINEAR:
        rows = np.ascontiguousarray(image[y0:y1, x0:x1]).reshape(y1 - y0, -1)
        if stride == rows.shape[1]:
            space.write(base + y0 * stride, rows.tobytes())
            return
        for index, row in enumerate(rows, y0):
            space.write(base + index * stride + x0 * size, row.tobytes())
    else:
        raise Unsupported(f"block format {block} is not there yet")


def bounds_of(frame: Framebuffer) -> tuple[int, int, int, int]:
    """The pixels of a frame that are rendered and written; ends excluded."""
    high_x, high_y = min(frame.max_x, frame.width - 1), min(frame.max_y, frame.height - 1)
    return frame.min_x, frame.min_y, high_x + 1, high_y + 1


# -- depth and stencil ----------------------------------------------------------------------------

COMPARE: tuple[Callable[[Any, Any], Any], ...] = (
    lambda a, b: np.zeros(len(a), dtype=bool),
    np.less,
    np.equal,
    np.less_equal,
    np.greater,
    np.not_equal,
    np.greater_equal,
    lambda a, b: np.ones(len(a), dtype=bool),
)


class DepthBuffer:
    """Depth and stencil of the frame, flat."""

    def __init__(self, frame: Framebuffer, extension: ZsExtension | None) -> None:
        self.samples = 1 << frame.sample_count_log2
        pixels = frame.width * frame.height * self.samples
        self.frame, self.extension = frame, extension
        self.scale = {0: 65535, 1: (1 << 24) - 1}.get(frame.z_internal)
        clear = np.array([frame.z_clear], dtype=np.float32)
        self.depth = np.full(pixels, self.encode(clear)[0])
        self.stencil = np.full(pixels, frame.stencil_clear, dtype=np.uint8)

    def encode(self, depth: NDArray[np.float32]) -> NDArray[Any]:
        """float32 depth as it is stored."""
        if self.scale is None:
            return depth
        return np.rint(np.clip(depth.astype(np.float64), 0, 1) * self.scale).astype(np.uint32)

    def test(
        self,
        at: Index,
        depth: NDArray[np.float32],
        front: NDArray[np.bool_],
        state: DepthStencil,
        reference: NDArray[Any] | None,
    ) -> NDArray[np.bool_]:
        """Stencil and depth test of fragments on distinct pixels ``at``; updates both; who passed."""
        value = self.encode(depth)
        passed = COMPARE[state.depth_function](value, self.depth[at])
        if state.stencil_test:
            alive = self._stencil(at, passed, front, state, reference)
        else:
            alive = passed
        if state.depth_write:
            self.depth[at[alive]] = value[alive]
        return alive

    def _stencil(
        self,
        at: Index,
        depth_passed: NDArray[np.bool_],
        front: NDArray[np.bool_],
        state: DepthStencil,
        given: NDArray[Any] | None,
    ) -> NDArray[np.bool_]:
        old = self.stencil[at].astype(np.int32)
        alive = np.zeros(len(at), dtype=bool)
        new = old.copy()
        for side, name in ((True, "front"), (False, "back")):
            mine = np.flatnonzero(front == side)
            if not len(mine):
                continue

            def of(what: str, name: str = name) -> int:
                return int(getattr(state, f"{name}_{what}"))

            reference = (
                np.full(len(mine), of("reference"))
                if given is None
                else given[mine].astype(np.int32)
            )
            mask = of("value_mask")
            ok = COMPARE[of("compare")](reference & mask, old[mine] & mask)
            deep = depth_passed[mine]
            kinds = np.where(ok, np.where(deep, of("depth_pass"), of("depth_fail")), of("fail"))
            updated = _stencil_op(kinds, old[mine], reference)
            written = of("write_mask")
            new[mine] = old[mine] & ~written | updated & written
            alive[mine] = ok & deep
        self.stencil[at] = new
        return alive

    def write_back(self, space: AddressSpace) -> None:
        frame, extension = self.frame, self.extension
        if extension is None:
            return
        shape = (frame.height, frame.width, self.samples)
        depth, stencil = self.depth.reshape(shape), self.stencil.reshape(shape)
        if frame.z_write and extension.zs_block:
            for sample in range(self.samples if extension.zs_msaa == LAYERED else 1):
                pixels = _zs_pixels(
                    extension.zs_format,
                    depth[:, :, sample],
                    stencil[:, :, sample],
                    frame.z_internal,
                )
                base = extension.zs_base + sample * extension.zs_surface_stride
                place = (base, extension.zs_row_stride, extension.zs_block)
                store_image(space, place, pixels, bounds_of(frame))
        if frame.stencil_write and extension.s_format == 1 and extension.s_block:
            for sample in range(self.samples if extension.s_msaa == LAYERED else 1):
                base = extension.s_base + sample * extension.s_surface_stride
                place = (base, extension.s_row_stride, extension.s_block)
                store_image(space, place, stencil[:, :, sample, None], bounds_of(frame))


def _zs_pixels(
    kind: int, depth: NDArray[Any], stencil: NDArray[np.uint8], internal: int
) -> NDArray[np.uint8]:
    """D16, D24, D24X8, D24S8, D32 pixels."""
    if kind == 14:
        words = depth.astype("<f4") if internal == 2 else depth.astype("<u4")
    elif kind == 1:
        return np.ascontiguousarray(depth.astype("<u2"))[:, :, None].view(np.uint8)
    elif kind == 2:
        return np.ascontiguousarray(depth.astype("<u4"))[:, :, None].view(np.uint8)[:, :, :3]
    elif kind in (4, 5):
        high = stencil.astype(np.uint32) << 24 if kind == 5 else np.uint32(0)
        words = (depth.astype(np.uint32) | high).astype("<u4")
    else:
        raise Unsupported(f"depth write-back format {kind} is not there yet")
    return np.ascontiguousarray(words)[:, :, None].view(np.uint8)


def _stencil_op(kinds: NDArray[Any], old: NDArray[Any], reference: NDArray[Any]) -> NDArray[Any]:
    """Keep, replace, zero, invert, increment and decrement with wrap, then saturating."""
    choices = [
        old,
        reference,
        np.zeros_like(old),
        ~old & 255,
        old + 1 & 255,
        old - 1 & 255,
        np.minimum(old + 1, 255),
        np.maximum(old - 1, 0),
    ]
    return np.choose(kinds, choices)


def load_frame(space: AddressSpace, pointer: int) -> tuple[Framebuffer, list[Target], DepthBuffer]:
    """The framebuffer descriptor behind a tagged pointer, its targets and depth, cleared."""
    address = pointer & ~63
    frame = Framebuffer.read(space, address)
    at = address + 128
    extension = None
    if frame.has_extension:
        extension = ZsExtension.read(space, at)
        at += 64
    described = [RenderTarget.read(space, at + 64 * index) for index in range(frame.targets)]
    pixel = DEPTH_BYTES + sum(sample_bytes(one.internal_format) for one in described)
    if pixel * frame.width * frame.height << frame.sample_count_log2 > _MOST_BYTES:
        raise GpuFault(
            ExceptionCode.DATA_INVALID_FAULT,
            address,
            f"a frame of {frame.width} x {frame.height} pixels, {frame.targets} targets and "
            f"{1 << frame.sample_count_log2} samples each",
        )
    targets = [Target(one, frame) for one in described]
    return frame, targets, DepthBuffer(frame, extension)


def conversion(blend: Blend) -> tuple[Format, tuple[int, ...]]:
    """The memory format of a raw target, from the blend descriptor's conversion."""
    return pixel_format(blend.memory_format)
