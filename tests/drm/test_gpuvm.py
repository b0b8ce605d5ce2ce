"""The 15 documented cases of "Split and Merge" (drm_gpuvm.c, 7.2), and random ones against a page map."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.drm.gpuvm import GpuVa, GpuVm, Map, Op, Remap, Unmap

A, B = object(), object()
N, M = 0, 100  # offsets n and m, in units far enough apart not to touch


def va(of: tuple[int, int, Any, int]) -> GpuVa:
    start, end, obj, offset = of
    return GpuVa(start, end - start, obj, offset)


def shown(mappings: GpuVm) -> list[tuple[int, int, Any, int]]:
    return [(v.addr, v.end, v.obj, v.offset) for v in mappings]


# number: (old, request, (new...), keep of each operation that unmaps)
CASES = {
    1: ((0, 1, A, N), (0, 1, A, N), [(0, 1, A, N)], True),
    2: ((0, 1, A, N), (0, 1, A, M), [(0, 1, A, M)], False),
    3: ((0, 1, A, N), (0, 1, B, N), [(0, 1, B, N)], False),
    4: ((0, 1, A, N), (0, 2, A, N), [(0, 2, A, N)], True),
    5: ((0, 2, A, N), (0, 1, B, N), [(0, 1, B, N), (1, 2, A, N + 1)], False),
    6: ((0, 2, A, N), (0, 1, A, N), [(0, 1, A, N), (1, 2, A, N + 1)], True),
    7: ((0, 2, A, N), (1, 2, B, M), [(0, 1, A, N), (1, 2, B, M)], False),
    8: ((0, 2, A, N), (1, 2, A, N + 1), [(0, 1, A, N), (1, 2, A, N + 1)], True),
    9: ((0, 2, A, N), (1, 3, B, M), [(0, 1, A, N), (1, 3, B, M)], False),
    10: ((0, 2, A, N), (1, 3, A, N + 1), [(0, 1, A, N), (1, 3, A, N + 1)], True),
    11: ((0, 3, A, N), (1, 2, B, M), [(0, 1, A, N), (1, 2, B, M), (2, 3, A, N + 2)], False),
    12: ((0, 3, A, N), (1, 2, A, N + 1), [(0, 1, A, N), (1, 2, A, N + 1), (2, 3, A, N + 2)], True),
    13: ((1, 2, A, N + 1), (0, 2, A, N), [(0, 2, A, N)], True),
    14: ((1, 2, A, N + 1), (0, 3, A, N), [(0, 3, A, N)], True),
    15: ((1, 3, A, N), (0, 2, B, M), [(0, 2, B, M), (2, 3, A, N + 1)], False),
}


@pytest.mark.parametrize("number", CASES)
def test_documented_case(number: int) -> None:
    old, request, new, keep = CASES[number]
    mappings = GpuVm(0, 100)
    mappings.insert(va(old))
    ops = mappings.sm_map(va(request))
    assert shown(mappings) == [old], "computing the operations changes nothing"
    assert [unmap_of(op).keep for op in ops if not isinstance(op, Map)] == [keep]
    assert isinstance(ops[-1], Map)
    for op in ops:
        mappings.apply(op)
    assert shown(mappings) == new


def unmap_of(op: Op) -> Unmap:
    assert not isinstance(op, Map)
    return op.unmap if isinstance(op, Remap) else op


def test_case_15_offset_as_documented_is_that_of_the_bytes() -> None:
    """The diagram of case 15 writes a'.bo_offset=n+2 for an old mapping that begins at 1 with n; the
    byte that stays is the second of the old mapping, so n+1: pages never move in their buffer."""
    mappings = GpuVm(0, 100)
    mappings.insert(va((1, 3, A, N)))
    for op in mappings.sm_map(va((0, 2, B, M))):
        mappings.apply(op)
    left = mappings.find(2)
    assert left is not None
    assert left.offset - N == 2 - 1


pages = st.tuples(
    st.booleans(),
    st.integers(0, 30),
    st.integers(1, 12),
    st.sampled_from([A, B]),
    st.integers(0, 9),
)


@given(st.lists(pages, max_size=25))
def test_any_sequence_equals_a_map_of_pages(steps: list[tuple[bool, int, int, Any, int]]) -> None:
    mappings = GpuVm(0, 64)
    model: dict[int, tuple[Any, int]] = {}
    for is_map, start, size, obj, offset in steps:
        before = dict(model)
        if is_map:
            ops = mappings.sm_map(GpuVa(start, size, obj, offset))
            model.update({start + i: (obj, offset + i) for i in range(size)})
        else:
            ops = mappings.sm_unmap(start, size)
            for page in range(start, start + size):
                model.pop(page, None)
        assert sum(isinstance(op, Remap) for op in ops) <= 2
        for op in ops:
            if not isinstance(op, Map):
                unmap = unmap_of(op)
                hole = range(unmap.va.addr, unmap.va.end)
                if isinstance(op, Remap):
                    hole = range(*op.hole)
                # keep promises that every page of the hole is mapped again to the same memory,
                assert not unmap.keep or all(before[page] == model[page] for page in hole)
            mappings.apply(op)
        flat = {v.addr + i: (v.obj, v.offset + i) for v in mappings for i in range(v.size)}
        assert flat == model


@pytest.mark.parametrize(("addr", "size"), [(0, 0), (64, 1), (60, 5), (2**64 - 1, 2), (0, 2**64)])
def test_ranges_outside_are_refused(addr: int, size: int) -> None:
    mappings = GpuVm(0, 64)
    with pytest.raises(OSError, match="Errno 22"):
        mappings.sm_unmap(addr, size)
