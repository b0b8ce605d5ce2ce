"""A mounted filesystem, and the shrinker of its caches (fs/super.c, Linux 7.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ring3.fs import inode as vfs_inode
from ring3.fs.block import BlockDevice
from ring3.fs.dcache import Dentry, prune_dcache_sb
from ring3.fs.eviction import Eviction
from ring3.fs.inode import Inode, prune_icache_sb
from ring3.fs.mapping import AddressSpace
from ring3.kernel.core import Kernel
from ring3.kernel.rwsem import RwSem
from ring3.mm import gfp as G
from ring3.mm.costs import SCAN_OBJECT
from ring3.mm.list_lru import ListLru
from ring3.mm.shrinker import SHRINK_EMPTY, SHRINK_STOP, ShrinkControl, Shrinker
from ring3.mm.slab import Cache
from ring3.mm.slab_cache import KmemCache
from ring3.mm.zone import Folio, Memory

DENTRY = Cache("dentry", 192)


@dataclass(frozen=True)
class Filesystem:
    """A filesystem, declared: what it does at each event of an inode's life.

    None is the VFS default.  ``unclean`` says whether evicting an inode means more than giving memory
    back; ``pin`` reads every page that this takes and holds it.  ``prepare`` brings an inode into such a
    state: a preallocation on a linked file, or whatever the filesystem leaves for later.  ``unlink`` takes
    the last name away, or returns False.
    """

    name: str
    inode_cache: Cache
    fill_super: Callable[[SuperBlock], None] | None = None
    alloc_inode: Callable[[Inode], Any] | None = None
    evict_inode: Callable[[Inode], None] | None = None
    drop_inode: Callable[[Inode], bool] | None = None
    destroy_inode: Callable[[Inode], None] | None = None
    nr_cached_objects: Callable[[SuperBlock], int] | None = None
    free_cached_objects: Callable[[SuperBlock, int], int] | None = None
    prepare: Callable[[Inode], None] | None = None
    unlink: Callable[[Inode], bool] | None = None
    unclean: Callable[[Inode], bool] = field(default=lambda inode: inode.nlink == 0)
    pin: Callable[[Inode], list[Folio]] | None = None


class SuperBlock:
    """One mount of ``fs`` on ``bdev``."""

    def __init__(
        self,
        mm: Memory,
        fs: Filesystem,
        bdev: BlockDevice,
        *,
        eviction: Eviction | None = None,
        inode_cache: Cache | None = None,
    ) -> None:
        self.kernel: Kernel = mm.kernel
        self.mm = mm
        self.fs = fs
        self.name = fs.name
        self.bdev = bdev
        self.eviction = eviction or Eviction()
        self.active = True
        self.key = mm.kernel.new_key()
        self.s_umount = RwSem(mm.kernel, f"&type->s_umount_key({fs.name})")
        #: The device's page cache, in which buffers live; never with __GFP_FS.
        self.mapping = AddressSpace(mm, f"{fs.name} device", G.GFP_USER | G.MOVABLE)
        self.inode_cache = KmemCache(mm, inode_cache or fs.inode_cache)
        self.dentry_cache = KmemCache(mm, DENTRY)
        self.inodes: dict[int, Inode] = {}
        self.dentries: dict[str, Dentry] = {}
        self.dirty: dict[Inode, None] = {}
        self.inode_lru: ListLru[Inode] = ListLru()
        self.dentry_lru: ListLru[Dentry] = ListLru()
        self.private: Any = None
        mm.shrinkers.append(SuperShrinker(self))
        if fs.fill_super is not None:
            fs.fill_super(self)
        self.eviction.mount(self)

    def evict(self, inode: Inode) -> None:
        """Take ``inode``, which is I_FREEING, out of memory now."""
        vfs_inode.evict(inode)

    def inode_block(self, ino: int) -> int:
        """The block of the device that holds inode ``ino``."""
        return 1000 + ino // 16

    def __repr__(self) -> str:
        return self.name


class SuperShrinker(Shrinker):
    """The one shrinker of a mount: dentries, inodes, and the filesystem's own objects."""

    def __init__(self, sb: SuperBlock) -> None:
        super().__init__(f"sb-{sb.name}", batch=1024)
        self.sb = sb

    def count_objects(self, sc: ShrinkControl) -> int:
        return super_cache_count(self.sb)

    def scan_objects(self, sc: ShrinkControl) -> int:
        return super_cache_scan(self.sb, sc)


def super_cache_count(sb: SuperBlock) -> int:
    """How many objects could go (vfs_cache_pressure 100)."""
    if not sb.active:
        return 0
    total = len(sb.dentry_lru) + len(sb.inode_lru)
    if sb.fs.nr_cached_objects is not None:
        total += sb.fs.nr_cached_objects(sb)
    return total or SHRINK_EMPTY


def super_cache_scan(sb: SuperBlock, sc: ShrinkControl) -> int:
    """Scan the three caches in proportion to their sizes, each at least one object."""
    if not sc.gfp_mask & G.FS or not sb.s_umount.down_read_trylock():
        return SHRINK_STOP
    try:
        fs_objects = sb.fs.nr_cached_objects(sb) if sb.fs.nr_cached_objects is not None else 0
        inodes, dentries = len(sb.inode_lru), len(sb.dentry_lru)
        total = dentries + inodes + fs_objects or 1
        dentries = sc.nr_to_scan * dentries // total
        inodes = sc.nr_to_scan * inodes // total
        fs_objects = sc.nr_to_scan * fs_objects // total
        scanned = min(dentries + 1, len(sb.dentry_lru)) + min(inodes + 1, len(sb.inode_lru))
        sb.mm.costs.charge(SCAN_OBJECT * scanned)
        freed = prune_dcache_sb(sb, dentries + 1)
        freed += prune_icache_sb(sb, inodes + 1)
        if fs_objects and sb.fs.free_cached_objects is not None:
            freed += sb.fs.free_cached_objects(sb, fs_objects + 1)
        return freed
    finally:
        sb.s_umount.up_read()
