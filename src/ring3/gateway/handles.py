"""Real descriptors that stand for simulated open files.

A client holds a real descriptor for every file it has open, so dup, fork, SCM_RIGHTS and close are the
host kernel's own work.  Which file a descriptor means is told by its inode, which duplicates share; and
the host kernel says when the last duplicate (and the last mapping) is gone:

- A dma-buf, whose size lseek(2) tells, is the memfd of its memory, opened anew for the client.  Each opening
  carries a lock of its own (OFD), inotify reports that some opening was closed, and the locks that are left
  say whether it was the last.
- Everything else (render nodes, sync files, syncobj files, sw_sync) is the reading end of a pipe: a byte in
  it makes poll(2) say POLLIN, and the writing end says POLLERR once nobody reads any more.

Sources: memfd_create(2), inotify(7), fcntl_locking(2), pipe(7); tmpfs inode numbers are unique while
the file lives.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
from dataclasses import dataclass
from errno import ENFILE

from ring3.dma_buf.dma_buf import DmaBuf
from ring3.dma_buf.file import EPOLLIN, File
from ring3.gateway.memory import memfd_of
from ring3.gateway.syscalls import Identity, identity, identity_of
from ring3.kernel import Kernel

_libc = ctypes.CDLL(None, use_errno=True)
_IN_CLOSE = 0x8 | 0x10
_EVENT = struct.Struct("=iIII")
_FLOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, pid


@dataclass
class _Memfd:
    """A file that clients hold as openings of one memfd, which is the memory's own."""

    file: File
    fd: int
    watch: int

    @property
    def held(self) -> bool:
        """Whether a client still has an opening: the lock of one stands in the way of ours."""
        answer = fcntl.fcntl(self.fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 1, 0))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


class Handles:
    """All descriptors of all clients of one gateway."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._files: dict[Identity, File] = {}
        self._memfds: dict[Identity, _Memfd] = {}
        self._watches: dict[int, Identity] = {}
        self._pipes: dict[Identity, int] = {}  # the writing ends
        self._inotify: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._inotify < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        kernel.add_reader(self._inotify, self._closes)

    def __len__(self) -> int:
        """How many files clients hold."""
        return len(self._files)

    def of(self, folder: int, fd: int) -> File | None:
        """The simulated file that descriptor ``fd`` of a process is, or None.

        ``folder`` is the process's open /proc/PID/fd.
        """
        found = identity(folder, fd)
        return None if found is None else self._files.get(found)

    def descriptor(self, file: File) -> int:
        """A new descriptor for ``file``; the caller passes it on and closes it.

        The caller's reference to ``file`` moves here, also when an OSError says that there is no memory or
        no descriptor left.
        """
        try:
            memfd = memfd_of(file.mmap(0, 0)) if isinstance(file, DmaBuf) else None
            return self._pollable(file) if memfd is None else self._mappable(file, memfd)
        except OSError:
            file.put()
            raise

    def _pollable(self, file: File) -> int:
        """A new pipe for ``file``, readable once the file says EPOLLIN."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        inode = identity_of(os.fstat(reader))
        self._files[inode] = file
        self._pipes[inode] = writer

        def ready() -> None:
            if inode not in self._pipes or self._files.get(inode) is not file:
                return
            if file.poll() & EPOLLIN:
                os.write(writer, b"\1")
            else:
                file.on_ready(EPOLLIN, ready)

        ready()
        self._kernel.add_reader(writer, lambda: self._pipe_gone(inode))
        return reader

    def close(self) -> None:
        """Release every file; clients that still run keep dead descriptors."""
        self._kernel.remove_reader(self._inotify)
        os.close(self._inotify)
        for inode in list(self._pipes):
            self._pipe_gone(inode)
        for inode, memfd in list(self._memfds.items()):
            self._memfd_gone(inode, memfd)

    def _mappable(self, file: File, memfd: int) -> int:
        """A new opening of ``memfd`` for ``file``, whose memory it is."""
        inode = identity_of(os.fstat(memfd))
        path = f"/proc/self/fd/{memfd}"
        fresh = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.fcntl(fresh, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_RDLCK, 0, 0, 1, 0))
        if inode in self._memfds:
            file.put()  # one reference is enough for all openings
            return fresh
        watch: int = _libc.inotify_add_watch(self._inotify, path.encode(), _IN_CLOSE)
        if watch < 0:
            os.close(fresh)
            raise OSError(ENFILE, "no inotify watches left")
        self._memfds[inode] = _Memfd(file, memfd, watch)
        self._watches[watch] = inode
        self._files[inode] = file
        return fresh

    def _closes(self) -> None:
        """Openings were closed: the inotify descriptor is readable."""
        try:
            data = os.read(self._inotify, 65536)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, _, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            inode = self._watches.get(watch)
            if inode is None:
                continue
            held = self._memfds[inode]
            if not held.held:
                self._memfd_gone(inode, held)

    def _memfd_gone(self, inode: Identity, held: _Memfd) -> None:
        del self._memfds[inode], self._watches[held.watch], self._files[inode]
        _libc.inotify_rm_watch(self._inotify, held.watch)
        self._release(held.file)

    def _pipe_gone(self, inode: Identity) -> None:
        writer = self._pipes.pop(inode)
        self._kernel.remove_reader(writer)
        os.close(writer)
        self._release(self._files.pop(inode))

    def _release(self, file: File) -> None:
        # Releasing may take locks and sleep, which only a task can.
        self._kernel.spawn(file.put, name=f"release-{file.kind}")
