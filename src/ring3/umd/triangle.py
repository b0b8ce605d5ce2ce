"""The triangle: one draw call from vertices to pixels, the same scene for both worlds.

A :class:`Scene` lays out everything that the GPU reads in one piece of memory at a known address, so that
whoever gives that address, the user-mode driver or the kernel, gets the same bytes drawn.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ring3.mali.descriptors import (
    Blend,
    DepthStencil,
    Framebuffer,
    LocalStorage,
    RenderTarget,
    ShaderProgram,
    TilerContext,
    TilerHeap,
)
from ring3.umd import shaders
from ring3.umd.context import Commands

Image = NDArray[np.uint8]

#: x, y, z, 1/w in clip space with y down, then r, g, b, a.
TRIANGLE = (
    (0.0, -0.8, 0.5, 1.0, 1.0, 0.0, 0.0, 1.0),
    (0.8, 0.8, 0.5, 1.0, 0.0, 1.0, 0.0, 1.0),
    (-0.8, 0.8, 0.5, 1.0, 0.0, 0.0, 1.0, 1.0),
)
BACKGROUND = (24, 24, 32, 255)
_RGBA8 = 0x688  # swizzle: R, G, B, A as they are
_RGBA8_WRITEBACK = 19
_ALWAYS = 7
_TRIANGLES, _HAS_VARYINGS = 8, 1 << 18


@dataclass(frozen=True)
class Heap:
    """A tiler heap: context, first chunk, size of a chunk."""

    context: int
    first_chunk: int
    chunk_size: int


@dataclass
class Scene:
    """The triangle at ``width`` x ``height``: descriptors in a block of memory, and two streams."""

    width: int
    height: int
    vertices: tuple[tuple[float, ...], ...] = TRIANGLE

    SIZE = 1 << 16

    @property
    def target_size(self) -> int:
        """Bytes of the picture, in whole pages."""
        return -(-self.width * self.height * 4 // 4096) * 4096

    def build(
        self, va: int, write: Callable[[int, bytes], object], target: int, heap: Heap
    ) -> tuple[Commands, Commands]:
        """Write the block for address ``va`` with ``write(offset, data)``; the tiler's and the fragment
        stream."""
        at = 0

        def place(data: bytes, align: int = 64) -> int:
            nonlocal at
            at = -(-at // align) * align
            write(at, data)
            address, at = va + at, at + len(data)
            return address

        half_w, half_h = self.width / 2, self.height / 2
        vertices = place(b"".join(struct.pack("<8f", *vertex) for vertex in self.vertices))
        uniforms = place(struct.pack("<Q4f", vertices, half_w, half_w, half_h, half_h))
        storage = place(LocalStorage(wls_instances=0).pack())
        programs = [
            place(ShaderProgram(type=8, stage=stage, binary=place(code, 128)).pack())
            for stage, code in (
                (3, shaders.position_shader()),
                (3, shaders.varying_shader()),
                (2, shaders.fragment_shader()),
            )
        ]
        blend = place(Blend(enable=1, mode=1, color_mask=15, register_format=1).pack())
        depth = place(DepthStencil(type=7, depth_function=_ALWAYS).pack())
        tiler_heap = place(
            TilerHeap(
                type=9,
                size=heap.chunk_size,
                base=heap.first_chunk,
                bottom=heap.first_chunk + 64,
                top=heap.first_chunk + heap.chunk_size,
            ).pack()
        )
        tiler = place(
            TilerContext(
                hierarchy_mask=0x28, width=self.width, height=self.height, heap=tiler_heap
            ).pack()
        )
        frame = self._frame(place, tiler, target)
        return (
            self._tile(uniforms, storage, programs, blend, depth, tiler, heap),
            self._shade(frame, tiler, heap),
        )

    def _frame(self, place: Callable[[bytes, int], int], tiler: int, target: int) -> int:
        clear = int.from_bytes(bytes(BACKGROUND), "little")
        frame = Framebuffer(
            width=self.width,
            height=self.height,
            max_x=self.width - 1,
            max_y=self.height - 1,
            targets=1,
            tiler=tiler,
        ).pack()
        picture = RenderTarget(
            internal_format=1,
            write=1,
            format=_RGBA8_WRITEBACK,
            block=2,
            swizzle=_RGBA8,
            base=target,
            row_stride=self.width * 4,
            clear=clear,
        ).pack()
        return place(frame.ljust(128, b"\0") + picture, 64)

    def _tile(
        self,
        uniforms: int,
        storage: int,
        programs: list[int],
        blend: int,
        depth: int,
        tiler: int,
        heap: Heap,
    ) -> Commands:
        """Vertex shading and tiling."""
        one = struct.unpack("<I", struct.pack("<f", 1.0))[0]
        out = Commands()
        out.set64(10, heap.context).emit("HEAP_SET", address=10)
        out.emit("HEAP_OPERATION", operation=0)
        out.set64(8, uniforms | 3 << 56)
        for register, program in zip((16, 18, 20), programs, strict=True):
            out.set64(register, program)
        out.set64(24, storage)
        out.set32(32, 0).set32(33, len(self.vertices)).set32(34, 1).set32(35, 0)
        out.set32(36, 0).set32(37, 0).set32(38, 0).set32(39, 0)
        out.set64(40, tiler)
        out.set32(42, 0).set32(43, (self.height - 1) << 16 | (self.width - 1))
        out.set32(44, 0).set32(45, one).set64(46, 0).set32(48, 16)
        out.set64(50, blend | 1).set64(52, depth)
        out.set32(56, _TRIANGLES | _HAS_VARYINGS).set32(57, 0).set32(58, 1 << 16)
        out.emit("RUN_IDVS", malloc_enable=1)
        out.emit("FINISH_TILING")
        out.emit("WAIT", wait_mask=0xFF)
        return out.emit("HEAP_OPERATION", operation=1)

    def _shade(self, frame: int, tiler: int, heap: Heap) -> Commands:
        """Fragment shading, then giving the heap's chunks back."""
        out = Commands()
        out.set64(10, heap.context).emit("HEAP_SET", address=10)
        out.set64(40, frame)
        out.emit("RUN_FRAGMENT")
        out.emit("WAIT", wait_mask=0xFF)
        out.set64(12, tiler)
        out.emit("LOAD_MULTIPLE", base=14, address=12, mask=0xF, offset=40)
        out.emit("WAIT", wait_mask=0xFF)
        return out.emit(
            "FINISH_FRAGMENT",
            increment_fragment_completed=1,
            first_heap_chunk=14,
            last_heap_chunk=16,
        )


def picture(scene: Scene, data: bytes) -> Image:
    """(height, width, 4) RGBA of the target's bytes."""
    pixels = np.frombuffer(data[: scene.width * scene.height * 4], dtype=np.uint8)
    return pixels.reshape(scene.height, scene.width, 4)
