"""The state of the threads that execute one program together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ring3.errors import Unsupported
from ring3.mali.events import Access, ExceptionCode, GpuFault
from ring3.mali.mmu import AddressSpace
from ring3.mali.shader.kernels import ATOMICS, atomic32, atomic64
from ring3.mali.shader.operands import Array, Selection

WARP = 16
REGISTERS = 64
#: Rows behind the last register: what a vector of registers that ends beyond it reads and writes.
SPARE = 8
#: Bytes of thread or workgroup local memory of all threads that execute together.
MOST_LOCAL = 1 << 30
#: Thread and workgroup local memory: on-chip, one array each, at addresses no page table can map.
THREAD_LOCAL = 1 << 56
GROUP_LOCAL = 1 << 57
#: What an out-of-bounds LEA_BUFFER returns: stores there are dropped, loads give 0.
NOWHERE = 1 << 58

PRESERVE, DX11, ALWAYS, ABRUPT = range(4)  # flush-to-zero modes of the shader program
_TINY32, _TINY16 = np.float32(2.0**-126), np.float16(2.0**-14)


class RegisterFiles:
    """Register files that jobs took and gave back.  What they hold is left as it is: registers that nobody
    preloaded are undefined, and clearing them would cost more than many a shader.  ``clock`` is the GPU's."""

    def __init__(self, clock: Callable[[], int] = lambda: 0) -> None:
        self.clock = clock
        self._free: dict[int, list[NDArray[np.uint32]]] = {}

    def take(self, count: int) -> NDArray[np.uint32]:
        """The registers of ``count`` threads, and rows to spare."""
        free = self._free.get(count)
        return free.pop() if free else np.zeros((REGISTERS + SPARE, count), dtype=np.uint32)

    def give(self, registers: NDArray[np.uint32]) -> None:
        count = registers.shape[1]
        # Only the sizes that come again and again are worth keeping.
        if count >= 1024 and len(self._free) < 64:
            self._free.setdefault(count, []).append(registers)


