"""GPU address spaces: mappings, and what a map or unmap request does to the ones that are there.

The split-and-merge rules are those of "DOC: Split and Merge" in drivers/gpu/drm/drm_gpuvm.c (7.2): a
request becomes unmaps, at most two remaps and one map.  ``keep`` on an unmap says that the old pages are
physically the ones that the request asks for, so that their page table entries may stay.

Computing the operations (:meth:`GpuVm.sm_map`, :meth:`GpuVm.sm_unmap`) changes nothing; a driver
allocates what they need, and applies them later with :meth:`GpuVm.apply`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EINVAL

from ring3.dma_buf.file import refuse
from ring3.drm.gem import GemObject


@dataclass(frozen=True, eq=False)
class GpuVa:
    """A mapping of ``size`` bytes at ``addr`` to ``obj`` from byte ``offset`` on.

    ``obj`` is None where the mapping is backed by nothing (sparse); ``flags`` are the driver's.
    """

    addr: int
    size: int
    obj: GemObject | None
    offset: int
    flags: int = 0

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.addr + self.size


@dataclass(frozen=True)
class Map:
    """Map ``va``."""

    va: GpuVa


@dataclass(frozen=True)
class Unmap:
    """Unmap ``va``; with ``keep`` the request maps the same pages there again."""

    va: GpuVa
    keep: bool


@dataclass(frozen=True)
class Remap:
    """Unmap the middle of a mapping: ``prev`` and ``next`` are what stays of it on either side."""

    prev: GpuVa | None
    next: GpuVa | None
    unmap: Unmap

    @property
    def hole(self) -> tuple[int, int]:
        """(start, end) of what is no longer mapped by the old mapping."""
        old = self.unmap.va
        start = self.prev.end if self.prev else old.addr
        return start, self.next.addr if self.next else old.end


Op = Map | Unmap | Remap


class GpuVm:
    """The mappings of one address space ``[start, start + size)``, sorted by address, never overlapping."""

    def __init__(self, start: int, size: int) -> None:
        self.start = start
        self.end = start + size
        self._addrs: list[int] = []
        self._vas: list[GpuVa] = []

    def __iter__(self) -> Iterator[GpuVa]:
        return iter(self._vas)

    def __len__(self) -> int:
        return len(self._vas)

    def check_range(self, addr: int, size: int) -> None:
        """EINVAL unless ``[addr, addr + size)`` is not empty and lies inside the space."""
        if size == 0 or addr + size > 1 << 64:
            raise refuse(EINVAL, f"the range {addr:#x}+{size:#x} is empty or overflows")
        if addr < self.start or addr + size > self.end:
            raise refuse(
                EINVAL,
                f"{addr:#x}+{size:#x} lies outside the space {self.start:#x}..{self.end:#x}",
            )

    def overlapping(self, addr: int, size: int) -> list[GpuVa]:
        """The mappings that share a byte with ``[addr, addr + size)``, in order."""
        first = bisect_right(self._addrs, addr) - 1
        if first < 0 or self._vas[first].end <= addr:
            first += 1
        return self._vas[first : bisect_left(self._addrs, addr + size)]

    def find(self, addr: int) -> GpuVa | None:
        """The mapping of the byte at ``addr``, or None."""
        found = self.overlapping(addr, 1)
        return found[0] if found else None

    def sm_map(self, request: GpuVa) -> list[Op]:
        """The operations that make room for ``request`` and map it."""
        self.check_range(request.addr, request.size)
        return [*self._clear(request.addr, request.size, request), Map(request)]

    def sm_unmap(self, addr: int, size: int) -> list[Op]:
        """The operations after which nothing is mapped in the range."""
        self.check_range(addr, size)
        return self._clear(addr, size, None)

    def _clear(self, addr: int, size: int, request: GpuVa | None) -> list[Op]:
        end = addr + size
        ops: list[Op] = []
        for va in self.overlapping(addr, size):
            keep = (
                request is not None
                and va.obj is request.obj
                and va.offset - va.addr == request.offset - request.addr
            )
            prev = following = None
            if va.addr < addr:
                prev = GpuVa(va.addr, addr - va.addr, va.obj, va.offset, va.flags)
            if va.end > end:
                following = GpuVa(end, va.end - end, va.obj, va.offset + end - va.addr, va.flags)
            unmap = Unmap(va, keep)
            ops.append(Remap(prev, following, unmap) if prev or following else unmap)
        return ops

    def apply(self, op: Op) -> None:
        """Bring the mappings in line with one operation."""
        if isinstance(op, Map):
            self.insert(op.va)
        elif isinstance(op, Unmap):
            self.remove(op.va)
        else:
            self.remove(op.unmap.va)
            for part in (op.prev, op.next):
                if part is not None:
                    self.insert(part)

    def insert(self, va: GpuVa) -> None:
        """Add a mapping; the place must be free."""
        assert not self.overlapping(va.addr, va.size), "mappings never overlap"
        at = bisect_left(self._addrs, va.addr)
        self._addrs.insert(at, va.addr)
        self._vas.insert(at, va)

    def remove(self, va: GpuVa) -> None:
        """Drop a mapping that is there."""
        at = bisect_left(self._addrs, va.addr)
        assert self._vas[at] is va, "the mapping is not in this space"
        del self._addrs[at], self._vas[at]
