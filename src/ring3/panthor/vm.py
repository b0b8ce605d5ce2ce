"""GPU virtual address spaces: VM_BIND, page tables, the hardware's address space slots.

A bind is prepared while it may still fail (arguments, memory, page tables) and executed when its turn has
come, by the caller (sync) or by the VM's scheduler (async).  Rules of drivers/gpu/drm/panthor/
panthor_mmu.c (7.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import EINVAL, ENOENT
from typing import TYPE_CHECKING

from ring3.dma_buf.fence import DmaFence
from ring3.dma_buf.file import refuse
from ring3.dma_buf.resv import DmaResv, Usage
from ring3.drm.exec import Exec
from ring3.drm.gem import PAGE, GemObject
from ring3.drm.gpuvm import GpuVa, GpuVm, Map, Op, Remap
from ring3.drm.ranges import RangeAllocator
from ring3.drm.sched import Entity, GpuScheduler, Job, Priority, TimeoutStatus
from ring3.kernel import Mutex, Work
from ring3.mali.mmu import AddressSpace
from ring3.panthor import uapi
from ring3.panthor.bo import KernelBo, PanthorBo
from ring3.panthor.heap import HeapPool
from ring3.panthor.pagetable import BLOCK, EXECUTE_NEVER, READ_ONLY, PageTable

if TYPE_CHECKING:
    from ring3.drm.file import DrmFile
    from ring3.panthor.device import PanthorDevice

MIN_KERNEL_VA = 256 << 20
_TASK_SIZE = (1 << 47) - PAGE
_MAP_FLAGS = uapi.OP_MAP_READONLY | uapi.OP_MAP_NOEXEC | uapi.OP_MAP_UNCACHED | uapi.OP_MAP_SPARSE


@dataclass
class Bind:
    """A prepared operation.  ``bo`` is what a map shows, with a reference held by ``pinned``."""

    kind: int
    va: int
    size: int
    bo: GemObject | None = None
    offset: int = 0
    flags: int = 0


class VmRoot(GemObject):
    """The object whose reservation a VM and its exclusive buffers share."""


class Vm:
    """One address space.  ``user_va_range`` is what user space may map; the kernel has the rest."""

    def __init__(self, device: PanthorDevice, requested_va_range: int) -> None:
        self.device = device
        full = 1 << (device.gpu.config.mmu_features & 0xFF)
        user = min(requested_va_range or _TASK_SIZE, full - MIN_KERNEL_VA)
        if requested_va_range > user:
            raise refuse(EINVAL, f"user_va_range {requested_va_range:#x} leaves the kernel nothing")
        kernel_range = 1 << ((full - user).bit_length() - 1)
        self.user_va_range = full - kernel_range
        self.kernel_va = RangeAllocator(self.user_va_range, full)
        self.gpuvm = GpuVm(0, full)
        self.root = VmRoot(device, PAGE)
        self.pages = PageTable(device.table_pool)
        self.op_lock = Mutex(device.kernel, "panthor_vm.op_lock")
        self.unusable = False
        self.destroyed = False
        self.heaps: HeapPool | None = None
        self.heaps_lock = Mutex(device.kernel, "panthor_vm.heaps.lock")
        self.refs = 1  # of its handle, one a group, one a bind job and one a call that uses it
        self.release_work = Work(device.kernel, self._release, name="panthor_vm_release")
        #: The number of the hardware's address space while it has one, and what is there then.
        self.space: int | None = None
        self.translation = AddressSpace(0, device.memory)
        self.last_used = 0
        self._external: list[GemObject] | None = None
        self.evicted: list[PanthorBo] = []
        self.sched = GpuScheduler(
            device.kernel, _BindBackend(), name="panthor-vm-bind", credit_limit=1, priorities=1
        )
        self.entity = Entity(Priority.KERNEL, [self.sched])

    @property
    def resv(self) -> DmaResv:
        """The reservation of the VM and of its exclusive buffers."""
        return self.root.resv

    # -- preparing --------------------------------------------------------------------------------

    def check_usable(self) -> None:
        """EINVAL once the VM is destroyed or a bind has failed."""
        if self.destroyed or self.unusable:
            raise refuse(EINVAL, "the VM is destroyed, or unusable since a bind failed")

    def prepare(self, file: DrmFile, op: uapi.VmBindOp) -> Bind:
        """Check an operation and get all it needs.  EINVAL, ENOMEM."""
        if (op.va | op.size | op.bo_offset) % PAGE:
            raise refuse(EINVAL, "VM_BIND: va, size and bo_offset are whole pages")
        if op.va >= self.user_va_range or op.va + op.size > self.user_va_range:
            raise refuse(EINVAL, f"VM_BIND: {op.va:#x}+{op.size:#x} is not all user address space")
        kind = op.flags & uapi.OP_TYPE_MASK
        if kind == uapi.OP_TYPE_MAP:
            return self._prepare_map(file, op)
        if kind not in (uapi.OP_TYPE_UNMAP, uapi.OP_TYPE_SYNC_ONLY):
            raise refuse(EINVAL, f"VM_BIND: unknown type {op.flags:#x}")
        if op.flags & ~uapi.OP_TYPE_MASK or op.bo_handle or op.bo_offset:
            raise refuse(EINVAL, "VM_BIND: UNMAP and SYNC_ONLY have no flags and no buffer")
        if kind == uapi.OP_TYPE_SYNC_ONLY and (op.va or op.size or not op.syncs.count):
            raise refuse(EINVAL, "VM_BIND: SYNC_ONLY has syncs and no range")
        self.device.allocating("page tables for an unmap")
        return Bind(kind, op.va, op.size)

    def _prepare_map(self, file: DrmFile, op: uapi.VmBindOp) -> Bind:
        sparse = bool(op.flags & uapi.OP_MAP_SPARSE)
        bo: GemObject = self.device.dummy if sparse else file.objects.get(op.bo_handle, EINVAL)
        if op.flags & ~_MAP_FLAGS:
            raise refuse(EINVAL, f"VM_BIND: unknown flags {op.flags & ~_MAP_FLAGS:#x}")
        if sparse and not op.flags & uapi.OP_MAP_NOEXEC:
            raise refuse(EINVAL, "VM_BIND: SPARSE needs NOEXEC")
        if sparse and (op.bo_handle or op.bo_offset):
            raise refuse(EINVAL, "VM_BIND: SPARSE has no buffer")
        if not sparse and op.bo_offset + op.size > bo.size:
            raise refuse(EINVAL, f"VM_BIND: ends beyond the buffer's {bo.size} bytes")
        if isinstance(bo, PanthorBo) and bo.exclusive not in (None, self):
            raise refuse(EINVAL, "VM_BIND: the buffer belongs to another VM")
        self.device.allocating("page tables and mappings for a map")
        bo.pages()
        return Bind(uapi.OP_TYPE_MAP, op.va, op.size, bo, op.bo_offset, op.flags & _MAP_FLAGS)

    # -- executing --------------------------------------------------------------------------------

    def execute(self, bind: Bind, *, unusable_on_failure: bool = False) -> None:
        """Do it.  In the signalling path: no allocation, no reservation lock.

        An asynchronous one is ``unusable_on_failure``: nobody would hear of it otherwise.
        """
        if bind.kind == uapi.OP_TYPE_SYNC_ONLY:
            return
        with self.op_lock:
            try:
                if unusable_on_failure and self.device.injection.take("bind"):
                    raise refuse(EINVAL, "injected: the bind fails")
                if bind.kind == uapi.OP_TYPE_MAP:
                    if self.unusable:
                        raise refuse(EINVAL, "the VM is unusable since a bind failed")
                    va = GpuVa(bind.va, bind.size, bind.bo, bind.offset, bind.flags)
                    self._apply(self.gpuvm.sm_map(va))
                else:
                    self._apply(self.gpuvm.sm_unmap(bind.va, bind.size))
            except OSError:
                self.unusable = self.unusable or unusable_on_failure
                raise
            finally:
                self.flush()

    def _apply(self, ops: list[Op]) -> None:
        self._external = None
        for op in ops:
            self.gpuvm.apply(op)
            if isinstance(op, Map):
                self._show(op.va, op.va.addr, op.va.end)
                self._count(op.va, +1)
                continue
            if isinstance(op, Remap):
                start, end = op.hole
                unmap = op.unmap
                self.pages.unmap(start, end - start)
                for part in (op.prev, op.next):
                    if part is not None:
                        self._count(part, +1)
            else:
                unmap = op
                if not op.keep:
                    self.pages.unmap(op.va.addr, op.va.size)
            self._count(unmap.va, -1)

    def _count(self, va: GpuVa, step: int) -> None:
        if isinstance(va.obj, PanthorBo):
            if step > 0:
                va.obj.mapped(self)
            else:
                va.obj.unmapped(self)

    def _show(self, va: GpuVa, start: int, end: int) -> None:
        """Write the page table entries of a mapping."""
        attributes = (READ_ONLY if va.flags & uapi.OP_MAP_READONLY else 0) | (
            EXECUTE_NEVER if va.flags & uapi.OP_MAP_NOEXEC else 0
        )
        if va.flags & uapi.OP_MAP_SPARSE:
            # All of it shows the one dummy buffer again and again.
            while start < end:
                run = min(end - start, BLOCK - start % BLOCK)
                self.pages.map(start, self.device.dummy.physical, run, attributes)
                start += run
            return
        assert va.obj is not None
        physical = self.device.physical_of(va.obj)
        self.pages.map(start, physical + va.offset + start - va.addr, end - start, attributes)

    def map_kernel(self, bo: PanthorBo, va: int, flags: int) -> None:
        """Map a buffer of the driver's."""
        with self.op_lock:
            self._apply(self.gpuvm.sm_map(GpuVa(va, bo.size, bo, 0, flags)))
        self.flush()

    def unmap_kernel(self, va: int, size: int) -> None:
        """Undo :meth:`map_kernel`."""
        with self.op_lock:
            self._apply(self.gpuvm.sm_unmap(va, size))
        self.flush()

    def read(self, address: int, size: int) -> int:
        """The number of ``size`` bytes at a GPU address, 0 where nothing is mapped."""
        va = self.gpuvm.find(address)
        if va is None or va.obj is None or address + size > va.end:
            return 0
        data = va.obj.pages().read(va.offset + address - va.addr, size)
        return int.from_bytes(data, "little")

    def flush(self) -> None:
        """The GPU forgets what it knew of the tables."""
        if self.space is not None:
            self.device.gpu.address_spaces[self.space].flush()

    def hide(self, bo: PanthorBo) -> None:
        """``bo`` is evicted: take its page table entries away.  ``op_lock`` held."""
        for va in self.gpuvm:
            if va.obj is bo:
                self.pages.unmap(va.addr, va.size)
        self.evicted.append(bo)
        self.flush()

    def validate(self) -> None:
        """Bring evicted buffers back before a job may need them.  ENOMEM; the reservation is held."""
        if not self.evicted:
            return
        with self.op_lock:
            while self.evicted:
                bo = self.evicted[-1]
                if self not in bo.mapped_in:  # unmapped meanwhile
                    self.evicted.pop()
                    continue
                self.device.allocating("memory of an evicted buffer")
                bo.pages()
                self.evicted.pop()
                for va in self.gpuvm:
                    if va.obj is bo:
                        self._show(va, va.addr, va.end)
        self.flush()

    def heap_pool(self, *, create: bool) -> HeapPool:
        """The pool of its heaps, made now if there is none.  ENOENT, or EINVAL once the VM is destroyed."""
        with self.heaps_lock:
            if self.heaps is None:
                if not create:
                    raise refuse(ENOENT, "the VM has no heaps")
                if self.destroyed:
                    raise refuse(EINVAL, "the VM is destroyed")
                self.heaps = HeapPool(self)
            return self.heaps

    # -- reservations -----------------------------------------------------------------------------

    def external_objects(self) -> list[GemObject]:
        """Buffers mapped here that have reservations of their own, each once."""
        if self._external is None:
            seen: dict[int, GemObject] = {}
            for va in self.gpuvm:
                if va.obj is not None and va.obj.resv is not self.resv:
                    seen.setdefault(id(va.obj.resv), va.obj)
            self._external = list(seen.values())
        return self._external

    def prepare_resvs(self, locks: Exec, slots: int) -> None:
        """Lock the VM and every buffer in it, with room for ``slots`` fences each."""
        locks.prepare(self.root, slots)
        for obj in self.external_objects():
            locks.prepare(obj, slots)
        self.validate()

    # -- the end ----------------------------------------------------------------------------------

    def destroy(self) -> None:
        """VM_DESTROY: unmap everything; what still runs keeps the rest alive."""
        self.destroyed = True
        with self.heaps_lock:
            if self.heaps is not None:
                self.heaps.destroy()
                self.heaps = None
        with self.op_lock:
            if self.user_va_range:
                self._apply(self.gpuvm.sm_unmap(0, self.user_va_range))
        self.flush()
        self.put()

    def get(self) -> None:
        """One more group, bind job or call needs the VM."""
        self.refs += 1

    def put(self) -> None:
        """One less; the last gives tables and slot back, where it may sleep."""
        self.refs -= 1
        if self.refs == 0:
            self.device.cleanup_wq.queue(self.release_work)

    def _release(self) -> None:
        self.entity.destroy()
        self.sched.fini()
        self.device.release_space(self)
        with self.op_lock:
            self._apply(self.gpuvm.sm_unmap(0, self.gpuvm.end))
        self.device.gpu.forget_heaps(self.pages.root)
        self.pages.free()
        self.root.maybe_free()


