"""dma_fence: a promise that some work will be done, made once and kept once.

Semantics of drivers/dma-buf/dma-fence.c (7.2).  A fence belongs to a context (a timeline) and has a
sequence number in it.  It is signalled exactly once, with an error or without; callbacks run under the
fence's lock, in interrupt-like context: they neither sleep nor allocate.

Lifetimes are Python's; what the kernel counts with krefs needs no counting here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from ring3.dma_buf.file import refuse
from ring3.kernel.core import Kernel
from ring3.kernel.locks import Spinlock
from ring3.kernel.task import State, Task
from ring3.kernel.wait import ERESTARTSYS

Callback = Callable[["DmaFence"], object]


class Watcher(Protocol):
    """Sees every fence of a kernel: the contract checker, the timeline."""

    def fence_init(self, fence: DmaFence) -> None: ...
    def fence_signaled(self, fence: DmaFence) -> None: ...
    def fence_wait(self, fence: DmaFence) -> None: ...
    def resv_lock(self) -> None: ...


class Fences:
    """What all fences of one kernel share: context numbers, the stub, irq work, and who watches.

    :meth:`of` finds the one of a kernel.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.watchers: list[Watcher] = []
        self._next_context = 1
        self._irq_work: deque[Callable[[], object]] = deque()
        self._irq_task = False
        self._signalling: dict[Task, int] = {}
        lockdep = kernel.lockdep
        self._map = lockdep.named_map("dma_fence_map") if lockdep is not None else None
        # Signalled at boot, which takes a moment.
        self.stub = self.signaled_stub(max(1, kernel.now()))

    @contextmanager
    def signalling(self) -> Iterator[None]:
        """The body must end for fences to be signalled: it neither allocates nor waits for other fences.

        dma_fence_begin_signalling and dma_fence_end_signalling.
        """
        task = self.kernel.current
        depth = self._signalling.get(task, 0)
        self._signalling[task] = depth + 1
        held = self._map is not None and depth == 0 and not task.preempt_count
        if held and self._map is not None:
            self._map.acquire(trylock=True, read=1)
        try:
            yield
        finally:
            if held and self._map is not None:
                self._map.release()
            if depth:
                self._signalling[task] = depth
            else:
                del self._signalling[task]

    def is_signalling(self) -> bool:
        """Whether the running task is inside of :meth:`signalling`."""
        return self.kernel.current in self._signalling

    def might_wait(self) -> None:
        """Tell lockdep that the running task may wait for fences here (__dma_fence_might_wait)."""
        if self._map is not None and not self.is_signalling():
            self._map.acquire()
            self._map.release()

    def resv_locking(self) -> None:
        """The running task is about to take a reservation's lock; tells those who watch."""
        for watcher in self.watchers:
            watcher.resv_lock()

    @staticmethod
    def of(kernel: Kernel) -> Fences:
        """The fences of ``kernel``."""
        core = kernel.parts.get("dma_fence")
        if core is None:
            core = kernel.parts["dma_fence"] = Fences(kernel)
        assert isinstance(core, Fences)
        return core

    def irq_work(self, work: Callable[[], object]) -> None:
        """Do ``work`` as soon as nobody on this CPU holds a spinlock (irq_work_queue)."""
        self._irq_work.append(work)

    def run_irq_work(self) -> None:
        """What :meth:`irq_work` has collected; called wherever a fence's lock was just released."""
        if not self._irq_work:
            return
        if self.kernel.current.preempt_count == 0:
            while self._irq_work:
                self._irq_work.popleft()()
        elif not self._irq_task:
            self._irq_task = True
            self.kernel.kthread_run(self._irq_thread, name="irq_work")

    def _irq_thread(self) -> None:
        self._irq_task = False
        self.run_irq_work()

    def context_alloc(self, count: int = 1) -> int:
        """The first of ``count`` new contexts."""
        first = self._next_context
        self._next_context += count
        return first

    def sleep_on(
        self,
        fences: Sequence[DmaFence],
        done: Callable[[], bool],
        timeout: int | None,
        interruptible: bool,
    ) -> bool:
        """Sleep until ``done()``, asked whenever one of ``fences`` is signalled; False after ``timeout``.

        Raises OSError(ERESTARTSYS) when ``interruptible`` and a signal arrives.
        """
        kernel = self.kernel
        task = kernel.current
        state = State.INTERRUPTIBLE if interruptible else State.UNINTERRUPTIBLE
        end = None if timeout is None else kernel.now() + timeout

        def wake(_: DmaFence) -> None:
            kernel.wake(task)

        added = [fence for fence in fences if fence.add_callback(wake)]
        try:
            while not done():
                if interruptible and task.signal_pending:
                    raise refuse(ERESTARTSYS, "a signal interrupted the wait")
                left = None if end is None else end - kernel.now()
                if left is not None and left <= 0:
                    return False
                kernel.block(fences[0], state, left)
        finally:
            for fence in added:
                fence.remove_callback(wake)
        return True

    def signaled_stub(self, timestamp: int) -> DmaFence:
        """A fence of nobody that was signalled at ``timestamp`` (ns)."""
        fence = StubFence(self, 0, 0)
        fence.signaling_enabled = True
        fence.signal(timestamp)
        return fence


