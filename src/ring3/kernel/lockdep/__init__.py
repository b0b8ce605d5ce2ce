"""The lock validator.  This file is its interface to locks; the rules come next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel
    from ring3.kernel.task import Task


class LockMap:
    """A lock as lockdep sees it (struct lockdep_map)."""

    def acquire(
        self, *, subclass: int = 0, read: int = 0, trylock: bool = False, nest: Any = None
    ) -> None:
        """lock_acquire: ``read`` 0 exclusive, 1 shared, 2 shared and recursive."""

    def release(self) -> None:
        """lock_release."""

    def downgrade(self) -> None:
        """lock_downgrade: from exclusive to shared."""


class Lockdep:
    """The validator of one kernel: ``kernel.lockdep``."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def new_map(self, lock: Any) -> LockMap:
        """The map of ``lock``, whose class is ``lock.lock_class``."""
        return LockMap()

    def named_map(self, name: str) -> LockMap:
        """A map that belongs to no lock: fs_reclaim, dma_fence, a workqueue."""
        return LockMap()

    def hardirqs_on(self) -> None: ...

    def hardirqs_off(self) -> None: ...

    def softirqs_on(self) -> None: ...

    def softirqs_off(self) -> None: ...

    def irq_enter(self, task: Task, hard: bool) -> None: ...

    def irq_exit(self, task: Task, hard: bool) -> None: ...
