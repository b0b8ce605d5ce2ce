"""What each command-stream instruction that starts no work does to its queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ring3.mali.cs.state import Buffer, QueueState, Slice, SyncWait
from ring3.mali.events import ExceptionCode, GpuFault, SyncUpdate

if TYPE_CHECKING:
    from ring3.mali.cs.queue import Queue

CALL_DEPTH = 8
_M32 = (1 << 32) - 1


def _signed32(value: int) -> int:
    return value - (value >> 31 << 32)


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
        word = queue.read(address + 4 * place, 4)
        queue.registers[f["base"] + bit] = int.from_bytes(word, "little")


def _store(queue: Queue, f: dict[str, int]) -> None:
    address = queue.reg64(f["address"]) + f["offset"]
    for place, bit in enumerate(_bits(f["mask"])):
        queue.write_int(address + 4 * place, queue.registers[f["base"] + bit], 4)


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
    queue.advance()


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
        queue.advance()
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
        queue.advance()


def _sync(add: bool, size: int) -> Callable[[Queue, dict[str, int]], None]:
    def run(queue: Queue, f: dict[str, int]) -> None:
        address = queue.reg64(f["address"])
        data = queue.reg64(f["data"]) if size == 8 else queue.registers[f["data"]]
        if add:
            data += int.from_bytes(queue.read(address, size), "little")
        if f["error_propagate"]:
            queue.write_int(address + size, queue.error, 4)
        queue.write_int(address, data, size)
        if not f["scope_csg"]:
            queue.gpu.emit(SyncUpdate(queue.slot, queue.number, address))

    return run


def _wait(size: int) -> Callable[[Queue, dict[str, int]], Slice]:
    def run(queue: Queue, f: dict[str, int]) -> Slice:
        address = queue.reg64(f["address"])
        data = queue.reg64(f["data"]) if size == 8 else queue.registers[f["data"]]
        # Condition 0 waits for "not above", 1 for "above".
        wait = SyncWait(address, size, data, bool(f["condition"]))
        while not wait.met(int.from_bytes(queue.read(address, size), "little")):
            queue.state, queue.waiting_for = QueueState.WAITING, wait
            yield
        queue.state, queue.waiting_for = QueueState.RUNNING, None
        if f["error_reject"] and int.from_bytes(queue.read(address + size, 4), "little"):
            raise GpuFault(
                ExceptionCode.CS_INHERIT_FAULT, address, "the awaited sync object has an error"
            )

    return run


def _flush(queue: Queue, f: dict[str, int]) -> None:
    queue.gpu.flush_id = (queue.gpu.flush_id + 1) & 0xFFFFFF


def _state(queue: Queue, f: dict[str, int]) -> None:
    now = queue.gpu.timestamp()
    value = (now, queue.gpu.cycles, 0, queue.error)[f["state"] & 3]
    queue.write_int(queue.reg64(f["address"]) + f["offset"], value, 8)


def _error_barrier(queue: Queue, f: dict[str, int]) -> None:
    queue.error = False


def _heap_set(queue: Queue, f: dict[str, int]) -> None:
    queue.heap = queue.gpu.heap(queue.space, queue.reg64(f["address"]))


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


HANDLERS: dict[str, Callable[[Queue, dict[str, int]], Slice | None]] = {
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
