"""mempool: a few elements kept back, so that one request at a time can always go on (mm/mempool.c, 7.2).

The promise holds only where elements come back without anybody having to allocate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ring3.kernel.core import Kernel
from ring3.kernel.wait import WaitQueue
from ring3.mm import gfp as G

Element = TypeVar("Element")


class Mempool(Generic[Element]):
    """``min_nr`` elements from ``alloc(gfp)``, which may return None; ``free`` destroys one."""

    def __init__(
        self,
        kernel: Kernel,
        name: str,
        min_nr: int,
        alloc: Callable[[int], Element | None],
        free: Callable[[Element], None],
    ) -> None:
        self.kernel = kernel
        self.name = name
        self.min_nr = min_nr
        self._alloc = alloc
        self._free = free
        self.elements: list[Element] = []
        self.wait = WaitQueue(kernel, f"mempool {name}")

    def fill(self, gfp: int = G.GFP_KERNEL) -> bool:
        """Bring it up to ``min_nr``; False when memory was short."""
        while len(self.elements) < self.min_nr:
            element = self._alloc(gfp)
            if element is None:
                return False
            self.elements.append(element)
        return True

    def alloc(self, gfp: int) -> Element | None:
        """An element: first without effort, then from the pool, then with all that ``gfp`` allows.

        With DIRECT_RECLAIM it sleeps until an element comes back and never fails.
        """
        gfp |= G.NOMEMALLOC | G.NORETRY | G.NOWARN
        attempt = gfp & ~(G.DIRECT_RECLAIM | G.IO)
        while True:
            element = self._alloc(attempt)
            if element is not None:
                return element
            self.kernel.point("mempool_alloc", self.wait, self.wait.key | 1)
            if self.elements:
                return self.elements.pop()
            if attempt != gfp:
                attempt = gfp
                continue
            if not gfp & G.DIRECT_RECLAIM:
                return None
            self.wait.wait_event(lambda: bool(self.elements), exclusive=True)

    def free(self, element: Element) -> None:
        """Refill the pool first."""
        self.kernel.point("mempool_free", self.wait, self.wait.key | 1)
        if len(self.elements) < self.min_nr:
            self.elements.append(element)
            if self.wait.waiters:
                self.wait.wake_up()
        else:
            self._free(element)
