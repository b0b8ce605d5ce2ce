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
    error: str  # "-4095": result in [-4095, -1]; else the register or flag that says "error"
    clobbers: tuple[str, ...] = ()
    pairs_aligned: bool = False  # a 64-bit argument of a 32-bit ABI starts at an even register
    base: int = 0  # added to every number (x32 0x40000000, mips o32 4000, ...)


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """Names under which compilers and emulators know the variant."""

    gcc: str | None = None  # prefix of the cross tools, without the dash
    gcc_flags: tuple[str, ...] = ()
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
    toolchain: Toolchain = field(default_factory=Toolchain)
    perf_regs: tuple[str, ...] = ()  # order of PERF_SAMPLE_REGS_USER; "" where a slot is unused
    page_sizes: tuple[int, ...] = (4096,)
