"""What RUN and FINISH instructions do: from registers to work for the shader cores, tiler and rasteriser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ring3.mali.compute import run_compute
from ring3.mali.events import ExceptionCode, GpuFault

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue

JOBS: dict[str, Callable[[Queue, dict[str, int]], Iterator[None]]] = {
    "RUN_COMPUTE": run_compute,
    "RUN_COMPUTE_INDIRECT": run_compute,
}


def run_job(queue: Queue, name: str, fields: dict[str, int]) -> Iterator[None]:
    """Execute instruction ``name`` for ``queue``, a slice at a time; GpuFault when it fails."""
    job = JOBS.get(name)
    if job is None:
        raise GpuFault(ExceptionCode.CS_INVALID_INSTRUCTION, queue.pc, f"{name} is not there yet")
    yield from job(queue, fields)
