"""The caches of the VFS: who stays, who goes, who waits.  Rules of fs/inode.c, dcache.c and super.c, 7.2."""

from __future__ import annotations

import pytest

from ring3.fs.block import FAULTS, BlockDevice, Fault
from ring3.fs.buffer import brelse, sb_bread
from ring3.fs.dcache import d_alloc, d_delete, d_lookup, dput
from ring3.fs.eviction import Eviction
from ring3.fs.ext4 import EXT4, ext4_preallocate
from ring3.fs.f2fs import F2FS
from ring3.fs.fat import FAT, fat_fallocate
from ring3.fs.inode import (
    I_DIRTY,
    I_REFERENCED,
    Inode,
    iget,
    iput,
    mark_inode_dirty,
    write_inode_now,
)
from ring3.fs.jbd2 import jbd2_journal_start, jbd2_journal_stop
from ring3.fs.mapping import get_folio
from ring3.fs.overlayfs import OVERLAYFS
from ring3.fs.super import Filesystem, SuperBlock, super_cache_count, super_cache_scan
from ring3.fs.writeback import Flusher
from ring3.fs.xfs import XFS
from ring3.kernel import Kernel, WouldDeadlock
from ring3.mm import gfp as G
from ring3.mm.page_alloc import alloc_pages
from ring3.mm.shrinker import SHRINK_EMPTY, SHRINK_STOP, ShrinkControl
from ring3.mm.zone import Memory


class Machine:
    """A kernel with plenty of memory and one mount."""

    def __init__(self, fs: Filesystem = FAT, *, lockdep: bool = False) -> None:
        self.kernel = Kernel(lockdep=lockdep)
        self.mm = Memory(self.kernel, [("Normal", 1024)], marks=[(8, 10, 12)])
        self.bdev = BlockDevice(self.kernel, self.mm)
        self.sb = SuperBlock(self.mm, fs, self.bdev)

    def get(self, ino: int) -> Inode:
        inode = iget(self.sb, ino)
        assert inode is not None
        return inode

    def shrink(self, nr: int = 100, gfp: int = G.GFP_KERNEL) -> int:
        return super_cache_scan(self.sb, ShrinkControl(gfp, nr))


ALL = [FAT, EXT4, XFS, F2FS]


def test_unused_inodes_go_after_a_second_look() -> None:
    m = Machine()

    def body() -> None:
        iput(m.get(1))
        iput(m.get(1))  # used again while on the LRU: referenced
        assert m.sb.inodes[1].state & I_REFERENCED
        m.shrink()
        assert 1 in m.sb.inodes
        m.shrink()
        assert m.sb.inodes == {}

    m.kernel.call(body)


def test_a_dirty_inode_never_leaves_through_the_lru() -> None:
    m = Machine()

    def body() -> None:
        inode = m.get(1)
        mark_inode_dirty(inode)
        iput(inode)
        assert inode.state & I_DIRTY
        assert len(m.sb.inode_lru) == 0
        m.shrink()
        assert 1 in m.sb.inodes
        write_inode_now(inode)
        m.shrink()
        assert m.sb.inodes == {}

    m.kernel.call(body)


def test_an_inode_with_pages_waits_for_the_last_of_them() -> None:
    m = Machine()

    def body() -> None:
        inode = m.get(1)
        folio = get_folio(inode.mapping, 0, G.GFP_KERNEL)
        assert folio is not None
        iput(inode)
        assert len(m.sb.inode_lru) == 0
        del m.mm.inactive[folio]
        inode.mapping.remove(folio)  # what reclaim does
        assert len(m.sb.inode_lru) == 1

    m.kernel.call(body)


def test_unlinked_inodes_go_with_their_last_user() -> None:
    m = Machine()

    def body() -> None:
        inode = m.get(1)
        dentry = d_alloc(m.sb, "a", inode)
        assert dentry is not None
        file = d_lookup(m.sb, "a")
        assert file is dentry
        inode.nlink = 0
        d_delete(dentry)
        dput(dentry)
        assert 1 in m.sb.inodes  # still open
        assert d_lookup(m.sb, "a") is None
        dput(file)
        assert m.sb.inodes == {}

    m.kernel.call(body)


