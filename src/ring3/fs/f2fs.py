"""f2fs: a clean, linked inode whose eviction must remember something (fs/f2fs, Linux 7.2).

A file that was appended to or updated since the last checkpoint leaves an ino_entry behind when it is
evicted, so that fsync after the next open knows; the entry is allocated with GFP_NOFS and must not fail.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ring3.fs.buffer import brelse, sb_bread
from ring3.fs.inode import Inode, clear_inode
from ring3.fs.mapping import truncate_inode_pages_final
from ring3.fs.super import Filesystem, SuperBlock
from ring3.mm import gfp as G
from ring3.mm.slab import Cache
from ring3.mm.slab_cache import KmemCache, Slab
from ring3.mm.zone import Folio

NODE = 700


@dataclass
class F2fsSuper:
    """struct f2fs_sb_info: the ino entries kept until the next checkpoint."""

    entries: KmemCache
    kept: dict[int, Slab] = field(default_factory=dict)


@dataclass
class F2fsInode:
    """struct f2fs_inode_info: FI_APPEND_WRITE or FI_UPDATE_WRITE."""

    append_write: bool = False


def f2fs_fill_super(sb: SuperBlock) -> None:
    sb.private = F2fsSuper(KmemCache(sb.mm, Cache("f2fs_ino_entry", 40)))


def f2fs_alloc_inode(inode: Inode) -> F2fsInode:
    return F2fsInode()


def f2fs_append(inode: Inode) -> None:
    inode.private.append_write = True
    inode.sb.eviction.pending(inode)


def f2fs_evict_inode(inode: Inode) -> None:
    truncate_inode_pages_final(inode.mapping)
    if inode.nlink == 0:
        f2fs_truncate(inode)
    elif inode.private.append_write:
        f2fs_add_ino_entry(inode.sb, inode.ino)
    clear_inode(inode)


def f2fs_add_ino_entry(sb: SuperBlock, ino: int) -> None:
    __add_ino_entry(sb, ino)


def __add_ino_entry(sb: SuperBlock, ino: int) -> None:
    info: F2fsSuper = sb.private
    if ino in info.kept:
        return
    entry = info.entries.alloc(G.GFP_NOFS | G.NOFAIL)
    if entry is not None:
        info.kept[ino] = entry


def f2fs_truncate(inode: Inode) -> None:
    folio = sb_bread(inode.sb, NODE + inode.ino)
    if folio is not None:
        brelse(folio)


def f2fs_unclean(inode: Inode) -> bool:
    return inode.nlink == 0 or inode.private.append_write


def f2fs_pin(inode: Inode) -> list[Folio]:
    """The node block.  The ino_entry is no block: it cannot be pinned."""
    folio = sb_bread(inode.sb, NODE + inode.ino)
    return [folio] if folio is not None else []


F2FS = Filesystem(
    name="f2fs",
    inode_cache=Cache("f2fs_inode_cache", 1200, ctor=True),
    fill_super=f2fs_fill_super,
    alloc_inode=f2fs_alloc_inode,
    evict_inode=f2fs_evict_inode,
    prepare=f2fs_append,
    unclean=f2fs_unclean,
    pin=f2fs_pin,
)
