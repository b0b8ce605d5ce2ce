"""The GPU as its driver sees it: address spaces, group slots, doorbells, events, reset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ring3.errors import BadInput
from ring3.mali.config import GpuConfig
from ring3.mali.cs.queue import Queue
from ring3.mali.cs.state import Heap, QueueConfig, QueueState
from ring3.mali.events import Event, GroupIdle, ProgressTimeout
from ring3.mali.jobs import run_job
from ring3.mali.memory import PhysicalMemory
from ring3.mali.mmu import AddressSpace
from ring3.mali.shader.run import SLICE, Program
from ring3.mali.shader.threads import RegisterFiles

ALONE = 64  # slices of a queue that is alone before anybody looks around
_ACTIVE = (QueueState.RUNNING, QueueState.WAITING)
PROGRAMS = 1024  # decoded shaders kept


@dataclass
class Group:
    """A queue group (CSG): queues that share one address space.  The driver makes it, slots execute it.

    All that hardware would save into the suspend buffers stays in this object, so a group can be
    suspended, and resumed in another slot, at any step.
    """

    address_space: int
    queues: list[QueueConfig]
    priority: int = 0
    state: list[Queue] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number, config in enumerate(self.queues):
            size = config.ring_size
            if size < 64 or size & (size - 1):
                raise BadInput(f"ring of {size} bytes", where=f"queue {number}")
            self.state.append(Queue(number, config))


class GroupSlot:
    """One CSG slot of the firmware interface."""

    def __init__(self, gpu: Gpu, number: int) -> None:
        self._gpu = gpu
        self.number = number
        self.group: Group | None = None
        self._told_idle = False

    @property
    def queues(self) -> list[Queue]:
        """The queues of the group in the slot; empty when the slot is."""
        return self.group.state if self.group else []

    @property
    def idle(self) -> bool:
        """Whether no queue can go on by itself."""
        busy = (QueueState.RUNNING, QueueState.BLOCKED)
        return not any(queue.state in busy for queue in self.queues)

    def start(self, group: Group) -> None:
        """CSG_REQ.STATE = START, or RESUME: it goes on where the group stood."""
        if self.group is not None:
            raise BadInput(f"group slot {self.number} is taken")
        if len(group.queues) > self._gpu.config.queue_slots:
            raise BadInput(
                f"{len(group.queues)} queues, {self._gpu.config.queue_slots} queue slots"
            )
        space = self._gpu.address_spaces[group.address_space]
        self.group, self._told_idle = group, False
        for queue in group.state:
            queue.attach(self._gpu, self.number, space)

    resume = start

    def suspend(self) -> Group:
        """CSG_REQ.STATE = SUSPEND, or TERMINATE: the group leaves the slot with all its state."""
        group = self._take()
        for queue in group.state:
            queue.detach()
        return group

    def doorbell(self, queue: int, insert: int | None = None) -> None:
        """Ring one queue's doorbell, with its new insert offset."""
        self._told_idle = False
        self.queues[queue].doorbell(insert)

    def _take(self) -> Group:
        if self.group is None:
            raise BadInput(f"group slot {self.number} is empty")
        group, self.group = self.group, None
        return group

    def report_idle(self) -> None:
        if self.group is not None and self.idle and not self._told_idle:
            self._told_idle = True
            self._gpu.emit(GroupIdle(self.number))
        elif not self.idle:
            self._told_idle = False


