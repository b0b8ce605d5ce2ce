"""Workqueues: functions that run later, in a kernel thread.

Workers come from one pool.  Work for which no worker is idle asks for a new one, which in a real kernel needs
memory: ``WorkerPool.before_create`` is called then and may sleep.  Until it returns only a
queue made with ``WQ_MEM_RECLAIM`` makes progress: its rescuer thread has existed since the queue was made
(kernel/workqueue.c: MAYDAY_INITIAL_TIMEOUT is 10 ms).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ring3.kernel.alarm import Alarm
from ring3.kernel.core import WRITE
from ring3.kernel.task import PF_WQ_WORKER, State, Task
from ring3.kernel.wait import Completion

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel
    from ring3.kernel.lockdep import LockMap

WQ_UNBOUND = 1 << 1
WQ_FREEZABLE = 1 << 2
WQ_MEM_RECLAIM = 1 << 3
WQ_HIGHPRI = 1 << 4
MAYDAY_NS = 10_000_000


class Work:
    """struct work_struct: ``fn(*args)`` runs once per successful queueing, never twice at a time.

    Runs are numbered: ``queued`` is the latest that was asked for, ``run`` the one that ``worker`` is at.
    """

    __slots__ = (
        "args",
        "cancelling",
        "flushes",
        "fn",
        "kernel",
        "key",
        "map",
        "name",
        "pending",
        "queue",
        "queued",
        "run",
        "worker",
    )

    def __init__(
        self, kernel: Kernel, fn: Callable[..., Any], *args: Any, name: str | None = None
    ) -> None:
        self.kernel = kernel
        self.fn = fn
        self.args = args
        self.name = name or str(getattr(fn, "__name__", "work"))
        self.pending = False
        self.worker: Task | None = None
        self.queue: Workqueue | None = None
        self.queued = self.run = 0
        self.cancelling = 0  # how many are at it; meanwhile it cannot be queued
        self.flushes: list[tuple[int, Completion]] = []  # (run, done when it and those before are)
        self.key = WorkerPool.of(kernel).key
        self.map: LockMap | None = None
        if kernel.lockdep is not None:
            self.map = kernel.lockdep.named_map(f"(work_completion)({self.name})")

    def flush(self) -> bool:
        """flush_work: sleep until the runs asked for so far have ended; False when there are none."""
        kernel = self.kernel
        kernel.might_sleep("flush_work")
        if self.map is not None:
            self.map.acquire()
            self.map.release()
        if self.queue is not None and (self.pending or self.worker is not None):
            self.queue.dependency()
        kernel.point("flush_work", self, self.key | WRITE)
        if not self.pending and self.worker is None:
            return False
        self.runs_so_far().wait()
        return True

    def runs_so_far(self) -> Completion:
        """Done when the runs asked for so far, of which there are some, have ended."""
        done = Completion(self.kernel, f"flush of {self.name}")
        self.flushes.append((self.queued, done))
        return done

    def ended(self) -> None:
        """One of its runs is over, or will not be: who waited for the last of them goes on."""
        if self.worker is not None:
            next_end = self.run
        else:
            next_end = self.queued if self.pending else self.queued + 1
        over = [done for last, done in self.flushes if last < next_end]
        self.flushes = [flush for flush in self.flushes if flush[0] >= next_end]
        for done in over:
            done.complete_all()

    def cancel(self) -> bool:
        """cancel_work: take it off its queue; whether it was on it."""
        self.kernel.point("cancel_work", self, self.key | WRITE)
        if not self.pending or self.queue is None:
            return False
        self.queue.remove(self)
        return True

    def cancel_sync(self) -> bool:
        """cancel_work_sync: after it the work neither is queued nor runs, even if it queues itself."""
        self.cancelling += 1
        cancelled = self.cancel()
        if self.map is not None:
            self.map.acquire()
            self.map.release()
        while self.worker is not None:
            self.flush()
        self.cancelling -= 1
        return cancelled

    def __repr__(self) -> str:
        return f"work {self.name}"


class DelayedWork(Work):
    """struct delayed_work: queued after a delay."""

    __slots__ = ("_alarm",)

    def __init__(
        self, kernel: Kernel, fn: Callable[..., Any], *args: Any, name: str | None = None
    ) -> None:
        super().__init__(kernel, fn, *args, name=name)
        self._alarm: Alarm | None = None

    def cancel(self) -> bool:
        was_timed = self._alarm is not None and self._alarm.cancel()
        return super().cancel() or was_timed

    def flush(self) -> bool:
        """flush_delayed_work: do not wait for the delay."""
        if self._alarm is not None and self._alarm.cancel() and self.queue is not None:
            self.queue.queue(self)
        return super().flush()

    def schedule_on(self, queue: Workqueue, delay: int) -> bool:
        timed = self._alarm is not None and self._alarm.fn is not None
        if self.pending or timed or self.cancelling:
            return False
        self.queue = queue
        self._alarm = self.kernel.alarm(delay, queue._enqueue, self)
        return True


class Workqueue:
    """A named queue of work.  At most ``max_active`` items run at once (1: ordered)."""

    def __init__(self, kernel: Kernel, name: str, *, flags: int = 0, max_active: int = 256) -> None:
        self.kernel = kernel
        self.name = name
        self.flags = flags
        self.key = WorkerPool.of(kernel).key
        self.max_active = max_active
        self.todo: deque[Work] = deque()
        self.running: list[Work] = []
        self.rescuer: Task | None = None
        self.map: LockMap | None = None
        if kernel.lockdep is not None:
            self.map = kernel.lockdep.named_map(f"(wq_completion){name}")
        self.pool = WorkerPool.of(kernel)
        self._mayday: Alarm | None = None
        if flags & WQ_MEM_RECLAIM:
            self.rescuer = kernel.kthread_run(self._rescue, name=name, flags=PF_WQ_WORKER)

    @classmethod
    def ordered(cls, kernel: Kernel, name: str, *, flags: int = 0) -> Workqueue:
        """alloc_ordered_workqueue: one item at a time, in order."""
        return cls(kernel, name, flags=flags | WQ_UNBOUND, max_active=1)

    def queue(self, work: Work) -> bool:
        """queue_work: False when it was queued already, or is being cancelled."""
        self.kernel.point("queue_work", work, self.key | WRITE)
        return self._enqueue(work)

    def queue_delayed(self, work: DelayedWork, delay: int) -> bool:
        """queue_delayed_work: in ``delay`` ns; False when it was pending already."""
        self.kernel.point("queue_delayed_work", work, self.key | WRITE)
        return work.schedule_on(self, delay)

    def mod_delayed(self, work: DelayedWork, delay: int) -> bool:
        """mod_delayed_work: as :meth:`queue_delayed`, replacing an earlier delay."""
        pending = work.cancel()
        self.queue_delayed(work, delay)
        return pending

    def flush(self) -> None:
        """flush_workqueue: sleep until everything queued so far has run."""
        kernel = self.kernel
        kernel.might_sleep("flush_workqueue")
        if self.map is not None:
            self.map.acquire()
            self.map.release()
        kernel.point("flush_workqueue", self, self.key | WRITE)
        for done in [work.runs_so_far() for work in dict.fromkeys((*self.running, *self.todo))]:
            done.wait()

    def destroy(self) -> None:
        """destroy_workqueue: drain it and end its rescuer."""
        while self.todo or self.running:
            self.flush()
        rescuer, self.rescuer = self.rescuer, None
        if rescuer is not None:
            self.kernel.wake(rescuer)

    def dependency(self) -> None:
        """Tell lockdep that the running task waits for something on this queue."""
        if self.map is not None and (self.max_active == 1 or self.flags & WQ_MEM_RECLAIM):
            self.map.acquire()
            self.map.release()
        worker = self.pool.current_queue(self.kernel.current)
        if worker is None or self.flags & WQ_MEM_RECLAIM or not worker.flags & WQ_MEM_RECLAIM:
            return
        self.kernel.warn(
            f"workqueue: WQ_MEM_RECLAIM {worker.name} is flushing !WQ_MEM_RECLAIM {self.name}"
        )

    def remove(self, work: Work) -> None:
        """Forget ``work``, which is queued but does not run."""
        self.todo.remove(work)
        work.pending = False
        self._ended(work)

    def _enqueue(self, work: Work) -> bool:
        if work.pending or work.cancelling:
            return False
        work.pending = True
        work.queued += 1
        work.queue = self
        self.todo.append(work)
        self._kick()
        return True

    def _kick(self) -> None:
        if self._ready():
            self.pool.kick(self)
            if self.rescuer is not None and (self._mayday is None or self._mayday.fn is None):
                self._mayday = self.kernel.alarm(MAYDAY_NS, self._call_rescuer)

    def _ready(self) -> bool:
        return bool(self.todo) and len(self.running) < self.max_active

    def take(self) -> Work | None:
        """The next item that may run now, for a worker."""
        self.kernel.touch(self.key | WRITE)
        if not self._ready():
            return None
        for work in self.todo:
            if work.worker is None:  # an item that still runs and was queued again must wait
                self.todo.remove(work)
                self.running.append(work)
                return work
        return None

    def run_one(self, work: Work) -> None:
        """Run ``work`` in the current task, with lockdep's maps held."""
        work.pending = False
        work.run = work.queued
        work.worker = self.kernel.current
        if self.map is not None and work.map is not None:
            self.map.acquire()
            work.map.acquire()
        work.fn(*work.args)
        if self.map is not None and work.map is not None:
            work.map.release()
            self.map.release()
        work.worker = None
        self.running.remove(work)
        self._ended(work)
        self._kick()

    def _ended(self, work: Work) -> None:
        self.kernel.touch(self.key | WRITE)
        work.ended()

    def _call_rescuer(self) -> None:
        if self._ready() and self.pool.creating and self.rescuer is not None:
            self.kernel.wake(self.rescuer)

    def _rescue(self) -> None:
        kernel = self.kernel
        me = kernel.current
        while self.rescuer is me:
            kernel.block(self, State.IDLE)  # until mayday, or the end of the queue
            while self.pool.creating and (work := self.take()) is not None:
                self.run_one(work)

    def __repr__(self) -> str:
        return f"workqueue {self.name}"


