"""RUN_COMPUTE: workgroups of threads, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ring3.mali.descriptors import LocalStorage, ShaderProgram
from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.shader.run import Execution, Program
from ring3.mali.shader.threads import WARP, Threads

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue

#: Threads that execute together.  Enough to hide the cost of the interpreter, few enough for the cache.
CHUNK = 65536

# Registers of the staging area (v10): each select picks the nth pair.
SRT, FAU, SPD, TSD = 0, 8, 16, 24


def environment(queue: Queue, threads: Threads, srt: int, fau: int) -> None:
    """Uniforms and resource tables from command-stream registers ``srt`` and ``fau``."""
    threads.resources = queue.reg64(srt)
    uniforms = queue.reg64(fau)
    words = min((uniforms >> 56) * 2, len(threads.uniforms))
    if words:
        data = queue.space.read(uniforms & (1 << 48) - 1, 4 * words)
        threads.uniforms[:words] = np.frombuffer(data, dtype="<u4")


def shader(queue: Queue, register: int) -> tuple[ShaderProgram, Program]:
    """The shader program descriptor in a register, and its code."""
    address = queue.reg64(register)
    described = ShaderProgram.read(queue.space, address)
    if described.type != 8:
        raise GpuFault(
            ExceptionCode.DATA_INVALID_FAULT,
            address,
            f"no shader program descriptor at {address:#x} (type {described.type})",
        )
    return described, queue.gpu.program(queue.space, described.binary)


def run_compute(queue: Queue, fields: dict[str, int]) -> Iterator[None]:
    """Execute all workgroups, in chunks; yields between slices."""
    regs = queue.registers
    srt, fau = SRT + 2 * fields["srt_select"], FAU + 2 * fields["fau_select"]
    spd, tsd = SPD + 2 * fields["spd_select"], TSD + 2 * fields["tsd_select"]
    size = [(regs[33] >> shift & 1023) + 1 for shift in (0, 10, 20)]
    offset, count = regs[34:37], regs[37:40]
    total = count[0] * count[1] * count[2]
    described, program = shader(queue, spd)
    storage = LocalStorage.read(queue.space, queue.reg64(tsd)) if queue.reg64(tsd) else None
    one = size[0] * size[1] * size[2]
    if one > queue.gpu.config.thread_max_workgroup_size:
        raise GpuFault(ExceptionCode.DATA_INVALID_FAULT, 0, f"a workgroup of {one} threads")
    padded = -(-one // WARP) * WARP  # a warp never spans workgroups
    at_once = max(1, CHUNK // padded)
    local = np.arange(padded)
    for first in range(0, total, at_once):
        groups = np.arange(first, min(first + at_once, total))
        flush = described.flush_to_zero
        lanes = len(groups) * padded
        threads = Threads(lanes, queue.space, flush=flush, files=queue.gpu.files)
        environment(queue, threads, srt, fau)
        if storage is not None:
            threads.thread_bytes, threads.group_bytes = storage.thread_bytes, storage.group_bytes
        threads.group_of = np.repeat(groups - first, padded)
        _preload(threads, groups, local, (size, offset, count), described.preload)
        execution = Execution(program, threads)
        if padded != one:
            real = np.flatnonzero(np.tile(local < one, len(groups)))
            execution.groups[0].sel = real
        queue.running = execution
        yield from execution.run(queue.gpu.slice)
        threads.finish()


def _preload(
    threads: Threads,
    groups: np.ndarray[tuple[int], np.dtype[np.int64]],
    local: np.ndarray[tuple[int], np.dtype[np.int64]],
    shape: tuple[list[int], list[int], list[int]],
    wanted: int,
) -> None:
    """r55 local x and y, r56 local z, r57-59 workgroup, r60-62 global invocation: those that the program
    wants (bit n: r48 + n)."""
    size, offset, count = shape
    ids = (local % size[0], local // size[0] % size[1], local // (size[0] * size[1]))
    places = (groups % count[0], groups // count[0] % count[1], groups // (count[0] * count[1]))

    def fill(register: int, values: Callable[[], NDArray[np.int64]]) -> None:
        if wanted >> register - 48 & 1:
            threads.registers[register].reshape(len(groups), len(local))[:] = values()

    fill(55, lambda: ids[0] | ids[1] << 16)
    fill(56, lambda: ids[2])
    for axis in range(3):
        number = (places[axis] + offset[axis])[:, None]
        fill(57 + axis, lambda number=number: number)  # type: ignore[misc]
        fill(60 + axis, lambda number=number, axis=axis: number * size[axis] + ids[axis])  # type: ignore[misc]
