"""OpenRISC 1000, 32-bit.

Sources: OpenRISC 1000 Architecture Manual 1.4, chapter 16 (r1, r2, r9, r10 and the even registers from r14 on
are preserved), Linux 7.2 arch/openrisc (l.sys 1, number in r11).  Debian's only compiler is the
bare-metal one, which is as good for programs that bring their own libc.
"""

from ring3.arch.model import Arch, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

_KEPT = (1, 2, 9, 10, *range(14, 32, 2))

OPENRISC = Arch(
    name="openrisc",
    family="openrisc",
    elf=ElfIdent(machine=92, bits=32, endian="big"),
    syscall=Syscall(
        instruction="l.sys 1\nl.nop",
        number="r11",
        args=("r3", "r4", "r5", "r6", "r7", "r8"),
        result="r11",
        error="-4095",
        clobbers=(*(f"r{n}" for n in (12, 13, *range(15, 32, 2))), "memory"),
        args_kept=False,
        mmap2_shift=13,
    ),
    condition="defined(__or1k__)",
    entry=Entry(
        start=(
            "l.ori r3, r1, 0",
            "l.addi r4, r0, -8",
            "l.and r1, r1, r4",
            "l.addi r2, r0, 0",
            "l.jal {start}",
            "l.nop",
        ),
        setjmp=(
            *(f"l.sw {4 * n}(r3), r{reg}" for n, reg in enumerate(_KEPT)),
            "l.jr r9",
            "l.addi r11, r0, 0",
        ),
        longjmp=(
            *(f"l.lwz r{reg}, {4 * n}(r3)" for n, reg in enumerate(_KEPT)),
            "l.sfeqi r4, 0",
            "l.bnf 1f",
            "l.ori r11, r4, 0",
            "l.addi r11, r0, 1",
            "1: l.jr r9",
            "l.nop",
        ),
        jmp_words=7,
    ),
    signals=Signals(layout=("handler", "flags", "mask")),
    threads=Threads(
        pointer='__asm__ volatile("l.ori r10, %0, 0" : : "r" (p));',
        clone=("l.sys 1", "l.nop", "l.sfeqi r11, 0", "l.bf {child}", "l.nop"),
    ),
    page_sizes=(8192,),
    toolchain=Toolchain(
        gcc="or1k-elf",
        gcc_flags=("-Wl,-e,_start", "-Wl,-Ttext-segment=0x10000"),
        gcc_package="gcc-or1k-elf",
        qemu="or1k",
    ),
)

VARIANTS = (OPENRISC,)
