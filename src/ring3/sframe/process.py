"""The threads of a live process: stopped by ptrace, unwound, let go.

ptrace(2), process_vm_readv(2); register layouts are NT_PRSTATUS's of each architecture
(``asm/ptrace.h``: user_regs_struct, user_pt_regs, s390_regs).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ring3 import arch
from ring3.errors import MissingPart, Ring3Error, Unsupported
from ring3.sframe import abi as abis
from ring3.sframe.abi import Abi
from ring3.sframe.unwind import Registers

_PTRACE_DETACH = 17
_PTRACE_GETREGSET = 0x4204
_PTRACE_SEIZE = 0x4206
_PTRACE_INTERRUPT = 0x4207
_NT_PRSTATUS = 1
_WALL = 0x40000000
_PAGE = 4096

#: Architecture -> DWARF number of each 8-byte slot of NT_PRSTATUS's registers, -1 for others.
PRSTATUS: dict[str, tuple[int, ...]] = {
    # r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss ...
    "x86_64": (15, 14, 13, 12, 6, 3, 11, 10, 9, 8, 0, 2, 1, 4, 5, -1, 16, -1, -1, 7),
    "arm64": tuple(range(33)),  # x0-x30 sp pc
    "arm64be": tuple(range(33)),
    "s390x": (-1, 65, *range(16)),  # psw mask, psw address, r0-r15
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


@dataclass(frozen=True)
class Thread:
    """A thread and where it is; ``name`` is its comm."""

    tid: int
    name: str
    registers: Registers


class ProcessMemory:
    """Memory of another process, a page at a time; good as long as the process is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._pages: dict[int, bytes] = {}
        self._buffer = ctypes.create_string_buffer(_PAGE)
        address = ctypes.addressof(self._buffer)
        self._local = _IoVec(address, _PAGE)

    def word(self, address: int) -> int | None:
        """8 bytes in the host's order, or None."""
        inside = address & _PAGE - 1
        page = self._page(address - inside)
        if inside <= _PAGE - 8:
            held = page[inside : inside + 8]
        else:
            held = page[inside:] + self._page(address - inside + _PAGE)[: inside - _PAGE + 8]
        return int.from_bytes(held, arch.host().elf.endian) if len(held) == 8 else None

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes, or fewer where the memory ends."""
        out = b""
        while len(out) < size:
            inside = (address + len(out)) & _PAGE - 1
            piece = self._page(address + len(out) - inside)[inside : inside + size - len(out)]
            if not piece:
                break
            out += piece
        return out

    def _page(self, start: int) -> bytes:
        page = self._pages.get(start)
        if page is None:
            page = b""
            if 0 <= start < 1 << 63:
                remote = _IoVec(start, _PAGE)
                got = _libc.process_vm_readv(
                    self._pid,
                    *(ctypes.byref(self._local), ctypes.c_ulong(1)),
                    *(ctypes.byref(remote), ctypes.c_ulong(1), ctypes.c_ulong(0)),
                )
                page = self._buffer.raw if got == _PAGE else b""
            self._pages[start] = page
        return page


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[list[Thread]]:
    """Stop every thread of ``pid`` and yield them, main thread first; they go on afterwards.

    A process that was stopped before (SIGSTOP) stays so.  MissingPart when it does not exist, is traced
    by somebody else, or the kernel forbids it.
    """
    abi = abis.of(arch.host())
    seized: list[int] = []
    try:
        threads: list[Thread] = []
        # Threads may be born while others are being stopped; look again until there is nobody new.
        while new := [tid for tid in _tids(pid) if tid not in seized]:
            for tid in new:
                if _seize(pid, tid):
                    seized.append(tid)
            threads += [
                thread for tid in new if tid in seized and (thread := _thread(pid, tid, abi))
            ]
            if not any(tid in seized for tid in new):
                break
        yield threads
    finally:
        for tid in seized:
            _libc.ptrace(_PTRACE_DETACH, tid, None, None)


def registers_of(raw: bytes, name: str, abi: Abi) -> Registers:
    """Registers from the words of NT_PRSTATUS; ``name`` is the architecture's."""
    layout = PRSTATUS[name]
    order = "<" if abi.arch.elf.endian == "little" else ">"
    values: list[int | None] = [None] * abi.count
    for number, (value,) in zip(layout, struct.iter_unpack(order + "Q", raw), strict=False):
        if number >= 0:
            values[number] = value
    return Registers(values[abi.pc] or 0, values)


def read_registers(tid: int, abi: Abi) -> Registers:
    """The registers of a thread that is stopped under ptrace by this process.

    Raises Unsupported for a 32-bit one.
    """
    buffer = ctypes.create_string_buffer(512)
    vector = _IoVec(ctypes.addressof(buffer), len(buffer))
    if _libc.ptrace(_PTRACE_GETREGSET, tid, _NT_PRSTATUS, ctypes.addressof(vector)) < 0:
        raise Ring3Error("its registers cannot be read", where=f"thread {tid}")
    size = 8 * len(PRSTATUS[abi.arch.name])
    if vector.len < size:
        raise Unsupported("a 32-bit process", where=f"thread {tid}")
    return registers_of(buffer.raw[:size], abi.arch.name, abi)


def _thread(pid: int, tid: int, abi: Abi) -> Thread | None:
    try:
        _, status = os.waitpid(tid, _WALL)
        if not os.WIFSTOPPED(status):
            return None  # it ended instead
        name = Path(f"/proc/{pid}/task/{tid}/comm").read_bytes().rstrip(b"\n")
        return Thread(tid, name.decode(errors="replace"), read_registers(tid, abi))
    except (ChildProcessError, FileNotFoundError):
        return None


def _seize(pid: int, tid: int) -> bool:
    """Ask a thread to stop; False when it has ended meanwhile."""
    if _libc.ptrace(_PTRACE_SEIZE, tid, None, None) == 0:
        return _libc.ptrace(_PTRACE_INTERRUPT, tid, None, None) == 0
    code = ctypes.get_errno()
    if code == errno.ESRCH:
        return False
    remedy = "run as its user or as root; only one tracer at a time; see ptrace(2) for Yama"
    if code == errno.EPERM:
        state = _state(pid, tid)
        if state in "ZX":
            return False
    raise MissingPart(f"cannot attach: {os.strerror(code)}", where=f"thread {tid}", remedy=remedy)


def _state(pid: int, tid: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/task/{tid}/stat").read_text().rpartition(")")[2].split()[0]
    return "X"


def _tids(pid: int) -> list[int]:
    try:
        tids = sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError):
        raise MissingPart("no such process", where=f"pid {pid}") from None
    return sorted(tids, key=lambda tid: (tid != pid, tid))