def test_lookup_waits_for_an_inode_that_is_being_freed() -> None:
    m = Machine()
    order = []

    def remove() -> None:
        inode = m.get(1)
        fat_fallocate(inode)
        inode.nlink = 0
        iput(inode)  # reads a block of the table: takes time
        order.append("freed")

    def look_up() -> None:
        m.kernel.sleep(1000)
        assert iget(m.sb, 1, nowait=True) is None
        again = m.get(1)
        order.append("found")
        assert again.nlink == 1

    m.kernel.spawn(remove)
    m.kernel.spawn(look_up)
    assert m.kernel.run()
    assert order == ["freed", "found"]


def test_super_cache_scan_stops() -> None:
    m = Machine()

    def body() -> None:
        assert super_cache_count(m.sb) == SHRINK_EMPTY
        for ino in range(10):
            iput(m.get(ino))
        assert super_cache_count(m.sb) == 10
        # Whoever may not enter filesystems, and while somebody unmounts.
        assert m.shrink(gfp=G.GFP_NOFS) == SHRINK_STOP
        with m.sb.s_umount.write():
            assert m.shrink() == SHRINK_STOP
        assert super_cache_count(m.sb) == 10

    m.kernel.call(body)


def test_super_cache_scan_in_proportion() -> None:
    """30 dentries and 10 inodes, 20 to scan: 15 + 1 dentries, 5 + 1 inodes."""
    m = Machine()

    def body() -> None:
        for ino in range(30):
            dentry = d_alloc(m.sb, str(ino), m.get(ino))
            assert dentry is not None
            dput(dentry)
        for ino in range(100, 110):
            iput(m.get(ino))
        m.shrink(20)
        assert len(m.sb.dentry_lru) == 30 - 16
        # 16 inodes lost their dentry and came to the LRU before its turn: 10 + 16 - 6.
        assert len(m.sb.inode_lru) == 20

    m.kernel.call(body)


@pytest.mark.parametrize("fs", ALL, ids=lambda fs: fs.name)
def test_a_clean_inode_is_evicted_without_any_allocation(fs: Filesystem) -> None:
    m = Machine(fs)

    def body() -> None:
        for ino in range(20):
            iput(m.get(ino))
        m.kernel.msleep(1)
        requests, fast = m.bdev.requests, m.mm.stats.fast
        m.shrink(1000)
        m.shrink(1000)  # xfs: marked first, freed as the filesystem's own objects afterwards
        assert m.sb.inodes == {}
        assert (m.bdev.requests, m.mm.stats.fast) == (requests, fast)

    m.kernel.call(body)


@pytest.mark.parametrize("fs", [FAT, EXT4, F2FS], ids=lambda fs: fs.name)
@pytest.mark.parametrize("state", ["clean", "prepared", "unlinked"])
def test_unclean_means_that_eviction_asks_for_memory(fs: Filesystem, state: str) -> None:
    m = Machine(fs)

    def body() -> None:
        inode = m.get(1)
        if state == "prepared":
            assert fs.prepare is not None
            fs.prepare(inode)
        if state == "unlinked":
            inode.nlink = 0
        says, before = fs.unclean(inode), m.mm.stats.fast
        iput(inode)
        m.shrink(1000)
        assert m.sb.inodes == {}
        assert (m.mm.stats.fast > before) is says
        assert says is (state != "clean")

    m.kernel.call(body)


def test_xfs_only_queues() -> None:
    m = Machine(XFS)

    def body() -> None:
        for ino in range(3):
            inode = m.get(ino)
            inode.nlink = 0
            iput(inode)
        assert m.bdev.requests == 0
        assert len(m.sb.inodes) == 3
        m.kernel.msleep(10)  # the worker inactivates them
        assert m.bdev.requests == 1  # one block for the three
        assert m.sb.fs.nr_cached_objects is not None
        assert m.sb.fs.nr_cached_objects(m.sb) == 3
        m.shrink(100)
        assert m.sb.inodes == {}

    m.kernel.call(body)


def test_overlay_drops_the_upper_inode() -> None:
    m = Machine(EXT4)
    top = SuperBlock(m.mm, OVERLAYFS, m.bdev)

    def body() -> None:
        lower = m.get(1)
        upper = d_alloc(m.sb, "1", lower)
        assert upper is not None
        over = iget(top, 1)
        assert over is not None
        over.private.upper = upper
        shown = d_alloc(top, "1", over)
        assert shown is not None
        dput(shown)
        lower.nlink = 0
        d_delete(upper)
        assert not top.fs.unclean(over) or m.sb.fs.unclean(lower)
        super_cache_scan(top, ShrinkControl(G.GFP_KERNEL, 10))
        assert (top.inodes, m.sb.inodes) == ({}, {})

    m.kernel.call(body)


