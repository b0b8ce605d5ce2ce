"""The old world on the same GPU: the kernel gives addresses and orders jobs by the buffers they use.

Drivers before explicit synchronisation have an interface of this shape (drm/panfrost_drm.h is one): a buffer
gets its GPU address when it is made; a submission lists the buffers it touches, and the kernel has it wait
for whoever uses them, and others wait for it, through their reservations.  The structures here are
ring3's own; the ioctls come behind Panthor's seventeen.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import EBUSY, EINVAL, ENOENT, ETIMEDOUT

from ring3.dma_buf.cstruct import CStruct, Ioctl, s64, u32, u64
from ring3.dma_buf.file import Process, refuse
from ring3.dma_buf.resv import Usage, usage_rw
from ring3.drm import gem
from ring3.drm.exec import Exec
from ring3.drm.file import DrmFile
from ring3.drm.gem import GemObject, handle_create, handle_delete
from ring3.drm.ranges import RangeAllocator
from ring3.drm.uapi import DRM_COMMAND_BASE
from ring3.panthor import uapi
from ring3.panthor.bo import PanthorBo
from ring3.panthor.device import PanthorDevice
from ring3.panthor.group import Group, PanthorJob, check_submit
from ring3.panthor.ioctls import create_group, create_vm
from ring3.panthor.submit import object_array
from ring3.panthor.vm import Bind, Vm

READ, WRITE = 1, 2
QUEUES = 3
_FIRST_VA = 1 << 24
_ALIGNMENT = 1 << 16
_RING = 65536


class CreateBo(CStruct, name="ring3_implicit_create_bo"):
    size: u64
    flags: u32
    handle: u32
    va: u64


class BoUse(CStruct, name="ring3_implicit_bo_use"):
    handle: u32
    access: u32


class Submit(CStruct, name="ring3_implicit_submit"):
    queue: u32
    stream_size: u32
    stream_addr: u64
    bos: uapi.ObjArray


class WaitBo(CStruct, name="ring3_implicit_wait_bo"):
    handle: u32
    access: u32
    timeout_ns: s64


class GetBo(CStruct, name="ring3_implicit_get_bo"):
    handle: u32
    pad: u32
    va: u64


class CreateHeap(CStruct, name="ring3_implicit_create_heap"):
    context: u64
    first_chunk: u64
    chunk_size: u32
    pad: u32


_FIRST = DRM_COMMAND_BASE + 0x20
CREATE_BO = Ioctl("IMPLICIT_CREATE_BO", "d", _FIRST, "WR", CreateBo)
SUBMIT = Ioctl("IMPLICIT_SUBMIT", "d", _FIRST + 1, "WR", Submit)
WAIT_BO = Ioctl("IMPLICIT_WAIT_BO", "d", _FIRST + 2, "WR", WaitBo)
GET_BO = Ioctl("IMPLICIT_GET_BO", "d", _FIRST + 3, "WR", GetBo)
CREATE_HEAP = Ioctl("IMPLICIT_CREATE_HEAP", "d", _FIRST + 4, "WR", CreateHeap)


@dataclass
class _Place:
    """Where the file's VM shows ``obj``: while its handle is ``open``, or one of ``jobs`` uses it."""

    obj: GemObject
    va: int
    open: bool = True
    jobs: int = 0


class World:
    """What an open file of the old world has: one VM, one group, and its buffers at addresses."""

    def __init__(self, vm: Vm, group: Group) -> None:
        self.vm = vm
        self.group = group
        self._addresses = RangeAllocator(_FIRST_VA, vm.user_va_range)
        self._places: dict[GemObject, _Place] = {}

    def place(self, obj: GemObject) -> int:
        """The address of ``obj``, given and bound with the first use.  ENOMEM, ENOSPC."""
        place = self._places.get(obj)
        if place is None:
            va = self._addresses.allocate(obj.size, _ALIGNMENT)
            try:
                obj.pages()
                self.vm.execute(Bind(uapi.OP_TYPE_MAP, va, obj.size, obj))
            except OSError:
                self._addresses.release(va)
                raise
            place = self._places[obj] = _Place(obj, va)
        place.open = True
        return place.va

    def use(self, obj: GemObject) -> None:
        """A job needs ``obj``, which has its place, until :meth:`done` with it."""
        self._places[obj].jobs += 1

    def done(self, obj: GemObject) -> None:
        """A job needs it no longer."""
        place = self._places[obj]
        place.jobs -= 1
        self._give_back(place)

    def closed(self, obj: GemObject) -> None:
        """The file's handle of ``obj`` is gone."""
        place = self._places.get(obj)
        if place is not None:
            place.open = False
            self._give_back(place)

    def _give_back(self, place: _Place) -> None:
        if place.open or place.jobs:
            return
        del self._places[place.obj]
        if not self.vm.destroyed:  # which has unmapped everything
            self.vm.execute(Bind(uapi.OP_TYPE_UNMAP, place.va, place.obj.size))
        self._addresses.release(place.va)


