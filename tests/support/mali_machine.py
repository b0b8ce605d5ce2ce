"""A GPU without a driver: memory, page tables, one group of queues; compute jobs and draws for it.

``bench`` of the tests of ring3.mali is :class:`Bench`; the benchmark of the GPU uses the same.
"""

from __future__ import annotations

import struct

import numpy as np

from ring3.mali import Gpu, Group, PhysicalMemory, QueueConfig, QueueFault
from ring3.mali.cs.table import assemble as stream
from ring3.mali.descriptors import (
    Attribute,
    Blend,
    Buffer,
    DepthStencil,
    Framebuffer,
    RenderTarget,
    ShaderProgram,
    TilerContext,
    TilerHeap,
    ZsExtension,
)
from ring3.mali.formats import from_tiled
from ring3.mali.isa.asm import assemble

CODE, DESC, VERTICES, IMAGE, DEPTH, HEAP = (0x1000_0000 * n for n in range(1, 7))
BUF = VERTICES

TABLES = 0x1000_0000
DATA = 0x8000_0000


class Bench:
    """``map`` gives memory at a virtual address, ``submit`` runs a command-stream listing."""

    def __init__(self, queues: int = 1, size: int = 64 << 20) -> None:
        self.memory = PhysicalMemory()
        self.tables = bytearray(4 << 20)
        self.data = bytearray(size)
        self.memory.add(TABLES, self.tables)
        self.memory.add(DATA, self.data)
        self._next_table = TABLES + 4096
        self._next_page = DATA
        self.events: list[object] = []
        self.now = 0
        self.gpu = Gpu(self.memory, clock=lambda: self.now, on_event=self.on_event)
        self.space = self.gpu.address_spaces[1]
        self.space.enable(TABLES)
        self.rings = [0x7F_0000_0000 + 0x10_0000 * index for index in range(queues)]
        for ring in self.rings:
            self.map(ring, 65536)
        self.group = Group(1, [QueueConfig(ring, 65536) for ring in self.rings])
        self.gpu.slots[0].start(self.group)
        self.inserts = [0] * queues

    def on_event(self, event: object) -> None:
        self.events.append(event)

    def map(self, va: int, size: int, *, flags: int = 0, scattered: bool = False) -> None:
        """Map ``size`` bytes of fresh memory at ``va``; ``flags`` are extra descriptor bits."""
        pages = (size + 4095) // 4096
        for index in range(pages):
            at = pages - 1 - index if scattered else index
            self.map_page(va + 4096 * index, self._next_page + 4096 * at, flags)
        self._next_page += 4096 * pages
        self.space.flush()

    def map_page(self, va: int, physical: int, flags: int = 0) -> None:
        table = TABLES
        for shift in (39, 30, 21):
            at = table + 8 * (va >> shift & 511) - TABLES
            entry = struct.unpack_from("<Q", self.tables, at)[0]
            if not entry:
                entry = self._next_table | 3
                self._next_table += 4096
                struct.pack_into("<Q", self.tables, at, entry)
            table = entry & ~4095
        at = table + 8 * (va >> 12 & 511) - TABLES
        struct.pack_into("<Q", self.tables, at, physical | 0x403 | flags)

    def submit(self, listing: str | list[int], queue: int = 0, run: bool = True) -> None:
        """Append a listing to a ring (it must not wrap), ring the doorbell and run until idle."""
        words = stream(listing) if isinstance(listing, str) else listing
        at = self.inserts[queue]
        self.space.write(self.rings[queue] + at, struct.pack(f"<{len(words)}Q", *words))
        self.inserts[queue] += 8 * len(words)
        self.gpu.slots[0].doorbell(queue, self.inserts[queue])
        if run:
            self.gpu.run(200_000)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


SPD, TSD, SRT, FAU, TABLE = DESC, DESC + 64, DESC + 128, DESC + 256, DESC + 512


