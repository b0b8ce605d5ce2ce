"""Inodes that a worker takes out of memory later (fs/xfs/xfs_icache.c, inodegc, Linux 7.2).

Who queues an inode goes on at once, with two exceptions that keep the queue from growing for ever: after a
shrinker has asked for the queue, and when the queue is long, it waits for the worker - unless it is in a NOFS
scope, where the worker may need what it holds.  XFS does so for every inode that needs inactivation; the
policies that hand eviction to a worker do the same for other filesystems.
"""

from __future__ import annotations

from collections.abc import Callable

from ring3.fs.inode import Inode
from ring3.kernel.clock import JIFFY
from ring3.kernel.core import Kernel
from ring3.kernel.memalloc import memalloc_nofs
from ring3.kernel.task import PF_MEMALLOC_NOFS
from ring3.kernel.workqueue import WQ_MEM_RECLAIM, DelayedWork, Workqueue
from ring3.mm.shrinker import SHRINK_STOP, ShrinkControl, Shrinker
from ring3.mm.zone import Memory

#: Of 512 bytes in a cluster of 16 KiB: beyond so many the worker begins at once.
INODES_PER_CLUSTER = 32
MAX_BACKLOG = 4 * 64  # XFS_INODEGC_MAX_BACKLOG: inodes, before who queues more has to wait
SHRINKER_COUNT = 1 << 12  # so that the shrinker is called at every priority
FOR_EVER = 1 << 62  # LONG_MAX: nothing is left to ask for


class InodeGc:
    """The queue of one mount: ``inactivate`` is called for each inode, in the worker, in a NOFS scope."""

    def __init__(self, mm: Memory, name: str, inactivate: Callable[[Inode], None]) -> None:
        self.kernel: Kernel = mm.kernel
        self.inactivate = inactivate
        self.inodes: list[Inode] = []
        self.shrinker_hits = 0
        self.key = mm.kernel.new_key()
        self.workqueue = Workqueue(mm.kernel, f"inodegc/{name}", flags=WQ_MEM_RECLAIM)
        self.work = DelayedWork(mm.kernel, self._inodegc_worker, name=f"inodegc-{name}")
        mm.shrinkers.append(InodegcShrinker(self, name))

    def queue(self, inode: Inode) -> None:
        """Inactivate ``inode`` later; may wait for the worker."""
        kernel = self.kernel
        kernel.point("inodegc_queue", self, self.key | 1)
        self.inodes.append(inode)
        many = len(self.inodes) > INODES_PER_CLUSTER + 1
        self.workqueue.mod_delayed(self.work, 0 if many else JIFFY)
        if kernel.current.flags & PF_MEMALLOC_NOFS:
            return
        if self.shrinker_hits or len(self.inodes) > MAX_BACKLOG:
            self.work.flush()

    def _inodegc_worker(self) -> None:
        self.shrinker_hits = 0
        with memalloc_nofs(self.kernel):
            while self.inodes:
                self.inactivate(self.inodes.pop(0))

    def __repr__(self) -> str:
        return "inodegc queue"


class InodegcShrinker(Shrinker):
    """Frees nothing itself: makes the worker hurry, and whoever queues more wait for it."""

    def __init__(self, gc: InodeGc, name: str) -> None:
        super().__init__(f"inodegc:{name}", seeks=0, batch=SHRINKER_COUNT // 2 + 1)
        self.gc = gc

    def count_objects(self, sc: ShrinkControl) -> int:
        return SHRINKER_COUNT if self.gc.inodes else 0

    def scan_objects(self, sc: ShrinkControl) -> int:
        gc = self.gc
        if not gc.inodes:
            return FOR_EVER
        gc.shrinker_hits += 1
        gc.workqueue.mod_delayed(gc.work, 0)
        return SHRINK_STOP
