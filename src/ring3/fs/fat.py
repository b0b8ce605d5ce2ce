"""fat: eviction frees clusters, and for that it reads the file allocation table (fs/fat, Linux 7.2).

A linked file may have clusters beyond its end (fallocate with KEEP_SIZE): they are freed when the inode
leaves memory.  Every step is under fat_lock, and every block of the table may have to be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from ring3.fs.buffer import brelse, sb_bread
from ring3.fs.inode import Inode, clear_inode, mark_inode_dirty
from ring3.fs.mapping import truncate_inode_pages_final
from ring3.fs.super import Filesystem, SuperBlock
from ring3.kernel.locks import Mutex
from ring3.mm.slab import Cache
from ring3.mm.zone import Folio

FAT_START = 1
CLUSTERS_PER_BLOCK = 16


@dataclass
class FatSuper:
    """struct msdos_sb_info."""

    fat_lock: Mutex


@dataclass
class FatInode:
    """struct msdos_inode_info: the block of the table that maps the file, clusters it has and uses."""

    fat_block: int
    clusters: int = 1
    used: int = 1


def fat_fill_super(sb: SuperBlock) -> None:
    sb.private = FatSuper(Mutex(sb.kernel, "&sbi->fat_lock"))


def fat_alloc_inode(inode: Inode) -> FatInode:
    return FatInode(FAT_START + inode.ino // CLUSTERS_PER_BLOCK)


def fat_fallocate(inode: Inode) -> None:
    """Clusters beyond the end of the file."""
    inode.private.clusters += 4
    inode.sb.eviction.pending(inode)


def fat_evict_inode(inode: Inode) -> None:
    truncate_inode_pages_final(inode.mapping)
    if inode.nlink == 0:
        fat_truncate_blocks(inode, 0)
    else:
        fat_free_eofblocks(inode)
    clear_inode(inode)


def fat_free_eofblocks(inode: Inode) -> None:
    if inode.private.clusters > inode.private.used:
        fat_truncate_blocks(inode, inode.private.used)
        __fat_write_inode(inode)


def fat_truncate_blocks(inode: Inode, clusters: int) -> None:
    fat_free(inode, clusters)


def fat_free(inode: Inode, skip: int) -> None:
    """Cut the chain after ``skip`` clusters and free the rest."""
    if inode.private.clusters == 0:
        return
    mark_inode_dirty(inode)
    if skip:
        fat_ent_read(inode)
    fat_free_clusters(inode)
    inode.private.clusters = skip


def fat_free_clusters(inode: Inode) -> None:
    """Free the chain, one entry of the table after the other."""
    with inode.sb.private.fat_lock:
        fat_ent_read(inode)


def fat_ent_read(inode: Inode) -> None:
    fat12_ent_bread(inode.sb, inode.private.fat_block)


def fat12_ent_bread(sb: SuperBlock, block: int) -> None:
    folio = sb_bread(sb, block)
    if folio is not None:
        brelse(folio)


def __fat_write_inode(inode: Inode) -> None:
    """The directory entry gets the new size."""
    folio = sb_bread(inode.sb, inode.sb.inode_block(inode.ino))
    if folio is not None:
        brelse(folio)


def fat_unclean(inode: Inode) -> bool:
    return inode.nlink == 0 or inode.private.clusters > inode.private.used


def fat_pin(inode: Inode) -> list[Folio]:
    """The block of the table, and the one with the directory entry."""
    blocks = (inode.private.fat_block, inode.sb.inode_block(inode.ino))
    return [folio for folio in (sb_bread(inode.sb, block) for block in blocks) if folio]


FAT = Filesystem(
    name="fat",
    inode_cache=Cache("fat_inode_cache", 736, ctor=True),
    fill_super=fat_fill_super,
    alloc_inode=fat_alloc_inode,
    evict_inode=fat_evict_inode,
    prepare=fat_fallocate,
    unclean=fat_unclean,
    pin=fat_pin,
)
