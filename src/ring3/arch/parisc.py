"""PA-RISC, 32-bit user space.

Sources: The 32-bit PA-RISC Run-time Architecture Document (r3-r18 and fr12-fr21 are preserved, the stack
grows upwards), Linux 7.2 arch/parisc (gateway page at 0x100, argv in r24 at entry).
"""

from ring3.arch.model import Arch, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

_KEPT = (2, *range(3, 20), 27, 30)  # rp, r3-r18, r19, dp, sp


def _move(integer: str, double: str, other: str) -> tuple[str, ...]:
    """``integer`` and ``double`` take {reg} and {at}; floats go through %r1."""
    return (
        *(integer.format(reg=reg, at=4 * n) for n, reg in enumerate(_KEPT)),
        "ldo 80(%r26), %r1",
        *(double.format(reg=reg) for reg in range(12, 22)),
        other,
    )


PARISC32 = Arch(
    name="parisc32",
    family="parisc",
    elf=ElfIdent(machine=15, bits=32, endian="big"),
    syscall=Syscall(
        instruction="ble 0x100(%%sr2, %%r0)\nnop",
        number="r20",
        args=("r26", "r25", "r24", "r23", "r22", "r21"),
        result="r28",
        error="-4095",
        clobbers=("r1", "r2", "r20", "r29", "r31", "memory"),
        args_kept=False,
        clone_tls_last=False,
    ),
    condition="defined(__hppa__)",
    entry=Entry(
        start=(
            "ldil L%$global$, %r27",
            "ldo R%$global$(%r27), %r27",
            "ldo -4(%r24), %r26",
            "ldo 64(%r30), %r30",
            "ldil L%{start}, %r1",
            "ble R%{start}(%sr4, %r1)",
            "copy %r31, %r2",
        ),
        setjmp=(
            *_move("stw %r{reg}, {at}(%r26)", "fstds,ma %fr{reg}, 8(%r1)", "bv %r0(%r2)"),
            "copy %r0, %r28",
        ),
        longjmp=(
            *_move("ldw {at}(%r26), %r{reg}", "fldds,ma 8(%r1), %fr{reg}", "copy %r25, %r28"),
            "comib,<>,n 0, %r28, 1f",
            "ldi 1, %r28",
            "1: bv,n %r0(%r2)",
        ),
        jmp_words=20,
    ),
    signals=Signals(layout=("handler", "flags", "mask")),
    threads=Threads(
        # The gateway page's second entry.
        pointer='register char *r26 __asm__("r26") = p; __asm__ volatile('
        '"ble 0xe0(%%sr2, %%r0)\\n\\tnop" : "+r" (r26) : : "r1", "r2", "r31", "memory");',
        clone=(
            *("ble 0x100(%%sr2, %%r0)", "nop", "comib,<> 0, %%r28, 1f", "nop"),
            *("ldil L%%{child}, %%r1", "be R%%{child}(%%sr4, %%r1)", "ldo 4(%%r30), %%r24", "1:"),
        ),
        gap=8,
        stack_grows_up=True,
    ),
    toolchain=Toolchain(
        gcc="hppa-linux-gnu",
        gcc_flags=("-mfast-indirect-calls",),
        gcc_package="gcc-hppa-linux-gnu",
        qemu="hppa",
        headers_package="linux-libc-dev-hppa-cross",
        headers="/usr/hppa-linux-gnu/include",
    ),
)

VARIANTS = (PARISC32,)
