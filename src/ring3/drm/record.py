"""Recording what a client asks of a render node, and asking it again.

A recording is JSON lines (compressed with zstd): opens of the node, the ioctls of the node and of every file
that those make (sync files, dma-bufs, syncobj files) with everything the kernel read from and wrote to user
memory, the errno, and the pages of buffers that have changed.  Replaying needs no client: what was read
is fed back in, what is written is compared.

What changed in a buffer before a call is the client's work, and is fed.  What changed while it waited in
a call, after which the GPU is at rest, is the GPU's, and is compared; a page that the GPU of the replay
has left alone was some other thread's.  (What the GPU wrote between two calls looks like the client's work;
where the replay's GPU has written the same, it counts as compared.)

Time is part of a recording.  A replay's clock is virtual and starts where the recording did; each call begins
at the time it began then, so that the same waits end the same way every time.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ring3.dma_buf.file import EventFd, File, Process, UserMemory, next_pid, refuse
from ring3.dma_buf.sw_sync import SwSync
from ring3.drm.device import DrmDevice
from ring3.drm.file import DrmFile
from ring3.drm.gem import PAGE
from ring3.errors import BadInput
from ring3.files import read_input, write_atomically
from ring3.kernel import Kernel

_MAGIC = "ring3 ioctl recording 2"
_EFAULT = 14
# In place of a file's number: no file, one of the host's, an eventfd.
_NONE, _FOREIGN, _EVENTFD = -1, -2, -3
_SECOND = 1_000_000_000


def _pack(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Watched:
    """User memory that notes what is read and written."""

    def __init__(self, memory: UserMemory, line: dict[str, Any]) -> None:
        self._memory = memory
        self._line = line

    def copy_from_user(self, address: int, size: int) -> bytes:
        data = self._memory.copy_from_user(address, size)
        self._line["reads"].append([address, _pack(data)])
        return data

    def copy_to_user(self, address: int, data: bytes) -> None:
        try:
            self._memory.copy_to_user(address, data)
        except OSError:
            self._line["faults"].append([address, len(data)])
            raise
        self._line["writes"].append([address, _pack(data)])


class _WatchedProcess(Process):
    """The client, with its memory and its descriptors watched."""

    def __init__(self, process: Process, recorder: Recorder, line: dict[str, Any]) -> None:
        self._process = process
        self._recorder = recorder
        self._line = line
        self._comm, self._privileged = process.comm, process.privileged
        self.pid = process.pid
        self.memory = _Watched(process.memory, line)
        self.files = process.files

    def install(self, file: File, *, cloexec: bool = True) -> int:
        fd = self._process.install(file, cloexec=cloexec)
        self._line["made"].append([fd, self._recorder.number(file)])
        return fd

    def lookup(self, fd: int) -> File | None:
        file = self._process.lookup(fd)
        self._line["found"].append([fd, self._recorder.known(file)])
        return file

    def close(self, fd: int) -> None:
        self._process.close(fd)


class Recorder:
    """Records a device from now on: ``DrmDevice.recorder`` is where files look for it when opened."""

    def __init__(self, device: DrmDevice) -> None:
        self.device = device
        self.lines: list[dict[str, Any]] = [{"recording": _MAGIC, "start": device.kernel.now()}]
        self._files: dict[File, int] = {}
        self._count = 0
        self._pages: dict[tuple[int, int], bytes] = {}
        self._work: int | None = 0
        device.recorder = self

    def number(self, file: File) -> int:
        """The number of a file that is recorded from now on, if it was not before."""
        if file not in self._files:
            self._files[file] = self._count
            self._count += 1
            file.recorder = self
        return self._files[file]

    def known(self, file: File | None) -> int:
        """The number of a file that a call looks up."""
        if file is None:
            return _NONE
        return self._files.get(file, _EVENTFD if isinstance(file, EventFd) else _FOREIGN)

    def opened(self, file: DrmFile | SwSync, process: Process) -> None:
        """A render node, or a timeline of sw_sync, was opened."""
        self.number(file)
        timeline = file.name if isinstance(file, SwSync) else ""
        client = {"comm": process.comm, "privileged": process.privileged}
        self._add("open", file, timeline=timeline, **client)

    def closed(self, file: File) -> None:
        """The last descriptor of a file was closed."""
        self._add("close", file)
        del self._files[file]

    def ioctl(self, file: File, process: Process, cmd: int, arg: int) -> int:
        """Serve an ioctl and note all of it."""
        line = self._add("ioctl", file, cmd=cmd, arg=arg, pages=list(self._changed_pages()))
        line.update(reads=[], writes=[], faults=[], made=[], found=[], results=[])
        try:
            return file.serve(_WatchedProcess(process, self, line), cmd, arg)
        except OSError as error:
            line["errno"] = error.errno
            raise
        finally:
            line["end"] = self.device.kernel.now()
            work = self.device.work_done()
            if work is not None and work != self._work:
                self._work = work
                line["results"] = list(self._changed_pages())

    def _add(self, kind: str, file: File, **more: Any) -> dict[str, Any]:
        line = {"t": self.device.kernel.now(), "do": kind, "file": self._files[file], **more}
        self.lines.append(line)
        return line

    def _changed_pages(self) -> Iterator[list[Any]]:
        """[offset of the buffer, page, bytes] of what has changed where the CPU can look."""
        for offset, obj in self.device.objects():
            if not obj.resident or not getattr(obj, "cpu_mapped", True):
                continue
            view = memoryview(obj.pages().buffer)
            for page in range(obj.size // PAGE):
                data = view[page * PAGE : (page + 1) * PAGE]
                digest = _digest(data)
                if self._pages.get((offset, page), _ZERO_PAGE) != digest:
                    self._pages[offset, page] = digest
                    yield [offset, page, _pack(bytes(data))]

    def write(self, path: Path) -> None:
        """Write the recording, atomically."""
        import zstandard

        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        write_atomically(path, zstandard.compress(text.encode()))


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


_ZERO_PAGE = _digest(bytes(PAGE))


@dataclass
class Replayed:
    """What a replay did: calls made, pages of GPU results that were compared, and what differs."""

    calls: int = 0
    results: int = 0
    differences: list[str] = field(default_factory=list)


class _Fed:
    """User memory made of what was read; what is written is kept."""

    def __init__(self, line: dict[str, Any]) -> None:
        self._blocks = [(address, base64.b64decode(data)) for address, data in line["reads"]]
        self._faults: list[list[int]] = line["faults"]
        self.writes: list[list[Any]] = []

    @property
    def first(self) -> bytes:
        """What was read first: the argument of an ioctl."""
        return self._blocks[0][1] if self._blocks else b""

    def copy_from_user(self, address: int, size: int) -> bytes:
        for start, data in self._blocks:
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        raise refuse(_EFAULT, f"{size} bytes at {address:#x} were not read when this was recorded")

    def copy_to_user(self, address: int, data: bytes) -> None:
        if [address, len(data)] in self._faults:
            raise refuse(_EFAULT, f"{len(data)} bytes at {address:#x} could not be written then")
        self.writes.append([address, _pack(data)])


class _Replayer(Process):
    """The client of one call: descriptors are what they were when it was recorded."""

    def __init__(self, process: Process, memory: _Fed, line: dict[str, Any], files: _Files) -> None:
        self._comm, self._privileged = process.comm, process.privileged
        self.pid = process.pid
        self.memory = memory
        self.files = process.files
        self._process = process
        self._made: list[list[int]] = list(line["made"])
        self._found: dict[int, int] = dict(line["found"])
        self._all = files

    def install(self, file: File, *, cloexec: bool = True) -> int:
        if not self._made:
            return super().install(file, cloexec=cloexec)
        fd, number = self._made.pop(0)
        if number in self._all:
            file.put()  # another descriptor of the same file
        else:
            self._all[number] = file, self._process
        return fd

    def lookup(self, fd: int) -> File | None:
        number = self._found.get(fd, _NONE)
        if number in self._all:
            return self._all[number][0]
        return {_FOREIGN: File(), _EVENTFD: EventFd()}.get(number)


def load(path: Path) -> list[dict[str, Any]]:
    """The lines of a recording; BadInput when it is none."""
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(read_input(path)) as reader:
            text = reader.read(1 << 29).decode()
        lines = [json.loads(line) for line in text.splitlines()]
        if not lines or lines[0].get("recording") != _MAGIC:
            raise ValueError("no recording of ioctls")
        if not isinstance(lines[0]["start"], int):
            raise ValueError("it begins at no time")
        for line in lines[1:]:
            if line["do"] not in ("open", "close", "ioctl") or not isinstance(line["t"], int):
                raise ValueError(f"no {line['do']!r}")
    except (
        zstandard.ZstdError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        raise BadInput(f"not a recording: {error}", where=str(path)) from None
    return lines


def replay(
    lines: list[dict[str, Any]], make: Callable[[Kernel], DrmDevice], kernel: Kernel | None = None
) -> Replayed:
    """Ask everything again of a fresh device, each call at its time.

    ``make`` makes the device on a kernel with a virtual clock.  BadInput when the recording lacks a field.
    """
    for number, line in enumerate(lines[1:], 2):
        _check(line, number)
    again = _Replay(make, kernel or Kernel(), lines[0]["start"])
    for number, line in enumerate(lines[1:], 2):
        again.line(number, line)
    return again.finish()


def _check(line: dict[str, Any], number: int) -> None:
    """BadInput unless a line has what its kind of line has."""

    def whole(value: Any, bits: int) -> bool:
        return isinstance(value, int) and 0 <= value < 1 << bits

    def bytes_at(entry: Any, numbers: int) -> bool:
        return (
            isinstance(entry, list)
            and len(entry) == numbers + 1
            and all(whole(value, 64) for value in entry[:-1])
            and isinstance(entry[-1], str)
            and base64.b64decode(entry[-1], validate=True) is not None
        )

    def numbers(entry: Any, bits: int) -> bool:
        return (
            isinstance(entry, list)
            and len(entry) == 2
            and all(isinstance(value, int) and abs(value) < 1 << bits for value in entry)
        )

    kind = line.get("do")
    good = whole(line.get("t"), 62) and whole(line.get("file"), 32)
    try:
        if kind == "open":
            good &= isinstance(line["comm"], str) and isinstance(line["privileged"], bool)
            good &= isinstance(line["timeline"], str)
        elif kind == "ioctl":
            lists = ("pages", "reads", "writes", "faults", "made", "found", "results")
            good &= all(isinstance(line[key], list) for key in lists)
            good &= whole(line["cmd"], 32) and whole(line["arg"], 64)
            good &= all(bytes_at(entry, 2) for entry in [*line["pages"], *line["results"]])
            good &= all(bytes_at(entry, 1) for entry in [*line["reads"], *line["writes"]])
            good &= all(numbers(entry, 32) for entry in [*line["made"], *line["found"]])
            good &= all(numbers(entry, 64) for entry in line["faults"])
            good &= whole(line.get("errno", 0), 16) and whole(line.get("end", 0), 62)
        else:
            good &= kind == "close"
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise BadInput("the recording is damaged", where=f"line {number}")


#: Files by their numbers, each with the client that it belongs to.
_Files = dict[int, tuple[File, Process]]


class _Replay:
    """A replay on its way."""

    def __init__(self, make: Callable[[Kernel], DrmDevice], kernel: Kernel, start: int) -> None:
        self.kernel = kernel
        self.device = make(kernel)
        self.result = Replayed()
        self._files: _Files = {}
        self._pages: dict[tuple[int, int], bytes] = {}
        self._awaited: tuple[int, list[Any]] = 0, []
        kernel.run(until_time=start)

    def line(self, number: int, line: dict[str, Any]) -> None:
        """Do again what one line says, at its time."""
        kernel = self.kernel
        kernel.run(until_time=max(kernel.now(), line["t"]))
        self._compare_results()
        if line["do"] == "open":
            process = Process(line["comm"], pid=next_pid(kernel), privileged=line["privileged"])
            self._files[line["file"]] = self._opened(process, line["timeline"]), process
            return
        if line["file"] not in self._files:
            self.result.differences.append(f"line {number}: file {line['file']} is not there")
            return
        if line["do"] == "close":
            file, _ = self._files.pop(line["file"])
            kernel.call(file.put)
        else:
            self._ioctl(number, line)

    def _opened(self, process: Process, timeline: str) -> File:
        if timeline:
            return SwSync(self.device.fences, timeline)
        return DrmFile(self.device, process)

    def finish(self) -> Replayed:
        """What came of it."""
        self.kernel.run()
        self._compare_results()
        return self.result

    def _ioctl(self, number: int, line: dict[str, Any]) -> None:
        file, process = self._files[line["file"]]
        for offset, page, data in line["pages"]:
            if self._feed(offset, page, base64.b64decode(data)[:PAGE]):
                self.result.results += 1
        memory = _Fed(line)
        client = _Replayer(process, memory, line, self._files)
        outcome: list[int] = []

        def call() -> None:
            try:
                file.ioctl(client, line["cmd"], line["arg"])
                outcome.append(0)
            except OSError as error:
                outcome.append(error.errno or 0)
            told = memory.writes
            if self.device.tells_time(line["cmd"], memory.first):
                told = line["writes"]  # other than the recorded time is no difference
            _compare(line, number, outcome[0], told, self.result)

        self.result.calls += 1
        self.kernel.spawn(call)
        # A call that was over before the next began is over here, too; one that slept may go on meanwhile.
        if line.get("end", line["t"]) <= line["t"]:
            self.kernel.run(until=lambda: bool(outcome), until_time=self.kernel.now() + 1)
        self._awaited = number, line["results"]

    def _page(self, offset: int, page: int) -> memoryview | None:
        try:
            obj, inside = self.device.object_at(offset)
        except OSError:
            return None
        if inside or (page + 1) * PAGE > obj.size:
            return None
        return memoryview(obj.pages().buffer)[page * PAGE : (page + 1) * PAGE]

    def _feed(self, offset: int, page: int, data: bytes) -> bool:
        """Put ``data`` into a page; whether the GPU had put it there already."""
        view = self._page(offset, page)
        if view is None:
            return False
        there = view == data
        view[: len(data)] = data
        self._pages[offset, page] = _digest(view)
        return there

    def _compare_results(self) -> None:
        """Look at what the GPU left of the last call."""
        number, results = self._awaited
        self._awaited = 0, []
        if not results:
            return
        kernel = self.kernel
        if self.device.work_done() is None:
            kernel.run(
                until=lambda: self.device.work_done() is not None,
                until_time=kernel.now() + _SECOND,
            )
        for offset, page, packed in results:
            data = base64.b64decode(packed)[:PAGE]
            view = self._page(offset, page)
            if view is None:
                continue
            before = self._pages.get((offset, page), _ZERO_PAGE)
            self.result.results += 1
            if view != data and _digest(view) != before:
                self.result.differences.append(
                    f"line {number}: the GPU left other bytes in page {page} of the buffer at {offset:#x}"
                )
            self._feed(offset, page, data)


def _compare(
    line: dict[str, Any], number: int, errno: int, writes: list[list[Any]], result: Replayed
) -> None:
    expected = line.get("errno", 0)
    name = f"line {number}, ioctl {line['cmd'] & 0xFF:#x}"
    if errno != expected:
        result.differences.append(f"{name}: errno {errno}, recorded was {expected}")
    elif writes != line["writes"]:
        result.differences.append(f"{name}: wrote other bytes than were recorded")
