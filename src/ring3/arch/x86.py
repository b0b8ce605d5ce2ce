"""x86: x86_64, x32 and i386.

Sources: System V AMD64 psABI (figure 3.36, DWARF numbers), i386 psABI (table 2.14), syscall(2),
asm/perf_regs.h of Linux 7.2.
"""

from dataclasses import replace

from ring3.arch.model import (
    Arch,
    Dwarf,
    ElfIdent,
    Entry,
    Guard,
    Signals,
    Syscall,
    Threads,
    Toolchain,
)

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
_KEPT_64 = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_KEPT_32 = ("ebx", "esi", "edi", "ebp")
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
# The psABI clears rbp at entry to mark the outermost frame and wants rsp a multiple of 16 at calls.
_GUARD_64 = Guard(offset=0x28)
# 0x1002 is ARCH_SET_FS.
_THREADS_64 = Threads(
    pointer="__nolibc_syscall2(__NR_arch_prctl, 0x1002, (__nolibc_word)(unsigned long)p);",
    clone=("syscall", "testq %%rax, %%rax", "jz {child}"),
    above=False,
)
_ENTRY_64 = Entry(
    start=("xorl %ebp, %ebp", "movq %rsp, %rdi", "andq $-16, %rsp", "call {start}"),
    setjmp=(
        *(f"movq %{name}, {8 * n}(%rdi)" for n, name in enumerate(_KEPT_64)),
        "leaq 8(%rsp), %rdx",
        "movq %rdx, 48(%rdi)",
        "movq (%rsp), %rdx",
        "movq %rdx, 56(%rdi)",
        "xorl %eax, %eax",
        "ret",
    ),
    longjmp=(
        "movl %esi, %eax",
        "cmpl $1, %eax",
        "adcl $0, %eax",
        *(f"movq {8 * n}(%rdi), %{name}" for n, name in enumerate(_KEPT_64)),
        "movq 48(%rdi), %rsp",
        "jmpq *56(%rdi)",
    ),
    jmp_words=8,
    guard=_GUARD_64,
)

X86_64 = Arch(
    name="x86_64",
    family="x86",
    elf=ElfIdent(machine=62, bits=64, endian="little"),
    dwarf=_DWARF_64,
    syscall=_SYSCALL_64,
    condition="defined(__x86_64__) && !defined(__ILP32__)",
    entry=_ENTRY_64,
    signals=Signals(restorer=("movl $15, %eax", "syscall")),
    threads=_THREADS_64,
    perf_regs=_PERF,
    toolchain=Toolchain(
        gcc="x86_64-linux-gnu",
        gcc_package="gcc",
        clang="x86_64-linux-gnu",
        musl="x86_64-linux-musl",
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
        word_bits=64,
        base=0x40000000,
    ),
    condition="defined(__x86_64__) && defined(__ILP32__)",
    entry=replace(
        _ENTRY_64,
        guard=replace(_GUARD_64, offset=0x18),
        start=("xorl %ebp, %ebp", "movl %esp, %edi", "andl $-16, %esp", "call {start}"),
    ),
    signals=Signals(restorer=("movl $0x40000201, %eax", "syscall")),
    threads=_THREADS_64,
    toolchain=Toolchain(
        gcc="x86_64-linux-gnux32",
        gcc_package="gcc-x86-64-linux-gnux32",
        clang="x86_64-linux-gnux32",
        musl="x86_64-linux-muslx32",
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
        clone_tls_last=False,
        # ebp may be the frame pointer, so that the compiler cannot be asked for it.
        sixth=(
            "pushl %[a6]",
            "pushl %%ebp",
            "movl 4(%%esp), %%ebp",
            "int $0x80",
            "popl %%ebp",
            "addl $4, %%esp",
        ),
    ),
    condition="defined(__i386__)",
    entry=Entry(
        start=(
            "xorl %ebp, %ebp",
            "movl %esp, %eax",
            "andl $-16, %esp",
            "subl $12, %esp",
            "pushl %eax",
            "call {start}",
        ),
        setjmp=(
            "movl 4(%esp), %eax",
            *(f"movl %{name}, {4 * n}(%eax)" for n, name in enumerate(_KEPT_32)),
            "leal 4(%esp), %edx",
            "movl %edx, 16(%eax)",
            "movl (%esp), %edx",
            "movl %edx, 20(%eax)",
            "xorl %eax, %eax",
            "ret",
        ),
        longjmp=(
            "movl 4(%esp), %edx",
            "movl 8(%esp), %eax",
            "cmpl $1, %eax",
            "adcl $0, %eax",
            *(f"movl {4 * n}(%edx), %{name}" for n, name in enumerate(_KEPT_32)),
            "movl 16(%edx), %esp",
            "jmp *20(%edx)",
        ),
        jmp_words=3,
        guard=Guard(offset=0x14),
    ),
    signals=Signals(),  # the vDSO knows both frames, of handlers with and without siginfo
    threads=Threads(
        # A struct user_desc: the entry in use, else any; all of memory from p, a 32-bit segment in pages.
        pointer="unsigned int d[4] = { 0, (unsigned long)p, 0xfffff, 0x51 }; "
        '__asm__ volatile("movl %%gs, %0\\n\\tshrl $3, %0" : "=r" (d[0])); '
        "if (__nolibc_syscall1(__NR_set_thread_area, (__nolibc_word)d)) { "
        "d[0] = -1U; __nolibc_syscall1(__NR_set_thread_area, (__nolibc_word)d); } "
        '__asm__ volatile("movw %w0, %%gs" : : "q" (d[0] * 8 + 3) : "memory");',
        clone=("int $0x80", "testl %%eax, %%eax", "jz {child}"),
        above=False,
    ),
    toolchain=Toolchain(
        gcc="i686-linux-gnu",
        gcc_package="gcc-i686-linux-gnu",
        clang="i686-linux-gnu",
        musl="x86-linux-musl",
        zig="x86-linux-none",
        qemu="i386",
        headers_package="linux-libc-dev-i386-cross",
        headers="/usr/i686-linux-gnu/include",
    ),
)

VARIANTS = (X86_64, X32, I386)
