"""Buffer heads: one disk block over one page of the device's page cache (fs/buffer.c, Linux 7.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ring3.fs.mapping import filemap_get_folio, get_folio
from ring3.mm import gfp as G
from ring3.mm.zone import Folio

if TYPE_CHECKING:
    from ring3.fs.super import SuperBlock


def sb_bread(sb: SuperBlock, block: int) -> Folio | None:
    """Block ``block`` in memory, with a reference; None on an I/O error.  :func:`brelse` gives it back."""
    return __bread_gfp(sb, block, G.MOVABLE)


def __bread_gfp(sb: SuperBlock, block: int, gfp: int) -> Folio | None:
    # The device's mapping without __GFP_FS, and it must not fail: callers have no way out.
    gfp |= sb.mapping.gfp_mask & ~G.FS | G.NOFAIL
    folio = bdev_getblk(sb, block, gfp)
    if folio is not None and not folio.uptodate:
        __bread_slow(sb, folio)
        if not folio.uptodate:
            folio.pins -= 1
            return None
    return folio


def sb_getblk(sb: SuperBlock, block: int) -> Folio | None:
    """Block ``block`` without reading it; with a reference."""
    gfp = G.MOVABLE | sb.mapping.gfp_mask & ~G.FS | G.NOFAIL
    return bdev_getblk(sb, block, gfp)


def bdev_getblk(sb: SuperBlock, block: int, gfp: int) -> Folio | None:
    """The block's buffer from the cache, or a new one allocated with ``gfp``."""
    folio = filemap_get_folio(sb.mapping, block)
    if folio is not None:
        folio.pins += 1
        return folio
    return __getblk_slow(sb, block, gfp)


def __getblk_slow(sb: SuperBlock, block: int, gfp: int) -> Folio | None:
    return grow_buffers(sb, block, gfp)


def grow_buffers(sb: SuperBlock, block: int, gfp: int) -> Folio | None:
    return grow_dev_folio(sb, block, gfp)


def grow_dev_folio(sb: SuperBlock, block: int, gfp: int) -> Folio | None:
    folio = get_folio(sb.mapping, block, gfp)
    if folio is not None:
        folio.pins += 1
        folio.buffers = block
    return folio


def __bread_slow(sb: SuperBlock, folio: Folio) -> None:
    if sb.bdev.submit_bio_wait(folio.index):
        folio.uptodate = True


def brelse(folio: Folio) -> None:
    """Drop a reference; the block stays cached until reclaim takes it."""
    folio.pins -= 1


@contextmanager
def block(sb: SuperBlock, number: int) -> Iterator[Folio | None]:
    """``with block(sb, n) as folio:`` reads, and releases at the end."""
    folio = sb_bread(sb, number)
    try:
        yield folio
    finally:
        if folio is not None:
            brelse(folio)
