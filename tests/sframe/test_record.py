"""Recording: what perf reads in our files, and we in perf's."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ring3.errors import BadInput, MissingPart, Unsupported
from ring3.sframe import bulk, record, samples, stack
from ring3.sframe.images import Images
from ring3.sframe.record import Settings
from ring3.sframe.unwind import Stop

BUSY = (
    "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: sum(range(1000))"
)


def can_record(tmp_path):
    try:
        record.record_command(
            [sys.executable, "-c", BUSY.format(0.01)], tmp_path / "try", Settings()
        )
    except MissingPart as error:
        pytest.skip(str(error))


@pytest.fixture
def busy(tmp_path):
    can_record(tmp_path)
    path = tmp_path / "busy.data"
    summary = record.record_command([sys.executable, "-c", BUSY.format(0.4)], path, Settings())
    assert summary.exit_code == 0
    return path, summary


def test_perf_reads_the_recording(busy, needs):
    path, summary = busy
    shown = subprocess.run(
        [needs("perf"), "script", "-i", path, "-F", "tid,time,ip", "-G"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ours = samples.read(path)
    assert len(ours) == summary.samples > 100
    theirs = sorted(
        (round(float(time) * 1e6), int(tid), int(ip, 16))
        for tid, time, ip in re.findall(r"^\s*(\d+)\s+([\d.]+):\s+([0-9a-f]+)", shown, re.M)
    )
    mine = sorted(
        (int(s["time"]) // 1000, int(s["tid"]), int(s["ip"]) % 2**64) for s in ours.samples
    )
    assert [(tid, ip) for _, tid, ip in theirs] == [(tid, ip) for _, tid, ip in mine]
    assert all(abs(a[0] - b[0]) <= 1 for a, b in zip(theirs, mine, strict=True))


def test_most_traces_are_complete(busy):
    recorded = samples.read(busy[0])
    traces = bulk.unwind(
        recorded, bulk.world(recorded, Images(recorded.images, recorded.extras).find)
    )
    complete = traces.stop <= Stop.CHAIN_END
    assert complete.mean() > 0.9


def test_a_running_process(tmp_path):
    can_record(tmp_path)
    with subprocess.Popen([sys.executable, "-c", BUSY.format(30)]) as child:
        time.sleep(0.3)
        path = tmp_path / "attached.data"
        comm = Path(f"/proc/{child.pid}/comm").read_text().strip()
        summary = record.record_process(child.pid, path, Settings(seconds=0.5))
        child.kill()
    assert summary.samples > 10
    recorded = samples.read(path)
    assert set(recorded.samples["pid"]) == {child.pid}
    names = {recorded.command(child.pid, int(time)) for time in recorded.samples["time"]}
    assert names == {comm}
    traces = bulk.unwind(
        recorded, bulk.world(recorded, Images(recorded.images, recorded.extras).find)
    )
    assert (traces.stop <= Stop.CHAIN_END).mean() > 0.9


def test_a_command_that_is_not_there(tmp_path):
    with pytest.raises(BadInput, match="No such file"):
        record.record_command([str(tmp_path / "nothing")], tmp_path / "x", Settings())
    assert not list(tmp_path.iterdir())


def test_no_such_process(tmp_path):
    with pytest.raises(MissingPart, match="no such process"):
        record.record_process(2**22 - 1, tmp_path / "x", Settings())
    assert not list(tmp_path.iterdir())


def test_seconds_end_a_command(tmp_path):
    can_record(tmp_path)
    path = tmp_path / "short.data"
    command = [sys.executable, "-c", BUSY.format(60)]
    summary = record.record_command(command, path, Settings(seconds=0.5))
    assert summary.exit_code == 128 + 15
    assert summary.seconds < 5
    assert len(samples.read(path)) == summary.samples > 5


def written(folder: Path) -> bool:
    """Whether samples have reached the file under its temporary name."""
    return any(path.stat().st_size > 1 << 18 for path in folder.glob(".x.data.*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("attached", [True, False])
def test_a_signal_ends_the_recording_and_keeps_it(attached, number, tmp_path):
    can_record(tmp_path)
    path = tmp_path / "x.data"
    busy = [sys.executable, "-c", "while 1: sum(range(1000))"]
    command = ["env", "--default-signal=INT", sys.executable, "-m", "ring3", "record", "-o", path]
    with subprocess.Popen(busy if attached else ["true"]) as child:
        command += ["-p", str(child.pid)] if attached else ["--", *busy]
        # In a group of its own, which ^C reaches as a whole; a shell's background jobs ignore SIGINT.
        recorder = subprocess.Popen(
            command,
            start_new_session=True,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 60
        while not written(tmp_path) and recorder.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        kill = os.kill if attached or number == signal.SIGTERM else os.killpg
        kill(recorder.pid, number)
        try:
            _, said = recorder.communicate(timeout=60)
        finally:
            child.kill()
            recorder.kill()
    assert recorder.returncode == 0, said
    assert len(samples.read(path)) > 5


def test_a_32_bit_process_is_refused(tmp_path, needs):
    source = tmp_path / "s.s"
    # pause(), forever, without any library
    source.write_text(".globl _start\n_start: mov $29, %eax\nint $0x80\njmp _start\n")
    program = tmp_path / "s"
    command = [needs("gcc"), "-m32", "-nostdlib", "-static", source, "-o", program]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("gcc -m32 does not link here")
    with subprocess.Popen([program]) as child:
        try:
            with pytest.raises(Unsupported, match="32-bit"):
                stack.of_process(child.pid)
            assert child.poll() is None
        finally:
            child.kill()
