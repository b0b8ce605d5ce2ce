"""Buffers of the old world: the kernel places them, and takes place and memory back when they are closed."""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOMEM

import pytest

from ring3.drm import uapi as drm
from ring3.panthor.device import PanthorDevice
from ring3.panthor.implicit import CREATE_BO, CreateBo, install
from ring3.umd.context import Buffer, Commands
from ring3.umd.old_world import READ, WRITE, OldWorld

SIZE = 1 << 20


@pytest.fixture
def world(device: PanthorDevice) -> OldWorld:
    install(device)
    made = OldWorld(device)
    made.buffer(4096)  # the first brings the VM and its group
    return made


def close(world: OldWorld, bo: Buffer) -> None:
    world.ioctl(drm.GEM_CLOSE, drm.GemClose(handle=bo.handle))


def settled(world: OldWorld, done: Callable[[], bool]) -> bool:
    world.kernel.run(until=done, until_time=world.kernel.now() + 1_000_000_000)
    return done()


def test_a_closed_buffer_gives_memory_and_place_back(world: OldWorld) -> None:
    used, places = world.device.memory_used, set()
    for _ in range(3):
        bo = world.buffer(SIZE)
        places.add(bo.va)
        close(world, bo)
        assert world.device.memory_used == used
    assert len(places) == 1


def test_a_closed_buffer_stays_until_the_job_that_uses_it_is_done(world: OldWorld) -> None:
    used = world.device.memory_used
    stream, target = world.buffer(4096), world.buffer(SIZE)
    store = Commands().set64(10, target.va).set32(20, 0xBEEF)
    store.emit("STORE_MULTIPLE", base=20, address=10, mask=1)
    world.run(0, stream, 0, store, [(stream, READ), (target, WRITE)])
    for bo in (stream, target):
        close(world, bo)
    assert world.device.memory_used > used
    assert world.buffer(SIZE).va not in (stream.va, target.va)
    assert settled(world, lambda: world.device.memory_used == used + SIZE)
    assert target.memory.read(0, 4) == 0xBEEF.to_bytes(4, "little")
    assert world.kernel.warnings == []


def test_a_buffer_without_memory_leaves_no_handle_and_no_place(world: OldWorld) -> None:
    expected = world.buffer(SIZE)
    close(world, expected)
    limit, world.device.memory_limit = world.device.memory_limit, world.device.memory_used
    for _ in range(3):
        with pytest.raises(OSError, match="device has left") as refused:
            world.ioctl(CREATE_BO, CreateBo(size=SIZE))
        assert refused.value.errno == ENOMEM
    world.device.memory_limit = limit
    again = world.buffer(SIZE)
    assert (again.handle, again.va) == (expected.handle, expected.va)


def test_closing_the_file_with_jobs_under_way_leaves_nothing(world: OldWorld) -> None:
    stream = world.buffer(4096)
    world.run(0, stream, 0, Commands().set32(20, 1), [(stream, READ)])
    close(world, stream)
    world.close()
    assert settled(world, lambda: world.device.table_pool.used == 0)
    assert world.device.memory_used == 0
    assert world.kernel.warnings == []
