"""arm: 32-bit Arm EABI, little endian, as ARM and as Thumb code.

Sources: Procedure Call Standard for the Arm Architecture (aapcs32: r4-r11, sp and d8-d15 are preserved),
syscall(2), DWARF for the Arm Architecture (aadwarf32), asm/perf_regs.h of Linux 7.2.
"""

from dataclasses import replace

from ring3.arch.model import Arch, Dwarf, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

_R = (*(f"r{n}" for n in range(11)), "fp", "ip", "sp", "lr", "pc")

_SYSCALL = Syscall(
    instruction="svc #0",
    number="r7",
    args=("r0", "r1", "r2", "r3", "r4", "r5"),
    result="r0",
    error="-4095",
    clobbers=("memory",),
    pairs_aligned=True,
    clone_tls_last=False,
)


def _threads(before: tuple[str, ...] = (), after: tuple[str, ...] = ()) -> Threads:
    return Threads(
        pointer="__nolibc_syscall1(0xf0005, (__nolibc_word)p);",  # __ARM_NR_set_tls
        clone=(*before, "svc #0", "cmp r0, #0", "beq {child}", *after),
        gap=8,
        # __kuser_get_tls, which leaves all registers but r0 alone.
        read=("__aeabi_read_tp", ("ldr r0, 1f", "bx r0", ".balign 4", "1: .word 0xffff0fe0")),
    )


ARM = Arch(
    name="arm",
    family="arm",
    elf=ElfIdent(machine=40, bits=32, endian="little"),
    dwarf=Dwarf(registers=_R, sp=13, fp=11, ra=14),
    syscall=_SYSCALL,
    condition="defined(__arm__) && !defined(__thumb__)",
    entry=Entry(
        # Instructions that Thumb-1 has, too; ip and lr need no clearing there.
        start=(
            "mov r0, sp",
            "movs r1, #7",
            "mov r2, sp",
            "bics r2, r1",
            "mov sp, r2",
            "bl {start}",
        ),
        setjmp=(
            "mov ip, r0",
            "stmia ip!, {r4-r11}",
            "mov r2, sp",
            "stmia ip!, {r2, lr}",
            "#ifdef __ARM_FP",
            "vstmia ip!, {d8-d15}",
            "#endif",
            "mov r0, #0",
            "bx lr",
        ),
        longjmp=(
            "mov ip, r0",
            "movs r0, r1",
            "it eq",
            "moveq r0, #1",
            "ldmia ip!, {r4-r11}",
            "ldmia ip!, {r2, lr}",
            "mov sp, r2",
            "#ifdef __ARM_FP",
            "vldmia ip!, {d8-d15}",
            "#endif",
            "bx lr",
        ),
        jmp_words=13,
    ),
    signals=Signals(),
    threads=_threads(),
    perf_regs=_R,
    toolchain=Toolchain(
        gcc="arm-linux-gnueabi",
        gcc_flags=("-marm",),
        gcc_package="gcc-arm-linux-gnueabi",
        clang="arm-linux-gnueabi",
        clang_flags=("-marm",),
        zig="arm-linux-eabi",
        zig_flags=("-marm",),
        musl="arm-linux-musleabi",
        qemu="arm",
        headers_package="linux-libc-dev-armel-cross",
        headers="/usr/arm-linux-gnueabi/include",
    ),
)
ARM_THUMB = replace(
    ARM,
    name="armthumb",
    # r7 is Thumb's frame pointer, which the compiler does not give away.
    syscall=replace(
        _SYSCALL,
        instruction="push {r7}\nmov r7, r6\nsvc #0\npop {r7}",
        number="r6",
    ),
    threads=_threads(("push {r7}", "mov r7, r6"), ("pop {r7}",)),
    condition="defined(__thumb__)",
    toolchain=replace(
        ARM.toolchain,
        gcc_flags=("-mthumb", "-march=armv6t2"),
        clang_flags=("-mthumb", "-march=armv6t2"),
        zig_flags=("-mthumb", "-mcpu=arm1156t2_s"),
    ),
)

VARIANTS = (ARM, ARM_THUMB)