class Compute:
    """One compute shader with a buffer of its own in table 0, and uniforms u0:u1 = the buffer's address."""

    def __init__(
        self, bench: type[Bench], listing: str, *, size: int = 1 << 20, preload: int = 0xFFFF
    ) -> None:
        self.machine = machine = bench()
        machine.map(CODE, 65536)
        machine.map(DESC, 65536)
        machine.map(BUF, size)
        write = machine.space.write
        write(CODE, assemble(listing))
        write(SPD, struct.pack("<IIQ16x", 8 | 1 << 4, preload, CODE))
        write(TSD, struct.pack("<II24x", 4, 13 << 8))  # 256 bytes of stack, 4 KiB of local memory
        write(SRT, struct.pack("<QQ", TABLE | 1 << 56, 32))
        write(TABLE, struct.pack("<IIQ16x", 9 | 1 << 4, size, BUF))
        write(FAU, struct.pack("<QQ", BUF, 0))

    def run(self, groups: int, local: int, *, run: bool = True) -> Compute:
        self.machine.submit(
            f"""
            MOVE d=d0 imm={SRT | 1:#x}
            MOVE32 d=r8 imm={FAU:#x}
            MOVE32 d=r9 imm={2 << 24:#x}
            MOVE d=d16 imm={SPD:#x}
            MOVE d=d24 imm={TSD:#x}
            MOVE32 d=r33 imm={local - 1:#x}
            MOVE32 d=r34 imm=0
            MOVE32 d=r35 imm=0
            MOVE32 d=r36 imm=0
            MOVE32 d=r37 imm={groups:#x}
            MOVE32 d=r38 imm=1
            MOVE32 d=r39 imm=1
            RUN_COMPUTE task_increment=1
            """,
            run=run,
        )
        return self

    def words(self, count: int, at: int = 0) -> list[int]:
        return list(struct.unpack(f"<{count}I", self.machine.space.read(BUF + 4 * at, 4 * count)))


ADDRESS = "SHADDX.u64 r50, u0, r60.w0, shift:0x2\n"  # &buffer[global id]
STORE_R0 = ADDRESS + "STORE.i32.slot0.end @r0, ^r50, offset:0\n"


CHUNK = 256 << 10

POSITION = """
LD_ATTR_IMM.v4.f32.slot0.wait0 @r0:r1:r2:r3, r60, r61, index:0x0, table:0x0
LEA_BUF_IMM.slot1.wait1 @r4:r5, r59, table:0xD, index:0x0
STORE.i128.istream.slot2.end @r0:r1:r2:r3, r4, offset:0
"""
VARYING = """
LD_ATTR_IMM.v4.f32.slot0.wait0 @r0:r1:r2:r3, r60, r61, index:0x1, table:0x0
LEA_BUF_IMM.slot1.wait1 @r4:r5, r59, table:0xD, index:0x0
STORE.i128.estream.slot2.end @r0:r1:r2:r3, r4, offset:0
"""
FRAGMENT = """
LD_VAR_BUF_IMM.f32.slot0.v4.src_f32.center.store.wait0126 @r0:r1:r2:r3, r61, index:0x0
ATEST.wait @r60, r60, r3, atest_datum.w0
BLEND.slot0.v4.f32.end @r0:r1:r2:r3, blend_descriptor_0.w0, r60, target:0x0
"""
OPAQUE = Blend(enable=1, color_mask=15, rgb=0x122, alpha=0x122, mode=1)
OVER = Blend(enable=1, color_mask=15, rgb=0x503, alpha=0x503, mode=2)  # D + (S - D) * Sa
ALWAYS = DepthStencil(type=7, depth_function=7)
LESS = DepthStencil(type=7, depth_function=1, depth_write=1)


