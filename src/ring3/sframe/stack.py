"""The stacks of a live process or a core dump: its modules put together, every thread unwound.

``ring3 stack PID`` is to take no more than three times what eu-stack takes, start to end, and Python's
start is most of that.  So the modules on its way (this one, abi, elf_head, facts, maps, process, symbols,
unwind) do without what takes a millisecond or more to import: click, dataclasses, enum, pathlib, re, typing,
NumPy.  ``benchmarks/sframe_stack.py`` measures; a test looks at what is imported.
"""

from __future__ import annotations

import os
from bisect import bisect_right

from ring3.sframe import abi as abis
from ring3.sframe import elf_head, facts, maps
from ring3.sframe.process import ProcessMemory, Stopped, Thread
from ring3.sframe.symbols import NO_SYMBOLS, read_perf_map
from ring3.sframe.unwind import How, Module, Stop, Trace, unwind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from ring3.sframe.maps import Mapping
    from ring3.sframe.symbols import Symbols

_MOST_VDSO = 1 << 20


class ThreadStack:
    """A thread and its trace."""

    def __init__(self, thread: Thread, trace: Trace) -> None:
        self.thread = thread
        self.trace = trace

    def text(self) -> str:
        """Lines for people: the thread, its frames, and whether the trace is complete or why it stopped."""
        lines = [f"thread {self.thread.tid} {_printable(self.thread.name)}"]
        for number, frame in enumerate(self.trace.frames):
            name, inside = frame.function
            file = os.path.basename(frame.module.name) if frame.module else ""
            shown = f"{_printable(name)}+{inside:#x}" if name else "?"
            place = f"{_printable(file) or '?'}, {How.TEXT[frame.how]}"
            lines.append(f"  #{number:<3} {frame.pc:#018x}  {shown}  ({place})")
        verdict = "complete" if self.trace.complete else "stopped"
        lines.append(f"  {verdict}: {self.why}")
        return "\n".join(lines)

    @property
    def why(self) -> str:
        """Why the trace ends, in words; with what is wrong with the file, where that is the reason."""
        module = self.trace.frames[-1].module
        if self.trace.stop is Stop.NO_RULE and module and module.problem:
            return f"{self.trace.stop.text} ({_printable(module.name)}: {module.problem})"
        return self.trace.stop.text


def _printable(name: str) -> str:
    """``name`` with what a terminal would obey written out: a process chooses its own names."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def pid_of(text: str) -> int | None:
    """The process whose number ``text`` is; None where it is the name of a core dump."""
    return int(text) if text.isdecimal() and len(text) <= 10 else None


def of_process(pid: int) -> list[ThreadStack]:
    """The stacks of all threads of a running process, which is stopped meanwhile.

    Raises MissingPart when there is no such process or the kernel forbids it.
    """
    abi = abis.host()
    with Stopped(pid) as threads:
        memory = ProcessMemory(pid)
        modules = ProcessModules(pid, memory)
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


class ProcessModules:
    """What is executable in a process now; a file's tables and symbols are read when a stack leads to it."""

    def __init__(self, pid: int, memory: ProcessMemory) -> None:
        self._pid = pid
        self._memory = memory
        self._mappings = [mapping for mapping in maps.of_process(pid) if mapping.executable]
        self._starts = [mapping.start for mapping in self._mappings]
        self._modules: dict[int, Module] = {}
        self._jitted: Symbols | None = None

    def find(self, pc: int) -> Module | None:
        """The module that holds ``pc``."""
        index = bisect_right(self._starts, pc) - 1
        if index < 0 or pc >= self._mappings[index].end:
            return None
        if index not in self._modules:
            self._modules[index] = self._module(self._mappings[index])
        return self._modules[index]

    def _module(self, mapping: Mapping) -> Module:
        known = facts.NOTHING
        head = None
        if mapping.path == "[vdso]":
            data = self._memory.read(mapping.start, min(mapping.end - mapping.start, _MOST_VDSO))
            head = elf_head.read_bytes(data)
            known = facts.of_bytes("[vdso]", data)
        elif mapping.file and (fd := maps.open_mapped(self._pid, mapping)) is not None:
            try:
                head = elf_head.read_fd(fd)
                known = facts.of_file(f"/proc/self/fd/{fd}", head) if head else facts.NOTHING
            finally:
                os.close(fd)
        bias = head.bias(mapping.start, mapping.offset) if head else None
        if bias is None:
            symbols = NO_SYMBOLS if mapping.file else self._jit_symbols()
            problem = "it cannot be read" if mapping.file and head is None else ""
            span = mapping.start, mapping.end
            return Module(*span, 0, mapping.path, symbols=symbols, problem=problem)
        return Module(mapping.start, mapping.end, bias, mapping.path, known.rules(), known.symbols)

    def _jit_symbols(self) -> Symbols:
        if self._jitted is None:
            self._jitted = read_perf_map(maps.perf_map(self._pid))
        return self._jitted
