"""Panthor's user interface, as declarations.

Source: drm/panthor_drm.h of Linux 7.2's user headers.
"""

from __future__ import annotations

from typing import Annotated

from ring3.dma_buf.cstruct import Array, CStruct, Ioctl, u8, u32, u64
from ring3.drm.uapi import DRM_COMMAND_BASE

USER_MMIO_OFFSET_32BIT = 1 << 43
USER_MMIO_OFFSET_64BIT = 1 << 56

SYNC_OP_HANDLE_TYPE_MASK = 0xFF
SYNC_OP_SYNCOBJ = 0
SYNC_OP_TIMELINE_SYNCOBJ = 1
SYNC_OP_WAIT = 0
SYNC_OP_SIGNAL = 1 << 31

DEV_QUERY_GPU_INFO = 0
DEV_QUERY_CSIF_INFO = 1
DEV_QUERY_TIMESTAMP_INFO = 2
DEV_QUERY_GROUP_PRIORITIES_INFO = 3

TIMESTAMP_GPU = 1 << 0
TIMESTAMP_CPU_MONOTONIC = 1 << 1
TIMESTAMP_CPU_MONOTONIC_RAW = 2 << 1
TIMESTAMP_CPU_TYPE_MASK = 7 << 1
TIMESTAMP_GPU_OFFSET = 1 << 4
TIMESTAMP_GPU_CYCLE_COUNT = 1 << 5
TIMESTAMP_FREQ = 1 << 6
TIMESTAMP_DURATION = 1 << 7

OP_MAP_READONLY = 1 << 0
OP_MAP_NOEXEC = 1 << 1
OP_MAP_UNCACHED = 1 << 2
OP_MAP_SPARSE = 1 << 3
OP_TYPE_MASK = 0xF << 28
OP_TYPE_MAP = 0 << 28
OP_TYPE_UNMAP = 1 << 28
OP_TYPE_SYNC_ONLY = 2 << 28
VM_BIND_ASYNC = 1
VM_STATE_USABLE = 0
VM_STATE_UNUSABLE = 1

BO_NO_MMAP = 1
BO_WB_MMAP = 2
BO_IS_IMPORTED = 1
BO_SYNC_CPU_CACHE_FLUSH = 0
BO_SYNC_CPU_CACHE_FLUSH_AND_INVALIDATE = 1

GROUP_PRIORITY_LOW = 0
GROUP_PRIORITY_MEDIUM = 1
GROUP_PRIORITY_HIGH = 2
GROUP_PRIORITY_REALTIME = 3
GROUP_STATE_TIMEDOUT = 1
GROUP_STATE_FATAL_FAULT = 2
GROUP_STATE_INNOCENT = 4


class ObjArray(CStruct, name="drm_panthor_obj_array"):
    stride: u32
    count: u32
    array: u64


class SyncOp(CStruct, name="drm_panthor_sync_op"):
    flags: u32
    handle: u32
    timeline_value: u64


class GpuInfo(CStruct, name="drm_panthor_gpu_info"):
    gpu_id: u32
    gpu_rev: u32
    csf_id: u32
    l2_features: u32
    tiler_features: u32
    mem_features: u32
    mmu_features: u32
    thread_features: u32
    max_threads: u32
    thread_max_workgroup_size: u32
    thread_max_barrier_size: u32
    coherency_features: u32
    texture_features: Annotated[tuple[int, ...], Array("I", 4)]
    as_present: u32
    selected_coherency: u32
    shader_present: u64
    l2_present: u64
    tiler_present: u64
    core_features: u32
    pad: u32
    gpu_features: u64


class CsifInfo(CStruct, name="drm_panthor_csif_info"):
    csg_slot_count: u32
    cs_slot_count: u32
    cs_reg_count: u32
    scoreboard_slot_count: u32
    unpreserved_cs_reg_count: u32
    pad: u32


class TimestampInfo(CStruct, name="drm_panthor_timestamp_info"):
    timestamp_frequency: u64
    current_timestamp: u64
    timestamp_offset: u64
    flags: u32
    duration_nsec: u32
    cycle_count: u64
    cpu_timestamp_sec: u64
    cpu_timestamp_nsec: u64


class GroupPrioritiesInfo(CStruct, name="drm_panthor_group_priorities_info"):
    allowed_mask: u8
    pad: Annotated[tuple[int, ...], Array("B", 3)]


class DevQuery(CStruct, name="drm_panthor_dev_query"):
    type: u32
    size: u32
    pointer: u64


class VmCreate(CStruct, name="drm_panthor_vm_create"):
    flags: u32
    id: u32
    user_va_range: u64


class VmDestroy(CStruct, name="drm_panthor_vm_destroy"):
    id: u32
    pad: u32


class VmBindOp(CStruct, name="drm_panthor_vm_bind_op"):
    flags: u32
    bo_handle: u32
    bo_offset: u64
    va: u64
    size: u64
    syncs: ObjArray


