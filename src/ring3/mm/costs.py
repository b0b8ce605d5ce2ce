"""What memory management costs in virtual time: every constant, with its basis, and how it is charged.

The constants that say "measured" are printed by benchmarks/reclaim_costs.py on the running kernel.  A task
that is charged owes the time until it settles: then it keeps its CPU busy for so long, and others go on.
Exploration charges nothing: there only the order of steps matters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel
    from ring3.kernel.task import Task

#: ns to take a free page, clear it and map it.  Measured: a page fault of anonymous memory.
PAGE_FAULT = 3_400
#: ns to look at a page of an LRU list, and to free it if it can go.  Measured: single clean pages.
SCAN_PAGE = 800
#: ns to look at a dentry or an inode of an LRU list and to free it if nothing is pending.  Measured: the
#: eviction of cached empty files.
SCAN_OBJECT = 1_000
#: ns of one attempt to take a page in the slow path.  Assumed: a tenth of a page fault.
ALLOC_ATTEMPT = PAGE_FAULT // 10
#: ns of one request of the block device, unless a scenario says otherwise.  Data sheets: a 4 KiB random
#: read of a TLC NVMe drive takes 60 to 100 us.
BLOCK_REQUEST = 100_000


class Costs:
    """What the tasks of one kernel owe; ``on`` is False while only the order of steps matters."""

    __slots__ = ("kernel", "on", "owed")

    def __init__(self, kernel: Kernel, *, on: bool) -> None:
        self.kernel = kernel
        self.on = on
        self.owed: dict[Task, int] = {}

    def charge(self, ns: int) -> None:
        """The running task owes ``ns`` more."""
        if self.on:
            task = self.kernel.current
            self.owed[task] = self.owed.get(task, 0) + ns

    def settle(self) -> None:
        """Let the time pass that the running task owes."""
        if self.owed and (ns := self.owed.pop(self.kernel.current, 0)):
            self.kernel.udelay(ns / 1_000)
