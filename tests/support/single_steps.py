"""Ground truth for unwinding at every instruction: a program single-stepped under ptrace.

At every step the tracer sees what the instruction did to SP and pc, and keeps the list of return addresses
that calls pushed and returns took away.  It reads no unwind information at all.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ring3 import arch
from ring3.sframe import abi as abis
from ring3.sframe.process import ProcessMemory, read_registers
from ring3.sframe.unwind import Registers

ABI = abis.of(arch.by_name("x86_64"))
_TRACEME, _PEEKTEXT, _POKETEXT, _CONT, _SINGLESTEP, _SETREGS = 0, 1, 4, 7, 9, 13
_GETREGS = 12
_RIP = 16  # in user_regs_struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


@dataclass
class Stop:
    """Registers at one instruction, and the return addresses on the stack, innermost first."""

    registers: Registers
    returns: list[int]
    memory: ProcessMemory


def launch(program: Path, *arguments: str) -> int:
    """Start ``program`` stopped at its first instruction, without address randomization; its pid."""
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        _libc.personality(ctypes.c_ulong(0x0040000))
        _libc.ptrace(_TRACEME, 0, None, None)
        os.execv(program, [str(program), *arguments])
    os.waitpid(pid, 0)
    return pid


def run_to(pid: int, address: int) -> None:
    """Let it run until ``address``."""
    word = _libc.ptrace(_PEEKTEXT, pid, address, None)
    _libc.ptrace(_POKETEXT, pid, address, (word & ~0xFF) | 0xCC)
    _libc.ptrace(_CONT, pid, None, None)
    os.waitpid(pid, 0)
    _libc.ptrace(_POKETEXT, pid, address, word & (1 << 64) - 1)
    registers = (ctypes.c_ulong * 27)()
    _libc.ptrace(_GETREGS, pid, None, ctypes.addressof(registers))
    assert registers[_RIP] == address + 1, "the program did not get there"
    registers[_RIP] = address
    _libc.ptrace(_SETREGS, pid, None, ctypes.addressof(registers))


def step(pid: int, most: int) -> Iterator[Stop]:
    """Single-step from a function's first instruction until that function returns (or ``most`` steps).

    Signals are delivered to the program.  The first stop's caller is what lies at SP.
    """
    slots: list[tuple[int, int]] = []  # (address of the slot, return address), outermost first
    registers = read_registers(pid, ABI)
    memory = ProcessMemory(pid)
    slots.append((_sp(registers), memory.word(_sp(registers)) or 0))
    bottom = _sp(registers)
    deliver = 0
    for _ in range(most):
        yield Stop(registers, [value for _, value in reversed(slots)], memory)
        before = registers
        _libc.ptrace(_SINGLESTEP, pid, None, deliver)
        delivered, deliver = deliver, 0
        _, status = os.waitpid(pid, 0)
        assert os.WIFSTOPPED(status), status
        if os.WSTOPSIG(status) != signal.SIGTRAP:
            deliver = os.WSTOPSIG(status)
        registers = read_registers(pid, ABI)
        memory = ProcessMemory(pid)
        sp = _sp(registers)
        while slots and slots[-1][0] < sp:
            slots.pop()
        if sp > bottom:
            return
        if delivered and registers.pc != before.pc:
            # A handler begins: the kernel pushed the trampoline's address, the frame is behind it.
            slots.append((sp + 8, before.pc))
            slots.append((sp, memory.word(sp) or 0))
        elif sp == _sp(before) - 8:
            pushed = memory.word(sp) or 0
            # A call pushes the address behind itself and goes elsewhere; a push goes on behind itself.
            if 2 <= pushed - before.pc <= 7 and registers.pc != pushed:
                slots.append((sp, pushed))


def _sp(registers: Registers) -> int:
    return registers.values[ABI.sp] or 0
