"""Recording what a client asks of a render node, and asking it again.

A recording is JSON lines (compressed with zstd): opens and closes of the node and each of its ioctls with
everything the kernel read from and wrote to user memory, the errno, and the pages of buffers that user space
had changed since the call before.  Replaying needs no client: what was read is fed back in, what is
written is compared.

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

from ring3.dma_buf.file import File, Process, UserMemory, refuse
from ring3.drm.device import DrmDevice
from ring3.drm.file import DrmFile
from ring3.drm.gem import PAGE
from ring3.errors import BadInput
from ring3.files import write_atomically
from ring3.kernel import Kernel

_MAGIC = "ring3 ioctl recording 1"
_EFAULT = 14


def _pack(data: bytes) -> str:
    return base64.b64encode(data).decode()


class _Watched:
    """User memory that notes what is read and written."""

    def __init__(self, memory: UserMemory, reads: list[Any], writes: list[Any]) -> None:
        self._memory = memory
        self._reads = reads
        self._writes = writes

    def copy_from_user(self, address: int, size: int) -> bytes:
        data = self._memory.copy_from_user(address, size)
        self._reads.append([address, _pack(data)])
        return data

    def copy_to_user(self, address: int, data: bytes) -> None:
        self._memory.copy_to_user(address, data)
        self._writes.append([address, _pack(data)])


class _WatchedProcess(Process):
    """The client, with its memory watched."""

    def __init__(
        self, process: Process, reads: list[Any], writes: list[Any], installed: list[int]
    ) -> None:
        self._process = process
        self._installed = installed
        self._comm, self._privileged = process.comm, process.privileged
        self.pid = process.pid
        self.memory = _Watched(process.memory, reads, writes)
        self.files = process.files

    def install(self, file: File, *, cloexec: bool = True) -> int:
        fd = self._process.install(file, cloexec=cloexec)
        self._installed.append(fd)
        return fd

    def lookup(self, fd: int) -> File | None:
        return self._process.lookup(fd)

    def close(self, fd: int) -> None:
        self._process.close(fd)


class Recorder:
    """Records a device from now on: ``DrmDevice.recorder`` is where files look for it."""

    def __init__(self, device: DrmDevice) -> None:
        self.device = device
        self.lines: list[dict[str, Any]] = [{"recording": _MAGIC, "start": device.kernel.now()}]
        self._files: dict[DrmFile, int] = {}
        self._pages: dict[tuple[int, int], bytes] = {}
        device.recorder = self

    def opened(self, file: DrmFile, process: Process) -> None:
        """A file was opened."""
        self._files[file] = len(self._files)
        self._add("open", file, comm=process.comm, privileged=process.privileged)

    def closed(self, file: DrmFile) -> None:
        """Its last descriptor was closed."""
        self._add("close", file)

    def ioctl(
        self, file: DrmFile, process: Process, cmd: int, arg: int, serve: Callable[..., int]
    ) -> int:
        """Serve an ioctl and note all of it."""
        line = self._add("ioctl", file, cmd=cmd, arg=arg, pages=list(self._changed_pages()))
        reads: list[Any] = []
        writes: list[Any] = []
        fds: list[int] = []
        line.update(reads=reads, writes=writes, fds=fds)
        try:
            return serve(_WatchedProcess(process, reads, writes, fds), cmd, arg)
        except OSError as error:
            line["errno"] = error.errno
            raise
        finally:
            line["end"] = self.device.kernel.now()

    def _add(self, kind: str, file: DrmFile, **more: Any) -> dict[str, Any]:
        line = {"t": self.device.kernel.now(), "do": kind, "file": self._files[file], **more}
        self.lines.append(line)
        return line

    def _changed_pages(self) -> Iterator[list[Any]]:
        """[offset of the buffer, page, bytes] of what the CPU may have changed, by looking."""
        for offset, obj in self.device.objects():
            if not obj.resident or not getattr(obj, "cpu_mapped", True):
                continue
            view = memoryview(obj.pages().buffer)
            for page in range(obj.size // PAGE):
                data = view[page * PAGE : (page + 1) * PAGE]
                digest = hashlib.blake2b(data, digest_size=16).digest()
                if self._pages.get((offset, page), _ZERO_PAGE) != digest:
                    self._pages[offset, page] = digest
                    yield [offset, page, _pack(bytes(data))]

    def write(self, path: Path) -> None:
        """Write the recording, atomically."""
        import zstandard

        text = "".join(json.dumps(line) + "\n" for line in self.lines)
        write_atomically(path, zstandard.compress(text.encode()))


_ZERO_PAGE = hashlib.blake2b(bytes(PAGE), digest_size=16).digest()


@dataclass
class Replayed:
    """What a replay did: calls made, and each that came out differently."""

    calls: int = 0
    differences: list[str] = field(default_factory=list)


class _Fed:
    """User memory made of what was read; what is written is kept."""

    def __init__(self, reads: list[Any]) -> None:
        self._blocks = [(address, base64.b64decode(data)) for address, data in reads]
        self.writes: list[list[Any]] = []

    def copy_from_user(self, address: int, size: int) -> bytes:
        for start, data in self._blocks:
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        raise refuse(_EFAULT, f"{size} bytes at {address:#x} were not read when this was recorded")

    def copy_to_user(self, address: int, data: bytes) -> None:
        self.writes.append([address, _pack(data)])


class _Replayer(Process):
    """The client of one call: descriptors come out as they were recorded."""

    def __init__(self, process: Process, memory: _Fed, fds: list[int]) -> None:
        self._comm, self._privileged = process.comm, process.privileged
        self.pid = process.pid
        self.memory = memory
        self.files = process.files
        self._fds = fds

    def install(self, file: File, *, cloexec: bool = True) -> int:
        if not self._fds:
            return super().install(file, cloexec=cloexec)
        fd = self._fds.pop(0)
        # Closing is not recorded: whoever had the number before is closed.
        before = self.files.pop(fd, None)
        if before is not None:
            before.put()
        self.files[fd] = file
        return fd


def load(path: Path) -> list[dict[str, Any]]:
    """The lines of a recording; BadInput when it is none."""
    import zstandard

    try:
        with zstandard.ZstdDecompressor().stream_reader(path.read_bytes()) as reader:
            text = reader.read(1 << 29).decode()
        lines = [json.loads(line) for line in text.splitlines()]
        if not lines or lines[0].get("recording") != _MAGIC:
            raise ValueError("no recording of ioctls")
        for line in lines[1:]:
            if line["do"] not in ("open", "close", "ioctl") or not isinstance(line["t"], int):
                raise ValueError(f"no {line['do']!r}")
    except (zstandard.ZstdError, ValueError, KeyError, AttributeError, TypeError) as error:
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
    kernel = kernel or Kernel()
    device = make(kernel)
    kernel.run(until_time=int(lines[0]["start"]))
    files: dict[int, tuple[DrmFile, Process]] = {}
    result = Replayed()
    for number, line in enumerate(lines[1:], 2):
        kernel.run(until_time=max(kernel.now(), line["t"]))
        _one(kernel, device, files, line, number, result)
    kernel.run()
    return result


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

    kind = line.get("do")
    good = whole(line.get("t"), 62) and whole(line.get("file"), 32)
    try:
        if kind == "open":
            good &= isinstance(line["comm"], str) and isinstance(line["privileged"], bool)
        elif kind == "ioctl":
            good &= whole(line["cmd"], 32) and whole(line["arg"], 64)
            good &= all(bytes_at(entry, 2) for entry in line["pages"])
            good &= all(bytes_at(entry, 1) for entry in [*line["reads"], *line["writes"]])
            good &= all(whole(fd, 31) for fd in line["fds"])
            good &= whole(line.get("errno", 0), 16) and whole(line.get("end", 0), 62)
        else:
            good &= kind == "close"
    except (KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise BadInput("the recording is damaged", where=f"line {number}")


def _one(
    kernel: Kernel,
    device: DrmDevice,
    files: dict[int, tuple[DrmFile, Process]],
    line: dict[str, Any],
    number: int,
    result: Replayed,
) -> None:
    if line["do"] == "open":
        process = Process(line["comm"], privileged=line["privileged"])
        file = DrmFile(device, process)
        process.install(file)
        files[line["file"]] = file, process
        return
    if line["file"] not in files:
        raise BadInput("the recording uses a file that was not opened", where=f"line {number}")
    file, process = files[line["file"]]
    if line["do"] == "close":
        del files[line["file"]]
        kernel.call(process.exit)
        return
    objects = dict(device.objects())
    for offset, page, data in line["pages"]:
        obj = objects.get(offset)
        if obj is not None and (page + 1) * PAGE <= obj.size:
            obj.pages().write(page * PAGE, base64.b64decode(data)[:PAGE])
    memory = _Fed(line["reads"])
    outcome: list[int] = []

    client = _Replayer(process, memory, [int(fd) for fd in line["fds"]])

    def call() -> None:
        try:
            file.ioctl(client, line["cmd"], line["arg"])
            outcome.append(0)
        except OSError as error:
            outcome.append(error.errno or 0)
        _compare(line, number, outcome[0], memory.writes, result)

    result.calls += 1
    kernel.spawn(call)
    # A call that was over before the next began is over here, too; one that slept may go on meanwhile.
    if line.get("end", line["t"]) <= line["t"]:
        kernel.run(until=lambda: bool(outcome), until_time=kernel.now() + 1)


def _compare(
    line: dict[str, Any], number: int, errno: int, writes: list[list[Any]], result: Replayed
) -> None:
    expected = line.get("errno", 0)
    name = f"line {number}, ioctl {line['cmd'] & 0xFF:#x}"
    if errno != expected:
        result.differences.append(f"{name}: errno {errno}, recorded was {expected}")
    elif writes != line["writes"]:
        result.differences.append(f"{name}: wrote other bytes than were recorded")
