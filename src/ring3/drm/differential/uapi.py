"""The user interface of the mock driver (module/ring3_mock.c, mock.py), as declarations."""

from __future__ import annotations

from ring3.dma_buf.cstruct import CStruct, Ioctl, s32, u32, u64
from ring3.drm.uapi import DRM_COMMAND_BASE


class CreateBo(CStruct, name="mock_create_bo"):
    size: u64
    handle: u32
    pad: u32


class CreateContext(CStruct, name="mock_create_context"):
    priority: u32
    id: u32


class DestroyContext(CStruct, name="mock_destroy_context"):
    id: u32
    pad: u32


class Submit(CStruct, name="mock_submit"):
    context: u32
    credits: u32
    wait: u32
    signal: u32
    wait_point: u64
    signal_point: u64
    bo: u32
    write: u32


class Advance(CStruct, name="mock_advance"):
    count: u32
    error: s32
    done: u32
    last: u32


class Settle(CStruct, name="mock_settle"):
    pad: u64


def _mock(name: str, nr: int, argument: type[CStruct]) -> Ioctl:
    return Ioctl(f"MOCK_{name}", "d", DRM_COMMAND_BASE + nr, "WR", argument)


CREATE_BO = _mock("CREATE_BO", 0, CreateBo)
CREATE_CONTEXT = _mock("CREATE_CONTEXT", 1, CreateContext)
DESTROY_CONTEXT = _mock("DESTROY_CONTEXT", 2, DestroyContext)
SUBMIT = _mock("SUBMIT", 3, Submit)
ADVANCE = _mock("ADVANCE", 4, Advance)
SETTLE = _mock("SETTLE", 5, Settle)