class Scene:
    """Screen-space triangles into one colour target with depth."""

    def __init__(self, bench, width: int, height: int, *, block: int = 2, chunks: int = 4) -> None:
        self.machine = machine = bench()
        self.width, self.height, self.block = width, height, block
        for va in (CODE, DESC):
            machine.map(va, 65536)
        machine.map(VERTICES, 4 << 20)
        machine.map(IMAGE, 8 << 20)
        machine.map(DEPTH, 8 << 20)
        machine.map(HEAP, (chunks + 8) * CHUNK)
        self.spare = HEAP + chunks * CHUNK
        write = machine.space.write
        for index in range(chunks):
            after = HEAP + (index + 1) * CHUNK | CHUNK >> 12 if index + 1 < chunks else 0
            machine.space.write_int(HEAP + index * CHUNK, after, 8)
        for index, (stage, listing) in enumerate(((3, POSITION), (3, VARYING), (2, FRAGMENT))):
            code = CODE + 4096 * index
            write(code, assemble(listing))
            program = ShaderProgram(type=8, stage=stage, binary=code)
            write(DESC + 32 * index, program.pack())
        self.stride = width * 4 if block == 2 else -(-width // 16) * 16 * 64
        attributes = [
            Attribute(
                type=5, attribute_type=1, format=191 << 12, buffer_index=2, stride=32, offset=offset
            )
            for offset in (0, 16)
        ]
        write(DESC + 0x200, b"".join(item.pack() for item in attributes))
        write(DESC + 0x180, struct.pack("<QQ", DESC + 0x200 | 1 << 56, 96))
        write(DESC + 0x400, TilerHeap(type=9, buffer_type=2, size=CHUNK, base=HEAP).pack())
        self.listing = ""
        self.begin()

    def begin(self) -> None:
        context = TilerContext(width=self.width, height=self.height, heap=DESC + 0x400)
        self.machine.space.write(DESC + 0x500, context.pack())

    def frame(self, clear: int = 0, depth: float = 1.0, *, zs: bool = False) -> None:
        frame = Framebuffer(
            width=self.width, height=self.height, max_x=self.width - 1, max_y=self.height - 1,
            targets=1, z_clear=depth, z_internal=2, z_write=1, has_extension=zs, tiler=DESC + 0x500,
        )  # fmt: skip
        stride = self.stride
        target = RenderTarget(
            internal_format=1, write=1, format=19, block=self.block, swizzle=0o3210, base=IMAGE,
            row_stride=stride, clear=clear,
        )  # fmt: skip
        extension = ZsExtension(
            zs_format=14, zs_block=2, zs_base=DEPTH, zs_row_stride=self.width * 4
        )
        data = frame.pack().ljust(128, b"\0") + (extension.pack() if zs else b"") + target.pack()
        self.machine.space.write(DESC + 0x800, data)

    def draw(
        self, vertices, *, blend=OPAQUE, state=ALWAYS, scissor=None, mode=8, indices=None, at=0
    ) -> None:
        """Add one draw call; ``vertices`` are rows of x, y, z, 1/w, r, g, b, a."""
        data = np.array(vertices, dtype="<f4").reshape(-1, 8)
        space, place = self.machine.space, VERTICES + at
        space.write(place, data.tobytes())
        number = 0x1000 + 0x100 * (at >> 16)
        space.write(DESC + 0x240, Buffer(type=9, size=len(data) * 32, address=place).pack())
        space.write(DESC + number, blend.pack())
        space.write(DESC + number + 0x40, state.pack())
        box = scissor or (0, 0, self.width - 1, self.height - 1)
        kind, count, length = 0, len(data), 0
        if indices is not None:
            raw = np.array(indices, dtype="<u2").tobytes()
            space.write(place + 0x8000, raw)
            kind, count, length = 2, len(indices), len(raw)
        flags = mode | kind << 8 | 7 << 16
        self.listing = f"""
            MOVE d=d66 imm={DESC + 0x700:#x}
            HEAP_SET address=d66
            HEAP_OPERATION operation=0
            MOVE d=d0 imm={DESC + 0x180 | 1:#x}
            MOVE d=d8 imm=0
            MOVE d=d12 imm=0
            MOVE d=d16 imm={DESC:#x}
            MOVE d=d18 imm={DESC + 32:#x}
            MOVE d=d20 imm={DESC + 64:#x}
            MOVE d=d24 imm=0
            MOVE32 d=r32 imm=0
            MOVE32 d=r33 imm={count}
            MOVE32 d=r34 imm=1
            MOVE32 d=r35 imm=0
            MOVE32 d=r36 imm=0
            MOVE32 d=r37 imm=0
            MOVE32 d=r39 imm={length}
            MOVE d=d40 imm={DESC + 0x500:#x}
            MOVE32 d=r42 imm={box[0] | box[1] << 16:#x}
            MOVE32 d=r43 imm={box[2] | box[3] << 16:#x}
            MOVE32 d=r44 imm=0
            MOVE32 d=r45 imm=0x3f800000
            MOVE32 d=r48 imm=16
            MOVE d=d50 imm={DESC + number | 1:#x}
            MOVE d=d52 imm={DESC + number + 0x40:#x}
            MOVE d=d54 imm={place + 0x8000:#x}
            MOVE32 d=r56 imm={flags:#x}
            MOVE32 d=r57 imm=0x10000
            MOVE32 d=r58 imm=0x1ffff
            RUN_IDVS malloc_enable=1
        """
        self.machine.submit(self.listing)

    def render(self, *, zs: bool = False, **options) -> np.ndarray:
        """FINISH_TILING and RUN_FRAGMENT; the picture (height, width, 4)."""
        self.frame(zs=zs, **options)
        self.machine.submit(f"FINISH_TILING\nMOVE d=d40 imm={DESC + 0x800 | 1:#x}\nRUN_FRAGMENT")
        faults = self.machine.of(QueueFault)
        assert not faults, faults[0].report
        rows = self.height if self.block == 2 else -(-self.height // 16)
        data = np.frombuffer(self.machine.space.read(IMAGE, rows * self.stride), dtype=np.uint8)
        if self.block == 2:
            return data.reshape(self.height, self.width, 4)
        padded = -(-self.width // 16) * 16
        return from_tiled(data.reshape(rows, -1), padded, 4)[: self.height, : self.width]


def triangle(points, color=(1, 1, 1, 1), z=0.5):
    return [(x, y, z, 1, *color) for x, y in points]
