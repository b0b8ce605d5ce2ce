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
    """struct work_struct: ``fn(*args)`` runs once per successful queueing, never twice at a time."""

    __slots__ = ("args", "fn", "idle", "kernel", "key", "map", "name", "pending", "queue", "worker")

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
        self.idle: list[Completion] = []  # of those who flush this work
        self.key = WorkerPool.of(kernel).key
        self.map: LockMap | None = None
        if kernel.lockdep is not None:
            self.map = kernel.lockdep.named_map(f"(work_completion)({self.name})")

    def flush(self) -> bool:
        """flush_work: sleep until it neither is queued nor runs; False when it did not."""
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
        done = Completion(kernel, f"flush of {self.name}")
        self.idle.append(done)
        done.wait()
        return True

    def cancel(self) -> bool:
        """cancel_work: take it off its queue; whether it was on it."""
        self.kernel.point("cancel_work", self, self.key | WRITE)
        if not self.pending or self.queue is None:
            return False
        self.queue.remove(self)
        return True

    def cancel_sync(self) -> bool:
        """cancel_work_sync: after it the work neither is queued nor runs."""
        cancelled = self.cancel()
        if self.map is not None:
            self.map.acquire()
            self.map.release()
        while self.worker is not None:
            self.flush()
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
        if self.pending or (self._alarm is not None and self._alarm.fn is not None):
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
        self._drained: list[tuple[set[int], Completion]] = []
        if flags & WQ_MEM_RECLAIM:
            self.rescuer = kernel.kthread_run(self._rescue, name=name, flags=PF_WQ_WORKER)

    @classmethod
    def ordered(cls, kernel: Kernel, name: str, *, flags: int = 0) -> Workqueue:
        """alloc_ordered_workqueue: one item at a time, in order."""
        return cls(kernel, name, flags=flags | WQ_UNBOUND, max_active=1)

    def queue(self, work: Work) -> bool:
        """queue_work: False when it was queued already."""
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
        waiting = {id(work) for work in (*self.todo, *self.running)}
        if waiting:
            done = Completion(kernel, f"flush of {self.name}")
            self._drained.append((waiting, done))
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
        if work.pending:
            return False
        work.pending = True
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
        if not work.pending:
            for done in work.idle:
                done.complete_all()
            work.idle.clear()
        for waiting, done in self._drained:
            waiting.discard(id(work))
            if not waiting:
                done.complete_all()
        self._drained = [entry for entry in self._drained if entry[0]]

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
