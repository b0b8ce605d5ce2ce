"""Sampling a command or a process: registers, stack and frame-pointer chain in every sample.

The kernel fills one ring a cpu; here its bytes go to the file as they are, and nothing is decoded but
MMAP2 records, whose files are opened at once, since they may be deleted or replaced by the time
anybody unwinds.  Everything else is left for later (:mod:`samples`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import select
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ring3 import arch
from ring3.errors import BadInput, MissingPart, Unsupported
from ring3.sframe import elf_head, maps, perf_event
from ring3.sframe.perf_data import Extras, Writer
from ring3.sframe.perf_event import Attr, Flag, Ring, SampleType

SAMPLE_TYPE = (
    SampleType.IP
    | SampleType.TID
    | SampleType.TIME
    | SampleType.CPU
    | SampleType.PERIOD
    | SampleType.CALLCHAIN
    | SampleType.REGS_USER
    | SampleType.STACK_USER
)
_FLAGS = (
    Flag.DISABLED
    | Flag.INHERIT
    | Flag.EXCLUDE_HV
    | Flag.MMAP
    | Flag.MMAP2
    | Flag.COMM
    | Flag.COMM_EXEC
    | Flag.TASK
    | Flag.FREQ
    | Flag.WATERMARK
    | Flag.SAMPLE_ID_ALL
    | Flag.EXCLUDE_CALLCHAIN_KERNEL
    | Flag.USE_CLOCKID
    | Flag.BUILD_ID
)
_MMAP2 = struct.Struct("=IIQQQ24sII")
_RING_PAGES = 2048
_MOST_IMAGE = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``frequency`` in Hz of a running task; ``stack`` bytes of stack a sample; ``seconds`` at most."""

    frequency: int = 997
    stack: int = 16384
    seconds: float | None = None


@dataclass
class Summary:
    """What a recording came to; ``exit_code`` of the command, None for an attached process."""

    path: Path
    samples: int = 0
    lost: int = 0
    bytes: int = 0
    seconds: float = 0.0
    exit_code: int | None = None
    event: str = ""


Progress = Callable[[Summary], None]


def record_command(
    command: list[str], output: Path, settings: Settings, progress: Progress = lambda _: None
) -> Summary:
    """Run ``command``, sample it and its children until it ends, and write ``output``.

    After ``settings.seconds``, or when this process gets SIGTERM, it is ended: SIGTERM, and SIGKILL if it is
    still there two seconds later.
    Raises BadInput when the command cannot be run, MissingPart where perf_event_open is forbidden.
    """
    recorder = _Recorder(output, settings, Flag.ENABLE_ON_EXEC)
    with recorder, _paused_child(command) as child:
        recorder.attach(child.pid)
        child.go(command[0])
        recorder.extras.command = command
        # ^C is for the command, too; the recording ends when it does.
        with _signals({signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: recorder.stop}):
            recorder.run(child.pid, progress)
        recorder.finish()
        recorder.summary.exit_code = child.end()
    return recorder.summary


def record_process(
    pid: int, output: Path, settings: Settings, progress: Progress = lambda _: None
) -> Summary:
    """Sample the process ``pid`` and write ``output``.

    Until it ends, ``settings.seconds`` have passed, or this process gets ^C or SIGTERM.
    """
    recorder = _Recorder(output, settings, Flag(0))
    with recorder:
        threads = _threads(pid)
        for thread in threads:
            recorder.attach(thread)
        recorder.already_mapped(pid, threads)
        recorder.enable()
        with _signals({signal.SIGINT: recorder.stop, signal.SIGTERM: recorder.stop}):
            recorder.run(pid, progress)
        recorder.finish()
    return recorder.summary


