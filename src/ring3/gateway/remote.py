"""Another process's memory and descriptors, reached from outside.

Sources: process_vm_readv(2), pidfd_getfd(2), proc(5).
"""

from __future__ import annotations

import ctypes
import os
import struct
from errno import EFAULT, EIO, EPERM, ESRCH

from ring3.gateway.syscalls import read_memory, write_memory

_libc = ctypes.CDLL(None, use_errno=True)
_CHUNK = 4096
_ADDRESS = 0xFFFF_FFFF_FFFF_FFFF
# Of two struct iovec, ours and theirs, what changes: our size, their address and size.
_SIZES = struct.Struct("=QQQ")

#: No ioctl takes more than this at once; a client that says otherwise is lying.
MOST_BYTES = 64 << 20


class RemoteMemory:
    """The memory of process ``pid``: the :class:`ring3.dma_buf.file.UserMemory` of a real client."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._buffer = ctypes.create_string_buffer(_CHUNK)
        self._small = memoryview(self._buffer).cast("B")
        self._vectors = (ctypes.c_uint64 * 4)(ctypes.addressof(self._buffer))
        self._ours = ctypes.addressof(self._vectors)
        self._theirs = self._ours + 16

    def copy_from_user(self, address: int, size: int) -> bytes:
        """``size`` bytes at ``address``; OSError(EFAULT) unless all of them can be read."""
        if 0 < size <= _CHUNK:
            _SIZES.pack_into(self._vectors, 8, size, address & _ADDRESS, size)
            done = read_memory(self.pid, self._ours, self._theirs)
            if done != size:
                raise _fault(done, address, size)
            return self._small[:size].tobytes()
        if not 0 <= size <= MOST_BYTES:
            raise OSError(EFAULT, f"{size} bytes at {address:#x}")
        pieces = (min(_CHUNK, size - at) for at in range(0, size, _CHUNK))
        places = range(address, address + size, _CHUNK)
        return b"".join(map(self.copy_from_user, places, pieces))

    def copy_to_user(self, address: int, data: bytes) -> None:
        """Write ``data`` at ``address``; OSError(EFAULT) unless all of it can be written."""
        size = len(data)
        if 0 < size <= _CHUNK:
            self._small[:size] = data
            _SIZES.pack_into(self._vectors, 8, size, address & _ADDRESS, size)
            done = write_memory(self.pid, self._ours, self._theirs)
            if done != size:
                raise _fault(done, address, size)
            return
        for at in range(0, size, _CHUNK):
            self.copy_to_user(address + at, data[at : at + _CHUNK])

    def read_path(self, address: int) -> bytes | None:
        """The NUL-terminated string at ``address``, None when it is not one of at most 4 KiB."""
        found = b""
        while len(found) < 4096:
            # Up to the end of the page: what lies behind it may not be mapped.
            step = 4096 - (address + len(found)) % 4096
            try:
                piece = self.copy_from_user(address + len(found), min(step, 256))
            except OSError:
                return None
            end = piece.find(b"\0")
            if end >= 0:
                return found + piece[:end]
            found += piece
        return None


def _fault(done: int, address: int, size: int) -> OSError:
    """Why a transfer moved only ``done`` bytes, or failed with -errno."""
    if -done in (EPERM, ESRCH):
        return OSError(EIO if -done == EPERM else ESRCH, os.strerror(-done))
    return OSError(EFAULT, f"{size} bytes at {address:#x} are not mapped")


def take_descriptor(pid: int, fd: int) -> int:
    """A duplicate of descriptor ``fd`` of process ``pid`` (pidfd_getfd, Linux 5.6)."""
    process = os.pidfd_open(pid)
    try:
        taken: int = _libc.syscall(438, process, fd, 0)
    finally:
        os.close(process)
    if taken < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return taken


def thread_group(tid: int) -> int:
    """The process that thread ``tid`` belongs to; OSError(ESRCH) when it is gone."""
    try:
        with open(f"/proc/{tid}/status", "rb") as file:  # noqa: PTH123 - on the path of every new thread
            for line in file:
                if line.startswith(b"Tgid:"):
                    return int(line[5:])
    except (FileNotFoundError, ProcessLookupError):
        pass
    raise OSError(ESRCH, f"thread {tid} is gone")
