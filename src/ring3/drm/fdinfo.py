"""What /proc/PID/fdinfo/FD says of an open render node: who it is and what memory it uses.

Keys and values of drm_show_fdinfo and drm_show_memory_stats (drivers/gpu/drm/drm_file.c, 7.2), described in
Documentation/gpu/drm-usage-stats.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ring3.dma_buf.resv import usage_rw

if TYPE_CHECKING:
    from ring3.drm.file import DrmFile

_UNITS = ("", " KiB", " MiB")


def fdinfo(file: DrmFile) -> str:
    """Lines of ``key:\\tvalue``; none once the device is unplugged."""
    if file.device.unplugged:
        return ""
    return "".join(f"{key}:\t{value}\n" for key, value in _pairs(file))


def size_text(size: int) -> str:
    """``size`` bytes in the largest unit of KiB and MiB that it is whole in."""
    unit = 0
    while unit + 1 < len(_UNITS) and size and size % 1024 == 0:
        size //= 1024
        unit += 1
    return f"{size}{_UNITS[unit]}"


def _pairs(file: DrmFile) -> Iterator[tuple[str, str]]:
    yield "drm-driver", file.device.info.name
    yield "drm-client-id", str(file.client_id)
    if file.client_name:
        yield "drm-client-name", file.client_name.decode()
    yield from file.device.show_fdinfo(file)
    yield from _memory(file)


def _memory(file: DrmFile) -> Iterator[tuple[str, str]]:
    """Of the buffers that ``file`` has handles of."""
    objects = [obj for _, obj in file.objects]
    shared = sum(obj.size for obj in objects if obj.shared)
    resident = [obj for obj in objects if obj.resident]
    active = [obj for obj in objects if not obj.resv.test_signaled(usage_rw(True))]
    yield "drm-total-memory", size_text(sum(obj.size for obj in objects))
    yield "drm-shared-memory", size_text(shared)
    if active:
        yield "drm-active-memory", size_text(sum(obj.size for obj in active))
    if resident:
        yield "drm-resident-memory", size_text(sum(obj.size for obj in resident))
