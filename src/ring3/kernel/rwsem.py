"""Locks with readers and writers: rw_semaphore, percpu_rw_semaphore, rwlock_t.

All are fair: a reader that arrives after a waiting writer waits behind it.  That is what makes a recursive
read a deadlock.  rwlock_t lets readers in interrupts pass, as the kernel's queued locks do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ring3.kernel.core import STATE, WRITE
from ring3.kernel.locks import WAIT_CONFIG, Lock
from ring3.kernel.task import HARDIRQ_MASK, PREEMPT_OFFSET, SOFTIRQ_MASK, Task

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel


class ReadersWriter(Lock):
    """Shared by the three: ``readers`` in order of arrival, one ``writer``, a queue of both."""

    __slots__ = ("queue", "read_released", "readers", "write_released", "writer")

    def __init__(self, kernel: Kernel, name: str, *, lock_class: str | None = None) -> None:
        super().__init__(kernel, name, lock_class=lock_class)
        self.readers: list[Task] = []
        self.writer: Task | None = None
        self.queue: list[tuple[Task, bool]] = []
        self.write_released = -1  # the step of the latest write unlock
        self.read_released: tuple[int, ...] = ()  # and of the read unlocks since

    def _read(self, task: Task, *, pass_waiters: bool = False) -> None:
        if self.writer is None and (pass_waiters or not self.queue):
            self._grant_to(task, False)
            return
        place = 0 if pass_waiters else len(self.queue)
        self.queue.insert(place, (task, False))
        self.kernel.block(self)

    def _write(self, task: Task) -> None:
        if self.writer is None and not self.readers and not self.queue:
            self._grant_to(task, True)
            return
        self.queue.append((task, True))
        self.kernel.block(self)

    def _release_read(self, task: Task) -> None:
        if task in self.readers:
            self.readers.remove(task)
        elif self.readers:
            self.readers.pop()  # up_read by another task than the one that came down is allowed
        else:
            self.kernel.bug(f"{task} read-unlocks {self!r}, which has no reader")
        self.read_released += (self.kernel.step,)
        self._grant()

    def _release_write(self, task: Task) -> None:
        if self.writer is None:
            self.kernel.bug(f"{task} write-unlocks {self!r}, which has no writer")
        self.writer = None
        self.write_released = self.kernel.step
        self.read_released = ()
        self._grant()

    def _grant_to(self, task: Task, writes: bool) -> None:
        if writes:
            self.writer = task
            task.woken_step = (self.write_released, *self.read_released)
        else:
            self.readers.append(task)
            task.woken_step = self.write_released

    def _grant(self) -> None:
        while self.queue and self.writer is None:
            task, writes = self.queue[0]
            if writes and self.readers:
                return
            self.queue.pop(0)
            self.kernel.wake(task)
            self._grant_to(task, writes)


class RwSem(ReadersWriter):
    """struct rw_semaphore."""

    __slots__ = ()
    what = "rwsem"

    def down_read(self, subclass: int = 0) -> None:
        kernel = self.kernel
        kernel.point("down_read", self, self.key)
        task = kernel.current
        if self.map is not None:
            self.map.acquire(subclass=subclass, read=1)
        if task.preempt_count:
            kernel.sleep_in_atomic("down_read")
        self._read(task)

    def down_read_trylock(self) -> bool:
        kernel = self.kernel
        kernel.point("down_read_trylock", self, self.key | WRITE)
        kernel.touch(self.key | STATE | WRITE)
        if self.writer is not None or self.queue:
            return False
        self._grant_to(kernel.current, False)
        if self.map is not None:
            self.map.acquire(read=1, trylock=True)
        return True

    def up_read(self) -> None:
        kernel = self.kernel
        kernel.point("up_read", self, self.key | STATE)
        if self.map is not None:
            self.map.release()
        self._release_read(kernel.current)

    def down_write(self, subclass: int = 0, nest: Lock | None = None) -> None:
        kernel = self.kernel
        kernel.point("down_write", self, self.key | WRITE)
        task = kernel.current
        if self.map is not None:
            self.map.acquire(subclass=subclass, nest=nest)
        if task.preempt_count:
            kernel.sleep_in_atomic("down_write")
        self._write(task)

    def down_write_trylock(self) -> bool:
        kernel = self.kernel
        kernel.point("down_write_trylock", self, self.key | WRITE)
        kernel.touch(self.key | STATE | WRITE)
        if self.writer is not None or self.readers:
            return False
        self._grant_to(kernel.current, True)
        if self.map is not None:
            self.map.acquire(trylock=True)
        return True

    def up_write(self) -> None:
        kernel = self.kernel
        kernel.point("up_write", self, self.key | STATE)
        if self.map is not None:
            self.map.release()
        self._release_write(kernel.current)

    def downgrade_write(self) -> None:
        """From writer to reader without letting another writer in between."""
        kernel = self.kernel
        kernel.point("downgrade_write", self, self.key | STATE)
        if self.map is not None:
            self.map.downgrade()
        self.readers.append(kernel.current)
        self._release_write(kernel.current)

    @contextmanager
    def read(self) -> Iterator[None]:
        """``with sem.read():``"""
        self.down_read()
        try:
            yield
        finally:
            self.up_read()

    @contextmanager
    def write(self) -> Iterator[None]:
        """``with sem.write():``"""
        self.down_write()
        try:
            yield
        finally:
            self.up_write()


class PercpuRwSem(RwSem):
    """struct percpu_rw_semaphore: the same rules; in the kernel, readers that cost nothing."""

    __slots__ = ()
    what = "percpu_rwsem"


class RwLock(ReadersWriter):
    """rwlock_t: spins, so it may be taken in interrupts, where readers do not queue behind writers."""

    __slots__ = ()
    what = "rwlock"
    wait_inner = WAIT_CONFIG

    def read_lock(self) -> None:
        kernel = self.kernel
        kernel.point("read_lock", self, self.key)
        task = kernel.current
        interrupt = task.preempt_count & (HARDIRQ_MASK | SOFTIRQ_MASK) != 0
        task.preempt_count += PREEMPT_OFFSET
        if self.map is not None:
            recursive = interrupt or self.map.lockdep.force_read_lock_recursive
            self.map.acquire(read=2 if recursive else 1)
        self._read(task, pass_waiters=interrupt)

    def read_unlock(self) -> None:
        kernel = self.kernel
        kernel.point("read_unlock", self, self.key | STATE)
        if self.map is not None:
            self.map.release()
        self._release_read(kernel.current)
        kernel.current.preempt_count -= PREEMPT_OFFSET

    def write_lock(self, subclass: int = 0) -> None:
        kernel = self.kernel
        kernel.point("write_lock", self, self.key | WRITE)
        task = kernel.current
        task.preempt_count += PREEMPT_OFFSET
        if self.map is not None:
            self.map.acquire(subclass=subclass)
        self._write(task)

    def write_unlock(self) -> None:
        kernel = self.kernel
        kernel.point("write_unlock", self, self.key | STATE)
        if self.map is not None:
            self.map.release()
        self._release_write(kernel.current)
        kernel.current.preempt_count -= PREEMPT_OFFSET
