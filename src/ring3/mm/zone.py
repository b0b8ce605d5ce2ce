"""A machine's memory: zones with free pages and watermarks, pages, and the lists they lie on.

Pages are counted, not addressed: an order-n request takes 2^n pages from a zone's counter, and there is no
fragmentation.  One node.  Sources: include/linux/mmzone.h, mm_types.h, Linux 7.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ring3.kernel.core import Kernel
from ring3.kernel.locks import Mutex
from ring3.kernel.task import Task
from ring3.kernel.wait import WaitQueue
from ring3.mm.costs import Costs
from ring3.mm.watermarks import NOT_LOWMEM, Settings, watermarks

if TYPE_CHECKING:
    from ring3.mm.shrinker import Shrinker


class Zone:
    """One zone.  All figures are pages."""

    __slots__ = ("free", "high", "low", "managed", "min", "name", "protection")

    def __init__(self, name: str, managed: int) -> None:
        self.name = name
        self.managed = self.free = managed
        self.min = self.low = self.high = 0
        self.protection: tuple[int, ...] = ()


class Folio:
    """2^order pages.  ``mapping`` and ``index`` say whose page cache it is in; ``buffers`` is a buffer head
    over it.  ``pins`` are references beyond the cache's own: a pinned folio cannot be reclaimed.
    ``isolated``: reclaim has it off its list and is the one to free it, should it be truncated."""

    __slots__ = (
        "active",
        "buffers",
        "dirty",
        "index",
        "isolated",
        "mapping",
        "order",
        "pins",
        "referenced",
        "uptodate",
        "wait",
        "writeback",
        "zone",
    )

    def __init__(self, zone: Zone, order: int) -> None:
        self.zone = zone
        self.order = order
        self.mapping: Any = None
        self.index = 0
        self.buffers: Any = None
        self.pins = 0
        self.active = self.dirty = self.referenced = self.uptodate = self.writeback = False
        self.isolated = False
        self.wait: WaitQueue | None = None

    @property
    def pages(self) -> int:
        return 1 << self.order

    def __repr__(self) -> str:
        owner = self.mapping.name if self.mapping is not None else "anonymous"
        return f"folio {owner}+{self.index}"


class Memory:
    """The memory of one kernel.

    ``zones`` are (name, pages) from the lowest up; requests fall back downwards.  Watermarks follow from
    ``settings`` as the kernel computes them, unless ``marks`` gives (min, low, high) for every zone.
    ``costs``: work takes virtual time (ring3.mm.costs); otherwise only sleeps do.
    """

    def __init__(
        self,
        kernel: Kernel,
        zones: Sequence[tuple[str, int]],
        settings: Settings | None = None,
        *,
        marks: Sequence[tuple[int, int, int]] | None = None,
        costs: bool = False,
    ) -> None:
        self.kernel = kernel
        self.costs = Costs(kernel, on=costs)
        self.key = kernel.new_key()
        self.zones = [Zone(name, managed) for name, managed in zones]
        if marks is None:
            computed = watermarks(zones, settings or Settings(_min_free_kbytes(zones)))
            marks = [(mark.min, mark.low, mark.high) for mark in computed]
            for zone, mark in zip(self.zones, computed, strict=True):
                zone.protection = mark.protection
        for zone, (zone.min, zone.low, zone.high) in zip(self.zones, marks, strict=True):
            zone.protection = zone.protection or (0,) * len(self.zones)
        #: Where requests look, first choice first.
        self.zonelist = list(reversed(self.zones))
        self.total = sum(zone.managed for zone in self.zones)

        self.inactive: dict[Folio, None] = {}
        self.active: dict[Folio, None] = {}
        self.shrinkers: list[Shrinker] = []
        #: Pages that slab caches gave back while a task reclaims (current->reclaim_state).
        self.reclaim_state: dict[Task, int] = {}
        self.anonymous: dict[Task, list[Folio]] = {}
        self.oom_victims: list[Task] = []
        self.oom_lock = Mutex(kernel, "oom_lock")
        self.kswapd: Task | None = None
        self.kswapd_wait = WaitQueue(kernel, "kswapd_wait")
        self.kswapd_failures = 0
        self.pfmemalloc_wait = WaitQueue(kernel, "pfmemalloc_wait")
        #: Allocations that nothing but somebody else's freeing can help sleep here instead of spinning.
        self.freed = WaitQueue(kernel, "free memory")
        #: Asked to start writing dirty pages; set by the flusher.
        self.wake_flusher: Callable[[], None] | None = None
        #: A study's own source of pages for __GFP_NOFAIL under PF_MEMALLOC (see ring3.reclaim.policies).
        self.memalloc_nofail: Callable[[int, int], Folio | None] | None = None
        #: Asked first when a folio comes free: True keeps it.
        self.take_back: Callable[[Folio], bool] | None = None
        #: fs_reclaim, when the kernel runs lockdep.
        self.fs_reclaim: Any = (
            kernel.lockdep.named_map("fs_reclaim") if kernel.lockdep is not None else None
        )
        self.stats = Stats()

    @property
    def free(self) -> int:
        """Free pages of all zones."""
        return sum(zone.free for zone in self.zones)

    def fill(self, folio: Folio) -> None:
        """Put a page-cache folio on the inactive list."""
        self.inactive[folio] = None

    def __repr__(self) -> str:
        return "memory"


def free_pages(mm: Memory, folio: Folio) -> None:
    """Give ``folio`` back.  Who waits for memory looks again."""
    mm.kernel.point("free_pages", mm, mm.key | 1)
    if mm.take_back is not None and mm.take_back(folio):
        return
    folio.zone.free += 1 << folio.order
    if mm.freed.waiters:
        mm.freed.wake_up_all()


class Stats:
    """What allocations cost.  ``latencies`` are virtual ns of user tasks' allocations that entered the slow
    path; ``fast`` counts those that did not."""

    __slots__ = ("failures", "fast", "latencies", "oom_kills")

    def __init__(self) -> None:
        self.fast = 0
        self.failures = 0
        self.oom_kills = 0
        self.latencies: list[int] = []


def _min_free_kbytes(zones: Sequence[tuple[str, int]]) -> int:
    """The boot default: the root of 16 times lowmem in KiB, between 128 and 262144 (mm/page_alloc.c)."""
    lowmem = 4 * sum(pages for name, pages in zones if name not in NOT_LOWMEM)
    return min(max(int((16 * lowmem) ** 0.5), 128), 262144)
