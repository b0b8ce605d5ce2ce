"""Panthor's seventeen ioctls: checks in the kernel's order, with its errors (panthor_drv.c, 7.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from errno import E2BIG, EACCES, EINVAL, ENOENT
from typing import TYPE_CHECKING, Any

from ring3.dma_buf.cstruct import CStruct, Ioctl
from ring3.dma_buf.dma_buf import user_string
from ring3.dma_buf.file import Process, refuse
from ring3.drm import gem
from ring3.drm.exec import Exec
from ring3.drm.file import DrmFile
from ring3.drm.gem import GemObject, handle_create
from ring3.panthor import uapi
from ring3.panthor.bo import PanthorBo
from ring3.panthor.group import Group, PanthorJob, check_submit
from ring3.panthor.submit import Batch, copy_struct, object_array
from ring3.panthor.vm import BindJob, Vm

if TYPE_CHECKING:
    from ring3.panthor.device import PanthorDevice, PanthorFile

MAX_QUEUES = 32  # a group's queues are bits of a u32
LABEL_MAX = 4096


def _device(file: DrmFile) -> PanthorDevice:
    device: Any = file.device
    return device


def _private(file: DrmFile) -> PanthorFile:
    return file.driver_private


@contextmanager
def _vm(file: DrmFile, number: int) -> Iterator[Vm]:
    """The VM ``number``, which lasts while it is used here, whoever destroys it.  EINVAL."""
    vm = _private(file).vms.get(number, EINVAL)
    vm.get()
    try:
        yield vm
    finally:
        vm.put()


def _no_pad(name: str, pad: int) -> None:
    if pad:
        raise refuse(EINVAL, f"{name}: pad is zero")


# -- DEV_QUERY ------------------------------------------------------------------------------------

_QUERIES: dict[int, tuple[type[CStruct], str]] = {
    uapi.DEV_QUERY_GPU_INFO: (uapi.GpuInfo, "tiler_present"),
    uapi.DEV_QUERY_CSIF_INFO: (uapi.CsifInfo, "pad"),
    uapi.DEV_QUERY_TIMESTAMP_INFO: (uapi.TimestampInfo, "current_timestamp"),
    uapi.DEV_QUERY_GROUP_PRIORITIES_INFO: (uapi.GroupPrioritiesInfo, "pad"),
}


def _dev_query(file: DrmFile, process: Process, args: uapi.DevQuery) -> None:
    if args.type not in _QUERIES:
        raise refuse(EINVAL, f"DEV_QUERY: unknown type {args.type}")
    kind, last_mandatory = _QUERIES[args.type]
    if not args.pointer:
        args.size = kind.SIZE
        return
    answer = _answer(file, process, args, kind)
    field = next(field for field in kind.FIELDS if field.name == last_mandatory)
    if args.size < field.offset + field.size:
        raise refuse(EINVAL, f"DEV_QUERY: {args.size} bytes are too few")
    known = min(args.size, kind.SIZE)
    process.memory.copy_to_user(args.pointer, answer.pack()[:known])
    # What user space knows beyond this kernel reads as zero, a piece at a time: sizes are hostile.
    at, end = args.pointer + known, args.pointer + args.size
    while at < end:
        piece = min(end - at, 1 << 16)
        process.memory.copy_to_user(at, bytes(piece))
        at += piece


def _answer(file: DrmFile, process: Process, args: uapi.DevQuery, kind: type[CStruct]) -> CStruct:
    device = _device(file)
    if kind is uapi.GpuInfo:
        return gpu_info(device)
    if kind is uapi.CsifInfo:
        return csif_info(device)
    if kind is uapi.GroupPrioritiesInfo:
        allowed = [n for n in range(4) if process.privileged or n <= uapi.GROUP_PRIORITY_MEDIUM]
        return uapi.GroupPrioritiesInfo(allowed_mask=sum(1 << n for n in allowed))
    wanted = copy_struct(process, uapi.TimestampInfo, args.pointer, args.size)
    return _timestamps(device, wanted.flags)


def gpu_info(device: PanthorDevice) -> uapi.GpuInfo:
    """What the GPU's registers say."""
    config = device.gpu.config
    fields = {name: getattr(config, name, 0) for name in (f.name for f in uapi.GpuInfo.FIELDS)}
    fields["selected_coherency"] = 31  # none: the CPU's caches are not the GPU's
    return uapi.GpuInfo(**fields)


