"""What RUN and FINISH instructions do: from registers to work for the shader cores, tiler and rasteriser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ring3.mali.compute import run_compute
from ring3.mali.draw import run_fullscreen, run_idvs
from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.fragment import run_fragment
from ring3.mali.tiler import Tiler, release

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue


def _finish_tiling(queue: Queue, fields: dict[str, int]) -> Iterator[None]:
    """The polygon list is complete: the context in d40 says which chunks it fills."""
    Tiler(queue, queue.reg64(40)).save()
    yield


def _finish_fragment(queue: Queue, fields: dict[str, int]) -> Iterator[None]:
    """The frame is done: its chunks are free, and the heap may count it."""
    release(queue, queue.reg64(fields["first_heap_chunk"]), queue.reg64(fields["last_heap_chunk"]))
    if fields["increment_fragment_completed"] and queue.heap is not None:
        queue.heap.frag_completed += 1
    yield


JOBS: dict[str, Callable[[Queue, dict[str, int]], Iterator[None]]] = {
    "RUN_COMPUTE": run_compute,
    "RUN_COMPUTE_INDIRECT": run_compute,
    "RUN_IDVS": run_idvs,
    "RUN_FULLSCREEN": run_fullscreen,
    "RUN_FRAGMENT": run_fragment,
    "FINISH_TILING": _finish_tiling,
    "FINISH_FRAGMENT": _finish_fragment,
}


def run_job(queue: Queue, name: str, fields: dict[str, int]) -> Iterator[None]:
    """Execute instruction ``name`` for ``queue``, a slice at a time; GpuFault when it fails."""
    job = JOBS.get(name)
    if job is None:
        raise GpuFault(ExceptionCode.CS_INVALID_INSTRUCTION, queue.pc, f"{name} is not there yet")
    yield from job(queue, fields)
