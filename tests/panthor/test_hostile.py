"""A hostile client gets errors, harms nobody, leaks nothing."""

from __future__ import annotations

import contextlib
import random
import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring3.dma_buf import uapi as dma_buf
from ring3.dma_buf.cstruct import CStruct, Ioctl
from ring3.dma_buf.file import EventFd
from ring3.dma_buf.sw_sync import SwSync
from ring3.drm import uapi as drm
from ring3.kernel import Kernel
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.panthor.implicit import CREATE_BO, CREATE_HEAP, GET_BO, SUBMIT, WAIT_BO, install
from tests.panthor.conftest import DATA, STREAM, Store

MS = 1_000_000
OURS = (CREATE_BO, SUBMIT, WAIT_BO, GET_BO, CREATE_HEAP)
RENDER = (*drm.IOCTLS, *uapi.IOCTLS, *OURS)
FILES = (*dma_buf.IOCTLS, *dma_buf.SW_SYNC_IOCTLS)

#: Values that mean something to a driver, mixed with values that mean nothing.
INTERESTING = [0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 4095, 4096, 8192, 65536, 1 << 16 | 1, 1 << 31]
INTERESTING += [1 << 28, 2 << 28, STREAM, DATA, (1 << 32) - 1, 1 << 47, 1 << 56, (1 << 64) - 1]
numbers = st.sampled_from(INTERESTING) | st.integers(0, (1 << 64) - 1)


def fields_of(kind: type[CStruct]) -> list[tuple[str, int]]:
    """(path, bytes) of every plain field, nested ones too."""
    found: list[tuple[str, int]] = []
    for field in kind.FIELDS:
        if field.nested is not None:
            found += [(f"{field.name}.{name}", size) for name, size in fields_of(field.nested)]
        else:
            found.append((field.name, field.size))
    return found


class Hostile:
    """A victim that works, and an attacker on the same device."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.device = PanthorDevice(self.kernel, memory_limit=256 << 20)
        install(self.device)
        self.victim = Store(self.device, "victim")
        self.attacker = Store(self.device, "attacker")
        core = self.device.fences
        process = self.attacker.process
        self.sw_sync = process.install(SwSync(core, "attack"))
        self.eventfd = process.install(EventFd())
        self.shared = self.attacker.export_buffer(self.attacker.bo_create(8192))
        signaled = self.attacker.syncobj(signaled=True)
        self.attacker.syncobj()
        self.sync_file = self.attacker.export_sync_file(signaled)
        # Pointers that lead somewhere: zeros, small numbers, and structures that point at themselves.
        memory = self.attacker.memory
        self.pointers = [
            memory.put(bytes(512)),
            memory.put(struct.pack("<64I", *range(64))),
            memory.put(struct.pack("<64Q", *([1 << 32] * 64))),
            memory.put(b"\xff" * 512),
        ]
        self.fds = [self.attacker.fd, self.sw_sync, self.shared, self.sync_file, self.eventfd]

    def attack(self, fd: int, cmd: int, data: bytes) -> int:
        """One call; its errno or 0.  It must come back within a second of virtual time."""
        file = self.attacker.process.files.get(fd)
        if file is None:
            return 9
        address = self.attacker.memory.put(data)
        outcome: list[int] = []

        def call() -> None:
            try:
                file.ioctl(self.attacker.process, cmd, address)
                outcome.append(0)
            except OSError as error:
                assert error.errno is not None
                outcome.append(error.errno)

        task = self.kernel.spawn(call)
        self.kernel.run(until=lambda: bool(outcome), until_time=self.kernel.now() + 1000 * MS)
        if not outcome:
            # A wait that has every right to last: a signal ends it.
            self.kernel.signal(task)
            self.kernel.run(until=lambda: bool(outcome), until_time=self.kernel.now() + 1000 * MS)
        assert outcome, "an ioctl never came back"
        return outcome[0]

    def check_victim(self) -> None:
        done = self.victim.syncobj()
        self.victim.store(0x5AFE, signals=[done])
        self.victim.wait(done)
        assert self.victim.value() == 0x5AFE
        assert self.victim.group_state(self.victim.group).state == 0

    def close(self) -> None:
        self.attacker.close()
        self.kernel.run(until_time=self.kernel.now() + 20_000 * MS)
        self.check_victim()
        self.victim.close()
        self.kernel.run(until_time=self.kernel.now() + 2000 * MS)
        assert self.device.files == []
        assert not any(self.device.sched.slots)
        assert self.device.memory_used <= 2 << 20, "more than the device's own dummy is left"
        assert self.device.table_pool.used == 0
        self.kernel.close()


calls = st.lists(
    st.tuples(
        st.sampled_from([*RENDER, *FILES]),
        st.integers(0, 4),
        st.dictionaries(st.integers(0, 20), numbers, max_size=12),
        st.integers(0, 5),
    ),
    max_size=12,
)


def argument(ioctl: Ioctl, values: dict[int, int], pointer: int) -> bytes:
    """The ioctl's structure with chosen values; 64-bit fields without one point somewhere."""
    if isinstance(ioctl.argument, int):
        return values.get(0, 0).to_bytes(8, "little")[: ioctl.argument]
    out = b""
    kind = ioctl.argument
    at = 0
    for index, (_, size) in enumerate(fields_of(kind)):
        value = values.get(index, pointer if size == 8 else 0)
        out += (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        at += size
    return out.ljust(kind.SIZE, b"\0")[: kind.SIZE]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calls)
