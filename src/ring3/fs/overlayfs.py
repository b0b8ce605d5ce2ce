"""overlayfs: an inode that keeps another filesystem's dentry, and lets it go when it is evicted
(fs/overlayfs, Linux 7.2).

So pruning the overlay's dentries evicts the overlay's inode, that drops the upper dentry, and when that
was the last name of a removed file, the upper filesystem's eviction runs - all inside one shrinker call.
"""

from __future__ import annotations

from dataclasses import dataclass

from ring3.fs.dcache import Dentry, dput
from ring3.fs.inode import Inode, free_inode
from ring3.fs.super import Filesystem
from ring3.mm.slab import Cache


@dataclass
class OvlInode:
    """struct ovl_inode."""

    upper: Dentry | None = None


def ovl_alloc_inode(inode: Inode) -> OvlInode:
    return OvlInode()


def ovl_destroy_inode(inode: Inode) -> None:
    upper = inode.private.upper
    if upper is not None:
        inode.private.upper = None
        dput(upper)
    free_inode(inode)


def ovl_unclean(inode: Inode) -> bool:
    """Its eviction is as hard as that of the inode underneath, if it is the last to hold that."""
    upper: Dentry | None = inode.private.upper
    if upper is None or upper.inode is None:
        return False
    return upper.unhashed and upper.count == 1 and upper.sb.fs.unclean(upper.inode)


OVERLAYFS = Filesystem(
    name="overlay",
    inode_cache=Cache("ovl_inode", 696, ctor=True),
    alloc_inode=ovl_alloc_inode,
    drop_inode=lambda inode: True,  # inode_just_drop
    destroy_inode=ovl_destroy_inode,
    unclean=ovl_unclean,
)
