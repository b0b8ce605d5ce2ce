"""The user interface of the DRM core, as declarations: what a render node answers.

Source: drm/drm.h of Linux 7.2's user headers.
"""

from __future__ import annotations

from ring3.dma_buf.cstruct import CStruct, Ioctl, s32, s64, u32, u64

DRM_COMMAND_BASE = 0x40
DRM_COMMAND_END = 0xA0

DRM_CAP_PRIME = 0x5
DRM_CAP_TIMESTAMP_MONOTONIC = 0x6
DRM_CAP_SYNCOBJ = 0x13
DRM_CAP_SYNCOBJ_TIMELINE = 0x14
DRM_PRIME_CAP_IMPORT = 1
DRM_PRIME_CAP_EXPORT = 2

DRM_CLIENT_NAME_MAX_LEN = 64

DRM_SYNCOBJ_CREATE_SIGNALED = 1
FD_TO_HANDLE_IMPORT_SYNC_FILE = 1
FD_TO_HANDLE_TIMELINE = 2
HANDLE_TO_FD_EXPORT_SYNC_FILE = 1
HANDLE_TO_FD_TIMELINE = 2
WAIT_ALL = 1
WAIT_FOR_SUBMIT = 2
WAIT_AVAILABLE = 4
WAIT_DEADLINE = 8
QUERY_LAST_SUBMITTED = 1

O_CLOEXEC = 0o2000000
O_RDWR = 2


class Version(CStruct, name="drm_version"):
    version_major: s32
    version_minor: s32
    version_patchlevel: s32
    name_len: u64
    name: u64
    date_len: u64
    date: u64
    desc_len: u64
    desc: u64


class Unique(CStruct, name="drm_unique"):
    unique_len: u64
    unique: u64


class Auth(CStruct, name="drm_auth"):
    magic: u32


class GemClose(CStruct, name="drm_gem_close"):
    handle: u32
    pad: u32


class GetCap(CStruct, name="drm_get_cap"):
    capability: u64
    value: u64


class SetClientCap(CStruct, name="drm_set_client_cap"):
    capability: u64
    value: u64


class PrimeHandle(CStruct, name="drm_prime_handle"):
    handle: u32
    flags: u32
    fd: s32


class SyncobjCreate(CStruct, name="drm_syncobj_create"):
    handle: u32
    flags: u32


class SyncobjDestroy(CStruct, name="drm_syncobj_destroy"):
    handle: u32
    pad: u32


class SyncobjHandle(CStruct, name="drm_syncobj_handle"):
    handle: u32
    flags: u32
    fd: s32
    pad: u32
    point: u64


class SyncobjTransfer(CStruct, name="drm_syncobj_transfer"):
    src_handle: u32
    dst_handle: u32
    src_point: u64
    dst_point: u64
    flags: u32
    pad: u32


class SyncobjWait(CStruct, name="drm_syncobj_wait"):
    handles: u64
    timeout_nsec: s64
    count_handles: u32
    flags: u32
    first_signaled: u32
    pad: u32
    deadline_nsec: u64


class SyncobjTimelineWait(CStruct, name="drm_syncobj_timeline_wait"):
    handles: u64
    points: u64
    timeout_nsec: s64
    count_handles: u32
    flags: u32
    first_signaled: u32
    pad: u32
    deadline_nsec: u64


class SyncobjEventfd(CStruct, name="drm_syncobj_eventfd"):
    handle: u32
    flags: u32
    point: u64
    fd: s32
    pad: u32


class SyncobjArray(CStruct, name="drm_syncobj_array"):
    handles: u64
    count_handles: u32
    pad: u32


class SyncobjTimelineArray(CStruct, name="drm_syncobj_timeline_array"):
    handles: u64
    points: u64
    count_handles: u32
    flags: u32


class SetClientName(CStruct, name="drm_set_client_name"):
    name_len: u64
    name: u64


class GemChangeHandle(CStruct, name="drm_gem_change_handle"):
    handle: u32
    new_handle: u32


def _drm(name: str, nr: int, access: str, argument: type[CStruct]) -> Ioctl:
    return Ioctl(f"DRM_IOCTL_{name}", "d", nr, access, argument)


VERSION = _drm("VERSION", 0x00, "WR", Version)
GET_UNIQUE = _drm("GET_UNIQUE", 0x01, "WR", Unique)
GET_MAGIC = _drm("GET_MAGIC", 0x02, "R", Auth)
GEM_CLOSE = _drm("GEM_CLOSE", 0x09, "W", GemClose)
GET_CAP = _drm("GET_CAP", 0x0C, "WR", GetCap)
SET_CLIENT_CAP = _drm("SET_CLIENT_CAP", 0x0D, "W", SetClientCap)
PRIME_HANDLE_TO_FD = _drm("PRIME_HANDLE_TO_FD", 0x2D, "WR", PrimeHandle)
PRIME_FD_TO_HANDLE = _drm("PRIME_FD_TO_HANDLE", 0x2E, "WR", PrimeHandle)
SYNCOBJ_CREATE = _drm("SYNCOBJ_CREATE", 0xBF, "WR", SyncobjCreate)
SYNCOBJ_DESTROY = _drm("SYNCOBJ_DESTROY", 0xC0, "WR", SyncobjDestroy)
SYNCOBJ_HANDLE_TO_FD = _drm("SYNCOBJ_HANDLE_TO_FD", 0xC1, "WR", SyncobjHandle)
SYNCOBJ_FD_TO_HANDLE = _drm("SYNCOBJ_FD_TO_HANDLE", 0xC2, "WR", SyncobjHandle)
SYNCOBJ_WAIT = _drm("SYNCOBJ_WAIT", 0xC3, "WR", SyncobjWait)
SYNCOBJ_RESET = _drm("SYNCOBJ_RESET", 0xC4, "WR", SyncobjArray)
SYNCOBJ_SIGNAL = _drm("SYNCOBJ_SIGNAL", 0xC5, "WR", SyncobjArray)
SYNCOBJ_TIMELINE_WAIT = _drm("SYNCOBJ_TIMELINE_WAIT", 0xCA, "WR", SyncobjTimelineWait)
SYNCOBJ_QUERY = _drm("SYNCOBJ_QUERY", 0xCB, "WR", SyncobjTimelineArray)
SYNCOBJ_TRANSFER = _drm("SYNCOBJ_TRANSFER", 0xCC, "WR", SyncobjTransfer)
SYNCOBJ_TIMELINE_SIGNAL = _drm("SYNCOBJ_TIMELINE_SIGNAL", 0xCD, "WR", SyncobjTimelineArray)
SYNCOBJ_EVENTFD = _drm("SYNCOBJ_EVENTFD", 0xCF, "WR", SyncobjEventfd)
SET_CLIENT_NAME = _drm("SET_CLIENT_NAME", 0xD1, "WR", SetClientName)
GEM_CHANGE_HANDLE = _drm("GEM_CHANGE_HANDLE", 0xD2, "WR", GemChangeHandle)

IOCTLS = tuple(value for value in tuple(globals().values()) if isinstance(value, Ioctl))
STRUCTS = tuple(
    value
    for value in tuple(globals().values())
    if isinstance(value, type) and issubclass(value, CStruct) and value is not CStruct
)
