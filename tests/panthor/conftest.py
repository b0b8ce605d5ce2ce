"""A device, and a client that stores through it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import pytest

from ring3.kernel import Kernel
from ring3.mali.cs.table import encode
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.umd.client import Client, signal_op, wait_op

STREAM, DATA = 0x10_0000, 0x20_0000


class Store(Client):
    """A client with a VM, a group, a page of streams and a page of data."""

    def __init__(self, device: PanthorDevice, comm: str = "store", **kwargs: bool) -> None:
        super().__init__(device, comm, **kwargs)
        self.vm = self.vm_create()
        stream, data = self.bo_create(4096, self.vm), self.bo_create(4096, self.vm)
        self.map(self.vm, stream, STREAM, 4096, uapi.OP_MAP_READONLY)
        self.map(self.vm, data, DATA, 4096)
        self.streams, self.data = self.bo_map(stream), self.bo_map(data)
        self.group = self.group_create(self.vm)

    def stream(self, slot: int, words: Sequence[int]) -> tuple[int, int]:
        """Put instructions at the ``slot``-th 256 bytes; (address, size)."""
        self.streams.write(slot * 256, struct.pack(f"<{len(words)}Q", *words))
        return STREAM + slot * 256, len(words) * 8

    def store(
        self,
        value: int,
        *,
        slot: int = 0,
        va: int = DATA,
        waits: Sequence[int] = (),
        signals: Sequence[int] = (),
        group: int | None = None,
    ) -> None:
        """Submit a stream that stores ``value`` (u32) at ``va``."""
        address, size = self.stream(
            slot,
            [
                encode("MOVE", d=10, imm=va),
                encode("MOVE32", d=20, imm=value),
                encode("STORE_MULTIPLE", base=20, address=10, mask=1),
            ],
        )
        self.run(address, size, waits=waits, signals=signals, group=group)

    def run(
        self,
        address: int,
        size: int,
        *,
        waits: Sequence[int] = (),
        signals: Sequence[int] = (),
        group: int | None = None,
        queue: int = 0,
    ) -> None:
        syncs = [*map(wait_op, waits), *map(signal_op, signals)]
        submit = uapi.QueueSubmit(
            queue_index=queue, stream_size=size, stream_addr=address, syncs=self.array(syncs)
        )
        self.submit(self.group if group is None else group, [submit])

    def value(self, offset: int = 0) -> int:
        return int.from_bytes(self.data.read(offset, 4), "little")

    def loop(self, slot: int = 15) -> tuple[int, int]:
        """A stream that never ends."""
        return self.stream(slot, [encode("BRANCH", condition=6, offset=-1)])


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.close()


@pytest.fixture
def device(kernel: Kernel) -> PanthorDevice:
    return PanthorDevice(kernel)


@pytest.fixture
def store(device: PanthorDevice) -> Store:
    return Store(device)
