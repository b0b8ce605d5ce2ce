"""The triangle through the whole stack: against arithmetic, in both worlds, between two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ring3.cli.panthor import panthor
from ring3.dma_buf import uapi as dma_buf
from ring3.errors import BadInput
from ring3.kernel import Kernel
from ring3.mali.isa.disasm import listing
from ring3.panthor.device import PanthorDevice
from ring3.panthor.implicit import install
from ring3.umd import shaders
from ring3.umd.client import Client
from ring3.umd.context import COMPUTE, Commands, Context
from ring3.umd.draw import draw, triangle
from ring3.umd.old_world import READ, WRITE, OldWorld
from ring3.umd.triangle import BACKGROUND, TRIANGLE, Scene, picture

SIZES = [(64, 64), (100, 40), (333, 217)]


def barycentric(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, colours) of the scene by exact edge functions at pixel centres, in float64."""
    corners = np.array([[(v[0] + 1) * width / 2, (v[1] + 1) * height / 2] for v in TRIANGLE])
    # Hardware snaps vertices to 1/256 of a pixel before it decides what is covered.
    corners = np.round(corners * 256) / 256
    colors = np.array([v[4:] for v in TRIANGLE])
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    (ax, ay), (bx, by), (cx, cy) = corners
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    weights = np.stack(
        [
            ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area,
            ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area,
            ((ax - x) * (by - y) - (ay - y) * (bx - x)) / area,
        ]
    )
    return weights, np.tensordot(weights.T, colors, axes=1).transpose(1, 0, 2)


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_arithmetic(size: tuple[int, int]) -> None:
    drawing = triangle(*size)
    weights, colors = barycentric(*size)
    inside = (weights > 1e-9).all(axis=0)
    outside = (weights < -1e-9).any(axis=0)
    assert (drawing.image[outside] == BACKGROUND).all()
    error = np.abs(drawing.image[inside].astype(float) - colors[inside] * 255)
    assert error.max() <= 1, "each channel is the interpolated colour, rounded"
    # What is neither lies on an edge exactly: either answer is a rule's, not arithmetic's.
    assert (~inside & ~outside).sum() <= 2 * max(size)
    assert drawing.violations == []


@pytest.mark.parametrize("size", SIZES)
def test_old_and_new_world_draw_the_same_bytes(size: tuple[int, int]) -> None:
    new, old = triangle(*size), triangle(*size, world="old")
    assert new.image.tobytes() == old.image.tobytes()
    assert old.violations == []
    # The order of the two jobs came from a syncobj in the one, from a buffer in the other.
    assert new.trace.jobs[1].depends_on == old.trace.jobs[1].depends_on == [0]


def test_shaders_disassemble_to_what_they_say() -> None:
    text = "\n".join(
        "\n".join(listing(code()))
        for code in (shaders.position_shader, shaders.varying_shader, shaders.fragment_shader)
    )
    for expected in (
        "SHADDX.u64 r0, u0, ^r60.w0, shift:0x5",
        "LOAD.i128.unsigned.slot0 @r4:r5:r6:r7, ^r0, offset:16",
        "FMA.f32.wait0 r8, ^r4, u2, u3",
        "STORE.i128.istream.slot0.end @r8:r9:r10:r11, ^r0, offset:0",
        "STORE.i128.estream.slot0.end @r4:r5:r6:r7, ^r0, offset:0",
        "BLEND.slot0.v4.f32.end @r0:r1:r2:r3, blend_descriptor_0.w0, r60, target:0x0",
    ):
        assert expected in text


def copy_word(source: int, target: int) -> Commands:
    """A stream that copies 16 bytes."""
    out = Commands().set64(10, source).set64(12, target)
    out.emit("LOAD_MULTIPLE", base=20, address=10, mask=0xF)
    out.emit("WAIT", wait_mask=1)
    return out.emit("STORE_MULTIPLE", base=20, address=12, mask=0xF)


@pytest.fixture
def device() -> Any:
    kernel = Kernel()
    made = PanthorDevice(kernel)
    install(made)
    yield made
    kernel.close()


def dma_buf_ioctl(client: Client, fd: int, which: str, flags: int, sync_file: int = -1) -> int:
    if which == "import":
        args = dma_buf.DmaBufImportSyncFile(flags=flags, fd=sync_file)
        return client.ioctl(dma_buf.DMA_BUF_IOCTL_IMPORT_SYNC_FILE, args, fd).fd
    exported = dma_buf.DmaBufExportSyncFile(flags=flags)
    return client.ioctl(dma_buf.DMA_BUF_IOCTL_EXPORT_SYNC_FILE, exported, fd).fd


