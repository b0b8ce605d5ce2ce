"""Hostile clients: random shaders, descriptors and command streams.

Each ends in bounded steps, normally or with a fault that the driver is told; nothing is raised, nothing that
nobody thought of happens, and a queue beside it does its work.
"""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from mali_machine import CODE, DESC, TSD, Compute, Scene, triangle

from ring3.mali import QueueFault, QueueState
from ring3.mali.isa.model import encodings

STEPS = 2000


def expected(machine: Any) -> None:
    """Faults are known by name."""
    for fault in machine.of(QueueFault):
        assert "in the simulated GPU" not in fault.report, fault.report


def instruction_word(dice: random.Random) -> int:
    """A valid opcode with random fields; now and then any word."""
    if dice.random() < 0.1:
        return dice.getrandbits(64)
    one = dice.choice(encodings())
    word = dice.getrandbits(64) & ~(0x1FF << 48) & ~one.mask & ~(15 << 59)
    return word | one.opcode << 48 | one.code | dice.choice([0, 0, 0, 0, 0, 1, 13, 15]) << 59


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_random_shaders(bench, first):
    for seed in range(first, first + 20):
        dice = random.Random(seed)
        job = Compute(bench, "NOP.end")
        code = [instruction_word(dice) for _ in range(dice.randrange(1, 40))]
        job.machine.space.write(CODE, struct.pack(f"<{len(code)}Q", *code))
        job.run(dice.choice([1, 3, 64]), dice.choice([1, 16, 33]), run=False)
        job.machine.gpu.run(STEPS)
        expected(job.machine)


def spoil(dice: random.Random, space: Any) -> None:
    """Change words of descriptors: programs, tables, attributes, blending, tiler, heap, frame, targets."""
    for _ in range(dice.randrange(1, 6)):
        at = DESC + 4 * dice.choice(
            [dice.randrange(24), dice.randrange(0x60, 0x800), 0x140 + dice.randrange(32)]
        )
        word = int.from_bytes(space.read(at, 4), "little")
        word = dice.choice([word ^ 1 << dice.randrange(32), dice.getrandbits(32), 0xFFFFFFFF])
        space.write(at, word.to_bytes(4, "little"))


@pytest.mark.parametrize("first", range(0, 120, 30))
def test_spoiled_descriptors(bench, first):
    for seed in range(first, first + 30):
        dice, scene = random.Random(seed), Scene(bench, 64, 48)
        machine, submit = scene.machine, scene.machine.submit

        def spoiled(listing: str, dice: Any = dice, machine: Any = machine, submit: Any = submit):
            lines = [line for line in listing.splitlines() if line.strip()]
            chosen = dice.randrange(len(lines))
            if "imm=" in lines[chosen] and dice.random() < 0.5:
                number = dice.getrandbits(dice.choice([8, 16, 31]))
                lines[chosen] = lines[chosen].partition("imm=")[0] + f"imm={number}"
            spoil(dice, machine.space)
            submit("\n".join(lines), run=False)
            machine.gpu.run(STEPS)

        machine.submit = spoiled
        scene.frame(zs=dice.random() < 0.5)
        scene.draw(triangle([(0, 48), (64, 48), (32, 0)]))
        listing = f"FINISH_TILING\nMOVE d=d40 imm={DESC + 0x800 | 1:#x}\nRUN_FRAGMENT"
        spoiled(listing)
        expected(machine)


@pytest.mark.parametrize("first", range(0, 40, 20))
def test_random_streams_beside_a_good_one(bench, first):
    for seed in range(first, first + 20):
        dice, machine = random.Random(seed), bench(queues=2)
        machine.map(0x1000_0000, 65536)
        words = []
        for _ in range(dice.randrange(1, 60)):
            place = dice.choice([0x1000_0000, machine.rings[0], dice.getrandbits(48)])
            words.append(
                dice.choice(
                    [
                        dice.getrandbits(64),
                        1 << 56 | dice.randrange(96) << 48 | place,
                        dice.randrange(64) << 56 | dice.getrandbits(56) & dice.getrandbits(56),
                    ]
                )
            )
        machine.submit(words, run=False)
        # A word that the hostile stream does not know: it is the last of the page.
        good = "MOVE d=d2 imm=0x1000fff8\nMOVE32 d=r4 imm=77\n"
        machine.submit(good + "STORE_MULTIPLE base=r4 address=d2 mask=1", queue=1, run=False)
        machine.gpu.run(STEPS)
        expected(machine)
        other = machine.gpu.slots[0].queues[1] if machine.gpu.slots[0].queues else None
        assert other is None or other.state in (QueueState.IDLE, QueueState.STOPPED)
        assert machine.space.read_int(0x1000_FFF8, 4) == 77


def test_more_local_memory_than_there_is(bench):
    job = Compute(bench, "STORE.i32.slot0.end @r0, thread_local_pointer.w0, offset:0\n")
    job.machine.space.write(TSD, struct.pack("<II24x", 31, 31 << 8))
    job.run(4, 64)
    (fault,) = job.machine.of(QueueFault)
    assert "bytes of local memory" in fault.report


def test_a_dispatch_without_end_costs_no_memory(bench):
    job = Compute(bench, "NOP.end")
    job.run(0xFFFFFFFF, 1024, run=False)
    assert job.machine.gpu.run(50) == 50
    assert job.machine.gpu.slots[0].queues[0].state is QueueState.RUNNING
