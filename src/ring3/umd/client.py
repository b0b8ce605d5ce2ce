"""What libdrm is to a real driver: system calls on a render node, from inside this Python process.

Arguments travel as bytes through user memory, as those of a real process do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ring3.dma_buf.cstruct import CStruct, Ioctl
from ring3.dma_buf.file import File, LocalMemory, Process, next_pid
from ring3.drm import uapi as drm
from ring3.drm.file import DrmFile
from ring3.drm.gem import Pages
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice

Struct = TypeVar("Struct", bound=CStruct)
FOREVER = (1 << 63) - 1


class Client:
    """A process with one open render node.  Errors are OSError, as from ioctl(2).

    Calls run as tasks of the device's kernel; inside of a task they run in it.
    """

    def __init__(
        self, device: PanthorDevice, comm: str = "umd", *, privileged: bool = False
    ) -> None:
        self.device = device
        self.kernel = device.kernel
        self.memory = LocalMemory()
        self.process = Process(
            comm, pid=next_pid(self.kernel), memory=self.memory, privileged=privileged
        )
        self.fd = self.process.install(DrmFile(device, self.process))

    def ioctl(self, ioctl: Ioctl, args: Struct, fd: int | None = None) -> Struct:
        """Do ``ioctl`` and return its argument as it came back."""
        return type(args).unpack(self.raw_ioctl(ioctl.number, args.pack(), fd))

    def raw_ioctl(self, cmd: int, data: bytes, fd: int | None = None) -> bytes:
        """ioctl(2) with the bytes ``data`` as argument; the bytes afterwards."""
        file = self.process.file(self.fd if fd is None else fd)
        address = self.memory.put(data)
        try:
            if self.kernel.current is self.kernel.boot:
                self.kernel.call(file.ioctl, self.process, cmd, address)
            else:
                file.ioctl(self.process, cmd, address)
            return self.memory.copy_from_user(address, len(data))
        finally:
            self.memory.free(address)

    def array(self, objects: Sequence[CStruct]) -> uapi.ObjArray:
        """Put objects into user memory (freed with the process) and describe them."""
        if not objects:
            return uapi.ObjArray()
        address = self.memory.put(b"".join(each.pack() for each in objects))
        return uapi.ObjArray(stride=objects[0].SIZE, count=len(objects), array=address)

    def close(self) -> None:
        """The process exits."""
        if self.kernel.current is self.kernel.boot:
            self.kernel.call(self.process.exit)
        else:
            self.process.exit()

    # -- Panthor ----------------------------------------------------------------------------------

    def vm_create(self, user_va_range: int = 0) -> int:
        """A VM's id."""
        return self.ioctl(uapi.VM_CREATE, uapi.VmCreate(user_va_range=user_va_range)).id

    def bo_create(self, size: int, vm: int = 0, flags: int = 0) -> int:
        """A buffer's handle; exclusive to ``vm`` if that is not 0."""
        args = uapi.BoCreate(size=size, exclusive_vm_id=vm, flags=flags)
        return self.ioctl(uapi.BO_CREATE, args).handle

    def bo_map(self, handle: int) -> Pages:
        """mmap the whole buffer."""
        offset = self.ioctl(uapi.BO_MMAP_OFFSET, uapi.BoMmapOffset(handle=handle)).offset
        file = self.process.file(self.fd)
        obj, _ = self.device.object_at(offset)
        memory = file.mmap(offset, obj.size)
        assert isinstance(memory, Pages)
        return memory

    def vm_bind(self, vm: int, ops: Sequence[uapi.VmBindOp], flags: int = 0) -> None:
        """VM_BIND."""
        array = self.array(ops)
        try:
            self.ioctl(uapi.VM_BIND, uapi.VmBind(vm_id=vm, flags=flags, ops=array))
        finally:
            self._free(array)

    def map(self, vm: int, bo: int, va: int, size: int, flags: int = uapi.OP_MAP_NOEXEC) -> None:
        """Bind a whole buffer at once."""
        self.vm_bind(vm, [uapi.VmBindOp(flags=flags, bo_handle=bo, va=va, size=size)])

    def group_create(self, vm: int, queues: int = 1, ring: int = 65536, priority: int = 1) -> int:
        """A group's handle, with the right to all cores."""
        config = self.device.gpu.config
        array = self.array([uapi.QueueCreate(priority=1, ringbuf_size=ring)] * queues)
        cores = config.shader_present
        args = uapi.GroupCreate(
            queues=array,
            max_compute_cores=cores.bit_count(),
            max_fragment_cores=cores.bit_count(),
            max_tiler_cores=1,
            priority=priority,
            compute_core_mask=cores,
            fragment_core_mask=cores,
            tiler_core_mask=config.tiler_present,
            vm_id=vm,
        )
        try:
            return self.ioctl(uapi.GROUP_CREATE, args).group_handle
        finally:
            self._free(array)

    def submit(self, group: int, submits: Sequence[uapi.QueueSubmit]) -> None:
        """GROUP_SUBMIT."""
        array = self.array(submits)
        try:
            args = uapi.GroupSubmit(group_handle=group, queue_submits=array)
            self.ioctl(uapi.GROUP_SUBMIT, args)
        finally:
            self._free(array)
            for each in submits:
                self._free(each.syncs)

    def group_state(self, group: int) -> uapi.GroupGetState:
        """GROUP_GET_STATE."""
        return self.ioctl(uapi.GROUP_GET_STATE, uapi.GroupGetState(group_handle=group))

    def _free(self, array: uapi.ObjArray) -> None:
        if array.array:
            self.memory.free(array.array)

    # -- syncobjs ---------------------------------------------------------------------------------

    def syncobj(self, *, signaled: bool = False) -> int:
        """A syncobj's handle."""
        return self.ioctl(drm.SYNCOBJ_CREATE, drm.SyncobjCreate(flags=int(signaled))).handle

    def wait(self, *handles: int, timeout: int = FOREVER, flags: int = drm.WAIT_ALL) -> int:
        """SYNCOBJ_WAIT; ``timeout`` in ns from now.  OSError(ETIME)."""
        address = self.memory.put(b"".join(handle.to_bytes(4, "little") for handle in handles))
        end = min(FOREVER, self.kernel.now() + timeout) if timeout else 0
        args = drm.SyncobjWait(
            handles=address, timeout_nsec=end, count_handles=len(handles), flags=flags
        )
        try:
            return self.ioctl(drm.SYNCOBJ_WAIT, args).first_signaled
        finally:
            self.memory.free(address)

    def export_sync_file(self, handle: int) -> int:
        """A sync_file of a syncobj's fence."""
        flags = drm.HANDLE_TO_FD_EXPORT_SYNC_FILE
        return self.ioctl(
            drm.SYNCOBJ_HANDLE_TO_FD, drm.SyncobjHandle(handle=handle, flags=flags)
        ).fd

    def import_sync_file(self, handle: int, fd: int) -> None:
        """Put a sync_file's fence into a syncobj."""
        flags = drm.FD_TO_HANDLE_IMPORT_SYNC_FILE
        args = drm.SyncobjHandle(handle=handle, flags=flags, fd=fd)
        self.ioctl(drm.SYNCOBJ_FD_TO_HANDLE, args)

    def export_buffer(self, handle: int) -> int:
        """A dma-buf of a buffer."""
        args = drm.PrimeHandle(handle=handle, flags=drm.O_CLOEXEC | drm.O_RDWR)
        return self.ioctl(drm.PRIME_HANDLE_TO_FD, args).fd

    def import_buffer(self, fd: int) -> int:
        """The handle of a dma-buf."""
        return self.ioctl(drm.PRIME_FD_TO_HANDLE, drm.PrimeHandle(fd=fd)).handle

    def receive(self, file: File) -> int:
        """A descriptor for a file that another process has sent (SCM_RIGHTS)."""
        return self.process.install(file.get())


def wait_op(handle: int, point: int = 0) -> uapi.SyncOp:
    """Wait for a syncobj, a timeline if ``point`` is not 0."""
    return uapi.SyncOp(flags=int(point != 0), handle=handle, timeline_value=point)


def signal_op(handle: int, point: int = 0) -> uapi.SyncOp:
    """Signal a syncobj, a timeline if ``point`` is not 0."""
    flags = uapi.SYNC_OP_SIGNAL | int(point != 0)
    return uapi.SyncOp(flags=flags, handle=handle, timeline_value=point)
