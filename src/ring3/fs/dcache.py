"""The dentry cache (fs/dcache.c, Linux 7.2): names that keep inodes in memory, and their LRU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ring3.fs.inode import Inode, iput
from ring3.mm import gfp as G
from ring3.mm.list_lru import Lru
from ring3.mm.slab_cache import Slab

if TYPE_CHECKING:
    from ring3.fs.super import SuperBlock


class Dentry:
    """struct dentry.  ``unhashed``: nobody can look it up, so it goes with its last user."""

    __slots__ = ("count", "inode", "key", "name", "referenced", "sb", "slab", "unhashed")

    def __init__(self, sb: SuperBlock, name: str, inode: Inode, slab: Slab | None) -> None:
        self.sb = sb
        self.name = name
        self.inode: Inode | None = inode
        self.slab = slab
        self.count = 1
        self.unhashed = False
        self.referenced = False
        self.key = sb.kernel.new_key()

    def __repr__(self) -> str:
        return f"dentry {self.sb.name}/{self.name}"


def d_alloc(sb: SuperBlock, name: str, inode: Inode) -> Dentry | None:
    """A dentry for ``inode``, whose reference it takes over; None when there is no memory."""
    slab = sb.dentry_cache.alloc(G.GFP_KERNEL_ACCOUNT)
    if slab is None:
        return None
    dentry = Dentry(sb, name, inode, slab)
    sb.dentries[name] = dentry
    return dentry


def d_lookup(sb: SuperBlock, name: str) -> Dentry | None:
    """The dentry called ``name`` with one more reference."""
    sb.kernel.point("d_lookup", sb, sb.key)
    dentry = sb.dentries.get(name)
    if dentry is not None:
        dentry.count += 1
    return dentry


def d_delete(dentry: Dentry) -> None:
    """The file was unlinked: its name can no longer be looked up."""
    dentry.unhashed = True
    if dentry.sb.dentries.get(dentry.name) is dentry:
        del dentry.sb.dentries[dentry.name]


def dput(dentry: Dentry) -> None:
    """Drop a reference: the last one leaves the dentry on the LRU, or kills it when it is unhashed."""
    dentry.sb.kernel.point("dput", dentry, dentry.key | 1)
    dentry.count -= 1
    if dentry.count:
        return
    if dentry.unhashed:
        dentry_kill(dentry)
    elif not dentry.sb.dentry_lru.add(dentry):
        dentry.referenced = True


def dentry_lru_isolate(dentry: Dentry, freeable: list[Dentry]) -> Lru:
    """Only unused dentries, on the second look."""
    dentry.sb.kernel.point("dentry_lru_isolate", dentry, dentry.key | 1)
    if dentry.count:
        return Lru.REMOVED
    if dentry.referenced:
        dentry.referenced = False
        return Lru.ROTATE
    dentry.count = -1  # nobody may take it any more
    d_delete(dentry)
    freeable.append(dentry)
    return Lru.REMOVED


def prune_dcache_sb(sb: SuperBlock, nr_to_scan: int) -> int:
    """Kill up to ``nr_to_scan`` unused dentries; how many left the LRU."""
    freeable: list[Dentry] = []
    removed = sb.dentry_lru.walk(lambda dentry: dentry_lru_isolate(dentry, freeable), nr_to_scan)
    shrink_dentry_list(freeable)
    return removed


def shrink_dentry_list(freeable: list[Dentry]) -> None:
    """Kill isolated dentries."""
    while freeable:
        dentry_kill(freeable.pop(0))


def dentry_kill(dentry: Dentry) -> None:
    """The dentry goes; with it its reference to the inode."""
    sb = dentry.sb
    sb.dentry_lru.remove(dentry)
    inode, dentry.inode = dentry.inode, None
    if inode is not None:
        dentry_unlink_inode(inode)
    if dentry.slab is not None:
        slab, dentry.slab = dentry.slab, None
        sb.dentry_cache.free(slab)


def dentry_unlink_inode(inode: Inode) -> None:
    """Drop the dentry's reference to its inode."""
    iput(inode)
