"""SFrame bytes: worked examples of the specification's layout, round trips, and garbage."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring3 import arch
from ring3.errors import Ring3Error
from ring3.sframe import dump, section, table, verify
from ring3.sframe.decode import decode
from ring3.sframe.encode import encode

slow_start = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def header(version, abi, fdes, fres, num_fres, *, order="<", flags=5, fixed_ra=0, auxiliary=b""):
    return (
        struct.pack(
            f"{order}HBBBbbBIIIII",
            *(0xDEE2, version, flags, abi, 0, fixed_ra, len(auxiliary)),
            *(1, num_fres, len(fres), 0, len(fdes)),
        )
        + auxiliary
        + fdes
        + fres
    )


def only(data, vaddr=0):
    made = decode(section.parse(data, vaddr))
    assert len(made.functions) == 1
    return made, made.functions[0], [verify.rules(row, made.arch) for row in made.rows]


def test_version_1_amd64():
    # Start relative to the section; rows {0: sp+8}, {1: sp+16}, {4: fp+16, FP at CFA-16}.
    fres = bytes([0, 0x03, 8, 1, 0x03, 16, 4, 0x04, 16, 0xF0])
    data = header(1, 3, struct.pack("<iIIIB", 0x1000, 0x20, 0, 3, 0), fres, 3, flags=1, fixed_ra=-8)
    made, function, rules = only(data, 0x400000)
    assert function["start"] == 0x401000
    assert list(made.rows["start"]) == [0, 1, 4]
    assert rules == [
        "CFA rsp+8, FP unchanged, RA at CFA-8",
        "CFA rsp+16, FP unchanged, RA at CFA-8",
        "CFA rbp+16, FP at CFA-16, RA at CFA-8",
    ]


@pytest.mark.parametrize(("flags", "start"), [(1, 0x1000), (5, 0x1000 - 28)])
def test_version_2_start_is_relative_to_the_section_or_to_itself(flags, start):
    fres = bytes([0, 0x03, 8])
    data = header(
        2, 3, struct.pack("<iIIIBBH", start, 16, 0, 1, 0, 0, 0), fres, 1, flags=flags, fixed_ra=-8
    )
    _, function, _ = only(data)
    assert function["start"] == 0x1000


def test_version_2_s390x_registers_have_bit_0_set():
    # CFA (352 - 160) / 8 = 24; RA in r18, FP in r16.
    fres = bytes([0, 0x07, 24, 18 << 1 | 1, 16 << 1 | 1])
    data = header(2, 4, struct.pack(">iIIIBBH", 0, 16, 0, 1, 0, 0, 0), fres, 1, order=">")
    made, _, rules = only(data)
    assert made.arch.name == "s390x"
    assert rules == ["CFA r15+352, FP f0+0, RA f4+0"]


def test_version_3_flex_and_padding():
    # CFA = *(rbp-8); RA as always (padding); FP = *(rbp+0).
    fres = struct.pack("<HBBB", 1, 0, 1, 0) + bytes([0, 5 << 1, 6 << 3 | 3, 0xF8, 0, 6 << 3 | 3, 0])
    data = header(3, 3, struct.pack("<qII", 0, 16, 0), fres, 1, fixed_ra=-8)
    _, _, rules = only(data)
    assert rules == ["CFA at rbp-8, FP at rbp+0, RA at CFA-8"]


def test_version_3_beyond_2_gib_with_an_auxiliary_header():
    fres = struct.pack("<HBBB", 1, 0, 0, 0) + bytes([0, 0x03, 8])
    data = header(
        3, 3, struct.pack("<qII", -(1 << 40), 16, 0), fres, 1, fixed_ra=-8, auxiliary=b"abcde"
    )
    parsed = section.parse(data, 1 << 41)
    assert parsed.auxiliary == b"abcde"
    assert decode(parsed).functions[0]["start"] == (1 << 41) - (1 << 40) + 28 + 5


@pytest.mark.parametrize(
    ("info", "rows"), [(0, ["outermost frame"]), (0x80, [])], ids=["outermost", "untranslated"]
)
def test_version_3_without_rows(info, rows):
    data = header(
        3, 3, struct.pack("<qII", 0, 16, 0), struct.pack("<HBBB", 0, info, 0, 0), 0, fixed_ra=-8
    )
    _, function, rules = only(data)
    assert rules == rows
    assert function["row_count"] == len(rows)
    assert bool(function["flags"] & table.SIGNAL) == bool(info)


@st.composite
def tables(draw):
    """Any table that the canonical form allows, its rules not always what SFrame can say."""
    machine = arch.by_name(draw(st.sampled_from(["x86_64", "arm64", "arm64be", "s390x"])))
    assert machine.dwarf
    offsets = st.one_of(
        st.integers(-64, 64).map(lambda n: n * 8), st.integers(-(1 << 31), (1 << 31) - 1)
    )
    registers = st.one_of(st.sampled_from([machine.dwarf.sp, machine.dwarf.fp]), st.integers(0, 40))
    functions = np.zeros(draw(st.integers(0, 5)), table.FUNCTION)
    rows = []
    at = draw(st.sampled_from([0, 0x1000, 1 << 33, -(1 << 31)]))
    for function in functions:
        starts = sorted(draw(st.sets(st.integers(0, 70000), max_size=4)))
        function["start"] = at
        function["size"] = 70001
        at += 70001
        function["first_row"] = len(rows)
        function["row_count"] = len(starts)
        function["flags"] = draw(st.sampled_from([0, 0, table.SIGNAL, table.PCMASK]))
        function["rep_size"] = 16 if function["flags"] == table.PCMASK else 0
        for start in starts:
            row = np.zeros(1, table.ROW)[0]
            row["start"] = start
            if draw(st.integers(0, 9)):
                _rules(draw, row, machine, offsets, registers)
            rows.append(row)
    return table.Table(machine, functions, np.array(rows, table.ROW))


def _rules(draw, row, machine, offsets, registers):
    row["cfa"] = draw(st.sampled_from([table.REGISTER, table.REGISTER | table.DEREF]))
    row["cfa_reg"] = draw(registers)
    row["cfa_offset"] = draw(offsets)
    fixed = section.FIXED_RA[machine.name]
    for name, number in (("ra", machine.dwarf.ra), ("fp", machine.dwarf.fp)):
        kinds = [table.CFA | table.DEREF, table.CFA, table.REGISTER, table.REGISTER | table.DEREF]
        if name == "fp" or not fixed:
            kinds += [table.SAME] * 4
        kind = draw(st.sampled_from(kinds))
        if kind == table.SAME:
            row[name] = kind
            continue
        offset = draw(offsets)
        register = draw(registers) if kind & table.KIND == table.REGISTER else 0
        if kind & table.KIND == table.REGISTER:
            by_cfa = row["cfa"] == table.REGISTER and register == row["cfa_reg"]
            if by_cfa or register == number:
                register = (number + 1) % 32  # not canonical otherwise
            if row["cfa"] == table.REGISTER and register == row["cfa_reg"]:
                register = (register + 1) % 32
        row[name], row[f"{name}_reg"], row[f"{name}_offset"] = kind, register, offset


@slow_start
@given(tables(), st.sampled_from([2, 3]), st.booleans(), st.sampled_from([0, 1 << 32]))
def test_what_is_written_is_read_again(original, version, share, vaddr):
    made = encode(original, vaddr, version=version, share=share)
    again = decode(section.parse(made.data, vaddr))
    lost = {refusal.start for refusal in made.refused}
    kept = [f for f in original.functions if int(f["start"]) not in lost]
    assert [int(f["start"]) for f in kept] == [int(f["start"]) for f in again.functions]
    for function in original.functions:
        if int(function["start"]) in lost:
            continue
        first = int(function["first_row"])
        for row in original.rows[first : first + function["row_count"]]:
            if function["flags"] & table.PCMASK and row["start"] >= function["rep_size"]:
                continue
            _, found = again.find(int(function["start"]) + int(row["start"]))
            assert verify.rules(again.rows[found], again.arch) == verify.rules(row, original.arch)


@slow_start
@given(st.binary(max_size=200))
def test_garbage_is_one_error(data):
    with pytest.raises(Ring3Error):
        section.parse(data)


@slow_start
@given(tables(), st.sampled_from([2, 3]), st.data())
def test_damage_is_an_error_or_a_table(original, version, data):
    good = bytearray(encode(original, version=version).data)
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    for damaged in (bytes(good), bytes(good[:cut])):
        try:
            parsed = section.parse(damaged)
            made = decode(parsed)
        except Ring3Error:
            continue
        assert len(made.rows) <= len(damaged)
        assert int(made.functions["row_count"].max(initial=0)) <= len(made.rows)
        list(dump.text(parsed))


def test_overlapping_blocks_do_not_multiply():
    # Ten thousand functions, each of whose 65,535 rows begins one byte after the previous one's.
    count = 10000
    fres = struct.pack("<HBBB", 0xFFFF, 0, 0, 0) * 40000
    offsets = np.zeros(count, section.INDEX[3])
    offsets["size"] = 16
    offsets["fre_off"] = np.arange(count)
    data = bytearray(header(3, 3, offsets.tobytes(), fres, 1))
    data[8:12] = struct.pack("<I", count)
    with pytest.raises(Ring3Error):
        decode(section.parse(bytes(data)))
