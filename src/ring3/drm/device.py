"""A DRM device: its driver's table of ioctls, the offsets of its buffers, its open files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from errno import EACCES, EINVAL, ENODEV, ENOMEM
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ring3.dma_buf.cstruct import CStruct, Ioctl
from ring3.dma_buf.dma_buf import DmaBuf
from ring3.dma_buf.fence import Fences
from ring3.dma_buf.file import Process, refuse
from ring3.drm import gem
from ring3.drm.ranges import RangeAllocator
from ring3.kernel.core import Kernel

if TYPE_CHECKING:
    from ring3.drm.file import DrmFile
    from ring3.drm.record import Recorder

#: What an ioctl does: (file, process, argument) -> 0, or a positive result.  It changes the argument's
#: fields for the way out and raises OSError.
Handler = Callable[["DrmFile", Process, Any], int | None]

#: A command number's argument type, its handler, and the bytes of argument that go in and come out.
Plan = tuple[type[CStruct], Handler, int, int]


@dataclass(frozen=True)
class DriverInfo:
    """What VERSION and GET_CAP say."""

    name: str
    description: str
    major: int
    minor: int
    date: str = "0"
    syncobj: bool = True
    syncobj_timeline: bool = True


class DrmDevice:
    """One device with a render node.  A driver subclasses it.

    ``allocate`` makes buffers' memory; the gateway hands out memory that its clients can map.
    ``memory_limit`` (bytes) is what all buffers together may take; beyond it they get ENOMEM.
    """

    info = DriverInfo("none", "no driver", 0, 0)

    def __init__(
        self,
        kernel: Kernel,
        *,
        allocate: gem.Allocator = gem.anonymous_memory,
        memory_limit: int = 4 << 30,
    ) -> None:
        self.kernel = kernel
        self.fences = Fences.of(kernel)
        self.allocate = allocate
        self.memory_limit = memory_limit
        self.memory_used = 0
        self.files: list[DrmFile] = []
        self.opens = 0
        self.unplugged = False
        self.recorder: Recorder | None = None
        self.ioctls: dict[int, tuple[Ioctl, Handler]] = {}
        self.plans: dict[int, Plan] = {}  # by command number, made at its first use
        self._offsets = RangeAllocator(gem.FIRST_OFFSET, gem.LAST_OFFSET)
        self._objects: dict[int, gem.GemObject] = {}
        self._imports: WeakValueDictionary[int, gem.GemObject] = WeakValueDictionary()

    def register(self, ioctl: Ioctl, handler: Handler) -> None:
        """Serve ``ioctl``."""
        self.ioctls[ioctl.nr] = ioctl, handler
        self.plans.clear()

    # -- the driver's hooks -----------------------------------------------------------------------

    def opened(self, file: DrmFile) -> None:
        """A new open file; the driver keeps its own state in ``file.driver_private``."""

    def closed(self, file: DrmFile) -> None:
        """The last descriptor of ``file`` is gone; whatever is still in it goes, too."""

    def gem_closed(self, file: DrmFile, obj: gem.GemObject) -> None:
        """A handle of ``obj`` was closed in ``file``."""

    def import_object(self, dma_buf: DmaBuf) -> gem.GemObject:
        """An object around another device's buffer."""
        return gem.ImportedObject(self, dma_buf)

    def mmap_special(
        self, file: DrmFile, offset: int, size: int, private: bool, prot: int
    ) -> gem.Pages | None:
        """Memory of the device itself at file ``offset``, or None.  EINVAL."""
        return None

    def tells_time(self, cmd: int, argument: bytes) -> bool:
        """Whether an ioctl of the driver's answers with what time it is."""
        return False

    def work_done(self) -> int | None:
        """How much the hardware has executed so far, None while it is at it."""
        return 0

    def show_fdinfo(self, file: DrmFile) -> Iterable[tuple[str, str]]:
        """The driver's own keys and values in the file's fdinfo."""
        return ()

    # -- buffers ----------------------------------------------------------------------------------

    def imported(self, dma_buf: DmaBuf) -> gem.GemObject:
        """The object for a foreign dma-buf; the same one while it lives."""
        known = self._imports.get(id(dma_buf))
        if known is None or known.import_source is not dma_buf:
            known = self._imports[id(dma_buf)] = self.import_object(dma_buf)
        return known

    def reserve_offset(self, obj: gem.GemObject) -> int:
        """A range of the device's file offsets for ``obj``."""
        at = self._offsets.allocate(obj.size)
        self._objects[at] = obj
        return at

    def release_offset(self, offset: int) -> None:
        """Give the range at ``offset`` back."""
        self._offsets.release(offset)
        del self._objects[offset]

    def objects(self) -> list[tuple[int, gem.GemObject]]:
        """(file offset, buffer) of every buffer that has an offset."""
        return sorted(self._objects.items())

    def object_at(self, offset: int) -> tuple[gem.GemObject, int]:
        """The buffer mapped at ``offset`` and the offset in it; EINVAL."""
        start = self._offsets.find(offset)
        if start is None:
            raise refuse(EINVAL, f"no buffer is mapped at offset {offset:#x}")
        return self._objects[start], offset - start

    def allocate_pages(self, offset: int, size: int) -> gem.Pages:
        """Memory for a buffer; ENOMEM when the device's limit or the machine says so."""
        if self.memory_used + size > self.memory_limit:
            raise refuse(ENOMEM, f"{size} bytes are more than the device has left")
        try:
            pages = gem.Pages(self.allocate(offset, size))
        except (OSError, OverflowError, ValueError) as error:
            raise refuse(ENOMEM, f"no memory for {size} bytes: {error}") from None
        self.memory_used += size
        return pages

    def free_pages(self, pages: gem.Pages) -> None:
        """Take memory back."""
        self.memory_used -= pages.size

    # -- access -----------------------------------------------------------------------------------

    def check_alive(self) -> None:
        """ENODEV once the device is gone."""
        if self.unplugged:
            raise refuse(ENODEV, "the device is unplugged")

    def check_access(self, file: DrmFile, offset: int, obj: gem.GemObject) -> None:
        """EACCES unless ``file`` has a handle of ``obj``, as drm_vma_node_is_allowed asks."""
        if file.objects.find(obj) is None:
            raise refuse(EACCES, f"the buffer at {offset:#x} is not this file's")