class BindJob(Job):
    """An asynchronous bind."""

    def __init__(self, vm: Vm, bind: Bind) -> None:
        vm.check_usable()
        super().__init__(vm.entity)
        self.vm = vm
        self.bind = bind
        self._holds_vm = True
        vm.get()

    def release(self) -> None:
        if self._holds_vm:
            self._holds_vm = False
            self.vm.put()

    def prepare_resvs(self, locks: Exec) -> None:
        """Lock the VM's reservation and the buffer's."""
        locks.prepare(self.vm.root, 1)
        if self.bind.bo is not None:
            locks.prepare(self.bind.bo, 1)

    def update_resvs(self, objects: list[GemObject]) -> None:
        """Let memory management wait for the job."""
        for obj in objects:
            obj.resv.add_fence(self.finished, Usage.BOOKKEEP)


class _BindBackend:
    """Executes binds in their VM's order."""

    def prepare_job(self, job: Job, entity: Entity) -> DmaFence | None:
        return None

    def run_job(self, job: Job) -> DmaFence | int | None:
        assert isinstance(job, BindJob)
        try:
            with job.sched.fences.signalling():
                job.vm.execute(job.bind, unusable_on_failure=True)
        except OSError as error:
            assert error.errno is not None
            return -error.errno
        return None

    def timedout_job(self, job: Job) -> TimeoutStatus:
        raise AssertionError("binds are executed at once")

    def free_job(self, job: Job) -> None:
        job.release()

    def cancel_job(self, job: Job) -> None:
        pass


__all__ = ["Bind", "BindJob", "KernelBo", "Vm"]
