"""What a kernel says: its log, WARNs, BUGs, and who is stuck."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ring3.kernel.clock import Clock
from ring3.kernel.report import KernelBug, Warn, stack
from ring3.kernel.task import PF_KTHREAD, State, Task

if TYPE_CHECKING:
    from ring3.kernel.trace import Tracer


class Console:
    """The part of a :class:`Kernel` that talks."""

    clock: Clock
    current: Task
    log: list[tuple[int, str]]
    tasks: list[Task]
    tracer: Tracer | None
    warnings: list[Warn]

    def printk(self, message: str) -> None:
        """Put a line into ``kernel.log``."""
        self.log.append((self.clock.now(), message))

    def warn(self, message: str) -> Warn:
        """A WARN: recorded with its stack; the task goes on."""
        warn = Warn(self.clock.now(), str(self.current), message, stack())
        self.warnings.append(warn)
        self.printk(f"WARNING: {message}")
        if self.tracer is not None:
            self.tracer.instant(f"WARN: {message}")
        return warn

    def bug(self, message: str) -> NoReturn:
        """A BUG: raises :class:`KernelBug` in the running task."""
        frames = stack()
        where = f"{self.current} at {frames[0]}" if frames else str(self.current)
        raise KernelBug(message, where=where)

    def stuck(self) -> list[Task]:
        """Tasks that sleep now, except kernel threads that wait for work."""
        return [
            task
            for task in self.tasks[1:]
            if task.state in (State.UNINTERRUPTIBLE, State.KILLABLE)
            or (task.state is State.INTERRUPTIBLE and not task.flags & PF_KTHREAD)
        ]

    def describe_blocked(self) -> str:
        """One line: who sleeps on what."""
        waits = [f"{task} waits for {task.waiting_on!r}" for task in self.stuck()]
        return "; ".join(waits) or "nobody sleeps"
