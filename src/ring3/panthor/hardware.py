"""The simulated GPU in the simulated kernel: a thread that lets it execute, and its interrupts.

On a virtual clock an instruction takes :data:`SLICE` ns.  A GPU that executes for long without telling
anything is most likely in an endless loop; its time then passes faster and faster, so that a time-out of
seconds is reached after thousands of instructions, not after billions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ring3.kernel import State, Work
from ring3.mali import Event, Gpu, MmuFault, QueueFault, QueueState
from ring3.mali.cs.queue import Queue
from ring3.mali.shader.run import Execution

if TYPE_CHECKING:
    from ring3.panthor.device import PanthorDevice
    from ring3.panthor.group import Group

BATCH = 64
SLICE = 100  # ns of virtual time
_QUIET_BATCHES = 64
_ACTIVE = (QueueState.RUNNING, QueueState.WAITING)
_LONGEST = 20_000_000
# What looks like an endless loop (Hardware.slow): how often a stream goes back without work for the shader
# cores in between, instructions of one execution of a shader.
_ROUNDS, _INSTRUCTIONS = 100_000, 1 << 21


class Hardware:
    """The GPU's thread.  ``dead`` is a firmware that answers nothing until a reset."""

    def __init__(self, device: PanthorDevice, gpu: Gpu) -> None:
        self.device = device
        self.gpu = gpu
        self.kernel = device.kernel
        self.dead = False
        self.hung = False
        self.steps = 0
        #: Called before every slice of a queue, if there is one.
        self.debugger: Callable[[Queue], None] | None = None
        #: What to tell the scheduler of, each with those who were in the slots then.
        self._events: deque[Callable[[], None]] = deque()
        self._groups: list[Group | None] = [None] * gpu.config.group_slots
        self._work = Work(self.kernel, self._serve, name="panthor_job_irq")
        self._rung = False
        self._quiet = 0
        self._stopped = False
        self._waiting = False
        gpu.on_event = self._interrupt
        self._thread = self.kernel.kthread_run(self._run, name="mali")

    # -- the GPU's side ---------------------------------------------------------------------------

    def _run(self) -> None:
        kernel = self.kernel
        while not self._stopped:
            done = 0 if self.dead or self.hung else self._execute()
            self.steps += done
            if done:
                self._pass_time(done)
            if self._events:
                self.device.sched.wq.queue(self._work)
            if done:
                continue
            if self._rung:
                self._rung = False
            else:
                self._quiet = 0
                self._waiting = True
                kernel.block("doorbell", State.IDLE)
                self._waiting = False

    def _execute(self) -> int:
        """Let the GPU do a batch of slices; how many it did."""
        gpu = self.gpu
        if self.debugger is not None:
            return self._execute_watched(self.debugger)
        active = [
            (slot, queue) for slot in gpu.slots for queue in slot.queues if queue.state in _ACTIVE
        ]
        if len(active) != 1 or gpu.progress_timeout is not None:
            return gpu.step(BATCH) if active else 0
        # One queue alone needs nobody to take turns with.
        slot, queue = active[0]
        done = 0
        while done < BATCH and queue.step():
            done += 1
        gpu.cycles += done
        slot.report_idle()
        return done

    def _execute_watched(self, debugger: Callable[[Queue], None]) -> int:
        """One slice of each queue that can go on, each shown to the debugger before."""
        done = 0
        for slot in self.gpu.slots:
            for queue in slot.queues:
                if queue.state in _ACTIVE:
                    debugger(queue)
                    done += queue.step()
            slot.report_idle()
        self.gpu.cycles += done
        return done

    def _pass_time(self, done: int) -> None:
        if self.kernel.clock.real:
            self.kernel.look_outside()
            self.kernel.cond_resched()
            return
        self._quiet += 1
        span = done * SLICE
        if self._quiet > _QUIET_BATCHES:
            span = min(_LONGEST, span << min(24, (self._quiet - _QUIET_BATCHES) // 4))
        self.kernel.sleep(span)

    def _interrupt(self, event: Event) -> None:
        """The GPU raises an interrupt: note it; it is served where locks may be taken, once the time that
        the work took has passed."""
        self._quiet = 0
        sched = self.device.sched
        if isinstance(event, MmuFault):
            space = event.address_space
            groups = [group for group in self._groups if group and group.vm.space == space]
            self._events.append(partial(sched.mmu_fault, event, groups))
            return
        at = 0
        if isinstance(event, QueueFault):
            at = self.gpu.slots[event.slot].queues[event.queue].extract
        self._events.append(partial(sched.event, event, self._groups[event.slot], at))

    def _serve(self) -> None:
        while self._events:
            self._events.popleft()()

    def slow(self, group: Group, seen: int) -> bool:
        """Whether a job of ``group`` is late only because this GPU is slow; ``seen`` slices ago it was not.

        What takes hardware a millisecond may take seconds here, and a job of a second hours: on a real clock
        a job that gets on is never late.  It does not get on when its queues do nothing, or look as if they
        were in an endless loop.
        """
        return (
            self.kernel.clock.real
            and group.slices > seen
            and not any(
                queue.rounds > _ROUNDS
                or (isinstance(queue.running, Execution) and queue.running.steps > _INSTRUCTIONS)
                for queue in group.hardware.state
            )
        )

    # -- the driver's side ------------------------------------------------------------------------

    def wake(self) -> None:
        """Something changed: look again."""
        self._rung = True
        if self._waiting:
            self.kernel.wake(self._thread)

    def doorbell(self, slot: int, queue: int, insert: int) -> None:
        """``queue`` has instructions up to ``insert``."""
        injection = self.device.injection
        if injection.take("hang"):
            self.hung = True
        if injection.take("firmware"):
            self.dead = True
        if self.gpu.slots[slot].group is None:
            return
        if injection.take("mmu_fault"):
            group = self.gpu.slots[slot].group
            assert group is not None
            self.gpu.address_spaces[group.address_space].disable()
        self.gpu.slots[slot].doorbell(queue, insert)
        self.wake()

    def start(self, slot: int, group: Group) -> None:
        """Start or resume ``group`` in ``slot``."""
        self._groups[slot] = group
        self.gpu.slots[slot].start(group.hardware)
        self.wake()

    def stop(self, slot: int) -> None:
        """Suspend or terminate what is in ``slot``."""
        if self.gpu.slots[slot].group is not None:
            self.gpu.slots[slot].suspend()
        self._groups[slot] = None
        if self.hung and not any(held.group for held in self.gpu.slots):
            self.hung = False

    def grant_chunk(self, slot: int, queue: int, chunk: int) -> None:
        """Answer the tiler."""
        queues = self.gpu.slots[slot].queues
        if queue < len(queues):
            queues[queue].grant_chunk(chunk)
            self.wake()

    def reset(self) -> None:
        """Hard reset; slots are empty, address spaces off."""
        self._events.clear()
        self._groups = [None] * len(self._groups)
        self.dead = self.hung = False
        self.gpu.reset()

    def stop_thread(self) -> None:
        """The device goes away."""
        self._stopped = True
        self.wake()
