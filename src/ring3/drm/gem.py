"""GEM: buffer objects, their handles in each file, their memory, PRIME sharing.

Semantics of drivers/gpu/drm/drm_gem.c and drm_prime.c (7.2).
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from errno import EINVAL, ENOENT, ENOSYS
from typing import TYPE_CHECKING

from ring3.dma_buf.dma_buf import DmaBuf
from ring3.dma_buf.file import refuse
from ring3.dma_buf.resv import DmaResv

if TYPE_CHECKING:
    from ring3.drm.device import DrmDevice
    from ring3.drm.file import DrmFile

PAGE = 4096
#: Where the offsets for mmap begin (DRM_FILE_PAGE_OFFSET_START of a 64-bit kernel, in bytes).
FIRST_OFFSET = 0x1_0000_0000
#: (DRM_FILE_PAGE_OFFSET_SIZE more: just under 1 TiB of buffers.)
LAST_OFFSET = FIRST_OFFSET + (0xFFFF_FFFF >> 12) * 256 * PAGE

#: Makes the memory of ``size`` bytes whose file offset is ``offset``.
Allocator = Callable[[int, int], mmap.mmap]


def anonymous_memory(offset: int, size: int) -> mmap.mmap:
    """Memory of this process, zeroed, that costs nothing until it is touched."""
    return mmap.mmap(-1, size)


class Pages:
    """A buffer's memory."""

    def __init__(self, buffer: mmap.mmap) -> None:
        self.buffer = buffer
        self.size = len(buffer)

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes at ``offset``."""
        return self.buffer[offset : offset + size]

    def write(self, offset: int, data: bytes) -> None:
        """Write ``data`` at ``offset``."""
        self.buffer[offset : offset + len(data)] = data


class GemObject:
    """A buffer of ``size`` bytes (whole pages).

    ``resv`` is its own unless it shares another's.  Its memory comes with the first use; device-wide,
    ``offset`` is where user space maps it.
    """

    def __init__(self, device: DrmDevice, size: int, resv: DmaResv | None = None) -> None:
        assert size > 0 and size % PAGE == 0, "whole pages"
        self.device = device
        self.size = size
        self.own_resv = DmaResv(device.fences)
        self.resv = resv or self.own_resv
        self.handle_count = 0
        self.dma_buf: GemDmaBuf | None = None
        self._kept: GemDmaBuf | None = None
        self.import_source: DmaBuf | None = None
        self.label = ""
        self._pages: Pages | None = None
        self._offset: int | None = None

    @property
    def offset(self) -> int:
        """The file offset at which it is mapped; the driver says whether it may be."""
        return self.need_offset()

    def need_offset(self) -> int:
        """Its file offset, reserved now if it has none; ENOSPC when all are taken."""
        if self._offset is None:
            self._offset = self.device.reserve_offset(self)
        return self._offset

    @property
    def resident(self) -> bool:
        """Whether it has memory now; somebody else's always has."""
        return self._pages is not None or self.import_source is not None

    @property
    def shared(self) -> bool:
        """Whether more than one handle or a dma-buf knows it (drm_gem_object_is_shared_for_memory_stats)."""
        return self.handle_count > 1 or (self.dma_buf or self.import_source) is not None

    def pages(self) -> Pages:
        """Its memory, got now if it has none.  ENOMEM."""
        if self._pages is None:
            self._pages = self.get_memory()
        return self._pages

    def drop_pages(self) -> None:
        """Give the memory back; its content is lost."""
        if self._pages is not None:
            self.put_memory(self._pages)
            self._pages = None

    def get_memory(self) -> Pages:
        """Where :meth:`pages` has it from: the device.  ENOMEM."""
        return self.device.allocate_pages(self.offset, self.size)

    def put_memory(self, memory: Pages) -> None:
        """Give back what :meth:`get_memory` got."""
        self.device.free_pages(memory)

    def check_mmap(self, private: bool) -> None:
        """Raises EINVAL when the driver does not let user space map it, or not as a copy of its own."""
        if private:
            raise refuse(EINVAL, "a buffer is mapped MAP_SHARED")

    def check_export(self) -> None:
        """Raises EINVAL when the driver does not share it."""

    def keep(self, dma_buf: GemDmaBuf) -> None:
        """Hold on to its dma-buf, exported or imported again, as long as there are handles."""
        if self._kept is None:
            self._kept = dma_buf
            dma_buf.get()

    def let_go(self) -> None:
        """The last handle is gone, and with it what :meth:`keep` holds."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.put()  # its release frees the object
        else:
            self.maybe_free()

    def handle_gone(self) -> None:
        """The last handle of all files was closed."""

    def maybe_free(self) -> None:
        """Free it when neither a handle nor a dma-buf nor the driver (:meth:`busy`) holds it."""
        if self.handle_count == 0 and self.dma_buf is None and not self.busy():
            self.free()

    def busy(self) -> bool:
        """The driver still needs it: it is mapped somewhere, or an engine uses it."""
        return False

    def free(self) -> None:
        """Nobody refers to it any more."""
        self.drop_pages()
        if self._offset is not None:
            self.device.release_offset(self._offset)
            self._offset = None
        if self.import_source is not None:
            self.import_source.put()
            self.import_source = None


class GemDmaBuf(DmaBuf):
    """A GEM object as a dma-buf."""

    def __init__(self, obj: GemObject, *, writable: bool = True) -> None:
        super().__init__(obj.resv, None, obj.size, writable=writable)
        self.obj = obj

    def mmap(self, offset: int, size: int, *, private: bool = False, prot: int = 0) -> Pages:
        self.obj.check_mmap(private)
        if offset + size > self.obj.size:
            raise refuse(EINVAL, f"the mapping ends beyond the buffer's {self.obj.size} bytes")
        return self.obj.pages()

    def release(self) -> None:
        self.obj.dma_buf = None
        self.obj.maybe_free()


class ImportedObject(GemObject):
    """A GEM object around another driver's dma-buf."""

    def __init__(self, device: DrmDevice, source: DmaBuf) -> None:
        memory = source.memory
        if isinstance(source, GemDmaBuf):
            memory = source.obj.pages()
        if not isinstance(memory, Pages):
            raise refuse(ENOSYS, "the exporter's memory cannot be attached to this device")
        super().__init__(device, memory.size)
        self.resv = source.resv
        self.import_source = source
        source.get()
        self._exporters = memory

    def get_memory(self) -> Pages:
        return self._exporters

    def put_memory(self, memory: Pages) -> None:
        """It is the exporter's."""


