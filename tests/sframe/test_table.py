"""The canonical table: look-ups against a linear search."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ring3 import arch
from ring3.sframe import table


def linear(functions: np.ndarray, rows: np.ndarray, pc: int) -> tuple[int, int]:
    index = max((i for i, f in enumerate(functions) if f["start"] <= pc), default=-1)
    if index < 0 or pc - int(functions[index]["start"]) >= functions[index]["size"]:
        return -1, -1
    function = functions[index]
    offset = pc - int(function["start"])
    if function["flags"] & table.PCMASK:
        offset %= int(function["rep_size"])
    first = int(function["first_row"])
    held = [r for r in range(first, first + function["row_count"]) if rows[r]["start"] <= offset]
    return index, held[-1] if held else -1


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.integers(0, 40), st.sets(st.integers(0, 40)), st.booleans()
        ),
        max_size=8,
    ),
    st.sampled_from([0, -(1 << 31), 1 << 40]),
)
def test_find_is_the_linear_search(spec, base):
    functions = np.zeros(len(spec), table.FUNCTION)
    starts = []
    at = base
    for function, (gap, size, offsets, masked) in zip(functions, spec, strict=True):
        at += gap
        function["start"] = at
        function["size"] = size
        function["first_row"] = len(starts)
        function["row_count"] = len(offsets)
        if masked:
            function["flags"] = table.PCMASK
            function["rep_size"] = 16
        starts += sorted(offsets)
        at += size
    rows = np.zeros(len(starts), table.ROW)
    rows["start"] = starts
    made = table.Table(arch.by_name("x86_64"), functions, rows)
    for pc in range(base - 2, at + 2):
        assert made.find(pc) == linear(functions, rows, pc)


def test_rows_are_three_words():
    assert table.ROW.itemsize == 24


def test_every_reason_has_its_text():
    assert all(reason.text for reason in table.Reason)
