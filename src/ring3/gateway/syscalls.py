"""System calls on the way of every trapped call, compiled by Numba: they cost what the host's kernel takes.

Through ctypes each would take a microsecond more.  Results are as the kernel's own: negative ones are
``-errno``.

Sources: statx(2), process_vm_readv(2), ioctl(2), tgkill(2); glibc's and musl's __errno_location.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

from numba import types

from ring3.compiled import njit

_int, _long, _at = types.int32, types.int64, types.intp
_errno: Any = types.ExternalFunction("__errno_location", types.CPointer(_int)())  # type: ignore[no-untyped-call]
_statx: Any = types.ExternalFunction("statx", _int(_int, _at, _int, types.uint32, _at))
_ioctl: Any = types.ExternalFunction("ioctl", _int(_int, types.uint64, _at))
_tgkill: Any = types.ExternalFunction("tgkill", _int(_int, _int, _int))
_transfer = _long(_int, _at, types.uint64, _at, types.uint64, types.uint64)
_readv: Any = types.ExternalFunction("process_vm_readv", _transfer)
_writev: Any = types.ExternalFunction("process_vm_writev", _transfer)

_STATX_INO = 0x100


@njit("int64(int64, int64, int64)")
def statx(folder: int, path: int, into: int) -> int:
    """Put ``struct statx`` of ``path`` (an address) in ``folder`` at address ``into``."""
    done = _statx(folder, path, 0, _STATX_INO, into)
    return -_errno()[0] if done < 0 else done


@njit("int64(int64, int64, int64)")
def ioctl(fd: int, cmd: int, arg: int) -> int:
    """ioctl(2) with an address as argument."""
    done = _ioctl(fd, cmd, arg)
    return -_errno()[0] if done < 0 else done


@njit("int64(int64, int64)")
def thread_of(pid: int, tid: int) -> int:
    """0 if ``tid`` is a thread of process ``pid``, else -ESRCH."""
    done = _tgkill(pid, tid, 0)
    return -_errno()[0] if done < 0 else done


@njit("int64(int64, int64, int64)")
def read_memory(pid: int, local: int, remote: int) -> int:
    """Copy from process ``pid``: bytes copied.  ``local``, ``remote``: addresses of ``struct iovec``."""
    done = _readv(pid, local, 1, remote, 1, 0)
    return -_errno()[0] if done < 0 else done


@njit("int64(int64, int64, int64)")
def write_memory(pid: int, local: int, remote: int) -> int:
    """Copy to process ``pid``, as :func:`read_memory`."""
    done = _writev(pid, local, 1, remote, 1, 0)
    return -_errno()[0] if done < 0 else done


#: The decimal names of descriptors below NAMED, eight bytes each: paths in /proc/PID/fd.
NAMED = 4096
_NAMES = ctypes.create_string_buffer(
    b"".join(str(fd).encode().ljust(8, b"\0") for fd in range(NAMED))
)
_NAMES_AT = ctypes.addressof(_NAMES)
_STATUS = ctypes.create_string_buffer(256)
_STATUS_AT = ctypes.addressof(_STATUS)
# stx_ino, and stx_dev_major and stx_dev_minor as one number, of struct statx.
_unpack_identity = struct.Struct("=32xQ96xQ").unpack_from

#: Which file it is: inode and device.
Identity = tuple[int, int]


def identity(folder: int, fd: int) -> Identity | None:
    """The file that descriptor ``fd`` is, None if it is none; ``folder`` is an open /proc/PID/fd."""
    if fd < NAMED:
        if statx(folder, _NAMES_AT + 8 * fd, _STATUS_AT) < 0:
            return None
        found: Identity = _unpack_identity(_STATUS)
        return found
    try:
        return identity_of(os.stat(str(fd), dir_fd=folder))
    except OSError:
        return None


def identity_of(status: os.stat_result) -> Identity:
    """The same from what os.stat says."""
    return status.st_ino, os.major(status.st_dev) | os.minor(status.st_dev) << 32
