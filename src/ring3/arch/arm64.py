"""arm64 (AArch64), both endiannesses.

Sources: DWARF for the Arm 64-bit Architecture (aadwarf64, table 4.1), syscall(2), asm/perf_regs.h of
Linux 7.2.  Big endian has no user land of its own here; it is declared because SFrame and core dumps
of it exist.
"""

from dataclasses import replace

from ring3.arch.model import Arch, Dwarf, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

_X = tuple(f"x{n}" for n in range(31))
# Pairs that AAPCS64 has calls preserve, with their byte offset in jmp_buf.
_KEPT = (
    *(((f"x{n}", f"x{n + 1}"), 8 * (n - 19)) for n in range(19, 31, 2)),
    *(((f"d{n}", f"d{n + 1}"), 8 * (n + 4)) for n in range(8, 16, 2)),
)

ARM64 = Arch(
    name="arm64",
    family="arm64",
    elf=ElfIdent(machine=183, bits=64, endian="little"),
    # 32 is the PC (reserved in the table, used by debuggers), 34 RA_SIGN_STATE.
    dwarf=Dwarf(registers=(*_X, "sp", "pc", "elr", "ra_sign_state"), sp=31, fp=29, ra=30),
    syscall=Syscall(
        instruction="svc #0",
        number="x8",
        args=("x0", "x1", "x2", "x3", "x4", "x5"),
        result="x0",
        error="-4095",
        clobbers=("memory",),
        clone_tls_last=False,
    ),
    condition="defined(__aarch64__) && !defined(__AARCH64EB__)",
    entry=Entry(
        start=("mov x29, xzr", "mov x0, sp", "and sp, x0, #-16", "bl {start}"),
        setjmp=(
            *(f"stp {a}, {b}, [x0, #{at}]" for (a, b), at in _KEPT),
            "mov x2, sp",
            "str x2, [x0, #160]",
            "mov w0, wzr",
            "ret",
        ),
        longjmp=(
            *(f"ldp {a}, {b}, [x0, #{at}]" for (a, b), at in _KEPT),
            "ldr x2, [x0, #160]",
            "mov sp, x2",
            "cmp w1, #0",
            "csinc w0, w1, wzr, ne",
            "ret",
        ),
        jmp_words=21,
    ),
    signals=Signals(),
    threads=Threads(
        pointer='__asm__ volatile("msr tpidr_el0, %0" : : "r" (p));',
        clone=("svc #0", "cbnz x0, 1f", "b {child}", "1:"),
        gap=16,
    ),
    perf_regs=(*_X, "sp", "pc"),
    page_sizes=(4096, 16384, 65536),
    weak_by_got=True,
    toolchain=Toolchain(
        gcc="aarch64-linux-gnu",
        gcc_package="gcc-aarch64-linux-gnu",
        # libgcc's helpers for atomics ask glibc's __getauxval which instructions there are.
        gcc_flags=("-mno-outline-atomics",),
        clang="aarch64-linux-gnu",
        clang_flags=("-mno-outline-atomics",),
        zig="aarch64-linux-none",
        musl="aarch64-linux-musl",
        qemu="aarch64",
        headers_package="linux-libc-dev-arm64-cross",
        headers="/usr/aarch64-linux-gnu/include",
    ),
)
ARM64_BE = replace(
    ARM64,
    name="arm64be",
    condition="defined(__AARCH64EB__)",
    elf=ElfIdent(machine=183, bits=64, endian="big"),
    toolchain=Toolchain(zig="aarch64_be-linux-none", qemu="aarch64_be"),
)

VARIANTS = (ARM64, ARM64_BE)
