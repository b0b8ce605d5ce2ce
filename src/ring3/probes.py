"""Trials of what this machine can do: each does the real thing once, small, and says what came of it.

A probe returns a short text about what it found, or None when the machine cannot do it.  None of
them needs a library beyond libc, and none leaves anything behind.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import shutil
import signal
import struct
import subprocess

_libc = ctypes.CDLL(None, use_errno=True)

# Numbers of x86_64 and of the generic table (asm-generic/unistd.h), Linux 7.2.
_NR = {
    "x86_64": {"perf_event_open": 298, "seccomp": 317},
    "aarch64": {"perf_event_open": 241, "seccomp": 277},
    "riscv64": {"perf_event_open": 241, "seccomp": 277},
}


def program(*names: str, version: str = "--version") -> str | None:
    """Path of the first of ``names`` on PATH, with the first line it prints about its version."""
    for name in names:
        path = shutil.which(name)
        if path is None:
            continue
        done = subprocess.run(
            [path, version], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        lines = (done.stdout or done.stderr).strip().splitlines()
        return lines[0].strip() if lines else path
    return None


def perf_event(hardware: bool = False) -> str | None:
    """Whether perf_event_open gives a sampling event with user registers, user stack and call chain:
    the CPU's cycle counter (``hardware``) or the software cpu-clock."""
    number = _syscall_number("perf_event_open")
    if number is None:
        return None
    sample_type = 1 << 5 | 1 << 12 | 1 << 13  # CALLCHAIN, REGS_USER, STACK_USER
    attr = bytearray(128)
    kind, config = (0, 0) if hardware else (1, 0)  # HARDWARE/CPU_CYCLES, SOFTWARE/CPU_CLOCK
    struct.pack_into("=IIQQQ", attr, 0, kind, len(attr), config, 1_000_000, sample_type)
    struct.pack_into("=Q", attr, 40, 1 | 1 << 5 | 1 << 6)  # disabled, exclude_kernel, exclude_hv
    struct.pack_into("=QI", attr, 80, 0xFF0FFF if os.uname().machine == "x86_64" else 1, 1024)
    buffer = (ctypes.c_char * len(attr)).from_buffer(attr)
    descriptor = _libc.syscall(number, buffer, 0, -1, -1, 8)
    if descriptor < 0:
        return None
    os.close(descriptor)
    return "cycles of the hardware PMU" if hardware else "software cpu-clock"


def ptrace() -> str | None:
    """Whether a process of ours can be attached to and read."""
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        seize, interrupt = 0x4206, 0x4207
        if _libc.ptrace(seize, child, None, None) or _libc.ptrace(interrupt, child, None, None):
            return None
        os.waitpid(child, 0)
        return "attach and read"
    except OSError:
        return None
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def seccomp_notification() -> str | None:
    """Whether the kernel passes system calls of a filtered process to user space and lets an fd be
    added there (SECCOMP_RET_USER_NOTIF, Linux 5.9)."""
    number = _syscall_number("seccomp")
    if number is None:
        return None
    get_action_avail, get_notif_sizes = 2, 3
    action = ctypes.c_uint32(0x7FC00000)
    if _libc.syscall(number, get_action_avail, 0, ctypes.byref(action)):
        return None
    sizes = (ctypes.c_uint16 * 3)()
    if _libc.syscall(number, get_notif_sizes, 0, sizes):
        return None
    return f"notification {sizes[0]} bytes, response {sizes[1]}"


def user_namespace() -> str | None:
    """Whether a process without privileges may make a user namespace of its own."""
    child = os.fork()
    if child == 0:
        os._exit(1 if _libc.unshare(0x10000000) else 0)
    return "may be made" if os.waitpid(child, 0)[1] == 0 else None


def kvm() -> str | None:
    """Whether /dev/kvm runs a guest: a real one, of one HLT instruction in real mode.

    The device may be there and run nothing (nested virtualisation without hardware help).
    """
    if os.uname().machine != "x86_64":
        return None
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    opened = [device]
    try:
        machine = fcntl.ioctl(device, 0xAE01, 0)  # KVM_CREATE_VM
        opened.append(machine)
        with mmap.mmap(-1, 4096, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS) as memory:
            memory[0] = 0xF4  # HLT
            view = ctypes.c_char.from_buffer(memory)
            address = ctypes.addressof(view)
            try:
                # KVM_SET_USER_MEMORY_REGION: slot 0, no flags, guest address 0, one page
                fcntl.ioctl(machine, 0x4020AE46, struct.pack("=IIQQQ", 0, 0, 0, 4096, address))
                return _run_to_halt(device, machine, opened)
            finally:
                del view
    except OSError:
        return None
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)


def _run_to_halt(device: int, machine: int, opened: list[int]) -> str | None:
    """Start a CPU at address 0 in real mode; KVM_EXIT_HLT (5) is the proof."""
    cpu = fcntl.ioctl(machine, 0xAE41, 0)  # KVM_CREATE_VCPU
    opened.append(cpu)
    size = fcntl.ioctl(device, 0xAE04, 0)  # KVM_GET_VCPU_MMAP_SIZE
    special = bytearray(312)  # struct kvm_sregs
    fcntl.ioctl(cpu, 0x8138AE83, special)  # KVM_GET_SREGS
    struct.pack_into("=QIH", special, 0, 0, 0xFFFF, 0)  # cs: base, limit, selector
    fcntl.ioctl(cpu, 0x4138AE84, bytes(special))  # KVM_SET_SREGS
    general = struct.pack("=18Q", *([0] * 17), 2)  # rip 0, rflags with its fixed bit
    fcntl.ioctl(cpu, 0x4090AE82, general)  # KVM_SET_REGS
    with mmap.mmap(cpu, size) as run:
        previous = signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 2)  # a broken host never comes back from the guest
        try:
            fcntl.ioctl(cpu, 0xAE80, 0)  # KVM_RUN
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        (reason,) = struct.unpack_from("=I", run, 8)
        return "ran a guest of one instruction" if reason == 5 else None


def _syscall_number(name: str) -> int | None:
    return _NR.get(os.uname().machine, {}).get(name)
