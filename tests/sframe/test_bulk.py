"""The bulk engine against the readable one, on real samples and on garbage."""

import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sframe_tables import AMD64, ARM64, S390X, make_table, rows

from ring3.arch import by_name
from ring3.errors import MissingPart
from ring3.sframe import bulk, record, samples, table, unwind
from ring3.sframe.bulk import World
from ring3.sframe.facts import Facts
from ring3.sframe.images import Images
from ring3.sframe.perf_data import Extras
from ring3.sframe.samples import SAMPLE, Samples
from ring3.sframe.spaces import MAPPING, ImageName
from ring3.sframe.unwind import How, Module, Modules, Registers, Rules

BUSY = """
import hashlib, json, signal, time
def tick(number, frame):
    json.dumps(list(range(50)))
signal.signal(signal.SIGALRM, tick)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
end = time.process_time() + 0.6
while time.process_time() < end:
    hashlib.sha256(bytes(3000)).hexdigest()
    sorted(range(1000, 0, -1), key=lambda n: -n)
"""


def readable(recorded: Samples, known: World, sample: int) -> unwind.Trace:
    """One sample by the readable engine, over the same tables and stack."""
    about = recorded.samples[sample]
    first, end = recorded.space_first[about["space"]], recorded.space_first[about["space"] + 1]
    modules = []
    for index in range(first, end):
        mapping = recorded.mappings[index]
        image = int(mapping["image"])
        tables = []
        for number in range(known.image_first[image], known.image_first[image + 1]):
            at = known.tables[number]
            functions = known.functions[at["function"] : at["function"] + at["functions"]]
            used = known.rows[at["row"] :]
            tables.append((int(at["how"]), Rules(functions.tobytes(), memoryview(used).cast("B"))))
        place = (int(mapping["start"]), int(mapping["end"]), int(known.bias[index]))
        modules.append(Module(*place, tables=tables))
    base, size, at = int(about["sp"]), int(about["stack_size"]), int(about["stack"])
    order = "<" if recorded.order == "<" else ">"

    def memory(address: int) -> int | None:
        inside = address - base % 2**64
        if inside < 0 or inside > size - 8:
            return None
        return struct.unpack_from(order + "Q", recorded.data, at + inside)[0]

    values = [int(value) % 2**64 for value in recorded.registers[sample]]
    abi = recorded.abi
    return unwind.unwind(Registers(values[abi.pc], values), memory, Modules(modules), abi)


def assert_same(recorded: Samples, known: World, chosen: range) -> int:
    traces = bulk.unwind(recorded, known)
    for sample in chosen:
        if not recorded.samples["has_registers"][sample]:
            continue
        expected = readable(recorded, known, sample)
        frames = traces.of(sample)
        found = [int(pc) % 2**64 for pc in traces.pc[frames]]
        assert found == [frame.pc for frame in expected.frames]
        assert list(traces.how[frames]) == [frame.how for frame in expected.frames]
        assert traces.stop[sample] == expected.stop
    return len(traces.pc)


def test_a_real_recording(tmp_path):
    path = tmp_path / "busy.data"
    try:
        record.record_command([sys.executable, "-c", BUSY], path, record.Settings())
    except MissingPart as error:
        pytest.skip(str(error))
    recorded = samples.read(path)
    known = bulk.world(recorded, Images(recorded.images, recorded.extras).find)
    assert assert_same(recorded, known, range(0, len(recorded), 3)) > 1000


@given(
    st.sampled_from([AMD64, ARM64, S390X]),
    st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 1, 2]), st.lists(rows, max_size=3)), max_size=6
    ).map(make_table),
    st.lists(
        st.integers(0, 400) | st.integers(0x1000, 0x1200) | st.integers(0, 2**64 - 1),
        min_size=8,
        max_size=64,
    ),
    st.data(),
)
@settings(deadline=None, max_examples=300)
def test_garbage(abi, made, words, data):
    functions, made_rows = made
    values = data.draw(
        st.lists(
            st.integers(0, 400) | st.integers(0x1000, 0x1100) | st.integers(0, 2**63 - 1),
            min_size=abi.count,
            max_size=abi.count,
        )
    )
    order = "<" if abi.endian == "little" else ">"
    stack = np.frombuffer(struct.pack(f"{order}{len(words)}Q", *words), np.uint8)
    one = np.zeros(1, SAMPLE)
    one["has_registers"], one["stack_size"] = 1, len(stack)
    one["sp"] = values[abi.sp]
    mappings = np.zeros(1, MAPPING)
    mappings["end"] = 384
    recorded = Samples(
        path=None,
        arch=by_name(abi.name),
        order=order,
        data=stack,
        samples=one,
        registers=np.array([values], np.uint64).view(np.int64),
        mappings=mappings,
        space_first=np.array([0, 1]),
        images=[ImageName("x")],
        extras=Extras(),
        comms={},
        lost=0,
        truncated=False,
        event="samples",
    )
    world = World(
        np.zeros(1, np.int64),
        np.array([(0, len(functions), 0, How.CONVERTED, 0)], bulk.TABLE),
        np.array([0, 1]),
        functions,
        np.concatenate([made_rows, np.zeros(1, table.ROW)]),
        [Facts()],
    )
    assert_same(recorded, world, range(1))
