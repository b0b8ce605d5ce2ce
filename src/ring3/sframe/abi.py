"""What unwinding needs to know of an ABI beyond SFrame's rules: declared once for each architecture.

Sources: the psABIs named in :mod:`ring3.arch`; the kernel's ``rt_sigframe`` of each architecture
(arch/*/kernel/signal*.c and asm/sigcontext.h, asm/ucontext.h, read at Linux 7.2), which is user ABI.

On the way of ``ring3 stack``: imports nothing heavy (see :mod:`ring3.sframe.stack`).
"""

from __future__ import annotations

import os

from ring3.errors import Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ring3.arch import Arch, Endian


class SignalFrame:
    """The frame under a signal handler, seen from the trampoline it returns to.

    ``code`` is what the trampoline executes; ``registers[n]`` is where, from SP, the interrupted value of
    DWARF register ``n`` lies, -1 for nowhere; ``pc`` likewise.
    """

    def __init__(self, code: bytes, registers: tuple[int, ...], pc: int) -> None:
        self.code = code
        self.registers = registers
        self.pc = pc


class Abi:
    """What every ABI below says.  Numbers are DWARF's, offsets are bytes."""

    name: str  # the architecture's in :mod:`ring3.arch`
    endian: Endian
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
    at = {number: first + 8 * place for place, number in enumerate(order)}
    return tuple(at.get(number, -1) for number in range(count))


class _Amd64(Abi):
    name = "x86_64"
    endian: Endian = "little"
    pc, sp, fp, ra, count = 16, 7, 6, 16, 17
    sp_from_cfa = 0
    frame_record, record_cfa = True, 16
    return_register = False
    address_mask = (1 << 64) - 1
    # ucontext at SP; gregs follow flags, link and stack: r8-r15 rdi rsi rbp rbx rdx rax rcx rsp rip.
    _gregs = (8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16)
    _code = bytes.fromhex("48c7c00f0000000f05")  # mov $15, %rax; syscall
    signals = (SignalFrame(_code, _places(17, 40, _gregs), 40 + 8 * 16),)


class _Arm64(Abi):
    name = "arm64"
    endian: Endian = "little"
    pc, sp, fp, ra, count = 32, 31, 29, 30, 33
    sp_from_cfa = 0
    frame_record, record_cfa = True, 0
    return_register = True
    address_mask = (1 << 48) - 1  # bit 55 tells user from kernel, and here all is user
    # siginfo (128) at SP, then ucontext with a 1024-bit mask; sigcontext is 16-aligned at 176 in it.
    _first = 128 + 176 + 8
    _code = bytes.fromhex("681180d2010000d4")  # mov x8, #139; svc #0 (little-endian on either)
    signals = (SignalFrame(_code, _places(33, _first, tuple(range(33))), _first + 8 * 32),)


class _Arm64Be(_Arm64):
    name = "arm64be"
    endian: Endian = "big"


def _s390x_signal(code: str, psw: int) -> SignalFrame:
    return SignalFrame(bytes.fromhex(code), _places(66, psw + 16, tuple(range(16))), psw + 8)


class _S390x(Abi):
    name = "s390x"
    endian: Endian = "big"
    pc, sp, fp, ra, count = 65, 15, 11, 14, 66
    sp_from_cfa = -160
    frame_record, record_cfa = False, 0
    return_register = True
    address_mask = (1 << 64) - 1
    # 160 bytes of register save area at SP; then, with rt_sigreturn, 8 bytes for the old trampoline,
    # siginfo (128) and the 40 bytes of ucontext's flags, link and stack, or, with the sigreturn of
    # handlers without SA_SIGINFO, the mask and a pointer.  Then the PSW (mask, address) and r0-r15.
    signals = (
        _s390x_signal("0aad", 160 + 8 + 128 + 40),  # svc 173
        _s390x_signal("0a77", 160 + 16),  # svc 119
    )


ABIS: dict[str, Abi] = {abi.name: abi for abi in (_Amd64(), _Arm64(), _Arm64Be(), _S390x())}
_UNAME = {"aarch64": "arm64", "aarch64_be": "arm64be"}


def named(name: str) -> Abi:
    """The ABI of the architecture that :mod:`ring3.arch` calls ``name``; Unsupported if SFrame has none."""
    if name not in ABIS:
        known = ", ".join(ABIS)
        raise Unsupported(f"no stack traces for {name}", remedy=f"known: {known}")
    return ABIS[name]


def of(arch: Arch) -> Abi:
    """The ABI of an architecture; Unsupported for one that SFrame does not know."""
    return named(arch.name)


def host() -> Abi:
    """The ABI of programs of the machine this runs on."""
    machine = os.uname().machine
    return named(_UNAME.get(machine, machine))
