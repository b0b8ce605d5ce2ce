"""Panthor's buffer objects, and those that the driver itself maps into a VM."""

from __future__ import annotations

import zlib
from errno import EINVAL, EPERM
from typing import TYPE_CHECKING

from ring3.dma_buf.file import refuse
from ring3.drm.gem import GemObject, ImportedObject, Pages
from ring3.panthor import uapi

if TYPE_CHECKING:
    from ring3.panthor.device import PanthorDevice
    from ring3.panthor.vm import Vm


class PanthorBo(GemObject):
    """A buffer that VMs map.  ``exclusive`` is the one VM that may, whose reservation it shares."""

    device: PanthorDevice

    def __init__(
        self, device: PanthorDevice, size: int, flags: int = 0, exclusive: Vm | None = None
    ) -> None:
        super().__init__(device, size, exclusive.resv if exclusive else None)
        self.flags = flags
        self.exclusive = exclusive
        #: How many mappings of which VM show it.
        self.mapped_in: dict[Vm, int] = {}
        self.cpu_mapped = False
        self.pinned = False  # the driver's own: never evicted
        self.swap: bytes | None = None  # its content while it is evicted

    def pages(self) -> Pages:
        fresh = self._pages is None
        pages = super().pages()
        if fresh:
            if self.swap is not None:
                pages.write(0, zlib.decompress(self.swap))
                self.swap = None
            self.device.memory.add(self.physical, pages.buffer)
        return pages

    def evictable(self) -> bool:
        """It may leave memory when nobody uses it: not what the CPU maps, others share or firmware needs."""
        shared = self.dma_buf is not None or self.import_source is not None
        return self.resident and not (self.pinned or self.cpu_mapped or shared)

    def drop_pages(self) -> None:
        if self._pages is not None:
            self.device.memory.remove(self.physical)
            # What the GPU has cached of it would keep it alive and readable.
            self.device.flush_address_spaces()
        super().drop_pages()

    @property
    def physical(self) -> int:
        """Where the GPU's memory has it: file offsets are unique, so they serve."""
        return self.offset

    def busy(self) -> bool:
        return bool(self.mapped_in)

    def check_mmap(self, private: bool) -> None:
        super().check_mmap(private)
        self.cpu_mapped = True

    def check_mmap_offset(self) -> None:
        """What BO_MMAP_OFFSET refuses.  (7.2 does map a NO_MMAP buffer for who guesses the offset.)"""
        if self.flags & uapi.BO_NO_MMAP:
            raise refuse(EPERM, "the buffer was created with NO_MMAP")

    def check_export(self) -> None:
        if self.exclusive is not None:
            raise refuse(EINVAL, "a buffer of one VM alone cannot be shared")

    def mapped(self, vm: Vm) -> None:
        """One more mapping of it in ``vm``."""
        self.mapped_in[vm] = self.mapped_in.get(vm, 0) + 1

    def unmapped(self, vm: Vm) -> None:
        """One mapping less."""
        left = self.mapped_in[vm] - 1
        if left:
            self.mapped_in[vm] = left
        else:
            del self.mapped_in[vm]
            self.maybe_free()


class ImportedBo(ImportedObject, PanthorBo):
    """Another device's buffer, which the GPU sees where the exporter keeps it."""


class KernelBo:
    """A buffer of the driver's in the kernel's part of a VM's addresses."""

    def __init__(self, vm: Vm, size: int, flags: int, label: str) -> None:
        self.vm = vm
        self.bo = PanthorBo(vm.device, -(-size // 4096) * 4096, uapi.BO_NO_MMAP, vm)
        self.bo.label = label
        self.bo.pinned = True
        self.va = vm.kernel_va.allocate(self.bo.size, 4096)
        try:
            self.buffer = self.bo.pages().buffer
        except OSError:
            vm.kernel_va.release(self.va)
            self.bo.free()
            raise
        vm.map_kernel(self.bo, self.va, flags)

    def destroy(self) -> None:
        """Unmap and free it."""
        del self.buffer  # who still knows the driver's object shall not keep the memory
        self.vm.unmap_kernel(self.va, self.bo.size)
        self.vm.kernel_va.release(self.va)
