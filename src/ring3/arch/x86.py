"""x86: x86_64, x32 and i386.

Sources: System V AMD64 psABI (figure 3.36, DWARF numbers), i386 psABI (table 2.14), syscall(2),
asm/perf_regs.h of Linux 7.2.
"""

from ring3.arch.model import Arch, Dwarf, ElfIdent, Syscall, Toolchain

_DWARF_64 = Dwarf(
    registers=(
        *("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"),
        *(f"r{n}" for n in range(8, 16)),
        "rip",
    ),
    sp=7,
    fp=6,
    ra=16,
)
_DWARF_32 = Dwarf(
    registers=("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip"), sp=4, fp=5, ra=8
)
# Slots 12-15 are the data segments, which a 64-bit sample leaves out (mask 0xff0fff).
_PERF = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "rip", "eflags", "cs", "ss"),
    *("", "", "", ""),
    *(f"r{n}" for n in range(8, 16)),
)
_SYSCALL_64 = Syscall(
    instruction="syscall",
    number="rax",
    args=("rdi", "rsi", "rdx", "r10", "r8", "r9"),
    result="rax",
    error="-4095",
    clobbers=("rcx", "r11", "memory"),
)

X86_64 = Arch(
    name="x86_64",
    family="x86",
    elf=ElfIdent(machine=62, bits=64, endian="little"),
    dwarf=_DWARF_64,
    syscall=_SYSCALL_64,
    perf_regs=_PERF,
    toolchain=Toolchain(
        gcc="x86_64-linux-gnu",
        gcc_package="gcc",
        zig="x86_64-linux-none",
        qemu="x86_64",
        headers_package="linux-libc-dev",
        headers="/usr/include",
    ),
)
X32 = Arch(
    name="x32",
    family="x86",
    elf=ElfIdent(machine=62, bits=32, endian="little"),
    dwarf=_DWARF_64,
    syscall=Syscall(
        instruction="syscall",
        number="rax",
        args=("rdi", "rsi", "rdx", "r10", "r8", "r9"),
        result="rax",
        error="-4095",
        clobbers=("rcx", "r11", "memory"),
        base=0x40000000,
    ),
    toolchain=Toolchain(
        gcc="x86_64-linux-gnux32",
        gcc_package="gcc-x86-64-linux-gnux32",
        zig="x86_64-linux-gnux32",
        headers_package="linux-libc-dev-x32-cross",
        headers="/usr/x86_64-linux-gnux32/include",
    ),
)
I386 = Arch(
    name="i386",
    family="x86",
    elf=ElfIdent(machine=3, bits=32, endian="little"),
    dwarf=_DWARF_32,
    syscall=Syscall(
        instruction="int $0x80",
        number="eax",
        args=("ebx", "ecx", "edx", "esi", "edi", "ebp"),
        result="eax",
        error="-4095",
        clobbers=("memory",),
    ),
    toolchain=Toolchain(
        gcc="i686-linux-gnu",
        gcc_package="gcc-i686-linux-gnu",
        zig="x86-linux-none",
        qemu="i386",
        headers_package="linux-libc-dev-i386-cross",
        headers="/usr/i686-linux-gnu/include",
    ),
)

VARIANTS = (X86_64, X32, I386)
