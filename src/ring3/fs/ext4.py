"""ext4: what eviction has to do, and what that takes (fs/ext4, Linux 7.2).

Linked: preallocations are given back, for which the buddy map of their group must be in memory; extent status
entries are removed, which may have to split one.  Unlinked: a transaction, the inode bitmap, the
extent blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ring3.fs.buffer import brelse, sb_bread, sb_getblk
from ring3.fs.inode import Inode, clear_inode
from ring3.fs.jbd2 import Handle, Journal, jbd2_journal_start, jbd2_journal_stop, kjournald2
from ring3.fs.mapping import AddressSpace, get_folio, truncate_inode_pages_final
from ring3.fs.super import Filesystem, SuperBlock
from ring3.mm import gfp as G
from ring3.mm.slab import Cache
from ring3.mm.slab_cache import KmemCache, Slab
from ring3.mm.zone import Folio

INODES_PER_GROUP = 8
INODE_BITMAP = 100
BLOCK_BITMAP = 200
EXTENTS = 300
COMMIT = 400


@dataclass
class Ext4Super:
    """struct ext4_sb_info: the journal, the buddy maps' own page cache, and the extent-status slab."""

    journal: Journal
    buddies: AddressSpace
    extent_status: KmemCache


@dataclass
class Ext4Inode:
    """struct ext4_inode_info.  ``split`` says that removing the status entries splits one."""

    group: int
    preallocated: bool = False
    split: bool = False
    depth: int = 0


def ext4_fill_super(sb: SuperBlock) -> None:
    journal = Journal(sb.mm, sb.name, COMMIT)
    write = partial(sb.bdev.submit_bio_wait, write=True)
    sb.kernel.kthread_run(kjournald2, journal, write, name=f"jbd2/{sb.name}")
    # ext4_mb_init: the buddy cache's inode allocates without __GFP_FS.
    buddies = AddressSpace(sb.mm, f"{sb.name} buddy cache", G.GFP_NOFS)
    status = KmemCache(sb.mm, Cache("ext4_extent_status", 40))
    sb.private = Ext4Super(journal, buddies, status)


def ext4_alloc_inode(inode: Inode) -> Ext4Inode:
    return Ext4Inode(inode.ino // INODES_PER_GROUP)


def ext4_preallocate(inode: Inode) -> None:
    """Blocks are set aside for a file that grows."""
    inode.private.preallocated = True
    inode.sb.eviction.pending(inode)


def ext4_unlink(inode: Inode) -> bool:
    """Take the last name away: in a transaction, onto the orphan list.  False when there is none."""
    journal = inode.sb.private.journal
    if jbd2_journal_start(journal) is None:
        return False
    inode.nlink = 0
    jbd2_journal_stop(journal)
    return True


def ext4_evict_inode(inode: Inode) -> None:
    truncate_inode_pages_final(inode.mapping)
    if inode.nlink:
        ext4_clear_inode(inode)
        return
    journal = inode.sb.private.journal
    if ext4_journal_start(journal) is None:
        ext4_clear_inode(inode)  # the inode stays on the disk, an orphan
        return
    try:
        ext4_truncate(inode)
        ext4_free_inode(inode)
    finally:
        jbd2_journal_stop(journal)


def ext4_journal_start(journal: Journal) -> Handle | None:
    return jbd2_journal_start(journal)


def ext4_truncate(inode: Inode) -> None:
    for level in range(inode.private.depth):
        ext4_ext_remove_space(inode, level)


def ext4_ext_remove_space(inode: Inode, level: int) -> None:
    folio = sb_bread(inode.sb, EXTENTS + inode.ino * 4 + level)
    if folio is not None:
        brelse(folio)


def ext4_free_inode(inode: Inode) -> None:
    """Clear the inode's bit: the bitmap must be in memory."""
    ext4_clear_inode(inode)
    ext4_read_inode_bitmap(inode.sb, inode.private.group)


def ext4_read_inode_bitmap(sb: SuperBlock, group: int) -> None:
    folio = sb_getblk(sb, INODE_BITMAP + group)
    if folio is None:
        return
    if not folio.uptodate and sb.bdev.submit_bio_wait(folio.index):
        folio.uptodate = True
    brelse(folio)


def ext4_clear_inode(inode: Inode) -> None:
    clear_inode(inode)
    ext4_discard_preallocations(inode)
    ext4_es_remove_extent(inode)


def ext4_discard_preallocations(inode: Inode) -> None:
    if not inode.private.preallocated:
        return
    ext4_mb_load_buddy_gfp(inode.sb, inode.private.group, G.GFP_NOFS | G.NOFAIL)
    inode.private.preallocated = False


def ext4_mb_load_buddy_gfp(sb: SuperBlock, group: int, gfp: int) -> None:
    """The group's bitmap page and buddy page, both in the buddy cache; the bitmap comes from disk."""
    for page in (2 * group, 2 * group + 1):
        folio = get_folio(sb.private.buddies, page, gfp)
        if folio is None or folio.uptodate:
            continue
        folio.pins += 1
        ext4_mb_init_cache(sb, group)
        folio.uptodate = True
        folio.pins -= 1


def ext4_mb_init_cache(sb: SuperBlock, group: int) -> None:
    bitmap = sb_bread(sb, BLOCK_BITMAP + group)
    if bitmap is not None:
        brelse(bitmap)


def ext4_es_remove_extent(inode: Inode) -> None:
    if not inode.private.split:
        return
    status = inode.sb.private.extent_status
    entry = __es_alloc_extent(status)
    inode.private.split = False
    if entry is not None:
        status.free(entry)


def __es_alloc_extent(status: KmemCache) -> Slab | None:
    return status.alloc(G.GFP_KERNEL | G.NOFAIL)


def ext4_unclean(inode: Inode) -> bool:
    return inode.nlink == 0 or inode.private.preallocated or inode.private.split


def ext4_pin(inode: Inode) -> list[Folio]:
    """Bitmaps, buddy pages, extent blocks.  A transaction's handle cannot be had in advance."""
    sb, info = inode.sb, inode.private
    blocks = [INODE_BITMAP + info.group]
    blocks += [EXTENTS + inode.ino * 4 + level for level in range(info.depth)]
    pinned = [folio for folio in (sb_bread(sb, block) for block in blocks) if folio]
    ext4_mb_load_buddy_gfp(sb, info.group, G.GFP_NOFS | G.NOFAIL)
    for page in (2 * info.group, 2 * info.group + 1):
        folio = sb.private.buddies.folios.get(page)
        if folio is not None:
            folio.pins += 1
            pinned.append(folio)
    return pinned


EXT4 = Filesystem(
    name="ext4",
    inode_cache=Cache("ext4_inode_cache", 1096, ctor=True),
    fill_super=ext4_fill_super,
    alloc_inode=ext4_alloc_inode,
    evict_inode=ext4_evict_inode,
    prepare=ext4_preallocate,
    unlink=ext4_unlink,
    unclean=ext4_unclean,
    pin=ext4_pin,
)
