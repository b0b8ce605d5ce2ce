"""The page allocator: fast path, slow path, reserves, retries.

Function names are the kernel's, so that a stack of the model reads like one of the kernel.
Source of every rule: mm/page_alloc.c, Linux 7.2.  Left out: memory policies, cpusets, compaction.
"""

from __future__ import annotations

from ring3.kernel.clock import JIFFY
from ring3.kernel.task import (
    PF_KTHREAD,
    PF_MEMALLOC,
    PF_MEMALLOC_NOFS,
    PF_MEMALLOC_NOIO,
    PF_MEMALLOC_PIN,
    PF_WQ_WORKER,
    Task,
)
from ring3.mm import gfp as G
from ring3.mm import vmscan
from ring3.mm.costs import ALLOC_ATTEMPT
from ring3.mm.oom import out_of_memory
from ring3.mm.slab import PAGE_ALLOC_COSTLY_ORDER
from ring3.mm.vmscan import MAX_RECLAIM_RETRIES
from ring3.mm.zone import Folio, Memory, Zone

QUIET = 200_000_000  # ns after which nothing that runs by itself is still under way

# mm/internal.h.  Two are GFP bits of the same value, which _alloc_flags() takes over as they are.
ALLOC_WMARK_MIN = 0x00
ALLOC_WMARK_LOW = 0x01
ALLOC_WMARK_HIGH = 0x02
ALLOC_WMARK_MASK = 0x03
ALLOC_NO_WATERMARKS = 0x04
ALLOC_OOM = 0x08
ALLOC_NON_BLOCK = 0x10
ALLOC_MIN_RESERVE = G.HIGH
ALLOC_KSWAPD = G.KSWAPD_RECLAIM


def alloc_pages(mm: Memory, gfp: int, order: int = 0) -> Folio | None:
    """2^order pages, or None.  May sleep, reclaim, and wake kswapd, as ``gfp`` and the task's scopes allow.

    With __GFP_NOFAIL and __GFP_DIRECT_RECLAIM it returns a folio or never.
    """
    kernel = mm.kernel
    task = kernel.current
    if task.flags & _SCOPES:
        gfp = G.current_gfp_context(gfp, task.flags)
    if gfp & G.DIRECT_RECLAIM and task.preempt_count:
        kernel.sleep_in_atomic("alloc_pages")
    if mm.fs_reclaim is not None and G.takes_fs_reclaim(gfp, task.flags):
        mm.fs_reclaim.acquire()
        mm.fs_reclaim.release()
    kernel.point("alloc_pages", mm, mm.key | 1)
    folio = get_page_from_freelist(mm, gfp, order, ALLOC_WMARK_LOW)
    if folio is not None:
        mm.stats.fast += 1
        return folio
    start = kernel.now()
    folio = __alloc_pages_slowpath(mm, gfp, order)
    mm.costs.settle()
    if not task.flags & (PF_KTHREAD | PF_MEMALLOC):  # not what eviction asks for inside of reclaim
        mm.stats.latencies.append(kernel.now() - start)
    if folio is None:
        mm.stats.failures += 1
    return folio


_SCOPES = PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO | PF_MEMALLOC_PIN


def get_page_from_freelist(mm: Memory, gfp: int, order: int, alloc_flags: int) -> Folio | None:
    """Take 2^order pages from the first zone whose watermark allows it."""
    highest = _highest_zone(mm, gfp)
    for zone in mm.zonelist[len(mm.zones) - 1 - highest :]:
        if alloc_flags & ALLOC_NO_WATERMARKS:
            enough = zone.free >= 1 << order
        else:
            mark = (zone.min, zone.low, zone.high)[alloc_flags & ALLOC_WMARK_MASK]
            enough = zone_watermark_ok(zone, order, mark, highest, alloc_flags, zone.free)
        if enough:
            zone.free -= 1 << order
            return Folio(zone, order)
    return None


def zone_watermark_ok(
    zone: Zone, order: int, mark: int, highest: int, alloc_flags: int, free: int
) -> bool:
    """Whether ``free`` pages leave more than the watermark after 2^order were taken."""
    minimum = mark
    if alloc_flags & ALLOC_MIN_RESERVE:
        minimum -= minimum // 2
        if alloc_flags & ALLOC_NON_BLOCK:
            minimum -= minimum // 4
    if alloc_flags & ALLOC_OOM:
        minimum -= minimum // 2
    # The kernel takes off what the request itself would use, less one page.
    free -= (1 << order) - 1
    return free > minimum + zone.protection[highest]


