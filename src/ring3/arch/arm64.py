"""arm64 (AArch64), both endiannesses.

Sources: DWARF for the Arm 64-bit Architecture (aadwarf64, table 4.1), syscall(2), asm/perf_regs.h of
Linux 7.2.  Big endian has no user land of its own here; it is declared because SFrame and core dumps
of it exist.
"""

from dataclasses import replace

from ring3.arch.model import Arch, Dwarf, ElfIdent, Syscall, Toolchain

_X = tuple(f"x{n}" for n in range(31))

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
    ),
    perf_regs=(*_X, "sp", "pc"),
    page_sizes=(4096, 16384, 65536),
    toolchain=Toolchain(
        gcc="aarch64-linux-gnu",
        gcc_package="gcc-aarch64-linux-gnu",
        zig="aarch64-linux-none",
        qemu="aarch64",
        headers_package="linux-libc-dev-arm64-cross",
        headers="/usr/aarch64-linux-gnu/include",
    ),
)
ARM64_BE = replace(
    ARM64,
    name="arm64be",
    elf=ElfIdent(machine=183, bits=64, endian="big"),
    toolchain=Toolchain(zig="aarch64_be-linux-none", qemu="aarch64_be"),
)

VARIANTS = (ARM64, ARM64_BE)