class ImplicitJob(PanthorJob):
    """A job that the kernel orders by ``uses``: (buffer, whether it is written)."""

    def __init__(self, world: World, submit: uapi.QueueSubmit) -> None:
        super().__init__(world.group, submit)
        self.world = world
        self.uses: list[tuple[GemObject, bool]] = []

    def use(self, obj: GemObject, write: bool) -> None:
        """Order the job by ``obj``, which stays at its place meanwhile."""
        self.world.use(obj)
        self.uses.append((obj, write))

    def update_resvs(self, objects: list[GemObject]) -> None:
        for obj, write in self.uses:
            obj.resv.add_fence(self.finished, Usage.WRITE if write else Usage.READ)

    def release(self) -> None:
        while self.uses:
            self.world.done(self.uses.pop()[0])
        super().release()


def install(device: PanthorDevice) -> None:
    """Offer the old world's ioctls on ``device``, beside Panthor's."""
    for ioctl, handler in (
        (CREATE_BO, _create_bo),
        (SUBMIT, _submit),
        (WAIT_BO, _wait_bo),
        (GET_BO, _get_bo),
        (CREATE_HEAP, _create_heap),
    ):
        device.register(ioctl, handler)


def _world(file: DrmFile, process: Process) -> World:
    """The file's world, made with its first call."""
    private = file.driver_private
    if private.implicit is None:
        device = file.device
        assert isinstance(device, PanthorDevice)
        config = device.gpu.config
        args = uapi.GroupCreate(
            priority=uapi.GROUP_PRIORITY_MEDIUM,
            compute_core_mask=config.shader_present,
            fragment_core_mask=config.shader_present,
            tiler_core_mask=config.tiler_present,
        )
        queues = [uapi.QueueCreate(ringbuf_size=_RING) for _ in range(QUEUES)]
        number, vm = create_vm(file, 0)
        try:
            group = create_group(file, process, vm, args, queues)
        except OSError:
            private.vms.remove(number).destroy()
            raise
        private.implicit = World(vm, group)
    world: World = private.implicit
    return world


def _create_bo(file: DrmFile, process: Process, args: CreateBo) -> None:
    if not args.size or args.flags or args.size > 1 << 40:
        raise refuse(EINVAL, "CREATE_BO: size is neither zero nor absurd, flags are zero")
    device = file.device
    assert isinstance(device, PanthorDevice)
    obj = PanthorBo(device, -(-args.size // gem.PAGE) * gem.PAGE)
    args.handle = handle_create(file, obj)
    try:
        args.va = _world(file, process).place(obj)
    except OSError:
        handle_delete(file, args.handle)
        raise


def _get_bo(file: DrmFile, process: Process, args: GetBo) -> None:
    args.va = _world(file, process).place(file.objects.get(args.handle, ENOENT))


def _create_heap(file: DrmFile, process: Process, args: CreateHeap) -> None:
    world = _world(file, process)
    args.chunk_size = 2 << 20
    heaps = world.vm.heap_pool(create=True)
    _, args.context, args.first_chunk = heaps.create(5, args.chunk_size, 64, 65535)


def _submit(file: DrmFile, process: Process, args: Submit) -> None:
    world = _world(file, process)
    uses = object_array(process, BoUse, args.bos, "access")
    submit = uapi.QueueSubmit(
        queue_index=args.queue, stream_addr=args.stream_addr, stream_size=args.stream_size
    )
    check_submit(submit)
    job = ImplicitJob(world, submit)
    try:
        _order_and_push(file, job, uses)
    except OSError:
        job.release()
        raise


def _order_and_push(file: DrmFile, job: ImplicitJob, uses: list[BoUse]) -> None:
    for use in uses:
        if use.access not in (READ, WRITE, READ | WRITE):
            raise refuse(EINVAL, f"SUBMIT: access {use.access}, not READ, WRITE or both")
        obj = file.objects.get(use.handle, ENOENT)
        job.world.place(obj)
        job.use(obj, bool(use.access & WRITE))
    with Exec(file.device.fences, interruptible=True, ignore_duplicates=True) as locks:
        objects = [obj for obj, _ in job.uses]
        locks.until_all_locked(lambda: locks.prepare_array(objects, 1))
        for obj, write in job.uses:
            job.add_resv_dependencies(obj.resv, usage_rw(write))
        job.arm()
        job.update_resvs(locks.objects)
        job.push()


def _wait_bo(file: DrmFile, process: Process, args: WaitBo) -> None:
    obj = file.objects.get(args.handle, ENOENT)
    if args.access not in (READ, WRITE, READ | WRITE) or args.timeout_ns < 0:
        raise refuse(EINVAL, "WAIT_BO: access is READ, WRITE or both, the time-out not negative")
    usage = usage_rw(bool(args.access & WRITE))
    if not obj.resv.wait(usage, args.timeout_ns, interruptible=True):
        raise refuse(ETIMEDOUT if args.timeout_ns else EBUSY, "WAIT_BO: the buffer is in use")
