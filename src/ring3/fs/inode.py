"""The inode cache: reference counts, the LRU, eviction (fs/inode.c, Linux 7.2).

``i_lock`` protects sections that never sleep and nest nothing; each is one visible step of exploration here
instead of a lock and an unlock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ring3.fs.mapping import AddressSpace, truncate_inode_pages_final
from ring3.kernel.wait import WaitQueue
from ring3.mm import gfp as G
from ring3.mm.list_lru import Lru
from ring3.mm.slab_cache import Slab

if TYPE_CHECKING:
    from ring3.fs.super import SuperBlock

I_DIRTY = 1 << 0
I_WILL_FREE = 1 << 4
I_FREEING = 1 << 5
I_CLEAR = 1 << 6
I_SYNC = 1 << 7
I_REFERENCED = 1 << 8


class Inode:
    """struct inode.  ``private`` is the filesystem's part, ``slab`` the object it lies in."""

    __slots__ = (
        "count",
        "freed",
        "gone",
        "ino",
        "key",
        "mapping",
        "nlink",
        "private",
        "sb",
        "slab",
        "state",
    )

    def __init__(self, sb: SuperBlock, ino: int, slab: Slab | None) -> None:
        self.sb = sb
        self.ino = ino
        self.slab = slab
        self.nlink = 1
        self.count = 1
        self.state = 0
        self.private: Any = None
        self.mapping = AddressSpace(
            sb.mm, f"{sb.name} inode {ino}", shrinkable=lambda: inode_add_lru(self)
        )
        self.gone = WaitQueue(sb.kernel, f"{sb.name} inode {ino} to be freed")
        self.key = sb.kernel.new_key()
        self.freed = False

    def __repr__(self) -> str:
        return f"{self.sb.name} inode {self.ino}"


def iget(sb: SuperBlock, ino: int, *, nowait: bool = False) -> Inode | None:
    """Inode ``ino`` with one more reference, made if need be; None when there is no memory.

    Waits for an inode of that number that is being freed, or with ``nowait`` returns None.
    """
    kernel = sb.kernel
    while True:
        kernel.point("iget", sb, sb.key | 1)
        inode = sb.inodes.get(ino)
        if inode is None:
            break
        if inode.state & (I_FREEING | I_WILL_FREE):
            if nowait:
                return None
            # Bound now: after the wait the name may mean another inode.
            gone = inode
            gone.gone.wait_event(lambda gone=gone: gone.freed)  # type: ignore[misc]
            continue
        inode.count += 1
        return inode
    slab = sb.inode_cache.alloc(G.GFP_KERNEL)
    if slab is None:
        return None
    kernel.point("iget_locked", sb, sb.key | 1)
    if ino in sb.inodes:
        sb.inode_cache.free(slab)
        return iget(sb, ino)
    inode = Inode(sb, ino, slab)
    inode.private = sb.fs.alloc_inode(inode) if sb.fs.alloc_inode is not None else None
    sb.inodes[ino] = inode
    return inode


def iput(inode: Inode) -> None:
    """Drop a reference."""
    inode.sb.kernel.point("iput", inode, inode.key | 1)
    inode.count -= 1
    if inode.count == 0:
        iput_final(inode)


def iput_final(inode: Inode) -> None:
    """Nobody uses ``inode`` any more: keep it on the LRU, or drop it."""
    sb = inode.sb
    drop_inode = sb.fs.drop_inode
    drop = inode.nlink == 0 if drop_inode is None else drop_inode(inode)
    if not drop and sb.active:
        inode_add_lru(inode)
        return
    if not drop:
        inode.state |= I_WILL_FREE
        write_inode_now(inode)
        inode.state &= ~I_WILL_FREE
    inode.state |= I_FREEING
    sb.inode_lru.remove(inode)
    sb.eviction.final(inode)