class Threads:
    """``count`` threads: registers (rows) of each, uniforms, and what special constants read.

    ``alive`` and divergence belong to the scheduler (:mod:`ring3.mali.shader.run`).
    """

    def __init__(
        self,
        count: int,
        space: AddressSpace,
        *,
        flush: int = PRESERVE,
        files: RegisterFiles | None = None,
    ) -> None:
        self.count = count
        self.space = space
        self._files = files or RegisterFiles()
        self.clock = self._files.clock
        self.registers = self._files.take(count)
        self.uniforms: NDArray[np.uint32] = np.zeros(256, dtype=np.uint32)
        self.resources = 0  # resource_table_pointer: the address, tables counted in its low bits
        self.specials: dict[str, Callable[[int, Selection], Array]] = {}
        self.pc = 0  # of the instruction that executes
        self.thread_bytes = 0
        self.group_bytes = 0
        self.group_of: NDArray[np.int64] | None = None  # workgroup of each thread
        self.stages: dict[str, Any] = {}  # what instructions of one stage need: varyings, outputs
        self.helpers: NDArray[np.bool_] | None = None  # threads whose memory writes are dropped
        self._thread_memory: NDArray[np.uint8] | None = None
        self._group_memory: NDArray[np.uint8] | None = None
        # Identity functions when nothing is flushed: the common case costs nothing.
        if flush == PRESERVE:
            self.flush32: Callable[[Array], Array] = _keep
            self.flush16: Callable[[Array], Array] = _keep
        else:
            self.flush32 = _flush32
            self.flush16 = _keep if flush == DX11 else _flush16

    def finish(self) -> None:
        """The job has ended: give the register file back."""
        self._files.give(self.registers)

    # -- special constants ------------------------------------------------------------------------

    def special(self, name: str, word: int, sel: Selection) -> Array:
        given = self.specials.get(name)
        if given is not None:
            return given(word, sel)
        if name == "lane_id":
            value = np.arange(self.count, dtype=np.uint32) % np.uint32(WARP)
            return value if sel is None else value[sel]
        if name == "resource_table_pointer":
            return _word(self.resources, word)
        if name == "program_counter":
            return _word(self.pc + 8, word)
        if name in ("core_id", "warp_id"):
            return np.zeros(1, dtype=np.uint32)
        if name == "thread_local_pointer":
            at = np.arange(self.count, dtype=np.int64) * self.thread_bytes + THREAD_LOCAL
            return _words(at, word, sel)
        if name == "workgroup_local_pointer":
            groups = self.group_of
            if groups is None:
                raise Unsupported("this stage has no workgroup local memory")
            return _words(groups * self.group_bytes + GROUP_LOCAL, word, sel)
        raise Unsupported(f"the special constant {name} is not there yet")

    # -- memory -----------------------------------------------------------------------------------

    def load(self, address: Array, size: int) -> NDArray[np.uint8]:
        """``size`` bytes for each address: (n, size)."""
        if int(address.max()) < THREAD_LOCAL:
            return self.space.gather(address, size)
        out = np.zeros((len(address), size), dtype=np.uint8)
        for lanes, memory, at in self._parts(address, size):
            out[lanes] = (
                self.space.gather(at, size)
                if memory is None
                else memory[at[:, None] + np.arange(size)]
            )
        return out

    def store(self, address: Array, values: NDArray[np.uint8]) -> None:
        """Row i of ``values`` at ``address[i]``."""
        if int(address.max()) < THREAD_LOCAL:
            self.space.scatter(address, values)
            return
        size = values.shape[1]
        for lanes, memory, at in self._parts(address, size):
            if memory is None:
                self.space.scatter(at, values[lanes])
            else:
                memory[at[:, None] + np.arange(size)] = values[lanes]

    def atomic(self, address: Array, op: str, operand: Array, compare: Array, size: int) -> Array:
        """Read-modify-write of 4- or 8-byte words, thread after thread; the words before."""
        old = np.zeros(len(address), dtype=operand.dtype)
        kernel = atomic32 if size == 4 else atomic64
        if len(address) and int((address % size).max()):
            raise GpuFault(
                ExceptionCode.ADDR_RANGE_FAULT, int(address.max()), "a misaligned atomic"
            )
        for lanes, memory, at in self._parts(address, size):
            if memory is not None:
                views = [(lanes, memory, at)]
            else:
                views = []
                pages = at & -4096
                for page in np.unique(pages).tolist():
                    view = self.space.view(page, 4096, Access.ATOMIC)
                    if view is None:
                        raise AssertionError("a page is contiguous")
                    here = np.flatnonzero(pages == page)
                    views.append((lanes[here], view, at[here] - page))
            for chosen, data, offset in views:
                words = data[: len(data) // size * size].view(operand.dtype)
                before = np.empty(len(chosen), dtype=operand.dtype)
                lanes_in = (offset // size, operand[chosen], compare[chosen], before)
                kernel(words, ATOMICS[op], lanes_in)
                old[chosen] = before
        return old

    def _parts(
        self, address: Array, size: int
    ) -> list[tuple[NDArray[np.intp], NDArray[np.uint8] | None, Array]]:
        """Lanes by the memory they mean; None is the address space.  Lanes at NOWHERE are left out."""
        everywhere = np.flatnonzero(address < THREAD_LOCAL)
        found: list[tuple[NDArray[np.intp], NDArray[np.uint8] | None, Array]] = []
        if len(everywhere):
            found.append((everywhere, None, address[everywhere]))
        for base, limit, name in (
            (THREAD_LOCAL, GROUP_LOCAL, "thread"),
            (GROUP_LOCAL, NOWHERE, "workgroup"),
        ):
            lanes = np.flatnonzero((address >= base) & (address < limit))
            if not len(lanes):
                continue
            memory, at = self._local(base), address[lanes] - base
            if int(at.max()) + size > len(memory):
                raise GpuFault(
                    ExceptionCode.ADDR_RANGE_FAULT,
                    int(at.max()),
                    f"beyond {name} local memory ({len(memory)} bytes for all)",
                )
            found.append((lanes, memory, at))
        return found

    def _local(self, base: int) -> NDArray[np.uint8]:
        if base == THREAD_LOCAL:
            if self._thread_memory is None:
                self._thread_memory = _zeros(self.count * self.thread_bytes)
            return self._thread_memory
        if self._group_memory is None:
            groups = 0 if self.group_of is None else int(self.group_of.max()) + 1
            self._group_memory = _zeros(groups * self.group_bytes)
        return self._group_memory


def _zeros(size: int) -> NDArray[np.uint8]:
    if size > MOST_LOCAL:
        raise GpuFault(ExceptionCode.DATA_INVALID_FAULT, 0, f"{size} bytes of local memory")
    return np.zeros(size, dtype=np.uint8)


def _keep(value: Array) -> Array:
    return value


def _flush32(value: Array) -> Array:
    small = np.abs(value) < _TINY32
    return np.where(small, np.copysign(np.float32(0), value), value)


def _flush16(value: Array) -> Array:
    small = np.abs(value) < _TINY16
    return np.where(small, np.copysign(np.float16(0), value), value)


def _word(value: int, word: int) -> Array:
    return np.array([value >> 32 * word & 0xFFFFFFFF], dtype=np.uint32)


def _words(value: NDArray[np.int64], word: int, sel: Selection) -> Array:
    chosen = value if sel is None else value[sel]
    return (chosen >> 32 * word).astype(np.uint32)
