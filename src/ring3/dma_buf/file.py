"""Open files, descriptor tables and user memory: the border between a process and the kernel.

A system call on a file that cannot be done raises :class:`OSError` with the kernel's errno and, as its
text, the reason, which the kernel keeps to itself.  Whoever carries the call (tests, the user-mode
driver in this process, the gateway of a real process) turns that into ``-errno``.

The gateway supplies its own :class:`Process`, whose memory is the real process's and whose descriptors
are real; nothing else here knows the difference.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from errno import EBADF, EFAULT, ENODEV, ENOTTY, ESPIPE
from typing import Protocol, TypeVar

from ring3.dma_buf.cstruct import CStruct
from ring3.kernel import Kernel

EPOLLIN = 0x001
EPOLLPRI = 0x002
EPOLLOUT = 0x004
EPOLLERR = 0x008
_FIRST_PID = 1000

Struct = TypeVar("Struct", bound=CStruct)
Wake = Callable[[], object]


def refuse(errno: int, reason: str) -> OSError:
    """The error of a refused system call; ``reason`` names the field and the rule."""
    return OSError(errno, reason)


class UserMemory(Protocol):
    """A process's memory as the kernel reaches it.  Both raise OSError(EFAULT)."""

    def copy_from_user(self, address: int, size: int) -> bytes:
        """``size`` bytes at ``address``."""

    def copy_to_user(self, address: int, data: bytes) -> None:
        """Write ``data`` at ``address``; nothing is written if any of it cannot be."""


