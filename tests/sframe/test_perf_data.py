"""perf.data files of perf itself: plain, compressed, through a pipe; and files that lie."""

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring3.errors import BadInput, Ring3Error
from ring3.sframe import bulk, perf_data, samples
from ring3.sframe.images import Images
from ring3.sframe.perf_data import Extras, Writer
from ring3.sframe.perf_event import Attr, Flag
from ring3.sframe.record import SAMPLE_TYPE
from ring3.sframe.samples import Samples
from ring3.sframe.unwind import How, Stop

BUSY = "import json\nfor _ in range(250): json.loads(json.dumps([list(range(99))] * 20))"


def perf_record(needs, tmp_path, *options: str, pipe: bool = False) -> Samples:
    path = tmp_path / "perf.data"
    command = [needs("perf"), "record", "-q", "-F", "2000", "--call-graph", "dwarf", *options]
    run = [sys.executable, "-c", BUSY]
    if pipe:
        with path.open("wb") as out:
            done = subprocess.run([*command, "-o", "-", *run], stdout=out, check=False)
    else:
        done = subprocess.run([*command, "-o", path, *run], check=False)
    if done.returncode:
        pytest.skip("perf cannot record here")
    return samples.read(path)


@pytest.mark.parametrize("variant", ["plain", "compressed", "pipe", "build ids"])
def test_variants_of_perf_record(variant, tmp_path, needs):
    options = {"compressed": ["-z"], "build ids": ["--buildid-mmap"]}.get(variant, [])
    recorded = perf_record(needs, tmp_path, *options, pipe=variant == "pipe")
    assert len(recorded) > 50
    known = bulk.world(recorded, Images(recorded.images, recorded.extras).find)
    traces = bulk.unwind(recorded, known)
    assert (traces.stop == Stop.OUTERMOST).mean() > 0.5
    named = [image.build_id for image in recorded.images if image.path.startswith("/usr/lib")]
    assert named
    assert variant != "build ids" or all(named)


@pytest.mark.oracle
def test_perf_script_unwinds_the_same(tmp_path, needs):
    """perf 6.1 unwinds the same file by .eh_frame, with its own code and elfutils' or libunwind's."""
    recorded = perf_record(needs, tmp_path)
    fields = ["-F", "tid,time,ip,sym,dso", "--no-inline"]
    command = [needs("perf"), "script", "-i", str(recorded.path), *fields]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = bulk.world(recorded, Images(recorded.images, recorded.extras).find)
    traces = bulk.unwind(recorded, known)
    exact = (traces.how == How.REGISTERS) | (traces.how == How.SIGNAL)
    mapping = recorded.mappings[traces.mapping]
    # perf prints offsets in files.
    offsets = traces.pc - ~exact - mapping["start"] + mapping["offset"]
    same = frames = 0
    for sample, block in enumerate(shown.strip().split("\n\n")):
        theirs = [
            int(ip, 16) for ip in re.findall(r"^\s+([0-9a-f]+) .*\((?:/|\[vdso)", block, re.M)
        ]
        ours = offsets[traces.of(sample)].tolist()
        if traces.stop[sample] != Stop.OUTERMOST:
            continue  # perf guesses on beyond the recorded stack
        frames += len(ours)
        same += sum(a == b for a, b in zip(ours, theirs, strict=False))
    assert frames > 1000
    assert same / frames > 0.99


