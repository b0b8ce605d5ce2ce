"""MIPS: o32, n32 and n64, each in both endiannesses.

Sources: System V ABI MIPS supplement (o32), MIPSpro N32 ABI Handbook (n32, n64), syscall(2).  Position
independent callees find their GOT through $25, so that calls go through it.
"""

from __future__ import annotations

from typing import Literal

from ring3.arch.model import Arch, ElfIdent, Endian, Entry, Signals, Syscall, Threads, Toolchain

_KEPT = (*range(16, 24), 28, 29, 30, 31)  # s0-s7, gp, sp, s8, ra
_TEMPORARY = ("$1", "$3", *(f"${n}" for n in range(10, 16)), "$24", "$25", "hi", "lo", "memory")

_O32 = Syscall(
    instruction="syscall",
    number="$2",
    args=("$4", "$5", "$6", "$7", "stack+16", "stack+20"),
    result="$2",
    error="$7",
    clobbers=("$8", "$9", *_TEMPORARY),
    pairs_aligned=True,
    clone_tls_last=False,
)
_N64 = Syscall(
    instruction="syscall",
    number="$2",
    args=("$4", "$5", "$6", "$7", "$8", "$9"),
    result="$2",
    error="$7",
    clobbers=_TEMPORARY,
    args_kept=False,
    word_bits=64,
    clone_tls_last=False,
)


def _entry(abi: str) -> Entry:
    """The ABIs differ in the width of registers, in how an address is loaded, in the kept floats."""
    store, load, size = ("sw", "lw", 4) if abi == "32" else ("sd", "ld", 8)
    address: tuple[str, ...] = ("lui $25, %hi({start})", "addiu $25, $25, %lo({start})")
    if abi == "64":
        address = (
            "lui $25, %highest({start})",
            "daddiu $25, $25, %higher({start})",
            "dsll $25, $25, 16",
            "daddiu $25, $25, %hi({start})",
            "dsll $25, $25, 16",
            "daddiu $25, $25, %lo({start})",
        )
    add, floats = ("daddiu", range(24, 32)) if abi == "64" else ("addiu", range(20, 32, 2))

    def move(integer: str, double: str) -> tuple[str, ...]:
        return (
            *(f"{integer} ${reg}, {size * n}($4)" for n, reg in enumerate(_KEPT)),
            "#ifdef __mips_hard_float",
            *(f"{double} $f{reg}, {8 * n + 96}($4)" for n, reg in enumerate(floats)),
            "#endif",
        )

    return Entry(
        symbol="__start",
        label=(".set push", ".set noreorder", "{name}:"),
        start=(
            "move $4, $29",
            "addiu $8, $0, -16",
            "and $29, $29, $8",
            f"{add} $29, $29, -32",  # o32: callees store their register arguments here
            *address,
            "jalr $25",
            "nop",
            ".set pop",
        ),
        setjmp=(*move(store, "sdc1"), "jr $31", "move $2, $0", ".set pop"),
        longjmp=(
            *move(load, "ldc1"),
            "sltiu $2, $5, 1",
            "jr $31",
            "addu $2, $2, $5",
            ".set pop",
        ),
        jmp_words=20,
    )


def _variant(
    name: str,
    endian: Endian,
    abi: Literal["32", "n32", "64"],
    toolchain: Toolchain,
) -> Arch:
    sim = {"32": "_ABIO32", "n32": "_ABIN32", "64": "_ABI64"}[abi]
    big = "defined(__MIPSEB__)" if endian == "big" else "defined(__MIPSEL__)"
    return Arch(
        name=name,
        family="mips",
        # EF_MIPS_ABI2 (0x20) marks n32.
        elf=ElfIdent(
            machine=8,
            bits=64 if abi == "64" else 32,
            endian=endian,
            flags_mask=0x20,
            flags=0x20 if abi == "n32" else 0,
        ),
        syscall=_O32 if abi == "32" else _N64,
        condition=f"defined(__mips__) && {big} && _MIPS_SIM == {sim}",
        entry=_entry(abi),
        signals=Signals(
            setmask=3, layout=("flags", "handler", "mask"), flags_type="unsigned int", mask_bytes=16
        ),
        threads=Threads(
            pointer="__nolibc_syscall1(__NR_set_thread_area, (__nolibc_word)(unsigned long)p);",
            clone=("syscall", "bnez $2, 1f", "j {child}", "1:"),
            bias=0x7000,
        ),
        page_sizes=(4096, 16384, 65536),
        toolchain=toolchain,
    )


