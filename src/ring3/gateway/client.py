"""A real process as a client of the simulated kernel."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import ESRCH
from pathlib import Path
from typing import TYPE_CHECKING

from ring3.dma_buf.file import EventFd, File, Process, refuse
from ring3.gateway.remote import RemoteMemory, take_descriptor
from ring3.gateway.seccomp import REMEMBERED

if TYPE_CHECKING:
    from ring3.gateway.server import Gateway


_CAP_SYS_NICE = 23


class Client(Process):
    """A real process.  Its memory and its descriptors are the real ones.

    OSError(ESRCH) when there is no such process.
    """

    memory: RemoteMemory

    def __init__(self, gateway: Gateway, pid: int) -> None:
        super().__init__(pid=pid, memory=RemoteMemory(pid))
        self.gateway = gateway
        self._known: dict[int, File] = {}
        #: What threads are about to end, first and last descriptor: from their call until their next.
        self.closing: dict[int, tuple[int, int]] = {}
        try:
            self.folder = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise refuse(ESRCH, f"process {pid} is gone") from None

    @property
    def comm(self) -> str:
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/comm").read_text().removesuffix("\n")
        return ""

    @property
    def privileged(self) -> bool:
        """Whether CAP_SYS_NICE is effective in it.  Nobody is DRM master of a render node."""
        with suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("CapEff:"):
                    return bool(int(line.split()[1], 16) >> _CAP_SYS_NICE & 1)
        return False

    def forget(self) -> None:
        """The process is gone."""
        os.close(self.folder)
        self.folder = -1

    def ours(self, fd: int) -> File | None:
        """The simulated file that ``fd`` is, None for one of the host's.

        Asking the host takes as long as the rest of a call, so low descriptors are remembered; the filter
        passes here whatever could end one.  (Not what another process does with descriptors that it shares,
        clone(2) with CLONE_FILES: the file must still be open, at least.)
        """
        known = self._known.get(fd)
        if known is not None and known.refs:
            return known
        found = self.gateway.handles.of(self.folder, fd)
        ending = any(first <= fd <= last for first, last in self.closing.values())
        if found is not None and fd < REMEMBERED and not ending:
            self._known[fd] = found
        return found

    def ends(self, thread: int, first: int, last: int) -> None:
        """``thread`` is about to close descriptors, or to give them another meaning."""
        self.closing[thread] = first, last
        for fd in [fd for fd in self._known if first <= fd <= last]:
            del self._known[fd]

    def lookup(self, fd: int) -> File | None:
        found = self.ours(fd)
        return self._foreign(fd) if found is None else found

    def install(self, file: File, *, cloexec: bool = True) -> int:
        call = self.gateway.calls[self.gateway.kernel.current]
        fresh = self.gateway.handles.descriptor(file)
        try:
            return call.install(fresh, cloexec)
        finally:
            os.close(fresh)

    def close(self, fd: int) -> None:
        """Nobody can close another process's descriptor; it keeps one too many."""

    def _foreign(self, fd: int) -> File | None:
        """A file of the host's own: an eventfd can be signalled, anything else is only a number."""
        try:
            target = os.readlink(str(fd), dir_fd=self.folder)
        except OSError:
            return None
        if target == "anon_inode:[eventfd]":
            return HostEventFd(take_descriptor(self.pid, fd))
        return File()


class HostEventFd(EventFd):
    """An eventfd of the host, taken from a client."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self.refs = 0  # nobody holds it but who asks for it now

    def signal(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_write(self._fd, 1)

    def __del__(self) -> None:
        os.close(self._fd)