def handle_create(file: DrmFile, obj: GemObject) -> int:
    """A handle for ``obj`` in ``file``."""
    handle = file.objects.add(obj)
    obj.handle_count += 1
    return handle


def handle_delete(file: DrmFile, handle: int) -> None:
    """GEM_CLOSE: EINVAL if there is no such handle."""
    handle_dropped(file, file.objects.remove(handle))


def handle_dropped(file: DrmFile, obj: GemObject) -> None:
    """A handle of ``obj`` has left ``file``'s table."""
    obj.handle_count -= 1
    file.device.gem_closed(file, obj)
    if obj.handle_count == 0:
        obj.handle_gone()
        obj.let_go()


def export(file: DrmFile, handle: int, *, writable: bool = True) -> GemDmaBuf:
    """The dma-buf of ``handle``, one an object, as the first export asked for it; a reference for the
    caller."""
    obj = file.objects.get(handle, ENOENT)
    obj.check_export()
    if obj.import_source is not None and isinstance(obj.import_source, GemDmaBuf):
        obj.import_source.get()
        return obj.import_source
    if obj.dma_buf is not None:
        obj.dma_buf.get()
    else:
        obj.dma_buf = GemDmaBuf(obj, writable=writable)
    obj.keep(obj.dma_buf)
    return obj.dma_buf


def import_(file: DrmFile, dma_buf: DmaBuf) -> int:
    """The handle under which ``file`` knows ``dma_buf``, made if need be."""
    if isinstance(dma_buf, GemDmaBuf) and dma_buf.obj.device is file.device:
        obj: GemObject = dma_buf.obj
    else:
        obj = file.device.imported(dma_buf)
    known = file.objects.find(obj)
    handle = known if known is not None else handle_create(file, obj)
    if isinstance(dma_buf, GemDmaBuf) and dma_buf.obj is obj:
        obj.keep(dma_buf)
    return handle