class _Recorder:
    def __init__(self, output: Path, settings: Settings, flags: Flag) -> None:
        if not 8 <= settings.stack <= 65528 or settings.stack % 8:
            raise BadInput(f"{settings.stack} bytes of stack", remedy="a multiple of 8 up to 65528")
        self.settings = settings
        self.attr = _attr(settings, flags)
        self.summary = Summary(output)
        self.extras = Extras()
        self.writer = Writer(output, self.attr)
        self._fds: list[int] = []
        self._rings: dict[int, tuple[int, Ring]] = {}  # cpu -> (its first event, ring)
        self._mapped: dict[tuple[str, str], int] = {}  # (path, build-id) -> fd
        self._pids: set[int] = set()
        self._stopped = False

    def __enter__(self) -> _Recorder:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        for _, ring in self._rings.values():
            ring.close()
        for fd in [*self._fds, *self._mapped.values()]:
            os.close(fd)
        if kind is not None:
            self.writer.abandon()
        if isinstance(value, OSError) and value.filename is None:
            value.filename = str(self.summary.path)  # a full disk

    def stop(self, *_: object) -> None:
        """End :meth:`run` within a quarter of a second; a signal handler."""
        self._stopped = True

    def attach(self, tid: int) -> None:
        """Open one event a cpu for a task; children and threads to come inherit it."""
        for cpu in sorted(os.sched_getaffinity(0)):
            try:
                fd, self.attr = _open(self.attr, tid, cpu)
            except ProcessLookupError:
                return  # the thread has ended meanwhile
            self._fds.append(fd)
            if cpu in self._rings:
                perf_event.redirect(fd, self._rings[cpu][0])
            else:
                self._rings[cpu] = (fd, Ring(fd, _RING_PAGES))
        self.summary.event = "cpu-cycles" if self.attr.type == 0 else "cpu-clock"

    def enable(self) -> None:
        """Start the events that no exec starts."""
        for fd in self._fds:
            perf_event.enable(fd)

    def already_mapped(self, pid: int, threads: list[int]) -> None:
        """Write the COMM and MMAP2 records that the kernel sent nobody, since nobody listened."""
        for tid in threads:
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{pid}/task/{tid}/comm").read_bytes().rstrip(b"\n")
                self._put(
                    perf_event.RECORD_COMM, 0, struct.pack("=II", pid, tid) + _text(name), tid
                )
        for mapping in maps.of_process(pid):
            if not mapping.executable:
                continue
            build_id = b""
            if mapping.file and (fd := maps.open_mapped(pid, mapping)) is not None:
                head = elf_head.read_fd(fd)
                build_id = bytes.fromhex((head and head.build_id) or "")[:20]
                self._keep(mapping.path, build_id.hex(), fd)
            major, minor = mapping.device
            identity = struct.pack("=IIQQ", major, minor, mapping.inode, 0)
            misc = perf_event.MISC_USER
            if build_id:
                identity = struct.pack("=BxH20s", len(build_id), 0, build_id)
                misc |= perf_event.MISC_MMAP_BUILD_ID
            size = mapping.end - mapping.start
            fixed = (pid, pid, mapping.start, size, mapping.offset, identity, 5, 2)
            name = mapping.path.encode(errors="surrogateescape") or b"//anon"
            self._put(perf_event.RECORD_MMAP2, misc, _MMAP2.pack(*fixed) + _text(name), pid)

    def run(self, pid: int, progress: Progress) -> None:
        """Empty the rings until process ``pid`` ends, the time is over, or :meth:`stop`."""
        begin = time.monotonic()
        end = begin + self.settings.seconds if self.settings.seconds is not None else None
        process = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(process, select.POLLIN)
        for fd, _ in self._rings.values():
            poll.register(fd, select.POLLIN)
        try:
            while True:
                left = 0.25 if end is None else min(0.25, end - time.monotonic())
                ready = dict(poll.poll(max(0.0, left) * 1000))
                self._drain()
                self.summary.seconds = time.monotonic() - begin
                progress(self.summary)
                for fd, event in ready.items():
                    if event & select.POLLHUP and fd != process:
                        poll.unregister(fd)
                over = end is not None and time.monotonic() >= end
                if process in ready or over or self._stopped:
                    return
        finally:
            os.close(process)

    def finish(self) -> None:
        """Take along what nobody could find later, and complete the file."""
        self._drain()
        vdso = vdso_image()
        if vdso:
            self.extras.images.append(("[vdso]", "", vdso))
        for (path, build_id), fd in self._mapped.items():
            if not _still_there(path, fd) and os.fstat(fd).st_size <= _MOST_IMAGE:
                data = os.pread(fd, os.fstat(fd).st_size, 0)
                self.extras.images.append((path, build_id, data))
        for pid in sorted(self._pids):
            if text := maps.perf_map(pid):
                self.extras.perf_maps[pid] = text
        self.writer.finish(platform.machine(), self.extras)
        self.summary.bytes = self.writer.written

    def _drain(self) -> None:
        for _, ring in self._rings.values():
            records = ring.drain()
            if not records:
                continue
            self.writer.add(records)
            for kind, misc, at, size in perf_event.walk(records):
                if kind == perf_event.RECORD_SAMPLE:
                    self.summary.samples += 1
                elif kind == perf_event.RECORD_MMAP2:
                    self._mmap2(misc, records[at + 8 : at + size])
                elif kind == perf_event.RECORD_LOST:
                    self.summary.lost += struct.unpack_from("=Q", records, at + 16)[0]
                elif kind == perf_event.RECORD_FORK:
                    self._pids.add(struct.unpack_from("=I", records, at + 8)[0])

    def _mmap2(self, misc: int, body: bytes) -> None:
        pid, _, start, size, _, identity, _, _ = _MMAP2.unpack_from(body)
        self._pids.add(pid)
        path = body[_MMAP2.size :].split(b"\0")[0].decode(errors="surrogateescape")
        build_id = ""
        if misc & perf_event.MISC_MMAP_BUILD_ID:
            build_id = identity[4 : 4 + min(identity[0], 20)].hex()
        if not path.startswith("/") or path.startswith("//") or (path, build_id) in self._mapped:
            return
        for name in (f"/proc/{pid}/map_files/{start:x}-{start + size:x}", path):
            try:
                fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                continue
            head = elf_head.read_fd(fd)
            if not build_id or (head and head.build_id == build_id):
                self._keep(path, build_id, fd)
                return
            os.close(fd)

    def _keep(self, path: str, build_id: str, fd: int) -> None:
        if (path, build_id) in self._mapped:
            os.close(fd)
        else:
            self._mapped[path, build_id] = fd

    def _put(self, kind: int, misc: int, body: bytes, tid: int) -> None:
        """Write a record of our own, with the trailer that SAMPLE_ID_ALL asks for, at time 0."""
        trailer = struct.pack("=IIQII", tid, tid, 0, 0, 0)
        size = 8 + len(body) + len(trailer)
        self.writer.add(perf_event.HEADER.pack(kind, misc, size) + body + trailer)