VARIANTS = (
    _variant(
        "mips32le",
        "little",
        "32",
        Toolchain(
            gcc="mipsel-linux-gnu",
            gcc_flags=("-mabi=32",),
            gcc_package="gcc-mipsel-linux-gnu",
            clang="mipsel-linux-gnu",
            zig="mipsel-linux-eabi",
            musl="mipsel-linux-musleabi",
            qemu="mipsel",
            headers_package="linux-libc-dev-mipsel-cross",
            headers="/usr/mipsel-linux-gnu/include",
        ),
    ),
    _variant(
        "mips32be",
        "big",
        "32",
        Toolchain(
            gcc="mips-linux-gnu",
            gcc_flags=("-mabi=32",),
            gcc_package="gcc-mips-linux-gnu",
            clang="mips-linux-gnu",
            zig="mips-linux-eabi",
            musl="mips-linux-musleabi",
            qemu="mips",
            headers_package="linux-libc-dev-mips-cross",
            headers="/usr/mips-linux-gnu/include",
        ),
    ),
    _variant(
        "mipsn32le",
        "little",
        "n32",
        Toolchain(
            gcc="mips64el-linux-gnuabi64",
            gcc_flags=("-mabi=n32",),
            gcc_package="gcc-mips64el-linux-gnuabi64",
            clang="mips64el-linux-gnuabin32",
            zig="mips64el-linux-gnuabin32",
            musl="mips64el-linux-muslabin32",
            qemu="mipsn32el",
            headers_package="linux-libc-dev-mips64el-cross",
            headers="/usr/mips64el-linux-gnuabi64/include",
        ),
    ),
    _variant(
        "mipsn32be",
        "big",
        "n32",
        Toolchain(
            gcc="mips64-linux-gnuabi64",
            gcc_flags=("-mabi=n32",),
            gcc_package="gcc-mips64-linux-gnuabi64",
            clang="mips64-linux-gnuabin32",
            zig="mips64-linux-gnuabin32",
            musl="mips64-linux-muslabin32",
            qemu="mipsn32",
            headers_package="linux-libc-dev-mips64-cross",
            headers="/usr/mips64-linux-gnuabi64/include",
        ),
    ),
    _variant(
        "mips64le",
        "little",
        "64",
        Toolchain(
            gcc="mips64el-linux-gnuabi64",
            gcc_flags=("-mabi=64",),
            gcc_package="gcc-mips64el-linux-gnuabi64",
            clang="mips64el-linux-gnuabi64",
            zig="mips64el-linux-none",
            zig_flags=("-ftls-model=local-exec",),  # it makes code for shared libraries
            musl="mips64el-linux-muslabi64",
            qemu="mips64el",
            headers_package="linux-libc-dev-mips64el-cross",
            headers="/usr/mips64el-linux-gnuabi64/include",
        ),
    ),
    _variant(
        "mips64be",
        "big",
        "64",
        Toolchain(
            gcc="mips64-linux-gnuabi64",
            gcc_flags=("-mabi=64",),
            gcc_package="gcc-mips64-linux-gnuabi64",
            clang="mips64-linux-gnuabi64",
            zig="mips64-linux-none",
            zig_flags=("-ftls-model=local-exec",),  # it makes code for shared libraries
            musl="mips64-linux-muslabi64",
            qemu="mips64",
            headers_package="linux-libc-dev-mips64-cross",
            headers="/usr/mips64-linux-gnuabi64/include",
        ),
    ),
)