def test_a_file_that_is_cut_off_is_still_read(tmp_path, needs):
    recorded = perf_record(needs, tmp_path)
    whole = recorded.path.read_bytes()
    short = tmp_path / "short.data"
    short.write_bytes(whole[: len(whole) // 2])
    found = samples.read(short)
    assert found.truncated
    assert 0 < len(found) < len(recorded)


def written(path, records: bytes, attr: Attr | None = None) -> None:
    flags = Flag.SAMPLE_ID_ALL | Flag.MMAP2
    attr = attr or Attr(sample_type=SAMPLE_TYPE, flags=flags, regs_user=0xFF0FFF, stack_user=64)
    writer = Writer(path, attr)
    writer.add(records)
    writer.finish(
        "x86_64", Extras(["x"], [("[vdso]", "", b"\x7fELF" + bytes(90))], {1: b"10 20 f"})
    )


def one_of_each() -> bytes:
    """A sample, MMAP2, COMM, FORK and LOST, as the ABI lays them out."""
    import struct

    trailer = struct.pack("<IIQII", 7, 7, 5, 0, 0)
    out = b""
    mmap2 = struct.pack(
        "<IIQQQ24sII", 7, 7, 0x400000, 0x1000, 0, bytes(24), 5, 2
    ) + b"/bin/true".ljust(16, b"\0")
    bodies = [
        (3, 1 << 13, struct.pack("<II", 7, 7) + b"busy\0\0\0\0" + trailer),
        (10, 2, mmap2 + trailer),
        (7, 0, struct.pack("<IIIIQ", 8, 7, 8, 7, 3) + trailer),
        (2, 0, struct.pack("<QQ", 1, 4) + trailer),
        (
            9,
            2,
            struct.pack("<QIIQIIQQ", 0x400010, 7, 7, 9, 0, 0, 1, 2)
            + struct.pack("<qQ", -512, 0x400010)
            + struct.pack("<Q20Q", 2, *range(0x1000, 0x1014))
            + struct.pack("<Q64sQ", 64, bytes(range(64)), 64),
        ),
    ]
    for kind, misc, body in bodies:
        out += struct.pack("<IHH", kind, misc, 8 + len(body)) + body
    return out


def test_each_record_is_understood(tmp_path):
    path = tmp_path / "made.data"
    written(path, one_of_each())
    found = samples.read(path)
    (sample,) = found.samples
    assert (sample["pid"], sample["time"], sample["ip"]) == (7, 9, 0x400010)
    assert (sample["stack_size"], sample["chain_length"]) == (64, 2)
    assert found.data[sample["stack"] : sample["stack"] + 64].tolist() == list(range(64))
    assert found.registers[0].tolist()[:3] == [0x1000, 0x1003, 0x1002]  # rax rdx rcx
    assert found.registers[0, 16] == 0x1008
    assert [image.path for image in found.images] == ["/bin/true"]
    assert found.mappings["start"].tolist() == [0x400000]
    assert (found.command(7, 9), found.lost, found.extras.command) == ("busy", 4, ["x"])
    assert found.extras.perf_maps == {1: b"10 20 f"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "made.data"
    written(path, one_of_each() * 3)
    return path.read_bytes()


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_lying_file_is_one_error(made, tmp_path_factory, data):
    changed = bytearray(made)
    interesting = st.integers(0, 400) | st.integers(0, len(changed) - 1)
    for _ in range(data.draw(st.integers(0, 6))):
        changed[data.draw(interesting)] = data.draw(st.integers(0, 255) | st.just(255))
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(0, len(changed))) :]
    path = tmp_path_factory.mktemp("lying") / "lying.data"
    path.write_bytes(changed)
    try:
        found = samples.read(path)
        known = bulk.world(found, Images(found.images, found.extras).find)
        traces = bulk.unwind(found, known, limit=64)
        assert np.all(np.diff(traces.first) <= 64)
    except Ring3Error as error:
        assert str(path) in str(error) or "machine" in str(error) or "architecture" in str(error)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_garbage_is_one_error(tmp_path_factory, garbage):
    path = tmp_path_factory.mktemp("garbage") / "x.data"
    for content in (garbage, b"PERFILE2" + garbage):
        path.write_bytes(content)
        with pytest.raises(BadInput):
            samples.read(path)


def test_an_attribute_survives():
    attr = Attr(frequency=99, sample_type=5, flags=1 << 34 | 3, regs_user=0xFF, stack_user=64)
    assert Attr.unpack(attr.pack(), "<") == attr


def test_unfinished_recordings_leave_nothing(tmp_path):
    writer = Writer(tmp_path / "x.data", Attr())
    writer.add(b"1234")
    writer.abandon()
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadInput, match="no such folder"):
        perf_data.Writer(tmp_path / "no" / "x.data", Attr())
