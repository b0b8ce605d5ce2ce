"""What becomes of each trapped system call, of native programs and of guests."""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from errno import EBADF, EINTR, EINVAL, EIO, ENOENT, ENOSYS
from mmap import MAP_SHARED
from pathlib import Path
from typing import TYPE_CHECKING

from ring3.dma_buf.dma_buf import DmaBuf
from ring3.dma_buf.file import File, refuse
from ring3.gateway import seccomp
from ring3.gateway.client import Client
from ring3.gateway.redirect import map_in
from ring3.gateway.remote import thread_group
from ring3.gateway.seccomp import Call
from ring3.gateway.syscalls import thread_of
from ring3.kernel import ERESTARTSYS, Completion, Task

if TYPE_CHECKING:
    from ring3.gateway.server import Gateway

_INT = 0xFFFF_FFFF
_LET_THROUGH = None
_PAGE = 4096

# The calls of preload.c: fallocate(fd, GUEST_MODE, argument, operation << 32 | number); _MMAP has in its
# fourth argument the protection, too, from bit 40 on, and in bit 48 whether it is private.
_OPEN, _STAT, _IOCTL, _MMAP = range(1, 5)

# struct statx up to stx_dev_minor: mask, blksize, attributes, nlink, uid, gid, mode, ino, size, blocks,
# attributes_mask, four times, rdev and dev.
_STATX = struct.Struct("=IIQIIIH2xQQQQ64xIIII112x")
_STATX_BASIC = 0x7FF
_FDINFO = re.compile(r"/proc/(self|thread-self|[0-9]{1,9})/fdinfo/([0-9]{1,9})")


@dataclass
class _Running:
    """A call on its way: the task that does it, and what a later call of the same thread waits for."""

    task: Task
    over: Completion | None = None


