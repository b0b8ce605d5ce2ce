"""Reclaim: who calls it, how hard it looks, whom it makes wait (mm/vmscan.c, Linux 7.2).

The two classic page lists, file pages only: there is no swap, so anonymous memory stays.  Dirty pages are
never written from here: they go back to the active list and the flusher is woken.  Left out: memory
cgroups, MGLRU, boosts of watermarks.
"""

from __future__ import annotations

from itertools import islice

from ring3.kernel.clock import JIFFY, NSEC_PER_SEC
from ring3.kernel.task import PF_KSWAPD, PF_KTHREAD, PF_MEMALLOC, State
from ring3.mm import gfp as G
from ring3.mm.costs import SCAN_PAGE
from ring3.mm.shrinker import shrink_slab
from ring3.mm.watermarks import SWAP_CLUSTER_MAX
from ring3.mm.zone import Memory, free_pages

DEF_PRIORITY = 12
MAX_RECLAIM_RETRIES = 16


class ScanControl:
    """One reclaim in progress."""

    __slots__ = (
        "force_deactivate",
        "gfp_mask",
        "immediate",
        "nr_reclaimed",
        "nr_to_reclaim",
        "priority",
        "skipped_deactivate",
    )

    def __init__(self, gfp_mask: int, nr_to_reclaim: int) -> None:
        self.gfp_mask = gfp_mask
        self.nr_to_reclaim = nr_to_reclaim
        self.nr_reclaimed = 0
        self.priority = DEF_PRIORITY
        self.immediate = 0
        self.force_deactivate = self.skipped_deactivate = False


def try_to_free_pages(mm: Memory, gfp: int, order: int) -> int:
    """Direct reclaim: how many pages came free (1 when the caller was killed while it waited)."""
    if throttle_direct_reclaim(mm, gfp):
        return 1
    return do_try_to_free_pages(mm, ScanControl(gfp, max(SWAP_CLUSTER_MAX, 1 << order)))


def do_try_to_free_pages(mm: Memory, sc: ScanControl) -> int:
    """Look harder and harder until enough pages came free."""
    task = mm.kernel.current
    mm.reclaim_state[task] = 0
    try:
        # When nothing at all went: once more (memcg_full_walk), then with the active pages made inactive.
        for sc.force_deactivate in (False, False, True):
            if sc.force_deactivate and not sc.skipped_deactivate:
                break
            for sc.priority in range(DEF_PRIORITY, -1, -1):
                shrink_node(mm, sc)
                if sc.nr_reclaimed >= sc.nr_to_reclaim:
                    break
                if sc.priority == 1 and not sc.nr_reclaimed:
                    throttle_noprogress(mm)
            if sc.nr_reclaimed:
                break
    finally:
        del mm.reclaim_state[task]
    return sc.nr_reclaimed


