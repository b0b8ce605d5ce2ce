"""A journal of transactions, as far as waiting for it goes (fs/jbd2, Linux 7.2).

A handle joins the running transaction; while that is being closed, new handles wait, and closing waits for
every open handle.  So whoever holds a handle and cannot go on stops everybody else.  A commit that cannot
be written aborts the journal: from then on no handle is given out.
"""

from __future__ import annotations

from collections.abc import Callable

from ring3.kernel.core import Kernel
from ring3.kernel.memalloc import memalloc_nofs_restore, memalloc_nofs_save
from ring3.kernel.task import State, Task
from ring3.kernel.wait import WaitQueue
from ring3.mm import gfp as G
from ring3.mm.slab import Cache
from ring3.mm.slab_cache import KmemCache, Slab
from ring3.mm.zone import Memory

HANDLE = Cache("jbd2_journal_handle", 56)


class Journal:
    """journal_t.  A transaction is closed after ``max_handles`` handles, or when somebody asks."""

    def __init__(self, mm: Memory, name: str, commit_block: int, *, max_handles: int = 8) -> None:
        self.kernel: Kernel = mm.kernel
        self.name = name
        self.key = mm.kernel.new_key()
        self.max_handles = max_handles
        self.commit_block = commit_block
        self.handles: dict[Task, Handle] = {}
        self.updates = 0  # handles that the running transaction has had
        self.locked = False  # it is being closed
        self.aborted = False
        self.commits = 0
        self.handle_cache = KmemCache(mm, HANDLE)
        self.wait = WaitQueue(mm.kernel, f"jbd2/{name}")
        self.commit_wait = WaitQueue(mm.kernel, f"jbd2/{name} commit")

    def request_commit(self) -> None:
        """Close the running transaction as soon as its handles are done."""
        self.kernel.point("jbd2_log_start_commit", self, self.key | 1)
        self.locked = True
        self.commit_wait.wake_up()

    def __repr__(self) -> str:
        return f"journal {self.name}"


class Handle:
    """handle_t: one user's part in a transaction; nested starts share it."""

    __slots__ = ("depth", "nofs", "slab")

    def __init__(self, slab: Slab | None, nofs: int) -> None:
        self.slab = slab
        self.nofs = nofs
        self.depth = 1


def jbd2_journal_start(journal: Journal) -> Handle | None:
    """Join the running transaction; sleeps while it is being closed.  Allocations are then GFP_NOFS.

    None when the journal is aborted (EROFS).
    """
    kernel = journal.kernel
    task = kernel.current
    handle = journal.handles.get(task)
    if handle is not None:
        handle.depth += 1
        return handle
    slab = journal.handle_cache.alloc(G.GFP_NOFS | G.NOFAIL)
    if not start_this_handle(journal):
        if slab is not None:
            journal.handle_cache.free(slab)
        return None
    handle = Handle(slab, memalloc_nofs_save(kernel))
    journal.handles[task] = handle
    journal.updates += 1
    if journal.updates >= journal.max_handles:
        journal.request_commit()
    return handle


def start_this_handle(journal: Journal) -> bool:
    """Wait until the running transaction takes new handles; False when none ever will."""
    journal.wait.wait_event(lambda: not journal.locked)
    return not journal.aborted


def jbd2_journal_stop(journal: Journal) -> None:
    """Leave the transaction."""
    kernel = journal.kernel
    task = kernel.current
    handle = journal.handles[task]
    handle.depth -= 1
    if handle.depth:
        return
    kernel.point("jbd2_journal_stop", journal, journal.key | 1)
    del journal.handles[task]
    memalloc_nofs_restore(kernel, handle.nofs)
    if journal.locked:
        journal.commit_wait.wake_up()
    if handle.slab is not None:
        journal.handle_cache.free(handle.slab)


def kjournald2(journal: Journal, write_block: Callable[[int], bool]) -> None:
    """The thread: when a transaction is to be closed, wait for its handles, write, open the next."""
    while True:
        journal.commit_wait.wait_event(
            lambda: journal.locked and not journal.handles, state=State.INTERRUPTIBLE
        )
        if not write_block(journal.commit_block):
            journal.kernel.printk(f"Aborting {journal!r}")
            journal.aborted = True
        journal.updates = 0
        journal.commits += 1
        journal.locked = False
        journal.wait.wake_up_all()
