"""The world outside of a kernel with a real clock: other threads, and file descriptors."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ring3.kernel.clock import Clock
from ring3.kernel.report import KernelBug

if TYPE_CHECKING:
    from ring3.kernel.task import Task

_LONGEST = 86_400_000  # ms; poll(2) takes an int, and who waits longer waits again


class External:
    """Waits for descriptors and for :meth:`notify`, which any thread may call.

    Few descriptors are ``hot``: they are given to poll(2) itself, all others to an epoll that poll(2)
    watches.  A wake-up through an epoll forgets on which CPU it should happen, and waking another CPU can
    take longer than a whole system call that a seccomp listener passes on.
    """

    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._functions: dict[int, Callable[[], Any]] = {self._event: self._notified}
        self._epoll = select.epoll()
        self._epoll.register(self._event, select.EPOLLIN)
        self._poll = select.poll()
        self._poll.register(self._epoll.fileno(), select.POLLIN)
        self._hot: set[int] = set()

    def notify(self) -> None:
        """End the current or the next :meth:`wait`."""
        os.eventfd_write(self._event, 1)

    def add_reader(self, fd: int, fn: Callable[[], Any], *, hot: bool = False) -> None:
        """Have :meth:`wait` call ``fn()`` while ``fd`` is readable or its other end is gone."""
        if hot:
            self._poll.register(fd, select.POLLIN)
            self._hot.add(fd)
        else:
            self._epoll.register(fd, select.EPOLLIN)
        self._functions[fd] = fn

    def remove_reader(self, fd: int) -> None:
        """Undo :meth:`add_reader`."""
        if fd in self._hot:
            self._hot.remove(fd)
            self._poll.unregister(fd)
        else:
            self._epoll.unregister(fd)
        del self._functions[fd]

    def wait(self, timeout: int | None) -> None:
        """Wait at most ``timeout`` ns, then call the functions of the descriptors that are readable."""
        for fd, _ in self._poll.poll(None if timeout is None else min(timeout / 1e6, _LONGEST)):
            if fd in self._hot:
                self._functions[fd]()
                continue
            for inside, _ in self._epoll.poll(0):
                fn = self._functions.get(inside)  # an earlier one may have removed it
                if fn is not None:
                    fn()

    def close(self) -> None:
        """Give the descriptors back; more than once does no harm."""
        if self._event >= 0:
            self._epoll.close()
            os.close(self._event)
            self._event = -1

    def _notified(self) -> None:
        os.eventfd_read(self._event)

    __del__ = close


class Outside:
    """The part of a :class:`Kernel` that other threads and descriptors talk to."""

    boot: Task
    clock: Clock
    current: Task
    external: External | None
    runnable: list[Task]
    _limit: int | None
    _posts: deque[tuple[Callable[..., Any], tuple[Any, ...]]]
    _until: Callable[[], bool] | None

    def next_deadline(self) -> int | None:
        raise NotImplementedError

    def call_soon_threadsafe(self, fn: Callable[..., Any], *args: Any) -> None:
        """From any thread: have ``fn(*args)`` run in this kernel, outside of any task.

        Like an interrupt: it must not sleep; it may wake, complete, queue work, or spawn a task.
        """
        self._posts.append((fn, args))
        if self.external is not None:
            self.external.notify()

    def add_reader(self, fd: int, fn: Callable[[], Any], *, hot: bool = False) -> None:
        """Real clock only: call ``fn()`` outside of any task whenever ``fd`` is readable.

        ``hot`` is for the few whose wake-ups have to be fast (see :class:`External`).
        """
        if self.external is None:
            raise KernelBug("a kernel with a virtual clock waits for nothing outside of itself")
        self.external.add_reader(fd, fn, hot=hot)

    def remove_reader(self, fd: int) -> None:
        """Undo :meth:`add_reader`."""
        if self.external is not None:
            self.external.remove_reader(fd)

    def _over(self) -> bool:
        """Whether real time is up, though tasks could run on; virtual time stands still while they do."""
        return self._limit is not None and self.clock.real and self.clock.now() >= self._limit

    def _drain(self) -> None:
        was, self.current = self.current, self.boot
        while self._posts:
            fn, args = self._posts.popleft()
            fn(*args)
        self.current = was

    def _idle(self, wait: bool) -> bool:
        """Nothing is runnable: wait for real time or the world outside.  False when neither can help."""
        if self._posts:
            return True
        if self.external is None:
            return False
        due = self.next_deadline()
        if self._limit is not None and (due is None or due > self._limit):
            due = self._limit
            if self.clock.now() >= due:
                return False
        if due is None and not wait:
            return False
        self.external.wait(None if due is None else max(0, due - self.clock.now()))
        return True

    def rest(self) -> None:
        """The running task has nothing to do: when no other has, either, wait for the outside world here.

        It is what the idle loop does, without a switch of stacks there and back.  Returns after at most one
        wait; the task then sees to what came for it, or blocks.
        """
        task = self.current
        if len(self.runnable) > 1 or (self._until is not None and self._until()):
            return
        due = self.next_deadline()
        if due is None or due > self.clock.now():
            self.current = self.boot
            try:
                self._idle(wait=True)
            finally:
                self.current = task

    def look_outside(self) -> None:
        """From a task that is busy for long on a real clock: see to descriptors that are readable by now, so
        that a kernel which never idles hears of the outside world."""
        if self.external is not None:
            task, self.current = self.current, self.boot
            try:
                self.external.wait(0)
            finally:
                self.current = task