def inode_add_lru(inode: Inode) -> None:
    """On the LRU, unless something speaks against it being reclaimable."""
    if inode.state & (I_DIRTY | I_SYNC | I_FREEING | I_WILL_FREE) or inode.count:
        return
    if inode.mapping.folios or not inode.sb.active:
        return
    if not inode.sb.inode_lru.add(inode):
        inode.state |= I_REFERENCED


def inode_lru_isolate(inode: Inode, freeable: list[Inode]) -> Lru:
    """The shrinker's choice: only unused, clean inodes without page cache, on the second look."""
    sb = inode.sb
    sb.kernel.point("inode_lru_isolate", inode, inode.key | 1)
    if inode.count or inode.state & ~I_REFERENCED or inode.mapping.folios:
        return Lru.REMOVED
    if inode.state & I_REFERENCED:
        inode.state &= ~I_REFERENCED
        return Lru.ROTATE
    if not sb.eviction.may_isolate(inode):
        return Lru.SKIP
    inode.state |= I_FREEING
    freeable.append(inode)
    return Lru.REMOVED


def prune_icache_sb(sb: SuperBlock, nr_to_scan: int) -> int:
    """Evict up to ``nr_to_scan`` inodes of the LRU; how many left it."""
    freeable: list[Inode] = []
    removed = sb.inode_lru.walk(lambda inode: inode_lru_isolate(inode, freeable), nr_to_scan)
    dispose_list(freeable)
    return removed


def dispose_list(freeable: list[Inode]) -> None:
    """Evict inodes that were isolated."""
    while freeable:
        inode = freeable.pop(0)
        inode.sb.eviction.dispose(inode)
        inode.sb.kernel.cond_resched()


def evict(inode: Inode) -> None:
    """Take ``inode`` out of memory.  It is marked I_FREEING: nobody can get it any more."""
    sb = inode.sb
    if not inode.state & I_FREEING:
        sb.kernel.bug(f"evict of {inode!r}, which is not I_FREEING")
    if sb.fs.evict_inode is not None:
        sb.fs.evict_inode(inode)
    else:
        truncate_inode_pages_final(inode.mapping)
        clear_inode(inode)
    destroy_inode(inode)


def clear_inode(inode: Inode) -> None:
    """The filesystem is done with it."""
    if inode.mapping.folios:
        inode.sb.kernel.bug(f"{inode!r} is cleared with pages in its cache")
    inode.state = I_FREEING | I_CLEAR


def destroy_inode(inode: Inode) -> None:
    """Out of the hash, waiters told, then the memory goes - or what the filesystem does instead."""
    sb = inode.sb
    sb.kernel.point("remove_inode_hash", sb, sb.key | 1)
    if sb.fs.destroy_inode is not None:
        sb.fs.destroy_inode(inode)
    else:
        free_inode(inode)


def free_inode(inode: Inode) -> None:
    """The inode's memory goes; a new one of its number may come."""
    sb = inode.sb
    if sb.inodes.get(inode.ino) is inode:
        del sb.inodes[inode.ino]
    inode.freed = True
    if inode.gone.waiters:
        inode.gone.wake_up_all()
    if inode.slab is not None:
        slab, inode.slab = inode.slab, None
        sb.inode_cache.free(slab)


def mark_inode_dirty(inode: Inode) -> None:
    """The inode must be written; while it is dirty the LRU does not let it go."""
    if inode.state & I_FREEING:
        return
    inode.state |= I_DIRTY
    inode.sb.dirty[inode] = None


def write_inode_now(inode: Inode) -> None:
    """Write the inode's pages and the inode, and wait."""
    sb = inode.sb
    for folio in list(inode.mapping.folios.values()):
        if folio.dirty:
            sb.bdev.submit_bio_wait(folio.index, write=True)
            inode.mapping.clean(folio)
    if inode.state & I_DIRTY:
        sb.bdev.submit_bio_wait(sb.inode_block(inode.ino), write=True)
        inode.state &= ~I_DIRTY
    sb.dirty.pop(inode, None)
    if not inode.count:
        inode_add_lru(inode)
