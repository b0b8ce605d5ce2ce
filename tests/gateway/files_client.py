"""A client that uses its descriptors in every way a process can; each assertion is what Linux 7.2 answers.

files_client.py RENDER [FD]     (with FD: the program that it executes, to which FD was passed)
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import errno
import mmap
import os
import select
import signal
import socket
import stat
import struct
import sys
import threading
import time
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]

VERSION, VM_CREATE, BO_CREATE, BO_MMAP_OFFSET = 0xC0406400, 0xC0106441, 0xC0186445, 0xC0106446
SET_CLIENT_NAME, SYNCOBJ_CREATE, SYNCOBJ_WAIT = 0xC01064D1, 0xC00864BF, 0xC02864C3
SW_SYNC_CREATE_FENCE, SYNC_FILE_INFO = 0xC0285700, 0xC0383E04
GEM_CLOSE, PRIME_HANDLE_TO_FD = 0x40086409, 0xC00C642D
FLUSH_PAGE = 1 << 56


def ioctl(fd: int, cmd: int, data: ctypes.Array[ctypes.c_char]) -> int:
    """0 or the errno."""
    return 0 if libc.ioctl(fd, ctypes.c_ulong(cmd), data) >= 0 else ctypes.get_errno()


def buffer(codes: str, *values: object) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(struct.pack(codes, *values), struct.calcsize(codes))


def mapped(fd: int, size: int, offset: int, prot: int = 3, flags: int = mmap.MAP_SHARED) -> int:
    """0 or the errno."""
    address = libc.mmap(None, size, prot, flags, fd, offset)
    return ctypes.get_errno() if address == ctypes.c_void_p(-1).value else 0


def is_render_node(fd: int) -> bool:
    return ioctl(fd, VERSION, buffer("64x")) == 0


def close_in_a_thread(fd: int) -> None:
    thread = threading.Thread(target=os.close, args=(fd,))
    thread.start()
    thread.join()


def node(path: str) -> None:
    """The render node itself: fstat, poll, mmap, fdinfo."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    status = os.fstat(fd)
    assert stat.S_ISCHR(status.st_mode)
    assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (226, 128)
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLOUT)
    assert poll.poll(0) == [], "there are no events, and nobody writes to it"
    with select.epoll() as epoll:
        epoll.register(fd, select.EPOLLIN)
        assert epoll.poll(0) == []

    bo = buffer("QIIII", 8192, 0, 0, 0, 0)
    assert ioctl(fd, BO_CREATE, bo) == 0
    place = buffer("IIQ", struct.unpack("QIIII", bo)[3], 0, 0)
    assert ioctl(fd, BO_MMAP_OFFSET, place) == 0
    offset = struct.unpack("IIQ", place)[2]
    assert mapped(fd, 8192, offset) == 0
    assert mapped(fd, 4096, offset) == 0
    for what, *call in (
        ("an offset of nothing", 4096, 0),
        ("another", 4096, offset + (1 << 39)),
        ("not from its start", 4096, offset + 4096),
        ("not a page", 4096, offset + 1),
        ("more than it has", 12288, offset),
        ("no length", 0, offset),
        ("a private copy", 4096, offset, 3, mmap.MAP_PRIVATE),
        ("a page of the device to write to", 4096, FLUSH_PAGE),
        ("a page of the device, private", 4096, FLUSH_PAGE, 1, mmap.MAP_PRIVATE),
        ("two pages of the device", 8192, FLUSH_PAGE, 1),
    ):
        assert mapped(fd, *call) == errno.EINVAL, what
    assert mapped(fd, 4096, FLUSH_PAGE, mmap.PROT_READ) == 0
    reading = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    assert mapped(reading, 4096, offset) == errno.EACCES, "opened for reading"
    assert mapped(reading, 4096, offset, mmap.PROT_READ) == errno.EACCES, "another file's buffer"

    huge = buffer("QIIII", 1 << 39, 0, 0, 0, 0)
    assert ioctl(fd, BO_CREATE, huge) == 0
    export = buffer("IIi", struct.unpack("QIIII", huge)[3], os.O_RDWR, -1)
    assert ioctl(fd, PRIME_HANDLE_TO_FD, export) == errno.ENOMEM, "the gateway maps what it shares"
    assert ioctl(fd, GEM_CLOSE, buffer("II", struct.unpack("QIIII", huge)[3], 0)) == 0

    name = ctypes.create_string_buffer(b"files")
    assert ioctl(fd, SET_CLIENT_NAME, buffer("QQ", 5, ctypes.addressof(name))) == 0
    info = dict(
        line.split(":\t", 1) for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    )
    assert info["drm-driver"] == "panthor"
    assert info["drm-client-name"] == "files"
    assert info["drm-total-memory"] == "8 KiB"
    assert "panthor-resident-memory" in info
    assert "pos" in info, "what the host says comes first"
    openat2, nowhere = 437, 1
    path = ctypes.create_string_buffer(f"/proc/self/fdinfo/{fd}".encode())
    for _ in range(3):  # after which the supervisor must hold nothing of it
        assert libc.syscall(openat2, -100, path, nowhere, 24) == -1
        assert ctypes.get_errno() == errno.EFAULT
    os.close(reading)
    os.close(fd)