def csif_info(device: PanthorDevice) -> uapi.CsifInfo:
    """What the firmware interface offers."""
    config = device.gpu.config
    return uapi.CsifInfo(
        csg_slot_count=config.group_slots,
        cs_slot_count=config.queue_slots,
        cs_reg_count=config.registers,
        scoreboard_slot_count=config.scoreboards,
        unpreserved_cs_reg_count=config.unpreserved_registers,
    )


def _timestamps(device: PanthorDevice, flags: int) -> uapi.TimestampInfo:
    flags = flags or uapi.TIMESTAMP_GPU | uapi.TIMESTAMP_GPU_OFFSET | uapi.TIMESTAMP_FREQ
    cpu = flags & uapi.TIMESTAMP_CPU_TYPE_MASK
    if cpu not in (0, uapi.TIMESTAMP_CPU_MONOTONIC, uapi.TIMESTAMP_CPU_MONOTONIC_RAW):
        raise refuse(EINVAL, f"DEV_QUERY: unknown CPU clock {cpu >> 1}")
    if flags & ~0xFF:
        raise refuse(EINVAL, f"DEV_QUERY: unknown timestamp flags {flags:#x}")
    now = device.kernel.now()
    return uapi.TimestampInfo(
        timestamp_frequency=1_000_000_000 if flags & uapi.TIMESTAMP_FREQ else 0,
        current_timestamp=device.gpu.timestamp() if flags & uapi.TIMESTAMP_GPU else 0,
        flags=flags,
        cycle_count=device.gpu.cycles if flags & uapi.TIMESTAMP_GPU_CYCLE_COUNT else 0,
        cpu_timestamp_sec=now // 1_000_000_000 if cpu else 0,
        cpu_timestamp_nsec=now % 1_000_000_000 if cpu else 0,
    )


# -- VMs ------------------------------------------------------------------------------------------


def _vm_create(file: DrmFile, process: Process, args: uapi.VmCreate) -> None:
    if args.flags:
        raise refuse(EINVAL, f"VM_CREATE: unknown flags {args.flags:#x}")
    args.id, vm = create_vm(file, args.user_va_range)
    args.user_va_range = vm.user_va_range


def create_vm(file: DrmFile, user_va_range: int) -> tuple[int, Vm]:
    """A VM with its handle in ``file``.  EINVAL for too large a range, EBUSY for no free handle."""
    vm = Vm(_device(file), user_va_range)
    try:
        return _private(file).vms.add(vm), vm
    except OSError:
        vm.destroy()
        raise


def _vm_destroy(file: DrmFile, process: Process, args: uapi.VmDestroy) -> None:
    _no_pad("VM_DESTROY", args.pad)
    _private(file).vms.remove(args.id, EINVAL).destroy()


def _vm_bind(file: DrmFile, process: Process, args: uapi.VmBind) -> None:
    with _vm(file, args.vm_id) as vm:
        ops = object_array(process, uapi.VmBindOp, args.ops, "syncs")
        if args.flags & uapi.VM_BIND_ASYNC:
            _bind_async(file, process, vm, ops)
            return
        for index, op in enumerate(ops):
            try:
                _bind_sync(file, vm, op)
            except OSError:
                args.ops.count = index
                raise


def _bind_sync(file: DrmFile, vm: Vm, op: uapi.VmBindOp) -> None:
    if op.syncs.count:
        raise refuse(EINVAL, "VM_BIND: a synchronous operation has no syncs")
    if op.size:
        vm.execute(vm.prepare(file, op))


def _bind_async(file: DrmFile, process: Process, vm: Vm, ops: list[uapi.VmBindOp]) -> None:
    batch = Batch(file)
    jobs: list[BindJob] = []
    try:
        for op in ops:
            vm.check_usable()
            job = BindJob(vm, vm.prepare(file, op))
            jobs.append(job)
            batch.add(process, job, op.syncs)
    except OSError:
        batch.release()
        raise

    def lock(locks: Exec) -> None:
        for job in jobs:
            job.prepare_resvs(locks)

    batch.submit(lock)


def _vm_get_state(file: DrmFile, process: Process, args: uapi.VmGetState) -> None:
    with _vm(file, args.vm_id) as vm:
        args.state = uapi.VM_STATE_UNUSABLE if vm.unusable else uapi.VM_STATE_USABLE


