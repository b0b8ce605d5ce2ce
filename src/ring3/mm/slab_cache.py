"""Slab caches at run time: objects on slabs whose pages come from the allocator (mm/slub.c, Linux 7.2).

Order and objects per slab are the layout's (ring3.mm.slab).  An empty slab goes back at once; the kernel
keeps a few per node.
"""

from __future__ import annotations

from ring3.mm import gfp as G
from ring3.mm.page_alloc import alloc_pages
from ring3.mm.slab import PAGE_SIZE, Cache, get_order, layout
from ring3.mm.zone import Folio, Memory, free_pages


class Slab:
    """One slab and how many of its objects are in use."""

    __slots__ = ("capacity", "folio", "inuse")

    def __init__(self, folio: Folio, capacity: int) -> None:
        self.folio = folio
        self.capacity = capacity
        self.inuse = 0


class KmemCache:
    """A cache of equal objects.  An object is the :class:`Slab` that it lies on."""

    def __init__(self, mm: Memory, cache: Cache) -> None:
        self.mm = mm
        self.name = cache.name
        made = layout(cache)
        self.order = made.order
        self.size = made.size
        self.min_order = get_order(made.size)
        self.partial: list[Slab] = []
        self.pages = 0

    def alloc(self, gfp: int) -> Slab | None:
        """An object, or None when ``gfp`` allows to fail."""
        if self.partial:
            slab = self.partial[-1]
        else:
            made = self.allocate_slab(gfp)
            if made is None:
                return None
            slab = made
            self.partial.append(slab)
        slab.inuse += 1
        if slab.inuse == slab.capacity:
            self.partial.remove(slab)
        return slab

    def allocate_slab(self, gfp: int) -> Slab | None:
        """A new slab: the best order without insisting, else the least that holds an object."""
        folio = None
        if self.order > self.min_order:
            easy = (gfp | G.NOWARN | G.NORETRY) & ~G.NOFAIL
            if easy & G.DIRECT_RECLAIM:
                easy = (easy | G.NOMEMALLOC) & ~G.RECLAIM
            folio = alloc_pages(self.mm, easy, self.order)
        if folio is None:
            folio = alloc_pages(self.mm, gfp, self.min_order)
        if folio is None:
            return None
        self.pages += folio.pages
        return Slab(folio, (folio.pages * PAGE_SIZE) // self.size)

    def free(self, slab: Slab) -> None:
        """Give an object back; a slab that got empty gives its pages back."""
        if slab.inuse == slab.capacity:
            self.partial.append(slab)
        slab.inuse -= 1
        if slab.inuse:
            return
        self.partial.remove(slab)
        self.pages -= slab.folio.pages
        mm = self.mm
        task = mm.kernel.current
        if task in mm.reclaim_state:
            mm.reclaim_state[task] += slab.folio.pages
        free_pages(mm, slab.folio)
