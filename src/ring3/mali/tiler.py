"""The tiler's memory: heap chunks, and the polygon lists in them.

A heap is a chain of chunks that the driver allocated; a chunk begins with the address of the next one, its
size in pages in the low 12 bits (as Linux lays it out).  A tiler context fills chunk after chunk.  When the
chain ends the tiler asks the driver for another.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from ring3.mali.descriptors import POLYGON_LIST, PolygonList, TilerContext, TilerHeap
from ring3.mali.events import ExceptionCode, GpuFault

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue
    from ring3.mali.cs.state import Heap

HEADER = 64  # bytes at the start of a chunk
MOST_CHUNKS = 1 << 16


class Tiler:
    """Allocates in the heap for one tiler context; its state is in the context's own words."""

    def __init__(self, queue: Queue, address: int) -> None:
        self.queue = queue
        self.address = address
        self.context = TilerContext.read(queue.space, address)

    @property
    def room(self) -> int:
        """The largest allocation that any chunk can hold."""
        if self.context.chunk_size:
            return self.context.chunk_size - HEADER
        return TilerHeap.read(self.queue.space, self.context.heap).size - HEADER

    def allocate(self, size: int) -> Generator[None, None, int]:
        """Address of ``size`` bytes, 64-aligned; may wait for the driver."""
        size = -(-size // 64) * 64
        if size > self.room:
            raise GpuFault(
                ExceptionCode.OOM, self.address, f"{size} bytes do not fit into a heap chunk"
            )
        context = self.context
        if not context.chunk or context.used + size > context.chunk_size:
            yield from self._next_chunk()
            context = self.context
        self.context = replace(context, used=context.used + size)
        return context.chunk + context.used

    def append(self, polygons: PolygonList) -> Generator[None, None, None]:
        """Write a polygon list and link it behind the last one."""
        space = self.queue.space
        where = yield from self.allocate(PolygonList.BYTES)
        space.write(where, replace(polygons, magic=POLYGON_LIST).pack())
        if self.context.last_list:
            space.write_int(self.context.last_list + 8, where, 8)
            self.context = replace(self.context, last_list=where)
        else:
            self.context = replace(self.context, last_list=where, polygon_list=where)
        self.save()

    def save(self) -> None:
        """Write the context back.  Completed top and bottom are the first and last chunk in use."""
        context = replace(
            self.context,
            completed_top=self.context.first_chunk,
            completed_bottom=self.context.chunk,
        )
        old = int.from_bytes(self.queue.space.read(self.address, TilerContext.BYTES), "little")
        mine = int.from_bytes(context.pack(), "little")
        covered = int.from_bytes(_ALL.pack(), "little")
        merged = old & ~covered | mine
        self.queue.space.write(self.address, merged.to_bytes(TilerContext.BYTES, "little"))

    def _next_chunk(self) -> Generator[None, None, None]:
        heap = self.queue.heap
        if heap is None:
            raise GpuFault(ExceptionCode.OOM, self.address, "the tiler has no heap (HEAP_SET)")
        seed(self.queue, heap, self.context.heap)
        if heap.free:
            chunk = heap.free.pop(0)
        else:
            yield from self.queue.need_chunk()
            granted = self.queue.granted or 0
            if not granted:
                raise GpuFault(
                    ExceptionCode.OOM, self.address, "the driver has no chunk for the tiler"
                )
            chunk = granted
        start, size = chunk & ~4095, (chunk & 4095) << 12
        if not size:
            size = TilerHeap.read(self.queue.space, self.context.heap).size
        space, context = self.queue.space, self.context
        space.write_int(start, 0, 8)
        if context.chunk:
            space.write_int(context.chunk, start | size >> 12, 8)
        self.context = replace(
            context,
            chunk=start,
            used=HEADER,
            chunk_size=size,
            first_chunk=context.first_chunk or start,
        )


_ALL = TilerContext(
    **dict.fromkeys(
        [
            "polygon_list",
            "completed_top",
            "completed_bottom",
            "chunk",
            "used",
            "chunk_size",
            "last_list",
            "first_chunk",
        ],
        (1 << 64) - 1,
    )
)


def seed(queue: Queue, heap: Heap, descriptor: int) -> None:
    """Take over the chain of chunks that the driver made, when the heap is used for the first time."""
    if heap.seeded:
        return
    heap.seeded = True
    described = TilerHeap.read(queue.space, descriptor)
    heap.free += chain(queue, described.base | described.size >> 12 & 4095, 0)


def chain(queue: Queue, first: int, last: int) -> list[int]:
    """Chunks from ``first`` (address | pages) along their headers, up to ``last`` or the end."""
    chunks: list[int] = []
    seen = set()
    chunk = first
    while chunk & ~4095:
        start = chunk & ~4095
        if start in seen or len(chunks) > MOST_CHUNKS:
            raise GpuFault(
                ExceptionCode.DATA_INVALID_FAULT, start, "the chain of heap chunks is a circle"
            )
        seen.add(start)
        chunks.append(chunk)
        if start == last & ~4095:
            break
        chunk = queue.space.read_int(start, 8)
    return chunks


def release(queue: Queue, first: int, last: int) -> None:
    """FINISH_FRAGMENT: the chunks of a finished frame are free again."""
    heap = queue.heap
    if heap is None or not first & ~4095:
        return
    known = {chunk & ~4095 for chunk in heap.free}
    heap.free += [chunk for chunk in chain(queue, first, last) if chunk & ~4095 not in known]
