"""What unwinding needs to know of an ABI beyond SFrame's rules: declared once for each architecture.

Sources: the psABIs named in :mod:`ring3.arch`; the kernel's ``rt_sigframe`` of each architecture
(arch/*/kernel/signal*.c and asm/sigcontext.h, asm/ucontext.h, read at Linux 7.2), which is user ABI.
"""

from __future__ import annotations

from dataclasses import dataclass

from ring3.arch import Arch, by_name
from ring3.errors import Unsupported


@dataclass(frozen=True)
class SignalFrame:
    """The frame under a signal handler, seen from the trampoline it returns to.

    ``code`` is what the trampoline executes; ``registers[n]`` is where, from SP, the interrupted value of
    DWARF register ``n`` lies, -1 for nowhere; ``pc`` likewise.
    """

    code: bytes
    registers: tuple[int, ...]
    pc: int


@dataclass(frozen=True)
class Abi:
    """Numbers are DWARF's, offsets are bytes."""

    arch: Arch
    pc: int  # the number under which registers hold the program counter
    sp: int
    fp: int
    ra: int
    count: int  # registers that are kept: numbers 0 to count-1
    sp_from_cfa: int
    #: A frame-pointer frame: (fp, return address) lie at FP and FP+8, and, where this is not 0, the
    #: CFA is FP + this.  On AArch64 the record says nothing about the CFA; s390x has no such record.
    frame_record: bool
    record_cfa: int
    return_register: bool  # a return address may live in ``ra`` (not on AMD64: it is ``pc``)
    address_mask: int  # what remains of a pointer without its authentication code
    signals: tuple[SignalFrame, ...]


def _places(count: int, first: int, order: tuple[int, ...]) -> tuple[int, ...]:
    """Offsets of registers stored one behind the other from ``first`` in ``order``."""
    return tuple(first + 8 * order.index(n) if n in order else -1 for n in range(count))


_AMD64 = by_name("x86_64")
_ARM64 = by_name("arm64")
_S390X = by_name("s390x")


def _amd64() -> Abi:
    # ucontext at SP; gregs follow flags, link and stack: r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip.
    gregs = (8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16)
    code = bytes.fromhex("48c7c00f0000000f05")  # mov $15, %rax; syscall
    signal = SignalFrame(code, _places(17, 40, gregs), 40 + 8 * 16)
    return Abi(_AMD64, 16, 7, 6, 16, 17, 0, True, 16, False, (1 << 64) - 1, (signal,))


def _arm64(arch: Arch) -> Abi:
    # siginfo (128) at SP, then ucontext with a 1024-bit mask; sigcontext is 16-aligned at 176 in it.
    first = 128 + 176 + 8
    code = bytes.fromhex("681180d2010000d4")  # mov x8, #139; svc #0 (little-endian on either)
    signal = SignalFrame(code, _places(33, first, tuple(range(33))), first + 8 * 32)
    # 48 bits of address; bit 55 tells user from kernel, and here all is user.
    return Abi(arch, 32, 31, 29, 30, 33, 0, True, 0, True, (1 << 48) - 1, (signal,))


def _s390x() -> Abi:
    # 160 bytes of register save area at SP; then, with rt_sigreturn, 8 bytes for the old trampoline,
    # siginfo (128) and the 40 bytes of ucontext's flags, link and stack, or, with the sigreturn of
    # handlers without SA_SIGINFO, the mask and a pointer.  Then the PSW (mask, address) and r0-r15.
    signals = []
    for code, psw in (("0aad", 160 + 8 + 128 + 40), ("0a77", 160 + 16)):  # svc 173, svc 119
        places = _places(66, psw + 16, tuple(range(16)))
        signals.append(SignalFrame(bytes.fromhex(code), places, psw + 8))
    mask = (1 << 64) - 1
    return Abi(_S390X, 65, 15, 11, 14, 66, -160, False, 0, True, mask, tuple(signals))


_ABIS = {
    abi.arch.name: abi for abi in (_amd64(), _arm64(_ARM64), _arm64(by_name("arm64be")), _s390x())
}


def of(arch: Arch) -> Abi:
    """The ABI of an architecture; Unsupported for one that SFrame does not know."""
    if arch.name not in _ABIS:
        known = ", ".join(_ABIS)
        raise Unsupported(f"no stack traces for {arch.name}", remedy=f"known: {known}")
    return _ABIS[arch.name]
