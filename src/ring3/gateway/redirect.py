"""Turning a trapped mmap of a native program to another file, with ptrace.

DRM's mmap offsets name buffers, each of which is a host file of its own, but seccomp cannot change a
call's arguments.  So the waiting thread is stopped for a moment: the interrupted mmap starts again with the
other descriptor and offset, which the filter lets through, and the descriptor is closed behind it.

Sources: ptrace(2); the restart of interrupted calls: signal(7); struct user_regs_struct of sys/user.h.
"""

from __future__ import annotations

import ctypes
import os
import signal
from errno import EIO, ENODEV

from ring3.gateway.seccomp import REDIRECTED

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

_SEIZE, _INTERRUPT, _SYSCALL, _GETREGS, _SETREGS, _DETACH = 0x4206, 0x4207, 24, 12, 13, 17
_TRACE_SYSGOOD = 1
_WALL = 0x40000000
_REGISTERS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx"),
    *("rsi", "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base"),
    *("ds", "es", "fs", "gs"),
)
_SYSCALL_BYTES = 2
_NR_CLOSE = 3


class _Registers(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_ulonglong) for name in _REGISTERS)


def map_in(tid: int, fd: int) -> None:
    """Have thread ``tid``, which waits in a trapped mmap, map its own descriptor ``fd`` from its start
    instead, and close that descriptor.

    OSError when the thread cannot be traced (a debugger has it); it then sees its call interrupted and
    asks again.
    """
    if os.uname().machine != "x86_64":
        raise OSError(ENODEV, "mappings of native programs are redirected on x86_64 only")
    _ptrace(_SEIZE, tid, _TRACE_SYSGOOD)
    held: list[int] = []
    try:
        _ptrace(_INTERRUPT, tid)
        _stop(tid, held, syscall=False)
        registers = _Registers()
        pointer = ctypes.addressof(registers)
        _ptrace(_GETREGS, tid, pointer)
        registers.r8, registers.r9 = REDIRECTED << 32 | fd, 0  # descriptor and offset
        _ptrace(_SETREGS, tid, pointer)
        _one_call(tid, held)
        _ptrace(_GETREGS, tid, pointer)
        after = _Registers.from_buffer_copy(registers)
        registers.rax, registers.rdi, registers.orig_rax = (
            _NR_CLOSE,
            REDIRECTED << 32 | fd,
            ctypes.c_ulonglong(-1).value,
        )
        registers.rip -= _SYSCALL_BYTES
        _ptrace(_SETREGS, tid, pointer)
        _one_call(tid, held)
        after.orig_rax = ctypes.c_ulonglong(-1).value  # nothing is left to restart
        _ptrace(_SETREGS, tid, ctypes.addressof(after))
    finally:
        _libc.ptrace(_DETACH, tid, None, None)
        for number in held:
            os.kill(tid, number)


def _one_call(tid: int, held: list[int]) -> None:
    """Let the thread enter and leave one system call."""
    for _ in ("entry", "exit"):
        _ptrace(_SYSCALL, tid)
        _stop(tid, held, syscall=True)


def _stop(tid: int, held: list[int], *, syscall: bool) -> None:
    """Wait for the stop that was asked for; signals on the way are kept for later."""
    while True:
        _, status = os.waitpid(tid, _WALL)
        if not os.WIFSTOPPED(status):
            raise OSError(EIO, f"thread {tid} ended")
        number = os.WSTOPSIG(status)
        if number == signal.SIGTRAP | 0x80 or (not syscall and status >> 16):
            return
        if number != signal.SIGTRAP:
            held.append(number)
        _ptrace(_SYSCALL if syscall else _INTERRUPT, tid)


def _ptrace(request: int, tid: int, data: int | None = None) -> None:
    if _libc.ptrace(request, tid, None, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace: {os.strerror(code)}")
