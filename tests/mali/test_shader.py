"""Shaders as programs: compute jobs, divergence, barriers, atomics, faults."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mali_machine import BUF, CODE, STORE_R0, Compute

from ring3.mali import ExceptionCode, MmuFault, QueueFault, QueueState
from ring3.mali.isa.asm import assemble
from ring3.mali.shader.run import Execution


def test_ids(bench):
    job = Compute(
        bench,
        """
        U16_TO_U32 r0, r55.h00
        LSHIFT_OR.i32 r1, r57, 0x0B0A0908.b00, r0
        """.replace("0x0B0A0908", "0xB0A0908")
        + "MOV.i32 r0, r1\n"
        + STORE_R0,
    ).run(5, 48)
    assert job.words(240) == [group << 8 | local for group in range(5) for local in range(48)]
    assert not job.machine.of(QueueFault)


def test_loop_with_a_different_count_for_every_thread(bench):
    # Sum of 1..n, n = global id & 31, one addition at a time.
    job = Compute(
        bench,
        """
        IADD_IMM.i32 r2, 0x0, #0x1F
        LSHIFT_AND.i32 r1, r60, 0x0.b00, r2
        IADD_IMM.i32 r0, 0x0, #0x0
        BRANCHZ.eq.reconverge r1, offset:done
        again:
        IADD.u32 r0, r0, r1
        IADD_IMM.i32 r1, r1, #0xFFFFFFFF
        BRANCHZ.reconverge r1, offset:again
        done:
        """
        + STORE_R0,
    ).run(4, 64)
    assert job.words(256) == [(n & 31) * ((n & 31) + 1) // 2 for n in range(256)]


def test_if_else_reconverges(bench):
    job = Compute(
        bench,
        """
        IADD_IMM.i32 r2, 0x0, #0x1
        LSHIFT_AND.i32 r1, r60, 0x0.b00, r2
        BRANCHZ.eq.reconverge r1, offset:even
        IADD_IMM.i32 r0, r60, #0x3E8
        BRANCHZ.eq.reconverge 0x0, offset:join
        even:
        IADD_IMM.i32 r0, r60, #0x64
        join:
        WMASK r1, r2
        IADD.u32 r0, r0, r1
        """
        + STORE_R0,
    ).run(1, 64)
    # WMASK after the join sees all sixteen lanes of the warp.
    assert job.words(64) == [n + (1000 if n & 1 else 100) + 0xFFFF for n in range(64)]


def test_barrier_and_workgroup_memory(bench):
    # Each thread leaves its id for its neighbour on the left.
    job = Compute(
        bench,
        """
        U16_TO_U32 r1, r55.h00
        LSHIFT_OR.i32 r2, r1, 0x3020100.b22, 0x0
        IADD.u32 r2, workgroup_local_pointer.w0, r2
        MOV.i32 r3, workgroup_local_pointer.w1
        STORE.i32.slot0.wait0 @r60, r2, offset:0
        BARRIER.slot7.wait
        IADD_IMM.i32 r1, r1, #0x1
        IADD_IMM.i32 r4, 0x0, #0x3F
        LSHIFT_AND.i32 r1, r1, 0x0.b00, r4
        LSHIFT_OR.i32 r2, r1, 0x3020100.b22, 0x0
        IADD.u32 r2, workgroup_local_pointer.w0, r2
        MOV.i32 r3, workgroup_local_pointer.w1
        LOAD.i32.unsigned.slot0.wait0 @r0, r2, offset:0
        """
        + STORE_R0,
    ).run(3, 64)
    assert job.words(192) == [group * 64 + (n + 1) % 64 for group in range(3) for n in range(64)]


def test_thread_local_memory_is_each_threads_own(bench):
    job = Compute(
        bench,
        """
        MOV.i32 r2, thread_local_pointer.w0
        MOV.i32 r3, thread_local_pointer.w1
        STORE.i32.force.slot0.wait0 @r60, r2, offset:16
        LOAD.i32.force.unsigned.slot0.wait0 @r0, r2, offset:16
        """
        + STORE_R0,
    ).run(2, 32)
    assert job.words(64) == list(range(64))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("aadd", sum(range(256))), ("aor", 255), ("axor", 0), ("aumax", 255), ("asmax", 255)],
)
def test_atomics_of_many_threads_on_one_word(bench, operation, expected):
    job = Compute(
        bench,
        f"""
        MOV.i32 r2, u0
        MOV.i32 r3, u1
        MOV.i32 r4, r60
        ATOM.i32.slot0.{operation}.wait0.end @r4, r2, offset:0x0
        """.replace(".wait0.end", ".end"),
    ).run(4, 64)
    assert job.words(1) == [expected]


def test_returning_atomic_gives_every_thread_another_value(bench):
    job = Compute(
        bench,
        """
        MOV.i32 r2, u0
        MOV.i32 r3, u1
        ATOM1_RETURN.i32.slot0.ainc.wait0 @r0, r2, offset:0x0
        IADD_IMM.i32 r60, r60, #0x10
        """
        + STORE_R0,
    ).run(2, 64)
    assert job.words(1) == [128]
    assert sorted(job.words(128, 16)) == list(range(128))


def test_compare_exchange_takes_one_winner(bench):
    job = Compute(
        bench,
        """
        MOV.i32 r2, u0
        MOV.i32 r3, u1
        IADD_IMM.i32 r4, r60, #0x64      // the new value
        IADD_IMM.i32 r5, 0x0, #0x0       // expected
        ATOM_RETURN.i32.slot0.compare.axchg.wait0 @r0, @r4:r5, r2, offset:0x0
        IADD_IMM.i32 r60, r60, #0x10
        """
        + STORE_R0,
    ).run(1, 32)
    winner = job.words(1)[0]
    got = job.words(32, 16)
    assert 100 <= winner < 132 and got.count(0) == 1 and set(got) == {0, winner}


def test_buffer_descriptors_are_bounded(bench):
    job = Compute(
        bench,
        """
        IADD_IMM.i32 r1, 0x0, #0x7FFFFFF0
        IADD_IMM.i32 r2, 0x0, #0x0
        LD_BUFFER.i32.unsigned.slot0.wait0 @r0, r1, r2
        LEA_BUFFER.slot1.wait1 @r4:r5, r1, r2
        STORE.i32.slot0.wait0 @r60, r4, offset:0
        """
        + STORE_R0,
    ).run(1, 16)
    assert job.words(16) == [0] * 16 and not job.machine.of(QueueFault)


@pytest.mark.parametrize(("word", "wanted"), [("r0", 0x9ABC), ("r1", 0x12)])
def test_the_clock_is_the_gpus(bench, word, wanted):
    listing = f"""
        LD_GCLK.u64.slot0.wait0 @r0:r1, source:0x7
        MOV.i32 r0, {word}
        """
    job = Compute(bench, listing + STORE_R0)
    job.machine.now = 0x12_0000_9ABC
    assert job.run(1, 16).words(16) == [wanted] * 16


def test_cross_lane_permute(bench):
    job = Compute(
        bench,
        """
        IADD_IMM.i32 r1, 0x0, #0x1
        CLPER.i32.xor r0, r60, r1
        """
        + STORE_R0,
    ).run(1, 64)
    assert job.words(64) == [n ^ 1 for n in range(64)]


def test_fault_names_address_instruction_and_registers(bench):
    job = Compute(
        bench,
        """
        IADD_IMM.i32 r2, 0x0, #0x55550000
        IADD_IMM.i32 r3, 0x0, #0x12
        STORE.i32.slot0.end @r60, r2, offset:8
        """,
    ).run(1, 16)
    (mmu,), (fault,) = job.machine.of(MmuFault), job.machine.of(QueueFault)
    assert mmu.address == fault.address == 0x12_5555_0008
    assert mmu.code is ExceptionCode.TRANSLATION_FAULT_1 or mmu.code.name.startswith("TRANSLATION")
    assert (
        "STORE.i32" in fault.report
        and "RUN_COMPUTE" in fault.report
        and "r2  55550000" in fault.report
    )


def test_missing_instruction_is_named(bench):
    job = Compute(bench, "FATAN_ASSIST.f32 r0, r1, r2\nNOP.end").run(1, 16)
    (fault,) = job.machine.of(QueueFault)
    assert fault.code is ExceptionCode.INSTR_INVALID_ENC and "FATAN_ASSIST.f32" in fault.report


def test_endless_shader_does_not_stop_the_driver(bench):
    job = Compute(
        bench, "again:\nIADD_IMM.i32 r0, r0, #0x1\nBRANCHZ.reconverge r0, offset:again\nNOP.end"
    )
    job.run(1, 16, run=False)
    assert job.machine.gpu.step(60) == 60
    queue = job.machine.group.state[0]
    assert queue.state is QueueState.RUNNING and isinstance(queue.running, Execution)
    assert "shader pc" in queue.show()
    job.machine.gpu.slots[0].suspend()
    assert job.machine.gpu.step(10) == 0


def test_changed_code_is_seen(bench):
    job = Compute(bench, "IADD_IMM.i32 r0, 0x0, #0x7\n" + STORE_R0).run(1, 16)
    assert job.words(1) == [7]
    job.machine.space.write(CODE, assemble("IADD_IMM.i32 r0, 0x0, #0x8"))
    assert job.run(1, 16).words(1) == [8]


def test_many_chunks(bench):
    job = Compute(bench, "MOV.i32 r0, r60\n" + STORE_R0, size=1 << 20).run(1000, 64)
    data = np.frombuffer(job.machine.space.read(BUF, 4 * 64000), dtype="<u4")
    assert (data == np.arange(64000)).all()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(words=st.lists(st.integers(0, (1 << 64) - 1), min_size=1, max_size=12))
def test_random_code_ends_in_events(bench, words):
    job = Compute(bench, "NOP.end", size=1 << 16)
    job.machine.space.write(CODE, b"".join(word.to_bytes(8, "little") for word in words))
    job.run(1, 16, run=False)
    job.machine.gpu.run(200)
