"""Wait queues and completions (include/linux/wait.h, completion.h)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ring3.kernel.core import STATE, WRITE
from ring3.kernel.task import State, Task

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel

EINTR = 4
ERESTARTSYS = 512


class WaitQueue:
    """Tasks that wait for a condition.  Who changes the condition calls :meth:`wake_up`."""

    __slots__ = ("condition", "kernel", "key", "name", "waiters", "wasted_wakes")

    def __init__(self, kernel: Kernel, name: str = "waitqueue") -> None:
        self.kernel = kernel
        self.name = name
        self.key = kernel.new_key()
        self.waiters: list[tuple[Task, bool]] = []
        self.wasted_wakes = 0  # wake-ups that met nobody: what a lost wake-up leaves behind
        self.condition: Callable[[], bool] | None = None  # of the latest sleeper, for reports

    def wait_event(
        self,
        condition: Callable[[], bool],
        *,
        timeout: int | None = None,
        state: State = State.UNINTERRUPTIBLE,
        exclusive: bool = False,
    ) -> int:
        """Sleep until ``condition()`` holds, asking again after each wake-up.

        Without ``timeout`` (ns) returns 0, or -ERESTARTSYS when an INTERRUPTIBLE or KILLABLE sleep got
        a signal.  With one returns the ns that were left (at least 1), or 0 when it ran out with the
        condition still false, as wait_event_timeout does.
        """
        kernel = self.kernel
        task = kernel.current
        kernel.point("wait_event", self, self.key | WRITE)
        if task.preempt_count:
            kernel.sleep_in_atomic("wait_event")
        signalled = state is State.INTERRUPTIBLE or state is State.KILLABLE
        if signalled:
            kernel.touch(task.key)
        deadline = None if timeout is None else kernel.now() + timeout
        while not condition():
            if signalled and task.signal_pending:
                return -ERESTARTSYS
            left = None if deadline is None else deadline - kernel.now()
            if left is not None and left <= 0:
                return 0
            # The condition may be made of visible operations, so ask again once in the queue.
            kernel.touch(self.key | WRITE)
            self._enqueue(exclusive)
            self.condition = condition
            if not condition():
                kernel.touch(self.key | WRITE)
                if any(waiter is task for waiter, _ in self.waiters):
                    kernel.block(self, state, left)
            self.finish_wait()
            if signalled:
                kernel.touch(task.key)
        return 0 if deadline is None else max(1, deadline - kernel.now())

    def prepare_to_wait(self, *, exclusive: bool = False) -> None:
        """Join the queue; the next :meth:`wake_up` ends the sleep that follows, even before it began.

        The raw half of wait_event, for code that must show its own check.
        """
        self.kernel.point("prepare_to_wait", self, self.key | WRITE)
        self._enqueue(exclusive)

    def _enqueue(self, exclusive: bool) -> None:
        entry = (self.kernel.current, exclusive)
        if entry not in self.waiters:
            self.waiters.append(entry)

    def sleep(self, state: State = State.UNINTERRUPTIBLE, timeout: int | None = None) -> bool:
        """schedule() after :meth:`prepare_to_wait`: returns at once when a wake-up came in between."""
        kernel = self.kernel
        kernel.point("schedule", self, self.key | WRITE)
        if kernel.current.preempt_count:
            kernel.sleep_in_atomic("schedule")
        if all(task is not kernel.current for task, _ in self.waiters):
            return True
        return kernel.block(self, state, timeout)

    def finish_wait(self) -> None:
        """Leave the queue."""
        self.kernel.touch(self.key | WRITE)
        task = self.kernel.current
        self.waiters = [entry for entry in self.waiters if entry[0] is not task]

    def wake_up(self, nr_exclusive: int = 1) -> int:
        """Wake everyone, but of the exclusive sleepers only the first ``nr_exclusive``; how many."""
        self.kernel.point("wake_up", self, self.key | WRITE)
        return self._wake(nr_exclusive)

    def wake_up_all(self) -> int:
        """Wake everyone; how many."""
        self.kernel.point("wake_up_all", self, self.key | WRITE)
        return self._wake(len(self.waiters))

    def _wake(self, nr_exclusive: int) -> int:
        woken = 0
        kept: list[tuple[Task, bool]] = []
        for entry in self.waiters:
            task, exclusive = entry
            if exclusive and nr_exclusive <= 0:
                kept.append(entry)
                continue
            nr_exclusive -= exclusive
            woken += 1
            if self.kernel.wake(task):
                # It looks at its condition again, and what that reads others may change before.
                task.access = self.key | WRITE
        self.waiters = kept
        self.wasted_wakes += woken == 0
        return woken

    def active(self) -> bool:
        """Whether anyone waits (waitqueue_active)."""
        self.kernel.point("waitqueue_active", self, self.key)
        return bool(self.waiters)

    def __repr__(self) -> str:
        return f"wait queue {self.name}"


_ALL = 1 << 31


class Completion:
    """Something that will be done once per :meth:`complete`, or for good after :meth:`complete_all`.

    The nth wait is let through by the nth complete, however many came later (see :class:`Semaphore`).
    """

    __slots__ = ("completes", "done", "for_good", "kernel", "key", "name", "waiters")

    def __init__(self, kernel: Kernel, name: str = "completion") -> None:
        self.kernel = kernel
        self.name = name
        self.key = kernel.new_key()
        self.done = 0
        self.completes: deque[int] = deque()  # the steps of those that no wait has used yet
        self.for_good = -1  # the step of complete_all
        self.waiters: list[Task] = []

    def wait(self, *, timeout: int | None = None, state: State = State.UNINTERRUPTIBLE) -> int:
        """wait_for_completion.

        Without ``timeout`` (ns) returns 0, or -ERESTARTSYS after a signal.  With one returns the ns that
        were left (at least 1), or 0 when it ran out.
        """
        kernel = self.kernel
        task = kernel.current
        kernel.point("wait_for_completion", self, self.key | WRITE)
        if task.preempt_count:
            kernel.sleep_in_atomic("wait_for_completion")
        deadline = None if timeout is None else kernel.now() + timeout
        signalled = state is State.INTERRUPTIBLE or state is State.KILLABLE
        if signalled:
            self._may_end_early(task)
        while not self.done:
            if signalled and task.signal_pending:
                return -ERESTARTSYS
            left = None if deadline is None else deadline - kernel.now()
            if left is not None and left <= 0:
                return 0
            self.waiters.append(task)
            kernel.block(self, state, left)
            if task in self.waiters:
                self.waiters.remove(task)
            if signalled:
                self._may_end_early(task)
        self._take(task)
        return 0 if deadline is None else max(1, deadline - kernel.now())

    def _may_end_early(self, task: Task) -> None:
        """A signal ends this wait, so that it matters whether it or a complete comes first."""
        self.kernel.touch(task.key)
        self.kernel.touch(self.key | WRITE)
        self.kernel.touch(self.key | STATE)

    def try_wait(self) -> bool:
        """try_wait_for_completion: consume one completion if there is one."""
        self.kernel.point("try_wait_for_completion", self, self.key | WRITE)
        self.kernel.touch(self.key | STATE)
        if not self.done:
            return False
        self._take(self.kernel.current)
        return True

    def _take(self, task: Task) -> None:
        if self.done != _ALL:
            self.done -= 1
        task.woken_step = self.completes.popleft() if self.completes else self.for_good

    def complete(self) -> None:
        """Let one waiter go, now or later."""
        self.kernel.point("complete", self, self.key | STATE | WRITE)
        if self.done != _ALL:
            self.done += 1
            self.completes.append(self.kernel.step)
        if self.waiters:
            self._wake()

    def complete_all(self) -> None:
        """Let every waiter go, for good."""
        self.kernel.point("complete_all", self, self.key | STATE | WRITE)
        if self.done != _ALL:
            self.for_good = self.kernel.step
            self.done = _ALL
        while self.waiters:
            self._wake()

    def _wake(self) -> None:
        task = self.waiters.pop(0)
        if self.kernel.wake(task):
            # It looks at ``done`` again; another wait or a reinit may come before.
            task.access = self.key | WRITE

    def reinit(self) -> None:
        """reinit_completion: forget what was completed, even if who was woken for it has not run yet."""
        self.kernel.point("reinit_completion", self, self.key | STATE | WRITE)
        self.kernel.touch(self.key | WRITE)
        self.done = 0
        self.completes.clear()

    def __repr__(self) -> str:
        return f"completion {self.name}"
