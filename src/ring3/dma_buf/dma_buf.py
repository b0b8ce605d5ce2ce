"""dma-buf: a buffer as a file descriptor, shared between drivers and processes.

Semantics of drivers/dma-buf/dma-buf.c (7.2).  EXPORT_SYNC_FILE and IMPORT_SYNC_FILE are where explicit and
implicit synchronisation meet.
"""

from __future__ import annotations

from errno import EINVAL, ENOTTY
from os import SEEK_END, SEEK_SET

from ring3.dma_buf import uapi
from ring3.dma_buf.containers import unwrap
from ring3.dma_buf.file import (
    EPOLLIN,
    EPOLLOUT,
    File,
    Memory,
    Process,
    Wake,
    install_and_tell,
    read_struct,
    refuse,
)
from ring3.dma_buf.resv import DmaResv, Usage, usage_rw
from ring3.dma_buf.sync_file import SyncFile, sync_file_of


class DmaBuf(File):
    """A shared buffer of ``size`` bytes.  An exporter subclasses it for what only it knows of its memory.

    ``writable`` says whether user space may map it to write.
    """

    kind = "dma-buf"

    def __init__(
        self, resv: DmaResv, memory: Memory | None, size: int, *, writable: bool = True
    ) -> None:
        super().__init__()
        self.resv = resv
        self.memory = memory
        self.size = size
        self.writable = writable
        self.name = b""

    def begin_cpu_access(self, write: bool) -> None:
        """The CPU is about to look; the default waits for whoever writes (or uses) the buffer."""
        self.resv.wait(usage_rw(write), interruptible=True)

    def end_cpu_access(self, write: bool) -> None:
        """The CPU is done."""

    def poll(self) -> int:
        ready = 0
        if self.resv.test_signaled(usage_rw(False)):
            ready |= EPOLLIN
        if self.resv.test_signaled(usage_rw(True)):
            ready |= EPOLLOUT
        return ready

    def on_ready(self, events: int, wake: Wake) -> None:
        for fence in self.resv.get_fences(usage_rw(bool(events & EPOLLOUT))):
            if fence.add_callback(lambda _: wake()):
                return
        wake()

    def llseek(self, offset: int, whence: int) -> int:
        """Only to the start and to the end, which tells the size."""
        if whence not in (SEEK_SET, SEEK_END) or offset:
            raise refuse(EINVAL, f"lseek({offset}, {whence}): a dma-buf only tells its size")
        return self.size if whence == SEEK_END else 0

    def mmap(self, offset: int, size: int, *, private: bool = False, prot: int = 0) -> Memory:
        if self.memory is None:
            raise refuse(EINVAL, "the exporter does not let its memory be mapped")
        if offset + size > self.size:
            raise refuse(EINVAL, f"the mapping ends beyond the buffer's {self.size} bytes")
        return self.memory

    def serve(self, process: Process, cmd: int, arg: int) -> int:
        if cmd == uapi.DMA_BUF_IOCTL_SYNC.number:
            return self._sync(process, arg)
        if cmd in (uapi.DMA_BUF_SET_NAME_A.number, uapi.DMA_BUF_SET_NAME_B.number):
            self.name = user_string(process, arg, uapi.DMA_BUF_NAME_LEN)
            return 0
        if cmd == uapi.DMA_BUF_IOCTL_EXPORT_SYNC_FILE.number:
            return self._export_sync_file(process, arg)
        if cmd == uapi.DMA_BUF_IOCTL_IMPORT_SYNC_FILE.number:
            return self._import_sync_file(process, arg)
        raise refuse(ENOTTY, f"a dma-buf has no ioctl {cmd:#x}")

    def _sync(self, process: Process, arg: int) -> int:
        flags = read_struct(process, uapi.DmaBufSync, arg).flags
        if flags & ~(uapi.DMA_BUF_SYNC_RW | uapi.DMA_BUF_SYNC_END):
            raise refuse(EINVAL, f"DMA_BUF_IOCTL_SYNC: unknown flags {flags:#x}")
        if not flags & uapi.DMA_BUF_SYNC_RW:
            raise refuse(EINVAL, "DMA_BUF_IOCTL_SYNC: neither READ nor WRITE")
        write = bool(flags & uapi.DMA_BUF_SYNC_WRITE)
        if flags & uapi.DMA_BUF_SYNC_END:
            self.end_cpu_access(write)
        else:
            self.begin_cpu_access(write)
        return 0

    def _export_sync_file(self, process: Process, arg: int) -> int:
        data = read_struct(process, uapi.DmaBufExportSyncFile, arg)
        _check_direction("EXPORT_SYNC_FILE", data.flags)
        fence = self.resv.get_singleton(usage_rw(bool(data.flags & uapi.DMA_BUF_SYNC_WRITE)))
        install_and_tell(process, SyncFile(fence or self.resv.core.stub), data, "fd", arg)
        return 0

    def _import_sync_file(self, process: Process, arg: int) -> int:
        data = read_struct(process, uapi.DmaBufImportSyncFile, arg)
        _check_direction("IMPORT_SYNC_FILE", data.flags)
        fence = sync_file_of(process, data.fd, EINVAL).fence
        usage = Usage.WRITE if data.flags & uapi.DMA_BUF_SYNC_WRITE else Usage.READ
        inside = list(unwrap(fence))
        with self.resv.locked():
            self.resv.reserve_fences(len(inside))
            for simple in inside:
                self.resv.add_fence(simple, usage)
        return 0


def _check_direction(name: str, flags: int) -> None:
    if flags & ~uapi.DMA_BUF_SYNC_RW or not flags:
        raise refuse(EINVAL, f"DMA_BUF_IOCTL_{name}: flags {flags:#x}, not READ, WRITE or both")


def user_string(process: Process, address: int, limit: int) -> bytes:
    """A NUL-terminated string of fewer than ``limit`` bytes, its NUL counted; EINVAL if it is longer."""
    text = b""
    while len(text) < limit:
        # Up to the end of the page: what follows the NUL may not be mapped.
        size = min(limit - len(text), 4096 - (address + len(text)) % 4096)
        piece = _readable(process, address + len(text), size)
        text += piece
        if b"\0" in piece:
            return text.split(b"\0", 1)[0]
    raise refuse(EINVAL, f"the string has more than {limit - 1} bytes")


def _readable(process: Process, address: int, size: int) -> bytes:
    """``size`` bytes, or as many up to a NUL as can be read; EFAULT when it ends without one."""
    try:
        return process.memory.copy_from_user(address, size)
    except OSError:
        if size == 1:
            raise
    text = b""
    while len(text) < size and b"\0" not in text:
        text += process.memory.copy_from_user(address + len(text), 1)
    return text
