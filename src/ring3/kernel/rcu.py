"""RCU: readers that never wait, and frees that wait for the readers of their time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ring3.kernel.core import WRITE
from ring3.kernel.irq import Softirq
from ring3.kernel.locks import (
    WAIT_CONFIG,
    WAIT_FREE,
    WAIT_SPIN,
    local_bh_disable,
    local_bh_enable,
)
from ring3.kernel.task import Task
from ring3.kernel.wait import Completion

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel
    from ring3.kernel.lockdep import LockMap

_FLAVOURS = (
    ("rcu", "rcu_read_lock", WAIT_CONFIG),
    ("bh", "rcu_read_lock_bh", WAIT_CONFIG),
    ("sched", "rcu_read_lock_sched", WAIT_SPIN),
)


class Rcu:
    """One per kernel: ``Rcu.of(kernel)``."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.key = kernel.new_key()
        self.readers: set[Task] = set()
        self.pending: list[tuple[set[Task], Callable[..., Any], tuple[Any, ...]]] = []
        self.maps: dict[str, LockMap] | None = None
        if kernel.lockdep is not None:
            # What a read-side section may do inside does not depend on where it begins: outer is FREE.
            self.maps = {
                flavour: kernel.lockdep.named_map(name, wait_inner=inner, wait_outer=WAIT_FREE)
                for flavour, name, inner in _FLAVOURS
            }

    @staticmethod
    def of(kernel: Kernel) -> Rcu:
        if "rcu" not in kernel.parts:
            kernel.parts["rcu"] = Rcu(kernel)
        return kernel.parts["rcu"]

    def read_lock(self, flavour: str = "rcu") -> None:
        """rcu_read_lock; ``flavour`` "bh" or "sched" is rcu_read_lock_bh or _sched."""
        kernel = self.kernel
        task = kernel.current
        kernel.point("rcu_read_lock", self, self.key | WRITE)
        if flavour == "bh":
            local_bh_disable(kernel)
        elif flavour == "sched":
            kernel.preempt_disable()
        task.rcu_nesting += 1
        self.readers.add(task)
        if self.maps is not None:
            self.maps[flavour].acquire(read=2, check=False)

    def read_unlock(self, flavour: str = "rcu") -> None:
        kernel = self.kernel
        task = kernel.current
        kernel.point("rcu_read_unlock", self, self.key | WRITE)
        if self.maps is not None:
            self.maps[flavour].release()
        task.rcu_nesting -= 1
        if flavour == "bh":
            local_bh_enable(kernel)
        elif flavour == "sched":
            kernel.preempt_enable()
        if task.rcu_nesting == 0:
            self.readers.discard(task)
            self._reader_left(task)

    def __enter__(self) -> None:
        self.read_lock()

    def __exit__(self, *_: object) -> None:
        self.read_unlock()

    def call(self, fn: Callable[..., Any], *args: Any) -> None:
        """call_rcu: ``fn(*args)`` in softirq context once all present readers have left."""
        self.kernel.point("call_rcu", self, self.key | WRITE)
        self.pending.append((set(self.readers), fn, args))
        self._run_ready()

    def synchronize(self) -> None:
        """synchronize_rcu: sleep until all present readers have left."""
        self.kernel.might_sleep("synchronize_rcu")
        done = Completion(self.kernel, "rcu grace period")
        self.call(done.complete)
        done.wait()

    def barrier(self) -> None:
        """rcu_barrier: sleep until every callback queued so far has run."""
        while self.pending:
            self.synchronize()

    def _reader_left(self, task: Task) -> None:
        for readers, _, _ in self.pending:
            readers.discard(task)
        self._run_ready()

    def _run_ready(self) -> None:
        # Grace periods end in order, so a later callback never overtakes an earlier one.
        while self.pending and not self.pending[0][0]:
            _, fn, args = self.pending.pop(0)
            Softirq(self.kernel, "rcu", fn, *args).raise_()

    def __repr__(self) -> str:
        return "RCU"
