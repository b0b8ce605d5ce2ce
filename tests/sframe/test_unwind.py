"""The readable engine: its reading of tables against theirs, and hostile stacks."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sframe_tables import AMD64, ARM64, S390X, make_table, rows

from ring3.arch import by_name
from ring3.sframe import abi as abis
from ring3.sframe import table, unwind
from ring3.sframe.abi import Abi
from ring3.sframe.unwind import How, Module, Modules, Registers, Rules, Stop


def test_structs_are_the_dtypes():
    for layout, dtype in ((unwind.FUNCTION, table.FUNCTION), (unwind.ROW, table.ROW)):
        assert layout.size == dtype.itemsize
        record = np.zeros(1, dtype)
        for number, name in enumerate(name for name in dtype.names if name != "_pad"):
            record[name] = number + 1
        unpacked = layout.unpack(record.tobytes())
        assert unpacked == tuple(range(1, len(unpacked) + 1))


def test_numbers_are_the_tables():
    for name in ("UNDEFINED", "SAME", "CFA", "REGISTER", "KIND", "DEREF", "SIGNAL", "PCMASK"):
        assert getattr(unwind, name) == getattr(table, name), name


@pytest.mark.parametrize("name", abis.ABIS)
def test_an_abi_says_what_its_architecture_says(name):
    """Numbers that :mod:`ring3.arch` declares, too, and that are here a second time for their weight."""
    abi, arch = abis.ABIS[name], by_name(name)
    assert abis.of(arch) is abi
    assert abi.endian == arch.elf.endian
    assert (abi.sp, abi.fp, abi.ra) == (arch.dwarf.sp, arch.dwarf.fp, arch.dwarf.ra)
    for signal in abi.signals:
        assert len(signal.registers) == abi.count


def test_what_stack_imports_is_light():
    """Each of these takes longer to import than unwinding a process takes."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "from ring3.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, *sys.modules.keys() - before)"
    )
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        command = [sys.executable, "-c", code, "stack", str(sleeper.pid)]
        for _ in range(2):  # the first may have to make tables
            done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        sleeper.kill()
        sleeper.wait()
    exit_code, *imported = done.stdout.splitlines()[-1].split()
    assert exit_code == "0", done
    assert "ring3.sframe.unwind" in imported
    heavy = {"click", "numpy", "re", "enum", "typing", "dataclasses", "pathlib", "functools"}
    assert not heavy & set(imported)


tables = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 1, 2]), st.lists(rows, max_size=3)), max_size=6
).map(make_table)


@given(tables, st.integers(-70, 500))
@settings(deadline=None)
def test_rules_find_what_the_table_finds(made, pc):
    functions, made_rows = made
    found = Rules(functions.tobytes(), made_rows.tobytes()).find(pc)
    function = table.find_function(functions, pc)
    row = table.find_row(functions, made_rows, function, pc)
    if row < 0:
        assert found is None
    else:
        rule, signal = found
        assert tuple(vars(rule).values()) == tuple(made_rows[row])[:-1]
        assert signal == bool(functions[function]["flags"] & table.SIGNAL)


@given(
    st.sampled_from([AMD64, ARM64, S390X]),
    tables,
    st.lists(st.integers(0, 400) | st.integers(0, 2**64 - 1), min_size=8, max_size=64),
    st.data(),
)
@settings(deadline=None, max_examples=300)
def test_garbage_always_ends(abi: Abi, made, words, data):
    functions, made_rows = made
    module = Module(
        0, 384, tables=[(How.CONVERTED, Rules(functions.tobytes(), made_rows.tobytes()))]
    )

    def memory(address: int) -> int | None:
        return words[address // 8 % len(words)] if address < 1 << 48 else None

    values = data.draw(
        st.lists(
            st.none() | st.integers(0, 600) | st.integers(0, 2**64 - 1),
            min_size=abi.count,
            max_size=abi.count,
        )
    )
    trace = unwind.unwind(Registers(values[abi.pc] or 0, values), memory, Modules([module]), abi)
    assert 1 <= len(trace.frames) <= unwind.MOST_FRAMES
    assert trace.complete == (trace.stop in (Stop.OUTERMOST, Stop.CHAIN_END))


@pytest.mark.parametrize("abi", [AMD64, ARM64])
def test_a_loop_of_frame_records_ends(abi: Abi):
    """Two records that point at each other."""
    stack = {0x1000: 0x1010, 0x1008: 0x11, 0x1010: 0x1000, 0x1018: 0x21}
    values: list[int | None] = [0] * abi.count
    values[abi.sp], values[abi.fp] = 0xFF8, 0x1000
    trace = unwind.unwind(Registers(0x10, values), stack.get, Modules([Module(0, 0x100)]), abi)
    assert [frame.pc for frame in trace.frames] == [0x10, 0x11, 0x21]
    assert not trace.complete


def test_a_chain_by_hand():
    """main -> f by rules, then main by its frame pointer, whose saved 0 marks the deepest frame."""
    functions = np.zeros(1, table.FUNCTION)
    functions[0] = (0x40, 0x10, 0, 1, 0, 0)
    made_rows = np.zeros(1, table.ROW)
    made_rows["cfa_offset"], made_rows["cfa_reg"], made_rows["cfa"] = 32, 7, table.REGISTER
    made_rows["ra_offset"], made_rows["ra"] = -8, table.CFA | table.DEREF
    made_rows["fp"] = table.SAME
    rules = Rules(functions.tobytes(), made_rows.tobytes())
    stack = {0x1018: 0x84, 0x1030: 0, 0x1038: 0x99}
    values: list[int | None] = [0] * 17
    values[7], values[6] = 0x1000, 0x1030
    modules = Modules([Module(0, 0x100, tables=[(How.SFRAME, rules)])])
    trace = unwind.unwind(Registers(0x44, values), stack.get, modules, AMD64)
    shown = [(frame.pc, frame.sp, frame.how) for frame in trace.frames]
    assert shown == [
        (0x44, 0x1000, How.REGISTERS),
        (0x84, 0x1020, How.SFRAME),
        (0x99, 0x1040, How.FRAME_POINTER),
    ]
    assert trace.stop is Stop.CHAIN_END
