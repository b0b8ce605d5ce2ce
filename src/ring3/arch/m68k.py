"""m68k: Motorola 68020 and later.

Sources: System V ABI m68k supplement (d2-d7, a2-a7 and fp2-fp7 are preserved), syscall(2).
"""

from ring3.arch.model import Arch, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

M68K = Arch(
    name="m68k",
    family="m68k",
    elf=ElfIdent(machine=4, bits=32, endian="big"),
    syscall=Syscall(
        instruction="trap #0",
        number="d0",
        args=("d1", "d2", "d3", "d4", "d5", "a0"),
        result="d0",
        error="-4095",
        clobbers=("memory",),
    ),
    condition="defined(__m68k__)",
    entry=Entry(
        start=("move.l %sp, %d0", "move.l %d0, -(%sp)", "jsr {start}"),
        setjmp=(
            "move.l 4(%sp), %a0",
            "movem.l %d2-%d7/%a2-%a7, (%a0)",
            "move.l (%sp), 48(%a0)",
            "#ifdef __HAVE_68881__",
            "fmovem.x %fp2-%fp7, 52(%a0)",
            "#endif",
            "clr.l %d0",
            "rts",
        ),
        longjmp=(
            "move.l 4(%sp), %a0",
            "move.l 8(%sp), %d0",
            "bne 1f",
            "moveq #1, %d0",
            "1:",
            "#ifdef __HAVE_68881__",
            "fmovem.x 52(%a0), %fp2-%fp7",
            "#endif",
            "movem.l (%a0), %d2-%d7/%a2-%a7",
            # The stack is that of setjmp's entry, with the return address on top.
            "move.l 48(%a0), (%sp)",
            "rts",
        ),
        jmp_words=16,
    ),
    signals=Signals(),
    threads=Threads(
        pointer="__nolibc_syscall1(__NR_set_thread_area, (__nolibc_word)p);",
        clone=("trap #0", "tst.l %%d0", "jeq {child}"),
        bias=0x7000,
        read=(
            "__m68k_read_tp",
            ("move.l #333, %d0", "trap #0", "move.l %d0, %a0", "rts"),  # get_thread_area
        ),
    ),
    toolchain=Toolchain(
        gcc="m68k-linux-gnu",
        gcc_package="gcc-m68k-linux-gnu",
        qemu="m68k",
        headers_package="linux-libc-dev-m68k-cross",
        headers="/usr/m68k-linux-gnu/include",
    ),
)

VARIANTS = (M68K,)
