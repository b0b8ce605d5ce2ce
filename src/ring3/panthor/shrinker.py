"""The GEM shrinker: under memory pressure, buffers that the GPU is not using leave memory.

Their content goes to swap, their page table entries go, and they come back with the next submission to a VM
that maps them.  The shrinker runs inside reclaim, which may itself be in the way of fences being
signalled: it waits for nothing.  A reservation that is locked, or a fence that is not signalled, means
that the buffer stays.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from ring3.dma_buf.resv import Usage
from ring3.drm.gem import PAGE
from ring3.mm.shrinker import SHRINK_EMPTY, SHRINK_STOP, ShrinkControl, Shrinker
from ring3.panthor.bo import PanthorBo

if TYPE_CHECKING:
    from ring3.panthor.device import PanthorDevice


class GemShrinker(Shrinker):
    """Of one device; objects are pages.  Register it in a ``ring3.mm`` memory's ``shrinkers``."""

    def __init__(self, device: PanthorDevice) -> None:
        super().__init__("drm-panthor-gem")
        self.device = device
        self.evicted = 0  # pages, since ever

    def _candidates(self) -> list[PanthorBo]:
        """Buffers that might go, those whose VM was used longest ago first."""
        found = [
            obj
            for _, obj in self.device.objects()
            if isinstance(obj, PanthorBo) and obj.evictable()
        ]
        return sorted(found, key=lambda bo: max((vm.last_used for vm in bo.mapped_in), default=0))

    def count_objects(self, sc: ShrinkControl) -> int:
        pages = sum(bo.size // PAGE for bo in self._candidates())
        return pages or SHRINK_EMPTY

    def scan_objects(self, sc: ShrinkControl) -> int:
        freed = 0
        for bo in self._candidates():
            if freed >= sc.nr_to_scan:
                break
            freed += self._try(bo)
        self.evicted += freed
        sc.nr_scanned = max(sc.nr_to_scan, freed)
        return freed or SHRINK_STOP

    def _try(self, bo: PanthorBo) -> int:
        """Pages freed: 0 when somebody uses the buffer, or might in a moment."""
        lock = bo.resv.lock
        if not lock.trylock():
            return 0
        try:
            if not bo.resv.test_signaled(Usage.BOOKKEEP):
                return 0
            return self._evict(bo)
        finally:
            lock.unlock()

    def _evict(self, bo: PanthorBo) -> int:
        """Out it goes, if no VM that shows it is being changed."""
        held = [vm for vm in bo.mapped_in if vm.op_lock.trylock()]
        try:
            if len(held) < len(bo.mapped_in):
                return 0
            bo.swap = zlib.compress(bo.pages().buffer[:], 1)
            for vm in held:
                vm.hide(bo)
            bo.drop_pages()
            return bo.size // PAGE
        finally:
            for vm in held:
                vm.op_lock.unlock()