def test_a_new_producer_and_an_old_consumer(device: PanthorDevice) -> None:
    """The producer's fence goes into the buffer with IMPORT_SYNC_FILE; the consumer need not know."""
    scene = Scene(64, 64)
    producer, consumer = Context(device, "producer"), OldWorld(device, "consumer")
    target = producer.buffer(scene.target_size, shared=True)
    fd = producer.export_buffer(target.handle)
    theirs = consumer.receive(producer.process.file(fd))
    shared = consumer.imported(theirs)
    copy, streams = consumer.buffer(4096), consumer.buffer(4096)
    middle = (40 * 64 + 32) * 4

    def both() -> None:
        # All is submitted before anything runs, so that order can only come from fences.
        begun, done = producer.syncobj(), producer.syncobj()
        producer.submit_streams([(COMPUTE, copy_word(target.va, target.va + 64))], signal=begun)
        draw(producer, scene, target, signal=done, waits=(begun,))
        sync_file = producer.export_sync_file(done)
        dma_buf_ioctl(producer, fd, "import", dma_buf.DMA_BUF_SYNC_WRITE, sync_file)
        uses = [(shared, READ), (copy, WRITE)]
        consumer.run(COMPUTE, streams, 0, copy_word(shared.va + middle, copy.va), uses)
        consumer.wait_bo(copy)

    device.kernel.call(both)
    image = picture(scene, target.memory.read(0, target.size))
    assert copy.memory.read(0, 16) == image.tobytes()[middle : middle + 16]
    assert copy.memory.read(0, 3) != bytes(BACKGROUND[:3]), (
        "it read the triangle, not what was before"
    )


def test_an_old_producer_and_a_new_consumer(device: PanthorDevice) -> None:
    """EXPORT_SYNC_FILE turns what the kernel knows of the buffer into something to wait for."""
    scene = Scene(64, 64)
    producer, consumer = OldWorld(device, "producer"), Context(device, "consumer")
    target = producer.buffer(scene.target_size)
    fd = producer.export_buffer(target.handle)
    theirs = consumer.receive(producer.process.file(fd))
    shared = consumer.bind(consumer.import_buffer(theirs), scene.target_size)
    copy = consumer.buffer(4096)
    middle = (40 * 64 + 32) * 4

    def both() -> None:
        producer.draw(scene, target)
        sync_file = dma_buf_ioctl(consumer, theirs, "export", dma_buf.DMA_BUF_SYNC_READ)
        ready, done = consumer.syncobj(), consumer.syncobj()
        consumer.import_sync_file(ready, sync_file)
        copying = copy_word(shared.va + middle, copy.va)
        consumer.submit_streams([(COMPUTE, copying)], waits=[ready], signal=done)
        consumer.wait(done)

    device.kernel.call(both)
    image = picture(scene, target.memory.read(0, scene.target_size))
    assert copy.memory.read(0, 16) == image.tobytes()[middle : middle + 16]
    assert copy.memory.read(0, 3) != bytes(BACKGROUND[:3])


def test_without_reconciliation_the_consumer_reads_too_early(device: PanthorDevice) -> None:
    """What the two tests above guard against: the same, without the sync file, goes wrong."""
    scene = Scene(64, 64)
    producer, consumer = OldWorld(device, "producer"), Context(device, "consumer")
    target = producer.buffer(scene.target_size)
    theirs = consumer.receive(producer.process.file(producer.export_buffer(target.handle)))
    shared = consumer.bind(consumer.import_buffer(theirs), scene.target_size)
    copy = consumer.buffer(4096)
    middle = (40 * 64 + 32) * 4

    def both() -> None:
        producer.draw(scene, target)
        done = consumer.syncobj()
        consumer.submit_streams([(COMPUTE, copy_word(shared.va + middle, copy.va))], signal=done)
        consumer.wait(done)

    device.kernel.call(both)
    assert copy.memory.read(0, 16) == bytes(16)


def test_command_line(tmp_path: Path) -> None:
    out, trace = tmp_path / "t.png", tmp_path / "t.perfetto-trace"
    result = CliRunner().invoke(
        panthor, ["triangle", "-o", str(out), "--size", "64x48", "--timeline", str(trace)]
    )
    assert result.exit_code == 0, result.output
    with Image.open(out) as image:
        assert image.size == (64, 48)
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

    parsed = pb.Trace.FromString(trace.read_bytes())
    slices = [p.track_event.name for p in parsed.packet if p.track_event.type == 1]
    assert slices == ["job 1", "job 1"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("mmu_fault", "error -22"),
        ("hang", "error -110"),
        ("tiler_oom", "the driver has no chunk"),
        ("bind", "panthor-vm-bind job 1: error -22"),
        ("firmware", "reset: the firmware did not answer"),
    ],
)
def test_every_fault_is_reached_from_the_command_line(
    fault: str, told: str, tmp_path: Path
) -> None:
    command = ["triangle", "-o", str(tmp_path / "t.png"), "--size", "16x16", "--inject", fault]
    failed = CliRunner().invoke(panthor, command)
    assert failed.exit_code == 1
    assert told in failed.output
    assert " error -" in failed.output, "a job failed"


def test_a_fault_that_does_not_happen_is_said(tmp_path: Path) -> None:
    out = str(tmp_path / "t.png")
    result = CliRunner().invoke(
        panthor, ["triangle", "-o", out, "--size", "16x16", "--world", "old", "--inject", "bind"]
    )
    assert result.exit_code == 1
    assert "bind did not happen" in result.output


@pytest.mark.parametrize("size", ["640", "0x4", "4x4097", "4x-4", "4 x4", "9" * 5000 + "x4"])
def test_sizes_that_are_none(tmp_path: Path, size: str) -> None:
    done = CliRunner().invoke(panthor, ["triangle", "-o", str(tmp_path / "t.png"), "--size", size])
    assert isinstance(done.exception, BadInput)
    assert done.exception.remedy
