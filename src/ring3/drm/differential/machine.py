"""Executes programs here: what ``executor.c`` does on a real kernel, on a simulated one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from errno import EACCES, EAGAIN, EBADF, EBUSY, EINTR, EINVAL, ESRCH

from ring3.dma_buf.file import EPOLLIN, EventFd, File, LocalMemory, Process, refuse
from ring3.dma_buf.sw_sync import SwSync
from ring3.drm.differential.mock import MockDevice
from ring3.drm.differential.program import SLOTS, Program
from ring3.drm.differential.wire import Call, Code, Output, Word, compile_program
from ring3.drm.file import DrmFile
from ring3.kernel import ERESTARTSYS, Kernel, State, Task

EPOLLNVAL = 0x20
_PAGE = 4096
_SEEK_MAX = 4
_JOIN_NS = 30_000_000  # how long JOIN waits before it sends a signal


class ProgramProcess(Process):
    """A process whose descriptors start at 0, as a real one's."""

    def install(self, file: File, *, cloexec: bool = True) -> int:
        fd = next(n for n in itertools.count() if n not in self.files)
        self.files[fd] = file
        return fd

    def fork(self) -> ProgramProcess:
        child = type(self)(self.comm, pid=self.pid + 1, memory=self.memory)
        child.files = {fd: file.get() for fd, file in self.files.items()}
        return child


class _Nothing(File):
    """What poll(2) makes of a negative descriptor."""

    def poll(self) -> int:
        return 0


@dataclass
class _Running:
    """A call on its way."""

    call: Call
    blocks: list[int]
    result: int = 0
    error: int = 0
    done: bool = False
    task: Task | None = None


