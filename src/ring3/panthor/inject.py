"""Faults to order: what goes wrong in hardware or firmware, made to go wrong when wanted."""

from __future__ import annotations

from collections import Counter

#: name -> what it does
FAULTS = {
    "mmu_fault": "the next job is translated through an address space that is not there",
    "hang": "the next job never ends; the clock has to notice",
    "tiler_oom": "the next request of the tiler for a heap chunk is refused",
    "bind": "the next asynchronous VM_BIND operation fails when it is executed",
    "firmware": "the firmware answers no request; only a reset helps",
}


class Injection:
    """How many times each fault is still to happen; :meth:`arm` orders, the driver takes."""

    def __init__(self) -> None:
        self._left: Counter[str] = Counter()
        self.taken: list[str] = []

    def arm(self, fault: str, times: int = 1) -> None:
        """Let ``fault`` (one of :data:`FAULTS`) happen the next ``times`` times it can."""
        if fault not in FAULTS:
            raise KeyError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
        self._left[fault] += times

    def take(self, fault: str) -> bool:
        """Whether it happens now."""
        if not self._left[fault]:
            return False
        self._left[fault] -= 1
        self.taken.append(fault)
        return True
