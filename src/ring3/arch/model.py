"""What there is to say about an architecture.  Families fill these in as data; nothing here computes.

Terms are the field's: ELF machine numbers from the gABI registry, DWARF register numbers from each
psABI, the syscall convention from syscall(2), perf register order from the UAPI ``asm/perf_regs.h``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Endian = Literal["little", "big"]


@dataclass(frozen=True, kw_only=True)
class ElfIdent:
    """How an ELF file of this variant is recognised."""

    machine: int  # e_machine
    bits: Literal[32, 64]
    endian: Endian
    flags_mask: int = 0  # e_flags bits that tell variants of one machine apart
    flags: int = 0


@dataclass(frozen=True, kw_only=True)
class Dwarf:
    """DWARF register numbers: ``registers[n]`` is the name of register ``n``, "" where unassigned."""

    registers: tuple[str, ...]
    sp: int
    fp: int
    ra: int

    def number(self, name: str) -> int:
        """The DWARF number of the register called ``name``; ValueError when there is none."""
        return self.registers.index(name)


@dataclass(frozen=True, kw_only=True)
class Syscall:
    """The system call convention as syscall(2) tabulates it."""

    instruction: str
    number: str  # register that holds the call's number
    args: tuple[str, ...]  # registers of the arguments; "stack+N" for those in memory
    result: str
    # "-4095": result in [-4095, -1], also where ``instruction`` ends by turning a flag into that;
    # else the register that is not zero when the result is a positive error number.
    error: str
    clobbers: tuple[str, ...] = ()
    args_kept: bool = True  # registers of arguments hold them still when the call returns
    sixth: tuple[
        str, ...
    ] = ()  # the whole of a call with six arguments where it needs memory (i386)
    word_bits: int = 0  # width of an argument where it is not that of ``long`` (x32, mips n32: 64)
    pairs_aligned: bool = False  # a 64-bit argument of a 32-bit ABI starts at an even register
    pread_padded: bool = False  # pread64/pwrite64 have an unused word before the offset (sh)
    clone_tls_last: bool = True  # clone(flags, stack, ptid, ctid, tls); else tls before ctid
    clone_stack_first: bool = False  # clone(stack, flags, ...)
    fork_flag: str | None = None  # register that is 1 in the child, whose result is no zero (sparc)
    mmap2_shift: int = 12  # mmap2's offset counts units of 1 << this many bytes
    mmap_by_pointer: bool = False  # mmap takes one pointer to its six arguments (s390)
    base: int = 0  # added to every number (x32 0x40000000, mips o32 4000, ...)


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Where the compiler looks for the stack protector's guard, if not in ``__stack_chk_guard``."""

    offset: int  # bytes from the thread pointer


@dataclass(frozen=True, kw_only=True)
class Threads:
    """How a thread begins and where its variables lie ("ELF Handling For Thread-Local Storage")."""

    pointer: str  # a C statement that makes ``p`` the thread pointer
    # The whole of clone's instructions, as in Syscall: the child, on its stack, goes to {child}.
    clone: tuple[str, ...]
    above: bool = True  # variables lie above the thread pointer (variant I), else below (II)
    gap: int = 0  # bytes between the pointer and the variables above it, which are the ABI's
    bias: int = 0  # how far beyond the place meant here the pointer points
    child: tuple[str, ...] = ()  # Entry.start for the child, where it is not the same
    read: tuple[str, tuple[str, ...]] | None = None  # what compilers call for the pointer
    stack_grows_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How a program begins and how signal handlers and jumps return: assembler, one line each.

    ``{name}`` is the symbol being defined or called.  Lines that begin with ``#`` are for the C
    preprocessor.
    """

    start: tuple[str, ...]  # from the kernel's stack to a C call of {start}(pointer to argc)
    setjmp: tuple[str, ...]  # stores the registers that calls preserve; the result is 0
    longjmp: tuple[str, ...]  # loads them; the result is the second argument, 1 for 0
    jmp_words: int  # 64-bit words of jmp_buf
    guard: Guard | None = None
    symbol: str = "_start"  # where the linker looks for the first instruction
    label: tuple[str, ...] = ("{name}:",)  # what makes a symbol of code (ppc64: a descriptor)


@dataclass(frozen=True, kw_only=True)
class Signals:
    """What rt_sigaction takes: the order of the kernel's struct and the way back from a handler."""

    layout: tuple[str, ...] = ("handler", "flags", "restorer", "mask")
    flags_type: str = "unsigned long"
    mask_bytes: int = 8
    setmask: int = 2  # SIG_SETMASK
    restorer: tuple[str, ...] = ()  # assembler that calls rt_sigreturn, where the kernel needs it
    restorer_flag: int = 0x04000000  # SA_RESTORER; 0 where the field needs no flag
    restorer_argument: int = (
        0  # which argument of rt_sigaction it is, counted from 1 (alpha, sparc)
    )
    restorer_offset: int = 0  # added to the address that is handed over (sparc: -8)


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Names under which compilers and emulators know the variant."""

    gcc: str | None = None  # prefix of the cross tools, without the dash
    gcc_flags: tuple[str, ...] = ()
    libgcc: bool = True  # whether that GCC has its library for these flags
    clang: str | None = None  # clang --target
    clang_flags: tuple[str, ...] = ()
    musl: str | None = None  # zig's target with its musl, for comparisons
    gcc_package: str | None = None  # Debian package
    zig: str | None = None  # zig cc -target
    zig_flags: tuple[str, ...] = ()
    qemu: str | None = None  # qemu-NAME of user-mode emulation
    qemu_flags: tuple[str, ...] = ()
    headers_package: str | None = None  # Debian package of the UAPI headers
    headers: str | None = None  # where that package puts them


@dataclass(frozen=True, kw_only=True)
class Arch:
    """One variant: an instruction set with an ABI."""

    name: str
    family: str  # the kernel's arch/ folder
    elf: ElfIdent
    dwarf: Dwarf | None = None
    syscall: Syscall | None = None
    condition: str = ""  # C preprocessor expression that is true when compiling for the variant
    entry: Entry | None = None
    signals: Signals | None = None
    threads: Threads | None = None
    toolchain: Toolchain = field(default_factory=Toolchain)
    perf_regs: tuple[str, ...] = ()  # order of PERF_SAMPLE_REGS_USER; "" where a slot is unused
    page_sizes: tuple[int, ...] = (4096,)
    weak_by_got: bool = False  # static code, too, finds undefined weak symbols by a table
