"""The flusher thread: dirty pages and inodes are written here, never from reclaim (fs/fs-writeback.c)."""

from __future__ import annotations

from collections.abc import Sequence

from ring3.fs.inode import I_DIRTY, inode_add_lru
from ring3.fs.super import SuperBlock
from ring3.kernel.task import State
from ring3.kernel.wait import WaitQueue
from ring3.mm.zone import Folio, Memory


class Flusher:
    """One flusher for ``supers``; :meth:`kick` makes it write everything that is dirty."""

    def __init__(self, mm: Memory, supers: Sequence[SuperBlock]) -> None:
        self.mm = mm
        self.supers = supers
        self.wanted = False
        self.wait = WaitQueue(mm.kernel, "wb_wait")
        mm.wake_flusher = self.kick
        mm.kernel.kthread_run(wb_workfn, self, name="kworker/u:flush")

    def kick(self) -> None:
        """wakeup_flusher_threads."""
        if not self.wanted:
            self.wanted = True
            self.wait.wake_up()


def wb_workfn(flusher: Flusher) -> None:
    """The thread."""
    while True:
        flusher.wait.wait_event(lambda: flusher.wanted, state=State.INTERRUPTIBLE)
        flusher.wanted = False
        for sb in flusher.supers:
            writeback_sb_inodes(sb)


def writeback_sb_inodes(sb: SuperBlock) -> None:
    """Write every dirty inode of ``sb``: its pages, then itself."""
    for inode in list(sb.dirty):
        if inode.freed:
            sb.dirty.pop(inode, None)
            continue
        for folio in [f for f in inode.mapping.folios.values() if f.dirty and not f.writeback]:
            write_folio(sb, folio)
        if inode.state & I_DIRTY:
            sb.bdev.submit_bio_wait(sb.inode_block(inode.ino), write=True)
            inode.state &= ~I_DIRTY
        sb.dirty.pop(inode, None)
        if not inode.count and not inode.freed:
            inode_add_lru(inode)


def write_folio(sb: SuperBlock, folio: Folio) -> None:
    """Write one dirty folio; it is under writeback meanwhile."""
    folio.writeback = True
    folio.wait = WaitQueue(sb.kernel, f"writeback of {folio!r}")
    if folio.mapping is not None:
        folio.mapping.clean(folio)
    sb.bdev.submit_bio_wait(folio.index, write=True)
    folio.writeback = False
    folio.wait.wake_up_all()