# -- buffers --------------------------------------------------------------------------------------


def _bo(file: DrmFile, handle: int) -> GemObject:
    return file.objects.get(handle, ENOENT)


def _bo_create(file: DrmFile, process: Process, args: uapi.BoCreate) -> None:
    known = uapi.BO_NO_MMAP | uapi.BO_WB_MMAP
    if not args.size or args.pad or args.flags & ~known:
        raise refuse(EINVAL, "BO_CREATE: size is not zero, pad is, and flags are known")
    if args.flags == known:
        raise refuse(EINVAL, "BO_CREATE: NO_MMAP and WB_MMAP exclude each other")
    size = -(-args.size // gem.PAGE) * gem.PAGE
    with _vm(file, args.exclusive_vm_id) if args.exclusive_vm_id else nullcontext() as vm:
        if 1 << 63 <= size < 1 << 64:
            raise refuse(EINVAL, f"BO_CREATE: {size:#x} bytes are more than a file can have")
        bo = PanthorBo(_device(file), size, args.flags, vm)
    bo.need_offset()
    args.handle = handle_create(file, bo)
    args.size = size


def _bo_mmap_offset(file: DrmFile, process: Process, args: uapi.BoMmapOffset) -> None:
    _no_pad("BO_MMAP_OFFSET", args.pad)
    bo = _bo(file, args.handle)
    if isinstance(bo, PanthorBo):
        bo.check_mmap_offset()
    args.offset = bo.offset


def _bo_set_label(file: DrmFile, process: Process, args: uapi.BoSetLabel) -> None:
    _no_pad("BO_SET_LABEL", args.pad)
    bo = _bo(file, args.handle)
    label = b""
    if args.label:
        try:
            label = user_string(process, args.label, LABEL_MAX)
        except OSError as error:
            if error.errno == EINVAL:
                raise refuse(E2BIG, f"BO_SET_LABEL: {error.strerror}") from None
            raise
    bo.label = label.decode(errors="replace")


def _bo_sync(file: DrmFile, process: Process, args: uapi.BoSync) -> None:
    for op in object_array(process, uapi.BoSyncOp, args.ops, "size"):
        bo = _bo(file, op.handle)
        if bo.import_source is not None:
            raise refuse(EINVAL, "BO_SYNC: the buffer is another device's")
        if op.type not in (
            uapi.BO_SYNC_CPU_CACHE_FLUSH,
            uapi.BO_SYNC_CPU_CACHE_FLUSH_AND_INVALIDATE,
        ):
            raise refuse(EINVAL, f"BO_SYNC: unknown type {op.type}")
        if op.offset + op.size > bo.size:
            raise refuse(EINVAL, f"BO_SYNC: ends beyond the buffer's {bo.size} bytes")


def _bo_query_info(file: DrmFile, process: Process, args: uapi.BoQueryInfo) -> None:
    bo = _bo(file, args.handle)
    args.pad = 0
    args.create_flags = bo.flags if isinstance(bo, PanthorBo) else 0
    args.extra_flags = uapi.BO_IS_IMPORTED if bo.import_source is not None else 0


def _set_user_mmio_offset(file: DrmFile, process: Process, args: uapi.SetUserMmioOffset) -> None:
    if args.offset not in (uapi.USER_MMIO_OFFSET_32BIT, uapi.USER_MMIO_OFFSET_64BIT):
        raise refuse(EINVAL, f"SET_USER_MMIO_OFFSET: {args.offset:#x}")
    _private(file).mmio_offset = args.offset


# -- groups ---------------------------------------------------------------------------------------


def _group_create(file: DrmFile, process: Process, args: uapi.GroupCreate) -> None:
    if not 0 < args.queues.count <= MAX_QUEUES:
        raise refuse(EINVAL, f"GROUP_CREATE: {args.queues.count} queues")
    queues = object_array(process, uapi.QueueCreate, args.queues, "ringbuf_size")
    if args.priority > uapi.GROUP_PRIORITY_REALTIME:
        raise refuse(EINVAL, f"GROUP_CREATE: unknown priority {args.priority}")
    if args.priority > uapi.GROUP_PRIORITY_MEDIUM and not process.privileged:
        raise refuse(EACCES, "GROUP_CREATE: the priority needs CAP_SYS_NICE or DRM master")
    _no_pad("GROUP_CREATE", args.pad)
    config = _device(file).gpu.config
    for name, present in (
        ("compute", config.shader_present),
        ("fragment", config.shader_present),
        ("tiler", config.tiler_present),
    ):
        mask, most = getattr(args, f"{name}_core_mask"), getattr(args, f"max_{name}_cores")
        if mask & ~present:
            raise refuse(EINVAL, f"GROUP_CREATE: {name}_core_mask has cores that are not there")
        if mask.bit_count() < most:
            raise refuse(EINVAL, f"GROUP_CREATE: {name}_core_mask has fewer than {most} cores")
    if len(queues) > config.queue_slots:
        raise refuse(EINVAL, f"GROUP_CREATE: {len(queues)} queues, {config.queue_slots} slots")
    with _vm(file, args.vm_id) as vm:
        args.group_handle = create_group(file, process, vm, args, queues).handle


def create_group(
    file: DrmFile,
    process: Process,
    vm: Vm,
    args: uapi.GroupCreate,
    queues: list[uapi.QueueCreate],
) -> Group:
    """A group in ``vm``, with a handle in ``file``.  EINVAL for a queue, ENOMEM, EBUSY for no free handle."""
    device, private = _device(file), _private(file)
    expected = private.groups.next()
    group = Group(device, process, vm, args, queues, private.client, expected)
    try:
        group.handle = private.groups.add(group)  # another task may have been faster
    except OSError:
        device.sched.destroy_group(group)
        raise
    return group


def _group_destroy(file: DrmFile, process: Process, args: uapi.GroupDestroy) -> None:
    _no_pad("GROUP_DESTROY", args.pad)
    group = _private(file).groups.remove(args.group_handle, EINVAL)
    _device(file).sched.destroy_group(group)


def _group_submit(file: DrmFile, process: Process, args: uapi.GroupSubmit) -> None:
    _no_pad("GROUP_SUBMIT", args.pad)
    submits = object_array(process, uapi.QueueSubmit, args.queue_submits, "syncs")
    batch = Batch(file)
    jobs: list[PanthorJob] = []
    try:
        for submit in submits:
            check_submit(submit)
            # The kernel keeps the handle in a u16 on the way.
            group = _private(file).groups.get(args.group_handle & 0xFFFF, EINVAL)
            job = PanthorJob(group, submit)
            jobs.append(job)
            batch.add(process, job, submit.syncs)
    except OSError:
        batch.release()
        raise
    if jobs:
        batch.submit(lambda locks: jobs[0].prepare_resvs(locks, len(jobs)))


def _group_get_state(file: DrmFile, process: Process, args: uapi.GroupGetState) -> None:
    _no_pad("GROUP_GET_STATE", args.pad)
    _private(file).groups.get(args.group_handle, EINVAL).get_state(args)


# -- tiler heaps ----------------------------------------------------------------------------------


def _tiler_heap_create(file: DrmFile, process: Process, args: uapi.TilerHeapCreate) -> None:
    with _vm(file, args.vm_id) as vm:
        number, context, first = vm.heap_pool(create=True).create(
            args.initial_chunk_count, args.chunk_size, args.max_chunks, args.target_in_flight
        )
    args.handle = args.vm_id << 16 | number
    args.tiler_heap_ctx_gpu_va = context
    args.first_heap_chunk_gpu_va = first


def _tiler_heap_destroy(file: DrmFile, process: Process, args: uapi.TilerHeapDestroy) -> None:
    _no_pad("TILER_HEAP_DESTROY", args.pad)
    with _vm(file, args.handle >> 16) as vm:
        vm.heap_pool(create=False).destroy_heap(args.handle & 0xFFFF)


_FUNCTIONS: tuple[Callable[..., None], ...] = (
    _dev_query,
    _vm_create,
    _vm_destroy,
    _vm_bind,
    _vm_get_state,
    _bo_create,
    _bo_mmap_offset,
    _group_create,
    _group_destroy,
    _group_submit,
    _group_get_state,
    _tiler_heap_create,
    _tiler_heap_destroy,
    _bo_set_label,
    _set_user_mmio_offset,
    _bo_sync,
    _bo_query_info,
)
HANDLERS: tuple[tuple[Ioctl, Callable[..., None]], ...] = tuple(
    zip(uapi.IOCTLS, _FUNCTIONS, strict=True)
)
