"""Alpha, 64-bit.

Sources: Tru64 UNIX Calling Standard for Alpha Systems ($9-$15, $26, $30 and $f2-$f9 are preserved),
syscall(2): $19 says that the result is an error number.
"""

from ring3.arch.model import Arch, ElfIdent, Entry, Signals, Syscall, Threads, Toolchain

_KEPT = (*range(9, 16), 26, 30)


def _move(integer: str, double: str) -> tuple[str, ...]:
    return (
        *(f"{integer} ${reg}, {8 * n}($16)" for n, reg in enumerate(_KEPT)),
        *(f"{double} $f{reg}, {8 * n + 72}($16)" for n, reg in enumerate(range(2, 10))),
    )


ALPHA = Arch(
    name="alpha",
    family="alpha",
    elf=ElfIdent(machine=0x9026, bits=64, endian="little"),
    syscall=Syscall(
        instruction="callsys",
        number="$0",
        args=("$16", "$17", "$18", "$19", "$20", "$21"),
        result="$0",
        error="$19",
        clobbers=(*(f"${n}" for n in (*range(1, 9), 22, 23, 24, 25, 27, 28)), "memory"),
        args_kept=False,
    ),
    condition="defined(__alpha__)",
    entry=Entry(
        start=(
            "br $27, 1f",
            "1: ldgp $29, 0($27)",
            "mov $30, $16",
            "lda $1, -16($31)",
            "and $30, $1, $30",
            "mov $31, $15",
            "bsr $26, {start} !samegp",
        ),
        setjmp=(*_move("stq", "stt"), "mov $31, $0", "ret $31, ($26), 1"),
        longjmp=(
            *_move("ldq", "ldt"),
            "mov $17, $0",
            "cmoveq $17, 1, $0",
            "ret $31, ($26), 1",
        ),
        jmp_words=17,
    ),
    signals=Signals(
        setmask=3,
        layout=("handler", "flags", "mask"),
        restorer_argument=5,
    ),
    threads=Threads(
        # PAL's wrunique.
        pointer='register char *r16 __asm__("$16") = p; __asm__ volatile('
        '"call_pal 0x9f" : : "r" (r16) : "$1", "$22", "$23", "$24", "$25");',
        clone=("callsys", "bne $0, 1f", "br $31, {child}", "1:"),
        gap=16,
    ),
    page_sizes=(8192,),
    weak_by_got=True,
    toolchain=Toolchain(
        gcc="alpha-linux-gnu",
        gcc_package="gcc-alpha-linux-gnu",
        qemu="alpha",
        headers_package="linux-libc-dev-alpha-cross",
        headers="/usr/alpha-linux-gnu/include",
    ),
)

VARIANTS = (ALPHA,)
