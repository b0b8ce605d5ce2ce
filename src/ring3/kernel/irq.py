"""Interrupts: hard ones, softirqs, and the timers that run in them.

An interrupt is served either on a CPU of its own (a short-lived task in atomic context), or on top of a
task that it interrupts (``on=task``), which is where a lock that the task holds without disabling
interrupts is fatal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ring3.kernel.alarm import Alarm
from ring3.kernel.core import WRITE
from ring3.kernel.task import (
    HARDIRQ_MASK,
    HARDIRQ_OFFSET,
    IRQS_OFF,
    PF_KTHREAD,
    SOFTIRQ_MASK,
    SOFTIRQ_OFFSET,
    State,
    Task,
)

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel

# Which bits of a CPU's preempt_count keep the interrupt waiting.
_BARS = {HARDIRQ_OFFSET: IRQS_OFF, SOFTIRQ_OFFSET: IRQS_OFF | HARDIRQ_MASK | SOFTIRQ_MASK}


class Interrupt:
    """A source of interrupts.  ``handler`` must not sleep.

    ``threaded`` says that PREEMPT_RT would run it in a thread, as it does without IRQF_NO_THREAD.
    """

    offset = HARDIRQ_OFFSET
    __slots__ = ("args", "handler", "kernel", "name", "running", "threaded")

    def __init__(
        self,
        kernel: Kernel,
        name: str,
        handler: Callable[..., Any],
        *args: Any,
        threaded: bool = True,
    ) -> None:
        self.threaded = threaded
        self.kernel = kernel
        self.name = name
        self.handler = handler
        self.args = args
        self.running: Task | None = None

    def raise_(self, on: Task | None = None) -> Task | None:
        """The interrupt fires: on top of ``on``, or on an idle CPU, as the task that is returned."""
        kernel = self.kernel
        if on is None:
            self.running = kernel.spawn(self._serve, name=self.name, flags=PF_KTHREAD)
            return self.running
        kernel.point("interrupt", on, on.key | WRITE)
        if on.irq_queue is None:
            on.irq_queue = []
        on.irq_queue.append((_BARS[self.offset], self._serve))
        if on is kernel.current:
            kernel.run_interrupts(on)
        return None

    def aim(self, task: Task) -> None:
        """Tell exploration that :meth:`raise_` may hit ``task``, before it does."""
        task.interruptible = True

    def synchronize(self) -> None:
        """synchronize_irq: wait until a handler that runs on a CPU of its own is through."""
        while self.running is not None and self.running.state is not State.DEAD:
            self.kernel.join(self.running)

    def _serve(self) -> Any:
        """Call the handler in the interrupt's context; what it returns."""
        kernel = self.kernel
        task = kernel.current
        before = task.preempt_count
        task.preempt_count = (before + self.offset) | (
            IRQS_OFF if self.offset == HARDIRQ_OFFSET else 0
        )
        lockdep = kernel.lockdep
        if lockdep is not None:
            lockdep.irq_enter(task, self.threaded)
        answer = self.handler(*self.args)
        if lockdep is not None:
            lockdep.irq_exit(task)
        task.preempt_count = before
        return answer

    def __repr__(self) -> str:
        return f"interrupt {self.name}"


class Softirq(Interrupt):
    """A softirq (or tasklet): kept waiting by local_bh_disable as well."""

    offset = SOFTIRQ_OFFSET
    __slots__ = ()


class Timer(Softirq):
    """struct timer_list: ``handler`` runs in softirq context when its time has come."""

    __slots__ = ("_alarm",)

    def __init__(self, kernel: Kernel, name: str, handler: Callable[..., Any], *args: Any) -> None:
        super().__init__(kernel, name, handler, *args)
        self._alarm: Alarm | None = None

    def mod(self, delay: int) -> bool:
        """mod_timer: due in ``delay`` ns from now; whether it was pending before."""
        pending = self.delete()
        self._alarm = self.kernel.alarm(delay, self._due)
        return pending

    def delete(self) -> bool:
        """timer_delete: whether it was pending.  The handler may still be running."""
        return self._alarm is not None and self._alarm.cancel()

    @property
    def pending(self) -> bool:
        return self._alarm is not None and self._alarm.fn is not None

    def _due(self) -> None:
        self.raise_()


class HrTimer(Timer):
    """struct hrtimer: ``handler`` runs in hardirq context; it returns ns until its next run, or None."""

    offset = HARDIRQ_OFFSET
    __slots__ = ()

    def _due(self) -> None:
        self.running = self.kernel.spawn(self._expire, name=self.name, flags=PF_KTHREAD)

    def _expire(self) -> None:
        again: int | None = self._serve()
        if again is not None:
            self._alarm = self.kernel.alarm(again, self._due)
