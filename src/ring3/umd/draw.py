"""Drawing the triangle in the new world, and what happened on the way."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ring3.drm.contract import FenceContract, Violation
from ring3.drm.record import Recorder, Replayed, load, replay
from ring3.drm.trace import JobTrace
from ring3.errors import BadInput, one_of
from ring3.files import write_atomically
from ring3.kernel import Kernel
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.panthor.implicit import install
from ring3.panthor.inject import FAULTS
from ring3.umd.context import FRAGMENT, VERTEX, Buffer, Context
from ring3.umd.old_world import OldWorld
from ring3.umd.triangle import Heap, Image, Scene, picture

CHUNK = 2 << 20


@dataclass
class Drawing:
    """The picture, what each job did, and what the contract checker found."""

    image: Image
    trace: JobTrace
    violations: list[Violation]
    log: list[str]
    steps: int  # command-stream slices that the GPU executed
    fault_happened: bool = False  # the one that was ordered


def make_heap(context: Context) -> Heap:
    """A tiler heap of the context's VM."""
    args = uapi.TilerHeapCreate(
        vm_id=context.vm,
        initial_chunk_count=5,
        chunk_size=CHUNK,
        max_chunks=64,
        target_in_flight=65535,
    )
    made = context.ioctl(uapi.TILER_HEAP_CREATE, args)
    return Heap(made.tiler_heap_ctx_gpu_va, made.first_heap_chunk_gpu_va, CHUNK)


def draw(
    context: Context,
    scene: Scene,
    target: Buffer,
    *,
    signal: int,
    waits: tuple[int, ...] = (),
    bound: int | None = None,
    starved: bool = False,
) -> None:
    """Submit the scene into ``target``: the vertex queue's job, then the fragment queue's.

    With ``bound``, a syncobj, the scene's own buffer is bound asynchronously.  A ``starved`` tiler is given
    no chunk to begin with; a frame as small as this would not ask for another.
    """
    block = context.buffer(scene.SIZE, flags=0, signal=bound)
    if bound is not None:
        waits = (*waits, bound)
    heap = make_heap(context)
    if starved:
        heap = replace(heap, first_chunk=0)
    streams = scene.build(block.va, block.write, target.va, heap)
    jobs = list(zip((VERTEX, FRAGMENT), streams, strict=True))
    context.submit_streams(jobs, waits=waits, signal=signal)


Prepare = Callable[[PanthorDevice], None]


def _as_it_is(device: PanthorDevice) -> None:
    """A device to which nothing is done."""


def triangle(
    width: int = 256,
    height: int = 256,
    *,
    world: str = "new",
    fault: str | None = None,
    prepare: Prepare = _as_it_is,
) -> Drawing:
    """Draw the triangle on a fresh kernel and GPU, in the "new" or the "old" world.

    ``fault`` (see panthor.inject) goes wrong on the way; ``prepare`` sees the device before it is used.
    """
    if fault is not None and fault not in FAULTS:
        raise BadInput(f"no fault {fault!r}", remedy=one_of(fault, FAULTS))
    kernel = Kernel()
    contract, trace = FenceContract(kernel), JobTrace(kernel)
    device = PanthorDevice(kernel)
    device.allocation_watchers.append(contract)
    prepare(device)
    scene = Scene(width, height)
    if fault:
        device.injection.arm(fault)
    data = _new(device, scene, fault) if world == "new" else _old(device, scene)
    image = picture(scene, data).copy()
    steps = device.hardware.steps
    log = [line for _, line in kernel.log]
    kernel.close()
    happened = fault in device.injection.taken
    return Drawing(image, trace, contract.finish(), log, steps, happened)


def _new(device: PanthorDevice, scene: Scene, fault: str | None = None) -> bytes:
    context = Context(device)
    done = context.syncobj()
    bound = context.syncobj() if fault == "bind" else None  # only an asynchronous bind fails late
    target = context.buffer(scene.target_size, shared=True)
    draw(context, scene, target, signal=done, bound=bound, starved=fault == "tiler_oom")
    context.wait(done)
    return target.memory.read(0, target.size)


def _old(device: PanthorDevice, scene: Scene) -> bytes:
    install(device)
    client = OldWorld(device)
    target = client.buffer(scene.target_size)
    client.draw(scene, target)
    client.wait_bo(target)
    return target.memory.read(0, scene.target_size)


def parse_size(text: str) -> tuple[int, int]:
    """``640x480``; BadInput for anything else, or more than 4096 either way."""
    found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text)
    if found is None or not all(0 < int(side) <= 4096 for side in found.groups()):
        raise BadInput(
            f"{text!r} is no size from 1x1 to 4096x4096",
            remedy="give WIDTHxHEIGHT, as in 640x480",
        )
    return int(found[1]), int(found[2])


def write_png(path: Path, image: Image) -> None:
    """Write (height, width, 4) RGBA as PNG, atomically."""
    from PIL import Image as Pillow

    out = io.BytesIO()
    Pillow.fromarray(image).save(out, "PNG")
    write_atomically(path, out.getvalue())


def recorded_triangle(width: int = 64, height: int = 64) -> Recorder:
    """Draw the triangle in the new world and record every call."""
    kernel = Kernel()
    device = PanthorDevice(kernel)
    recorder = Recorder(device)
    _new(device, Scene(width, height))
    kernel.close()
    return recorder


def replay_recording(
    path: Path, prepare: Prepare = _as_it_is
) -> tuple[Replayed, JobTrace, list[Violation]]:
    """Replay on a fresh kernel and GPU; the outcome, its jobs, and what broke the fence contract."""
    kernel = Kernel()
    contract, trace = FenceContract(kernel), JobTrace(kernel)

    def make(on: Kernel) -> PanthorDevice:
        device = PanthorDevice(on)
        install(device)
        device.allocation_watchers.append(contract)
        prepare(device)
        return device

    outcome = replay(load(path), make, kernel)
    kernel.close()
    return outcome, trace, contract.finish()
