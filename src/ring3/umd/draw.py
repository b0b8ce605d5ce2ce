"""Drawing the triangle in the new world, and what happened on the way."""

from __future__ import annotations

from dataclasses import dataclass

from ring3.drm.contract import FenceContract, Violation
from ring3.drm.trace import JobTrace
from ring3.kernel import Kernel
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.umd.context import FRAGMENT, VERTEX, Buffer, Context
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
    context: Context, scene: Scene, target: Buffer, *, signal: int, waits: tuple[int, ...] = ()
) -> None:
    """Submit the scene into ``target``: the vertex queue's job, then the fragment queue's."""
    block = context.buffer(scene.SIZE, flags=0)
    streams = scene.build(block.va, block.write, target.va, make_heap(context))
    jobs = list(zip((VERTEX, FRAGMENT), streams, strict=True))
    context.submit_streams(jobs, waits=waits, signal=signal)


def triangle(width: int = 256, height: int = 256, *, fault: str | None = None) -> Drawing:
    """Draw the triangle on a fresh kernel and GPU; ``fault`` (see panthor.inject) goes wrong on the way."""
    kernel = Kernel()
    contract, trace = FenceContract(kernel), JobTrace(kernel)
    device = PanthorDevice(kernel)
    device.allocation_watchers.append(contract)
    context = Context(device)
    scene = Scene(width, height)
    target = context.buffer(scene.target_size, shared=True)
    if fault:
        device.injection.arm(fault)
    done = context.syncobj()
    draw(context, scene, target, signal=done)
    context.wait(done)
    image = picture(scene, target.memory.read(0, target.size)).copy()
    steps = device.hardware.steps
    log = [line for _, line in kernel.log]
    kernel.close()
    return Drawing(image, trace, contract.finish(), log, steps)