class WorkerPool:
    """The workers of one kernel: ``WorkerPool.of(kernel)``."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.key = kernel.new_key()  # one for all queues: any of them may take any worker
        self.idle: list[Task] = []
        self.creating = 0
        self.before_create: Callable[[], None] | None = None
        self.needy: deque[Workqueue] = deque()
        self._count = 0
        self._serving: dict[Task, Workqueue] = {}

    @staticmethod
    def of(kernel: Kernel) -> WorkerPool:
        if "workers" not in kernel.parts:
            kernel.parts["workers"] = WorkerPool(kernel)
        return kernel.parts["workers"]

    def current_queue(self, task: Task) -> Workqueue | None:
        """The queue whose item ``task`` runs."""
        return self._serving.get(task)

    def kick(self, queue: Workqueue) -> None:
        """``queue`` has an item that may run: find a worker for it."""
        self.needy.append(queue)
        if self.idle:
            self.kernel.wake(self.idle.pop())
        elif not self.creating:
            self.creating += 1
            self._count += 1
            name = f"kworker/u:{self._count}"
            self.kernel.kthread_run(self._worker, name=name, flags=PF_WQ_WORKER)

    def _worker(self) -> None:
        if self.before_create is not None:
            self.before_create()
        self.creating -= 1
        kernel = self.kernel
        me = kernel.current
        while True:
            while self.needy:
                queue = self.needy.popleft()
                work = queue.take()
                if work is None:
                    continue
                if self.needy:
                    self.kick(
                        self.needy.popleft()
                    )  # the item may sleep: others must not wait for it
                self._serving[me] = queue
                queue.run_one(work)
                del self._serving[me]
            self.idle.append(me)
            kernel.block("work", State.IDLE)
