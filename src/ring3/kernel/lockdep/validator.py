"""The lock validator: what it does at each acquire, release, and change of interrupt state.

Rules as in kernel/locking/lockdep.c (7.2).  After its first report it is silent, as the kernel's is: the
graph is then no longer trustworthy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ring3.kernel.lockdep import findings, text, usage
from ring3.kernel.lockdep.graph import (
    Edge,
    LockClass,
    Step,
    backward_kind,
    forward_kind,
    search,
)
from ring3.kernel.locks import WAIT_CONFIG, WAIT_INV, WAIT_MAX, WAIT_SPIN
from ring3.kernel.report import Frame, Stack, caller, stack
from ring3.kernel.task import HARDIRQ_MASK, IRQS_OFF, SOFTIRQ_MASK, SOFTIRQ_OFFSET, Task

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel

MAX_SUBCLASSES = 8
MAX_DEPTH = 48


@dataclass(eq=False, slots=True)
class HeldLock:
    """One entry of a task's stack of held locks."""

    lock_class: LockClass
    map: LockMap
    read: int
    trylock: bool
    check: bool
    irq_context: int
    nest: LockMap | None
    frame: Frame
    chain: int = 0
    references: int = 0

    def __str__(self) -> str:
        return str(self.lock_class)


class LockMap:
    """A lock as lockdep sees it (struct lockdep_map); the instance, while the class is many."""

    __slots__ = ("classes", "key", "lockdep", "per_cpu", "subclass", "wait_inner", "wait_outer")

    def __init__(
        self,
        lockdep: Lockdep,
        key: str,
        *,
        wait_inner: int = WAIT_INV,
        wait_outer: int = WAIT_INV,
        per_cpu: bool = False,
    ) -> None:
        self.lockdep = lockdep
        self.key = key
        self.wait_inner = wait_inner
        self.wait_outer = wait_outer
        self.per_cpu = per_cpu
        self.subclass = 0
        self.classes: dict[int, LockClass] = {}

    def set_class(self, key: str, subclass: int = 0) -> None:
        """lockdep_set_class_and_subclass: this lock follows rules of its own."""
        self.key = key
        self.subclass = subclass
        self.classes = {}

    def lock_class(self, subclass: int = 0) -> LockClass:
        found = self.classes.get(subclass)
        if found is None:
            found = self.classes[subclass] = self.lockdep.register(self, subclass)
        return found

    def acquire(
        self,
        *,
        subclass: int = 0,
        read: int = 0,
        trylock: bool = False,
        check: bool = True,
        nest: Any = None,
    ) -> None:
        """lock_acquire: ``read`` 0 exclusive, 1 shared, 2 shared and recursive.

        ``nest`` is the lock (or acquire context, or map) that serialises locks of this class.
        """
        if self.lockdep.debug_locks:
            held = HeldLock(
                self.lock_class(subclass or self.subclass),
                self,
                read,
                trylock,
                check,
                0,
                nest if nest is None or isinstance(nest, LockMap) else nest.map,
                caller(2),
            )
            self.lockdep.acquire(held)

    def release(self) -> None:
        """lock_release."""
        if self.lockdep.debug_locks:
            self.lockdep.release(self)

    def downgrade(self) -> None:
        """lock_downgrade: from exclusive to shared."""
        if self.lockdep.debug_locks:
            self.lockdep.downgrade(self)


