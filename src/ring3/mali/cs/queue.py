"""One command-stream queue: a ring buffer, registers, and the machine that executes the stream.

A queue is a generator inside: every instruction, and every slice of a long job, is one ``step``.  Between
two steps anything may happen: other queues run, the driver suspends the group, a debugger prints registers.

Order of events: a RUN instruction finishes its work before the next instruction is fetched.  Hardware lets
them overlap and orders them by scoreboard; finishing at once is one of the orders it allows, so scoreboard
waits never block here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ring3.errors import BadInput
from ring3.mali.cs.table import Op, decode, disassemble
from ring3.mali.events import (
    ExceptionCode,
    GpuFault,
    MmuFault,
    QueueFault,
    QueueIdle,
    SyncUpdate,
    TilerOutOfMemory,
)
from ring3.mali.mmu import AddressSpace, TranslationFault

if TYPE_CHECKING:
    from ring3.mali.gpu import Gpu

CALL_DEPTH = 8
_M32, _M64 = (1 << 32) - 1, (1 << 64) - 1
Slice = Iterator[None]


@runtime_checkable
class Shown(Protocol):
    """Work that can say where it is."""

    def show(self) -> str: ...


class QueueState(Enum):
    STOPPED = "stopped"  # not in a slot, or its group is suspended
    IDLE = "idle"  # extract == insert
    RUNNING = "running"
    WAITING = "waiting"  # in SYNC_WAIT: another queue or the CPU must change memory
    BLOCKED = "blocked"  # the tiler waits for a heap chunk from the driver
    FATAL = "fatal"  # the stream cannot be executed; only a restart of the group helps


@dataclass(frozen=True)
class QueueConfig:
    """What the driver writes into CS_INPUT before it starts a queue; addresses are virtual."""

    ring: int
    ring_size: int
    priority: int = 0
    insert: int = 0
    extract: int = 0


@dataclass
class Buffer:
    """A run of instructions being executed: ``pc`` goes from its start to ``end``."""

    pc: int
    end: int


@dataclass
class Heap:
    """A tiler heap as the firmware keeps it, by the address of its context."""

    context: int
    free: list[int] = field(default_factory=list)
    seeded: bool = False
    vt_started: int = 0
    vt_completed: int = 0
    frag_completed: int = 0


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
        self.steps = 0
        self.pc = config.ring
        self.word = 0
        self.waiting_for = ""
        self.running: object = None  # the shader under execution, for reports
        self._machine: Slice | None = None
        self._gpu: Gpu
        self._space: AddressSpace
        self._slot = -1

    # -- the driver's side ------------------------------------------------------------------------

    def attach(self, gpu: Gpu, slot: int, space: AddressSpace) -> None:
        self._gpu, self._slot, self._space = gpu, slot, space
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
        self.steps += 1
        return not (was_waiting and self.state is QueueState.WAITING)

    def show(self) -> str:
        """PC, the instruction there and every register that is not 0: what a single-step prints."""
        text = f"queue {self.number} {self.state.value} pc {self.pc:#x}: {disassemble(self.word)}"
        held = [f"r{index:<2} {value:08x}" for index, value in enumerate(self.registers) if value]
        rows = [held[at : at + 6] for at in range(0, len(held), 6)]
        lines = [text, *("  " + "  ".join(row) for row in rows)]
        if isinstance(self.running, Shown):
            lines.append(self.running.show())
        return "\n".join(lines)

    def _idle(self) -> None:
        if self.state is not QueueState.IDLE:
            self.state = QueueState.IDLE
            self._gpu.emit(QueueIdle(self._slot, self.number))

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
            self._advance()
        self._gpu.emit(
            QueueFault(self._slot, self.number, fault.fatal, fault.code, fault.address, report)
        )

    def _advance(self) -> None:
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
        if self.calls:
            self.pc = self.calls[-1].pc
        else:
            self.pc = self.config.ring + self.extract % self.config.ring_size
        self.word = int.from_bytes(self._read(self.pc, 8), "little")
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
            handler = _HANDLERS.get(op.name)
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
                return
        self._advance()

    def _work(self, op: Op, fields: dict[str, int]) -> Slice:
        """RUN and FINISH instructions: the GPU's jobs.  A queue in error skips them."""
        if self.error:
            return
        self.running = None
        yield from self._gpu.job(self, op.name, fields)
        self.running = None

    def need_chunk(self) -> Iterator[None]:
        """Ask the driver for a chunk; afterwards ``granted`` is its answer."""
        heap = self.heap
        if heap is None:
            raise GpuFault(ExceptionCode.OOM, self.pc, "the tiler has no heap (HEAP_SET)")
        self.granted = None
        self.state = QueueState.BLOCKED
        self._gpu.emit(
            TilerOutOfMemory(
                self._slot,
                self.number,
                heap.context,
                heap.vt_started,
                heap.vt_completed,
                heap.frag_completed,
            )
        )
        while self.granted is None:
            yield

    def _read(self, address: int, size: int) -> bytes:
        try:
            return self._space.read(address, size)
        except TranslationFault as fault:
            fault.fatal = True
            raise

    def _write_int(self, address: int, value: int, size: int) -> None:
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
        if item.register and fields[item.name] <= 255:
            top = max(top, fields[item.name] + (item.register == "d"))
    if op.name in ("LOAD_MULTIPLE", "STORE_MULTIPLE"):
        top = max(top, fields["base"] + fields["mask"].bit_length() - 1)
    return top


