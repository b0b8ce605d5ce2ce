"""The proposals, each one small class over the hooks of ring3.fs.eviction.

``source`` says who proposed it, where that is known; ``reading`` how it is understood here, since most
were only ever sketched.  Adding a policy is adding a class to :data:`POLICIES`.
"""

from __future__ import annotations

from ring3.errors import Unsupported, one_of
from ring3.fs.eviction import Eviction
from ring3.fs.inode import I_DIRTY, I_FREEING, Inode, inode_add_lru
from ring3.fs.inodegc import InodeGc
from ring3.fs.super import SuperBlock
from ring3.kernel.task import PF_KSWAPD, PF_MEMALLOC
from ring3.mm.mempool import Mempool
from ring3.mm.page_alloc import ALLOC_NO_WATERMARKS, alloc_pages, get_page_from_freelist
from ring3.mm.zone import Folio, Memory


class Policy(Eviction):
    """A proposal.  ``source`` and ``reading`` are sentences for people; numbers of pages are PAGES."""

    source = ""
    reading = ""

    def in_reclaim(self, sb: SuperBlock) -> bool:
        """Whether the running task reclaims memory."""
        return sb.kernel.current.flags & PF_MEMALLOC != 0


class Refusing(Policy):
    """Leaves alone the inodes that :meth:`may_isolate` refuses: whoever drops their last reference puts them
    on the LRU."""

    def final(self, inode: Inode) -> None:
        if self.may_isolate(inode):
            inode.sb.evict(inode)
        else:
            inode.state &= ~I_FREEING
            inode_add_lru(inode)


class AsToday(Policy):
    """Evict on the spot, allocating with __GFP_NOFAIL inside reclaim if need be."""

    name = "as-today"
    source = "Linux 7.2"
    reading = "no change"


class MempoolPolicy(Policy):
    """What eviction needs in reclaim comes from a pool."""

    name = "mempool"
    source = "the talk"
    reading = "one pool of pages; a page returns to it when the page cache lets it go"
    PAGES = 2

    def __init__(self) -> None:
        self.pool: Mempool[Folio] | None = None
        self.lent: set[Folio] = set()

    def mount(self, sb: SuperBlock) -> None:
        mm = sb.mm
        if self.pool is not None:
            return
        # Only filling it takes pages from the system; afterwards the pool is all there is.
        pool: Mempool[Folio] = Mempool(
            sb.kernel,
            "eviction",
            self.PAGES,
            lambda gfp: None if self.pool else alloc_pages(mm, gfp),
            lambda folio: None,
        )
        pool.fill()
        self.pool = pool
        mm.memalloc_nofail = self.lend
        mm.take_back = self.back

    def lend(self, gfp: int, order: int) -> Folio | None:
        assert self.pool is not None
        folio = self.pool.alloc(gfp)
        if folio is not None:
            self.lent.add(folio)
        return folio

    def back(self, folio: Folio) -> bool:
        if folio not in self.lent or self.pool is None:
            return False
        self.lent.discard(folio)
        self.pool.free(Folio(folio.zone, folio.order))
        return True

    def held_back(self) -> int:
        return self.PAGES


class PinnedInAdvance(Policy):
    """What an inode's eviction will need is read and pinned when the need arises."""

    name = "pinned"
    source = "the talk"
    reading = "every block that eviction will read is pinned from the unlink or preallocation on"

    def __init__(self) -> None:
        self.pinned: dict[Inode, list[Folio]] = {}

    def pending(self, inode: Inode) -> None:
        if inode not in self.pinned and inode.sb.fs.pin is not None:
            self.pinned[inode] = []
            self.pinned[inode] = inode.sb.fs.pin(inode)

    def dispose(self, inode: Inode) -> None:
        inode.sb.evict(inode)
        self._unpin(inode)

    final = dispose

    def _unpin(self, inode: Inode) -> None:
        for folio in self.pinned.pop(inode, ()):
            folio.pins -= 1

    def held_back(self) -> int:
        return len({id(folio) for folios in self.pinned.values() for folio in folios})


class BackgroundOnly(Refusing):
    """Only kswapd evicts what needs work; direct reclaim leaves it alone."""

    name = "background-only"
    source = "the talk"
    reading = "direct reclaim skips unclean inodes and puts back those that lose their last user"

    def may_isolate(self, inode: Inode) -> bool:
        task = inode.sb.kernel.current
        if not task.flags & PF_MEMALLOC or task.flags & PF_KSWAPD:
            return True
        return not inode.sb.fs.unclean(inode)


class EvictionFailed(Exception):
    """Eviction would have had to allocate and could not."""


class EvictionMayFail(Policy):
    """Eviction allocates without __GFP_NOFAIL and gives up when that fails."""

    name = "may-fail"
    source = "the talk"
    reading = (
        "a failed eviction from the LRU goes back there; one from iput has nobody to tell and the "
        "inode stays, unused and out of reach"
    )

    def __init__(self) -> None:
        self.lost: list[Inode] = []

    def mount(self, sb: SuperBlock) -> None:
        def attempt(gfp: int, order: int) -> Folio | None:
            raise EvictionFailed

        sb.mm.memalloc_nofail = attempt

    def dispose(self, inode: Inode) -> None:
        try:
            inode.sb.evict(inode)
        except EvictionFailed:
            inode.state = 0
            inode_add_lru(inode)

    def final(self, inode: Inode) -> None:
        try:
            inode.sb.evict(inode)
        except EvictionFailed:
            self.lost.append(inode)


