"""The lock validator: ``Kernel(lockdep=True).lockdep``.

Locks report to it by themselves.  What is no lock but behaves like one gets a map::

    fs_reclaim = kernel.lockdep.named_map("fs_reclaim")
    fs_reclaim.acquire()                                # exclusive
    fs_reclaim.release()
    dma_fence = kernel.lockdep.named_map("dma_fence_map")
    dma_fence.acquire(read=2, trylock=True)             # dma_fence_begin_signalling

Findings are in ``kernel.lockdep.reports`` (``kind``, ``chain``, ``text``); after the first one the
validator is silent, as the kernel's is.
"""

from ring3.kernel.lockdep.graph import LockClass
from ring3.kernel.lockdep.text import Report
from ring3.kernel.lockdep.validator import HeldLock, Lockdep, LockMap

__all__ = [
    "HeldLock",
    "LockClass",
    "LockMap",
    "Lockdep",
    "Report",
]
