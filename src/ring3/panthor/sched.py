"""The firmware scheduler's driver: which groups are in the GPU's slots, faults, time-outs.

Groups that have work wait in run lists by priority.  While there are more of them than slots, a tick every
10 ms lets them take turns; higher priorities go first.  A tick that comes earlier, because a slot may be
free, takes no slot from who works, except that the highest priority preempts at once.  A group that waits
for a sync object gives its slot to one that can work, and comes back when the object has been written.
Rules of "DOC: Scheduler" and the tick in drivers/gpu/drm/panthor/panthor_sched.c (7.2).
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from errno import EINVAL, ENOMEM
from typing import TYPE_CHECKING

from ring3.kernel import WQ_UNBOUND, DelayedWork, Mutex, Workqueue
from ring3.mali import (
    ExceptionCode,
    GroupIdle,
    MmuFault,
    ProgressTimeout,
    QueueFault,
    SlotEvent,
    SyncUpdate,
    TilerOutOfMemory,
)
from ring3.panthor.group import Group, PanthorJob, Queue, State

if TYPE_CHECKING:
    from ring3.panthor.device import PanthorDevice
    from ring3.panthor.vm import Vm

TICK = 10_000_000
PRIORITIES = 4
_REALTIME = PRIORITIES - 1


class Scheduler:
    """Slots and run lists.  ``lock`` guards both and every group's state."""

    def __init__(self, device: PanthorDevice) -> None:
        self.device = device
        kernel = device.kernel
        self.lock = Mutex(kernel, "panthor_scheduler.lock")
        self.wq = Workqueue(kernel, "panthor-csf-sched", flags=WQ_UNBOUND)
        self.slots: list[Group | None] = [None] * device.gpu.config.group_slots
        #: Groups with work and no slot, first come first.
        self.runnable: list[deque[Group]] = [deque() for _ in range(PRIORITIES)]
        #: Groups without a slot of which every queue waits for a sync object, or has nothing to do.
        self.waiting: list[Group] = []
        self.tick_work = DelayedWork(kernel, self._tick, name="panthor_sched_tick")
        self.slice_began = -TICK
        self.resetting = False

    # -- work arrives -----------------------------------------------------------------------------

    def job_ready(self, group: Group, queue: Queue) -> None:
        """A job is in ``queue``'s ring.  Lock held."""
        if group.slot is not None:
            self.device.hardware.doorbell(group.slot, queue.number, queue.insert)
            if len(queue.in_flight) == 1:
                queue.start_timeout()
            return
        if group.is_idle():
            return  # the queues that it has work for wait
        if group in self.waiting:
            self.waiting.remove(group)
        runnable = self.runnable[group.priority]
        if group not in runnable:
            runnable.append(group)
        self._tick_soon(group)

    def _tick_soon(self, group: Group) -> None:
        free = any(held is None or held.is_idle() for held in self.slots)
        at_once = free or group.priority == _REALTIME
        now = self.device.kernel.now()
        self.tick(0 if at_once else max(0, self.slice_began + TICK - now))

    def _sync_written(self) -> None:
        """A sync object was written: who waited for it can work again."""
        with self.lock:
            for group in [group for group in self.waiting if not group.is_idle()]:
                self.waiting.remove(group)
                self.runnable[group.priority].append(group)
                self._tick_soon(group)

    def tick(self, delay: int = 0) -> None:
        """Have the tick run in ``delay`` ns."""
        if not self.resetting:
            self.wq.mod_delayed(self.tick_work, delay)

    # -- the tick ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        with self.lock:
            if self.resetting or self.device.unplugged:
                return
            now = self.device.kernel.now()
            full = now >= self.slice_began + TICK
            if full:
                self.slice_began = now
            lost = [s for s, group in enumerate(self.slots) if group and not group.can_run()]
            chosen = self._choose(full)
            if self.device.hardware.dead and (lost or any(g.slot is None for g in chosen)):
                self.device.schedule_reset("the firmware did not answer")
                return
            for slot in lost:
                self._take_out(slot)
            self._apply(chosen)
            if any(self.runnable):
                self.tick(self.slice_began + TICK - now)

    def _choose(self, full: bool) -> list[Group]:
        """The groups that shall be in slots now."""
        fitting: list[Group] = []
        vms: set[Vm] = set()
        for group in self._order(full):
            # Space 0 is the firmware's.
            room = len(vms) < len(self.device.gpu.address_spaces) - 1
            if len(fitting) < len(self.slots) and (group.vm in vms or room):
                vms.add(group.vm)
                fitting.append(group)
        return fitting

    def _order(self, full: bool) -> list[Group]:
        """All that could be in slots, who comes first first: by priority, in turn within one when the time
        slice is over (``full``), idle ones last."""
        held = sorted(
            (group for group in self.slots if group and group.can_run()),
            key=lambda group: group.since,
        )
        busy: list[list[Group]] = [[] for _ in range(PRIORITIES)]
        for group in held:
            if not group.is_idle():
                busy[group.priority].append(group)
        order: list[Group] = []
        if not full:
            order += [*busy[_REALTIME], *self.runnable[_REALTIME]]
            order += [group for level in reversed(busy[:_REALTIME]) for group in level]
        for level, runnable in zip(reversed(busy), reversed(self.runnable), strict=True):
            # Who has been in the longest goes behind those that wait.
            order += [*level[1:], *runnable, *level[:1]]
        return list(dict.fromkeys([*order, *held, *self.waiting]))

    def _apply(self, chosen: list[Group]) -> None:
        """Bring slots in line."""
        for slot, group in enumerate(self.slots):
            if group is not None and group not in chosen:
                self._take_out(slot)
        for group in chosen:
            if group.slot is None:
                self._put_in(group)

    def _put_in(self, group: Group) -> None:
        space = self.device.take_space(group.vm)
        if space is None:
            return  # every address space is in use: the next tick tries again
        slot = self.slots.index(None)
        self._unlist(group)
        self.slots[slot] = group
        group.slot, group.state = slot, State.ACTIVE
        group.since = self.device.kernel.now()
        group.hardware.address_space = space
        self.device.hardware.start(slot, group)
        for queue in group.queues:
            self.device.hardware.doorbell(slot, queue.number, queue.insert)
            if queue.in_flight:
                queue.start_timeout()

    def _take_out(self, slot: int) -> None:
        """Suspend the group in ``slot``, or terminate it when it can run no more."""
        group = self.slots[slot]
        assert group is not None
        self.device.hardware.stop(slot)
        self.slots[slot] = None
        group.slot = None
        for queue in group.queues:
            queue.stop_timeout()
        if not group.can_run():
            group.queue_work(group.term_work)
            return
        group.state = State.SUSPENDED
        # What it finished last may not have been told yet, and is told to nobody once it has no slot.
        group.queue_work(group.sync_work)
        if not group.is_idle():
            self.runnable[group.priority].append(group)
        elif group.is_waiting():
            self.waiting.append(group)

    def _unlist(self, group: Group) -> None:
        """``group`` waits for a slot no longer."""
        for groups in (self.runnable[group.priority], self.waiting):
            if group in groups:
                groups.remove(group)

    # -- what the GPU tells -----------------------------------------------------------------------

    def event(self, event: SlotEvent, group: Group | None, extract: int) -> None:
        """One event of a slot, in process context.

        ``group`` was in the slot when it happened, and its queue had come to ``extract``; both may have
        changed.
        """
        if group is None or not group.queues:  # or it is given back already
            return
        if isinstance(event, SyncUpdate):
            group.queues[event.queue].check_completion()
            if self.waiting:
                self._sync_written()
        elif isinstance(event, GroupIdle):
            if any(self.runnable):
                self.tick()
        elif isinstance(event, QueueFault):
            self._queue_fault(group, event, extract)
        elif isinstance(event, TilerOutOfMemory):
            self._tiler_oom(group, event)
        elif isinstance(event, ProgressTimeout):
            self._report(group, f"CS_TILER_OOM progress timeout\n{event.report}")
            group.fatal_queues |= 1 << event.queue
            self.tick()

    def _report(self, group: Group, text: str) -> None:
        """Say what happened as the kernel's log does."""
        group.reports.append(text)
        for line in text.splitlines():
            self.device.kernel.printk(f"panthor: {line}")

    def _queue_fault(self, group: Group, event: QueueFault, extract: int) -> None:
        kind = "CS_FATAL" if event.fatal else "CS_FAULT"
        self._report(
            group,
            f"{kind}: pid={group.pid}, comm={group.comm}\n"
            f"CSG slot {event.slot} CS slot: {event.queue}\n"
            f"{kind}.EXCEPTION_TYPE: {event.code:#x} ({event.code.name})\n"
            f"{kind}_INFO.EXCEPTION_DATA: {event.address:#x}\n{event.report}",
        )
        with self.lock:
            if not event.fatal:
                group.queues[event.queue].job_fault(extract)
                return
            group.fatal_queues |= 1 << event.queue
            if event.code is not ExceptionCode.CS_UNRECOVERABLE:
                self._let_go(group)
                return
        self.device.schedule_reset("a queue is unrecoverable")

    def mmu_fault(self, event: MmuFault, groups: list[Group]) -> None:
        """``groups`` were in slots, with the address space, when it happened."""
        for group in groups:
            if not group.queues:  # it is given back already
                continue
            self._report(
                group,
                f"Unhandled Page fault in AS{event.address_space} at VA {event.address:#018x}\n"
                f"raw fault status: {event.status:#x}\n"
                f"exception type {event.code:#x}: {event.code.name}\n"
                f"access type {event.access}: {event.access.name}\npid {group.pid}: {group.comm}",
            )
            with self.lock:
                if not group.fatal_queues:
                    busy = [q for q in group.queues if q.in_flight] or group.queues
                    group.fatal_queues |= sum(1 << queue.number for queue in busy)
                self._let_go(group)

    def _tiler_oom(self, group: Group, event: TilerOutOfMemory) -> None:
        if group.slot != event.slot:
            return  # the GPU asks again when the group is back
        heaps = group.vm.heaps
        chunk = 0
        try:
            if heaps is None:
                raise OSError(EINVAL, "the VM has no heaps")
            if event.frag_completed > event.vt_completed or event.vt_completed >= event.vt_started:
                raise OSError(EINVAL, "the counters of render passes make no sense")
            chunk = heaps.grow(event.heap, event.vt_started - event.frag_completed)
        except OSError as error:
            if error.errno != ENOMEM:
                self._report(group, f"Failed to extend the tiler heap: {error.strerror}")
                group.fatal_queues |= 1 << event.queue
                self.tick()
                return
        if group.slot == event.slot:
            self.device.hardware.grant_chunk(event.slot, event.queue, chunk)
        elif heaps is not None and chunk:  # it was suspended while memory was looked for
            with suppress(OSError):  # the heap is gone, too
                heaps.return_chunk(event.heap, chunk)

    # -- time-outs, destruction, reset ------------------------------------------------------------

    def timed_out(self, job: PanthorJob) -> None:
        """A job took too long: its group goes."""
        group, queue = job.group, job.queue
        seqno = job.done_fence.seqno if job.done_fence else 0
        text = f"job timeout: pid={group.pid}, comm={group.comm}, seqno={seqno}"
        shown = group.hardware.state[queue.number].show()
        self._report(group, f"{text}\n{shown}")
        queue.stop_timeout()
        queue.sched.stop(job)
        with self.lock:
            group.timedout = True
            self._let_go(group)
        for pending in queue.sched.pending:
            assert isinstance(pending, PanthorJob)
            if pending.done_fence is not None:
                pending.finished.set_parent(pending.done_fence)
        queue.sched.start()

    def _let_go(self, group: Group) -> None:
        """``group`` can run no more: have it terminated.  Lock held."""
        if group.slot is not None:
            self.tick()
            return
        self._unlist(group)
        group.queue_work(group.term_work)

    def destroy_group(self, group: Group) -> None:
        """GROUP_DESTROY: what it still has fails with ECANCELED."""
        with self.lock:
            group.destroyed = True
            self._let_go(group)

    def stop_all(self) -> None:
        """Before a reset: every group leaves its slot.  Those that a dead firmware does not let go are
        lost, innocent unless they were at fault themselves."""
        self.resetting = True
        self.tick_work.cancel_sync()
        with self.lock:
            dead = self.device.hardware.dead
            for slot, group in enumerate(self.slots):
                if group is None:
                    continue
                if dead:
                    group.innocent = group.can_run()
                    group.timedout = True
                self._take_out(slot)

    def start_all(self) -> None:
        """After a reset."""
        self.resetting = False
        self.tick()
