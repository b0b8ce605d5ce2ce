"""System calls of a native program, passed here by seccomp user notification.

The filter lets everything through except opens (their paths cannot be seen from a filter), ioctls whose
type byte is a GPU driver's, fstat, mmap of files, what can give a low descriptor's number another meaning
(close, dup2, exec), and the calls of the preload library (:mod:`ring3.gateway.guest`).

Sources: seccomp(2), seccomp_unotify(2), linux/seccomp.h and linux/filter.h of Linux 7.2.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import shutil
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from errno import EINTR, ENOENT, ESRCH
from mmap import MAP_ANONYMOUS

from ring3.errors import MissingPart, Unsupported
from ring3.gateway import syscalls

_libc = ctypes.CDLL(None, use_errno=True)

#: Type bytes of the ioctls that belong to DRM, sync_file, sw_sync, dma-buf and dma-heap.
IOCTL_TYPES = frozenset(b"d>WbH")
AT_EMPTY_PATH = 0x1000
#: fallocate(2) with this mode, which no kernel knows, is a call of the preload library.
GUEST_MODE = 0x52337067
#: The high half of the descriptor, which no kernel looks at, of an mmap or close of the gateway's own.
REDIRECTED = GUEST_MODE

#: Descriptors below this are remembered (ring3.gateway.client), so their ends must be heard of.
REMEMBERED = 1024

_ALLOW = 0x7FFF0000
_NOTIFY = 0x7FC00000
_LOAD, _EQUAL, _ANY_BIT, _AND, _SHIFT, _RETURN = 0x20, 0x15, 0x45, 0x54, 0x74, 0x06
_AT_LEAST = 0x35
_NR, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data

_RECV, _SEND, _ADD_FD, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40182103, 0x40082104
_NOTIF = struct.Struct("=QI4xi12x6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADDED = struct.Struct("=QIIII")
_CONTINUE = 1
_SYNC_WAKE_UP = 1


@dataclass(frozen=True)
class Abi:
    """Numbers of one machine: its AUDIT_ARCH, and the calls the filter looks at."""

    machine: str
    audit: int
    seccomp: int
    ioctl: int
    mmap: int
    fstat: int
    newfstatat: int
    statx: int
    fallocate: int
    openat2: int
    opens: Mapping[int, int]  # number -> which argument is the path
    closes: Mapping[int, int]  # close, dup2, dup3 -> which argument is the descriptor that ends
    close_range: int
    execs: tuple[int, int]
    stat_size: int  # of struct stat
    stat_fields: str  # where dev, ino, mode, nlink, rdev lie in it

    def stat(self, dev: int, ino: int, mode: int, rdev: int) -> bytes:
        """A ``struct stat`` of a device node."""
        packed = bytearray(self.stat_size)
        struct.pack_into(self.stat_fields, packed, 0, dev, ino, *self._order(mode), rdev)
        return bytes(packed)

    def _order(self, mode: int) -> tuple[int, int]:
        return (1, mode) if self.machine == "x86_64" else (mode, 1)


_ABIS = {
    abi.machine: abi
    for abi in (
        Abi(
            "x86_64",
            audit=0xC000003E,
            seccomp=317,
            ioctl=16,
            mmap=9,
            fstat=5,
            newfstatat=262,
            statx=332,
            fallocate=285,
            openat2=437,
            opens={2: 0, 257: 1, 437: 1},
            closes={3: 0, 33: 1, 292: 1},
            close_range=436,
            execs=(59, 322),
            stat_size=144,
            stat_fields="=QQQI12xQ",
        ),
        Abi(
            "aarch64",
            audit=0xC00000B7,
            seccomp=277,
            ioctl=29,
            mmap=222,
            fstat=80,
            newfstatat=79,
            statx=291,
            fallocate=47,
            openat2=437,
            opens={56: 1, 437: 1},
            closes={57: 0, 24: 1},
            close_range=436,
            execs=(221, 281),
            stat_size=128,
            stat_fields="=QQII8xQ",
        ),
    )
}


def abi() -> Abi:
    """The numbers of this machine; Unsupported where the gateway does not know them."""
    machine = os.uname().machine
    if machine not in _ABIS:
        raise Unsupported(f"native programs of {machine} cannot be trapped", remedy="run on x86_64")
    return _ABIS[machine]


def filter_program(numbers: Abi) -> bytes:
    """The BPF program as an array of ``struct sock_filter``."""
    code: list[tuple[int, int, int, int]] = []

    def arg(number: int, high: bool = False) -> tuple[int, int, int, int]:
        return (_LOAD, 0, 0, _ARGS + 8 * number + 4 * high)

    def when(number: int, body: list[tuple[int, int, int, int]]) -> None:
        """If the call is ``number``: ``body``, which ends by returning."""
        code.append((_EQUAL, 0, len(body), number))
        code.extend(body)

    notify, allow = (_RETURN, 0, 0, _NOTIFY), (_RETURN, 0, 0, _ALLOW)
    code += [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, numbers.audit), allow, (_LOAD, 0, 0, _NR)]
    types = sorted(IOCTL_TYPES)
    matches = [(_EQUAL, len(types) - n, 0, kind) for n, kind in enumerate(types)]
    when(numbers.ioctl, [arg(1), (_SHIFT, 0, 0, 8), (_AND, 0, 0, 0xFF), *matches, allow, notify])
    redirected = [arg(4, high=True), (_EQUAL, 0, 1, REDIRECTED), allow]
    when(numbers.mmap, [*redirected, arg(3), (_ANY_BIT, 0, 1, MAP_ANONYMOUS), allow, notify])
    for number in (*numbers.opens, *numbers.execs, numbers.close_range):
        when(number, [notify])
    for number, which in numbers.closes.items():
        own = [arg(which, high=True), (_EQUAL, 0, 1, REDIRECTED), allow]
        when(number, [*own, arg(which), (_AT_LEAST, 0, 1, REMEMBERED), allow, notify])
    when(numbers.fstat, [notify])
    when(numbers.newfstatat, [arg(3), (_ANY_BIT, 0, 1, AT_EMPTY_PATH), notify, allow])
    when(numbers.statx, [arg(2), (_ANY_BIT, 0, 1, AT_EMPTY_PATH), notify, allow])
    when(numbers.fallocate, [arg(1), (_EQUAL, 0, 1, GUEST_MODE), notify, allow])
    code.append(allow)
    return b"".join(struct.pack("=HBBI", *line) for line in code)


class Call:
    """A system call that waits for its answer: thread, call number and six arguments."""

    __slots__ = ("args", "id", "listener", "nr", "tid")

    def __init__(self, listener: Listener, number: int, tid: int, nr: int, *args: int) -> None:
        self.listener = listener
        self.id = number
        self.tid = tid
        self.nr = nr
        self.args = args

    def install(self, fd: int, cloexec: bool) -> int:
        """Duplicate ``fd`` into the calling process; its number there.  OSError when it cannot be."""
        return self.listener.add_descriptor(self, fd, cloexec=cloexec)


class Listener:
    """The supervisor's end of a filter.  ``fileno()`` is readable when a call waits."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._zero = bytes(_NOTIF.size)
        self._notif = ctypes.create_string_buffer(_NOTIF.size)
        self._notif_at = ctypes.addressof(self._notif)
        self._notif_bytes = memoryview(self._notif).cast("B")
        self._response = ctypes.create_string_buffer(_RESPONSE.size)
        self._response_at = ctypes.addressof(self._response)
        # A wake-up on the same CPU halves the time of a call; Linux 6.6 and newer know it.
        syscalls.ioctl(fd, _SET_FLAGS, _SYNC_WAKE_UP)

    def fileno(self) -> int:
        return self._fd

    def receive(self) -> Call | None:
        """The next waiting call; None when it was interrupted or its thread died meanwhile."""
        self._notif_bytes[:] = self._zero  # as the kernel asks
        done = syscalls.ioctl(self._fd, _RECV, self._notif_at)
        if done < 0:
            if -done in (ENOENT, EINTR):
                return None
            raise OSError(-done, os.strerror(-done))
        return Call(self, *_NOTIF.unpack_from(self._notif))

    @property
    def deserted(self) -> bool:
        """Whether no process is left under the filter."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    def answer(self, call: Call, result: int) -> bool:
        """Let the call return ``result`` (-errno for errors); False when nobody waits any more."""
        if result < 0:
            return self._send(call.id, 0, result, 0)
        return self._send(call.id, result, 0, 0)

    def let_through(self, call: Call) -> bool:
        """Let the kernel do the call as if there were no filter."""
        return self._send(call.id, 0, 0, _CONTINUE)

    def add_descriptor(self, call: Call, fd: int, *, cloexec: bool) -> int:
        """Duplicate ``fd`` into the calling process; its number there.  OSError when it cannot be."""
        if self._fd < 0:
            raise OSError(ESRCH, "the program is gone")
        flags = os.O_CLOEXEC if cloexec else 0
        buffer = bytearray(_ADDED.pack(call.id, 0, fd, 0, flags))
        return fcntl.ioctl(self._fd, _ADD_FD, buffer)

    def close(self) -> None:
        """Nobody is answered any more."""
        os.close(self._fd)
        self._fd = -1

    def _send(self, number: int, value: int, error: int, flags: int) -> bool:
        if self._fd < 0:
            return False
        _RESPONSE.pack_into(self._response, 0, number, value, error, flags)
        done = syscalls.ioctl(self._fd, _SEND, self._response_at)
        if done < 0 and -done != ENOENT:
            raise OSError(-done, os.strerror(-done))
        return done == 0


def start(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, Listener]:
    """Start ``command`` under the filter; its pid and the listener.

    Raises MissingPart when the kernel refuses a filter with a listener, OSError of execve otherwise.
    """
    numbers = abi()
    path = shutil.which(command[0])
    if path is None:
        raise FileNotFoundError(ENOENT, "no such program", command[0])
    program = ctypes.create_string_buffer(filter_program(numbers))
    lines = len(program.raw) // 8
    header = struct.pack("=HxxxxxxQ", lines, ctypes.addressof(program))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS: filters without root
            listener = _libc.syscall(numbers.seccomp, 1, 8, header)  # SET_MODE_FILTER, NEW_LISTENER
            if listener < 0:
                theirs.send(struct.pack("=i", ctypes.get_errno()))
                os._exit(127)
            socket.send_fds(theirs, [struct.pack("=i", 0)], [listener])
            os.close(listener)
            os.execve(path, list(command), dict(environment))
        except OSError as error:
            theirs.send(struct.pack("=i", error.errno or 1))
        finally:
            os._exit(127)
    theirs.close()
    with ours:
        data, descriptors, _, _ = socket.recv_fds(ours, 4, 1)
        (code,) = struct.unpack("=i", data) if data else (1,)
        if not descriptors:
            os.waitpid(pid, 0)
            raise MissingPart(
                f"no seccomp notification: {os.strerror(code)}",
                remedy="Linux 5.9 or newer, and no other supervisor around this program",
            )
        listener = Listener(descriptors[0])
        failure = _until_exec(ours, listener)
        if failure:
            listener.close()
            os.waitpid(pid, 0)
            (code,) = struct.unpack("=i", failure)
            raise OSError(code, os.strerror(code), command[0])
        return pid, listener


def _until_exec(ours: socket.socket, listener: Listener) -> bytes:
    """Let the child's own last calls through; b"" at its exec, which closes the socket, or why it failed."""
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    poll.register(listener, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if ours.fileno() in ready:
            return ours.recv(4)
        call = listener.receive()
        if call is not None:
            listener.let_through(call)
