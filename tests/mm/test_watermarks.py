"""Watermarks against /proc/zoneinfo of the running kernel."""

from __future__ import annotations

import contextlib
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.errors import BadInput
from ring3.mm import watermarks

#: One node of a machine with 12 GB on which lowmem_reserve_ratio and min_free_kbytes are defaults for
#: that size (measured, Linux 6.18).
ZONEINFO = """Node 0, zone      DMA
  pages free     3840
        boost    0
        min      32
        low      40
        high     48
        promo    56
        managed  3840
        protection: (0, 3019, 6999, 6999, 6999)
"""


def test_running_kernel() -> None:
    path = Path("/proc/zoneinfo")
    if not path.is_file():
        pytest.skip("no /proc/zoneinfo here")
    # Pages may be given to the machine while we read: read until two readings agree.
    for _ in range(20):
        before, settings = path.read_text(), watermarks.read_settings()
        zones = watermarks.read_zoneinfo(before)
        again = watermarks.read_zoneinfo(path.read_text())
        if [z.managed for z in zones] == [z.managed for z in again]:
            break
    nodes = [list(group) for _, group in groupby(zones, lambda zone: zone.node)]
    shapes = [[(zone.name, zone.managed) for zone in node] for node in nodes]
    computed = watermarks.node_watermarks(shapes, settings)
    assert computed == [[zone.marks for zone in node] for node in nodes]


def test_boost_is_taken_off() -> None:
    boosted = ZONEINFO.replace("boost    0", "boost    7")
    for plain in (32, 40, 48, 56):
        boosted = boosted.replace(f" {plain}\n", f" {plain + 7}\n")
    (zone,) = watermarks.read_zoneinfo(boosted)
    assert (zone.boost, zone.marks.min, zone.marks.low) == (7, 32, 40)


@given(st.text(max_size=300))
def test_garbage(text: str) -> None:
    with contextlib.suppress(BadInput):
        watermarks.read_zoneinfo(text)


@given(st.integers(0, len(ZONEINFO) - 1))
def test_truncated(length: int) -> None:
    with contextlib.suppress(BadInput):
        assert len(watermarks.read_zoneinfo(ZONEINFO[:length])) <= 1
