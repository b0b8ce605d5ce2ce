"""Watermarks and lowmem reserves of zones, computed as the kernel does, and read from /proc/zoneinfo.

Sources: mm/page_alloc.c (__setup_per_zone_wmarks, setup_per_zone_lowmem_reserve), Linux 7.2.
All figures are pages unless a name says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ring3.errors import BadInput

KIB_IN_PAGE = 4
SWAP_CLUSTER_MAX = 32
#: Zones that kernel allocations do not fall back to: their min is capped, the distances are not.
NOT_LOWMEM = ("HighMem", "Movable")


@dataclass(frozen=True)
class Watermarks:
    """min < low < high < promo, and ``protection[j]``: what is kept from requests that may use zone j."""

    min: int
    low: int
    high: int
    promo: int
    protection: tuple[int, ...] = ()


@dataclass(frozen=True)
class ZoneInfo:
    """One zone of /proc/zoneinfo; ``marks`` are without ``boost``."""

    node: int
    name: str
    free: int
    boost: int
    managed: int
    marks: Watermarks


@dataclass(frozen=True)
class Settings:
    """/proc/sys/vm: min_free_kbytes (KiB), watermark_scale_factor (1/10000), lowmem_reserve_ratio."""

    min_free_kbytes: int
    watermark_scale_factor: int = 10
    lowmem_reserve_ratio: tuple[int, ...] = (256, 256, 32, 0, 0)


def watermarks(zones: Sequence[tuple[str, int]], settings: Settings) -> list[Watermarks]:
    """The watermarks of the zones of one node, ``(name, managed pages)`` from the lowest up."""
    return node_watermarks([zones], settings)[0]


def node_watermarks(
    nodes: Sequence[Sequence[tuple[str, int]]], settings: Settings
) -> list[list[Watermarks]]:
    """The watermarks of every zone of every node: ``min`` is shared out over all lowmem zones."""
    pages_min = settings.min_free_kbytes // KIB_IN_PAGE
    lowmem = sum(managed for zones in nodes for name, managed in zones if name not in NOT_LOWMEM)
    answer = []
    for zones in nodes:
        row = []
        for index, (name, managed) in enumerate(zones):
            share = pages_min * managed // lowmem if lowmem else 0
            minimum = share
            if name in NOT_LOWMEM:
                minimum = min(max(managed // 1024, SWAP_CLUSTER_MAX), 128)
            step = max(share // 4, managed * settings.watermark_scale_factor // 10000)
            low, high, promo = (minimum + times * step for times in (1, 2, 3))
            kept = _protection(zones, index, settings)
            row.append(Watermarks(minimum, low, high, promo, kept))
        answer.append(row)
    return answer


def read_zoneinfo(text: str) -> list[ZoneInfo]:
    """The zones of /proc/zoneinfo.  Raises BadInput when a zone lacks a figure."""
    found = []
    for part in re.split(r"^(?=Node \d)", text, flags=re.MULTILINE)[1:]:
        head = re.match(r"Node (\d{1,6}), zone +(\w+)", part)
        protection = re.search(r"protection: \(([\d, ]*)\)", part)
        if not head or not protection:
            raise BadInput("a zone without name or protection", where=f"zoneinfo: {part[:40]!r}")

        def figure(name: str, part: str = part) -> int:
            hit = re.search(rf"^ +(?:pages )?{name} +(\d{{1,18}})$", part, flags=re.MULTILINE)
            if not hit:
                raise BadInput(f"no figure {name!r}", where=f"zoneinfo: {part[:20].strip()!r}")
            return int(hit[1])

        boost = figure("boost")
        low, mid, high, promo = (figure(name) - boost for name in ("min", "low", "high", "promo"))
        kept = tuple(int(n) for n in protection[1].split(",") if n.strip())
        zone = ZoneInfo(
            int(head[1]),
            head[2],
            figure("free"),
            boost,
            figure("managed"),
            Watermarks(low, mid, high, promo, kept),
        )
        found.append(zone)
    return found


def read_settings(root: Path = Path("/proc/sys/vm")) -> Settings:
    """The running kernel's settings."""
    ratios = (root / "lowmem_reserve_ratio").read_text().split()
    return Settings(
        int((root / "min_free_kbytes").read_text()),
        int((root / "watermark_scale_factor").read_text()),
        tuple(int(ratio) for ratio in ratios),
    )


def _protection(
    zones: Sequence[tuple[str, int]], index: int, settings: Settings
) -> tuple[int, ...]:
    ratios = settings.lowmem_reserve_ratio
    ratio = ratios[index] if index < min(len(ratios), len(zones) - 1) else 0
    kept = [0] * len(zones)
    if ratio and zones[index][1]:
        above = 0
        for upper in range(index + 1, len(zones)):
            above += zones[upper][1]
            kept[upper] = above // ratio
    return tuple(kept)
