"""The MMU: walks, permissions, faults, bulk access over scattered pages."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring3.errors import BadInput
from ring3.mali import Access, ExceptionCode, PhysicalMemory
from ring3.mali.mmu import TranslationFault

VA = 0x5555_0000_0000
READ_ONLY, NO_EXECUTE = 1 << 7, 3 << 53


def test_read_write_across_scattered_pages(bench):
    machine = bench()
    machine.map(VA, 5 * 4096, scattered=True)
    data = bytes(range(256)) * 64
    machine.space.write(VA + 100, data)
    assert machine.space.read(VA + 100, len(data)) == data
    assert machine.space.view(VA, 4096, Access.READ) is not None
    assert machine.space.view(VA, 8192, Access.READ) is None


def test_contiguous_pages_become_one_view(bench):
    machine = bench()
    machine.map(VA, 6 << 20)
    assert machine.space.view(VA, 6 << 20, Access.WRITE) is not None


def test_blocks(bench):
    machine = bench()
    machine.map(VA, 4096)  # makes the tables; then the level-2 entry becomes a 2 MiB block
    at = 0
    for shift in (39, 30):
        at += 8 * (VA >> shift & 511)
        at = (struct.unpack_from("<Q", machine.tables, at)[0] & ~4095) - 0x1000_0000
    at += 8 * (VA >> 21 & 511)
    struct.pack_into("<Q", machine.tables, at, 0x8020_0000 | 0x401)
    machine.space.flush()
    machine.space.write(VA + 0x12345, b"block")
    assert machine.data[0x20_0000 + 0x12345 :][:5] == b"block"


@pytest.mark.parametrize(
    ("flags", "access", "ok"),
    [
        (READ_ONLY, Access.READ, True),
        (READ_ONLY, Access.WRITE, False),
        (READ_ONLY, Access.ATOMIC, False),
        (NO_EXECUTE, Access.EXECUTE, False),
        (NO_EXECUTE, Access.WRITE, True),
        (0, Access.EXECUTE, True),
    ],
)
def test_permissions(bench, flags, access, ok):
    machine = bench()
    machine.map(VA, 4096, flags=flags)
    if ok:
        machine.space.extent(VA, access)
        return
    with pytest.raises(TranslationFault) as fault:
        machine.space.extent(VA + 8, access)
    assert fault.value.code is ExceptionCode.PERM_FAULT_3
    assert machine.space.fault_address == VA + 8
    assert machine.space.fault_status == ExceptionCode.PERM_FAULT_3 | access << 8


def test_fault_levels(bench):
    machine = bench()
    machine.map(VA, 4096)
    for distance, level in ((1 << 39, 0), (1 << 30, 1), (1 << 21, 2), (4096, 3)):
        with pytest.raises(TranslationFault) as fault:
            machine.space.read(VA + distance, 1)
        assert fault.value.code == ExceptionCode.TRANSLATION_FAULT_0 + level


def test_stale_translation_goes_with_a_flush(bench):
    machine = bench()
    machine.map(VA, 4096)
    machine.space.write(VA, b"x")
    machine.space.disable()
    with pytest.raises(TranslationFault):
        machine.space.read(VA, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    scattered=st.booleans(),
    size=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16]),
    offsets=st.lists(st.integers(0, 3 * 4096 - 16), min_size=1, max_size=50),
    stride=st.sampled_from([None, 0, 1, 4, 8, 16]),
)
def test_gather_and_scatter_equal_single_accesses(bench, scattered, size, offsets, stride):
    machine = bench(size=1 << 20)
    machine.map(VA, 3 * 4096, scattered=scattered)
    rng = np.random.default_rng(1)
    machine.space.write(VA, rng.bytes(3 * 4096))
    if stride is not None:
        offsets = [min(offsets[0] + stride * lane, 3 * 4096 - 16) for lane in range(len(offsets))]
    va = VA + np.array(offsets, dtype=np.int64)
    got = machine.space.gather(va, size)
    assert [row.tobytes() for row in got] == [machine.space.read(int(at), size) for at in va]
    values = rng.integers(0, 256, (len(va), size), dtype=np.uint8)
    expected = bytearray(machine.space.read(VA, 3 * 4096))
    for at, row in zip(offsets, values, strict=True):
        expected[at : at + size] = row.tobytes()
    machine.space.scatter(va, values)
    result = machine.space.read(VA, 3 * 4096)
    if _apart(offsets, size):
        assert result == bytes(expected)


def _apart(offsets, size):
    """No two accesses overlap: otherwise the order between lanes is not defined."""
    ordered = sorted(offsets)
    return all(b - a >= size for a, b in itertools.pairwise(ordered))


def test_physical_memory_is_checked():
    memory = PhysicalMemory()
    memory.add(0x1000, bytearray(8192))
    for base, size in ((0x2000, 4096), (0x10000, 100), (0x10001, 4096), (0, 8192)):
        with pytest.raises(BadInput):
            memory.add(base, bytearray(size))
    with pytest.raises(BadInput):
        memory.add(0x8000, bytes(4096))
    memory.remove(0x1000)
    with pytest.raises(BadInput):
        memory.remove(0x1000)
