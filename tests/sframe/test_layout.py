"""The layout study: each layout holds the same rows, found and read by code of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ring3.elf import Elf
from ring3.sframe import cfi, layout, table
from ring3.sframe.encode import encode
from ring3.sframe.layout_rows import read_packed
from ring3.sframe.section import parse

LIBRARY = Path("/lib/x86_64-linux-gnu/libm.so.6")


def test_every_layout_holds_the_same_rows():
    if not LIBRARY.exists():
        pytest.skip(f"{LIBRARY} is not here")
    with Elf(LIBRARY) as elf:
        made = cfi.read(elf)
    packed, aligned, columns = layout.study(made)  # raises when their answers differ
    assert packed.size == int(parse(encode(made).data).header["fre_len"])
    assert packed.size < aligned.size < 2 * packed.size
    assert packed.size < columns.size < 2 * packed.size
    assert min(one.lookup_ns for one in (packed, aligned, columns)) > 0


def test_the_packed_reader_adds_up_the_table():
    if not LIBRARY.exists():
        pytest.skip(f"{LIBRARY} is not here")
    with Elf(LIBRARY) as elf:
        made = cfi.read(elf)
    section = parse(encode(made, share=False).data)
    data = np.append(section.fres, np.zeros(8 + -len(section.fres) % 8, np.uint8))
    fdes = section.fdes
    total = read_packed(
        data, data.view("u2"), data.view("u4"), section.big, fdes, fdes["rows"].copy()
    )
    said = [made.rows[f["first_row"] : f["first_row"] + f["row_count"]] for f in made.functions]
    rows = np.concatenate(said)
    held = rows[rows["ra"] != table.UNDEFINED]
    expected = int(rows["start"].astype(int).sum() + held["cfa_offset"].astype(int).sum())
    assert total == expected


def test_nothing_to_lay_out():
    from ring3 import arch

    assert layout.study(table.empty(arch.by_name("arm64"))) == []