class Lockdep:
    """The validator of one kernel: ``kernel.lockdep``.  ``reports`` has at most one entry.

    ``force_read_lock_recursive`` makes every read_lock() a recursive one, as kernels without queued
    rwlocks do; the kernel's own selftest sets it.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.debug_locks = True
        self.force_read_lock_recursive = False
        self.reports: list[text.Report] = []
        self.classes: dict[tuple[str, int], LockClass] = {}
        self._chains: dict[tuple[int, int], int] = {}
        self._validated: set[int] = set()
        self._threaded: set[Task] = set()

    # Maps

    def new_map(self, lock: Any) -> LockMap:
        """The map of ``lock``, which declares its class and wait types."""
        return LockMap(
            self,
            lock.lock_class,
            wait_inner=lock.wait_inner,
            per_cpu=lock.per_cpu,
        )

    def named_map(
        self, name: str, *, wait_inner: int = WAIT_INV, wait_outer: int = WAIT_INV
    ) -> LockMap:
        """A map that belongs to no lock: fs_reclaim, dma_fence_map, a workqueue."""
        return LockMap(self, name, wait_inner=wait_inner, wait_outer=wait_outer)

    def register(self, lock_map: LockMap, subclass: int) -> LockClass:
        """The class of a key and subclass, made when it is first used."""
        key = (lock_map.key, subclass)
        if key not in self.classes:
            self.classes[key] = LockClass(
                lock_map.key,
                subclass,
                len(self.classes),
                lock_map.wait_inner,
                lock_map.wait_outer,
                lock_map.per_cpu,
            )
        return self.classes[key]

    # Events

    def acquire(self, held: HeldLock) -> None:
        task = self.kernel.current
        stack_of_held = self._held(task)
        if held.lock_class.subclass >= MAX_SUBCLASSES:
            self.warn_on(f"subclass {held.lock_class.subclass} of at most {MAX_SUBCLASSES}")
            return
        if stack_of_held and held.nest is not None:
            top = stack_of_held[-1]
            if top.lock_class is held.lock_class:
                # Under a nest lock a second one of the class is only counted.
                top.references = (top.references or 1) + (held.references or 1)
                return
        held.irq_context = _irq_context(task)
        if not (self._check_wait_context(task, held) and self._mark_usage(task, held)):
            return
        head = not stack_of_held or stack_of_held[-1].irq_context != held.irq_context
        link = (0 if head else stack_of_held[-1].chain, held.lock_class.index << 2 | held.read)
        held.chain = self._chains.setdefault(link, len(self._chains) + 1)
        if held.nest is not None and self.find(task, held.nest, any_context=True) is None:
            body = [f"{task} is trying to lock:", text.describe(held)]
            body += ["", "but this task is not holding:", held.nest.key]
            self._report("nest-lock", task, body, [held.lock_class])
            return
        if (
            held.check
            and not held.trylock
            and held.chain not in self._validated
            and not self._validate(task, held, head)
        ):
            return
        stack_of_held.append(held)
        if len(stack_of_held) >= MAX_DEPTH:
            self.warn_on(f"more than {MAX_DEPTH} locks held: the depth of the stack is too low")

    def release(self, lock_map: LockMap) -> None:
        task = self.kernel.current
        held = self.find(task, lock_map)
        if held is None:
            body = [f"{task} is trying to release lock ({lock_map.key}) at:", str(caller(2))]
            body.append("but there are no more locks to release!")
            self._report("unlock-balance", task, body, [lock_map.lock_class(lock_map.subclass)])
            return
        if held.references:
            held.references -= 1
            if held.references:
                return
        place = task.held_locks.index(held)
        self._reacquire(task, place, drop=1)

    def downgrade(self, lock_map: LockMap) -> None:
        task = self.kernel.current
        held = self.find(task, lock_map)
        if held is None:
            self.release(lock_map)
            return
        held.read = 1
        self._reacquire(task, task.held_locks.index(held), drop=0)

    def destroyed(self, lock_map: LockMap) -> None:
        """The memory of a lock is freed or initialised again (debug_check_no_locks_freed)."""
        task = self.kernel.current
        if not self.debug_locks:
            return
        for held in self._held(task):
            if held.map is lock_map:
                body = [f"{task} is freeing memory with a lock still held there:"]
                self._report("held-freed", task, [*body, text.describe(held)], [held.lock_class])
                return

    def warn_on(self, message: str) -> None:
        """DEBUG_LOCKS_WARN_ON: a rule of the locks themselves was broken."""
        if self.debug_locks:
            self._report("debug-locks", self.kernel.current, [message], [])

    def hardirqs_on(self) -> None:
        """Interrupts are about to be enabled."""
        task = self.kernel.current
        if task.preempt_count & IRQS_OFF and not task.preempt_count & HARDIRQ_MASK:
            self._mark_held(task, usage.HARDIRQ | usage.ENABLED)
            if not task.preempt_count & SOFTIRQ_MASK:
                self._mark_held(task, usage.SOFTIRQ | usage.ENABLED)

    def softirqs_on(self) -> None:
        """Softirqs have been enabled, at least one level of them."""
        task = self.kernel.current
        if not task.preempt_count & (SOFTIRQ_MASK | IRQS_OFF):
            self._mark_held(task, usage.SOFTIRQ | usage.ENABLED)

    def irq_enter(self, task: Task, threaded: bool) -> None:
        """A hard interrupt is served on top of ``task``; ``threaded`` ones are threads under PREEMPT_RT."""
        if threaded:
            self._threaded.add(task)

    def irq_exit(self, task: Task) -> None:
        self._threaded.discard(task)

    def find(self, task: Task, lock_map: LockMap, *, any_context: bool = False) -> HeldLock | None:
        """The entry of ``lock_map`` on the task's stack, by default in its present context only."""
        above: HeldLock | None = None
        for held in reversed(self._held(task)):
            if above is not None and above.irq_context != held.irq_context and not any_context:
                return None
            if held.map is lock_map:
                return held
            if held.references and held.lock_class is lock_map.lock_class(lock_map.subclass):
                return held
            above = held
        return None

    # Checks

    def _check_wait_context(self, task: Task, held: HeldLock) -> bool:
        inner = held.lock_class.wait_inner
        outer = held.lock_class.wait_outer or inner
        if not inner or held.trylock:
            return True
        count = task.preempt_count
        if count & HARDIRQ_MASK:
            bears = WAIT_CONFIG if task in self._threaded else WAIT_SPIN
        else:
            bears = WAIT_CONFIG if count & SOFTIRQ_OFFSET else WAIT_MAX
        context = bears
        for other in self._held(task):
            if other.irq_context == held.irq_context and other.lock_class.wait_inner:
                bears = min(bears, other.lock_class.wait_inner)
        if outer <= bears:
            return True
        body = [f"{task} is trying to lock:", text.describe(held)]
        body.append(f"other info that might help us debug this:\ncontext-{{{context}:{context}}}")
        self._report("wait-context", task, body, [held.lock_class])
        return False

    def _mark_usage(self, task: Task, held: HeldLock) -> bool:
        count = task.preempt_count
        read = usage.READ if held.read else 0
        bits: list[int] = []
        if held.check:
            if not held.trylock:
                if count & HARDIRQ_MASK:
                    bits.append(usage.HARDIRQ | read)
                if count & SOFTIRQ_OFFSET:
                    bits.append(usage.SOFTIRQ | read)
            if not count & IRQS_OFF:
                bits.append(usage.HARDIRQ | usage.ENABLED | read)
                if not count & SOFTIRQ_MASK:
                    bits.append(usage.SOFTIRQ | usage.ENABLED | read)
        bits.append(usage.USED_READ if read else usage.USED)
        return all(self._mark(task, held, bit) for bit in bits)

    def _mark_held(self, task: Task, bit: int) -> None:
        for held in self._held(task):
            if held.check and not self._mark(task, held, bit | (usage.READ if held.read else 0)):
                return

    def _mark(self, task: Task, held: HeldLock, bit: int) -> bool:
        lock_class = held.lock_class
        if lock_class.usage & 1 << bit:
            return True
        if not self.debug_locks:
            return False
        lock_class.usage |= 1 << bit
        lock_class.traces[bit] = stack()
        if bit >= usage.USED:
            return True
        opposite = usage.exclusive_bit(bit)
        bad = [opposite] if bit & usage.READ else [opposite, opposite | usage.READ]
        for other in bad:
            if lock_class.usage & 1 << other:
                self._found(findings.inconsistent(task, held, other, bit))
                return False
        return self._check_inversion(task, held, bit, opposite)

    def _check_inversion(self, task: Task, held: HeldLock, bit: int, opposite: int) -> bool:
        """Marking ENABLED looks back for a class used in interrupts, marking USED_IN looks forward."""
        back = bool(bit & usage.ENABLED)
        mask = 1 << opposite | 1 << (opposite | usage.READ)
        root = Step(held.lock_class, held.read != 0 if back else held.read == 2)
        found = search(root, _usage_test(mask), backwards=back, skip=_skip)
        if found is None:
            return True
        self._found(findings.irq_inversion(task, held, bit, found))
        return False

    def _validate(self, task: Task, held: HeldLock, head: bool) -> bool:
        """A chain of held locks that was not seen before."""
        self._validated.add(held.chain)
        nested = self._check_recursion(task, held)
        if nested is None:
            return False
        if head or nested:
            return True
        trace = stack()
        previous = self._held(task)
        for place in range(len(previous) - 1, -1, -1):
            before = previous[place]
            if before.irq_context != held.irq_context:
                break
            if before.check:
                if not self._add_dependency(task, before, held, trace):
                    return False
                # Locks that were waited for have their own dependencies; trylocks have none.
                if not before.trylock:
                    break
        return True

    def _check_recursion(self, task: Task, held: HeldLock) -> bool | None:
        """None: reported.  True: its class is held, but under a nest lock.  False: nothing to say."""
        nest = False
        for other in self._held(task):
            nest = nest or (held.nest is not None and other.map is held.nest)
            if other.lock_class is not held.lock_class or (held.read == 2 and other.read):
                continue
            if nest:
                return True
            self._found(findings.recursive(task, other, held))
            return None
        return False

    def _add_dependency(self, task: Task, before: HeldLock, held: HeldLock, trace: Stack) -> bool:
        target, source = before.lock_class, held.lock_class

        def conflicts(step: Step) -> bool:
            return step.lock_class is target and (before.read == 0 or not step.only_weak)

        found = search(Step(source, held.read == 2), conflicts)
        if found is not None:
            if source is target:
                self._found(findings.recursive(task, before, held))
            else:
                self._found(findings.circular(task, before, held, found))
            return False
        if not self._check_irq_dependency(task, before, held):
            return False
        _join(target.after, source, forward_kind(before.read, held.read), trace)
        _join(source.before, target, backward_kind(before.read, held.read), trace)
        return True

    def _check_irq_dependency(self, task: Task, before: HeldLock, held: HeldLock) -> bool:
        """Would the new dependency lead from a class used in interrupts to one taken with them on?"""
        seen = 0

        def accumulate(step: Step) -> bool:
            nonlocal seen
            mask = step.lock_class.usage
            seen |= mask & usage.WRITE_MASK if step.only_weak else mask
            return False

        search(Step(before.lock_class, before.read != 0), accumulate, backwards=True, skip=_skip)
        seen &= usage.USED_IN_MASK
        if not seen:
            return True
        forward = search(
            Step(held.lock_class, held.read == 2),
            _usage_test(usage.exclusive_mask(seen)),
            skip=_skip,
        )
        if forward is None:
            return True
        wanted = usage.exclusive_mask(forward.lock_class.usage & usage.ENABLED_MASK)
        backward = search(
            Step(before.lock_class, before.read != 0),
            _usage_test(wanted),
            backwards=True,
            skip=_skip,
        )
        if backward is None:
            return True
        self._found(findings.irq_dependency(task, before, held, backward, forward))
        return False

    def _reacquire(self, task: Task, place: int, drop: int) -> None:
        """Take the locks above ``place`` again: what is below them has changed."""
        above = task.held_locks[place + drop :]
        del task.held_locks[place:]
        for held in above:
            self.acquire(held)

    def _report(self, kind: str, task: Task, body: list[str], chain: list[LockClass]) -> None:
        self._found(text.compose(kind, task, body, chain))

    def _found(self, report: text.Report) -> None:
        self.debug_locks = False
        self.reports.append(report)
        self.kernel.printk(report.text)
        if self.kernel.tracer is not None:
            self.kernel.tracer.instant(f"lockdep: {report.kind}")

    def _held(self, task: Task) -> list[HeldLock]:
        if task.held_locks is None:
            task.held_locks = []
        held: list[HeldLock] = task.held_locks
        return held


def _irq_context(task: Task) -> int:
    count = task.preempt_count
    return 2 * (count & HARDIRQ_MASK != 0) + (count & SOFTIRQ_OFFSET != 0)


def _join(edges: dict[LockClass, Edge], other: LockClass, kind: int, trace: Stack) -> None:
    edge = edges.get(other)
    if edge is None:
        edges[other] = Edge(kind, trace)
    else:
        edge.kinds |= kind


def _skip(step: Step) -> bool:
    # local_lock is no lock without PREEMPT_RT, and cannot be part of an inversion with it.
    return step.lock_class.per_cpu


def _usage_test(mask: int) -> Any:
    def test(step: Step) -> bool:
        seen = step.lock_class.usage & mask
        return bool(seen & usage.WRITE_MASK if step.only_weak else seen)

    return test
