"""perf_event_open(2): the attribute structure, the system call and the ring buffer, by ctypes alone.

Layouts are those of the UAPI header ``linux/perf_event.h`` (read at Linux 6.1 and 7.2); the names are
its own.  Nothing here interprets a record beyond its header.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag

from ring3.errors import MissingPart, Ring3Error, Unsupported

# perf_event_attr.type and .config
TYPE_HARDWARE = 0
TYPE_SOFTWARE = 1
HW_CPU_CYCLES = 0
SW_CPU_CLOCK = 0


class SampleType(IntFlag):
    """perf_event_attr.sample_type: the parts of a sample, laid out in the order of the ABI."""

    IP = 1 << 0
    TID = 1 << 1
    TIME = 1 << 2
    ADDR = 1 << 3
    READ = 1 << 4
    CALLCHAIN = 1 << 5
    ID = 1 << 6
    CPU = 1 << 7
    PERIOD = 1 << 8
    STREAM_ID = 1 << 9
    RAW = 1 << 10
    BRANCH_STACK = 1 << 11
    REGS_USER = 1 << 12
    STACK_USER = 1 << 13
    IDENTIFIER = 1 << 16


class Flag(IntFlag):
    """The bit field of perf_event_attr, little-endian numbering."""

    DISABLED = 1 << 0
    INHERIT = 1 << 1
    EXCLUDE_KERNEL = 1 << 5
    EXCLUDE_HV = 1 << 6
    MMAP = 1 << 8
    COMM = 1 << 9
    FREQ = 1 << 10
    ENABLE_ON_EXEC = 1 << 12
    TASK = 1 << 13
    WATERMARK = 1 << 14
    SAMPLE_ID_ALL = 1 << 18
    EXCLUDE_CALLCHAIN_KERNEL = 1 << 21
    MMAP2 = 1 << 23
    COMM_EXEC = 1 << 24
    USE_CLOCKID = 1 << 25
    BUILD_ID = 1 << 34


# perf_event_header.type
RECORD_MMAP = 1
RECORD_LOST = 2
RECORD_COMM = 3
RECORD_EXIT = 4
RECORD_FORK = 7
RECORD_SAMPLE = 9
RECORD_MMAP2 = 10
RECORD_LOST_SAMPLES = 13

# perf_event_header.misc
MISC_CPUMODE = 7
MISC_KERNEL = 1
MISC_USER = 2
MISC_COMM_EXEC = 1 << 13
MISC_MMAP_BUILD_ID = 1 << 14

HEADER = struct.Struct("=IHH")  # type, misc, size

_ATTR = "IIQQQQQIIQQQQIiQIHHII"  # perf_event_attr up to PERF_ATTR_SIZE_VER6
ATTR_SIZE = 120
_SYSCALLS = {"x86_64": 298, "aarch64": 241, "s390x": 331}
_IOC_ENABLE = 0x2400
_IOC_SET_OUTPUT = 0x2405
_FD_CLOEXEC = 8
_DATA_HEAD = 1024 // 8  # perf_event_mmap_page.data_head, in u64
_DATA_TAIL = 1032 // 8

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class Attr:
    """perf_event_attr, as far as a sampling profiler sets or reads it.  ``frequency`` is in Hz."""

    type: int = TYPE_SOFTWARE
    config: int = SW_CPU_CLOCK
    frequency: int = 0
    sample_type: int = 0
    flags: int = 0
    wakeup: int = 0  # bytes, with Flag.WATERMARK
    regs_user: int = 0  # mask over the architecture's perf_regs
    stack_user: int = 0  # bytes, a multiple of 8 below 64 KiB
    clockid: int = 0

    def pack(self) -> bytes:
        """The structure in the host's byte order."""
        return struct.pack(
            "=" + _ATTR,
            *(self.type, ATTR_SIZE, self.config, self.frequency, self.sample_type, 0, self.flags),
            *(self.wakeup, 0, 0, 0, 0, self.regs_user, self.stack_user, self.clockid),
            *(0, 0, 0, 0, 0, 0),
        )

    @classmethod
    def unpack(cls, data: bytes, order: str) -> Attr:
        """Read the structure from ``data``, which may be shorter (older) or longer (newer).

        ``order`` is "<" or ">"; a big-endian kernel numbers the bit field from the other end.
        """
        data = data[:ATTR_SIZE].ljust(ATTR_SIZE, b"\0")
        field = struct.unpack(order + _ATTR, data)
        flags = field[6] if order == "<" else int(f"{field[6]:064b}"[::-1], 2)
        return cls(
            type=field[0],
            config=field[2],
            frequency=field[3],
            sample_type=field[4],
            flags=flags,
            wakeup=field[7],
            regs_user=field[12],
            stack_user=field[13],
            clockid=field[14],
        )