class VmBind(CStruct, name="drm_panthor_vm_bind"):
    vm_id: u32
    flags: u32
    ops: ObjArray


class VmGetState(CStruct, name="drm_panthor_vm_get_state"):
    vm_id: u32
    state: u32


class BoCreate(CStruct, name="drm_panthor_bo_create"):
    size: u64
    flags: u32
    exclusive_vm_id: u32
    handle: u32
    pad: u32


class BoMmapOffset(CStruct, name="drm_panthor_bo_mmap_offset"):
    handle: u32
    pad: u32
    offset: u64


class QueueCreate(CStruct, name="drm_panthor_queue_create"):
    priority: u8
    pad: Annotated[tuple[int, ...], Array("B", 3)]
    ringbuf_size: u32


class GroupCreate(CStruct, name="drm_panthor_group_create"):
    queues: ObjArray
    max_compute_cores: u8
    max_fragment_cores: u8
    max_tiler_cores: u8
    priority: u8
    pad: u32
    compute_core_mask: u64
    fragment_core_mask: u64
    tiler_core_mask: u64
    vm_id: u32
    group_handle: u32


class GroupDestroy(CStruct, name="drm_panthor_group_destroy"):
    group_handle: u32
    pad: u32


class QueueSubmit(CStruct, name="drm_panthor_queue_submit"):
    queue_index: u32
    stream_size: u32
    stream_addr: u64
    latest_flush: u32
    pad: u32
    syncs: ObjArray


class GroupSubmit(CStruct, name="drm_panthor_group_submit"):
    group_handle: u32
    pad: u32
    queue_submits: ObjArray


class GroupGetState(CStruct, name="drm_panthor_group_get_state"):
    group_handle: u32
    state: u32
    fatal_queues: u32
    pad: u32


class TilerHeapCreate(CStruct, name="drm_panthor_tiler_heap_create"):
    vm_id: u32
    initial_chunk_count: u32
    chunk_size: u32
    max_chunks: u32
    target_in_flight: u32
    handle: u32
    tiler_heap_ctx_gpu_va: u64
    first_heap_chunk_gpu_va: u64


class TilerHeapDestroy(CStruct, name="drm_panthor_tiler_heap_destroy"):
    handle: u32
    pad: u32


class BoSetLabel(CStruct, name="drm_panthor_bo_set_label"):
    handle: u32
    pad: u32
    label: u64


class SetUserMmioOffset(CStruct, name="drm_panthor_set_user_mmio_offset"):
    offset: u64


class BoSyncOp(CStruct, name="drm_panthor_bo_sync_op"):
    handle: u32
    type: u32
    offset: u64
    size: u64


class BoSync(CStruct, name="drm_panthor_bo_sync"):
    ops: ObjArray


class BoQueryInfo(CStruct, name="drm_panthor_bo_query_info"):
    handle: u32
    extra_flags: u32
    create_flags: u32
    pad: u32


#: In the order of enum drm_panthor_ioctl_id: a position here is the ioctl's id.
_ARGUMENTS: tuple[tuple[str, type[CStruct]], ...] = (
    ("DEV_QUERY", DevQuery),
    ("VM_CREATE", VmCreate),
    ("VM_DESTROY", VmDestroy),
    ("VM_BIND", VmBind),
    ("VM_GET_STATE", VmGetState),
    ("BO_CREATE", BoCreate),
    ("BO_MMAP_OFFSET", BoMmapOffset),
    ("GROUP_CREATE", GroupCreate),
    ("GROUP_DESTROY", GroupDestroy),
    ("GROUP_SUBMIT", GroupSubmit),
    ("GROUP_GET_STATE", GroupGetState),
    ("TILER_HEAP_CREATE", TilerHeapCreate),
    ("TILER_HEAP_DESTROY", TilerHeapDestroy),
    ("BO_SET_LABEL", BoSetLabel),
    ("SET_USER_MMIO_OFFSET", SetUserMmioOffset),
    ("BO_SYNC", BoSync),
    ("BO_QUERY_INFO", BoQueryInfo),
)
(
    DEV_QUERY,
    VM_CREATE,
    VM_DESTROY,
    VM_BIND,
    VM_GET_STATE,
    BO_CREATE,
    BO_MMAP_OFFSET,
    GROUP_CREATE,
    GROUP_DESTROY,
    GROUP_SUBMIT,
    GROUP_GET_STATE,
    TILER_HEAP_CREATE,
    TILER_HEAP_DESTROY,
    BO_SET_LABEL,
    SET_USER_MMIO_OFFSET,
    BO_SYNC,
    BO_QUERY_INFO,
) = IOCTLS = tuple(
    Ioctl(f"DRM_IOCTL_PANTHOR_{name}", "d", DRM_COMMAND_BASE + n, "WR", argument)
    for n, (name, argument) in enumerate(_ARGUMENTS)
)

STRUCTS = tuple(
    value
    for value in tuple(globals().values())
    if isinstance(value, type) and issubclass(value, CStruct) and value is not CStruct
)
