"""SuperH: sh4, little endian.

Sources: SuperH ABI (r8-r15, pr and fr12-fr15 are preserved), Linux 7.2 arch/sh (trapa, number in r3).
"""

from ring3.arch.model import Arch, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

SH4 = Arch(
    name="sh4",
    family="sh",
    elf=ElfIdent(machine=42, bits=32, endian="little"),
    syscall=Syscall(
        instruction="trapa #31",
        number="r3",
        args=("r4", "r5", "r6", "r7", "r0", "r1"),
        result="r0",
        error="-4095",
        clobbers=("t", "memory"),
        pread_padded=True,
    ),
    condition="defined(__sh__)",
    entry=Entry(
        start=(
            "mov r15, r4",
            "mov #-8, r0",
            "and r0, r15",
            "mov.l 1f, r0",
            "jsr @r0",
            "nop",
            ".balign 4",
            "1: .long {start}",
        ),
        setjmp=(
            "add #52, r4",
            "#ifdef __SH_FPU_ANY__",
            *(f"fmov.s fr{n}, @-r4" for n in range(15, 11, -1)),
            "#else",
            "add #-16, r4",
            "#endif",
            "sts.l pr, @-r4",
            *(f"mov.l r{n}, @-r4" for n in range(15, 7, -1)),
            "rts",
            "mov #0, r0",
        ),
        longjmp=(
            *(f"mov.l @r4+, r{n}" for n in range(8, 16)),
            "lds.l @r4+, pr",
            "#ifdef __SH_FPU_ANY__",
            *(f"fmov.s @r4+, fr{n}" for n in range(12, 16)),
            "#endif",
            "mov r5, r0",
            "tst r0, r0",
            "bf 1f",
            "mov #1, r0",
            "1: rts",
            "nop",
        ),
        jmp_words=7,
    ),
    signals=Signals(),
    threads=Threads(
        pointer='__asm__ volatile("ldc %0, gbr" : : "r" (p));',
        clone=(
            *("trapa #31", "tst r0, r0", "bf 1f", "mov.l 2f, r0", "jmp @r0", "nop"),
            *(".balign 4", "2: .long {child}", "1:"),
        ),
        gap=8,
    ),
    toolchain=Toolchain(
        gcc="sh4-linux-gnu",
        gcc_package="gcc-sh4-linux-gnu",
        qemu="sh4",
        headers_package="linux-libc-dev-sh4-cross",
        headers="/usr/sh4-linux-gnu/include",
    ),
)

VARIANTS = (SH4,)
