"""ww_mutex: locks taken in any order under an acquire context (kernel/locking/ww_mutex.h).

Contexts are stamped in order of creation; a smaller stamp is older.  In a wound-wait class an older context
that meets a younger owner wounds it: the owner gets -EDEADLK at its next contended lock.  In a
wait-die class a younger context that would wait for an older one gets -EDEADLK itself.  Who gets it drops
all its locks, takes the contended one with ``lock_slow``, and starts again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ring3.kernel.core import STATE, WRITE
from ring3.kernel.locks import Lock
from ring3.kernel.task import State, Task
from ring3.kernel.wait import EINTR

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel
    from ring3.kernel.lockdep import LockMap

EDEADLK = 35
EALREADY = 114


class WwClass:
    """DEFINE_WW_CLASS (wound-wait) or, with ``wait_die``, DEFINE_WD_CLASS."""

    __slots__ = ("kernel", "name", "stamps", "wait_die")

    def __init__(self, kernel: Kernel, name: str, *, wait_die: bool = False) -> None:
        self.kernel = kernel
        self.name = name
        self.wait_die = wait_die
        self.stamps = 0


class WwAcquireCtx:
    """struct ww_acquire_ctx: made (ww_acquire_init), used by one task, then ``fini()``."""

    __slots__ = ("acquired", "done_acquiring", "map", "stamp", "task", "wounded", "ww_class")

    def __init__(self, ww_class: WwClass) -> None:
        ww_class.stamps += 1
        self.ww_class = ww_class
        self.stamp = ww_class.stamps
        self.task = ww_class.kernel.current
        self.acquired = 0
        self.wounded = False
        self.done_acquiring = False
        self.map: LockMap | None = None
        lockdep = ww_class.kernel.lockdep
        if lockdep is not None:
            self.map = lockdep.named_map(f"{ww_class.name}_acquire")
            self.map.acquire()

    def done(self) -> None:
        """ww_acquire_done: no further lock will be taken under this context."""
        self.done_acquiring = True

    def fini(self) -> None:
        """ww_acquire_fini: after the last unlock."""
        kernel = self.ww_class.kernel
        if self.map is not None:
            self.map.release()
        if self.acquired:
            kernel.bug(f"ww_acquire_fini with {self.acquired} locks still held")

    def __enter__(self) -> WwAcquireCtx:
        return self

    def __exit__(self, *_: object) -> None:
        self.fini()


class WwMutex(Lock):
    """struct ww_mutex.  Without a context it is a plain mutex."""

    __slots__ = ("ctx", "owner", "waiters", "ww_class")
    what = "ww_mutex"

    def __init__(self, kernel: Kernel, name: str, ww_class: WwClass) -> None:
        self.ww_class = ww_class
        super().__init__(kernel, name, lock_class=f"{ww_class.name}_mutex")
        self.owner: Task | None = None
        self.ctx: WwAcquireCtx | None = None
        self.waiters: list[tuple[Task, WwAcquireCtx | None]] = []

    def lock(self, ctx: WwAcquireCtx | None = None, state: State = State.UNINTERRUPTIBLE) -> int:
        """ww_mutex_lock (by ``state``, _interruptible): 0, -EALREADY, -EDEADLK, or -EINTR."""
        kernel = self.kernel
        kernel.point("ww_mutex_lock", self, self.key | WRITE)
        kernel.touch(self.key | STATE)
        task = kernel.current
        if task.preempt_count:
            kernel.sleep_in_atomic("ww_mutex_lock")
        if ctx is not None:
            if ctx.done_acquiring:
                kernel.bug("ww_mutex_lock after ww_acquire_done")
            if self.owner is task and self.ctx is ctx:
                return -EALREADY
            if ctx.acquired == 0:
                ctx.wounded = False
        if self.map is not None:
            self.map.acquire(nest=None if ctx is None else ctx)
        error = 0 if self.owner is None else self._wait(task, ctx, state)
        if error:
            if self.map is not None:
                self.map.release()
            return error
        self.owner, self.ctx = task, ctx
        if ctx is not None:
            ctx.acquired += 1
        self._wound()
        return 0

    def lock_slow(self, ctx: WwAcquireCtx) -> None:
        """ww_mutex_lock_slow: after -EDEADLK and with no lock held, sleep until this one is free."""
        if ctx.acquired:
            self.kernel.bug("ww_mutex_lock_slow with locks still held")
        self.lock(ctx)

    def trylock(self, ctx: WwAcquireCtx | None = None) -> bool:
        kernel = self.kernel
        kernel.point("ww_mutex_trylock", self, self.key | WRITE)
        kernel.touch(self.key | STATE)
        if self.owner is not None:
            return False
        self.owner, self.ctx = kernel.current, ctx
        if ctx is not None:
            ctx.acquired += 1
        if self.map is not None:
            self.map.acquire(trylock=True, nest=ctx)
        return True

    def unlock(self) -> None:
        kernel = self.kernel
        kernel.point("ww_mutex_unlock", self, self.key | STATE | WRITE)
        if self.map is not None:
            self.map.release()
        if self.owner is not kernel.current:
            kernel.bug(f"{kernel.current} unlocks {self!r}, which {self.owner} holds")
        if self.ctx is not None:
            self.ctx.acquired -= 1
        self.owner = self.ctx = None
        if self.waiters:
            kernel.wake(self.waiters[0][0])

    def is_locked(self) -> bool:
        self.kernel.point("ww_mutex_is_locked", self, self.key)
        self.kernel.touch(self.key | STATE)
        return self.owner is not None

    def _wait(self, task: Task, ctx: WwAcquireCtx | None, state: State) -> int:
        """Sleep until the lock is free and we are first; -EDEADLK when the context must back off."""
        entry = (task, ctx)
        if ctx is not None and self._must_die(ctx):
            return -EDEADLK
        self.waiters.insert(self._place(ctx), entry)
        if ctx is not None and not self.ww_class.wait_die:
            self._wound()
        error = 0
        while self.owner is not None or self.waiters[0] is not entry:
            if ctx is not None and ctx.acquired and self._backs_off(ctx):
                error = -EDEADLK
            elif state is not State.UNINTERRUPTIBLE and task.signal_pending:
                error = -EINTR
            if error:
                break
            self.kernel.block(self, state)
        self.waiters.remove(entry)
        if error and self.owner is None and self.waiters:
            self.kernel.wake(self.waiters[0][0])
        return error

    def _place(self, ctx: WwAcquireCtx | None) -> int:
        """Waiters with a context stand in order of age; those without one where they came."""
        if ctx is not None:
            for place, (_, other) in enumerate(self.waiters):
                if other is not None and other.stamp > ctx.stamp:
                    return place
        return len(self.waiters)

    def _must_die(self, ctx: WwAcquireCtx) -> bool:
        return self.ww_class.wait_die and ctx.acquired > 0 and self._older_ahead(ctx)

    def _backs_off(self, ctx: WwAcquireCtx) -> bool:
        return self._older_ahead(ctx) if self.ww_class.wait_die else ctx.wounded

    def _older_ahead(self, ctx: WwAcquireCtx) -> bool:
        if self.ctx is not None and self.ctx.stamp < ctx.stamp:
            return True
        return any(other is not None and other.stamp < ctx.stamp for _, other in self.waiters)

    def _wound(self) -> None:
        """The younger give way: the owner in a wound-wait class, waiters with locks in a wait-die one."""
        if self.ctx is None:
            return
        for task, other in self.waiters:
            if other is None:
                continue
            if self.ww_class.wait_die:
                if other.stamp > self.ctx.stamp and other.acquired:
                    self.kernel.wake(task)
            elif other.stamp < self.ctx.stamp and self.ctx.acquired:
                self.ctx.wounded = True
                owner = self.ctx.task
                if isinstance(owner.waiting_on, WwMutex):
                    self.kernel.wake(owner)
                return
