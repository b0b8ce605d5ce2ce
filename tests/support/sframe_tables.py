"""Tables of rows that Hypothesis makes, for the engines that read them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ring3.sframe import abi as abis
from ring3.sframe import table

AMD64, ARM64, _, S390X = abis.ABIS.values()

rows = st.builds(
    dict,
    start=st.integers(0, 63),
    cfa_offset=st.integers(-64, 64),
    ra_offset=st.integers(-64, 64),
    fp_offset=st.integers(-64, 64),
    cfa_reg=st.sampled_from([0, 6, 7, 11, 15, 29, 30, 31, 200]),
    ra_reg=st.sampled_from([0, 14, 16, 30]),
    fp_reg=st.sampled_from([0, 6, 11]),
    cfa=st.sampled_from([0, 3, 7]),
    ra=st.integers(0, 7),
    fp=st.integers(0, 7),
    mangled=st.integers(0, 1),
)


def make_table(spec) -> tuple[np.ndarray, np.ndarray]:
    """Adjacent functions of 64 bytes with the given rows and flags."""
    functions = np.zeros(len(spec), table.FUNCTION)
    out = []
    for index, (flags, own) in enumerate(spec):
        own = sorted(own, key=lambda row: row["start"])
        repeat = 16 if flags & table.PCMASK else 0
        functions[index] = (64 * index, 64, len(out), len(own), flags, repeat)
        out += own
    made = np.zeros(len(out), table.ROW)
    for row, values in zip(made, out, strict=True):
        for name, value in values.items():
            row[name] = value
    return functions, made