def __alloc_pages_slowpath(mm: Memory, gfp: int, order: int) -> Folio | None:
    kernel = mm.kernel
    task = kernel.current
    direct = gfp & G.DIRECT_RECLAIM
    nofail = gfp & G.NOFAIL
    if nofail:
        if not direct:
            kernel.warn(_what("NOFAIL without DIRECT_RECLAIM", gfp, order))
        if task.flags & PF_MEMALLOC:
            if mm.memalloc_nofail is not None:
                folio = mm.memalloc_nofail(gfp, order)
                if folio is not None:
                    return folio
            kernel.warn(_what("NOFAIL under PF_MEMALLOC", gfp, order))
    no_progress = 0
    retried_reserves = False
    spins = 0
    alloc_flags = _alloc_flags(gfp)
    while True:
        mm.costs.charge(ALLOC_ATTEMPT)
        if alloc_flags & ALLOC_KSWAPD:
            vmscan.wakeup_kswapd(mm)
        folio = get_page_from_freelist(mm, gfp, order, alloc_flags)
        if folio is not None:
            return folio
        reserves = __gfp_pfmemalloc_flags(mm, task, gfp)
        if reserves:
            alloc_flags = reserves | alloc_flags & ALLOC_KSWAPD
            if not retried_reserves:
                retried_reserves = True
                continue
        if direct and not task.flags & PF_MEMALLOC:
            progress = __alloc_pages_direct_reclaim(mm, gfp, order)
            folio = get_page_from_freelist(mm, gfp, order, alloc_flags)
            if folio is not None:
                return folio
            if not gfp & G.NORETRY and (order <= PAGE_ALLOC_COSTLY_ORDER or gfp & G.RETRY_MAYFAIL):
                no_progress = (
                    0 if progress and order <= PAGE_ALLOC_COSTLY_ORDER else no_progress + 1
                )
                if should_reclaim_retry(mm, gfp, order, alloc_flags, no_progress):
                    continue
                folio, progress = __alloc_pages_may_oom(mm, gfp, order)
                if folio is not None:
                    return folio
                gives_up = task in mm.oom_victims and (
                    alloc_flags & ALLOC_OOM or gfp & G.NOMEMALLOC
                )
                if progress and not gives_up:
                    if no_progress > MAX_RECLAIM_RETRIES:
                        spins += 1
                        _wait_for_memory(mm, spins)
                    no_progress = 0
                    continue
        if not (nofail and direct):
            return None
        folio = get_page_from_freelist(mm, gfp, order, ALLOC_MIN_RESERVE)
        if folio is not None:
            return folio
        spins += 1
        _wait_for_memory(mm, spins)


def __gfp_pfmemalloc_flags(mm: Memory, task: Task, gfp: int) -> int:
    """Which reserves the request may use."""
    if gfp & G.NOMEMALLOC:
        return 0
    if gfp & G.MEMALLOC or task.flags & PF_MEMALLOC:
        return ALLOC_NO_WATERMARKS
    return ALLOC_OOM if task in mm.oom_victims else 0


def __alloc_pages_direct_reclaim(mm: Memory, gfp: int, order: int) -> int:
    """Reclaim under PF_MEMALLOC; how many pages came free."""
    kernel = mm.kernel
    task = kernel.current
    if mm.fs_reclaim is not None and gfp & G.FS:
        mm.fs_reclaim.acquire()
    task.flags |= PF_MEMALLOC
    try:
        return vmscan.try_to_free_pages(mm, gfp, order)
    finally:
        task.flags &= ~PF_MEMALLOC
        if mm.fs_reclaim is not None and gfp & G.FS:
            mm.fs_reclaim.release()


def should_reclaim_retry(
    mm: Memory, gfp: int, order: int, alloc_flags: int, no_progress: int
) -> bool:
    """Whether reclaiming once more could help; lets others run."""
    if no_progress > MAX_RECLAIM_RETRIES:
        return False
    highest = _highest_zone(mm, gfp)
    reclaimable = len(mm.inactive) + len(mm.active)
    possible = any(
        zone_watermark_ok(zone, order, zone.min, highest, alloc_flags, zone.free + reclaimable)
        for zone in mm.zones[: highest + 1]
    )
    if mm.kernel.current.flags & PF_WQ_WORKER:
        mm.kernel.sleep(JIFFY)
    else:
        mm.kernel.cond_resched()
    return possible


def __alloc_pages_may_oom(mm: Memory, gfp: int, order: int) -> tuple[Folio | None, bool]:
    """Kill something, unless somebody else does; (a page, whether there may be progress)."""
    if not mm.oom_lock.trylock():
        mm.kernel.sleep(JIFFY)
        return None, True
    try:
        folio = get_page_from_freelist(mm, gfp, order, ALLOC_WMARK_HIGH)
        if folio is not None:
            return folio, True
        if order > PAGE_ALLOC_COSTLY_ORDER or gfp & (G.RETRY_MAYFAIL | G.THISNODE):
            return None, False
        if out_of_memory(mm, gfp):
            if gfp & G.NOFAIL:
                folio = get_page_from_freelist(mm, gfp, order, ALLOC_NO_WATERMARKS)
            return folio, True
        return None, False
    finally:
        mm.oom_lock.unlock()


def _wait_for_memory(mm: Memory, spins: int) -> None:
    """Where the kernel spins (cond_resched, retry), the model sleeps until pages come free.

    Who may reclaim tries again by itself, too, a few times and late enough for all I/O under way to be
    over: what is not reclaimable then never will be.  So a wait without end is seen as one.
    """
    kernel = mm.kernel
    task = kernel.current
    kernel.cond_resched()
    before = mm.free
    again = task.flags & PF_MEMALLOC == 0 and spins <= 3
    mm.freed.wait_event(
        lambda: mm.free != before or task in mm.oom_victims, timeout=QUIET if again else None
    )


def _alloc_flags(gfp: int) -> int:
    flags = ALLOC_WMARK_MIN | gfp & (ALLOC_MIN_RESERVE | ALLOC_KSWAPD)
    if not gfp & (G.DIRECT_RECLAIM | G.NOMEMALLOC):
        flags |= ALLOC_NON_BLOCK
    return flags


def _highest_zone(mm: Memory, gfp: int) -> int:
    """The index of the highest zone that the request may use."""
    if len(mm.zones) == 1 or not gfp & (G.DMA | G.DMA32):
        return len(mm.zones) - 1
    wanted = "DMA" if gfp & G.DMA else "DMA32"
    names = [zone.name for zone in mm.zones]
    return names.index(wanted) if wanted in names else 0


def _what(fault: str, gfp: int, order: int) -> str:
    return f"page allocation: {fault}: order:{order}, mode:{gfp:#x}({G.format_gfp(gfp)})"