def test_any_calls_get_answers_and_harm_nobody(sequence: list[Any]) -> None:
    bench = Hostile()
    for ioctl, which, values, pointer in sequence:
        target = bench.fds[which] if ioctl in FILES else bench.attacker.fd
        where = bench.pointers[pointer] if pointer < len(bench.pointers) else pointer
        errno = bench.attack(target, ioctl.number, argument(ioctl, values, where))
        assert 0 <= errno <= 512
    bench.check_victim()
    bench.close()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.integers(0, (1 << 32) - 1), st.binary(max_size=200))
def test_any_command_number(which: int, cmd: int, data: bytes) -> None:
    bench = Hostile()
    assert 0 <= bench.attack(bench.fds[which], cmd, data) <= 512
    bench.close()


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments(seed: int) -> None:
    """Fifty clients a seed (200 in all) die in the middle of whatever they do."""
    choose = random.Random(seed)
    kernel = Kernel()
    device = PanthorDevice(kernel)
    victim = Store(device, "victim")
    tables, memory = device.table_pool.used, device.memory_used
    for _ in range(50):
        client = Store(device, "dying")
        sync = client.syncobj()

        def life(client: Store = client, sync: int = sync) -> None:
            for turn in range(6):
                if choose.random() < 0.2:
                    client.run(*client.loop(), signals=[sync])
                elif choose.random() < 0.2:
                    client.store(1, va=0x6000_0000, signals=[sync])
                else:
                    client.store(turn, slot=turn, signals=[sync])
                if choose.random() < 0.3:
                    client.wait(sync)

        def guarded(life: Any = life) -> None:
            with contextlib.suppress(OSError):  # its group is dead, or a signal has ended its wait
                life()

        task = kernel.spawn(guarded)
        kernel.run(until_time=kernel.now() + choose.randrange(40_000))
        kernel.signal(task)
        kernel.run(until_time=kernel.now() + 1000)
        client.close()
        kernel.run(until_time=kernel.now() + 3 * MS)
    kernel.run(until_time=kernel.now() + 20_000 * MS)
    assert (device.table_pool.used, device.memory_used) == (tables, memory)
    done = victim.syncobj()
    victim.store(77, signals=[done])
    victim.wait(done)
    assert victim.value() == 77
    assert kernel.warnings == []
    kernel.close()


@pytest.mark.parametrize("seed", range(10))
def test_close_races_submit(seed: int) -> None:
    """One thread submits while another closes the file: either answer is right, nothing is left."""
    from ring3.kernel import RandomScheduler

    kernel = Kernel(scheduler=RandomScheduler(seed))
    device = PanthorDevice(kernel)
    before = device.table_pool.used, device.memory_used
    client = Store(device, "racing")
    syncs = [client.syncobj() for _ in range(4)]
    file = client.process.file(client.fd)
    file.get()  # what a system call in progress holds

    def submitter() -> None:
        for turn, sync in enumerate(syncs):
            try:
                client.store(turn, slot=turn, signals=[sync])
            except OSError:
                return

    kernel.spawn(submitter)
    kernel.spawn(lambda: client.process.close(client.fd))
    kernel.run()
    kernel.call(file.put)
    kernel.run()
    assert (device.table_pool.used, device.memory_used) == before
    assert kernel.warnings == []
    kernel.close()
