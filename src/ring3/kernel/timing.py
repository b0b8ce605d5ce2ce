"""What a kernel does in time: alarms, and tasks that sleep for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ring3.kernel.alarm import Alarm, Alarms
from ring3.kernel.clock import Clock
from ring3.kernel.context import Context
from ring3.kernel.task import RUNNING, Task


class Timing(Context):
    """The part of a :class:`Kernel` that looks at its clock."""

    boot: Task
    clock: Clock
    _alarms: Alarms

    def block(self, on: Any, *, timeout: int | None = None) -> bool:
        raise NotImplementedError

    def wake(self, task: Task) -> bool:
        raise NotImplementedError

    def msleep(self, ms: float) -> None:
        """Sleep for ``ms`` milliseconds."""
        self.sleep(int(ms * 1_000_000))

    def sleep(self, ns: int) -> None:
        """Sleep for ``ns`` nanoseconds."""
        if self.current.preempt_count:
            self.sleep_in_atomic("sleep")
        self.block(("sleep", ns), timeout=ns)

    def udelay(self, us: float) -> None:
        """Keep the CPU busy: allowed in atomic context; other tasks have CPUs of their own."""
        self.block(("udelay", us), timeout=int(us * 1_000))

    def now(self) -> int:
        """Nanoseconds since boot (ktime_get)."""
        return self.clock.now()

    def alarm(self, delay: int, fn: Callable[..., Any], *args: Any) -> Alarm:
        """Call ``fn(*args)`` in ``delay`` ns, outside of any task; it must not sleep or take locks."""
        alarm = Alarm(self.clock.now() + max(0, delay), fn, args)
        self._alarms.add(alarm)
        return alarm

    def next_deadline(self) -> int | None:
        """When the next pending alarm is due."""
        return self._alarms.next_deadline()

    def _time_out(self, task: Task) -> None:
        if task.state is not RUNNING:
            task.timed_out = True
            self.wake(task)

    def _fire(self) -> None:
        """Run the first alarm, which next_deadline() has shown to be pending."""
        alarm = self._alarms.pop()
        self.clock.advance(alarm.deadline)
        fn, alarm.fn = alarm.fn, None
        self.current = self.boot
        assert fn is not None
        fn(*alarm.args)
