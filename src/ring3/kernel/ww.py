"""ww_mutex: locks taken in any order under an acquire context (kernel/locking/ww_mutex.h, 7.2).

Contexts are stamped in order of creation; a smaller stamp is older. In a wound-wait class an older
context that meets a younger owner wounds it: the owner gets -EDEADLK at its next contended lock. In
a wait-die class a younger context that would wait for an older one gets -EDEADLK itself. Who gets
it drops all its locks, takes the contended one with ``lock_slow``, and starts again; doing anything
else is reported (CONFIG_DEBUG_WW_MUTEXES).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ring3.kernel.core import STATE, WRITE
from ring3.kernel.locks import WAIT_SLEEP, Mutex
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
    """struct ww_acquire_ctx: made (ww_acquire_init), used by one task, then ``fini()``.

    ``contending`` is the lock at which the context was told to back off.
    """

    __slots__ = (
        "acquired",
        "contending",
        "done_acquiring",
        "map",
        "stamp",
        "task",
        "wounded",
        "ww_class",
    )

    def __init__(self, ww_class: WwClass) -> None:
        ww_class.stamps += 1
        self.ww_class = ww_class
        self.stamp = ww_class.stamps
        self.task = ww_class.kernel.current
        self.acquired = 0
        self.wounded = False
        self.done_acquiring = False
        self.contending: WwMutex | None = None
        self.map: LockMap | None = None
        lockdep = ww_class.kernel.lockdep
        if lockdep is not None:
            self.map = lockdep.named_map(f"{ww_class.name}_acquire", wait_inner=WAIT_SLEEP)
            self.map.acquire()

    def done(self) -> None:
        """ww_acquire_done: no further lock will be taken under this context."""
        _demand(self.ww_class.kernel, not self.done_acquiring, "ww_acquire_done twice")
        self.done_acquiring = True

    def fini(self) -> None:
        """ww_acquire_fini: after the last unlock."""
        if self.map is not None:
            self.map.release()
        _demand(self.ww_class.kernel, not self.acquired, "ww_acquire_fini with locks still held")

    def __enter__(self) -> WwAcquireCtx:
        return self

    def __exit__(self, *_: object) -> None:
        self.fini()


class WwMutex:
    """struct ww_mutex: ``base`` is the mutex in it.  Without a context it is no more than that."""

    __slots__ = ("base", "contexts", "ctx", "kernel", "key", "map", "name", "waiters", "ww_class")

    def __init__(self, kernel: Kernel, name: str, ww_class: WwClass) -> None:
        self.kernel = kernel
        self.name = name
        self.ww_class = ww_class
        self.base = Mutex(kernel, name, lock_class=f"{ww_class.name}_mutex")
        self.key = self.base.key
        self.map = self.base.map
        self.waiters = self.base.waiters
        self.ctx: WwAcquireCtx | None = None
        self.contexts: dict[Task, WwAcquireCtx] = {}  # of the waiters that have one

    def lock(self, ctx: WwAcquireCtx | None = None, state: State = State.UNINTERRUPTIBLE) -> int:
        """ww_mutex_lock (by ``state``, _interruptible): 0, -EALREADY, -EDEADLK, or -EINTR."""
        kernel = self.kernel
        kernel.point("ww_mutex_lock", self, self.key | WRITE)
        kernel.touch(self.key | STATE | WRITE)
        task = kernel.current
        if ctx is not None:
            if self.base.owner is not None and self.ctx is ctx:
                return -EALREADY
            if ctx.acquired == 0:
                ctx.wounded = False
        if self.map is not None:
            self.map.acquire(nest=ctx)
        if task.preempt_count:
            kernel.sleep_in_atomic("ww_mutex_lock")
        if self.base.owner is None and not self.waiters:
            self.base.owner = task
        elif error := self._wait(task, ctx, state):
            if self.map is not None:
                self.map.release()
            return error
        if ctx is not None:
            self._acquired(ctx)
        return 0

    def lock_slow(self, ctx: WwAcquireCtx) -> None:
        """ww_mutex_lock_slow: after -EDEADLK and with no lock held, sleep until this one is free."""
        _demand(self.kernel, ctx.contending is not None, "ww_mutex_lock_slow without -EDEADLK")
        self.lock(ctx)

    def trylock(self, ctx: WwAcquireCtx | None = None) -> bool:
        """ww_mutex_trylock."""
        kernel = self.kernel
        kernel.point("ww_mutex_trylock", self, self.key | WRITE)
        kernel.touch(self.key | STATE | WRITE)
        if self.base.owner is not None:
            return False
        self.base.owner = kernel.current
        if self.map is not None:
            self.map.acquire(trylock=True, nest=ctx)
        if ctx is not None:
            self._acquired(ctx)
        return True

    def unlock(self) -> None:
        """ww_mutex_unlock: also takes the lock out of its context."""
        if self.ctx is not None:
            _demand(self.kernel, self.ctx.acquired > 0, "unlock of more locks than were taken")
            self.ctx.acquired -= 1
            self.ctx = None
        self.base.unlock()

    def is_locked(self) -> bool:
        """ww_mutex_is_locked."""
        return self.base.is_locked()

    @property
    def owner(self) -> Task | None:
        """Who holds it."""
        return self.base.owner

    def _acquired(self, ctx: WwAcquireCtx) -> None:
        kernel = self.kernel
        _demand(kernel, self.ctx is None, "the lock was free and had a context")
        _demand(kernel, not ctx.done_acquiring, "ww_mutex_lock after ww_acquire_done")
        _demand(kernel, ctx.ww_class is self.ww_class, "lock and context of different classes")
        if ctx.contending is not None:
            _demand(kernel, ctx.contending is self, "after -EDEADLK another lock was taken first")
            _demand(kernel, ctx.acquired == 0, "after -EDEADLK locks were still held")
            ctx.contending = None
        ctx.acquired += 1
        self.ctx = ctx
        self._wound()

    def _wait(self, task: Task, ctx: WwAcquireCtx | None, state: State) -> int:
        """Sleep until the lock is handed to us; -EDEADLK when the context must back off."""
        if ctx is not None:
            if self.ww_class.wait_die and self._backs_off(ctx):
                return self._kill(ctx)
            self.contexts[task] = ctx
        self.waiters.insert(self._place(ctx), task)
        self._wound()
        while self.base.owner is not task:
            error = 0
            if ctx is not None and self._backs_off(ctx):
                error = self._kill(ctx)
            elif state is not State.UNINTERRUPTIBLE and task.signal_pending:
                error = -EINTR
            if error:
                self.waiters.remove(task)
                self.contexts.pop(task, None)
                return error
            self.kernel.block(self, state)
        self.contexts.pop(task, None)
        return 0

    def _kill(self, ctx: WwAcquireCtx) -> int:
        _demand(self.kernel, ctx.contending is None, "-EDEADLK again before any lock was dropped")
        ctx.contending = self
        return -EDEADLK

    def _place(self, ctx: WwAcquireCtx | None) -> int:
        """Waiters with a context stand in order of age; those without one where they came."""
        if ctx is not None:
            for place, task in enumerate(self.waiters):
                other = self.contexts.get(task)
                if other is not None and other.stamp > ctx.stamp:
                    return place
        return len(self.waiters)

    def _backs_off(self, ctx: WwAcquireCtx) -> bool:
        if ctx.acquired == 0:
            return False
        if not self.ww_class.wait_die:
            return ctx.wounded
        older_owner = self.ctx is not None and self.ctx.stamp < ctx.stamp
        return older_owner or any(other.stamp < ctx.stamp for other in self.contexts.values())

    def _wound(self) -> None:
        """The younger give way: the owner in a wound-wait class, waiters with locks in a wait-die one."""
        if self.ctx is None:
            return
        for task, other in self.contexts.items():
            if self.ww_class.wait_die:
                if other.stamp > self.ctx.stamp and other.acquired:
                    self.kernel.wake(task)
            elif other.stamp < self.ctx.stamp and self.ctx.acquired:
                self.ctx.wounded = True
                if isinstance(self.ctx.task.waiting_on, WwMutex):
                    self.kernel.wake(self.ctx.task)
                return

    def __repr__(self) -> str:
        return f"ww_mutex {self.name}"


def _demand(kernel: Kernel, true: bool, otherwise: str) -> None:
    """A debugging check of the ww_mutex rules: lockdep's report, or a BUG where it is off."""
    if true:
        return
    if kernel.lockdep is not None:
        kernel.lockdep.warn_on(otherwise)
    else:
        kernel.bug(otherwise)