def shrink_node(mm: Memory, sc: ScanControl) -> None:
    """One pass over pages and slab caches at ``sc.priority``."""
    task = mm.kernel.current
    if mm.inactive or mm.active:
        shrink_lruvec(mm, sc)
    if mm.shrinkers:
        shrink_slab(mm, sc.gfp_mask, sc.priority)
    mm.costs.settle()
    sc.nr_reclaimed += mm.reclaim_state[task]
    mm.reclaim_state[task] = 0
    if sc.immediate and task.flags & PF_KSWAPD:
        reclaim_throttle(mm, NSEC_PER_SEC // 10)
    sc.immediate = 0


def shrink_lruvec(mm: Memory, sc: ScanControl) -> None:
    """Scan 1/2^priority of each list."""
    mm.kernel.point("shrink_lruvec", mm, mm.key | 1)
    scan_inactive = len(mm.inactive) >> sc.priority
    scan_active = len(mm.active) >> sc.priority
    if scan_active and (sc.force_deactivate or len(mm.inactive) < len(mm.active)):
        _shrink_active_list(mm, scan_active)
    elif scan_active:
        sc.skipped_deactivate = True
    if not scan_inactive and sc.priority == 0:
        scan_inactive = len(mm.inactive)
    while scan_inactive > 0:
        batch = min(scan_inactive, SWAP_CLUSTER_MAX)
        scan_inactive -= batch
        sc.nr_reclaimed += _shrink_inactive_list(mm, sc, batch)
        if sc.nr_reclaimed >= sc.nr_to_reclaim and sc.priority < DEF_PRIORITY:
            break


def _shrink_active_list(mm: Memory, count: int) -> None:
    mm.costs.charge(SCAN_PAGE * count)
    for folio in list(islice(mm.active, count)):
        del mm.active[folio]
        folio.active = False
        mm.inactive[folio] = None


def _shrink_inactive_list(mm: Memory, sc: ScanControl, count: int) -> int:
    """Isolate a batch, free what is clean and unused, put the rest back."""
    batch = list(islice(mm.inactive, count))
    mm.costs.charge(SCAN_PAGE * len(batch))
    for folio in batch:
        del mm.inactive[folio]
        folio.isolated = True
    freed = dirty = 0
    for folio in batch:
        folio.isolated = False
        if folio.mapping is None:  # truncated meanwhile; ours was the last reference
            freed += folio.pages
            free_pages(mm, folio)
        elif folio.writeback:
            sc.immediate += 1
            mm.inactive[folio] = None
        elif folio.dirty or folio.referenced or folio.pins:
            dirty += folio.dirty
            folio.referenced = False
            folio.active = True
            mm.active[folio] = None
        else:
            folio.mapping.remove(folio)
            freed += folio.pages
            free_pages(mm, folio)
    if dirty and mm.wake_flusher is not None:
        mm.wake_flusher()
    return freed


def reclaim_throttle(mm: Memory, timeout: int) -> None:
    """Make a user task or kswapd wait for what is under way; other kernel threads only yield."""
    task = mm.kernel.current
    if task.flags & PF_KTHREAD and not task.flags & PF_KSWAPD:
        mm.kernel.cond_resched()
        return
    mm.kernel.sleep(timeout)


def throttle_noprogress(mm: Memory) -> None:
    """Wait a jiffy, if what is dirty or under writeback is half of the page lists; else only yield."""
    pages = [*mm.inactive, *mm.active]
    write_pending = sum(folio.dirty or folio.writeback for folio in pages)
    if mm.kswapd_failures >= MAX_RECLAIM_RETRIES or 2 * write_pending <= len(pages):
        mm.kernel.cond_resched()
    else:
        reclaim_throttle(mm, JIFFY)


def allow_direct_reclaim(mm: Memory) -> bool:
    """Whether more than half of the reserve below the min watermarks is there."""
    if mm.kswapd_failures >= MAX_RECLAIM_RETRIES:
        return True
    # Zones with nothing on the page lists, but with free pages, are left out of the sum: nobody is made to
    # wait for kswapd where it has no pages to reclaim.
    if not (mm.inactive or mm.active) and mm.free:
        return True
    reserve = sum(zone.min for zone in mm.zones)
    if not reserve or mm.free > reserve // 2:
        return True
    mm.kswapd_wait.wake_up()
    return False


def throttle_direct_reclaim(mm: Memory, gfp: int) -> bool:
    """Make the caller wait for kswapd while the reserve is low; whether it was killed meanwhile."""
    task = mm.kernel.current
    if mm.kswapd is None or task.flags & PF_KTHREAD or task.signal_pending:
        return False
    if allow_direct_reclaim(mm):
        return False
    if gfp & G.FS:
        mm.pfmemalloc_wait.wait_event(lambda: allow_direct_reclaim(mm), state=State.KILLABLE)
    else:
        mm.pfmemalloc_wait.wait_event(
            lambda: allow_direct_reclaim(mm), state=State.INTERRUPTIBLE, timeout=NSEC_PER_SEC
        )
    return task.signal_pending


def start_kswapd(mm: Memory) -> None:
    """Start the background reclaimer."""
    mm.kswapd = mm.kernel.kthread_run(kswapd, mm, name="kswapd0", flags=PF_MEMALLOC | PF_KSWAPD)


def wakeup_kswapd(mm: Memory) -> None:
    """Wake kswapd unless it sleeps with good reason: enough memory, or no hope."""
    if mm.kswapd is None or not mm.kswapd_wait.waiters:
        return
    if mm.kswapd_failures < MAX_RECLAIM_RETRIES and not pgdat_balanced(mm):
        mm.kswapd_wait.wake_up()


def pgdat_balanced(mm: Memory) -> bool:
    """Whether some zone has more than its high watermark."""
    return any(zone.free > zone.high for zone in mm.zones)


def kswapd(mm: Memory) -> None:
    """The thread: sleep until woken, then balance."""
    while True:
        mm.kswapd_wait.wait_event(
            lambda: not pgdat_balanced(mm) and mm.kswapd_failures < MAX_RECLAIM_RETRIES,
            state=State.INTERRUPTIBLE,
        )
        balance_pgdat(mm)


def balance_pgdat(mm: Memory) -> None:
    """Reclaim until the high watermark is met or the priorities are used up."""
    kernel = mm.kernel
    task = kernel.current
    sc = ScanControl(G.GFP_KERNEL, sum(max(zone.high, SWAP_CLUSTER_MAX) for zone in mm.zones))
    if mm.fs_reclaim is not None:
        mm.fs_reclaim.acquire()
    mm.reclaim_state[task] = 0
    try:
        while sc.priority >= 1 and not pgdat_balanced(mm):
            before = sc.nr_reclaimed
            shrink_node(mm, sc)
            if mm.pfmemalloc_wait.waiters and allow_direct_reclaim(mm):
                mm.pfmemalloc_wait.wake_up_all()
            if sc.nr_reclaimed - before < sc.nr_to_reclaim:
                sc.priority -= 1
            kernel.cond_resched()
    finally:
        del mm.reclaim_state[task]
        if mm.fs_reclaim is not None:
            mm.fs_reclaim.release()
    if sc.nr_reclaimed:
        mm.kswapd_failures = 0
    elif not pgdat_balanced(mm):
        mm.kswapd_failures += 1
        # Whoever was told to wait for kswapd now has to help itself.
        if mm.kswapd_failures >= MAX_RECLAIM_RETRIES:
            mm.pfmemalloc_wait.wake_up_all()
