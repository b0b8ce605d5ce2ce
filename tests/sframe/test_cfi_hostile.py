"""The CFI interpreter on what nobody wrote: random bytes, damaged sections, programs that never end."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring3 import arch
from ring3.elf import Elf
from ring3.errors import Ring3Error
from ring3.sframe import cfi, table, verify
from ring3.sframe.table import Reason

slow_start = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
AMD64 = arch.by_name("x86_64")


def entry(body: bytes, order: str = "little") -> bytes:
    return len(body).to_bytes(4, order) + body


def section(
    program: bytes, *, initial: bytes = b"\x0c\x07\x08\x90\x01", size: int = 0x100
) -> bytes:
    """One CIE (code 1, data -8, RA 16, absolute pointers) and one FDE for 0x1000."""
    cie = entry(b"\0\0\0\0" + b"\1\0" + b"\x01\x78\x10" + initial)
    back = (len(cie) + 4).to_bytes(4, "little")
    where = (0x1000).to_bytes(8, "little") + size.to_bytes(8, "little")
    return cie + entry(back + where + program)


def read(data: bytes, **options):
    return cfi.interpret(AMD64, np.frombuffer(data, np.uint8), 0x2000, **options)


def rules(program: bytes) -> list[str]:
    made = read(section(program))
    assert not made.refused
    return [f"{row['start']}: {verify.rules(row, AMD64)}" for row in made.rows]


def test_worked_example():
    # push %rbp; mov %rsp,%rbp; ... leave; ret
    assert rules(b"\x41\x0e\x10\x86\x02\x43\x0d\x06\x02\x20\x0c\x07\x08") == [
        "0: CFA rsp+8, FP unchanged, RA at CFA-8",
        "1: CFA rsp+16, FP at CFA-16, RA at CFA-8",
        "4: CFA rbp+16, FP at CFA-16, RA at CFA-8",
        "36: CFA rsp+8, FP at CFA-16, RA at CFA-8",
    ]


def test_nested_remember():
    push, pop, advance = b"\x0a", b"\x0b", b"\x41"
    program = (
        advance + b"\x0e\x10" + push + advance + b"\x0e\x20" + push + advance + b"\x0e\x30"
    ) + (advance + pop + advance + pop)
    assert [rule.split(",")[0] for rule in rules(program)] == [
        "0: CFA rsp+8",
        "1: CFA rsp+16",
        "2: CFA rsp+32",
        "3: CFA rsp+48",
        "4: CFA rsp+32",
        "5: CFA rsp+16",
    ]


def test_plt_expression_becomes_blocks():
    # CFA = rsp + 8 + ((rip & 15) >= 11) * 8, as the GNU linker writes it for a PLT.
    program = b"\x0e\x10\x46\x0e\x18\x4a\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"
    made = read(section(program, size=0x40))
    assert [(f["start"], f["size"], f["rep_size"]) for f in made.functions] == [
        (0x1000, 16, 0),
        (0x1010, 0x30, 16),
    ]
    for pc, expected in (
        (0x1000, 16),
        (0x1006, 24),
        (0x1010, 8),
        (0x101B, 16),
        (0x1030, 8),
        (0x103F, 16),
    ):
        assert made.rows[made.find(pc)[1]]["cfa_offset"] == expected


def test_args_size_and_unknown_registers_change_nothing():
    assert rules(b"\x2e\x10\x83\x02\x05\x20\x03\x41\x2e\x00") == [
        "0: CFA rsp+8, FP unchanged, RA at CFA-8"
    ]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (b"\x3f", Reason.OPCODE),
        (b"\x0e", Reason.TRUNCATED),
        (b"\x0b", Reason.NESTING),
        (b"\x0a" * 100, Reason.NESTING),
        (b"\x0f\x7f\x77", Reason.TRUNCATED),
        (b"\x0f\x05\x77\x10\x06\x23\x08", Reason.CFA_EXPRESSION),
        (b"\x16\x10\x02\x31\x32", Reason.RA_EXPRESSION),
        (b"\x10\x06\x03\x76\x00\x06", Reason.FP_EXPRESSION),
        (b"\x0e\xff\xff\xff\xff\xff\xff\xff\xff\x7f", Reason.OFFSET),
        (b"\x0c\xff\xff\x7f\x08", Reason.REGISTER),
    ],
)
def test_what_cannot_be_said_has_its_reason(program, reason):
    made = read(section(program))
    assert [(r.reason, r.start, r.size) for r in made.refused] == [(reason, 0x1000, 0x100)]
    assert len(made.functions) == 0


def test_a_long_initial_program_is_run_once():
    # A megabyte of instructions in the CIE, and fifty thousand functions that start from them.
    cie = entry(b"\0\0\0\0\1\0\x01\x78\x10\x0c\x07\x08\x90\x01" + b"\x0e\x08" * 500_000)
    data = bytearray(cie)
    for n in range(50_000):
        back = (len(data) + 4).to_bytes(4, "little")
        data += entry(back + (0x1000 + 16 * n).to_bytes(8, "little") + (16).to_bytes(8, "little"))
    read(section(b""))  # compile
    before = time.process_time()
    assert len(read(bytes(data)).functions) == 50_000
    assert time.process_time() - before < 20  # a hang, not a speed: once for each takes hours


@slow_start
@given(st.binary(max_size=300), st.booleans(), st.sampled_from(["x86_64", "arm64", "s390x"]))
def test_random_sections(data, debug, name):
    try:
        made = cfi.interpret(arch.by_name(name), np.frombuffer(data, np.uint8), 0, debug=debug)
    except Ring3Error:
        return
    assert len(made.rows) <= len(data)


@slow_start
@given(st.binary(max_size=200), st.sampled_from(["x86_64", "arm64", "s390x"]))
def test_random_programs(program, name):
    machine = arch.by_name(name)
    order = machine.elf.endian
    cie = entry(b"\0\0\0\0\1\0\x01\x78\x10\x0c\x07\x08\x90\x01", order)
    back = (len(cie) + 4).to_bytes(4, order)
    where = (0x1000).to_bytes(8, order) + (0x1000).to_bytes(8, order)
    data = cie + entry(back + where + program, order)
    made = cfi.interpret(machine, np.frombuffer(data, np.uint8), 0)
    assert len(made.functions) + len(made.refused) >= 1
    for function in made.functions:
        first, count = int(function["first_row"]), int(function["row_count"])
        starts = made.rows["start"][first : first + count]
        assert starts[0] == 0
        assert (np.diff(starts.astype(int)) > 0).all()
        assert not function["flags"] & table.PCMASK or function["rep_size"] > 0


@slow_start
@given(st.data())
def test_damaged_real_section(data):
    try:
        with Elf("/lib/x86_64-linux-gnu/libm.so.6") as elf:
            held = elf.section(".eh_frame")
            good = bytearray(elf.contents(held)[:20000])
    except OSError:
        pytest.skip("libm is not here")
    for _ in range(data.draw(st.integers(1, 5))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        made = read(bytes(good))
    except Ring3Error as error:
        assert ".eh_frame+0x" in str(error)
        return
    assert len(made.rows) <= len(good)
