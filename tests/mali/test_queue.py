"""Command streams: encoding, execution, synchronisation, faults, suspension."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mali_machine import STORE_R0, TABLES, Compute

from ring3.errors import BadInput
from ring3.mali import (
    ExceptionCode,
    Group,
    MmuFault,
    QueueConfig,
    QueueFault,
    QueueIdle,
    QueueState,
)
from ring3.mali.cs.table import OPS, assemble, disassemble, encode
from ring3.mali.mmu import AddressSpace

BUF = 0x4000_0000


@given(st.integers(0, (1 << 64) - 1))
def test_any_word_disassembles(word):
    text = disassemble(word)
    again = assemble(text)[0]
    # Bits outside the declared fields are not printed; what is printed comes back.
    assert disassemble(again) == text


def test_encodings_match_the_description():
    # Fields as the v10 description of the hardware places them.
    assert encode("MOVE", d=72, imm=0x1234) == 1 << 56 | 72 << 48 | 0x1234
    assert (
        encode("BRANCH", condition=3, value=5, offset=-2) == 22 << 56 | 5 << 40 | 3 << 28 | 0xFFFE
    )
    assert encode("SYNC_ADD64", error_propagate=1, wait_mask=0xFF, data=94, address=92) == (
        51 << 56 | 92 << 40 | 94 << 32 | 0xFF << 16 | 1
    )
    with pytest.raises(BadInput, match="does not fit"):
        encode("MOVE", d=256)


def test_field_layouts_do_not_overlap():
    for op in OPS.values():
        used = 0xFF << 56
        for field in op.fields:
            mask = ((1 << field.size) - 1) << field.start
            assert not used & mask, (op.name, field.name)
            used |= mask


def test_arithmetic_memory_and_loops(bench):
    machine = bench()
    machine.map(BUF, 8192)
    machine.submit(f"""
        MOVE d=d10 imm={BUF:#x}
        MOVE32 d=r4 imm=5
        MOVE32 d=r5 imm=0
        ADD_IMM32 d=r5 s=r5 imm=3     # five times
        ADD_IMM32 d=r4 s=r4 imm=-1
        BRANCH condition=1 value=r4 offset=-3
        MOVE32 d=r6 imm=9
        UMIN32 d=r7 s0=r5 s1=r6
        STORE_MULTIPLE base=r4 address=d10 mask=0xe offset=20
        LOAD_MULTIPLE base=r20 address=d10 mask=0xf offset=16
        ADD_IMM64 d=d12 s=d10 imm=-1
        STORE_MULTIPLE base=r12 address=d10 mask=0x3
    """)
    regs = machine.group.state[0].registers
    assert (regs[5], regs[7]) == (15, 9)
    assert regs[20:24] == [0, 15, 9, 9]
    assert machine.space.read_int(BUF, 8) == BUF - 1
    # r4 and r7 side by side: mask bits leave no holes in memory.
    machine.submit("STORE_MULTIPLE base=r4 address=d10 mask=0x9 offset=64")
    assert machine.space.read(BUF + 64, 12) == struct.pack("<III", 0, 9, 0)
    assert machine.of(QueueIdle) and machine.group.state[0].state is QueueState.IDLE


def test_calls_nest_and_jump_replaces(bench):
    machine = bench()
    machine.map(BUF, 8192)
    inner = assemble("ADD_IMM32 d=r4 s=r4 imm=1")
    tail = assemble("ADD_IMM32 d=r4 s=r4 imm=100")
    outer = assemble("""
        CALL address=d30 length=r32
        CALL address=d30 length=r32
        JUMP address=d34 length=r32
        ADD_IMM32 d=r4 s=r4 imm=1000
    """)
    for va, words in ((BUF, inner), (BUF + 64, tail), (BUF + 128, outer)):
        machine.space.write(va, b"".join(word.to_bytes(8, "little") for word in words))
    machine.submit(f"""
        MOVE32 d=r4 imm=0
        MOVE d=d30 imm={BUF:#x}
        MOVE32 d=r32 imm=8
        MOVE d=d34 imm={BUF + 64:#x}
        MOVE d=d36 imm={BUF + 128:#x}
        MOVE32 d=r38 imm=32
        CALL address=d36 length=r38
        ADD_IMM32 d=r4 s=r4 imm=10
    """)
    queue = machine.group.state[0]
    assert queue.registers[4] == 112
    assert queue.extract == queue.insert and not queue.calls


def test_queues_wait_for_each_other(bench):
    machine = bench(queues=2)
    machine.map(BUF, 4096)
    setup = f"MOVE d=d10 imm={BUF:#x}\nMOVE d=d12 imm=1\n"
    machine.submit(setup + "SYNC_WAIT64 address=d10 data=d12 condition=1\nMOVE32 d=r4 imm=7", 0)
    first, second = machine.group.state
    assert first.state is QueueState.WAITING and first.registers[4] == 0
    machine.submit(setup + "SYNC_ADD64 address=d10 data=d12 scope_csg=1", 1)
    assert first.state is QueueState.WAITING  # 1 is not above 1
    machine.submit("SYNC_ADD64 address=d10 data=d12 scope_csg=1", 1)
    assert first.registers[4] == 7 and second.state is QueueState.IDLE


def test_suspended_group_goes_on_in_another_slot(bench):
    machine = bench()
    machine.submit("MOVE32 d=r4 imm=1\nMOVE32 d=r5 imm=2\nMOVE32 d=r6 imm=3", run=False)
    assert machine.gpu.step(2) == 2
    group = machine.gpu.slots[0].suspend()
    assert machine.gpu.run() == 0 and group.state[0].registers[4:7] == [1, 2, 0]
    machine.gpu.slots[3].resume(group)
    machine.gpu.run()
    assert group.state[0].registers[4:7] == [1, 2, 3]


def test_bad_instruction_is_fatal(bench):
    machine = bench()
    machine.submit([0xEE << 56])
    (fault,) = machine.of(QueueFault)
    assert fault.fatal and fault.code is ExceptionCode.CS_INVALID_INSTRUCTION
    assert machine.group.state[0].state is QueueState.FATAL


def test_unmapped_sync_object_faults_with_its_address(bench):
    machine = bench()
    machine.submit("MOVE d=d10 imm=0x123450000\nSYNC_SET64 address=d10 data=d12")
    (mmu,), (fault,) = machine.of(MmuFault), machine.of(QueueFault)
    assert mmu.address == fault.address == 0x1_2345_0000
    assert mmu.code is ExceptionCode.TRANSLATION_FAULT_1 and mmu.access.name == "WRITE"
    assert "SYNC_SET64" in fault.report


def test_failed_job_reaches_the_error_barrier_and_says_so(bench):
    machine = bench()
    machine.map(BUF, 4096)
    machine.submit(f"""
        MOVE d=d10 imm={BUF:#x}
        MOVE d=d12 imm=1
        RUN_FULLSCREEN
        SYNC_ADD64 address=d10 data=d12 error_propagate=1
        ERROR_BARRIER
        ADD_IMM64 d=d14 s=d10 imm=64
        SYNC_ADD64 address=d14 data=d12 error_propagate=1
    """)
    (fault,) = machine.of(QueueFault)
    assert not fault.fatal and "RUN_FULLSCREEN" in fault.report
    assert machine.space.read_int(BUF, 8) == 1 and machine.space.read_int(BUF + 8, 4) == 1
    assert machine.space.read_int(BUF + 64, 8) == 1 and machine.space.read_int(BUF + 72, 4) == 0


def test_reset_forgets_everything(bench):
    machine = bench()
    machine.submit("MOVE32 d=r4 imm=1", run=False)
    machine.gpu.reset()
    assert machine.gpu.run() == 0 and machine.gpu.slots[0].group is None
    assert machine.gpu.address_spaces[1].page_table is None


@pytest.mark.parametrize("slices", [13, 14])  # of which twelve prepare RUN_COMPUTE
def test_a_job_goes_on_under_another_number_of_its_address_space(bench, slices):
    job = Compute(bench, "MOV.i32 r0, r60\n" + STORE_R0)
    machine, gpu = job.machine, job.machine.gpu
    gpu.slice = 1
    job.run(4, 16, run=False)
    gpu.step(slices)
    assert not machine.group.state[0].between, "in the middle of the job"
    group = gpu.slots[0].suspend()
    machine.space.disable()
    gpu.place(2, machine.space)
    gpu.place(
        1, AddressSpace(1, machine.memory)
    )  # somebody else has the number, and nothing mapped
    machine.space.enable(TABLES)
    group.address_space = 2
    gpu.slots[0].resume(group)
    gpu.run(10_000)
    assert machine.of(QueueFault) == []
    assert job.words(64) == list(range(64))


_WORDS = st.builds(
    lambda op, rest: op << 56 | rest, st.sampled_from(sorted(OPS)), st.integers(0, (1 << 56) - 1)
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=st.lists(_WORDS | st.integers(0, (1 << 64) - 1), min_size=1, max_size=40))
def test_random_streams_end_in_events_not_exceptions(bench, words):
    machine = bench(size=1 << 20)
    machine.submit(words, run=False)
    machine.gpu.run(2000)


def test_ring_sizes_are_checked():
    with pytest.raises(BadInput):
        Group(1, [QueueConfig(0, 100)])
