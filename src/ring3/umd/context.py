"""A context of the new world: the user-mode driver owns the GPU's addresses and all synchronisation."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ring3.drm.gem import Pages
from ring3.drm.ranges import RangeAllocator
from ring3.mali.cs.table import encode
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.umd.client import Client, signal_op, wait_op

PAGE = 4096
VERTEX, FRAGMENT, COMPUTE = 0, 1, 2  # queues of a context's group


@dataclass
class Buffer:
    """A buffer with its place in the VM and its memory."""

    handle: int
    va: int
    memory: Pages

    @property
    def size(self) -> int:
        """Bytes, whole pages."""
        return self.memory.size

    def write(self, offset: int, data: bytes) -> int:
        """Store ``data``; the address of where."""
        self.memory.write(offset, data)
        return self.va + offset


class Commands:
    """A command stream being built: instructions of ring3.mali's assembler."""

    def __init__(self) -> None:
        self.words: list[int] = []

    def emit(self, name: str, **fields: int) -> Commands:
        """Append one instruction."""
        self.words.append(encode(name, **fields))
        return self

    def set32(self, register: int, value: int) -> Commands:
        """A 32-bit register."""
        return self.emit("MOVE32", d=register, imm=value & 0xFFFF_FFFF)

    def set64(self, register: int, value: int) -> Commands:
        """A pair of registers; MOVE loads 48 bits, so a tagged value takes two instructions."""
        if value < 1 << 48:
            return self.emit("MOVE", d=register, imm=value)
        return self.set32(register, value).set32(register + 1, value >> 32)

    def pack(self) -> bytes:
        """The stream's bytes."""
        return struct.pack(f"<{len(self.words)}Q", *self.words)


class Context(Client):
    """A VM, a group of three queues, and an allocator of GPU addresses."""

    def __init__(self, device: PanthorDevice, comm: str = "new-world") -> None:
        super().__init__(device, comm)
        self.vm = self.vm_create()
        self.addresses = RangeAllocator(1 << 24, 1 << 40)
        self.group = self.group_create(self.vm, queues=3)
        self.streams = self.buffer(1 << 20, flags=0)
        self._stream_at = 0

    def buffer(
        self,
        size: int,
        *,
        shared: bool = False,
        flags: int = uapi.OP_MAP_NOEXEC,
        signal: int | None = None,
    ) -> Buffer:
        """A buffer bound at an address of the context's choosing; only a shared one can be exported.

        With ``signal`` it is bound when its turn comes, and that syncobj says so.
        """
        size = -(-size // PAGE) * PAGE
        handle = self.bo_create(size, 0 if shared else self.vm)
        return self.bind(handle, size, flags, signal)

    def bind(
        self,
        handle: int,
        size: int,
        flags: int = uapi.OP_MAP_NOEXEC,
        signal: int | None = None,
    ) -> Buffer:
        """Give a buffer its address."""
        va = self.addresses.allocate(size, 1 << 16)
        if signal is None:
            self.map(self.vm, handle, va, size, flags)
        else:
            syncs = self.array([signal_op(signal)])
            op = uapi.VmBindOp(flags=flags, bo_handle=handle, va=va, size=size, syncs=syncs)
            self.vm_bind(self.vm, [op], uapi.VM_BIND_ASYNC)
        return Buffer(handle, va, self.bo_map(handle))

    def submit_streams(
        self,
        jobs: Sequence[tuple[int, Commands]],
        *,
        waits: Sequence[int] = (),
        signal: int,
    ) -> None:
        """Submit one stream a queue, each after the one before; the last signals ``signal``."""
        submits = []
        between = [self.syncobj() for _ in jobs[1:]] + [signal]
        before = list(waits)
        for (queue, commands), after in zip(jobs, between, strict=True):
            address, size = self._place(commands.pack())
            syncs = self.array([*map(wait_op, before), signal_op(after)])
            submits.append(
                uapi.QueueSubmit(
                    queue_index=queue, stream_size=size, stream_addr=address, syncs=syncs
                )
            )
            before = [after]
        self.submit(self.group, submits)

    def _place(self, data: bytes) -> tuple[int, int]:
        if self._stream_at + len(data) > self.streams.size:
            self._stream_at = 0
        address = self.streams.write(self._stream_at, data)
        self._stream_at += -(-len(data) // 64) * 64
        return address, len(data)
