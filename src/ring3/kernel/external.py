"""The world outside of a kernel with a real clock: other threads, and file descriptors."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from typing import Any


class External:
    """Waits for descriptors and for :meth:`notify`, which any thread may call."""

    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._event, selectors.EVENT_READ, None)

    def notify(self) -> None:
        """End the current or the next :meth:`wait`."""
        os.eventfd_write(self._event, 1)

    def add_reader(self, fd: int, fn: Callable[[], Any]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, fn)

    def remove_reader(self, fd: int) -> None:
        self._selector.unregister(fd)

    def wait(self, timeout: int | None) -> None:
        """Wait at most ``timeout`` ns, then call the functions of the descriptors that are readable."""
        seconds = None if timeout is None else timeout / 1e9
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                os.eventfd_read(self._event)
            else:
                key.data()

    def close(self) -> None:
        """Give the descriptors back; more than once does no harm."""
        if self._event >= 0:
            self._selector.close()
            os.close(self._event)
            self._event = -1

    __del__ = close
