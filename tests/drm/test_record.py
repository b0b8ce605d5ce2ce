"""Recording and replaying ioctls: the same answers, or the difference named; any file is survived."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ring3.cli.panthor import panthor
from ring3.dma_buf import uapi as dma
from ring3.drm.record import Recorder, load, replay
from ring3.errors import BadInput
from ring3.kernel import Kernel
from ring3.panthor.device import PanthorDevice
from ring3.umd.draw import recorded_triangle, replay_recording
from tests.panthor.conftest import DATA, Store


def test_the_triangle_replays_exactly(tmp_path: Path) -> None:
    path = tmp_path / "t.ioctls"
    recorder = recorded_triangle()
    recorder.write(path)
    outcome, trace, violations = replay_recording(path)
    assert outcome.differences == []
    assert outcome.calls == sum(line["do"] == "ioctl" for line in recorder.lines[1:])
    assert violations == []
    assert [job.error for job in trace.jobs] == [0, 0]


def test_faults_and_errors_replay_too(tmp_path: Path) -> None:
    kernel = Kernel()
    device = PanthorDevice(kernel)
    recorder = Recorder(device)
    store = Store(device)
    done = store.syncobj()
    store.store(1, va=0x7000_0000, signals=[done])
    store.wait(done)
    with pytest.raises(OSError, match="Errno 22"):
        store.store(2)
    fd = store.export_sync_file(done)
    store.import_sync_file(store.syncobj(), fd)
    store.group_state(store.group)
    store.close()
    recorder.write(tmp_path / "f.ioctls")
    lines = load(tmp_path / "f.ioctls")
    assert replay(lines, PanthorDevice).differences == []
    # A driver that answers otherwise is told on.
    changed = json.loads(json.dumps(lines))
    last = next(line for line in reversed(changed) if line.get("writes"))
    last["writes"][0][1] = "AAAA"
    assert len(replay(changed, PanthorDevice).differences) == 1
    kernel.close()


def test_sync_files_dma_bufs_and_the_gpus_results_replay(tmp_path: Path) -> None:
    kernel = Kernel()
    device = PanthorDevice(kernel)
    recorder = Recorder(device)
    store = Store(device)
    done, other = store.syncobj(), store.syncobj()
    bo = store.bo_create(4096)
    dma_buf = store.export_buffer(bo)
    store.store(0xBEEF, signals=[done])
    sync_file = store.export_sync_file(done)
    given = dma.DmaBufImportSyncFile(flags=dma.DMA_BUF_SYNC_WRITE, fd=sync_file)
    store.ioctl(dma.DMA_BUF_IOCTL_IMPORT_SYNC_FILE, given, dma_buf)
    taken = dma.DmaBufExportSyncFile(flags=dma.DMA_BUF_SYNC_READ)
    fence = store.ioctl(dma.DMA_BUF_IOCTL_EXPORT_SYNC_FILE, taken, dma_buf).fd
    merged = store.ioctl(dma.SYNC_IOC_MERGE, dma.SyncMergeData(fd2=fence), sync_file).fence
    store.import_sync_file(other, merged)
    store.process.close(sync_file)
    store.wait(other)
    store.data.write(0, bytes(8))  # the CPU's
    store.store(0xCAFE, va=DATA + 4, slot=1, signals=[done])
    store.wait(done)
    store.close()
    kernel.close()
    recorder.write(tmp_path / "r.ioctls")
    lines = load(tmp_path / "r.ioctls")
    assert [line["do"] for line in lines[1:]].count("close") == 5, "four files, and the node"
    outcome = replay(lines, PanthorDevice)
    assert outcome.differences == []
    assert outcome.results == 2, "the page with the data, twice"
    # A GPU that computes something else is told on.
    last = next(line for line in reversed(lines) if line.get("results"))
    offset, page, data = last["results"][0]
    last["results"][0][2] = base64.b64encode(b"\1" + base64.b64decode(data)[1:]).decode()
    (told,) = replay(lines, PanthorDevice).differences
    assert f"page {page} of the buffer at {offset:#x}" in told


def test_a_wait_that_times_out_takes_its_time_again(tmp_path: Path) -> None:
    kernel = Kernel()
    device = PanthorDevice(kernel)
    recorder = Recorder(device)
    store = Store(device)
    done = store.syncobj()
    store.run(*store.loop(), signals=[done])
    with pytest.raises(OSError, match="Errno 62"):
        store.wait(done, timeout=1_000_000)
    store.wait(done)
    kernel.close()
    assert replay(recorder.lines, PanthorDevice).differences == []


def test_command_line(tmp_path: Path) -> None:
    path, runner = tmp_path / "t.ioctls", CliRunner()
    assert runner.invoke(panthor, ["record", "-o", str(path)]).exit_code == 0
    result = runner.invoke(panthor, ["replay", str(path), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["differences"] == []


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200), st.booleans())
def test_any_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, packed: bool
) -> None:
    path = tmp_path_factory.mktemp("recording") / "x"
    path.write_bytes(zstandard.compress(data) if packed else data)
    with pytest.raises(BadInput):
        load(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"recording": "ring3 ioctl recording 2"}',
        '{"recording": "ring3 ioctl recording 2", "start": "soon"}',
        '{"recording": "ring3 ioctl recording 2", "start": 1e400}',
        "[" * 100_000,
        '["recording"]',
    ],
)
def test_a_recording_without_its_head_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(zstandard.compress(text.encode()))
    with pytest.raises(BadInput):
        load(path)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_recordings_end_in_an_error_or_differences(data: st.DataObject) -> None:
    lines = json.loads(json.dumps(_TRIANGLE))
    line = lines[data.draw(st.integers(1, len(lines) - 1))]
    key = data.draw(st.sampled_from(sorted(line)))
    line[key] = data.draw(st.sampled_from([None, 0, -1, 1 << 70, "x", [], [[1]], {}]))
    with contextlib.suppress(BadInput):
        assert replay(lines, PanthorDevice).calls <= len(lines)


_TRIANGLE = recorded_triangle(8, 8).lines
