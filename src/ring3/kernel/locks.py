"""Locks of one owner: spinlock, mutex, semaphore.

A contended lock is handed over in order of arrival: who unlocks makes the first waiter the owner.  No order
of acquisition is lost to exploration by that (any waiter could as well have arrived later), and an
unlock then commutes with every attempt to lock, which partial-order reduction exploits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ring3.kernel.core import STATE, WRITE
from ring3.kernel.task import (
    IRQS_OFF,
    PREEMPT_OFFSET,
    SOFTIRQ_DISABLE_OFFSET,
    State,
    Task,
)
from ring3.kernel.wait import EINTR

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel
    from ring3.kernel.lockdep import LockMap

# Wait types (LD_WAIT_*, include/linux/lockdep_types.h): how a lock waits, and what a context can bear.
WAIT_INV, WAIT_FREE, WAIT_SPIN, WAIT_CONFIG, WAIT_SLEEP, WAIT_MAX = range(6)


class Lock:
    """What every lock has: a name (its lockdep class, unless ``lock_class`` names another) and a key."""

    __slots__ = ("kernel", "key", "lock_class", "map", "name")
    what = "lock"
    wait_inner = WAIT_SLEEP  # how it waits, for lockdep
    per_cpu = False

    def __init__(self, kernel: Kernel, name: str, *, lock_class: str | None = None) -> None:
        self.kernel = kernel
        self.name = name
        self.lock_class = lock_class or name
        kernel._keys += 4
        self.key = kernel._keys
        self.map: LockMap | None = None
        if kernel.lockdep is not None:
            self.map = kernel.lockdep.new_map(self)

    def destroy(self) -> None:
        """The memory of this lock is about to be freed or initialised again: nobody may hold it."""
        if self.map is not None:
            self.map.lockdep.destroyed(self.map)

    def __repr__(self) -> str:
        return f"{self.what} {self.name}"


class Spinlock(Lock):
    """spinlock_t."""

    __slots__ = ("owner", "released", "waiters")
    what = "spinlock"
    wait_inner = WAIT_CONFIG

    def __init__(self, kernel: Kernel, name: str, *, lock_class: str | None = None) -> None:
        super().__init__(kernel, name, lock_class=lock_class)
        self.owner: Task | None = None
        self.released = -1  # the step of the latest unlock, which what follows a lock comes after
        self.waiters: list[Task] = []

    def lock(self, subclass: int = 0, nest: Lock | None = None) -> None:
        """spin_lock, or spin_lock_nested / _nest_lock."""
        kernel = self.kernel
        kernel.point("spin_lock", self, self.key | WRITE)
        task = kernel.current
        task.preempt_count += PREEMPT_OFFSET
        if self.map is not None:
            self.map.acquire(subclass=subclass, nest=nest)
        if self.owner is None:
            self.owner = task
            task.woken_step = self.released
        else:
            self.waiters.append(task)
            kernel.block(self)

    def trylock(self) -> bool:
        """spin_trylock."""
        kernel = self.kernel
        kernel.point("spin_trylock", self, self.key | WRITE)
        kernel.touch(self.key | STATE | WRITE)
        if self.owner is not None:
            return False
        task = kernel.current
        task.woken_step = self.released
        task.preempt_count += PREEMPT_OFFSET
        self.owner = task
        if self.map is not None:
            self.map.acquire(trylock=True)
        return True

    def unlock(self) -> None:
        """spin_unlock."""
        kernel = self.kernel
        kernel.point("spin_unlock", self, self.key | STATE)
        task = kernel.current
        if self.map is not None:
            self.map.release()
        if self.owner is not task:
            kernel.bug(f"{task} unlocks {self!r}, which {self.owner} holds")
        if self.waiters:
            self.owner = self.waiters.pop(0)
            kernel.wake(self.owner)
        else:
            self.owner = None
            self.released = kernel.step
        task.preempt_count -= PREEMPT_OFFSET

    def is_locked(self) -> bool:
        self.kernel.point("spin_is_locked", self, self.key)
        self.kernel.touch(self.key | STATE | WRITE)
        return self.owner is not None

    def lock_irqsave(self, subclass: int = 0) -> bool:
        """spin_lock_irqsave: the flags to hand to :meth:`unlock_irqrestore`."""
        flags = local_irq_save(self.kernel)
        self.lock(subclass)
        return flags

    def unlock_irqrestore(self, flags: bool) -> None:
        """spin_unlock_irqrestore."""
        self.unlock()
        local_irq_restore(self.kernel, flags)

    def lock_bh(self, subclass: int = 0) -> None:
        local_bh_disable(self.kernel)
        self.lock(subclass)

    def unlock_bh(self) -> None:
        self.unlock()
        local_bh_enable(self.kernel)

    @contextmanager
    def irqsave(self) -> Iterator[None]:
        """``with lock.irqsave():``"""
        flags = self.lock_irqsave()
        try:
            yield
        finally:
            self.unlock_irqrestore(flags)

    @contextmanager
    def bh(self) -> Iterator[None]:
        """``with lock.bh():``"""
        self.lock_bh()
        try:
            yield
        finally:
            self.unlock_bh()

    def __enter__(self) -> None:
        self.lock()

    def __exit__(self, *_: object) -> None:
        self.unlock()


class RawSpinlock(Spinlock):
    """raw_spinlock_t: spins under PREEMPT_RT too, so that only its like may be taken inside."""

    __slots__ = ()
    what = "raw_spinlock"
    wait_inner = WAIT_SPIN


class LocalLock(Lock):
    """local_lock_t: without PREEMPT_RT a name for having preemption off, known to lockdep."""

    __slots__ = ()
    what = "local_lock"
    wait_inner = WAIT_CONFIG
    per_cpu = True

    def lock(self) -> None:
        self.kernel.preempt_disable()
        if self.map is not None:
            self.map.acquire()

    def unlock(self) -> None:
        if self.map is not None:
            self.map.release()
        self.kernel.preempt_enable()

    def __enter__(self) -> None:
        self.lock()

    def __exit__(self, *_: object) -> None:
        self.unlock()


class Mutex(Lock):
    """struct mutex."""

    __slots__ = ("owner", "released", "waiters")
    what = "mutex"

    def __init__(self, kernel: Kernel, name: str, *, lock_class: str | None = None) -> None:
        super().__init__(kernel, name, lock_class=lock_class)
        self.owner: Task | None = None
        self.released = -1  # the step of the latest unlock, which what follows a lock comes after
        self.waiters: list[Task] = []

    def lock(self, subclass: int = 0, nest: Lock | None = None) -> None:
        """mutex_lock, or mutex_lock_nested / _nest_lock."""
        kernel = self.kernel
        kernel.point("mutex_lock", self, self.key | WRITE)
        task = kernel.current
        if self.map is not None:
            self.map.acquire(subclass=subclass, nest=nest)
        if task.preempt_count:
            kernel.sleep_in_atomic("mutex_lock")
        if self.owner is None:
            self.owner = task
            task.woken_step = self.released
        else:
            self.waiters.append(task)
            kernel.block(self)

    def lock_interruptible(self, subclass: int = 0, state: State = State.INTERRUPTIBLE) -> int:
        """mutex_lock_interruptible (or, by ``state``, _killable): 0 or -EINTR."""
        kernel = self.kernel
        kernel.point("mutex_lock_interruptible", self, self.key | WRITE)
        task = kernel.current
        if self.map is not None:
            self.map.acquire(subclass=subclass)
        if task.preempt_count:
            kernel.sleep_in_atomic("mutex_lock_interruptible")
        # A signal ends the wait, so that it matters whether it or an unlock comes first.
        kernel.touch(task.key)
        kernel.touch(self.key | STATE | WRITE)
        if self.owner is None:
            self.owner = task
            task.woken_step = self.released
            return 0
        if not task.signal_pending:
            self.waiters.append(task)
            kernel.block(self, state)
            if self.owner is task:
                return 0
            kernel.touch(self.key | WRITE)
            kernel.touch(self.key | STATE | WRITE)
            self.waiters.remove(task)
        if self.map is not None:
            self.map.release()
        return -EINTR

    def trylock(self) -> bool:
        """mutex_trylock: whether it was free."""
        kernel = self.kernel
        kernel.point("mutex_trylock", self, self.key | WRITE)
        kernel.touch(self.key | STATE | WRITE)
        if self.owner is not None:
            return False
        self.owner = kernel.current
        self.owner.woken_step = self.released
        if self.map is not None:
            self.map.acquire(trylock=True)
        return True

    def unlock(self) -> None:
        """mutex_unlock."""
        kernel = self.kernel
        kernel.point("mutex_unlock", self, self.key | STATE)
        if self.map is not None:
            self.map.release()
        if self.owner is not kernel.current:
            kernel.bug(f"{kernel.current} unlocks {self!r}, which {self.owner} holds")
        if self.waiters:
            self.owner = self.waiters.pop(0)
            kernel.wake(self.owner)
        else:
            self.owner = None
            self.released = kernel.step

    def is_locked(self) -> bool:
        self.kernel.point("mutex_is_locked", self, self.key)
        self.kernel.touch(self.key | STATE | WRITE)
        return self.owner is not None

    def __enter__(self) -> None:
        self.lock()

    def __exit__(self, *_: object) -> None:
        self.unlock()


class RtMutex(Mutex):
    """struct rt_mutex.  Priorities are not modelled, so it is a mutex of another name."""

    __slots__ = ()
    what = "rt_mutex"


class Semaphore(Lock):
    """struct semaphore: a count; lockdep does not follow it, as anyone may up() it.

    The nth down is let through by the nth up (not counting what was there at first), however many came
    later: what follows a down comes after that up only, and exploration tries the rest in other orders.
    """

    __slots__ = ("count", "ups", "waiters")
    what = "semaphore"

    def __init__(self, kernel: Kernel, name: str, count: int = 1) -> None:
        super().__init__(kernel, name)
        self.map = None
        self.count = count
        self.ups: deque[int] = deque()  # the steps of those that no down has used yet
        self.waiters: list[Task] = []

    def down(self) -> None:
        kernel = self.kernel
        kernel.point("down", self, self.key | WRITE)
        if kernel.current.preempt_count:
            kernel.sleep_in_atomic("down")
        if self.count > 0:
            self._take()
        else:
            self.waiters.append(kernel.current)
            kernel.block(self)

    def down_trylock(self) -> bool:
        """Whether it was taken (the kernel's function returns the opposite)."""
        kernel = self.kernel
        kernel.point("down_trylock", self, self.key | WRITE)
        kernel.touch(self.key | STATE | WRITE)
        if self.count <= 0:
            return False
        self._take()
        return True

    def _take(self) -> None:
        # What the semaphore began with goes first.
        initial = self.count > len(self.ups)
        self.count -= 1
        self.kernel.current.woken_step = -1 if initial else self.ups.popleft()

    def up(self) -> None:
        kernel = self.kernel
        kernel.point("up", self, self.key | STATE | WRITE)
        if self.waiters:
            kernel.wake(self.waiters.pop(0))
        else:
            self.count += 1
            self.ups.append(kernel.step)


# Interrupts and softirqs of the CPU that the running task is on.


def local_irq_disable(kernel: Kernel) -> None:
    """Interrupts off for the running task's CPU."""
    kernel.current.preempt_count |= IRQS_OFF


def local_irq_enable(kernel: Kernel) -> None:
    """Interrupts on; those that waited are served now."""
    task = kernel.current
    if kernel.lockdep is not None:
        kernel.lockdep.hardirqs_on()
    task.preempt_count &= ~IRQS_OFF
    if task.irq_queue:
        kernel.run_interrupts(task)


def local_irq_save(kernel: Kernel) -> bool:
    """Interrupts off; whether they were off already."""
    flags = kernel.current.preempt_count & IRQS_OFF != 0
    if not flags:
        local_irq_disable(kernel)
    return flags


def local_irq_restore(kernel: Kernel, flags: bool) -> None:
    """Back to what :func:`local_irq_save` found."""
    if not flags:
        local_irq_enable(kernel)


def local_bh_disable(kernel: Kernel) -> None:
    """Softirqs off."""
    kernel.current.preempt_count += SOFTIRQ_DISABLE_OFFSET


def local_bh_enable(kernel: Kernel) -> None:
    """Softirqs on again; those that waited are served now."""
    task = kernel.current
    task.preempt_count -= SOFTIRQ_DISABLE_OFFSET
    if kernel.lockdep is not None:
        kernel.lockdep.softirqs_on()
    if task.irq_queue:
        kernel.run_interrupts(task)
