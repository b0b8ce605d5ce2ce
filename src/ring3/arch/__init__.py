"""Architectures, each declared once.  A family is one file; adding one is that file and a line here."""

from __future__ import annotations

import platform

from ring3.arch import (
    alpha,
    arm,
    arm64,
    loongarch,
    m68k,
    mips,
    openrisc,
    parisc,
    powerpc,
    riscv,
    s390,
    sh,
    sparc,
    x86,
)
from ring3.arch.model import Arch, Dwarf, ElfIdent, Endian, Entry, Signals, Syscall, Toolchain
from ring3.errors import Unsupported, one_of

FAMILIES = (
    x86,
    arm64,
    arm,
    riscv,
    powerpc,
    s390,
    mips,
    loongarch,
    m68k,
    sparc,
    sh,
    parisc,
    openrisc,
    alpha,
)

#: Every variant by name, in the order of the families.
ARCHS: dict[str, Arch] = {arch.name: arch for family in FAMILIES for arch in family.VARIANTS}

_UNAME = {"aarch64": "arm64", "aarch64_be": "arm64be", "i686": "i386"}


def by_name(name: str) -> Arch:
    """The variant called ``name``; also takes uname's spelling.  Raises Unsupported."""
    arch = ARCHS.get(_UNAME.get(name, name))
    if arch is None:
        raise Unsupported(f"unknown architecture {name!r}", remedy=one_of(name, ARCHS))
    return arch


def by_elf(machine: int, bits: int, endian: Endian, flags: int) -> Arch | None:
    """The variant an ELF header describes, or None.  A variant whose flags say more is preferred."""
    found = None
    for arch in ARCHS.values():
        ident = arch.elf
        if (ident.machine, ident.bits, ident.endian) != (machine, bits, endian):
            continue
        if flags & ident.flags_mask != ident.flags:
            continue
        if found is None or ident.flags_mask.bit_count() > found.elf.flags_mask.bit_count():
            found = arch
    return found


def host() -> Arch:
    """The variant this Python runs on."""
    return by_name(platform.machine())


__all__ = [
    "ARCHS",
    "FAMILIES",
    "Arch",
    "Dwarf",
    "ElfIdent",
    "Endian",
    "Entry",
    "Signals",
    "Syscall",
    "Toolchain",
    "by_elf",
    "by_name",
    "host",
]