def vdso_image() -> bytes:
    """The vDSO of this kernel, as it is mapped into this process; b"" without one."""
    for mapping in maps.of_process(os.getpid()):
        if mapping.path == "[vdso]":
            with Path("/proc/self/mem").open("rb") as memory:
                memory.seek(mapping.start)
                return memory.read(mapping.end - mapping.start)
    return b""


def _attr(settings: Settings, flags: Flag) -> Attr:
    host = arch.host()
    mask = sum(1 << bit for bit, name in enumerate(host.perf_regs) if name)
    if not mask:
        raise Unsupported(f"no registers to sample are declared for {host.name}")
    pmu = Path("/sys/bus/event_source/devices/cpu").exists()
    return Attr(
        type=perf_event.TYPE_HARDWARE if pmu else perf_event.TYPE_SOFTWARE,
        config=perf_event.HW_CPU_CYCLES if pmu else perf_event.SW_CPU_CLOCK,
        frequency=settings.frequency,
        sample_type=SAMPLE_TYPE,
        flags=_FLAGS | flags,
        wakeup=1 << 20,
        regs_user=mask,
        stack_user=settings.stack,
        clockid=time.CLOCK_MONOTONIC,
    )


def _open(attr: Attr, tid: int, cpu: int) -> tuple[int, Attr]:
    """Open the event, doing without whatever this kernel or its rights do not give; say what was opened."""
    while True:
        try:
            return perf_event.open_event(attr, tid, cpu), attr
        except MissingPart:
            if attr.flags & Flag.EXCLUDE_KERNEL:
                raise
            attr = replace(attr, flags=attr.flags | Flag.EXCLUDE_KERNEL)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV) and attr.type == 0:
                attr = replace(attr, type=perf_event.TYPE_SOFTWARE, config=perf_event.SW_CPU_CLOCK)
            elif error.errno == errno.EINVAL and attr.flags & Flag.BUILD_ID:  # before Linux 5.12
                attr = replace(attr, flags=attr.flags & ~Flag.BUILD_ID)
            elif error.errno == errno.EINVAL and attr.frequency > 1000:
                raise BadInput(
                    f"{attr.frequency} Hz",
                    remedy="at most /proc/sys/kernel/perf_event_max_sample_rate",
                ) from None
            else:
                raise


