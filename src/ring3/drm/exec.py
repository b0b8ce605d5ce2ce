"""Locking many objects' reservations at once, in any order, without deadlock.

Semantics of drivers/gpu/drm/drm_exec.c (7.2).  The body is run again whenever a lock has to be given up
for an older locker::

    with Exec(fences) as exec_:
        for obj in exec_.until_all_locked(lambda: [exec_.prepare(obj, 1) for obj in objects]):
            ...
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EALREADY, EDEADLK
from types import TracebackType
from typing import TypeVar

from ring3.dma_buf.fence import Fences
from ring3.dma_buf.file import refuse
from ring3.dma_buf.resv import DmaResv, reservation_ww_class
from ring3.drm.gem import GemObject
from ring3.kernel import ERESTARTSYS, State, WwAcquireCtx

Result = TypeVar("Result")


class Contended(Exception):
    """A lock is held by somebody older: everything is dropped and the body starts again."""


class Exec:
    """A locking context, for one task, used once.

    ``objects`` are those locked, in order.  With ``ignore_duplicates`` locking one twice does nothing;
    otherwise it is OSError(EALREADY).
    """

    def __init__(
        self, fences: Fences, *, interruptible: bool = False, ignore_duplicates: bool = False
    ) -> None:
        self.fences = fences
        self.state = State.INTERRUPTIBLE if interruptible else State.UNINTERRUPTIBLE
        self.ignore_duplicates = ignore_duplicates
        self.objects: list[GemObject] = []
        self._ticket: WwAcquireCtx | None = None
        self._contended: DmaResv | None = None
        self._prelocked: DmaResv | None = None

    def __enter__(self) -> Exec:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._unlock_all()
        if self._ticket is not None:
            self._ticket.fini()

    def until_all_locked(self, body: Callable[[], Result]) -> Result:
        """Run ``body``, which locks what it needs, until it gets through without contention."""
        self._ticket = WwAcquireCtx(reservation_ww_class(self.fences.kernel))
        while True:
            try:
                if self._contended is not None:
                    resv, self._contended = self._contended, None
                    self._lock(resv)
                    self._prelocked = resv
                result = body()
            except Contended:
                self._unlock_all()
                continue
            self._drop_prelocked()
            self._ticket.done()
            return result

    def lock(self, obj: GemObject) -> None:
        """Lock ``obj``'s reservation."""
        if self._prelocked is not None and self._prelocked is obj.resv:
            self._prelocked = None
        elif not self._lock(obj.resv):
            return
        self.objects.append(obj)

    def unlock(self, obj: GemObject) -> None:
        """Give one lock back early."""
        self.objects.remove(obj)
        obj.resv.lock.unlock()

    def prepare(self, obj: GemObject, count: int) -> None:
        """Lock ``obj`` and reserve ``count`` fence slots."""
        self.lock(obj)
        if count:
            obj.resv.reserve_fences(count)

    def prepare_array(self, objects: list[GemObject], count: int) -> None:
        """:meth:`prepare` each."""
        for obj in objects:
            self.prepare(obj, count)

    def _lock(self, resv: DmaResv) -> bool:
        """False for a duplicate that is ignored."""
        self.fences.resv_locking()
        error = resv.lock.lock(self._ticket, self.state)
        if error == -EDEADLK:
            self._contended = resv
            raise Contended
        if error == -EALREADY:
            if self.ignore_duplicates:
                return False
            raise refuse(EALREADY, "the object is locked twice")
        if error:
            raise refuse(ERESTARTSYS, "a signal interrupted the locking")
        return True

    def _drop_prelocked(self) -> None:
        if self._prelocked is not None:
            self._prelocked.lock.unlock()
            self._prelocked = None

    def _unlock_all(self) -> None:
        for obj in reversed(self.objects):
            obj.resv.lock.unlock()
        self.objects.clear()
        self._drop_prelocked()
