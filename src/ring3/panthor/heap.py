"""Tiler heaps: lists of chunks for polygon lists, which grow when the tiler runs out of memory.

Layouts of drivers/gpu/drm/panthor/panthor_heap.c (7.2): a heap context is 32 bytes, at a stride of a cache
line; a chunk's first word is the next chunk's address | its size in pages.
"""

from __future__ import annotations

import struct
from errno import EBUSY, EINVAL, ENOMEM
from typing import TYPE_CHECKING

from ring3.dma_buf.file import refuse
from ring3.drm.handles import HandleTable
from ring3.kernel import Mutex
from ring3.panthor import uapi
from ring3.panthor.bo import KernelBo

if TYPE_CHECKING:
    from ring3.panthor.vm import Vm

MIN_CHUNK = 128 << 10
MAX_CHUNK = 8 << 20
MAX_HEAPS = 128
_CONTEXT_SIZE = 32


class Heap:
    """One heap; ``chunks`` newest first."""

    def __init__(self, chunk_size: int, max_chunks: int, target_in_flight: int) -> None:
        self.chunk_size = chunk_size
        self.max_chunks = max_chunks
        self.target_in_flight = target_in_flight
        self.chunks: list[KernelBo] = []


class HeapPool:
    """The heaps of one VM."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        line = 1 << (vm.device.gpu.config.l2_features & 0xFF)
        self.stride = max(line, _CONTEXT_SIZE)
        self.lock = Mutex(vm.device.kernel, "panthor_heap_pool.lock")
        self.heaps: HandleTable[Heap] = HandleTable(MAX_HEAPS, EBUSY)
        self.destroyed = False  # the VM is
        flags = uapi.OP_MAP_NOEXEC
        self.contexts = KernelBo(vm, MAX_HEAPS * self.stride, flags, "Heap pool")

    @property
    def memory(self) -> int:
        """Bytes of the pool and all its chunks."""
        chunks = [chunk for _, heap in self.heaps for chunk in heap.chunks]
        return self.contexts.bo.size + sum(chunk.bo.size for chunk in chunks)

    def create(
        self, initial: int, chunk_size: int, max_chunks: int, target_in_flight: int
    ) -> tuple[int, int, int]:
        """(id, address of the context, address of the first chunk).  EINVAL, ENOMEM, EBUSY."""
        if initial == 0 or initial > max_chunks:
            raise refuse(EINVAL, "TILER_HEAP_CREATE: initial_chunk_count is 1 to max_chunks")
        if chunk_size % 4096 or not MIN_CHUNK <= chunk_size <= MAX_CHUNK:
            raise refuse(EINVAL, "TILER_HEAP_CREATE: chunk_size is whole pages, 128 KiB to 8 MiB")
        if initial * chunk_size > self.vm.device.memory_limit:
            raise refuse(ENOMEM, "TILER_HEAP_CREATE: more than the device's memory")
        heap = Heap(chunk_size, max_chunks, target_in_flight)
        try:
            for _ in range(initial):
                self._add_chunk(heap, linked=True)
            with self.lock:
                if self.destroyed:
                    raise refuse(EINVAL, "TILER_HEAP_CREATE: the VM was destroyed meanwhile")
                number = self.heaps.add(heap) - 1
                offset = number * self.stride
                self.contexts.buffer[offset : offset + _CONTEXT_SIZE] = bytes(_CONTEXT_SIZE)
        except OSError:
            self._free(heap)
            raise
        return number, self.contexts.va + offset, heap.chunks[0].va

    def _at(self, context: int) -> Heap:
        return self.heaps.get((context - self.contexts.va) // self.stride + 1, EINVAL)

    def _add_chunk(self, heap: Heap, *, linked: bool) -> KernelBo:
        chunk = KernelBo(self.vm, heap.chunk_size, uapi.OP_MAP_NOEXEC, "Tiler heap chunk")
        after = heap.chunks[0].va | heap.chunk_size >> 12 if linked and heap.chunks else 0
        chunk.buffer[:8] = struct.pack("<Q", after)
        heap.chunks.insert(0, chunk)
        return chunk

    def grow(self, context: int, in_flight: int) -> int:
        """Another chunk for the heap whose context is at ``context``: its address | size in pages.

        EINVAL for no heap, ENOMEM when it may not grow (the tiler then waits for render passes).
        """
        with self.lock:
            heap = self._at(context)
            if self.vm.device.injection.take("tiler_oom"):
                raise refuse(ENOMEM, "injected: no memory for the tiler")
            if in_flight > heap.target_in_flight or len(heap.chunks) >= heap.max_chunks:
                raise refuse(
                    ENOMEM, "the heap has all its chunks, or enough render passes in flight"
                )
            return self._add_chunk(heap, linked=False).va | heap.chunk_size >> 12

    def return_chunk(self, context: int, chunk: int) -> None:
        """Take back what :meth:`grow` answered."""
        with self.lock:
            heap = self._at(context)
            for held in heap.chunks:
                if held.va == chunk & ~4095:
                    heap.chunks.remove(held)
                    held.destroy()
                    break

    def destroy_heap(self, number: int) -> None:
        """TILER_HEAP_DESTROY."""
        with self.lock:
            heap = self.heaps.remove(number + 1, EINVAL)
        gpu, context = self.vm.device.gpu, self.contexts.va + number * self.stride
        gpu.forget_heap(self.vm.pages.root, context)
        self._free(heap)

    def _free(self, heap: Heap) -> None:
        while heap.chunks:
            heap.chunks.pop().destroy()

    def destroy(self) -> None:
        """The VM goes: all heaps do, and there will be no other."""
        with self.lock:
            self.destroyed = True
            for heap in self.heaps.clear():
                self._free(heap)
            self.contexts.destroy()
