"""SPARC: sparc32 (V8) and sparc64 (V9).

Sources: System V ABI SPARC supplement, SPARC Compliance Definition 2.4 (register windows, the bias of 2047),
Linux 7.2 arch/sparc (traps 0x10 and 0x6d, carry says error, a fork's child has 1 in %o1).
"""

from __future__ import annotations

from ring3.arch.model import Arch, ElfIdent, Entry, Guard, Signals, Syscall, Threads, Toolchain

# The upper half has names for doubles only.
_FLOATS_64 = (*range(32), *range(32, 64, 2))


def _syscall(trap: str, branch: str, floats: tuple[int, ...]) -> Syscall:
    return Syscall(
        instruction=f"ta {trap}\n{branch} 1f\nnop\nsub %%g0, %%o0, %%o0\n1:",
        number="g1",
        args=("o0", "o1", "o2", "o3", "o4", "o5"),
        result="o0",
        error="-4095",
        clobbers=(*(f"f{n}" for n in floats), "cc", "memory"),
        fork_flag="o1",
        clone_tls_last=False,
    )


def _entry(store: str, load: str, size: int, flush: str, start: tuple[str, ...]) -> Entry:
    # The window of setjmp's caller lies in its frame's save area once the windows are flushed;
    # ``restore`` fills it from there when the frame pointer is that frame's stack pointer.
    return Entry(
        start=start,
        setjmp=(
            f"{store} %sp, [%o0]",
            f"{store} %o7, [%o0+{size}]",
            "retl",
            "mov 0, %o0",
        ),
        # A window of its own: the current one is not flushed, and may be that of setjmp's caller itself.
        longjmp=(
            f"save %sp, -{22 * size + 8 * (size == 4)}, %sp",
            flush,
            f"{load} [%i0+{size}], %i2",
            f"{load} [%i0], %fp",
            "cmp %i1, 0",
            "be,a 1f",
            "mov 1, %i1",
            "1:",
            "jmpl %i2+8, %g0",
            "restore %i1, 0, %o0",
        ),
        jmp_words=2,
        guard=Guard(offset={4: 0x14, 8: 0x28}[size]),
    )


def _threads(trap: str, branch: str, frame: int) -> Threads:
    # The kernel copies the parent's frame below the child's stack: where that is, an argument says.
    return Threads(
        pointer='__asm__ volatile("mov %0, %%g7" : : "r" (p));',
        clone=(
            *(f"ta {trap}", f"{branch} 1f", "nop", "cmp %%o1, 0", "be 2f", "nop"),
            *(f"sub %%o3, {frame}, %%sp", "call {child}", "nop"),
            *("1: sub %%g0, %%o0, %%o0", "2:"),
        ),
        above=False,
    )


# SA_RESTORER is no flag here; the address handed over is that of the call before the way back.
_SIGNALS_32 = Signals(
    restorer=("mov 101, %g1", "ta 0x10"),
    restorer_flag=0x200,
    restorer_argument=4,
    restorer_offset=-8,
    setmask=4,
)
_SIGNALS_64 = Signals(
    restorer=("mov 101, %g1", "ta 0x6d"),
    restorer_flag=0,
    restorer_argument=4,
    restorer_offset=-8,
    setmask=4,
)

SPARC32 = Arch(
    name="sparc32",
    family="sparc",
    elf=ElfIdent(machine=2, bits=32, endian="big"),
    syscall=_syscall("0x10", "bcc", tuple(range(32))),
    condition="defined(__sparc__) && !defined(__arch64__)",
    entry=_entry(
        "st",
        "ld",
        4,
        "ta 3",
        ("mov 0, %fp", "add %sp, 64, %o0", "and %sp, -8, %sp", "call {start}", "sub %sp, 32, %sp"),
    ),
    signals=_SIGNALS_32,
    threads=_threads("0x10", "bcs", 64),
    page_sizes=(4096, 8192),
    toolchain=Toolchain(
        gcc="sparc64-linux-gnu",
        gcc_flags=("-m32", "-mcpu=v8"),
        libgcc=False,
        gcc_package="gcc-sparc64-linux-gnu",
        qemu="sparc",
        headers_package="linux-libc-dev-sparc64-cross",
        headers="/usr/sparc64-linux-gnu/include",
    ),
)
SPARC64 = Arch(
    name="sparc64",
    family="sparc",
    elf=ElfIdent(machine=43, bits=64, endian="big"),
    syscall=_syscall("0x6d", "bcc,pt %%xcc,", _FLOATS_64),
    condition="defined(__sparc__) && defined(__arch64__)",
    entry=_entry(
        "stx",
        "ldx",
        8,
        "flushw",
        ("mov 0, %fp", "add %sp, 2175, %o0", "call {start}", "sub %sp, 48, %sp"),
    ),
    signals=_SIGNALS_64,
    threads=_threads("0x6d", "bcs,pn %%xcc,", 2175),
    page_sizes=(8192,),
    toolchain=Toolchain(
        gcc="sparc64-linux-gnu",
        gcc_package="gcc-sparc64-linux-gnu",
        clang="sparc64-linux-gnu",
        zig="sparc64-linux-none",
        qemu="sparc64",
        headers_package="linux-libc-dev-sparc64-cross",
        headers="/usr/sparc64-linux-gnu/include",
    ),
)

VARIANTS = (SPARC32, SPARC64)
