"""The allocator and reclaim: arithmetic worked out by hand from the kernel's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.kernel.core import Kernel
from ring3.kernel.task import PF_MEMALLOC
from ring3.mm import gfp as G
from ring3.mm.list_lru import ListLru, Lru
from ring3.mm.mempool import Mempool
from ring3.mm.page_alloc import alloc_pages
from ring3.mm.shrinker import SHRINK_STOP, ShrinkControl, Shrinker, do_shrink_slab
from ring3.mm.slab import Cache
from ring3.mm.slab_cache import KmemCache
from ring3.mm.vmscan import start_kswapd
from ring3.mm.watermarks import Settings
from ring3.mm.zone import Folio, Memory, free_pages


def memory(pages: int = 64, marks: tuple[int, int, int] = (8, 10, 12)) -> Memory:
    return Memory(Kernel(), [("Normal", pages)], marks=[marks])


class Objects(Shrinker):
    """A cache of ``count`` objects that frees what it is asked for, or stops."""

    def __init__(self, count: int, *, stop: bool = False, seeks: int = 2, batch: int = 0) -> None:
        super().__init__("objects", seeks=seeks, batch=batch)
        self.count, self.stop = count, stop
        self.calls: list[int] = []

    def count_objects(self, sc: ShrinkControl) -> int:
        return self.count

    def scan_objects(self, sc: ShrinkControl) -> int:
        if self.stop:
            return SHRINK_STOP
        self.calls.append(sc.nr_to_scan)
        return sc.nr_to_scan


@pytest.mark.parametrize(
    ("count", "priority", "seeks", "deferred", "calls", "left"),
    [
        # (4096 >> 12) * 4 / 2 = 2, less than a batch of 128 and than 4096: all of it is deferred.
        (4096, 12, 2, 0, [], 2),
        # (4096 >> 4) * 2 = 512: four batches.
        (4096, 4, 2, 0, [128] * 4, 0),
        # 2 + (1000 >> 12) = 2 to scan; 1000 + 2 is deferred.
        (4096, 12, 2, 1000, [], 1002),
        # (300 >> 0) * 2 = 600, capped at 2 * 300: batches until less than a batch is left, 88 deferred.
        (300, 0, 2, 0, [128] * 4, 88),
        # seeks 0: half of them at any priority.
        (512, 12, 0, 0, [128] * 2, 0),
        # Few objects, hard pressed: 10 * 2 = 20 >= 10, scanned at once.
        (10, 0, 2, 0, [20], 0),
    ],
)
def test_do_shrink_slab(
    *, count: int, priority: int, seeks: int, deferred: int, calls: list[int], left: int
) -> None:
    mm = memory()
    shrinker = Objects(count, seeks=seeks)
    shrinker.nr_deferred = deferred
    freed = mm.kernel.call(do_shrink_slab, mm, ShrinkControl(G.GFP_KERNEL), shrinker, priority)
    assert (shrinker.calls, shrinker.nr_deferred, freed) == (calls, left, sum(calls))


def test_shrink_stop_defers_everything() -> None:
    mm = memory()
    shrinker = Objects(1000, stop=True)
    assert mm.kernel.call(do_shrink_slab, mm, ShrinkControl(G.GFP_NOFS), shrinker, 0) == 0
    assert shrinker.nr_deferred == 2000


@given(
    count=st.integers(1, 10**6),
    priority=st.integers(0, 12),
    deferred=st.integers(0, 10**7),
    seeks=st.integers(0, 8),
)
def test_deferred_work_is_bounded(*, count: int, priority: int, deferred: int, seeks: int) -> None:
    mm = memory()
    shrinker = Objects(count, seeks=seeks, batch=1024)
    shrinker.nr_deferred = deferred
    mm.kernel.call(do_shrink_slab, mm, ShrinkControl(G.GFP_KERNEL), shrinker, priority)
    assert 0 <= shrinker.nr_deferred <= 2 * count


def take(mm: Memory, gfp: int, task_flags: int = 0) -> int:
    """How many pages a task gets before it gets none."""

    def body() -> int:
        mm.kernel.current.flags |= task_flags
        count = 0
        while alloc_pages(mm, gfp) is not None:
            count += 1
        return count

    return int(mm.kernel.call(body))


@pytest.mark.parametrize(
    ("gfp", "flags", "left"),
    [
        # Above the min watermark of 8 only: 8 stay.
        (G.GFP_NOWAIT, 0, 8),
        # __GFP_HIGH takes half of it, and without blocking a quarter of the rest: 8 - 4 - 1 = 3 stay.
        (G.GFP_ATOMIC, 0, 3),
        (G.GFP_ATOMIC | G.NOMEMALLOC, 0, 4),
        (G.GFP_NOWAIT | G.MEMALLOC, 0, 0),
        (G.GFP_NOWAIT, PF_MEMALLOC, 0),
        (G.GFP_KERNEL, PF_MEMALLOC, 0),
        (G.GFP_KERNEL | G.NOMEMALLOC, PF_MEMALLOC, 8),
        (G.GFP_KERNEL | G.NORETRY, 0, 8),
    ],
)
def test_reserves(gfp: int, flags: int, left: int) -> None:
    mm = memory()
    assert take(mm, gfp, flags) == 64 - left
    assert mm.free == left


def test_lowmem_reserve_keeps_high_requests_out() -> None:
    kernel = Kernel()
    mm = Memory(kernel, [("DMA32", 256), ("Normal", 1024)], Settings(64))
    dma, normal = mm.zones
    assert dma.protection == (0, 1024 // 256)
    taken = take(mm, G.GFP_NOWAIT)
    assert taken == 1280 - normal.min - dma.min - 4
    assert take(mm, G.GFP_NOWAIT | G.DMA32) == 4


def test_nofail_under_pf_memalloc_warns_even_when_reserves_help() -> None:
    mm = memory(pages=12)

    def body() -> None:
        mm.kernel.current.flags |= PF_MEMALLOC
        for _ in range(4):
            assert alloc_pages(mm, G.GFP_NOFS | G.NOFAIL) is not None

    mm.kernel.call(body)
    # 12 and 11 free are above low; the two below entered the slow path.
    assert len(mm.kernel.warnings) == 2


def test_the_largest_task_is_killed() -> None:
    mm = memory(pages=32)
    order = []

    def user(pages: int) -> None:
        task = mm.kernel.current
        for _ in range(pages):
            folio = alloc_pages(mm, G.GFP_KERNEL)
            assert folio is not None
            if task.signal_pending:
                free_pages(mm, folio)
                order.append(task.name)
                return
            mm.anonymous.setdefault(task, []).append(folio)
            mm.kernel.cond_resched()
        mm.kernel.msleep(1)

    mm.kernel.spawn(user, 5, name="small")
    mm.kernel.spawn(user, 40, name="large")
    mm.kernel.run()
    assert order == ["large"]
    assert mm.stats.oom_kills == 1


def test_kswapd_restores_the_high_watermark() -> None:
    mm = memory(pages=64, marks=(4, 8, 16))
    start_kswapd(mm)

    class Cache:
        name = "file"

        def remove(self, folio: Folio) -> None:
            folio.mapping = None

    def body() -> None:
        for _ in range(50):
            folio = alloc_pages(mm, G.GFP_KERNEL)
            assert folio is not None
            folio.mapping = Cache()
            mm.fill(folio)
        while alloc_pages(mm, G.GFP_NOWAIT) is not None and mm.free > 7:
            pass
        mm.kernel.msleep(1)

    mm.kernel.call(body)
    assert mm.free > 16


def test_mempool_never_fails_while_elements_come_back() -> None:
    kernel = Kernel()
    pool: Mempool[int] = Mempool(kernel, "pool", 2, lambda gfp: None, lambda element: None)
    pool.elements = [1, 2]
    got: list[int] = []

    def user() -> None:
        element = pool.alloc(G.GFP_NOIO)
        assert element is not None
        kernel.msleep(1)
        got.append(element)
        pool.free(element)

    for _ in range(6):
        kernel.spawn(user)
    assert kernel.run()
    assert sorted(got) == [1, 1, 1, 2, 2, 2]
    assert kernel.call(pool.alloc, G.GFP_NOWAIT) in (1, 2)
    assert kernel.call(pool.alloc, G.GFP_NOWAIT) in (1, 2)
    assert kernel.call(pool.alloc, G.GFP_NOWAIT) is None


def test_list_lru_walk() -> None:
    lru: ListLru[int] = ListLru()
    for number in range(6):
        assert lru.add(number)
    assert not lru.add(0)
    verdicts = {0: Lru.ROTATE, 1: Lru.REMOVED, 2: Lru.SKIP, 3: Lru.REMOVED}
    assert lru.walk(lambda item: verdicts[item], 4) == 2
    assert list(lru.items) == [2, 4, 5, 0]


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 5000))
def test_slab_pages_come_back(allocate: list[bool], size: int) -> None:
    mm = memory(pages=4096)
    cache = KmemCache(mm, Cache("objects", size))

    def body() -> None:
        objects = []
        for wants in allocate:
            if wants:
                made = cache.alloc(G.GFP_KERNEL)
                assert made is not None
                objects.append(made)
            elif objects:
                cache.free(objects.pop(len(objects) // 2))
        needed = -(-len(objects) * cache.size // 4096)
        assert cache.pages >= needed
        while objects:
            cache.free(objects.pop())

    mm.kernel.call(body)
    assert (cache.pages, mm.free) == (0, 4096)