class DmaFence:
    """One fence.  A driver subclasses it for its names and, where it has them, its hooks.

    ``lock`` is the driver's own lock shared by a timeline, or None for a lock of the fence's own.
    ``error`` is 0 or a negative errno; ``timestamp`` (ns) is that of the signal.
    """

    driver = "driver"
    timeline = "timeline"
    #: Sequence numbers are 64 bits; otherwise they wrap at 32 and compare by signed distance.
    seqno64 = False

    def __init__(
        self, fences: Fences, context: int, seqno: int, lock: Spinlock | None = None
    ) -> None:
        self.fences = fences
        self.context = context
        self.seqno = seqno
        self.lock = lock or Spinlock(fences.kernel, "dma_fence.inline_lock")
        self.is_signaled_flag = False
        self.signaling_enabled = False
        self.error = 0
        self.timestamp = 0
        self._callbacks: list[Callback] | None = None
        for watcher in fences.watchers:
            watcher.fence_init(self)

    # -- hooks of the driver ----------------------------------------------------------------------

    def driver_name(self) -> str:
        """Name of the driver, as user space sees it."""
        return self.driver

    def timeline_name(self) -> str:
        """Name of the timeline, as user space sees it."""
        return self.timeline

    def enable_signaling(self) -> bool:
        """Somebody waits: see to it that the signal comes.  False: it is done already.  Lock held."""
        return True

    def poll_signaled(self) -> bool:
        """Ask the hardware whether it is done, for fences that nothing signals by itself."""
        return False

    def deadline_hint(self, deadline: int) -> None:
        """Somebody needs it by ``deadline`` (ns)."""

    # -- signalling -------------------------------------------------------------------------------

    def signal(self, timestamp: int | None = None) -> bool:
        """Keep the promise; callbacks run now.  False if it was kept before."""
        flags = self.lock.lock_irqsave()
        try:
            return self.signal_locked(timestamp)
        finally:
            self.lock.unlock_irqrestore(flags)
            self.fences.run_irq_work()

    def signal_locked(self, timestamp: int | None = None) -> bool:
        """:meth:`signal` for a caller that holds the lock."""
        if self.is_signaled_flag:
            return False
        self.is_signaled_flag = True
        self.timestamp = self.fences.kernel.now() if timestamp is None else timestamp
        for watcher in self.fences.watchers:
            watcher.fence_signaled(self)
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback(self)
        return True

    def set_error(self, error: int) -> None:
        """The work failed with the negative errno ``error``; only before the signal."""
        assert not self.is_signaled_flag, "an error comes before the signal"
        assert error < 0, "errors are negative"
        self.error = error

    def is_signaled(self) -> bool:
        """Whether it is signalled, asking the driver."""
        if self.is_signaled_flag:
            return True
        if self.poll_signaled():
            self.signal()
            return True
        return False

    def is_signaled_locked(self) -> bool:
        """:meth:`is_signaled` for a caller that holds the lock."""
        if self.is_signaled_flag:
            return True
        if self.poll_signaled():
            self.signal_locked()
            return True
        return False

    def status(self) -> int:
        """0 while active, then 1 or the negative error."""
        with self.lock.irqsave():
            status = (self.error or 1) if self.is_signaled_locked() else 0
        self.fences.run_irq_work()
        return status

    # -- callbacks --------------------------------------------------------------------------------

    def add_callback(self, callback: Callback) -> bool:
        """Call ``callback(fence)`` at the signal.  False, and no call, if it is signalled already."""
        if self.is_signaled_flag:
            return False
        flags = self.lock.lock_irqsave()
        try:
            if not self._enable_signaling_locked():
                return False
            if self._callbacks is None:
                self._callbacks = [callback]
            else:
                self._callbacks.append(callback)
            return True
        finally:
            self.lock.unlock_irqrestore(flags)
            if self.fences._irq_work:
                self.fences.run_irq_work()

    def remove_callback(self, callback: Callback) -> bool:
        """Take it back; False if it ran, or was never there."""
        with self.lock.irqsave():
            if self._callbacks is None or callback not in self._callbacks:
                return False
            self._callbacks.remove(callback)
            return True

    @property
    def has_callbacks(self) -> bool:
        """Somebody waits for it."""
        return bool(self._callbacks)

    def enable_sw_signaling(self) -> None:
        """See to it that the signal comes even if nobody has added a callback."""
        with self.lock.irqsave():
            self._enable_signaling_locked()
        self.fences.run_irq_work()

    def _enable_signaling_locked(self) -> bool:
        was_enabled, self.signaling_enabled = self.signaling_enabled, True
        if self.is_signaled_flag:
            return False
        if not was_enabled and not self.enable_signaling():
            self.signal_locked()
            return False
        return True

    # -- waiting ----------------------------------------------------------------------------------

    def wait(self, timeout: int | None = None, *, interruptible: bool = False) -> bool:
        """Sleep until it is signalled, at most ``timeout`` ns; False if it is not.

        Raises OSError(ERESTARTSYS) when a signal arrives and ``interruptible``.
        """
        core = self.fences
        core.kernel.might_sleep("dma_fence_wait")
        core.might_wait()
        for watcher in core.watchers:
            watcher.fence_wait(self)
        self.enable_sw_signaling()
        if self.is_signaled_flag or timeout == 0:
            return self.is_signaled_flag
        return core.sleep_on((self,), lambda: self.is_signaled_flag, timeout, interruptible)

    def set_deadline(self, deadline: int) -> None:
        """Hint that it is needed by ``deadline`` (ns on the kernel's clock)."""
        if not self.is_signaled():
            self.deadline_hint(deadline)

    # -- order ------------------------------------------------------------------------------------

    def seqno_later(self, a: int, b: int) -> bool:
        """Whether ``a`` is later than ``b`` on this fence's timeline."""
        if self.seqno64:
            return a > b
        return 0 < (a - b) & 0xFFFFFFFF < 0x80000000

    def is_later(self, other: DmaFence) -> bool:
        """Later than ``other`` of the same context."""
        assert self.context == other.context, "only fences of one context have an order"
        return self.seqno_later(self.seqno, other.seqno)

    def is_later_or_same(self, other: DmaFence) -> bool:
        """:meth:`is_later`, or the same fence."""
        return self is other or self.is_later(other)

    def __repr__(self) -> str:
        state = f"error {self.error}" if self.error else "signaled"
        return (
            f"<{type(self).__name__} {self.driver_name()}:{self.timeline_name()} "
            f"{self.context}:{self.seqno} {state if self.is_signaled_flag else 'active'}>"
        )


class StubFence(DmaFence):
    """A fence of nobody."""

    driver = "stub"
    timeline = "stub"


def shown_names(fence: DmaFence) -> tuple[str, str]:
    """(driver, timeline) as user space may see them: a signalled fence no longer says whose it was."""
    if fence.is_signaled_flag:
        return "detached-driver", "signaled-timeline"
    return fence.driver_name(), fence.timeline_name()


def wait_any(
    fences: Sequence[DmaFence], timeout: int | None = None, *, interruptible: bool = False
) -> int | None:
    """Sleep until one is signalled; its index, or None when ``timeout`` (ns) ran out first."""
    for index, fence in enumerate(fences):
        if fence.is_signaled():
            return index
    if timeout == 0:
        return None
    core = fences[0].fences
    core.kernel.might_sleep("dma_fence_wait_any")
    core.might_wait()

    def first() -> int | None:
        return next((i for i, fence in enumerate(fences) if fence.is_signaled_flag), None)

    core.sleep_on(fences, lambda: first() is not None, timeout, interruptible)
    return first()