class Supervisor:
    """All threads of the programs that one seccomp listener speaks for."""

    def __init__(self, gateway: Gateway, listener: seccomp.Listener) -> None:
        self.gateway = gateway
        self._listener = listener
        self._abi = seccomp.abi()
        self._threads: dict[int, Client] = {}
        self._running: dict[int, _Running] = {}  # by thread
        self._late: dict[int, tuple[int, tuple[int, ...], int]] = {}
        numbers = self._abi
        self._calls: dict[int, Callable[[Call], int | None]] = {
            numbers.ioctl: self._ioctl,
            numbers.mmap: self._mmap,
            numbers.fstat: self._fstat,
            numbers.newfstatat: self._fstat,
            numbers.statx: self._statx,
            numbers.fallocate: self._guest,
            numbers.close_range: self._close_range,
            **dict.fromkeys(numbers.closes, self._close),
            **dict.fromkeys(numbers.execs, self._exec),
            **dict.fromkeys(numbers.opens, self._open),
        }
        self._guest_calls = {
            _OPEN: self._guest_open,
            _STAT: self._guest_stat,
            _IOCTL: self._guest_ioctl,
            _MMAP: self._guest_mmap,
        }
        gateway.kernel.add_reader(listener.fileno(), self._readable, hot=True)

    def close(self) -> None:
        """Stop listening: calls that wait end, and return ENOSYS if somebody still waits for them."""
        for running in self._running.values():
            self.gateway.kernel.signal(running.task)
        self.gateway.kernel.remove_reader(self._listener.fileno())
        self._listener.close()

    def forget(self, client: Client) -> None:
        """A process is gone: interrupt what its threads waited for."""
        for tid in [tid for tid, held in self._threads.items() if held is client]:
            del self._threads[tid]
            self._late.pop(tid, None)
            running = self._running.get(tid)
            if running is not None:
                self.gateway.kernel.signal(running.task)

    def _readable(self) -> None:
        call = self._listener.receive()
        if call is not None:
            self.gateway.take(self, call)
        elif self._listener.deserted:
            self.gateway.dismiss(self)

    def serve(self, task: Task, call: Call) -> None:
        """Do a call in the running ``task`` and answer it."""
        tid = call.tid
        while tid in self._running:
            self._interrupted(self._running[tid])
        if self._late and self._was_done(call):
            return
        running = self._running[tid] = _Running(task)
        try:
            result = self._calls[call.nr](call)
        except OSError as error:
            result = -(error.errno or EIO)
        if result is _LET_THROUGH:
            self._listener.let_through(call)
        elif result == -ERESTARTSYS:
            self._listener.answer(call, -EINTR)
        elif not self._listener.answer(call, result):
            self._late[tid] = call.nr, call.args, result
        del self._running[tid]
        if running.over is not None:
            running.over.complete_all()

    def _interrupted(self, earlier: _Running) -> None:
        """A signal interrupted a call, and its thread already makes the next: end the first one before."""
        if earlier.over is None:
            earlier.over = Completion(self.gateway.kernel)
        self.gateway.kernel.signal(earlier.task)
        earlier.over.wait()

    def _was_done(self, call: Call) -> bool:
        """A signal came between the end of a call and its answer, and the call is asked again, by the kernel
        or by the program: it gets that answer, for a job must not be submitted twice."""
        late = self._late.pop(call.tid, None)
        if late is None or late[:2] != (call.nr, call.args):
            return False
        if not self._listener.answer(call, late[2]):
            self._late[call.tid] = late  # interrupted once more
        return True

    def _client(self, call: Call) -> Client:
        """Whose thread it is.  OSError(ESRCH) when it is gone."""
        client = self._threads.get(call.tid)
        # The number of a thread that ended may be another process's thread now.
        if client is None or (client.pid != call.tid and thread_of(client.pid, call.tid)):
            client = self.gateway.client(thread_group(call.tid))
            self._threads[call.tid] = client
        if client.closing:
            client.closing.pop(call.tid, None)  # its last call is over
        return client

    # -- calls of native programs, and of emulators ------------------------------------------------

    def _ioctl(self, call: Call) -> int | None:
        fd, cmd, arg = call.args[:3]
        client = self._client(call)
        file = client.ours(fd & _INT)
        if file is None:
            return _LET_THROUGH  # the host's own device, or no file at all
        return _held(file, client, cmd & _INT, arg)

    def _close(self, call: Call) -> int | None:
        fd = call.args[self._abi.closes[call.nr]] & _INT
        return self._ends(call, fd, fd)

    def _close_range(self, call: Call) -> int | None:
        return self._ends(call, call.args[0] & _INT, call.args[1] & _INT)

    def _exec(self, call: Call) -> int | None:
        return self._ends(call, 0, _INT)  # of those that are CLOEXEC

    def _ends(self, call: Call, first: int, last: int) -> int | None:
        with suppress(OSError):
            self._client(call).ends(call.tid, first, last)
        return _LET_THROUGH

    def _open(self, call: Call) -> int | None:
        path_at = self._abi.opens[call.nr]
        client = self._client(call)
        path = client.memory.read_path(call.args[path_at])
        name = path.decode(errors="replace") if path else ""
        info = self._fdinfo(client, name)
        if info is None and name not in self.gateway.devices:
            return _LET_THROUGH
        flags = call.args[path_at + 1]
        if call.nr == self._abi.openat2:
            flags = int.from_bytes(client.memory.copy_from_user(flags, 8), "little")
        if info is None:
            return self._opened(call, client, name, flags)
        fresh = os.memfd_create("fdinfo", os.MFD_CLOEXEC)
        os.pwrite(fresh, info, 0)
        return self._hand_over(call, fresh, flags)

    def _opened(self, call: Call, client: Client, name: str, flags: int) -> int:
        return self._hand_over(call, self.gateway.open(client, name, flags), flags)

    def _hand_over(self, call: Call, fresh: int, flags: int) -> int:
        try:
            return call.install(fresh, bool(flags & os.O_CLOEXEC))
        finally:
            os.close(fresh)

    def _fdinfo(self, client: Client, name: str) -> bytes | None:
        """What the host says of one of our descriptors and what the simulated kernel adds to it; None if
        ``name`` is no such thing."""
        match = _FDINFO.fullmatch(name)
        if match is None:
            return None
        pid = client.pid if match[1].endswith("self") else int(match[1])
        owner = self.gateway.clients.get(pid)
        file = None if owner is None else owner.ours(int(match[2]))
        if file is None:
            return None
        return Path(f"/proc/{pid}/fdinfo/{match[2]}").read_bytes() + file.fdinfo().encode()

    def _mmap(self, call: Call) -> int | None:
        _, size, prot, flags, fd, offset = call.args
        client = self._client(call)
        file = client.ours(fd & _INT)
        if file is None:
            return _LET_THROUGH
        if not size or offset % _PAGE:
            raise refuse(EINVAL, "a mapping has a length and begins at a whole page")
        host = self._mapping(file, offset, size, prot, private=not flags & MAP_SHARED)
        if not isinstance(file, DmaBuf):  # which is mapped as it is
            fresh = call.install(host, True)
            map_in(call.tid, fresh)  # which closes it, too
            client.ends(call.tid, fresh, fresh)
        return _LET_THROUGH  # or the thread has done it meanwhile, and nobody waits for this answer

    def _mapping(self, file: File, offset: int, size: int, prot: int, *, private: bool) -> int:
        return self.gateway.mapping(file, offset, -(-size // _PAGE) * _PAGE, prot, private=private)

    def _device(self, call: Call, fd: int) -> tuple[Client, os.stat_result, int] | None:
        """Client, status and device number if ``fd`` is a device of ours."""
        client = self._client(call)
        file = client.ours(fd)
        if file is None or not file.rdev:
            return None
        return client, os.stat(str(fd), dir_fd=client.folder), file.rdev

    def _fstat(self, call: Call) -> int | None:
        """Devices look like devices; everything else is the kernel's own answer."""
        at = 1 if call.nr == self._abi.fstat else 2
        found = self._device(call, call.args[0] & _INT)
        if found is None:
            return _LET_THROUGH
        client, status, rdev = found
        packed = self._abi.stat(status.st_dev, status.st_ino, stat.S_IFCHR | 0o666, rdev)
        client.memory.copy_to_user(call.args[at], packed)
        return 0

    def _statx(self, call: Call) -> int | None:
        found = self._device(call, call.args[0] & _INT)
        if found is None:
            return _LET_THROUGH
        client, status, rdev = found
        packed = _STATX.pack(
            *(_STATX_BASIC, _PAGE, 0, 1, status.st_uid, status.st_gid, stat.S_IFCHR | 0o666),
            *(status.st_ino, 0, 0, 0, os.major(rdev), os.minor(rdev)),
            *(os.major(status.st_dev), os.minor(status.st_dev)),
        )
        client.memory.copy_to_user(call.args[4], packed)
        return 0

    # -- calls of the preload library --------------------------------------------------------------

    def _guest(self, call: Call) -> int | None:
        fd, _, argument, what = call.args[:4]
        handler = self._guest_calls.get(what >> 32 & 0xFF)
        if handler is None:
            raise refuse(ENOSYS, "the preload library is of another version")
        return handler(call, fd & _INT, argument, what & _INT)

    def _guest_path(self, client: Client, address: int) -> str:
        path = client.memory.read_path(address)
        name = path.decode(errors="replace") if path else ""
        if name not in self.gateway.devices:
            raise refuse(ENOENT, f"no device {name}")
        return name

    def _guest_open(self, call: Call, fd: int, path: int, flags: int) -> int:
        client = self._client(call)
        return self._opened(call, client, self._guest_path(client, path), flags)

    def _guest_stat(self, call: Call, fd: int, path: int, flags: int) -> int:
        """The number of a device."""
        return self.gateway.devices[self._guest_path(self._client(call), path)].rdev

    def _guest_file(self, call: Call, fd: int) -> File:
        file = self._client(call).ours(fd)
        if file is None:
            raise refuse(EBADF, f"descriptor {fd} is not ours")
        return file

    def _guest_ioctl(self, call: Call, fd: int, arg: int, cmd: int) -> int:
        return _held(self._guest_file(call, fd), self._client(call), cmd, arg)

    def _guest_mmap(self, call: Call, fd: int, offset: int, pages: int) -> int:
        """A descriptor of the memory, to be mapped from its start and closed by the guest."""
        prot, private = call.args[3] >> 40 & 7, bool(call.args[3] >> 48)
        file = self._guest_file(call, fd)
        return call.install(self._mapping(file, offset, pages * _PAGE, prot, private=private), True)


def _held(file: File, client: Client, cmd: int, arg: int) -> int:
    """An ioctl on a file that another thread may close, or a client's death, meanwhile."""
    file.get()
    try:
        return file.ioctl(client, cmd, arg)
    finally:
        file.put()
