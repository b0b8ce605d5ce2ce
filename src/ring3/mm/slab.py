"""SLUB's layout of a cache: where each byte of an object's slot goes, and how many fit in a slab.

Source: mm/slub.c (calculate_sizes, calculate_order) and mm/slab_common.c (calculate_alignment,
create_boot_cache), Linux 7.2, 64 bit, no KASAN; the rules are the same since 6.12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ring3.errors import BadInput

WORD = 8
CACHE_LINE = 64
PAGE_SIZE = 4096
MAX_PAGE_ORDER = 10
PAGE_ALLOC_COSTLY_ORDER = 3
MAX_OBJS_PER_PAGE = 32767
#: struct track: address, stack handle, CPU, PID and time of one allocation or free, padded.
TRACK = 32
#: Larger objects than this are none of SLUB's business: they would not fit in the largest slab.
MAX_OBJECT = PAGE_SIZE << MAX_PAGE_ORDER

DEBUG_LETTERS = {
    "Z": "red zones",
    "P": "poison",
    "U": "allocation and free traces",
    "F": "consistency checks (no bytes)",
}


@dataclass(frozen=True)
class Cache:
    """What the creator of a cache asks for.  Sizes and offsets in bytes.

    ``freeptr_offset`` is where an RCU or constructor cache lets the free pointer lie inside the
    object; ``kmalloc`` are the caches behind kmalloc(), aligned to the size's largest power of two.
    """

    name: str
    object_size: int
    align: int = 0
    hwcache_align: bool = False
    typesafe_by_rcu: bool = False
    ctor: bool = False
    kmalloc: bool = False
    freeptr_offset: int | None = None


@dataclass(frozen=True)
class Region:
    """``size`` bytes at ``offset`` of a slot, and what they are for."""

    offset: int
    size: int
    what: str


@dataclass(frozen=True)
class Layout:
    """A slot of ``size`` bytes; the object starts at ``red_left_pad``.

    ``freeptr`` is the free pointer's offset from the object's start: inside the object it costs nothing.
    """

    cache: Cache
    align: int
    size: int
    red_left_pad: int
    freeptr: int
    order: int
    objects: int
    regions: tuple[Region, ...]

    @property
    def slab_bytes(self) -> int:
        """Bytes of one slab."""
        return PAGE_SIZE << self.order

    @property
    def unused(self) -> int:
        """Bytes at the end of a slab in which no further slot fits."""
        return self.slab_bytes - self.objects * self.size


def align_up(value: int, to: int) -> int:
    """``value`` rounded up to a multiple of ``to``."""
    return -(-value // to) * to


def alignment(cache: Cache) -> int:
    """The alignment that objects of ``cache`` get."""
    align = cache.align
    if cache.kmalloc:
        align = max(align, WORD, cache.object_size & -cache.object_size)
    if cache.hwcache_align:
        line = CACHE_LINE
        while cache.object_size <= line // 2:
            line //= 2
        align = max(align, line)
    return align_up(max(align, WORD), WORD)


def layout(cache: Cache, *, debug: str = "", cpus: int = 2) -> Layout:
    """Lay ``cache`` out for a machine with ``cpus`` present CPUs booted with ``slab_debug=DEBUG``.

    ``debug`` is any of the letters Z, P, U, F.  Raises BadInput for sizes and alignments that SLUB
    refuses and for other letters.
    """
    _check(cache, debug, cpus)
    red_zone, poison, user = (letter in debug for letter in "ZPU")
    align = alignment(cache)
    words = align_up(cache.object_size, WORD)
    # The red zone right of the object is the rounding; where there is none it takes a word.
    inuse = words + WORD if red_zone and words == cache.object_size else words
    after: list[tuple[int, str]] = [
        (inuse - cache.object_size, "red zone" if red_zone else "padding")
    ]

    keeps_content = cache.typesafe_by_rcu or cache.ctor
    extended_red_zone = red_zone and user and cache.kmalloc
    outside = (
        (keeps_content and cache.freeptr_offset is None)
        or poison
        or (red_zone and (cache.object_size < WORD or extended_red_zone))
    )
    if outside:
        freeptr = inuse
        after.append((WORD, "free pointer"))
    elif keeps_content and cache.freeptr_offset is not None:
        freeptr = cache.freeptr_offset
    else:
        freeptr = cache.object_size // 2 // WORD * WORD
    if user:
        after.append((TRACK, "trace of allocation"))
        after.append((TRACK, "trace of free"))
        if cache.kmalloc:
            after.append((WORD, "requested size"))
    red_left_pad = 0
    if red_zone:
        after.append((WORD, "padding"))
        red_left_pad = align_up(WORD, align)

    regions = []
    if red_left_pad:
        regions.append(Region(0, red_left_pad, "left red zone"))
    regions.append(Region(red_left_pad, cache.object_size, "object"))
    for length, what in after:
        if length:
            regions.append(Region(regions[-1].offset + regions[-1].size, length, what))
    used = regions[-1].offset + regions[-1].size
    size = align_up(used, align)
    if size > used:
        regions.append(Region(used, size - used, "alignment"))
    if size > MAX_OBJECT:
        raise BadInput(f"a slot of {size} bytes fits in no slab", where=cache.name)
    order = slab_order(size, cpus)
    objects = (PAGE_SIZE << order) // size
    return Layout(cache, align, size, red_left_pad, freeptr, order, objects, tuple(regions))


def slab_order(size: int, cpus: int) -> int:
    """The page order of a slab with slots of ``size`` bytes, as calculate_order() picks it.

    Enough objects for the CPUs come first, then the least order that wastes at most a sixteenth, an
    eighth, a quarter or a half; a slot larger than eight pages gets the order it needs.
    """
    highest = PAGE_ALLOC_COSTLY_ORDER
    most = max((PAGE_SIZE << highest) // size, 1)
    least = min(4 * (cpus.bit_length() + 1), most)
    start = get_order(least * size)
    if (PAGE_SIZE << start) // size > MAX_OBJS_PER_PAGE:
        return get_order(size * MAX_OBJS_PER_PAGE) - 1
    for fraction in (16, 8, 4, 2):
        for order in range(start, highest + 1):
            slab = PAGE_SIZE << order
            if slab % size <= slab // fraction:
                return order
    return get_order(size)


_KMALLOC = re.compile(r"(?:dma-)?kmalloc-(?:rnd-\d+-|cg-|rcl-|dma-)?(\d+)([kM]?)")


def kmalloc_cache(name: str) -> Cache | None:
    """The cache behind kmalloc() called ``name`` (``kmalloc-512``, ``kmalloc-cg-1k``), or None."""
    found = _KMALLOC.fullmatch(name)
    if not found or len(found[1]) > 6:
        return None
    return Cache(name, int(found[1]) << {"": 0, "k": 10, "M": 20}[found[2]], kmalloc=True)


def get_order(size: int) -> int:
    """The least order of pages that holds ``size`` bytes."""
    return ((size - 1) // PAGE_SIZE).bit_length()


def _check(cache: Cache, debug: str, cpus: int) -> None:
    wrong = sorted(set(debug) - set(DEBUG_LETTERS))
    if wrong:
        raise BadInput(
            f"no slab_debug letter {''.join(wrong)!r}",
            where=cache.name,
            remedy=f"letters are {''.join(DEBUG_LETTERS)}",
        )
    if not 0 < cache.object_size <= MAX_OBJECT:
        raise BadInput(
            f"object size {cache.object_size} is not between 1 and {MAX_OBJECT}", where=cache.name
        )
    if not 0 <= cache.align <= PAGE_SIZE or cache.align & (cache.align - 1):
        raise BadInput(
            f"alignment {cache.align} is no power of two up to {PAGE_SIZE}", where=cache.name
        )
    if not 0 < cpus <= 8192:
        raise BadInput(f"{cpus} CPUs", where=cache.name, remedy="1 to 8192")
    offset = cache.freeptr_offset
    if offset is not None and (offset % WORD or not 0 <= offset <= cache.object_size - WORD):
        raise BadInput(
            f"free pointer offset {offset} is no word inside the object", where=cache.name
        )
