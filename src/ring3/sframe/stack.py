"""The stacks of a live process or a core dump: its modules put together, every thread unwound."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ring3 import arch
from ring3.sframe import abi as abis
from ring3.sframe import elf_head, facts, maps, process
from ring3.sframe.maps import Mapping
from ring3.sframe.process import ProcessMemory, Thread
from ring3.sframe.symbolise import NO_SYMBOLS, Symbols, read_perf_map
from ring3.sframe.unwind import Module, Modules, Trace, unwind

_MOST_VDSO = 1 << 20


@dataclass(frozen=True)
class ThreadStack:
    """A thread and its trace."""

    thread: Thread
    trace: Trace


def of_process(pid: int) -> list[ThreadStack]:
    """The stacks of all threads of a running process, which is stopped meanwhile.

    Raises MissingPart when there is no such process or the kernel forbids it.
    """
    abi = abis.of(arch.host())
    with process.stopped(pid) as threads:
        memory = ProcessMemory(pid)
        modules = process_modules(pid, memory)
        return [
            ThreadStack(thread, unwind(thread.registers, memory.word, modules, abi))
            for thread in threads
        ]


def of_core(
    path: Path, executable: Path | None = None, sysroot: Path | None = None
) -> list[ThreadStack]:
    """The stacks of all threads of a core dump; the arguments and errors are :class:`Core`'s."""
    from ring3.sframe.core import Core  # a live process does without

    core = Core(path, executable, sysroot)
    modules = core.modules()
    return [
        ThreadStack(thread, unwind(thread.registers, core.word, modules, core.abi))
        for thread in core.threads()
    ]


def process_modules(pid: int, memory: ProcessMemory) -> Modules:
    """What is executable in a process now, with the tables and symbols of each file."""
    mappings = [mapping for mapping in maps.of_process(pid) if mapping.executable]
    jitted = NO_SYMBOLS
    if any(not mapping.file for mapping in mappings):
        jitted = read_perf_map(maps.perf_map(pid))
    return Modules([_module(pid, mapping, memory, jitted) for mapping in mappings])


def _module(pid: int, mapping: Mapping, memory: ProcessMemory, jitted: Symbols) -> Module:
    place = (mapping.start, mapping.end)
    if mapping.path == "[vdso]":
        size = min(mapping.end - mapping.start, _MOST_VDSO)
        data = memory.read(mapping.start, size)
        head = elf_head.read_bytes(data)
        known = facts.of_bytes("[vdso]", data)
    else:
        with _opened(pid, mapping) as (path, head):
            known = facts.of_file(path, head) if head else facts.NOTHING
    bias = head.bias(mapping.start, mapping.offset) if head else None
    if bias is None:
        return Module(*place, 0, mapping.path, symbols=jitted)
    return Module(*place, bias, mapping.path, known.rules(), known.symbols)


@contextlib.contextmanager
def _opened(pid: int, mapping: Mapping) -> Iterator[tuple[str, elf_head.Image | None]]:
    """A path that opens the mapped file, and its head; ("", None) where there is none."""
    fd = maps.open_mapped(pid, mapping) if mapping.file else None
    if fd is None:
        yield "", None
        return
    try:
        yield f"/proc/self/fd/{fd}", elf_head.read_fd(fd)
    finally:
        os.close(fd)
