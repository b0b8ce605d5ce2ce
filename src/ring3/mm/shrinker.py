"""Shrinkers: the arithmetic of how much of which cache to scan (mm/shrinker.c, Linux 7.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ring3.mm.zone import Memory

SHRINK_STOP = -1
SHRINK_EMPTY = -2
DEFAULT_SEEKS = 2
SHRINK_BATCH = 128


class ShrinkControl:
    """What one call of a shrinker is asked for; ``nr_scanned`` it may correct."""

    __slots__ = ("gfp_mask", "nr_scanned", "nr_to_scan")

    def __init__(self, gfp_mask: int, nr_to_scan: int = 0) -> None:
        self.gfp_mask = gfp_mask
        self.nr_to_scan = self.nr_scanned = nr_to_scan


class Shrinker:
    """A cache that can be made smaller.  Subclasses count and scan their objects."""

    def __init__(self, name: str, *, seeks: int = DEFAULT_SEEKS, batch: int = 0) -> None:
        self.name = name
        self.seeks = seeks
        self.batch = batch
        self.nr_deferred = 0

    def count_objects(self, sc: ShrinkControl) -> int:
        """How many objects could go; SHRINK_EMPTY when there are none at all."""
        raise NotImplementedError

    def scan_objects(self, sc: ShrinkControl) -> int:
        """Try to free ``sc.nr_to_scan`` objects: how many went, or SHRINK_STOP."""
        raise NotImplementedError


def shrink_slab(mm: Memory, gfp_mask: int, priority: int) -> int:
    """Ask every shrinker for its share at ``priority``; how many objects went."""
    freed = 0
    for shrinker in list(mm.shrinkers):
        freed += max(0, do_shrink_slab(mm, ShrinkControl(gfp_mask), shrinker, priority))
    return freed


def do_shrink_slab(mm: Memory, sc: ShrinkControl, shrinker: Shrinker, priority: int) -> int:
    """One shrinker's share of a pass.  What it could not do now is deferred to the next."""
    freeable = shrinker.count_objects(sc)
    if freeable in (0, SHRINK_EMPTY):
        return freeable
    deferred, shrinker.nr_deferred = shrinker.nr_deferred, 0
    if shrinker.seeks:
        delta = (freeable >> priority) * 4 // shrinker.seeks
    else:
        delta = freeable // 2
    total = min((deferred >> priority) + delta, 2 * freeable)
    batch = shrinker.batch or SHRINK_BATCH
    freed = scanned = 0
    while total >= batch or total >= freeable:
        sc.nr_to_scan = sc.nr_scanned = min(batch, total)
        got = shrinker.scan_objects(sc)
        if got == SHRINK_STOP:
            break
        freed += got
        total -= sc.nr_scanned
        scanned += sc.nr_scanned
        mm.kernel.cond_resched()
    # Others may have deferred work meanwhile: add to theirs.
    shrinker.nr_deferred += min(max(deferred + delta - scanned, 0), 2 * freeable)
    return freed
