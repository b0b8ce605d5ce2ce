"""The Panthor device: its parts, address space slots, reset, unplug, open and close."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBUSY, EINVAL
from mmap import PROT_EXEC, PROT_WRITE
from typing import TYPE_CHECKING, Any, Protocol

from ring3.dma_buf.file import refuse
from ring3.drm import gem
from ring3.drm.device import DriverInfo, DrmDevice
from ring3.drm.fdinfo import size_text
from ring3.drm.file import DrmFile
from ring3.drm.gem import GemObject, Pages
from ring3.drm.handles import HandleTable
from ring3.kernel import Kernel, Work, Workqueue
from ring3.mali import Gpu, GpuConfig, PhysicalMemory
from ring3.panthor import ioctls, uapi
from ring3.panthor.bo import ImportedBo, PanthorBo
from ring3.panthor.group import Group, QueueBackend
from ring3.panthor.hardware import Hardware
from ring3.panthor.inject import Injection
from ring3.panthor.pagetable import BLOCK, TablePool
from ring3.panthor.sched import Scheduler
from ring3.panthor.vm import Vm

if TYPE_CHECKING:
    from ring3.panthor.implicit import World

MAX_VMS = 32
MAX_GROUPS = 128
_TABLES_AT = 1 << 30


class AllocationWatcher(Protocol):
    """Hears of every allocation that may sleep."""

    def allocating(self, what: str) -> None: ...


class PanthorFile:
    """What an open file has: its VMs and groups."""

    def __init__(self, client: int) -> None:
        self.client = client
        self.vms: HandleTable[Vm] = HandleTable(MAX_VMS, EBUSY)
        self.groups: HandleTable[Group] = HandleTable(MAX_GROUPS, EBUSY)
        self.mmio_offset = uapi.USER_MMIO_OFFSET_64BIT
        self.implicit: World | None = None  # the old world's state


class PanthorDevice(DrmDevice):
    """A Mali GPU with its driver.

    ``gpu`` is the hardware; ``injection`` orders faults; ``resets`` counts what had to be reset.
    """

    info = DriverInfo("panthor", "Panthor DRM driver", 1, 8)

    def __init__(self, kernel: Kernel, config: GpuConfig | None = None, **settings: Any) -> None:
        super().__init__(kernel, **settings)
        self.memory = PhysicalMemory()
        self.gpu = Gpu(self.memory, clock=kernel.now, config=config)
        self.injection = Injection()
        self.allocation_watchers: list[AllocationWatcher] = []
        self.table_pool = TablePool(self.memory, _TABLES_AT)
        self.dummy = PanthorBo(self, BLOCK)
        self.dummy.pinned = True
        self.queue_backend = QueueBackend(self)
        self.reset_wq = Workqueue.ordered(kernel, "panthor-reset")
        self.cleanup_wq = Workqueue.ordered(kernel, "panthor-cleanup")
        self.sched = Scheduler(self)
        self.hardware = Hardware(self, self.gpu)
        self.resets: list[str] = []
        self._reset_reason: str | None = None
        self._reset_work = Work(kernel, self._reset, name="panthor_device_reset")
        self._spaces: dict[int, Vm] = {}
        self._flush_page = Pages(self.allocate(uapi.USER_MMIO_OFFSET_64BIT, gem.PAGE))
        for ioctl, handler in ioctls.HANDLERS:
            self.register(ioctl, handler)

    def allocating(self, what: str) -> None:
        """Memory is allocated here with GFP_KERNEL; tells those who watch."""
        for watcher in self.allocation_watchers:
            watcher.allocating(what)

    # -- files ------------------------------------------------------------------------------------

    def opened(self, file: DrmFile) -> None:
        file.driver_private = PanthorFile(file.client_id)

    def closed(self, file: DrmFile) -> None:
        private: PanthorFile = file.driver_private
        for group in private.groups.clear():
            self.sched.destroy_group(group)
        for vm in private.vms.clear():
            vm.destroy()

    def gem_closed(self, file: DrmFile, obj: GemObject) -> None:
        private: PanthorFile = file.driver_private
        if private.implicit is not None:
            private.implicit.closed(obj)

    def tells_time(self, cmd: int, argument: bytes) -> bool:
        kind = int.from_bytes(argument[:4], "little")
        return cmd == uapi.DEV_QUERY.number and kind == uapi.DEV_QUERY_TIMESTAMP_INFO

    def work_done(self) -> int | None:
        files: list[PanthorFile] = [file.driver_private for file in self.files]
        groups = (group for file in files for _, group in file.groups)
        busy = any(queue.in_flight for group in groups for queue in group.queues)
        return None if busy else self.hardware.steps

    def show_fdinfo(self, file: DrmFile) -> Iterator[tuple[str, str]]:
        """Panthor's keys, without those of profiling, which is off, and on a GPU whose clock has no rate."""
        private: PanthorFile = file.driver_private
        yield "drm-maxfreq-panthor", "0 Hz"
        yield "drm-curfreq-panthor", "0 Hz"
        resident = active = 0
        for _, group in private.groups:
            resident += group.memory
            active += group.memory if group.slot is not None else 0
        for _, vm in private.vms:
            heaps = vm.heaps.memory if vm.heaps is not None else 0
            resident += heaps
            active += heaps if vm.space is not None else 0
        yield "panthor-resident-memory", size_text(resident)
        yield "panthor-active-memory", size_text(active)

    def import_object(self, dma_buf: Any) -> GemObject:
        return ImportedBo(self, dma_buf)

    def mmap_special(
        self, file: DrmFile, offset: int, size: int, private: bool, prot: int
    ) -> Pages | None:
        user: PanthorFile = file.driver_private
        if offset < user.mmio_offset:
            return None
        if offset != user.mmio_offset or size != gem.PAGE:
            raise refuse(EINVAL, "only the page of LATEST_FLUSH_ID is there")
        if private or prot & (PROT_WRITE | PROT_EXEC):
            raise refuse(EINVAL, "LATEST_FLUSH_ID is mapped MAP_SHARED and to read only")
        return self._flush_page

    # -- memory -----------------------------------------------------------------------------------

    def physical_of(self, obj: GemObject) -> int:
        """Where the GPU sees ``obj``."""
        assert isinstance(obj, PanthorBo)
        obj.pages()
        return obj.physical

    def flush_address_spaces(self) -> None:
        """Every address space forgets what it has cached."""
        for space in self.gpu.address_spaces:
            space.flush()

    def take_space(self, vm: Vm) -> int | None:
        """The hardware address space of ``vm``, got now if need be; None when all are in use.

        Space 0 is the firmware's.
        """
        vm.last_used = self.kernel.now()
        if vm.space is None:
            free = [n for n in range(1, len(self.gpu.address_spaces)) if n not in self._spaces]
            if not free:
                in_use = {group.vm for group in self.sched.slots if group}
                idle = [held for held in self._spaces.values() if held not in in_use]
                if not idle:
                    return None
                oldest = min(idle, key=lambda held: held.last_used)
                free = [oldest.space or 0]
                self.release_space(oldest)
            vm.space = free[0]
            self._spaces[vm.space] = vm
            self.gpu.place(vm.space, vm.translation)
        if vm.translation.page_table != vm.pages.root:
            vm.translation.enable(vm.pages.root)
        return vm.space

    def release_space(self, vm: Vm) -> None:
        """Take ``vm``'s address space away."""
        if vm.space is not None:
            vm.translation.disable()
            del self._spaces[vm.space]
            vm.space = None

    # -- reset and unplug -------------------------------------------------------------------------

    def schedule_reset(self, reason: str) -> None:
        """Reset the GPU soon, in process context."""
        if self._reset_reason is None and not self.unplugged:
            self._reset_reason = reason
            self.reset_wq.queue(self._reset_work)

    def _reset(self) -> None:
        reason, self._reset_reason = self._reset_reason or "asked for", None
        self.resets.append(reason)
        self.kernel.printk(f"panthor: reset: {reason}")
        self.sched.stop_all()
        for vm in list(self._spaces.values()):
            self.release_space(vm)
        self.hardware.reset()
        self.sched.start_all()

    def unplug(self) -> None:
        """The device is gone: every later call gets ENODEV, what was submitted fails, nothing hangs."""
        if self.unplugged:
            return
        self.unplugged = True
        self.reset_wq.flush()
        self.sched.stop_all()
        for file in list(self.files):
            private: PanthorFile = file.driver_private
            for _, group in private.groups:
                with self.sched.lock:
                    group.timedout = True
                group.queue_work(group.term_work)
        self.sched.wq.flush()
        self.hardware.stop_thread()
