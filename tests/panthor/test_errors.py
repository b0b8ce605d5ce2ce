"""The error codes of the facts table: each ioctl, each refusal, by what the kernel (7.2) answers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from errno import (
    E2BIG,
    EACCES,
    EBUSY,
    EFAULT,
    EINVAL,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTTY,
    EOPNOTSUPP,
    EPERM,
)
from functools import partial
from mmap import PROT_EXEC, PROT_WRITE

import pytest

from ring3.dma_buf.cstruct import CStruct, Ioctl
from ring3.dma_buf.file import LocalMemory, Process
from ring3.drm import uapi as drm
from ring3.drm.fdinfo import fdinfo
from ring3.drm.file import DrmFile
from ring3.kernel import Kernel
from ring3.panthor import uapi
from ring3.panthor.device import MAX_VMS, PanthorDevice
from ring3.panthor.implicit import CREATE_HEAP, CreateHeap, install
from ring3.umd.client import Client
from tests.panthor.conftest import Store


def errno_of(call: Callable[[], object]) -> int:
    with pytest.raises(OSError) as info:
        call()
    assert info.value.errno is not None
    return info.value.errno


def refused(client: Client, ioctl: Ioctl, args: CStruct) -> int:
    return errno_of(lambda: client.ioctl(ioctl, args))


@pytest.mark.parametrize(
    ("kind", "size"), [(0, 112), (1, 24), (2, 56), (3, 4)], ids=["gpu", "csif", "time", "prio"]
)
def test_dev_query_sizes(store: Store, kind: int, size: int) -> None:
    args = store.ioctl(uapi.DEV_QUERY, uapi.DevQuery(type=kind))
    assert args.size == size
    room = store.memory.put(b"\0" * size + b"\0" * 8)
    store.ioctl(uapi.DEV_QUERY, uapi.DevQuery(type=kind, size=size + 8, pointer=room))
    assert store.memory.copy_from_user(room + size, 8) == bytes(8), "the tail is zeroed"
    assert refused(store, uapi.DEV_QUERY, uapi.DevQuery(type=kind, size=3, pointer=room)) == EINVAL
    assert refused(store, uapi.DEV_QUERY, uapi.DevQuery(type=kind, size=size, pointer=8)) == EFAULT


def test_dev_query_answers(store: Store) -> None:
    room = store.memory.put(bytes(112))
    store.ioctl(uapi.DEV_QUERY, uapi.DevQuery(type=0, size=112, pointer=room))
    info = uapi.GpuInfo.unpack(store.memory.copy_from_user(room, 112))
    assert (info.gpu_id, info.csf_id, info.shader_present) == (0xA8670000, 0x40A0412, 0x50005)
    assert (info.selected_coherency, info.mmu_features) == (31, 0x2830)
    store.ioctl(uapi.DEV_QUERY, uapi.DevQuery(type=1, size=24, pointer=room))
    csif = uapi.CsifInfo.unpack(store.memory.copy_from_user(room, 24))
    assert (csif.csg_slot_count, csif.cs_slot_count, csif.cs_reg_count) == (8, 8, 96)
    assert (csif.scoreboard_slot_count, csif.unpreserved_cs_reg_count) == (8, 4)
    assert refused(store, uapi.DEV_QUERY, uapi.DevQuery(type=4)) == EINVAL


@pytest.mark.parametrize("flags", [1 << 8, 6, 0x8000_0000])
def test_timestamp_flags(store: Store, flags: int) -> None:
    room = store.memory.put(uapi.TimestampInfo(flags=flags).pack())
    assert refused(store, uapi.DEV_QUERY, uapi.DevQuery(type=2, size=56, pointer=room)) == EINVAL


def test_vm_limits(device: PanthorDevice) -> None:
    client = Client(device)
    args = client.ioctl(uapi.VM_CREATE, uapi.VmCreate(user_va_range=1 << 47))
    assert args.user_va_range == 1 << 47
    assert args.id == 1
    for number in range(2, 33):
        assert client.vm_create() == number
    assert errno_of(client.vm_create) == EBUSY
    assert refused(client, uapi.VM_CREATE, uapi.VmCreate(user_va_range=1 << 48)) == EINVAL
    assert refused(client, uapi.VM_CREATE, uapi.VmCreate(flags=1)) == EINVAL
    client.ioctl(uapi.VM_DESTROY, uapi.VmDestroy(id=7))
    assert client.vm_create() == 7
    assert refused(client, uapi.VM_DESTROY, uapi.VmDestroy(id=99)) == EINVAL
    assert refused(client, uapi.VM_DESTROY, uapi.VmDestroy(id=1, pad=1)) == EINVAL
    assert refused(client, uapi.VM_GET_STATE, uapi.VmGetState(vm_id=99)) == EINVAL


MAP, UNMAP, SYNC = uapi.OP_TYPE_MAP, uapi.OP_TYPE_UNMAP, uapi.OP_TYPE_SYNC_ONLY
NOEXEC, SPARSE = uapi.OP_MAP_NOEXEC, uapi.OP_MAP_SPARSE


@pytest.mark.parametrize(
    "op",
    [
        {"va": 0x1001, "size": 4096, "bo_handle": 1},
        {"va": 0x1000, "size": 4095, "bo_handle": 1},
        {"va": 1 << 47, "size": 4096, "bo_handle": 1},
        {"va": (1 << 64) - 4096, "size": 4096, "flags": UNMAP},
        {"va": 0x1000, "size": 4096, "bo_handle": 99},
        {"va": 0x1000, "size": 8192, "bo_handle": 1},
        {"va": 0x1000, "size": 4096, "bo_handle": 1, "bo_offset": 4096},
        {"va": 0x1000, "size": 4096, "bo_handle": 1, "flags": 1 << 5},
        {"va": 0x1000, "size": 4096, "flags": SPARSE},
        {"va": 0x1000, "size": 4096, "bo_handle": 1, "flags": SPARSE | NOEXEC},
        {"va": 0x1000, "size": 4096, "bo_handle": 1, "flags": UNMAP},
        {"va": 0x1000, "size": 4096, "bo_offset": 4096, "flags": UNMAP},
        {"va": 0x1000, "size": 4096, "flags": UNMAP | 1},
        {"va": 0x1000, "size": 4096, "flags": SYNC},
        {"va": 0x1000, "size": 4096, "flags": 3 << 28},
        {"va": 0x1000, "size": 4096, "flags": UNMAP, "syncs": uapi.ObjArray(count=1)},
    ],
)
def test_vm_bind_refusals(store: Store, op: dict[str, object]) -> None:
    good = uapi.VmBindOp(flags=UNMAP, va=0x7000, size=4096)
    ops = store.array([good, uapi.VmBindOp(**op), good])
    args = uapi.VmBind(vm_id=store.vm, ops=ops)
    address = store.memory.put(args.pack())
    file = store.process.file(store.fd)
    assert (
        errno_of(lambda: store.kernel.call(file.ioctl, store.process, uapi.VM_BIND.number, address))
        == EINVAL
    )
    after = uapi.VmBind.unpack(store.memory.copy_from_user(address, uapi.VmBind.SIZE))
    assert after.ops.count == 1, "the index of what failed"


def test_vm_bind_of_another_vms_buffer(store: Store) -> None:
    other = store.vm_create()
    mine = store.bo_create(4096, store.vm)
    assert errno_of(lambda: store.map(other, mine, 0x1000, 4096)) == EINVAL
    shared = store.bo_create(4096)
    store.map(other, shared, 0x1000, 4096)
    store.map(store.vm, shared, 0x1000, 4096)


def test_vm_bind_sync_only_and_empty(store: Store) -> None:
    store.vm_bind(store.vm, [uapi.VmBindOp(bo_handle=99)])  # size 0 succeeds, whatever else it says
    assert (
        errno_of(lambda: store.vm_bind(store.vm, [uapi.VmBindOp(flags=SYNC)], uapi.VM_BIND_ASYNC))
        == EINVAL
    )
    done = store.syncobj()
    syncs = store.array([uapi.SyncOp(flags=uapi.SYNC_OP_SIGNAL, handle=done)])
    store.vm_bind(store.vm, [uapi.VmBindOp(flags=SYNC, syncs=syncs)], uapi.VM_BIND_ASYNC)
    store.wait(done)


def test_a_failed_async_bind_makes_the_vm_unusable(store: Store) -> None:
    store.device.injection.arm("bind")
    done = store.syncobj()
    syncs = store.array([uapi.SyncOp(flags=uapi.SYNC_OP_SIGNAL, handle=done)])
    op = uapi.VmBindOp(flags=UNMAP, va=0x1000, size=4096, syncs=syncs)
    store.vm_bind(store.vm, [op], uapi.VM_BIND_ASYNC)
    store.wait(done)
    state = store.ioctl(uapi.VM_GET_STATE, uapi.VmGetState(vm_id=store.vm))
    assert state.state == uapi.VM_STATE_UNUSABLE
    assert errno_of(lambda: store.vm_bind(store.vm, [op], uapi.VM_BIND_ASYNC)) == EINVAL
    bo = store.bo_create(4096)
    assert errno_of(lambda: store.map(store.vm, bo, 0x1000, 4096)) == EINVAL


@pytest.mark.parametrize(
    "args", [{"size": 0}, {"size": 1, "flags": 3}, {"size": 1, "flags": 4}, {"size": 1, "pad": 1},
             {"size": 1, "exclusive_vm_id": 9}],
)  # fmt: skip
def test_bo_create_refusals(store: Store, args: dict[str, int]) -> None:
    assert refused(store, uapi.BO_CREATE, uapi.BoCreate(**args)) == EINVAL


@pytest.mark.parametrize(
    ("size", "errno"),
    [
        ((1 << 63) - 1, EINVAL),
        ((1 << 63) - 4096, ENOSPC),
        (1 << 40, ENOSPC),
        ((1 << 64) - 1, ENOSPC),
    ],
)
def test_bo_sizes(device: PanthorDevice, store: Store, size: int, errno: int) -> None:
    """More than a file can have, or than there are file offsets; the last one wraps to no pages at all."""
    before = len(device.objects())
    assert refused(store, uapi.BO_CREATE, uapi.BoCreate(size=size)) == errno
    assert len(device.objects()) == before
    assert store.bo_create(1 << 39), "half of the offsets, and no memory yet"


def test_another_devices_buffer_needs_no_cache_maintenance(device: PanthorDevice) -> None:
    giver, taker = Client(PanthorDevice(device.kernel), "giver"), Client(device, "taker")
    fd = giver.export_buffer(giver.bo_create(4096))
    handle = taker.import_buffer(taker.process.install(giver.process.file(fd).get()))
    sync = uapi.BoSyncOp(handle=handle, type=uapi.BO_SYNC_CPU_CACHE_FLUSH, size=4096)
    assert refused(taker, uapi.BO_SYNC, uapi.BoSync(ops=taker.array([sync]))) == EINVAL
    info = taker.ioctl(uapi.BO_QUERY_INFO, uapi.BoQueryInfo(handle=handle))
    assert info.extra_flags == uapi.BO_IS_IMPORTED


def test_another_devices_buffer_is_shared_and_has_memory(device: PanthorDevice) -> None:
    """As drm_gem_object_is_shared_for_memory_stats and panthor_gem_status say."""
    giver, taker = Client(PanthorDevice(device.kernel), "giver"), Client(device, "taker")
    fd = taker.process.install(giver.process.file(giver.export_buffer(giver.bo_create(4096))).get())
    handle = taker.import_buffer(fd)
    taker_file = taker.process.file(taker.fd)
    assert isinstance(taker_file, DrmFile)
    lines = fdinfo(taker_file).splitlines()
    assert {"drm-shared-memory:\t4 KiB", "drm-resident-memory:\t4 KiB"} <= set(lines)
    assert device.memory_used == 0, "the memory is the giver's"
    assert taker.import_buffer(fd) == handle


def test_bo_mmap_and_labels(store: Store) -> None:
    args = store.ioctl(uapi.BO_CREATE, uapi.BoCreate(size=5000))
    assert args.size == 8192
    hidden = store.bo_create(4096, flags=uapi.BO_NO_MMAP)
    assert refused(store, uapi.BO_MMAP_OFFSET, uapi.BoMmapOffset(handle=hidden)) == EPERM
    assert refused(store, uapi.BO_MMAP_OFFSET, uapi.BoMmapOffset(handle=99)) == ENOENT
    assert refused(store, uapi.BO_MMAP_OFFSET, uapi.BoMmapOffset(handle=1, pad=1)) == EINVAL
    assert refused(
        store, uapi.BO_SYNC, uapi.BoSync(ops=store.array([uapi.BoSyncOp(handle=99)]))
    ) == (ENOENT)
    store.ioctl(uapi.BO_SYNC, uapi.BoSync())
    assert refused(store, uapi.BO_QUERY_INFO, uapi.BoQueryInfo(handle=99)) == ENOENT
    info = store.ioctl(uapi.BO_QUERY_INFO, uapi.BoQueryInfo(handle=hidden, pad=7))
    assert (info.create_flags, info.extra_flags, info.pad) == (uapi.BO_NO_MMAP, 0, 0)
    for text, errno in ((b"x" * 4095 + b"\0", 0), (b"x" * 4096 + b"\0", E2BIG), (b"x", EFAULT)):
        label = uapi.BoSetLabel(handle=hidden, label=store.memory.put(text))
        if errno:
            assert refused(store, uapi.BO_SET_LABEL, label) == errno
        else:
            store.ioctl(uapi.BO_SET_LABEL, label)
    assert refused(store, uapi.BO_SET_LABEL, uapi.BoSetLabel(handle=99)) == ENOENT


def group_args(store: Store, **changes: object) -> uapi.GroupCreate:
    queue = uapi.QueueCreate(priority=1, ringbuf_size=4096)
    values: dict[str, object] = {"queues": store.array([queue]), "vm_id": store.vm}
    return uapi.GroupCreate(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "errno"),
    [
        ({"queues": uapi.ObjArray()}, EINVAL),
        ({"pad": 1}, EINVAL),
        ({"priority": 4}, EINVAL),
        ({"priority": 2}, EACCES),
        ({"priority": 3}, EACCES),
        ({"compute_core_mask": 1 << 60}, EINVAL),
        ({"tiler_core_mask": 2}, EINVAL),
        ({"max_compute_cores": 1}, EINVAL),
        ({"max_tiler_cores": 2, "tiler_core_mask": 1}, EINVAL),
        ({"vm_id": 77}, EINVAL),
    ],
)
def test_group_create_refusals(store: Store, changes: dict[str, object], errno: int) -> None:
    assert refused(store, uapi.GROUP_CREATE, group_args(store, **changes)) == errno


@pytest.mark.parametrize(
    "queue",
    [
        {"ringbuf_size": 2048},
        {"ringbuf_size": 131072},
        {"ringbuf_size": 12288},
        {"ringbuf_size": 4096, "priority": 16},
        {"ringbuf_size": 4096, "pad": (0, 1, 0)},
    ],
)
def test_queue_refusals(store: Store, queue: dict[str, object]) -> None:
    args = group_args(store, queues=store.array([uapi.QueueCreate(**queue)]))
    assert refused(store, uapi.GROUP_CREATE, args) == EINVAL
    nine = store.array([uapi.QueueCreate(ringbuf_size=4096)] * 9)
    assert refused(store, uapi.GROUP_CREATE, group_args(store, queues=nine)) == EINVAL


def test_group_limits_and_privilege(device: PanthorDevice) -> None:
    store = Store(device, privileged=True)
    for number in range(2, 129):
        assert store.group_create(store.vm, ring=4096, priority=number % 4) == number
    assert errno_of(lambda: store.group_create(store.vm, ring=4096)) == EBUSY
    assert refused(store, uapi.GROUP_DESTROY, uapi.GroupDestroy(group_handle=999)) == EINVAL
    assert refused(store, uapi.GROUP_DESTROY, uapi.GroupDestroy(group_handle=1, pad=1)) == EINVAL
    assert refused(store, uapi.GROUP_GET_STATE, uapi.GroupGetState(group_handle=999)) == EINVAL


@pytest.mark.parametrize(
    "submit",
    [
        {"queue_index": 1},
        {"stream_size": 8},
        {"stream_addr": 64},
        {"stream_size": 8, "stream_addr": 72},
        {"stream_size": 12, "stream_addr": 64},
        {"latest_flush": 1 << 24},
        {"pad": 1},
    ],
)
def test_group_submit_refusals(store: Store, submit: dict[str, int]) -> None:
    assert errno_of(lambda: store.submit(store.group, [uapi.QueueSubmit(**submit)])) == EINVAL


@pytest.mark.parametrize(
    ("op", "errno"),
    [
        ({"flags": 1 << 30, "handle": 1}, EINVAL),
        ({"flags": 2, "handle": 1}, EINVAL),
        ({"flags": 0, "handle": 1, "timeline_value": 1}, EINVAL),
        ({"flags": 0, "handle": 99}, ENOENT),
        ({"flags": uapi.SYNC_OP_SIGNAL, "handle": 99}, EINVAL),
        ({"flags": 0, "handle": 1}, EINVAL),  # nothing was submitted for it yet
    ],
)
def test_sync_op_refusals(store: Store, op: dict[str, int], errno: int) -> None:
    store.syncobj()
    syncs = store.array([uapi.SyncOp(**op)])
    assert errno_of(lambda: store.submit(store.group, [uapi.QueueSubmit(syncs=syncs)])) == errno


def test_object_array_strides(store: Store) -> None:
    submit = uapi.QueueSubmit()
    for stride, tail, errno in ((39, b"", EINVAL), (48, b"\0" * 8, 0), (48, b"\1" * 8, E2BIG)):
        address = store.memory.put(submit.pack() + tail)
        array = uapi.ObjArray(stride=stride, count=1, array=address)
        args = uapi.GroupSubmit(group_handle=store.group, queue_submits=array)
        if errno:
            assert refused(store, uapi.GROUP_SUBMIT, args) == errno
        else:
            store.ioctl(uapi.GROUP_SUBMIT, args)
    array = uapi.ObjArray(stride=40, count=2, array=0x10)
    args = uapi.GroupSubmit(group_handle=store.group, queue_submits=array)
    assert refused(store, uapi.GROUP_SUBMIT, args) == EFAULT
    assert refused(store, uapi.GROUP_SUBMIT, uapi.GroupSubmit(pad=1)) == EINVAL


HEAP = {"initial_chunk_count": 2, "chunk_size": 1 << 21, "max_chunks": 4, "target_in_flight": 9}


@pytest.mark.parametrize(
    "changes",
    [
        {"initial_chunk_count": 0},
        {"initial_chunk_count": 5},
        {"chunk_size": 64 << 10},
        {"chunk_size": 16 << 20},
        {"chunk_size": (1 << 21) + 1},
        {"vm_id": 9},
    ],
)
def test_heap_refusals(store: Store, changes: dict[str, int]) -> None:
    args = uapi.TilerHeapCreate(**{"vm_id": store.vm, **HEAP, **changes})
    assert refused(store, uapi.TILER_HEAP_CREATE, args) == EINVAL


def test_heap_handles_and_layout(store: Store) -> None:
    vm = store.vm_create()
    heaps = [
        store.ioctl(uapi.TILER_HEAP_CREATE, uapi.TilerHeapCreate(vm_id=vm, **HEAP))
        for _ in range(2)
    ]
    assert [heap.handle for heap in heaps] == [vm << 16, vm << 16 | 1]
    assert heaps[1].tiler_heap_ctx_gpu_va - heaps[0].tiler_heap_ctx_gpu_va == 64
    assert heaps[0].first_heap_chunk_gpu_va % 4096 == 0
    bad = uapi.TilerHeapDestroy(handle=vm << 16 | 5)
    assert refused(store, uapi.TILER_HEAP_DESTROY, bad) == EINVAL
    assert refused(store, uapi.TILER_HEAP_DESTROY, uapi.TilerHeapDestroy(handle=9 << 16)) == EINVAL
    store.ioctl(uapi.TILER_HEAP_DESTROY, uapi.TilerHeapDestroy(handle=heaps[0].handle))
    without = store.vm_create()
    never = uapi.TilerHeapDestroy(handle=without << 16)
    assert refused(store, uapi.TILER_HEAP_DESTROY, never) == ENOENT, "the VM never had a heap"
    small = {**HEAP, "vm_id": vm, "initial_chunk_count": 1, "chunk_size": 128 << 10}
    for _ in range(127):
        store.ioctl(uapi.TILER_HEAP_CREATE, uapi.TilerHeapCreate(**small))
    assert refused(store, uapi.TILER_HEAP_CREATE, uapi.TilerHeapCreate(**small)) == EBUSY


@pytest.mark.parametrize("limit", [0, 4096])
def test_what_gets_no_memory_leaves_nothing(kernel: Kernel, limit: int) -> None:
    device = PanthorDevice(kernel, memory_limit=limit)
    client = Client(device)
    vm = client.vm_create()
    before = len(device.objects())
    heap = uapi.TilerHeapCreate(**{**HEAP, "vm_id": vm})
    for _ in range(3):
        assert refused(client, uapi.TILER_HEAP_CREATE, heap) == ENOMEM
        assert errno_of(lambda: client.group_create(vm)) == ENOMEM
    assert len(device.objects()) == before
    client.ioctl(uapi.VM_DESTROY, uapi.VmDestroy(id=vm))
    kernel.run(until_time=kernel.now() + 1_000_000)
    assert device.table_pool.used == 0, "a group that never was still held its VM"


def test_the_old_world_is_made_again_after_there_was_no_memory(kernel: Kernel) -> None:
    device = PanthorDevice(kernel, memory_limit=4096)
    install(device)
    client = Client(device)
    for _ in range(MAX_VMS + 1):
        assert refused(client, CREATE_HEAP, CreateHeap()) == ENOMEM
    device.memory_limit = 64 << 20
    client.ioctl(CREATE_HEAP, CreateHeap())


def test_mmio_offset(store: Store) -> None:
    for offset in (1 << 43, 1 << 56):
        store.ioctl(uapi.SET_USER_MMIO_OFFSET, uapi.SetUserMmioOffset(offset=offset))
        assert store.process.file(store.fd).mmap(offset, 4096).size == 4096
        assert errno_of(lambda at=offset: store.process.file(store.fd).mmap(at + 4096, 4096)) == (
            EINVAL
        )
        for how in ({"private": True}, {"prot": PROT_WRITE}, {"prot": PROT_EXEC}):
            call = partial(store.process.file(store.fd).mmap, offset, 4096, **how)
            assert errno_of(call) == EINVAL
    bad = uapi.SetUserMmioOffset(offset=0)
    assert refused(store, uapi.SET_USER_MMIO_OFFSET, bad) == EINVAL


def test_core_ioctls(store: Store) -> None:
    name = store.memory.put(bytes(8))
    version = store.ioctl(drm.VERSION, drm.Version(name_len=8, name=name))
    assert (version.version_major, version.version_minor, version.name_len) == (1, 8, 7)
    assert store.memory.copy_from_user(name, 7) == b"panthor"
    for cap, value in ((0x6, 1), (0x5, 3), (0x13, 1), (0x14, 1)):
        assert store.ioctl(drm.GET_CAP, drm.GetCap(capability=cap)).value == value
    assert refused(store, drm.GET_CAP, drm.GetCap(capability=1)) == EOPNOTSUPP
    assert refused(store, drm.GEM_CLOSE, drm.GemClose(handle=99)) == EINVAL
    assert refused(store, drm.SET_CLIENT_CAP, drm.SetClientCap()) == EACCES
    assert refused(store, drm.GEM_CHANGE_HANDLE, drm.GemChangeHandle()) == EINVAL
    assert errno_of(lambda: store.raw_ioctl(0xC0086490, bytes(8))) == EINVAL  # no such driver ioctl
    assert errno_of(lambda: store.raw_ioctl(0xC0084740, bytes(8))) == ENOTTY


def test_prime_refusals(store: Store) -> None:
    exclusive = store.bo_create(4096, store.vm)
    assert errno_of(lambda: store.export_buffer(exclusive)) == EINVAL
    assert errno_of(lambda: store.export_buffer(99)) == ENOENT
    assert errno_of(lambda: store.import_buffer(store.fd)) == EINVAL
    assert errno_of(lambda: store.import_buffer(99)) == 9
    shared = store.bo_create(4096)
    fd = store.export_buffer(shared)
    assert store.import_buffer(fd) == shared, "the same object comes back as the same handle"


def test_another_files_handles_are_not_ours(device: PanthorDevice, store: Store) -> None:
    other = Client(device, "other")
    assert refused(other, uapi.BO_MMAP_OFFSET, uapi.BoMmapOffset(handle=1)) == ENOENT
    assert refused(other, uapi.VM_GET_STATE, uapi.VmGetState(vm_id=store.vm)) == EINVAL
    offset = store.ioctl(uapi.BO_MMAP_OFFSET, uapi.BoMmapOffset(handle=1)).offset
    assert errno_of(lambda: other.process.file(other.fd).mmap(offset, 4096)) == EACCES


def test_shorter_and_longer_arguments(store: Store) -> None:
    """drm_ioctl extends a short argument with zeros and cuts a long one."""
    number = uapi.VM_GET_STATE.nr | ord("d") << 8 | 3 << 30
    short = store.raw_ioctl(number | 4 << 16, struct.pack("<I", store.vm))
    assert short == struct.pack("<I", store.vm)
    long = store.raw_ioctl(number | 16 << 16, struct.pack("<4I", store.vm, 7, 8, 9))
    assert struct.unpack("<4I", long) == (store.vm, 0, 0, 0)


def test_a_fault_outweighs_the_refusal(store: Store) -> None:
    """drm_ioctl copies the argument back whatever the handler said."""

    class ReadOnly(LocalMemory):
        def copy_to_user(self, address: int, data: bytes) -> None:
            raise OSError(EFAULT, "read-only")

    process = Process(memory=ReadOnly())
    assert isinstance(process.memory, ReadOnly)
    address = process.memory.put(uapi.VmGetState(vm_id=99).pack())
    file = store.process.file(store.fd)
    call = partial(store.kernel.call, file.ioctl, process, uapi.VM_GET_STATE.number, address)
    assert errno_of(call) == EFAULT


def test_unplugged(store: Store) -> None:
    store.kernel.call(store.device.unplug)
    assert errno_of(store.vm_create) == ENODEV
    assert errno_of(lambda: Client(store.device)) == ENODEV
    store.close()
