"""RISC-V: riscv64 and riscv32.

Sources: RISC-V ELF psABI (calling convention, DWARF numbers), syscall(2), asm/perf_regs.h of Linux 7.2.
``gp`` must hold __global_pointer$ before any C code runs: the linker relaxes to it.
"""

from dataclasses import replace

from ring3.arch.model import Arch, Dwarf, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

_X = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{n}" for n in range(8)),
    *(f"s{n}" for n in range(2, 12)),
    *(f"t{n}" for n in range(3, 7)),
)
_KEPT = ("ra", "sp", *(f"s{n}" for n in range(12)))
_FLOATS = tuple(f"fs{n}" for n in range(12))


def _move(integer: str, double: str, single: str, size: int) -> tuple[str, ...]:
    """Stores or loads of what calls preserve, from a0 on; floats as wide as the ABI has them."""
    return (
        *(f"{integer} {name}, {size * n}(a0)" for n, name in enumerate(_KEPT)),
        "#ifdef __riscv_float_abi_double",
        *(f"{double} {name}, {8 * n + 112}(a0)" for n, name in enumerate(_FLOATS)),
        "#elif defined(__riscv_float_abi_single)",
        *(f"{single} {name}, {8 * n + 112}(a0)" for n, name in enumerate(_FLOATS)),
        "#endif",
    )


def _entry(store: str, load: str, size: int) -> Entry:
    return Entry(
        start=(
            ".option push",
            ".option norelax",
            "lla gp, __global_pointer$",
            ".option pop",
            "mv a0, sp",
            "andi sp, sp, -16",
            "call {start}",
        ),
        setjmp=(*_move(store, "fsd", "fsw", size), "li a0, 0", "ret"),
        longjmp=(*_move(load, "fld", "flw", size), "seqz a0, a1", "add a0, a0, a1", "ret"),
        jmp_words=26,
    )


RISCV64 = Arch(
    name="riscv64",
    family="riscv",
    elf=ElfIdent(machine=243, bits=64, endian="little"),
    dwarf=Dwarf(registers=_X, sp=2, fp=8, ra=1),
    syscall=Syscall(
        instruction="ecall",
        number="a7",
        args=("a0", "a1", "a2", "a3", "a4", "a5"),
        result="a0",
        error="-4095",
        clobbers=("memory",),
        clone_tls_last=False,
    ),
    condition="defined(__riscv) && __riscv_xlen == 64",
    entry=_entry("sd", "ld", 8),
    signals=Signals(layout=("handler", "flags", "mask")),
    threads=Threads(
        pointer='__asm__ volatile("mv tp, %0" : : "r" (p));',
        clone=("ecall", "bnez a0, 1f", "tail {child}", "1:"),
    ),
    perf_regs=("pc", *_X[1:]),
    toolchain=Toolchain(
        gcc="riscv64-linux-gnu",
        gcc_package="gcc-riscv64-linux-gnu",
        clang="riscv64-linux-gnu",
        zig="riscv64-linux-none",
        musl="riscv64-linux-musl",
        qemu="riscv64",
        headers_package="linux-libc-dev-riscv64-cross",
        headers="/usr/riscv64-linux-gnu/include",
    ),
)
RISCV32 = replace(
    RISCV64,
    name="riscv32",
    elf=ElfIdent(machine=243, bits=32, endian="little"),
    condition="defined(__riscv) && __riscv_xlen == 32",
    entry=_entry("sw", "lw", 4),
    toolchain=replace(
        RISCV64.toolchain,
        gcc_flags=("-march=rv32ima", "-mabi=ilp32"),
        libgcc=False,
        clang="riscv32-linux-gnu",
        clang_flags=("-march=rv32ima", "-mabi=ilp32"),
        zig="riscv32-linux-none",
        musl="riscv32-linux-musl",
        qemu="riscv32",
    ),
)

VARIANTS = (RISCV64, RISCV32)
