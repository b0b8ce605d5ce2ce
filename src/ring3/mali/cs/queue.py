"""One command-stream queue: a ring buffer, registers, and the machine that executes the stream.

A queue is a generator inside: every instruction, and every slice of a long job, is one ``step``.  Between
two steps anything may happen: other queues run, the driver suspends the group, a debugger prints registers.

Order of events: a RUN instruction finishes its work before the next instruction is fetched.  Hardware lets
them overlap and orders them by scoreboard; finishing at once is one of the orders it allows, so scoreboard
waits never block here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from ring3.errors import BadInput, Ring3Error
from ring3.mali.cs.instructions import HANDLERS
from ring3.mali.cs.state import (
    Buffer,
    Heap,
    QueueConfig,
    QueueState,
    Shown,
    Slice,
    SyncWait,
)
from ring3.mali.cs.table import Op, decode, disassemble
from ring3.mali.events import (
    ExceptionCode,
    GpuFault,
    MmuFault,
    QueueFault,
    QueueIdle,
    TilerOutOfMemory,
)
from ring3.mali.mmu import AddressSpace, TranslationFault

if TYPE_CHECKING:
    from ring3.mali.gpu import Gpu

_M32, _M64 = (1 << 32) - 1, (1 << 64) - 1
#: What no job should raise.  Should one, its queue faults, and the client with it: nobody else.
UNFORESEEN = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError, Ring3Error)


class Queue:
    """Execution state of one queue; it outlives suspension, which is what the suspend buffer holds."""

    def __init__(self, number: int, config: QueueConfig) -> None:
        self.number = number
        self.config = config
        self.insert = config.insert
        self.extract = config.extract
        self.registers = [0] * 96
        self.state = QueueState.STOPPED
        self.error = False  # a job failed; work is skipped until ERROR_BARRIER
        self.calls: list[Buffer] = []
        self.heap: Heap | None = None
        self.granted: int | None = None
        self.steps = 0  # slices in which something was done
        self.rounds = (
            0  # how often the stream went back since it last had work for the shader cores
        )
        self.pc = config.ring
        self.word = 0
        self.waiting_for: SyncWait | None = None
        self.running: object = None  # the shader under execution, for reports
        self._machine: Slice | None = None
        self._gpu: Gpu
        self._space: AddressSpace
        self.slot = -1

    # -- the driver's side ------------------------------------------------------------------------

    def attach(self, gpu: Gpu, slot: int, space: AddressSpace) -> None:
        self._gpu, self.slot, self._space = gpu, slot, space
        if self.state is QueueState.STOPPED:
            self.state = QueueState.RUNNING if self.extract != self.insert else QueueState.IDLE

    def detach(self) -> None:
        if self.state is not QueueState.FATAL:
            self.state = QueueState.STOPPED

    def doorbell(self, insert: int | None = None) -> None:
        """The driver wrote ``insert`` (bytes since the ring began, never wrapped) and rang."""
        if insert is not None:
            self.insert = insert
        if self.state is QueueState.IDLE and self.extract != self.insert:
            self.state = QueueState.RUNNING

    def grant_chunk(self, chunk: int) -> None:
        """Answer to TilerOutOfMemory: the chunk's address | its size in pages; 0: there is none."""
        self.granted = chunk
        if self.state is QueueState.BLOCKED:
            self.state = QueueState.RUNNING

    # -- the GPU's side ---------------------------------------------------------------------------

    @property
    def space(self) -> AddressSpace:
        return self._space

    @property
    def gpu(self) -> Gpu:
        return self._gpu

    def reg64(self, index: int) -> int:
        return self.registers[index] | self.registers[index + 1] << 32

    def set64(self, index: int, value: int) -> None:
        self.registers[index] = value & _M32
        self.registers[index + 1] = value >> 32 & _M32

    def step(self) -> bool:
        """Execute one slice; whether anything was done."""
        if self.state not in (QueueState.RUNNING, QueueState.WAITING):
            return False
        if self._machine is None:
            if self.extract == self.insert:
                self._idle()
                return False
            self._machine = self._instruction()
        was_waiting = self.state is QueueState.WAITING
        try:
            next(self._machine)
        except StopIteration:
            self._machine = None
            if self.extract == self.insert and not self.calls:
                self._idle()
        except (TranslationFault, GpuFault) as fault:
            self._machine = None
            self._fault(fault)
        except UNFORESEEN as error:
            self._machine = None
            what = f"{type(error).__name__} in the simulated GPU: {error}"
            self._fault(GpuFault(ExceptionCode.CS_UNRECOVERABLE, self.pc, what, fatal=True))
        done = not (was_waiting and self.state is QueueState.WAITING)
        self.steps += done
        return done

    @property
    def next_pc(self) -> int:
        """Where the next instruction of the stream is."""
        if self.calls:
            return self.calls[-1].pc
        return self.config.ring + self.extract % self.config.ring_size

    @property
    def between(self) -> bool:
        """Whether the next step begins an instruction; else it goes on with one."""
        return self._machine is None

    def show(self) -> str:
        """PC, the instruction there and every register that is not 0: what a single-step prints."""
        text = f"queue {self.number} {self.state.value} pc {self.pc:#x}: {disassemble(self.word)}"
        held = [f"r{index:<2} {value:08x}" for index, value in enumerate(self.registers) if value]
        if self.waiting_for is not None:
            text += f", waits for {self.waiting_for}"
        rows = [held[at : at + 6] for at in range(0, len(held), 6)]
        lines = [text, *("  " + "  ".join(row) for row in rows)]
        if isinstance(self.running, Shown):
            lines.append(self.running.show())
        return "\n".join(lines)

    def _idle(self) -> None:
        if self.state is not QueueState.IDLE:
            self.state = QueueState.IDLE
            self._gpu.emit(QueueIdle(self.slot, self.number))

    def _fault(self, fault: GpuFault) -> None:
        """Tell the driver.  After a recoverable fault the queue goes on, but does no work, to the next
        ERROR_BARRIER, so that its sync objects are still signalled, with an error."""
        report = f"{fault.what}\n{self.show()}"
        self.running = None
        if isinstance(fault, TranslationFault):
            self._gpu.emit(
                MmuFault(self._space.number, self._space.fault_address, self._space.fault_status)
            )
        if self.state in (QueueState.STOPPED, QueueState.FATAL):
            return  # the driver took the group away while it was told
        if fault.fatal:
            self.state = QueueState.FATAL
        else:
            self.error = True
            self.advance()
        self._gpu.emit(
            QueueFault(self.slot, self.number, fault.fatal, fault.code, fault.address, report)
        )

    def advance(self) -> None:
        """Step over the current instruction, out of buffers that end there."""
        if self.calls:
            self.calls[-1].pc += 8
        while self.calls and self.calls[-1].pc >= self.calls[-1].end:
            self.calls.pop()
            if self.calls:
                self.calls[-1].pc += 8
            else:
                self.extract += 8
                return
        if not self.calls:
            self.extract += 8

    def _instruction(self) -> Slice:
        self.pc = self.next_pc
        self.word = int.from_bytes(self.read(self.pc, 8), "little")
        try:
            op, fields, top = _decoded(self.word)
        except BadInput as error:
            raise GpuFault(
                ExceptionCode.CS_INVALID_INSTRUCTION, self.pc, str(error), fatal=True
            ) from error
        if top >= len(self.registers):
            raise GpuFault(
                ExceptionCode.CS_INVALID_INSTRUCTION,
                self.pc,
                f"{op.name} names register r{top} of {len(self.registers)}",
                fatal=True,
            )
        if op.name.startswith(("RUN_", "FINISH_")):
            yield from self._work(op, fields)
        else:
            handler = HANDLERS.get(op.name)
            if handler is None:
                raise GpuFault(
                    ExceptionCode.CS_INVALID_INSTRUCTION,
                    self.pc,
                    f"the command-stream instruction {op.name} is not there yet",
                    fatal=True,
                )
            waits = handler(self, fields)
            if waits is not None:
                yield from waits
            if op.name in ("CALL", "JUMP", "BRANCH"):
                self.rounds += self.next_pc <= self.pc
                return
        self.advance()

    def _work(self, op: Op, fields: dict[str, int]) -> Slice:
        """RUN and FINISH instructions: the GPU's jobs.  A queue in error skips them."""
        if self.error:
            return
        self.running = None
        yield from self._gpu.job(self, op.name, fields)
        self.running = None
        self.rounds = 0

    def need_chunk(self) -> Iterator[None]:
        """Ask the driver for a chunk; afterwards ``granted`` is its answer."""
        heap = self.heap
        if heap is None:
            raise GpuFault(ExceptionCode.OOM, self.pc, "the tiler has no heap (HEAP_SET)")
        self.granted = None
        while self.granted is None:
            if self.state is not QueueState.BLOCKED:  # or it was suspended meanwhile: ask again
                self.state = QueueState.BLOCKED
                self._gpu.emit(
                    TilerOutOfMemory(
                        self.slot,
                        self.number,
                        heap.context,
                        heap.vt_started,
                        heap.vt_completed,
                        heap.frag_completed,
                    )
                )
            yield

    def read(self, address: int, size: int) -> bytes:
        try:
            return self._space.read(address, size)
        except TranslationFault as fault:
            fault.fatal = True
            raise

    def write_int(self, address: int, value: int, size: int) -> None:
        try:
            self._space.write_int(address, value, size)
        except TranslationFault as fault:
            fault.fatal = True
            raise


@lru_cache(maxsize=4096)
def _decoded(word: int) -> tuple[Op, dict[str, int], int]:
    """A word decoded once: instruction, fields, highest register it names."""
    op, fields = decode(word)
    return op, fields, _highest_register(op, fields)


def _highest_register(op: Op, fields: dict[str, int]) -> int:
    top = -1
    for item in op.fields:
        if item.register:
            top = max(top, fields[item.name] + (item.register == "d"))
    if op.name in ("LOAD_MULTIPLE", "STORE_MULTIPLE"):
        top = max(top, fields["base"] + fields["mask"].bit_length() - 1)
    return top
