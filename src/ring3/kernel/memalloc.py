"""The allocation scopes of a task (include/linux/sched/mm.h): what its allocations may not do meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from ring3.kernel.task import PF_MEMALLOC, PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel


def _save(kernel: Kernel, flag: int) -> int:
    task = kernel.current
    before = task.flags & flag
    task.flags |= flag
    return before


def _restore(kernel: Kernel, flag: int, before: int) -> None:
    task = kernel.current
    task.flags = task.flags & ~flag | before


@contextmanager
def _scope(kernel: Kernel, flag: int) -> Iterator[None]:
    before = _save(kernel, flag)
    try:
        yield
    finally:
        _restore(kernel, flag, before)


def memalloc_noio_save(kernel: Kernel) -> int:
    """Allocations of this task start no I/O; the flags to restore."""
    return _save(kernel, PF_MEMALLOC_NOIO)


def memalloc_noio_restore(kernel: Kernel, flags: int) -> None:
    _restore(kernel, PF_MEMALLOC_NOIO, flags)


def memalloc_nofs_save(kernel: Kernel) -> int:
    """Allocations of this task do not enter filesystems; the flags to restore."""
    return _save(kernel, PF_MEMALLOC_NOFS)


def memalloc_nofs_restore(kernel: Kernel, flags: int) -> None:
    _restore(kernel, PF_MEMALLOC_NOFS, flags)


def memalloc_noreclaim_save(kernel: Kernel) -> int:
    """This task reclaims memory: its allocations may use the reserves and never reclaim."""
    return _save(kernel, PF_MEMALLOC)


def memalloc_noreclaim_restore(kernel: Kernel, flags: int) -> None:
    _restore(kernel, PF_MEMALLOC, flags)


def memalloc_noio(kernel: Kernel) -> AbstractContextManager[None]:
    """``with memalloc_noio(kernel):``"""
    return _scope(kernel, PF_MEMALLOC_NOIO)


def memalloc_nofs(kernel: Kernel) -> AbstractContextManager[None]:
    """``with memalloc_nofs(kernel):``"""
    return _scope(kernel, PF_MEMALLOC_NOFS)


def memalloc_noreclaim(kernel: Kernel) -> AbstractContextManager[None]:
    """``with memalloc_noreclaim(kernel):``"""
    return _scope(kernel, PF_MEMALLOC)
