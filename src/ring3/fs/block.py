"""A block device: reads and writes that take time and may fail or never end, bios from a mempool."""

from __future__ import annotations

from ring3.kernel.core import Kernel
from ring3.kernel.wait import Completion
from ring3.mm import gfp as G
from ring3.mm.costs import BLOCK_REQUEST
from ring3.mm.mempool import Mempool
from ring3.mm.slab import Cache
from ring3.mm.slab_cache import KmemCache, Slab
from ring3.mm.zone import Memory

BIO_POOL_SIZE = 2  # block/bio.c, BIO_POOL_SIZE


class BlockDevice:
    """``latency`` is the virtual ns of one request; requests to ``bad`` blocks fail with an I/O error, those
    to ``lost`` blocks never end."""

    def __init__(
        self,
        kernel: Kernel,
        mm: Memory,
        *,
        latency: int = BLOCK_REQUEST,
        bad: frozenset[int] = frozenset(),
        lost: frozenset[int] = frozenset(),
    ) -> None:
        self.kernel = kernel
        self.latency = latency
        self.bad = bad
        self.lost = lost
        self.requests = 0
        cache = KmemCache(mm, Cache("bio-184", 184, hwcache_align=True))
        self.bios: Mempool[Slab] = Mempool(kernel, "bio", BIO_POOL_SIZE, cache.alloc, cache.free)
        self.bios.fill()

    def submit_bio_wait(self, block: int) -> bool:
        """Read or write ``block`` and sleep until that is done; False on an I/O error."""
        bio = self.bios.alloc(G.GFP_NOIO)
        self.requests += 1
        if block in self.lost:
            Completion(self.kernel, f"I/O of block {block}").wait()
        self.kernel.sleep(self.latency)
        if bio is not None:
            self.bios.free(bio)
        return block not in self.bad
