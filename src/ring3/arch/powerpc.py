"""PowerPC: ppc (32-bit), ppc64 (big endian, ELFv1 or ELFv2) and ppc64le (ELFv2).

Sources: Power Architecture 32-bit ABI supplement, 64-bit ELF ABI v1 and v2 (r14-r31, f14-f31, v20-v31 and
the CR are preserved; ELFv1 calls through descriptors in .opd, ELFv2 enters with the address in r12),
syscall(2): the SO bit of CR0 says that the result is an error number.
"""

from __future__ import annotations

from dataclasses import replace

from ring3.arch.model import Arch, ElfIdent, Entry, Guard, Signals, Syscall, Threads, Toolchain

_SYSCALL = Syscall(
    instruction="sc\nbns+ 1f\nneg %%r3, %%r3\n1:",
    number="r0",
    args=("r3", "r4", "r5", "r6", "r7", "r8"),
    result="r3",
    error="-4095",
    clobbers=("cr0", "r9", "r10", "r11", "r12", "ctr", "xer", "lr", "memory"),
    args_kept=False,
    pairs_aligned=True,
    clone_tls_last=False,
)


def _jumps(store: str, load: str, size: int, vectors_at: int) -> tuple[tuple[str, ...], ...]:
    """setjmp's stores and longjmp's loads: r1, lr, cr, r2, r14-r31, then floats, then vectors."""

    def move(integer: str, double: str, vector: str) -> tuple[str, ...]:
        return (
            *(f"{integer} {reg}, {size * (reg - 10)}(3)" for reg in range(14, 32)),
            "#ifndef _SOFT_FLOAT",
            *(f"{double} {reg}, {8 * (reg - 14) + 22 * size}(3)" for reg in range(14, 32)),
            "#endif",
            "#ifdef __ALTIVEC__",
            *(
                line
                for reg in range(20, 32)
                for line in (f"li 5, {vectors_at + 16 * (reg - 20)}", f"{vector} {reg}, 5, 3")
            ),
            "#endif",
        )

    setjmp = (
        f"{store} 1, 0(3)",
        "mflr 0",
        f"{store} 0, {size}(3)",
        "mfcr 0",
        f"{store} 0, {2 * size}(3)",
        f"{store} 2, {3 * size}(3)",
        *move(store, "stfd", "stvx"),
        "li 3, 0",
        "blr",
    )
    longjmp = (
        f"{load} 0, {size}(3)",
        "mtlr 0",
        f"{load} 0, {2 * size}(3)",
        "mtcrf 0xff, 0",
        f"{load} 1, 0(3)",
        f"{load} 2, {3 * size}(3)",
        *move(load, "lfd", "lvx"),
        "cmpwi 4, 0",
        "mr 3, 4",
        "bnelr",
        "li 3, 1",
        "blr",
    )
    return setjmp, longjmp


_SETJMP_32, _LONGJMP_32 = _jumps("stw", "lwz", 4, 240)
_SETJMP_64, _LONGJMP_64 = _jumps("std", "ld", 8, 320)
_START_64 = (
    "mr 3, 1",
    "rldicr 1, 1, 0, 59",
    "li 0, 0",
    "mtlr 0",
    "stdu 0, -112(1)",
    "bl {start}",
    "nop",
)


def _clone(compare: str) -> tuple[str, ...]:
    return (_SYSCALL.instruction, f"{compare} 3, 0", "bne+ 2f", "b {child}", "2:")


PPC = Arch(
    name="ppc",
    family="powerpc",
    elf=ElfIdent(machine=20, bits=32, endian="big"),
    syscall=_SYSCALL,
    condition="defined(__powerpc__) && !defined(__powerpc64__)",
    entry=Entry(
        start=(
            "mr 3, 1",
            "rlwinm 1, 1, 0, 0, 27",
            "li 0, 0",
            "mtlr 0",
            "stwu 0, -16(1)",
            "bl {start}",
        ),
        setjmp=_SETJMP_32,
        longjmp=_LONGJMP_32,
        jmp_words=54,
        guard=Guard(offset=-0x7008),
    ),
    signals=Signals(),
    threads=Threads(
        pointer='__asm__ volatile("mr 2, %0" : : "r" (p));',
        clone=_clone("cmpwi"),
        bias=0x7000,
    ),
    page_sizes=(4096, 16384, 65536, 262144),
    toolchain=Toolchain(
        gcc="powerpc-linux-gnu",
        gcc_package="gcc-powerpc-linux-gnu",
        clang="powerpc-linux-gnu",
        zig="powerpc-linux-eabi",
        musl="powerpc-linux-musleabi",
        qemu="ppc",
        headers_package="linux-libc-dev-powerpc-cross",
        headers="/usr/powerpc-linux-gnu/include",
    ),
)
PPC64 = Arch(
    name="ppc64",
    family="powerpc",
    elf=ElfIdent(machine=21, bits=64, endian="big"),
    syscall=replace(_SYSCALL, pairs_aligned=False),
    condition="defined(__powerpc64__) && defined(__BIG_ENDIAN__)",
    entry=Entry(
        label=(
            "#if !defined(_CALL_ELF) || _CALL_ELF != 2",
            # In no group: the linker knows one .opd a file, and drops the entries of dropped code.
            '.pushsection .opd,\\"aw\\",%progbits',
            ".balign 8",
            "{name}: .quad .L.{name}, .TOC.@tocbase, 0",
            ".popsection",
            ".L.{name}:",
            "#else",
            "{name}:",
            "#endif",
        ),
        start=(
            "#if defined(_CALL_ELF) && _CALL_ELF == 2",
            "addis 2, 12, .TOC.-_start@ha",
            "addi 2, 2, .TOC.-_start@l",
            "#endif",
            *_START_64,
        ),
        setjmp=_SETJMP_64,
        longjmp=_LONGJMP_64,
        jmp_words=64,
        guard=Guard(offset=-0x7010),
    ),
    signals=Signals(),
    threads=Threads(
        pointer='__asm__ volatile("mr 13, %0" : : "r" (p));',
        clone=_clone("cmpdi"),
        bias=0x7000,
        child=_START_64,  # r2 is the parent's
    ),
    page_sizes=(4096, 65536),
    weak_by_got=True,
    toolchain=Toolchain(
        gcc="powerpc64-linux-gnu",
        gcc_package="gcc-powerpc64-linux-gnu",
        clang="powerpc64-linux-gnu",
        clang_flags=("-mabi=elfv2",),  # lld knows no other
        zig="powerpc64-linux-none",
        musl="powerpc64-linux-musl",
        qemu="ppc64",
        headers_package="linux-libc-dev-ppc64-cross",
        headers="/usr/powerpc64-linux-gnu/include",
    ),
)
PPC64LE = replace(
    PPC64,
    name="ppc64le",
    elf=ElfIdent(machine=21, bits=64, endian="little"),
    condition="defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)",
    toolchain=Toolchain(
        gcc="powerpc64le-linux-gnu",
        gcc_package="gcc-powerpc64le-linux-gnu",
        clang="powerpc64le-linux-gnu",
        zig="powerpc64le-linux-none",
        musl="powerpc64le-linux-musl",
        qemu="ppc64le",
        headers_package="linux-libc-dev-ppc64el-cross",
        headers="/usr/powerpc64le-linux-gnu/include",
    ),
)

VARIANTS = (PPC, PPC64, PPC64LE)