class Reserves(Policy):
    """A reserve of pages for allocations under PF_MEMALLOC, which may then be __GFP_NOFAIL."""

    name = "reserves"
    source = "the talk"
    reading = (
        "watermarks rise by the reserve; NOFAIL under PF_MEMALLOC may take all of it, unwarned"
    )
    PAGES = 8

    def __init__(self) -> None:
        self.mm: Memory | None = None

    def mount(self, sb: SuperBlock) -> None:
        mm = sb.mm
        if self.mm is not None:
            return
        self.mm = mm
        zone = mm.zonelist[0]
        zone.min += self.PAGES
        zone.low += self.PAGES
        zone.high += self.PAGES
        mm.memalloc_nofail = lambda gfp, order: get_page_from_freelist(
            mm, gfp, order, ALLOC_NO_WATERMARKS
        )

    def held_back(self) -> int:
        return self.PAGES if self.mm is not None else 0


class SkipUnlinked(Policy):
    """The shrinker leaves unlinked inodes on the LRU."""

    name = "skip-unlinked"
    source = "Ts'o"
    reading = "inode_lru_isolate refuses nlink == 0, and nothing else changes"

    def may_isolate(self, inode: Inode) -> bool:
        return inode.nlink != 0


class InodegcForAll(Policy):
    """Every filesystem hands inodes that need work to a worker, as XFS does."""

    name = "inodegc"
    source = "Chinner"
    reading = (
        "unclean inodes are always evicted by a worker, whoever drops them, with XFS's shrinker and its "
        "wait for the worker; others on the spot"
    )

    def __init__(self) -> None:
        self.inodegc: dict[SuperBlock, InodeGc] = {}

    def mount(self, sb: SuperBlock) -> None:
        self.inodegc[sb] = InodeGc(sb.mm, sb.name, sb.evict)

    def dispose(self, inode: Inode) -> None:
        if inode.sb.fs.unclean(inode):
            self.inodegc[inode.sb].queue(inode)
        else:
            inode.sb.evict(inode)

    final = dispose


class CleanOnly(Refusing):
    """Under PF_MEMALLOC only clean inodes are evicted; the base of three readings of "clean"."""

    source = "Wilcox"

    def clean(self, inode: Inode) -> bool:
        raise NotImplementedError

    def may_isolate(self, inode: Inode) -> bool:
        return not self.in_reclaim(inode.sb) or self.clean(inode)


class CleanNotDirty(CleanOnly):
    """Clean: not I_DIRTY."""

    name = "clean-not-dirty"
    reading = "clean is not I_DIRTY; the rest goes back to the LRU"

    def clean(self, inode: Inode) -> bool:
        return not inode.state & I_DIRTY


class CleanLinked(CleanOnly):
    """Clean: not I_DIRTY, and still linked."""

    name = "clean-linked"
    reading = "clean is not I_DIRTY and nlink > 0; the rest goes back to the LRU"

    def clean(self, inode: Inode) -> bool:
        return not inode.state & I_DIRTY and inode.nlink > 0


class CleanNothingPending(CleanOnly):
    """Clean: the filesystem says that eviction only gives memory back."""

    name = "clean-nothing-pending"
    reading = (
        "the filesystem is asked whether eviction means any work; the rest goes back to the LRU"
    )

    def clean(self, inode: Inode) -> bool:
        return not inode.state & I_DIRTY and not inode.sb.fs.unclean(inode)


class ReclaimHard(Policy):
    """Filesystems flag inodes that are hard to evict; reclaim passes them to a worker."""

    name = "i-reclaim-hard"
    source = "Kara, April 2026"
    reading = (
        "the filesystem sets I_RECLAIM_HARD when work becomes pending; under PF_MEMALLOC flagged inodes "
        "go to a worker like XFS's, and nothing else changes"
    )

    def __init__(self) -> None:
        self.hard: set[Inode] = set()
        self.inodegc: dict[SuperBlock, InodeGc] = {}

    def mount(self, sb: SuperBlock) -> None:
        self.inodegc[sb] = InodeGc(sb.mm, sb.name, sb.evict)

    def pending(self, inode: Inode) -> None:
        if inode.sb.fs.unclean(inode):  # never so in XFS, whose eviction is easy
            self.hard.add(inode)

    def dispose(self, inode: Inode) -> None:
        if self.in_reclaim(inode.sb) and inode in self.hard:
            self.inodegc[inode.sb].queue(inode)
        else:
            inode.sb.evict(inode)
        self.hard.discard(inode)

    final = dispose


#: Every policy, in the order in which the talk and the list came to them.
POLICIES: dict[str, type[Policy]] = {
    policy.name: policy
    for policy in (
        AsToday,
        MempoolPolicy,
        PinnedInAdvance,
        BackgroundOnly,
        EvictionMayFail,
        Reserves,
        SkipUnlinked,
        InodegcForAll,
        CleanNotDirty,
        CleanLinked,
        CleanNothingPending,
        ReclaimHard,
    )
}


def policy(name: str) -> type[Policy]:
    """The policy called ``name``; Unsupported with the names there are."""
    if name not in POLICIES:
        raise Unsupported(f"no policy {name[:40]!r}", remedy=one_of(name, POLICIES))
    return POLICIES[name]


__all__ = ["POLICIES", "Policy", "policy"]