class Machine:
    """A kernel with the mock device, and the one or two processes of a program, of class ``process``."""

    def __init__(self, process: type[ProgramProcess] = ProgramProcess) -> None:
        self.kernel = Kernel()
        self.device = MockDevice(self.kernel)
        self.memory = LocalMemory()
        self.processes = [process("program", memory=self.memory)]
        self.slots = [-1] * SLOTS
        self.threads: dict[tuple[int, int], _Running] = {}
        self.lines: list[str] = []

    def run(self, calls: list[Call]) -> list[str]:
        """Execute; an answer for each call."""
        self.kernel.call(self._run, calls)
        return self.lines

    def close(self) -> None:
        """End the processes and the kernel."""
        self.kernel.call(self._exit)
        self.kernel.close()

    def _run(self, calls: list[Call]) -> None:
        self.kernel.sleep(100_000_000_000)  # a machine that has been up for a while
        process = self.processes[0]
        for _ in range(3):
            process.install(EventFd())
        self.slots[0] = process.install(DrmFile(self.device, process))
        for call in calls:
            self._step(call)
            self.device.settle()

    def _exit(self) -> None:
        for running in self.threads.values():
            if running.task is not None and not running.done:
                self.kernel.signal(running.task)
                self.kernel.join(running.task)
        for process in reversed(self.processes):
            process.exit()
        self.device.settle()

    def _step(self, call: Call) -> None:
        if call.process >= len(self.processes):
            self.lines.append(str(ESRCH))
        elif call.code is Code.FORK:
            self._fork()
        elif call.code is Code.JOIN:
            self._join(call)
        elif call.thread:
            self._begin(call)
        else:
            running = self._prepare(call)
            self._perform(running)
            self._finish(running)

    def _fork(self) -> None:
        if len(self.processes) > 1:
            self.lines.append(str(EBUSY))
        else:
            self.processes.append(self.processes[0].fork())
            self.lines.append("0")

    def _begin(self, call: Call) -> None:
        key = call.process, call.thread
        if key in self.threads:
            self.lines.append(str(EBUSY))
            return
        running = self.threads[key] = self._prepare(call)
        running.task = self.kernel.spawn(self._perform, running)
        self.lines.append("0")

    def _join(self, call: Call) -> None:
        running = self.threads.pop((call.process, call.args[0].number), None)
        if running is None or running.task is None:
            self.lines.append(str(ESRCH))
            return
        end = self.kernel.now() + _JOIN_NS
        while not running.done and self.kernel.now() < end:
            self.kernel.sleep(500_000)
        if not running.done:
            self.kernel.signal(running.task)
        self.kernel.join(running.task)
        self._finish(running)

    # -- a call -----------------------------------------------------------------------------------

    def _prepare(self, call: Call) -> _Running:
        blocks: list[int] = []
        running = _Running(call, blocks)
        for block in call.blocks:
            blocks.append(self.memory.put(bytes(block.size)))
        for number, block in enumerate(call.blocks):
            for patch in block.patches:
                if patch.offset + patch.width <= block.size:
                    value = self._value(running, patch.word) & (1 << 64) - 1
                    data = value.to_bytes(8, "little")[: patch.width]
                    self.memory.copy_to_user(blocks[number] + patch.offset, data)
        return running

    def _value(self, running: _Running, word: Word) -> int:
        if word.tag == "s":
            return self.slots[word.number]
        if word.tag == "n":
            return self.kernel.now() + word.number
        return running.blocks[word.number] if word.tag == "b" else word.number

    def _perform(self, running: _Running) -> None:
        call = running.call
        args = [self._value(running, word) for word in call.args]
        try:
            process = self.processes[call.process]
            running.result = _CALLS[call.code](self, process, *args)
        except OSError as error:
            running.error = error.errno or EINVAL
            if running.error == ERESTARTSYS:
                running.error = EINTR
        running.done = True

    def _finish(self, running: _Running) -> None:
        call = running.call
        words = [str(running.error)]
        if not running.error and (call.code is not Code.IOCTL or running.result):
            words += ["ret"] * (call.code is Code.IOCTL) + [str(running.result)]
        values = [self._tell(running, output) for output in call.outputs]
        self.lines.append(" ".join([*words, *filter(None, values)]))
        if call.store >= 0 and not running.error:
            value = running.result
            if call.source >= 0:
                value = self._made(running, call.outputs[call.source])
            self.slots[call.store] = value
        for address in running.blocks:
            self.memory.free(address)

    def _made(self, running: _Running, output: Output) -> int:
        """What an ioctl made; -1 when its structure was too short to tell."""
        if output.offset + 4 > running.call.blocks[output.block].size:
            return -1
        word = self._bytes(running, output)[:4]
        return int.from_bytes(word, "little", signed=True)

    def _bytes(self, running: _Running, output: Output) -> bytes:
        at = running.blocks[output.block] + output.offset
        return self.memory.copy_from_user(at, output.width)

    def _tell(self, running: _Running, output: Output) -> str:
        if output.offset + output.width > running.call.blocks[output.block].size:
            return ""
        data = self._bytes(running, output)
        if output.kind in "s#":
            text = data.split(b"\0")[0]
            shown = "".join(chr(c) if 0x20 < c <= 0x7E and c != 0x22 else "?" for c in text)
            return f'"{re.sub(r"[0-9]+", "#", shown) if output.kind == "#" else shown}"'
        number = int.from_bytes(data, "little", signed=output.kind == "i")
        return str(int(number != 0)) if output.kind == "t" else str(number)

    # -- what calls do ----------------------------------------------------------------------------

    def ioctl(self, process: Process, fd: int, cmd: int, arg: int, _: int) -> int:
        file = process.file(fd).get()
        try:
            return file.ioctl(process, cmd & 0xFFFF_FFFF, arg & (1 << 64) - 1)
        finally:
            file.put()

    def open(self, process: Process, node: int, *_: int) -> int:
        if node:
            return process.install(SwSync(self.device.fences, process.comm))
        return process.install(DrmFile(self.device, process))

    def close_fd(self, process: Process, fd: int, *_: int) -> int:
        process.close(fd)
        return 0

    def dup(self, process: Process, fd: int, *_: int) -> int:
        return process.dup(fd)

    def poll(self, process: Process, fd: int, events: int, timeout: int, _: int) -> int:
        kernel = self.kernel
        task = kernel.current
        end = kernel.now() + timeout * 1_000_000
        waited_for: list[File] = []  # poll holds what it has begun to wait for
        try:
            while True:
                # The descriptor is looked up each time: what it was may be closed meanwhile.
                file = _Nothing() if fd < 0 else process.lookup(fd)
                if file is None:
                    return EPOLLNVAL
                ready = file.poll() & events
                if ready or kernel.now() >= end:
                    return ready
                if task.signal_pending:
                    raise refuse(EINTR, "a signal interrupted poll")
                waited_for.append(file.get())
                file.on_ready(events, lambda: kernel.wake(task))
                if not file.poll() & events:
                    kernel.block(file, State.INTERRUPTIBLE, end - kernel.now())
        finally:
            for file in waited_for:
                file.put()

    def read(self, process: Process, fd: int, *_: int) -> int:
        file = process.lookup(fd)
        if file is None or not file.poll() & EPOLLIN:
            return -2  # might sleep
        if not isinstance(file, EventFd):
            raise refuse(EINVAL, f"{file.kind} cannot be read")
        if not file.count:
            raise refuse(EAGAIN, "nothing to read")
        count, file.count = file.count, 0
        return count

    def lseek(self, process: Process, fd: int, offset: int, whence: int, _: int) -> int:
        file = process.file(fd)
        if whence > _SEEK_MAX:
            raise refuse(EINVAL, f"lseek: no whence {whence}")
        return file.llseek(offset, whence)

    def mmap(self, process: Process, fd: int, length: int, offset: int, poke: int) -> int:
        if offset % _PAGE:
            raise refuse(EINVAL, "an offset is whole pages")
        file = process.file(fd)
        if not length:
            raise refuse(EINVAL, "a mapping has a length")
        if not file.writable:
            raise refuse(EACCES, f"the {file.kind} is open for reading only")
        memory = file.mmap(offset, -(-length // _PAGE) * _PAGE)
        # 7.2's drm_gem_shmem_fault counts pages from where the mapping starts, not from where the buffer
        # does: whatever the offset, the first page of the buffer comes first.  (Behind the gateway it is
        # the page that was asked for.)
        seen = memory.read(0, 1)[0]
        memory.write(0, bytes([poke]))
        return seen

    def eventfd(self, process: Process, count: int, *_: int) -> int:
        return process.install(EventFd(count))

    def getfd(self, process: Process, fd: int, *_: int) -> int:
        if len(self.processes) < 2:
            raise refuse(EINVAL, "there is no other process")
        other = self.processes[process is self.processes[0]]
        file = other.lookup(fd)
        if file is None:
            raise refuse(EBADF, f"process {other.pid} has no file {fd}")
        return process.install(file.get())


_CALLS: dict[Code, Callable[..., int]] = {
    Code.IOCTL: Machine.ioctl,
    Code.OPEN: Machine.open,
    Code.CLOSE: Machine.close_fd,
    Code.DUP: Machine.dup,
    Code.POLL: Machine.poll,
    Code.READ: Machine.read,
    Code.LSEEK: Machine.lseek,
    Code.MMAP: Machine.mmap,
    Code.EVENTFD: Machine.eventfd,
    Code.GETFD: Machine.getfd,
}


def run(program: Program, process: type[ProgramProcess] = ProgramProcess) -> list[str]:
    """Execute ``program`` on a fresh kernel: for each step its errno, its result, what came back.

    Raises AssertionError when anything is left behind.
    """
    machine = Machine(process)
    lines = machine.run(compile_program(program))
    machine.close()
    device = machine.device
    assert not device.files, "open files are left"
    assert not device.objects(), "buffers are left"
    assert not device.memory_used, "memory is left"
    return lines
