"""xfs: reclaim never does the work of an inode's end (fs/xfs, Linux 7.2).

destroy_inode either marks the inode reclaimable, or queues it for inodegc; a worker inactivates it later,
where it may allocate and wait as it likes.  Reclaimable inodes are the filesystem's own cached
objects, which the superblock's shrinker frees without any allocation.
"""

from __future__ import annotations

from dataclasses import dataclass

from ring3.fs.buffer import brelse, sb_bread
from ring3.fs.inode import Inode, clear_inode, free_inode
from ring3.fs.mapping import truncate_inode_pages_final
from ring3.fs.super import Filesystem, SuperBlock
from ring3.kernel.memalloc import memalloc_nofs
from ring3.kernel.workqueue import WQ_MEM_RECLAIM, Work, Workqueue
from ring3.mm.slab import Cache

INODE_BTREE = 500


@dataclass
class XfsMount:
    """struct xfs_mount: the inodegc queue and the inodes that may go at any time."""

    queue: Workqueue
    work: Work
    to_inactivate: list[Inode]
    reclaimable: dict[Inode, None]


@dataclass
class XfsInode:
    """struct xfs_inode: blocks beyond the end of the file."""

    eofblocks: bool = False


def xfs_fill_super(sb: SuperBlock) -> None:
    queue = Workqueue(sb.kernel, f"xfs-inodegc/{sb.name}", flags=WQ_MEM_RECLAIM)
    sb.private = XfsMount(queue, Work(sb.kernel, xfs_inodegc_worker, sb), [], {})


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
    inode.sb.kernel.point("xfs_inodegc_queue", inode, inode.sb.key | 1)
    if xfs_inode_needs_inactive(inode):
        mount.to_inactivate.append(inode)
        mount.queue.queue(mount.work)
    else:
        mount.reclaimable[inode] = None


def xfs_inodegc_worker(sb: SuperBlock) -> None:
    """Inactivate what is queued; then it is reclaimable."""
    mount: XfsMount = sb.private
    with memalloc_nofs(sb.kernel):
        while mount.to_inactivate:
            inode = mount.to_inactivate.pop(0)
            xfs_inactive(inode)
            mount.reclaimable[inode] = None


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
