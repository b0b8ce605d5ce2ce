"""LoongArch, 64-bit (LP64D).

Sources: LoongArch ELF psABI (calling convention, DWARF numbers), syscall(2), asm/perf_regs.h of Linux 7.2.
"""

from ring3.arch.model import Arch, Dwarf, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

_R = tuple(f"r{n}" for n in range(32))
_KEPT = ("ra", "sp", "fp", *(f"s{n}" for n in range(9)))
_FLOATS = tuple(f"fs{n}" for n in range(8))


def _move(integer: str, double: str) -> tuple[str, ...]:
    return (
        *(f"{integer} ${name}, $a0, {8 * n}" for n, name in enumerate(_KEPT)),
        "#ifdef __loongarch_double_float",
        *(f"{double} ${name}, $a0, {8 * n + 96}" for n, name in enumerate(_FLOATS)),
        "#endif",
    )


LOONGARCH = Arch(
    name="loongarch",
    family="loongarch",
    elf=ElfIdent(machine=258, bits=64, endian="little"),
    dwarf=Dwarf(registers=_R, sp=3, fp=22, ra=1),
    syscall=Syscall(
        instruction="syscall 0",
        number="$a7",
        args=("$a0", "$a1", "$a2", "$a3", "$a4", "$a5"),
        result="$a0",
        error="-4095",
        clobbers=(*(f"$t{n}" for n in range(9)), "memory"),
    ),
    condition="defined(__loongarch__)",
    entry=Entry(
        start=(
            "move $fp, $zero",
            "move $a0, $sp",
            "bstrins.d $sp, $zero, 3, 0",
            "bl {start}",
        ),
        setjmp=(*_move("st.d", "fst.d"), "move $a0, $zero", "jr $ra"),
        longjmp=(
            *_move("ld.d", "fld.d"),
            "sltui $a0, $a1, 1",
            "add.w $a0, $a0, $a1",
            "jr $ra",
        ),
        jmp_words=20,
    ),
    signals=Signals(layout=("handler", "flags", "mask")),
    threads=Threads(
        pointer='__asm__ volatile("move $tp, %0" : : "r" (p));',
        clone=("syscall 0", "bnez $a0, 1f", "b {child}", "1:"),
    ),
    perf_regs=("pc", *_R[1:]),
    page_sizes=(4096, 16384, 65536),
    weak_by_got=True,
    toolchain=Toolchain(
        zig="loongarch64-linux-none",
        zig_flags=("-mcpu=generic_la64+d-lsx-lasx",),
        musl="loongarch64-linux-musl",
        qemu="loongarch64",
    ),
)

VARIANTS = (LOONGARCH,)