def test_closing_a_transaction_waits_for_its_handles() -> None:
    m = Machine(EXT4)
    journal = m.sb.private.journal
    order = []

    def first() -> None:
        jbd2_journal_start(journal)
        jbd2_journal_start(journal)  # nested: the same handle
        m.kernel.msleep(5)
        jbd2_journal_stop(journal)
        order.append(journal.commits)
        jbd2_journal_stop(journal)

    def second() -> None:
        m.kernel.msleep(1)
        journal.request_commit()
        jbd2_journal_start(journal)
        order.append(journal.commits)
        assert m.kernel.now() >= 5_000_000
        jbd2_journal_stop(journal)

    m.kernel.spawn(first)
    m.kernel.spawn(second)
    assert m.kernel.run()
    assert order == [0, 1]


def test_allocations_in_a_transaction_do_not_enter_filesystems() -> None:
    m = Machine(EXT4)
    seen = []

    def body() -> None:
        jbd2_journal_start(m.sb.private.journal)
        seen.append(G.current_gfp_context(G.GFP_KERNEL, m.kernel.current.flags))
        jbd2_journal_stop(m.sb.private.journal)
        seen.append(G.current_gfp_context(G.GFP_KERNEL, m.kernel.current.flags))

    m.kernel.call(body)
    assert seen == [G.GFP_NOFS, G.GFP_KERNEL]


def test_the_flusher_cleans() -> None:
    m = Machine()
    flusher = Flusher(m.mm, [m.sb])

    def body() -> None:
        inode = m.get(1)
        folio = get_folio(inode.mapping, 0, G.GFP_KERNEL)
        assert folio is not None
        inode.mapping.dirty(folio)
        mark_inode_dirty(inode)
        iput(inode)
        flusher.kick()
        m.kernel.msleep(10)
        assert not folio.dirty
        assert not inode.state & I_DIRTY

    m.kernel.call(body)


def test_device_faults() -> None:
    m = Machine()
    m.bdev.fault = Fault("bad", "", reads=True, blocks=frozenset({7}))

    def read(block: int) -> bool:
        folio = sb_bread(m.sb, block)
        if folio is None:
            return False
        brelse(folio)
        return True

    assert m.kernel.call(read, 6)
    begin = m.kernel.now()
    assert m.kernel.call(read, 6)  # cached
    assert m.kernel.now() == begin
    assert not m.kernel.call(read, 7)
    assert m.kernel.now() == begin + m.bdev.latency
    assert m.bdev.errors == 1
    m.bdev.fault, m.bdev.requests = FAULTS["lost"], 0
    with pytest.raises(WouldDeadlock, match="I/O of block 8"):
        m.kernel.call(read, 8)


def test_lockdep_follows_reclaim() -> None:
    """GFP_KERNEL under a lock that eviction takes is reported; fat's own GFP_NOFS is not."""
    m = Machine(lockdep=True)
    assert m.kernel.lockdep is not None

    def evict() -> None:
        inode = m.get(1)
        fat_fallocate(inode)
        iput(inode)
        m.mm.fs_reclaim.acquire()
        m.shrink(100)
        m.mm.fs_reclaim.release()

    def allocate(gfp: int) -> None:
        with m.sb.private.fat_lock:
            assert alloc_pages(m.mm, gfp) is not None

    m.kernel.call(evict)
    m.kernel.call(allocate, G.GFP_NOFS)
    assert m.kernel.lockdep.reports == []
    m.kernel.call(allocate, G.GFP_KERNEL)
    (report,) = m.kernel.lockdep.reports
    assert {"fs_reclaim", "&sbi->fat_lock"} <= set(report.chain)


def test_policies_are_asked() -> None:
    asked = []

    class Refuses(Eviction):
        def may_isolate(self, inode: Inode) -> bool:
            asked.append(inode.ino)
            return False

        def pending(self, inode: Inode) -> None:
            asked.append(-inode.ino)

    m = Machine(EXT4)
    m.sb.eviction = Refuses()

    def body() -> None:
        inode = m.get(5)
        ext4_preallocate(inode)
        iput(inode)
        m.shrink()

    m.kernel.call(body)
    assert asked == [-5, 5]
    assert 5 in m.sb.inodes
