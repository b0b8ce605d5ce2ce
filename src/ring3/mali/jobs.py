"""What RUN and FINISH instructions do: from registers to work for the shader cores, tiler and rasteriser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ring3.mali.events import ExceptionCode, GpuFault

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue


def run_job(queue: Queue, name: str, fields: dict[str, int]) -> Iterator[None]:
    """Execute instruction ``name`` for ``queue``, a slice at a time; GpuFault when it fails."""
    raise GpuFault(ExceptionCode.CS_INVALID_INSTRUCTION, queue.pc, f"{name} is not there yet")
    yield