class Gpu:
    """A simulated Mali GPU.

    ``memory`` is the physical memory it shares with its driver, ``clock`` gives nanoseconds (the driver's
    clock; timestamps are read from it), ``on_event`` is called with each event, from inside ``step``; it may
    call any method of the GPU except ``step``, ``run`` and ``reset``.
    """

    def __init__(
        self,
        memory: PhysicalMemory,
        *,
        clock: Callable[[], int] = lambda: 0,
        on_event: Callable[[Event], None] = lambda event: None,
        config: GpuConfig | None = None,
    ) -> None:
        self.memory = memory
        self.config = config or GpuConfig()
        self.on_event = on_event
        self.clock = clock
        self.progress_timeout: int | None = None  # ns of one job; None: no progress timer
        self.slice = SLICE  # shader instructions to a slice; 1 for single steps
        self.files = RegisterFiles(clock)
        #: What the firmware keeps in the heaps' contexts, which are in memory.  By page table, which is the
        #: VM's while the number of its address space comes and goes.
        self._heaps: dict[int | None, dict[int, Heap]] = {}
        self.reset()

    def reset(self) -> None:
        """Hard reset: slots empty, address spaces unmapped.  Memory keeps its bytes, and so do heaps."""
        count = self.config.address_spaces
        self.address_spaces = [AddressSpace(number, self.memory) for number in range(count)]
        self.slots = [GroupSlot(self, number) for number in range(self.config.group_slots)]
        self.flush_id = 1
        self.cycles = 0
        self._next = -1  # whose turn it was last
        self._programs: dict[tuple[AddressSpace, int], Program] = {}
        self._timed_out: set[tuple[int, int]] = set()
        self._job_began: dict[int, int] = {}

    def place(self, number: int, space: AddressSpace) -> None:
        """Address space ``number`` is ``space`` from now on.

        Jobs that are suspended know theirs: a group that is resumed under another number keeps it.
        """
        if self.address_spaces[space.number] is space:
            self.address_spaces[space.number] = AddressSpace(space.number, self.memory)
        space.number = number
        self.address_spaces[number] = space

    def timestamp(self) -> int:
        """GPU_TIMESTAMP: the driver's clock in nanoseconds."""
        return self.clock()

    def emit(self, event: Event) -> None:
        self.on_event(event)

    def step(self, count: int = 1) -> int:
        """Let the queues that can execute do slices, one each in turn, until ``count`` are done.

        A slice is one command-stream instruction, or part of a job.  Returns the slices done; fewer than
        ``count`` means that nothing can go on until memory, a doorbell or a heap chunk changes.
        """
        done = 0
        while done < count:
            before = done
            queues = [
                queue for slot in self.slots for queue in slot.queues if queue.state in _ACTIVE
            ]
            # One slice each; whose turn is next outlives this call, so that short calls starve nobody.
            # A queue that is alone needs nobody to take turns with.
            turn = 1 if len(queues) > 1 else ALONE
            for _ in range(len(queues)):
                self._next = (self._next + 1) % len(queues)
                queue, limit = queues[self._next], min(done + turn, count)
                while done < limit and queue.step():
                    done += 1
                if done == count:
                    break
            for slot in self.slots:
                slot.report_idle()
            self.cycles += done - before
            if self.progress_timeout is not None:
                self._check_progress()
            if done == before:
                break
        return done

    def run(self, limit: int | None = None) -> int:
        """Step until everything is idle, waits or is blocked; at most ``limit`` slices.  Slices done."""
        total = 0
        while limit is None or total < limit:
            chunk = 256 if limit is None else min(256, limit - total)
            done = self.step(chunk)
            total += done
            if done < chunk:
                break
        return total

    def job(self, queue: Queue, name: str, fields: dict[str, int]) -> Iterator[None]:
        """The work of a RUN or FINISH instruction, in slices; called by the queue."""
        self._job_began[id(queue)] = self.clock()
        try:
            yield from run_job(queue, name, fields)
        finally:
            self._job_began.pop(id(queue), None)

    def program(self, space: AddressSpace, start: int) -> Program:
        """The decoded shader at ``start``; decoded again when its code changed."""
        key = (space, start)
        found = self._programs.get(key)
        if found is None or not found.unchanged():
            if len(self._programs) >= PROGRAMS:
                self._programs.clear()
            found = self._programs[key] = Program(space, start)
        return found

    def heap(self, space: AddressSpace, context: int) -> Heap:
        """The tiler heap whose context is at ``context`` in ``space``."""
        heaps = self._heaps.setdefault(space.page_table, {})
        return heaps.setdefault(context, Heap(context))

    def forget_heap(self, page_table: int, context: int) -> None:
        """The driver destroyed a heap."""
        self._heaps.get(page_table, {}).pop(context, None)

    def forget_heaps(self, page_table: int) -> None:
        """The driver gives the page table of an address space back."""
        self._heaps.pop(page_table, None)

    def _check_progress(self) -> None:
        now = self.clock()
        for slot in self.slots:
            for queue in slot.queues:
                began = self._job_began.get(id(queue))
                late = began is not None and now - began > (self.progress_timeout or 0)
                key = (slot.number, queue.number)
                if late and key not in self._timed_out:
                    self._timed_out.add(key)
                    self.emit(ProgressTimeout(slot.number, queue.number, queue.show()))
                elif not late:
                    self._timed_out.discard(key)