def _signed32(value: int) -> int:
    return value - (value >> 31 << 32)


# -- instructions ---------------------------------------------------------------------------------


def _nothing(queue: Queue, f: dict[str, int]) -> None:
    """NOP, and what only orders or traces work that is finished already."""


def _move(queue: Queue, f: dict[str, int]) -> None:
    queue.set64(f["d"], f["imm"])


def _move32(queue: Queue, f: dict[str, int]) -> None:
    queue.registers[f["d"]] = f["imm"]


def _add32(queue: Queue, f: dict[str, int]) -> None:
    queue.registers[f["d"]] = (queue.registers[f["s"]] + f["imm"]) & _M32


def _add64(queue: Queue, f: dict[str, int]) -> None:
    queue.set64(f["d"], queue.reg64(f["s"]) + f["imm"])


def _umin32(queue: Queue, f: dict[str, int]) -> None:
    queue.registers[f["d"]] = min(queue.registers[f["s0"]], queue.registers[f["s1"]])


def _load(queue: Queue, f: dict[str, int]) -> None:
    address = queue.reg64(f["address"]) + f["offset"]
    # Memory is dense: the selected registers, whichever they are, lie side by side.
    for place, bit in enumerate(_bits(f["mask"])):
        word = queue._read(address + 4 * place, 4)
        queue.registers[f["base"] + bit] = int.from_bytes(word, "little")


def _store(queue: Queue, f: dict[str, int]) -> None:
    address = queue.reg64(f["address"]) + f["offset"]
    for place, bit in enumerate(_bits(f["mask"])):
        queue._write_int(address + 4 * place, queue.registers[f["base"] + bit], 4)


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(16) if mask >> bit & 1]


_CONDITIONS: tuple[Callable[[int], bool], ...] = (
    lambda value: value <= 0,
    lambda value: value > 0,
    lambda value: value == 0,
    lambda value: value != 0,
    lambda value: value < 0,
    lambda value: value >= 0,
    lambda value: True,
)


def _branch(queue: Queue, f: dict[str, int]) -> None:
    if f["condition"] >= len(_CONDITIONS):
        raise GpuFault(
            ExceptionCode.CS_INVALID_INSTRUCTION, queue.pc, "BRANCH condition 7", fatal=True
        )
    taken = _CONDITIONS[f["condition"]](_signed32(queue.registers[f["value"]]))
    if taken and queue.calls:
        queue.calls[-1].pc += 8 * f["offset"]
    elif taken:
        queue.extract += 8 * f["offset"]
    queue._advance()


def _buffer(queue: Queue, f: dict[str, int]) -> Buffer:
    start, length = queue.reg64(f["address"]), queue.registers[f["length"]]
    if start % 8 or length % 8:
        raise GpuFault(
            ExceptionCode.CS_INVALID_INSTRUCTION,
            queue.pc,
            f"a buffer of {length} bytes at {start:#x} is not whole instructions",
            fatal=True,
        )
    return Buffer(start, start + length)


def _call(queue: Queue, f: dict[str, int]) -> None:
    buffer = _buffer(queue, f)
    if len(queue.calls) >= CALL_DEPTH:
        raise GpuFault(
            ExceptionCode.CS_CALL_STACK_OVERFLOW, queue.pc, "CALL nested too deep", fatal=True
        )
    if buffer.pc == buffer.end:
        queue._advance()
    else:
        queue.calls.append(buffer)