class Memory(Protocol):
    """Pages that can be mapped: what :meth:`File.mmap` hands out."""

    @property
    def size(self) -> int:
        """Bytes, a multiple of the page."""

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``."""

    def write(self, offset: int, data: bytes) -> None:
        """Write ``data`` at ``offset``."""


class Recorder(Protocol):
    """Notes what is asked of files: :mod:`ring3.drm.record`."""

    def ioctl(self, file: File, process: Process, cmd: int, arg: int) -> int:
        """Have ``file`` serve an ioctl."""

    def closed(self, file: File) -> None:
        """The last reference is gone."""


class File:
    """An open file (``struct file``), alive until the last descriptor of it is closed."""

    kind = "file"
    #: Opened for writing, too; otherwise nobody may map it to write.
    writable = True
    #: The number of the device node that was opened, 0 for what is no device.
    rdev = 0
    recorder: Recorder | None = None

    def __init__(self) -> None:
        self.refs = 1

    def get(self) -> File:
        """One more reference."""
        self.refs += 1
        return self

    def put(self) -> None:
        """One reference less; the last one releases what the file holds."""
        self.refs -= 1
        if self.refs == 0:
            if self.recorder is not None:
                self.recorder.closed(self)
            self.release()

    def ioctl(self, process: Process, cmd: int, arg: int) -> int:
        """ioctl(2): the command ``cmd`` whose argument (often an address) is ``arg``.  0, or OSError."""
        if self.recorder is not None:
            return self.recorder.ioctl(self, process, cmd, arg)
        return self.serve(process, cmd, arg)

    def serve(self, process: Process, cmd: int, arg: int) -> int:
        """What :meth:`ioctl` does for this kind of file."""
        raise refuse(ENOTTY, f"{self.kind} has no ioctls")

    def poll(self) -> int:
        """The events (EPOLL*) that are ready now; :meth:`on_ready` says when to ask again.

        A file that nobody can wait for always is (DEFAULT_POLLMASK).
        """
        return EPOLLIN | EPOLLOUT

    def llseek(self, offset: int, whence: int) -> int:
        """lseek(2); ESPIPE where there is no position."""
        raise refuse(ESPIPE, f"{self.kind} has no position")

    def on_ready(self, events: int, wake: Wake) -> None:
        """Call ``wake`` once when one of ``events`` may have become ready."""

    def mmap(self, offset: int, size: int, *, private: bool = False, prot: int = 0) -> Memory:
        """What a mapping of ``size`` bytes at file ``offset`` shows; ENODEV if it maps nothing.

        ``private`` is MAP_PRIVATE, ``prot`` the PROT_* bits.
        """
        raise refuse(ENODEV, f"{self.kind} cannot be mapped")

    def fdinfo(self) -> str:
        """What this kind of file adds to /proc/PID/fdinfo/FD: lines of ``key:\\tvalue``."""
        return ""

    def release(self) -> None:
        """The last reference is gone."""


class LocalMemory:
    """User memory of a client inside this Python process: blocks, each far from the others.

    Address 0 and everything outside of a block faults.
    """

    _SHIFT = 32  # a block's address is its number shifted by this

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}
        self._next = 1

    def put(self, data: bytes) -> int:
        """A new block with ``data`` in it; its address."""
        number, self._next = self._next, self._next + 1
        self._blocks[number] = bytearray(data)
        return number << self._SHIFT

    def free(self, address: int) -> None:
        """The block at ``address`` is no longer mapped."""
        del self._blocks[address >> self._SHIFT]

    def _find(self, address: int, size: int) -> tuple[bytearray, int]:
        block = self._blocks.get(address >> self._SHIFT)
        start = address & (1 << self._SHIFT) - 1
        if block is None or start + size > len(block):
            raise refuse(EFAULT, f"{size} bytes at {address:#x} are not mapped")
        return block, start

    def copy_from_user(self, address: int, size: int) -> bytes:
        if not size:
            return b""
        block, start = self._find(address, size)
        return bytes(block[start : start + size])

    def copy_to_user(self, address: int, data: bytes) -> None:
        if data:
            block, start = self._find(address, len(data))
            block[start : start + len(data)] = data


def next_pid(kernel: Kernel) -> int:
    """The number of one more process of ``kernel``."""
    pids: Iterator[int] = kernel.parts.setdefault("pids", itertools.count(_FIRST_PID))
    return next(pids)


class Process:
    """A client: its memory, its descriptors and what it may do.

    ``comm`` is its name, ``privileged`` stands for CAP_SYS_NICE and DRM master; a real process's may change.
    ``pid`` is what reports call it.
    """

    def __init__(
        self,
        comm: str = "client",
        *,
        pid: int = _FIRST_PID,
        memory: UserMemory | None = None,
        privileged: bool = False,
    ) -> None:
        self._comm = comm
        self._privileged = privileged
        self.pid = pid
        self.memory: UserMemory = memory or LocalMemory()
        self.files: dict[int, File] = {}

    @property
    def comm(self) -> str:
        return self._comm

    @property
    def privileged(self) -> bool:
        return self._privileged

    def install(self, file: File, *, cloexec: bool = True) -> int:
        """Give ``file`` the lowest free descriptor; the caller's reference moves into the table."""
        fd = next(n for n in itertools.count(3) if n not in self.files)
        self.files[fd] = file
        return fd

    def lookup(self, fd: int) -> File | None:
        """The open file of ``fd``, or None.  No reference is taken."""
        return self.files.get(fd)

    def file(self, fd: int) -> File:
        """The open file of ``fd``; EBADF if there is none.  No reference is taken."""
        file = self.lookup(fd)
        if file is None:
            raise refuse(EBADF, f"no open file {fd}")
        return file

    def dup(self, fd: int) -> int:
        """dup(2)."""
        return self.install(self.file(fd).get())

    def close(self, fd: int) -> None:
        """close(2)."""
        self.file(fd)
        self.files.pop(fd).put()

    def exit(self) -> None:
        """Close every descriptor, lowest first, as the kernel does."""
        for fd in sorted(self.files):
            self.close(fd)


def read_struct(process: Process, kind: type[Struct], address: int) -> Struct:
    """copy_from_user of one structure."""
    return kind.unpack(process.memory.copy_from_user(address, kind.SIZE))


def install_and_tell(process: Process, file: File, data: CStruct, field: str, address: int) -> None:
    """Give ``file`` a descriptor and write ``data`` with its number in ``field`` to ``address``, or neither.

    The kernel reserves a number, copies it out and then installs the file.  Nobody can reserve a number in
    a real process from outside, so that the memory can be written is found out first.
    """
    try:
        process.memory.copy_to_user(address, data.pack())
    except OSError:
        file.put()
        raise
    fd = process.install(file)
    setattr(data, field, fd)
    try:
        process.memory.copy_to_user(address, data.pack())
    except OSError:  # unmapped at this very moment
        process.close(fd)
        raise


class EventFd(File):
    """eventfd(2): a counter that others add to."""

    kind = "eventfd"

    def __init__(self, count: int = 0) -> None:
        super().__init__()
        self.count = count
        self._waiting: list[Wake] = []

    def signal(self) -> None:
        """Add one."""
        self.count += 1
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def on_ready(self, events: int, wake: Wake) -> None:
        self._waiting.append(wake)

    def poll(self) -> int:
        return EPOLLOUT | (EPOLLIN if self.count else 0)

    def llseek(self, offset: int, whence: int) -> int:
        return 0
