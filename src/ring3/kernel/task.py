"""Tasks: what a kernel knows about one thread of control.

Flag values are those of include/linux/sched.h (7.2) and include/linux/preempt.h.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit, greenlet

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel

PF_WQ_WORKER = 0x20
PF_MEMALLOC = 0x800
PF_KSWAPD = 0x20000
PF_MEMALLOC_NOFS = 0x40000
PF_MEMALLOC_NOIO = 0x80000
PF_KTHREAD = 0x200000
PF_MEMALLOC_PIN = 0x10000000

# Task.preempt_count: nesting of preempt_disable, softirq, hardirq and NMI as in the kernel; one bit more
# says that interrupts are off, so that a single test tells whether the task may sleep.
PREEMPT_OFFSET = 1
SOFTIRQ_OFFSET = 1 << 8
SOFTIRQ_DISABLE_OFFSET = 2 << 8
HARDIRQ_OFFSET = 1 << 16
IRQS_OFF = 1 << 24
PREEMPT_MASK = 0xFF
SOFTIRQ_MASK = 0xFF << 8
HARDIRQ_MASK = 0xF << 16


class State(IntEnum):
    """What a task is doing.  IDLE is uninterruptible sleep that nobody counts as being stuck."""

    RUNNING = 0
    INTERRUPTIBLE = 1
    UNINTERRUPTIBLE = 2
    KILLABLE = 3
    IDLE = 4
    DEAD = 5


RUNNING, DEAD = State.RUNNING, State.DEAD


class Carrier(greenlet):
    """A stack that runs one task after another: making a greenlet costs ten times what reusing one does."""

    task: Task | None = None

    def run(self, starter: greenlet) -> None:
        # A greenlet's recursion depth begins at its starter's: it is started at once, from the bottom
        # of the kernel's own stack, and given tasks later.
        starter.switch()
        while True:
            task, self.task = self.task, None
            assert task is not None
            kernel = task.kernel
            try:
                task.result = task.fn(*task.args)
            except GreenletExit:
                if not kernel.closing:
                    return  # nobody knows this stack any more
            except BaseException as error:
                task.error = error
            away = kernel.exit_current(self)
            # While it has no task a stack must hold on to no kernel: suspended frames are never collected.
            del task, kernel
            away.switch()


class Task:
    """One thread of control.  Made by :meth:`Kernel.spawn`, never directly.

    ``tid`` counts up from 0 (the boot context) in order of creation.  ``flags`` are the PF_ flags.
    ``waiting_on`` is the object that the task sleeps on, or None.  ``access`` is what the visible
    operation that the task performs next accesses (see :meth:`Kernel.point`).
    """

    __slots__ = (
        "access",
        "args",
        "carrier",
        "error",
        "flags",
        "fn",
        "held_locks",
        "interruptible",
        "irq_queue",
        "joiners",
        "kernel",
        "key",
        "name",
        "preempt_count",
        "rcu_nesting",
        "result",
        "signal_pending",
        "state",
        "tid",
        "timed_out",
        "waiting_on",
        "woken_step",
    )

    def __init__(
        self,
        kernel: Kernel,
        tid: int,
        name: str,
        fn: Callable[..., Any],
        args: tuple[Any, ...] = (),
        *,
        flags: int = 0,
    ) -> None:
        self.kernel = kernel
        self.tid = tid
        kernel._keys += 4
        self.key = kernel._keys
        self.interruptible = False  # interrupts may be aimed at it (Interrupt.aim)
        self.name = name
        self.fn = fn
        self.args = args
        self.flags = flags
        self.state = RUNNING
        self.preempt_count = 0
        self.rcu_nesting = 0
        self.signal_pending = False
        self.timed_out = False
        self.waiting_on: Any = None
        self.held_locks: Any = None  # lockdep's stack
        self.irq_queue: Any = None  # interrupts that arrived while they were off
        self.joiners: Any = None
        self.carrier: Any = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.access = -1
        # The steps that what the task does next comes after; below -1: all steps up to -2 minus it.
        self.woken_step: int | tuple[int, ...] = -1

    @property
    def in_hardirq(self) -> bool:
        return self.preempt_count & HARDIRQ_MASK != 0

    @property
    def in_softirq(self) -> bool:
        """Serving a softirq (not merely with softirqs disabled)."""
        return self.preempt_count & SOFTIRQ_OFFSET != 0

    def __repr__(self) -> str:
        return f"{self.name}/{self.tid}"
