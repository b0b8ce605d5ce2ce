"""A block device: reads and writes that take time and may fail or never end, bios from a mempool."""

from __future__ import annotations

from dataclasses import dataclass

from ring3.kernel.core import Kernel
from ring3.kernel.wait import Completion
from ring3.mm import gfp as G
from ring3.mm.costs import BLOCK_REQUEST
from ring3.mm.mempool import Mempool
from ring3.mm.slab import Cache
from ring3.mm.slab_cache import KmemCache, Slab
from ring3.mm.zone import Memory

BIO_POOL_SIZE = 2  # block/bio.c, BIO_POOL_SIZE


@dataclass(frozen=True)
class Fault:
    """What a device does wrong: ``reads`` or ``writes`` fail with an I/O error (EIO), requests take ``slow``
    times as long, the ``lost``-th request never ends.  With ``blocks`` only requests to those go wrong."""

    name: str
    title: str
    reads: bool = False
    writes: bool = False
    slow: int = 1
    lost: int = 0
    blocks: frozenset[int] | None = None


#: The faults that a scenario can be combined with.
FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("read-error", "every read fails with EIO", reads=True),
        Fault("write-error", "every write fails with EIO", writes=True),
        Fault("slow", "every request takes a hundred times as long", slow=100),
        Fault("lost", "the first request is never completed", lost=1),
    )
}


class BlockDevice:
    """``latency`` is the virtual ns of one request.  ``fault`` may be set at any time; ``requests`` counts
    those made since, ``errors`` those that failed."""

    def __init__(
        self,
        kernel: Kernel,
        mm: Memory,
        *,
        latency: int = BLOCK_REQUEST,
        fault: Fault | None = None,
    ) -> None:
        self.kernel = kernel
        self.latency = latency
        self.fault = fault
        self.requests = 0
        self.errors = 0
        cache = KmemCache(mm, Cache("bio-184", 184, hwcache_align=True))
        self.bios: Mempool[Slab] = Mempool(kernel, "bio", BIO_POOL_SIZE, cache.alloc, cache.free)
        self.bios.fill()

    def submit_bio_wait(self, block: int, *, write: bool = False) -> bool:
        """Read or write ``block`` and sleep until that is done; False on an I/O error."""
        bio = self.bios.alloc(G.GFP_NOIO)
        self.requests += 1
        fault, latency, fails = self.fault, self.latency, False
        if fault is not None and (fault.blocks is None or block in fault.blocks):
            if self.requests == fault.lost:
                Completion(self.kernel, f"I/O of block {block}").wait()
            latency *= fault.slow
            fails = fault.writes if write else fault.reads
        self.kernel.sleep(latency)
        if bio is not None:
            self.bios.free(bio)
        self.errors += fails
        return not fails
