"""The old world's user-mode driver: no addresses, no syncobjs; it lists the buffers that a job uses."""

from __future__ import annotations

from collections.abc import Sequence

from ring3.panthor import implicit
from ring3.panthor.device import PanthorDevice
from ring3.umd.client import FOREVER, Client
from ring3.umd.context import FRAGMENT, VERTEX, Buffer, Commands
from ring3.umd.triangle import Heap, Scene

READ, WRITE = implicit.READ, implicit.WRITE


class OldWorld(Client):
    """A client of :mod:`ring3.panthor.implicit`."""

    def __init__(self, device: PanthorDevice, comm: str = "old-world") -> None:
        super().__init__(device, comm)

    def buffer(self, size: int) -> Buffer:
        """A buffer at an address of the kernel's choosing."""
        made = self.ioctl(implicit.CREATE_BO, implicit.CreateBo(size=size))
        return Buffer(made.handle, made.va, self.bo_map(made.handle))

    def imported(self, fd: int) -> Buffer:
        """A buffer that came as a dma-buf."""
        handle = self.import_buffer(fd)
        va = self.ioctl(implicit.GET_BO, implicit.GetBo(handle=handle)).va
        return Buffer(handle, va, self.bo_map(handle))

    def run(
        self,
        queue: int,
        stream: Buffer,
        offset: int,
        commands: Commands,
        uses: Sequence[tuple[Buffer, int]],
    ) -> None:
        """Submit a stream that uses buffers; the kernel finds out what it has to wait for."""
        data = commands.pack()
        address = stream.write(offset, data)
        bos = self.array([implicit.BoUse(handle=bo.handle, access=access) for bo, access in uses])
        try:
            args = implicit.Submit(queue=queue, stream_addr=address, stream_size=len(data), bos=bos)
            self.ioctl(implicit.SUBMIT, args)
        finally:
            self._free(bos)

    def wait_bo(self, bo: Buffer, access: int = READ, timeout: int = FOREVER) -> None:
        """Sleep until the buffer may be read, or written."""
        args = implicit.WaitBo(handle=bo.handle, access=access, timeout_ns=timeout)
        self.ioctl(implicit.WAIT_BO, args)

    def draw(self, scene: Scene, target: Buffer) -> None:
        """Submit the scene; nobody is told what waits for what but by the buffers."""
        block, streams = self.buffer(scene.SIZE), self.buffer(8192)
        made = self.ioctl(implicit.CREATE_HEAP, implicit.CreateHeap())
        heap = Heap(made.context, made.first_chunk, made.chunk_size)
        tile, shade = scene.build(block.va, block.write, target.va, heap)
        # The tiler writes its context into the block; fragment shading reads that and writes the target.
        self.run(VERTEX, streams, 0, tile, [(block, WRITE)])
        self.run(FRAGMENT, streams, 4096, shade, [(block, READ), (target, WRITE)])
