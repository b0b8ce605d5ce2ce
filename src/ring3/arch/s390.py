"""s390x.

Sources: ELF ABI s390x Supplement (table 1.19, DWARF numbers), syscall(2), asm/perf_regs.h of Linux 7.2.
The return address has no register of its own: the CIE's return column is r14.
"""

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

S390X = Arch(
    name="s390x",
    family="s390",
    elf=ElfIdent(machine=22, bits=64, endian="big"),
    dwarf=Dwarf(
        registers=(
            *(f"r{n}" for n in range(16)),
            *("f0", "f2", "f4", "f6", "f1", "f3", "f5", "f7"),
            *("f8", "f10", "f12", "f14", "f9", "f11", "f13", "f15"),
            *(f"c{n}" for n in range(16)),
            *(f"a{n}" for n in range(16)),
            *("mask", "addr"),
        ),
        sp=15,
        fp=11,
        ra=14,
    ),
    syscall=Syscall(
        instruction="svc 0",
        number="r1",
        args=("r2", "r3", "r4", "r5", "r6", "r7"),
        result="r2",
        error="-4095",
        clobbers=("memory",),
        mmap_by_pointer=True,
        clone_stack_first=True,
    ),
    condition="defined(__s390x__)",
    entry=Entry(
        start=(
            "lgr %r2, %r15",
            "aghi %r15, -160",
            "xc 0(8,%r15), 0(%r15)",
            "brasl %r14, {start}",
        ),
        setjmp=(
            "stmg %r6, %r15, 0(%r2)",
            *(f"std %f{n}, {8 * (n + 2)}(%r2)" for n in range(8, 16)),
            "lghi %r2, 0",
            "br %r14",
        ),
        longjmp=(
            "lmg %r6, %r15, 0(%r2)",
            *(f"ld %f{n}, {8 * (n + 2)}(%r2)" for n in range(8, 16)),
            "ltr %r2, %r3",
            "bnzr %r14",
            "lghi %r2, 1",
            "br %r14",
        ),
        jmp_words=18,
        guard=Guard(offset=0x28),
    ),
    signals=Signals(),
    threads=Threads(
        pointer='__asm__ volatile("sar %%a1, %0\\n\\tsrlg %0, %0, 32\\n\\tsar %%a0, %0" : "+d" (p));',
        clone=("svc 0", "ltgr %%r2, %%r2", "brcl 8, {child}"),
        above=False,
    ),
    perf_regs=(*(f"r{n}" for n in range(16)), *(f"f{n}" for n in range(16)), "mask", "addr"),
    toolchain=Toolchain(
        gcc="s390x-linux-gnu",
        gcc_package="gcc-s390x-linux-gnu",
        clang="s390x-linux-gnu",
        clang_flags=("-fuse-ld=bfd",),  # before 19, lld does not know s390x
        zig="s390x-linux-none",
        musl="s390x-linux-musl",
        qemu="s390x",
        headers_package="linux-libc-dev-s390x-cross",
        headers="/usr/s390x-linux-gnu/include",
    ),
)

VARIANTS = (S390X,)
