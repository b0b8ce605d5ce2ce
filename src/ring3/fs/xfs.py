"""xfs: reclaim never does the work of an inode's end (fs/xfs, Linux 7.2).

destroy_inode either marks the inode reclaimable, or queues it for inodegc (ring3.fs.inodegc); a worker
inactivates it later, where it may allocate and wait as it likes.  Reclaimable inodes are the filesystem's
own cached objects, which the superblock's shrinker frees without any allocation.
"""

from __future__ import annotations

from dataclasses import dataclass

from ring3.fs.buffer import brelse, sb_bread
from ring3.fs.inode import Inode, clear_inode, free_inode
from ring3.fs.inodegc import InodeGc
from ring3.fs.mapping import truncate_inode_pages_final
from ring3.fs.super import Filesystem, SuperBlock
from ring3.mm.slab import Cache

INODE_BTREE = 500


@dataclass
class XfsMount:
    """struct xfs_mount: the inodegc queue and the inodes that may go at any time."""

    inodegc: InodeGc
    reclaimable: dict[Inode, None]


@dataclass
class XfsInode:
    """struct xfs_inode: blocks beyond the end of the file."""

    eofblocks: bool = False


def xfs_fill_super(sb: SuperBlock) -> None:
    sb.private = XfsMount(InodeGc(sb.mm, sb.name, xfs_inodegc_inactivate), {})


def xfs_alloc_inode(inode: Inode) -> XfsInode:
    return XfsInode()


def xfs_preallocate(inode: Inode) -> None:
    inode.private.eofblocks = True
    inode.sb.eviction.pending(inode)


def xfs_fs_evict_inode(inode: Inode) -> None:
    truncate_inode_pages_final(inode.mapping)
    clear_inode(inode)


def xfs_fs_destroy_inode(inode: Inode) -> None:
    xfs_inode_mark_reclaimable(inode)


def xfs_inode_mark_reclaimable(inode: Inode) -> None:
    mount: XfsMount = inode.sb.private
    if xfs_inode_needs_inactive(inode):
        mount.inodegc.queue(inode)
    else:
        mount.reclaimable[inode] = None


def xfs_inodegc_inactivate(inode: Inode) -> None:
    """In the worker: free what the inode holds on disk; then it is reclaimable."""
    xfs_inactive(inode)
    inode.sb.private.reclaimable[inode] = None


def xfs_inactive(inode: Inode) -> None:
    """Free blocks, and the inode itself when nobody names it any more."""
    folio = sb_bread(inode.sb, INODE_BTREE + inode.ino // 16)
    if folio is not None:
        brelse(folio)
    inode.private.eofblocks = False


def xfs_fs_nr_cached_objects(sb: SuperBlock) -> int:
    return len(sb.private.reclaimable)


def xfs_fs_free_cached_objects(sb: SuperBlock, nr_to_scan: int) -> int:
    """xfs_reclaim_inodes_nr: only memory is given back."""
    mount: XfsMount = sb.private
    freed = 0
    while mount.reclaimable and freed < nr_to_scan:
        inode = next(iter(mount.reclaimable))
        del mount.reclaimable[inode]
        free_inode(inode)
        freed += 1
    return freed


def xfs_inode_needs_inactive(inode: Inode) -> bool:
    return inode.nlink == 0 or inode.private.eofblocks


XFS = Filesystem(
    name="xfs",
    inode_cache=Cache("xfs_inode", 984, hwcache_align=True, ctor=True),
    fill_super=xfs_fill_super,
    alloc_inode=xfs_alloc_inode,
    evict_inode=xfs_fs_evict_inode,
    destroy_inode=xfs_fs_destroy_inode,
    nr_cached_objects=xfs_fs_nr_cached_objects,
    free_cached_objects=xfs_fs_free_cached_objects,
    prepare=xfs_preallocate,
    unclean=lambda inode: False,
)