def open_event(attr: Attr, pid: int, cpu: int) -> int:
    """perf_event_open(2) for one task (``pid``) on one ``cpu``; returns the file descriptor.

    Raises OSError as the call says; MissingPart where the kernel lets nobody in.
    """
    number = _SYSCALLS.get(os.uname().machine)
    if number is None:
        raise Unsupported(f"recording is not known on {os.uname().machine}")
    packed = ctypes.create_string_buffer(attr.pack(), ATTR_SIZE)
    fd: int = _libc.syscall(number, packed, pid, cpu, -1, ctypes.c_ulong(_FD_CLOEXEC))
    if fd >= 0:
        return fd
    code = ctypes.get_errno()
    if code in (errno.EACCES, errno.EPERM):
        raise MissingPart(
            "the kernel forbids perf_event_open here",
            where=f"pid {pid}",
            remedy="run as its user, with /proc/sys/kernel/perf_event_paranoid at 2 or less, or as root",
        )
    if code == errno.ENOSYS:
        raise MissingPart("this kernel has no perf_event_open", remedy="CONFIG_PERF_EVENTS=y")
    raise OSError(code, os.strerror(code), f"perf_event_open of pid {pid}")


def enable(fd: int) -> None:
    """Start counting."""
    _ioctl(fd, _IOC_ENABLE, 0)


def redirect(fd: int, ring_fd: int) -> None:
    """Let ``fd`` write its records into the ring of ``ring_fd`` (of the same cpu)."""
    _ioctl(fd, _IOC_SET_OUTPUT, ring_fd)


class Ring:
    """The ring buffer of an event: one control page, then 2**n pages that the kernel fills."""

    def __init__(self, fd: int, pages: int) -> None:
        """Map ``pages`` (a power of two) pages, halved as long as the kernel's lock limit says no."""
        page = mmap.PAGESIZE
        while True:
            try:
                self._map = mmap.mmap(fd, (1 + pages) * page)
                break
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOMEM) or pages <= 8:
                    raise Ring3Error(
                        "the kernel maps no ring buffer",
                        remedy="raise /proc/sys/kernel/perf_event_mlock_kb or ulimit -l",
                    ) from None
                pages //= 2
        self._bytes = memoryview(self._map)
        self._control = self._bytes[:page].cast("Q")
        self._data = self._bytes[page:]
        self.size = pages * page

    def drain(self) -> bytes:
        """All records that are complete by now, in order, in one piece."""
        head = self._control[_DATA_HEAD]
        tail = self._control[_DATA_TAIL]
        if head == tail:
            return b""
        start, end = tail % self.size, head % self.size
        if start < end:
            out = bytes(self._data[start:end])
        else:
            out = bytes(self._data[start:]) + bytes(self._data[:end])
        self._control[_DATA_TAIL] = head
        return out

    def close(self) -> None:
        """Unmap it."""
        for view in (self._control, self._data, self._bytes):
            view.release()
        self._map.close()


def walk(records: bytes | memoryview, order: str = "=") -> Iterator[tuple[int, int, int, int]]:
    """(type, misc, offset, size) of every whole record in ``records``; stops at the first that lies."""
    header = struct.Struct(order + "IHH")
    at = 0
    while at + 8 <= len(records):
        kind, misc, size = header.unpack_from(records, at)
        if size < 8 or at + size > len(records):
            return
        yield kind, misc, at, size
        at += size


def _ioctl(fd: int, request: int, argument: int) -> None:
    if _libc.ioctl(fd, ctypes.c_ulong(request), ctypes.c_long(argument)) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "perf event")