def shared(path: str) -> None:
    """dup, fork, SCM_RIGHTS, close and exec."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    copy = os.dup(fd)
    os.close(fd)
    assert is_render_node(copy)
    os.dup2(copy, fd)
    with Path("/dev/null").open() as other:
        os.dup2(other.fileno(), copy)
    assert is_render_node(fd)
    assert not is_render_node(copy), "the number means another file now"
    os.close(copy)
    for close in (os.close, lambda one: os.closerange(one, one + 1), close_in_a_thread):
        copy = os.dup(fd)
        assert is_render_node(copy)
        close(copy)
        with Path("/dev/null").open() as other:
            assert other.fileno() == copy, "the lowest free number"
            assert not is_render_node(copy)
        assert is_render_node(fd)

    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        _, ancillary, _, _ = theirs.recvmsg(1, socket.CMSG_SPACE(4))
        received = array.array("i", ancillary[0][2])[0]
        vm = buffer("IIQ", 0, 0, 0)
        good = is_render_node(received) and ioctl(received, VM_CREATE, vm) == 0
        theirs.send(vm.raw[4:8] if good else b"bad!")
        os._exit(0)
    theirs.close()
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    assert struct.unpack("I", ours.recv(4)) == (1,)
    os.wait()
    vm = buffer("IIQ", 0, 0, 0)
    assert ioctl(fd, VM_CREATE, vm) == 0
    assert struct.unpack("IIQ", vm)[1] == 2, "both are one open file"

    for number, inherited in ((fd, False), (os.dup(fd), True)):
        os.set_inheritable(number, inherited)
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, __file__, path, str(number)])
        _, status = os.wait()
        assert os.waitstatus_to_exitcode(status) == (0 if inherited else 9), "CLOEXEC"
    os.close(fd)


def interrupted(path: str) -> None:
    """A signal interrupts a wait; asked again, it goes on to its deadline."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    syncobj = buffer("II", 0, 0)
    assert ioctl(fd, SYNCOBJ_CREATE, syncobj) == 0
    handles = ctypes.create_string_buffer(syncobj.raw[:4])
    deadline = time.monotonic_ns() + 200_000_000
    wait = buffer("QqIIIIQ", ctypes.addressof(handles), deadline, 1, 2, 0, 0, 0)
    heard = []
    signal.signal(signal.SIGALRM, lambda *_: heard.append(time.monotonic_ns()))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    assert ioctl(fd, SYNCOBJ_WAIT, wait) == errno.EINTR
    assert ioctl(fd, SYNCOBJ_WAIT, wait) == errno.ETIME
    assert heard[0] < deadline <= time.monotonic_ns()
    os.close(fd)


def names() -> None:
    """A process that changes its name is known by the new one."""
    libc.prctl(15, b"renamed", 0, 0, 0)  # PR_SET_NAME
    timeline = os.open("/dev/sw_sync", os.O_RDWR)
    fence = buffer("I32si", 1, b"", -1)
    assert ioctl(timeline, SW_SYNC_CREATE_FENCE, fence) == 0
    inside = ctypes.create_string_buffer(80)
    info = buffer("32siIIIQ", b"", 0, 0, 1, 0, ctypes.addressof(inside))
    fd = struct.unpack("I32si", fence)[2]
    assert ioctl(fd, SYNC_FILE_INFO, info) == 0
    assert inside.raw[:32].rstrip(b"\0") == f"renamed-{os.getpid()}".encode()
    os.close(fd)
    os.close(timeline)


def main() -> None:
    if len(sys.argv) > 2:
        with contextlib.suppress(OSError):
            sys.exit(0 if is_render_node(int(sys.argv[2])) else 9)
        sys.exit(9)
    node(sys.argv[1])
    shared(sys.argv[1])
    interrupted(sys.argv[1])
    names()
    print("all as it should be")


main()