def _text(name: bytes) -> bytes:
    """A string of a record: ended by zeros up to a multiple of 8 bytes of the whole record."""
    return name.ljust(len(name) // 8 * 8 + 8, b"\0")


def _threads(pid: int) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    except FileNotFoundError:
        raise MissingPart("no such process", where=f"pid {pid}") from None


def _still_there(path: str, fd: int) -> bool:
    try:
        there, kept = os.stat(path), os.fstat(fd)  # noqa: PTH116
    except (OSError, ValueError):
        return False
    return (there.st_dev, there.st_ino) == (kept.st_dev, kept.st_ino)


@contextlib.contextmanager
def _signals(handlers: dict[int, Any]) -> Iterator[None]:
    """Handle signals so for a while; an exception out of a handler would tear a record in two."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread has handlers, and gets ^C
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class _Child:
    """A forked child that waits for a byte before it becomes the command."""

    pid: int
    _start: int = field(repr=False)
    _failed: int = field(repr=False)
    _code: int | None = None

    def go(self, command: str) -> None:
        """Let it exec ``command``; BadInput when it cannot."""
        os.write(self._start, b"x")
        error = os.read(self._failed, 4)
        if error:
            self.wait()
            reason = os.strerror(int.from_bytes(error, "little"))
            raise BadInput(f"cannot run it: {reason}", where=command)

    def end(self) -> int:
        """End it if it still runs; its exit code."""
        handle = os.pidfd_open(self.pid)  # of a child that nobody has waited for, so it is there
        try:
            for number, patience in ((0, 0.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, None)):
                os.kill(self.pid, number)
                if select.select([handle], [], [], patience)[0]:
                    break
        finally:
            os.close(handle)
        return self.wait()

    def wait(self) -> int:
        """Its exit code as a shell gives it."""
        if self._code is None:
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            self._code = code if code >= 0 else 128 - code
        return self._code


@contextlib.contextmanager
def _paused_child(command: list[str]) -> Iterator[_Child]:
    go_read, go_write = os.pipe()
    failed_read, failed_write = os.pipe()  # close-on-exec: its end says that exec worked
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go_write)
            if os.read(go_read, 1):
                os.execvp(command[0], command)
        except OSError as error:
            os.write(failed_write, (error.errno or 1).to_bytes(4, "little"))
        finally:
            os._exit(127)
    os.close(go_read)
    os.close(failed_write)
    child = _Child(pid, go_write, failed_read)
    try:
        yield child
    finally:
        os.close(go_write)
        os.close(failed_read)
        if child._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            child.wait()
