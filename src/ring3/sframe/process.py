"""The threads of a live process: stopped by ptrace, unwound, let go.

ptrace(2), process_vm_readv(2); register layouts are NT_PRSTATUS's of each architecture
(``asm/ptrace.h``: user_regs_struct, user_pt_regs, s390_regs).  On the way of ``ring3 stack``: imports
nothing heavy (see :mod:`ring3.sframe.stack`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from ring3.errors import MissingPart, Ring3Error, Unsupported
from ring3.sframe import abi as abis
from ring3.sframe.unwind import Registers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ring3.sframe.abi import Abi

_PTRACE_DETACH = 17
_PTRACE_GETREGSET = 0x4204
_PTRACE_SEIZE = 0x4206
_PTRACE_INTERRUPT = 0x4207
_NT_PRSTATUS = 1
_WALL = 0x40000000
_PF_KTHREAD = 0x200000  # linux/sched.h
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


class Thread:
    """A thread and where it is; ``name`` is its comm."""

    def __init__(self, tid: int, name: str, registers: Registers) -> None:
        self.tid = tid
        self.name = name
        self.registers = registers


class ProcessMemory:
    """Memory of another process, a page at a time; good as long as the process is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._endian = abis.host().endian
        self._pages: dict[int, bytes] = {}
        self._buffer = ctypes.create_string_buffer(_PAGE)
        self._local = _IoVec(ctypes.addressof(self._buffer), _PAGE)

    def word(self, address: int) -> int | None:
        """8 bytes in the host's order, or None."""
        inside = address & _PAGE - 1
        page = self._page(address - inside)
        if inside <= _PAGE - 8:
            held = page[inside : inside + 8]
        else:
            held = page[inside:] + self._page(address - inside + _PAGE)[: inside - _PAGE + 8]
        return int.from_bytes(held, self._endian) if len(held) == 8 else None

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


class Stopped:
    """Every thread of ``pid`` stopped; ``with`` gives them, main thread first.  They go on afterwards.

    A process that was stopped before (SIGSTOP) stays so.  MissingPart when it does not exist, is traced
    by somebody else, or the kernel forbids it.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seized: set[int] = set()

    def __enter__(self) -> list[Thread]:
        try:
            return self._stop(abis.host())
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        for tid in self._seized:
            _libc.ptrace(_PTRACE_DETACH, tid, None, None)

    def _stop(self, abi: Abi) -> list[Thread]:
        threads: list[Thread] = []
        # Threads may be born while others are being stopped; look again until there is nobody new.
        while new := [tid for tid in _tids(self._pid) if tid not in self._seized]:
            stopped = [tid for tid in new if self._seize(tid)]
            for tid in stopped:
                thread = _thread(self._pid, tid, abi)
                if thread is not None:
                    threads.append(thread)
            if not stopped:
                break
        if not threads:
            raise MissingPart("it has ended", where=f"pid {self._pid}")
        return threads

    def _seize(self, tid: int) -> bool:
        """Ask a thread to stop; False when it has ended meanwhile."""
        if _libc.ptrace(_PTRACE_SEIZE, tid, None, None) == 0:
            self._seized.add(tid)
            return _libc.ptrace(_PTRACE_INTERRUPT, tid, None, None) == 0
        code = ctypes.get_errno()
        state, flags = _state(self._pid, tid)
        if code == errno.ESRCH or (code == errno.EPERM and state in "ZX"):
            return False
        reason = f"cannot attach: {os.strerror(code)}"
        remedy: str | None = _REMEDY
        if self._pid == os.getpid():
            reason, remedy = "a process cannot stop itself", None
        elif flags & _PF_KTHREAD:
            reason, remedy = "a kernel thread has no stack in user space", None
        raise MissingPart(reason, where=f"thread {tid}", remedy=remedy)


_REMEDY = "run as its user or as root; only one tracer at a time; see ptrace(2) for Yama"


def registers_of(raw: bytes, abi: Abi) -> Registers:
    """Registers from the words of NT_PRSTATUS, of which there must be enough for PRSTATUS."""
    layout = PRSTATUS[abi.name]
    order = "<" if abi.endian == "little" else ">"
    values: list[int | None] = [None] * abi.count
    words = struct.unpack_from(f"{order}{len(layout)}Q", raw)
    for number, value in zip(layout, words, strict=True):
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
    size = 8 * len(PRSTATUS[abi.name])
    if vector.len < size:
        raise Unsupported("a 32-bit process", where=f"thread {tid}")
    return registers_of(buffer.raw[:size], abi)


def _thread(pid: int, tid: int, abi: Abi) -> Thread | None:
    try:
        _, status = os.waitpid(tid, _WALL)
        if not os.WIFSTOPPED(status):
            return None  # it ended instead
        with open(f"/proc/{pid}/task/{tid}/comm", "rb") as file:
            name = file.read().rstrip(b"\n")
        return Thread(tid, name.decode(errors="replace"), read_registers(tid, abi))
    except (ChildProcessError, FileNotFoundError):
        return None


def _state(pid: int, tid: int) -> tuple[str, int]:
    """State letter and flags out of proc_pid_stat(5); X (dead) where there is no such thread."""
    try:
        with open(f"/proc/{pid}/task/{tid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # from the third field on
        return fields[0].decode(), int(fields[6])
    except (OSError, IndexError, ValueError):
        return "X", 0


def _tids(pid: int) -> list[int]:
    try:
        tids = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError):
        raise MissingPart("no such process", where=f"pid {pid}") from None
    return sorted(tids, key=lambda tid: (tid != pid, tid))
