"""The world outside of a kernel with a real clock: other threads, and file descriptors."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Any

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
