"""Buffers' memory in host files, so that clients can map it."""

from __future__ import annotations

import mmap
import os

from ring3.dma_buf.file import Memory


class HostMemory(mmap.mmap):
    """A mapping of a memfd of its own, which lives as long as the mapping."""

    memfd: int

    def __del__(self) -> None:
        os.close(self.memfd)


def host_memory(offset: int, size: int) -> HostMemory:
    """Zeroed memory of ``size`` bytes (whole pages) in a memfd: the allocator of a device with real
    clients.  ENFILE or EMFILE when this process has too many files open."""
    memfd = os.memfd_create("ring3:buffer", os.MFD_CLOEXEC)
    try:
        os.ftruncate(memfd, size)
        made = HostMemory(memfd, size)
    except BaseException:
        os.close(memfd)
        raise
    made.memfd = memfd
    return made


def memfd_of(memory: Memory) -> int | None:
    """The memfd that ``memory`` is, None if it lies in no file."""
    buffer = getattr(memory, "buffer", None)
    return buffer.memfd if isinstance(buffer, HostMemory) else None