def _jump(queue: Queue, f: dict[str, int]) -> None:
    if not queue.calls:
        raise GpuFault(
            ExceptionCode.CS_INVALID_INSTRUCTION, queue.pc, "JUMP out of the ring", fatal=True
        )
    buffer = _buffer(queue, f)
    queue.calls[-1] = buffer
    if buffer.pc == buffer.end:
        buffer.pc -= 8
        queue._advance()


def _sync(add: bool, size: int) -> Callable[[Queue, dict[str, int]], None]:
    def run(queue: Queue, f: dict[str, int]) -> None:
        address = queue.reg64(f["address"])
        data = queue.reg64(f["data"]) if size == 8 else queue.registers[f["data"]]
        if add:
            data += int.from_bytes(queue._read(address, size), "little")
        if f["error_propagate"]:
            queue._write_int(address + size, queue.error, 4)
        queue._write_int(address, data, size)
        if not f["scope_csg"]:
            queue.gpu.emit(SyncUpdate(queue._slot, queue.number, address))

    return run


def _wait(size: int) -> Callable[[Queue, dict[str, int]], Slice]:
    def run(queue: Queue, f: dict[str, int]) -> Slice:
        address = queue.reg64(f["address"])
        data = queue.reg64(f["data"]) if size == 8 else queue.registers[f["data"]]
        while True:
            value = int.from_bytes(queue._read(address, size), "little")
            # Condition 0 waits for "not above", 1 for "above".
            if (value > data) == bool(f["condition"]):
                break
            queue.state = QueueState.WAITING
            sign = ">" if f["condition"] else "<="
            queue.waiting_for = f"[{address:#x}] = {value} to be {sign} {data}"
            yield
        queue.state = QueueState.RUNNING
        queue.waiting_for = ""
        if f["error_reject"] and int.from_bytes(queue._read(address + size, 4), "little"):
            raise GpuFault(
                ExceptionCode.CS_INHERIT_FAULT, address, "the awaited sync object has an error"
            )

    return run


def _flush(queue: Queue, f: dict[str, int]) -> None:
    queue.gpu.flush_id = (queue.gpu.flush_id + 1) & 0xFFFFFF


def _state(queue: Queue, f: dict[str, int]) -> None:
    now = queue.gpu.timestamp()
    value = (now, queue.gpu.cycles, 0, queue.error)[f["state"] & 3]
    queue._write_int(queue.reg64(f["address"]) + f["offset"], value, 8)


def _error_barrier(queue: Queue, f: dict[str, int]) -> None:
    queue.error = False


def _heap_set(queue: Queue, f: dict[str, int]) -> None:
    queue.heap = queue.gpu.heap(queue.space.number, queue.reg64(f["address"]))


def _heap_operation(queue: Queue, f: dict[str, int]) -> None:
    heap = queue.heap
    if heap is None:
        raise GpuFault(
            ExceptionCode.CS_INVALID_INSTRUCTION,
            queue.pc,
            "HEAP_OPERATION without HEAP_SET",
            fatal=True,
        )
    if f["operation"] == 0:
        heap.vt_started += 1
    elif f["operation"] == 1:
        heap.vt_completed += 1
    elif f["operation"] == 3:
        heap.frag_completed += 1


_HANDLERS: dict[str, Callable[[Queue, dict[str, int]], Slice | None]] = {
    "NOP": _nothing,
    "WAIT": _nothing,
    "SET_SB_ENTRY": _nothing,
    "REQ_RESOURCE": _nothing,
    "TRACE_POINT": _nothing,
    "PROGRESS_STORE": _nothing,
    "SET_EXCEPTION_HANDLER": _nothing,
    "MOVE": _move,
    "MOVE32": _move32,
    "ADD_IMM32": _add32,
    "ADD_IMM64": _add64,
    "UMIN32": _umin32,
    "LOAD_MULTIPLE": _load,
    "STORE_MULTIPLE": _store,
    "BRANCH": _branch,
    "CALL": _call,
    "JUMP": _jump,
    "SYNC_ADD32": _sync(True, 4),
    "SYNC_SET32": _sync(False, 4),
    "SYNC_ADD64": _sync(True, 8),
    "SYNC_SET64": _sync(False, 8),
    "SYNC_WAIT32": _wait(4),
    "SYNC_WAIT64": _wait(8),
    "FLUSH_CACHE2": _flush,
    "STORE_STATE": _state,
    "ERROR_BARRIER": _error_barrier,
    "HEAP_SET": _heap_set,
    "HEAP_OPERATION": _heap_operation,
}
