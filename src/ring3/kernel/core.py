"""The kernel object: tasks, time, and who runs next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from greenlet import GreenletExit, getcurrent

from ring3.kernel.alarm import Alarms
from ring3.kernel.clock import Clock, RealClock, VirtualClock
from ring3.kernel.console import Console
from ring3.kernel.external import External, Outside
from ring3.kernel.report import KernelBug, Warn, WouldDeadlock
from ring3.kernel.task import (
    DEAD,
    PF_KTHREAD,
    RUNNING,
    Carrier,
    State,
    Task,
)
from ring3.kernel.timing import Timing

if TYPE_CHECKING:
    from ring3.kernel.lockdep import Lockdep
    from ring3.kernel.trace import Tracer

UNINTERRUPTIBLE = State.UNINTERRUPTIBLE

# An access is an object's key with these bits: POR asks of two accesses only whether the keys are the
# same and one of them writes.  STATE is a second key of the same object (see Mutex).
WRITE = 1
STATE = 2
# Instead of an access: the task has only begun or woken (nobody can tell when it runs on), or it yields.
LOCAL = -1
YIELD = -2


class Scheduler(Protocol):
    """Decides which task runs.  ``preemptive`` ones are asked before every visible operation."""

    preemptive: bool

    def pick(self, kernel: Kernel) -> Task | None:
        """One of ``kernel.runnable``, which is not empty; None ends the run."""
        ...


def _no_point(op: str, obj: Any, access: int) -> None:
    """Outside of exploration a visible operation is no scheduling point."""


def _no_touch(access: int) -> None:
    """Outside of exploration nobody asks what a task touches."""


class Kernel(Console, Timing, Outside):
    """One kernel.  Everything it simulates hangs off this object; there is no global state.

    ``clock`` is "virtual" (deterministic: stands still while tasks run, jumps when all sleep), "real",
    or a :class:`Clock`.  ``scheduler`` None runs tasks in turn and never preempts them.  ``lockdep``
    turns the lock validator on.  ``carriers`` are stacks left over from earlier kernels, for reuse.
    """

    # Python makes a dictionary for each object with so many attributes, which a search notices.
    __slots__ = (
        "_alarms",
        "_dead",
        "_keys",
        "_limit",
        "_pick",
        "_posts",
        "_spawned",
        "_until",
        "_wanted",
        "boot",
        "carriers",
        "clock",
        "closing",
        "current",
        "external",
        "failed",
        "fresh",
        "hub",
        "lockdep",
        "log",
        "parts",
        "point",
        "runnable",
        "scheduler",
        "step",
        "stopped",
        "tasks",
        "touch",
        "tracer",
        "warnings",
    )

    def __init__(
        self,
        *,
        clock: str | Clock = "virtual",
        scheduler: Scheduler | None = None,
        lockdep: bool = False,
        carriers: list[Carrier] | None = None,
    ) -> None:
        if clock == "virtual":
            self.clock: Clock = VirtualClock()
        else:
            self.clock = RealClock() if isinstance(clock, str) else clock
        self.external = External() if self.clock.real else None
        self.scheduler = scheduler
        self.carriers: list[Carrier] = [] if carriers is None else carriers
        self.hub: Any = getcurrent()
        self._keys = 0
        self.boot = Task(self, 0, "swapper", _nothing, flags=PF_KTHREAD)
        self.current = self.boot
        self.tasks = [
            self.boot
        ]  # by tid, while a preemptive scheduler needs them; else without the dead
        self._spawned = 0
        self._dead = 0
        self.runnable: list[Task] = []
        self.fresh: list[
            Task
        ] = []  # tasks that have begun or woken since, for preemptive schedulers
        self.step = -1  # the visible step in progress, counted by preemptive schedulers
        self.stopped = False  # by the scheduler
        self.closing = False
        self._pick: Callable[[Kernel], Task | None] = (
            _first if scheduler is None else scheduler.pick
        )
        self.point: Callable[[str, Any, int], None] = _no_point
        self.touch: Callable[[int], None] = _no_touch
        self.log: list[tuple[int, str]] = []
        self.warnings: list[Warn] = []
        self.failed: Task | None = None
        self.tracer: Tracer | None = None
        self.lockdep: Lockdep | None = None
        self.parts: dict[str, Any] = {}  # what other modules keep per kernel: RCU, worker pools...
        self._wanted: Carrier | None = None  # a task that waits for a carrier to be made
        self._alarms = Alarms()
        self._until: Callable[[], bool] | None = None
        self._limit: int | None = None
        self._posts: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        if lockdep:
            from ring3.kernel.lockdep import Lockdep

            self.lockdep = Lockdep(self)

    # Tasks

    def spawn(
        self, fn: Callable[..., Any], *args: Any, name: str | None = None, flags: int = 0
    ) -> Task:
        """A new runnable task that calls ``fn(*args)``."""
        self._spawned += 1
        task = Task(
            self, self._spawned, name or str(getattr(fn, "__name__", "task")), fn, args, flags=flags
        )
        carriers = self.carriers
        carrier = carriers.pop() if carriers else self._new_carrier()
        carrier.task = task
        task.carrier = carrier
        task.woken_step = self.step
        self.tasks.append(task)
        self.runnable.append(task)
        self.fresh.append(task)
        return task

    def kthread_run(self, fn: Callable[..., Any], *args: Any, name: str, flags: int = 0) -> Task:
        """A kernel thread: a task that may stay asleep for ever without counting as stuck."""
        return self.spawn(fn, *args, name=name, flags=flags | PF_KTHREAD)

    def join(self, task: Task) -> Any:
        """Wait until ``task`` is dead; its result."""
        self.touch(task.key)
        if task.state is not DEAD:
            if task.joiners is None:
                task.joiners = []
            task.joiners.append(self.current)
            while task.state is not DEAD:
                self.block(task)
        return task.result

    def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        """From outside of any task: run ``fn(*args)`` as a task to its end; its result.

        Raises what it raised, and :class:`WouldDeadlock` when it can never end.
        """
        task = self.spawn(fn, *args)
        if not self.run(until=lambda: task.state is DEAD):
            raise WouldDeadlock(f"{task} never ends: {self.describe_blocked()}")
        return task.result

    def _new_carrier(self) -> Carrier:
        """A carrier that has been started, by the hub if a task wants it (see :meth:`Carrier.run`)."""
        here = getcurrent()
        if isinstance(here, Carrier) and self.current.carrier is here:
            self._wanted = here
            made: Carrier = self.hub.switch()
            return made
        carrier = Carrier(parent=self.hub)
        carrier.switch(here)
        return carrier

    def exit_current(self, carrier: Carrier) -> Any:
        """The running task is over; the stack to go on with, while ``carrier`` waits for a task."""
        task = self.current
        task.state = DEAD
        if self.closing:
            self.carriers.append(carrier)
            return self.hub
        self.touch(task.key | WRITE)
        self.runnable.remove(task)
        if self.tracer is not None:
            self.tracer.exit(task)
        if task.error is None and (task.preempt_count or task.held_locks):
            self._check_exit(task)
        if task.error is not None:
            self.failed = task
        if task.joiners is not None:
            for waiter in task.joiners:
                self.wake(waiter)
        self.carriers.append(carrier)
        self._dead += 1
        if self._dead >= 1_000 and self.scheduler is None:
            self.tasks = [task for task in self.tasks if task.state is not DEAD]
            self._dead = 0
        chosen = None if self.failed is not None else self._next()
        self.current = self.boot if chosen is None else chosen
        return self.hub if chosen is None else chosen.carrier

    def _check_exit(self, task: Task) -> None:
        held = task.held_locks if self.lockdep is not None and self.lockdep.debug_locks else None
        if held or task.preempt_count:
            what = ", ".join(map(str, held or ())) or "preemption or interrupts off"
            task.error = KernelBug(f"task ended with {what}", where=str(task))

    # Sleeping and waking

    def block(self, on: Any, state: State = UNINTERRUPTIBLE, timeout: int | None = None) -> bool:
        """Sleep until :meth:`wake`, or for ``timeout`` ns.  False when the time was over.

        The bottom of every wait; takes no lock and makes no check.  Use wait queues and locks instead.
        """
        task = self.current
        if task is self.boot:
            raise KernelBug(
                f"the boot context would sleep on {on!r}",
                where="swapper/0",
                remedy="do it in a task: Kernel.spawn or Kernel.call",
            )
        task.state = state
        task.waiting_on = on
        self.runnable.remove(task)
        if self.tracer is not None:
            self.tracer.block(task)
        alarm = None
        if timeout is not None:
            task.timed_out = False
            alarm = self.alarm(timeout, self._time_out, task)
        chosen = self._next()
        if chosen is None:
            self.current = self.boot
            self.hub.switch()
        elif chosen is not task:
            self.current = chosen
            chosen.carrier.switch()
        else:
            self.current = task
        task.waiting_on = None
        if task.irq_queue:
            self.run_interrupts(task)
        if alarm is None:
            return True
        alarm.cancel()
        return not task.timed_out

    def wake(self, task: Task) -> bool:
        """Make ``task`` runnable; False when it was, or is dead."""
        if task.state is RUNNING or task.state is DEAD:
            return False
        task.state = RUNNING
        # Time passes only when all sleep, so what it wakes comes after everything before.
        task.woken_step = self.step if self.current is not self.boot else -2 - self.step
        task.access = LOCAL
        self.runnable.append(task)
        self.fresh.append(task)
        if self.tracer is not None:
            self.tracer.wake(task)
        return True

    def signal(self, task: Task) -> None:
        """Send a fatal signal: interruptible and killable sleeps end."""
        if self.current is not self.boot:
            self.point("signal", task, task.key | WRITE)
        task.signal_pending = True
        if (task.state is State.INTERRUPTIBLE or task.state is State.KILLABLE) and self.wake(task):
            # It looks again at what it waits for, which may come before that.
            task.access = task.key

    def cond_resched(self) -> None:
        """Let others run.  When there are none, virtual time moves on, so that polling loops end."""
        task = self.current
        if self.scheduler is None:
            self.runnable.remove(task)
            self.runnable.append(task)
        else:
            self.point("cond_resched", None, YIELD)
        if len(self.runnable) == 1 or self.scheduler is None:
            self.clock.advance(self.clock.now() + 1_000)
        if self.scheduler is None or len(self.runnable) == 1:
            self._yield(task)

    # Running

    def run(
        self,
        until: Callable[[], bool] | None = None,
        *,
        until_time: int | None = None,
        forever: bool = False,
    ) -> bool:
        """Run tasks until ``until()`` holds, the clock would pass ``until_time``, or all sleep for good.

        ``until`` is asked at every switch of tasks.  With a real clock and ``forever`` (or ``until``),
        a kernel without work waits for its readers and for call_soon_threadsafe.  Raises what a task
        raised.  Returns whether ``until()`` holds (without one: whether no task is stuck).
        """
        if self.current is not self.boot:
            raise KernelBug("Kernel.run() inside of a task", where=str(self.current))
        self.hub = getcurrent()
        self._until, self._limit = until, until_time
        self._pick = _first if self.scheduler is None else self.scheduler.pick
        if self.tracer is not None:
            self.point = self._traced
        if self.scheduler is not None and self.scheduler.preemptive:
            bind = getattr(self.scheduler, "bind", None)
            if self.tracer is not None:
                self.point = self._traced
            else:
                self.point = self._preempt if bind is None else bind(self)
            self.touch = getattr(self.scheduler, "touch", _no_touch)
        try:
            while True:
                chosen = self._next()
                self.current = self.boot if chosen is None else chosen
                if chosen is not None:
                    chosen.carrier.switch()
                    while self._wanted is not None:
                        asker, self._wanted = self._wanted, None
                        carrier = Carrier(parent=self.hub)
                        carrier.switch(self.hub)
                        asker.switch(carrier)
                if self.failed is not None:
                    task, self.failed = self.failed, None
                    assert task.error is not None
                    raise task.error
                if self.stopped:
                    return False
                if until is not None and until():
                    return True
                if self.runnable and self._over():
                    return False
                if not self.runnable and not self._idle(forever or until is not None):
                    return not self.stuck() if until is None else False
        finally:
            self._until = self._limit = None
            self.point, self.touch = _no_point, _no_touch
            self.current = self.boot

    def close(self) -> None:
        """Unwind every task that still sleeps (their ``finally`` clauses run, no lock works)."""
        self.point = _dying
        self.closing = True
        self.runnable.clear()
        self.hub = getcurrent()
        for task in self.tasks:
            if task.state is DEAD or task.carrier is None:
                continue
            self.current = task
            if task.carrier.task is task:  # it has never begun
                task.state, task.carrier.task = DEAD, None
                self.carriers.append(task.carrier)
            else:
                task.carrier.parent = self.hub
                task.carrier.throw(GreenletExit)
        self.current = self.boot
        if self.external is not None:
            self.external.close()

    def forget(self) -> None:
        """Unwind what still sleeps and let go of all, when this kernel is not used any more.

        Its memory then comes free at once and its stacks can be used again; a search would otherwise keep
        the garbage collector busy.
        """
        if len(self.tasks) - 1 != self._dead:
            self.close()
        self.tasks.clear()
        self.parts.clear()
        self.point = _no_point
        self.scheduler = None
        self._pick = _first
        del self.boot, self.current

    def _next(self) -> Task | None:
        """Who runs now; None hands control to the loop in :meth:`run`."""
        if self._posts:
            self._drain()
        while True:
            if self._alarms.heap and (due := self._alarms.next_deadline()) is not None:
                now = self.clock.now()
                if due <= now or not (self.runnable or self.clock.real):
                    if self._limit is not None and due > self._limit:
                        self.clock.advance(self._limit)
                        return None
                    self._fire()
                    continue
            if self._until is not None and self._until():
                return None
            if self._limit is not None and self._over():
                return None
            runnable = self.runnable
            if not runnable:
                return None
            return self._pick(self)

    def _yield(self, task: Task) -> None:
        chosen = self._next()
        if chosen is None:
            self.current = self.boot
            self.hub.switch()
        else:
            self.current = chosen
            if chosen is not task:
                chosen.carrier.switch()
        if task.irq_queue:
            self.run_interrupts(task)

    def _preempt(self, op: str, obj: Any, access: int) -> None:
        """A visible operation under a preemptive scheduler: somebody else may go first."""
        task = self.current
        task.access = access
        chosen = self._pick(self)
        if chosen is not task:
            self.hand_over(chosen)
        if task.irq_queue:
            self.run_interrupts(task)

    def hand_over(self, chosen: Task | None) -> None:
        """``chosen`` goes on instead of the running task; None: the loop of :meth:`run`."""
        if chosen is None:
            self.current = self.boot
            self.hub.switch()
        else:
            self.current = chosen
            chosen.carrier.switch()

    def _traced(self, op: str, obj: Any, access: int) -> None:
        """A visible operation while somebody watches."""
        if self.scheduler is not None and self.scheduler.preemptive:
            self._preempt(op, obj, access)
        assert self.tracer is not None
        self.tracer.op(op, obj)

    @contextmanager
    def unscheduled(self) -> Iterator[None]:
        """Meanwhile tasks run in turn and nothing is traced: for the setup of a program that is explored,
        and for checks at its end."""
        kept = self.scheduler, self.tracer
        self.scheduler, self.tracer = None, None
        try:
            yield
        finally:
            self.scheduler, self.tracer = kept

    def new_key(self) -> int:
        """A fresh key for accesses (see WRITE and STATE)."""
        self._keys += 4
        return self._keys


def _first(kernel: Kernel) -> Task:
    """Without a scheduler tasks run in turn."""
    kernel.fresh.clear()
    return kernel.runnable[0]


def _nothing() -> None:
    """The boot context has no function of its own."""


def _dying(op: str, obj: Any, access: int) -> None:
    raise GreenletExit
