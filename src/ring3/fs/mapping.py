"""The page cache of one file or device (mm/filemap.c, mm/truncate.c, Linux 7.2)."""

from __future__ import annotations

from collections.abc import Callable

from ring3.mm import gfp as G
from ring3.mm.page_alloc import alloc_pages
from ring3.mm.zone import Folio, Memory, free_pages


class AddressSpace:
    """struct address_space: folios by page index; ``gfp_mask`` is what they are allocated with.

    ``shrinkable`` is called when reclaim took the last folio: the inode may go on its LRU now.
    """

    __slots__ = ("folios", "gfp_mask", "key", "mm", "name", "nrdirty", "shrinkable")

    def __init__(
        self,
        mm: Memory,
        name: str,
        gfp_mask: int = G.GFP_HIGHUSER | G.MOVABLE,
        shrinkable: Callable[[], None] | None = None,
    ) -> None:
        self.shrinkable = shrinkable
        self.mm = mm
        self.name = name
        self.gfp_mask = gfp_mask
        self.folios: dict[int, Folio] = {}
        self.nrdirty = 0
        self.key = mm.kernel.new_key()

    def remove(self, folio: Folio) -> None:
        """Forget ``folio``; its buffers go with it."""
        self.folios.pop(folio.index, None)
        if folio.dirty:
            folio.dirty = False
            self.nrdirty -= 1
        folio.mapping = folio.buffers = None
        if not self.folios and self.shrinkable is not None:
            self.shrinkable()

    def dirty(self, folio: Folio) -> None:
        """Mark ``folio`` dirty."""
        if not folio.dirty:
            folio.dirty = True
            self.nrdirty += 1

    def clean(self, folio: Folio) -> None:
        """``folio`` was written."""
        if folio.dirty:
            folio.dirty = False
            self.nrdirty -= 1

    def __repr__(self) -> str:
        return f"page cache of {self.name}"


def filemap_get_folio(mapping: AddressSpace, index: int) -> Folio | None:
    """The cached folio at ``index``, or None."""
    mapping.mm.kernel.point("filemap_get_folio", mapping, mapping.key)
    folio = mapping.folios.get(index)
    if folio is not None:
        folio.referenced = True
    return folio


def __filemap_get_folio(mapping: AddressSpace, index: int, gfp: int) -> Folio | None:
    """The folio at ``index``, allocated with ``gfp`` when it is not cached."""
    mm = mapping.mm
    folio = filemap_get_folio(mapping, index)
    if folio is not None:
        return folio
    fresh = alloc_pages(mm, gfp)
    if fresh is None:
        return None
    mm.kernel.point("filemap_add_folio", mapping, mapping.key | 1)
    folio = mapping.folios.get(index)
    if folio is not None:  # somebody else was faster
        free_pages(mm, fresh)
        return folio
    fresh.mapping = mapping
    fresh.index = index
    mapping.folios[index] = fresh
    mm.fill(fresh)
    return fresh


get_folio = __filemap_get_folio


def truncate_inode_pages_final(mapping: AddressSpace) -> None:
    """Throw away every folio, dirty or not, waiting for those under writeback."""
    mm = mapping.mm
    for folio in list(mapping.folios.values()):
        if folio.writeback and folio.wait is not None:
            folio.wait.wait_event(lambda folio=folio: not folio.writeback)  # type: ignore[misc]
        if folio.mapping is mapping:
            mm.inactive.pop(folio, None)
            mm.active.pop(folio, None)
            mapping.remove(folio)
            if not folio.isolated:
                free_pages(mm, folio)
