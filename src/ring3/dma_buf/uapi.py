"""The user interface of sync files, dma-bufs, dma-heaps and sw_sync, as declarations.

Sources: linux/sync_file.h, linux/dma-buf.h of Linux 7.2's user headers; drivers/dma-buf/sw_sync.c for the
last three structures, which have no header of their own.
"""

from __future__ import annotations

from typing import Annotated

from ring3.dma_buf.cstruct import Array, CStruct, Ioctl, s32, u32, u64

char32 = Annotated[bytes, Array("s", 32)]


class SyncMergeData(CStruct, name="sync_merge_data"):
    name: char32
    fd2: s32
    fence: s32
    flags: u32
    pad: u32


class SyncFenceInfo(CStruct, name="sync_fence_info"):
    obj_name: char32
    driver_name: char32
    status: s32
    flags: u32
    timestamp_ns: u64


class SyncFileInfo(CStruct, name="sync_file_info"):
    name: char32
    status: s32
    flags: u32
    num_fences: u32
    pad: u32
    sync_fence_info: u64


class SyncSetDeadline(CStruct, name="sync_set_deadline"):
    deadline_ns: u64
    pad: u64


class DmaBufSync(CStruct, name="dma_buf_sync"):
    flags: u64


class DmaBufExportSyncFile(CStruct, name="dma_buf_export_sync_file"):
    flags: u32
    fd: s32


class DmaBufImportSyncFile(CStruct, name="dma_buf_import_sync_file"):
    flags: u32
    fd: s32


class SwSyncCreateFenceData(CStruct, name="sw_sync_create_fence_data"):
    value: u32
    name: char32
    fence: s32


class SwSyncGetDeadline(CStruct, name="sw_sync_get_deadline"):
    deadline_ns: u64
    pad: u32
    fence_fd: s32


DMA_BUF_SYNC_READ = 1
DMA_BUF_SYNC_WRITE = 2
DMA_BUF_SYNC_RW = 3
DMA_BUF_SYNC_END = 4
DMA_BUF_NAME_LEN = 32

SYNC_IOC_MERGE = Ioctl("SYNC_IOC_MERGE", ">", 3, "WR", SyncMergeData)
SYNC_IOC_FILE_INFO = Ioctl("SYNC_IOC_FILE_INFO", ">", 4, "WR", SyncFileInfo)
SYNC_IOC_SET_DEADLINE = Ioctl("SYNC_IOC_SET_DEADLINE", ">", 5, "W", SyncSetDeadline)

DMA_BUF_IOCTL_SYNC = Ioctl("DMA_BUF_IOCTL_SYNC", "b", 0, "W", DmaBufSync)
DMA_BUF_SET_NAME_A = Ioctl("DMA_BUF_SET_NAME_A", "b", 1, "W", 4)
DMA_BUF_SET_NAME_B = Ioctl("DMA_BUF_SET_NAME_B", "b", 1, "W", 8)
DMA_BUF_IOCTL_EXPORT_SYNC_FILE = Ioctl(
    "DMA_BUF_IOCTL_EXPORT_SYNC_FILE", "b", 2, "WR", DmaBufExportSyncFile
)
DMA_BUF_IOCTL_IMPORT_SYNC_FILE = Ioctl(
    "DMA_BUF_IOCTL_IMPORT_SYNC_FILE", "b", 3, "W", DmaBufImportSyncFile
)

SW_SYNC_IOC_CREATE_FENCE = Ioctl("SW_SYNC_IOC_CREATE_FENCE", "W", 0, "WR", SwSyncCreateFenceData)
SW_SYNC_IOC_INC = Ioctl("SW_SYNC_IOC_INC", "W", 1, "W", 4)
SW_SYNC_GET_DEADLINE = Ioctl("SW_SYNC_GET_DEADLINE", "W", 2, "WR", SwSyncGetDeadline)

STRUCTS: tuple[type[CStruct], ...] = (
    SyncMergeData,
    SyncFenceInfo,
    SyncFileInfo,
    SyncSetDeadline,
    DmaBufSync,
    DmaBufExportSyncFile,
    DmaBufImportSyncFile,
)
IOCTLS = (
    SYNC_IOC_MERGE,
    SYNC_IOC_FILE_INFO,
    SYNC_IOC_SET_DEADLINE,
    DMA_BUF_IOCTL_SYNC,
    DMA_BUF_SET_NAME_A,
    DMA_BUF_SET_NAME_B,
    DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
    DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
)
SW_SYNC_IOCTLS = (SW_SYNC_IOC_CREATE_FENCE, SW_SYNC_IOC_INC, SW_SYNC_GET_DEADLINE)
