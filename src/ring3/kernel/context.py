"""What the running task may do: preemption and interrupts off or on, sleeping or not."""

from __future__ import annotations

from typing import NoReturn

from ring3.kernel.task import IRQS_OFF, PREEMPT_MASK, PREEMPT_OFFSET, Task


class Context:
    """The part of a :class:`Kernel` that looks at ``preempt_count``."""

    current: Task

    def bug(self, message: str) -> NoReturn:
        raise NotImplementedError

    def preempt_disable(self) -> None:
        self.current.preempt_count += PREEMPT_OFFSET

    def preempt_enable(self) -> None:
        if not self.current.preempt_count & PREEMPT_MASK:
            self.bug("preempt_enable without preempt_disable")
        self.current.preempt_count -= PREEMPT_OFFSET

    def run_interrupts(self, task: Task) -> None:
        """Serve the interrupts that wait for ``task``'s CPU, as far as it lets them in."""
        queue = task.irq_queue
        i = 0
        while i < len(queue):
            barred, serve = queue[i]
            if task.preempt_count & barred:
                i += 1
            else:
                queue.pop(i)
                serve()
                i = 0

    def might_sleep(self, what: str = "might_sleep") -> None:
        """A BUG when the running task may not sleep here."""
        if self.current.preempt_count:
            self.sleep_in_atomic(what)

    def sleep_in_atomic(self, what: str) -> None:
        """The kernel's "sleeping function called from invalid context"."""
        task = self.current
        self.bug(
            f"sleeping function {what} called from invalid context: "
            f"preempt_count {task.preempt_count & ~IRQS_OFF:#x}, "
            f"irqs_disabled {int(task.preempt_count & IRQS_OFF != 0)}"
        )
