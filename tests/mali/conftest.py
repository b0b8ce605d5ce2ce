"""A machine for tests: memory, page tables written as a driver would, one group with queues."""

from __future__ import annotations

import struct

import pytest

from ring3.mali import Gpu, Group, PhysicalMemory, QueueConfig
from ring3.mali.cs.table import assemble

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
        words = assemble(listing) if isinstance(listing, str) else listing
        at = self.inserts[queue]
        self.space.write(self.rings[queue] + at, struct.pack(f"<{len(words)}Q", *words))
        self.inserts[queue] += 8 * len(words)
        self.gpu.slots[0].doorbell(queue, self.inserts[queue])
        if run:
            self.gpu.run(200_000)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def bench() -> type[Bench]:
    return Bench
