"""C headers of architectures, written from their declarations in :mod:`ring3.arch`.

What is generated: entry, system calls, signal layout and jumps.  Everything else is the same C for all
and lies in ``include/``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from ring3.arch import ARCHS, Arch
from ring3.arch.model import Entry, Signals, Syscall, Threads
from ring3.errors import Unsupported
from ring3.files import write_atomically

TEMPLATES = Path(__file__).parent / "include"
_NOTICE = "/* Written by ring3 from ring3.arch; edits are lost. */\n"

#: Variants that a program can be built for, in the order of the families.
SUPPORTED: tuple[str, ...] = tuple(
    a.name for a in ARCHS.values() if a.entry and a.signals and a.threads
)


def headers(archs: Iterable[Arch]) -> dict[str, str]:
    """Path inside the include folder -> text, of all headers for ``archs``."""
    chosen = list(archs)
    files = {
        str(path.relative_to(TEMPLATES)): path.read_text()
        for path in sorted(TEMPLATES.rglob("*.h"))
    }
    for arch in chosen:
        files |= {f"nolibc/arch/{name}": text for name, text in arch_headers(arch).items()}
    files["nolibc/arch.h"] = dispatch(chosen)
    files["nolibc/numbers.h"] = numbers()
    return files


def write_headers(folder: Path, archs: Iterable[Arch]) -> None:
    """Write all headers for ``archs`` under ``folder``, touching only those that differ."""
    for name, text in headers(archs).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            write_atomically(path, text)


def dispatch(archs: Iterable[Arch]) -> str:
    """The header that includes the one of the architecture being compiled for."""
    chosen = list(archs)
    lines = [_NOTICE + "#ifndef NOLIBC_ARCH_H\n#define NOLIBC_ARCH_H"]
    for n, arch in enumerate(chosen):
        lines.append(f'#{"el" if n else ""}if {arch.condition}\n#include "arch/{arch.name}.h"')
    names = ", ".join(arch.name for arch in chosen)
    lines.append(f'#else\n#error "nolibc: not one of {names}"\n#endif\n#endif\n')
    return "\n".join(lines)


def numbers() -> str:
    """SYS_name for every system call that any architecture has, where the one compiled for has it."""
    names = (Path(__file__).parent / "syscalls.txt").read_text().split()
    lines = [f"#ifdef __NR_{name}\n#define SYS_{name} __NR_{name}\n#endif" for name in names]
    return _guarded("numbers", "#include <asm/unistd.h>\n\n" + "\n".join(lines))


def arch_headers(arch: Arch) -> dict[str, str]:
    """File name -> text of the headers of one architecture: what every program has, jumps, restorer.

    Unsupported when its declaration has no entry code.
    """
    if not (arch.entry and arch.signals and arch.syscall and arch.threads):
        raise Unsupported(f"{arch.name} declares no entry", remedy=f"one of {', '.join(SUPPORTED)}")
    call = arch.syscall
    flags = {
        "NOLIBC_PAIRS": int(arch.elf.bits == 32 and call.word_bits != 64),
        "NOLIBC_PAIRS_ALIGNED": int(call.pairs_aligned),
        "NOLIBC_PREAD_PADDED": int(call.pread_padded),
        "NOLIBC_MMAP2_SHIFT": call.mmap2_shift,
        "NOLIBC_MMAP_BY_POINTER": int(call.mmap_by_pointer),
        "NOLIBC_CLONE_STACK_FIRST": int(call.clone_stack_first),
        "NOLIBC_CLONE_TLS_LAST": int(call.clone_tls_last),
        "NOLIBC_STACK_GROWS_UP": int(arch.threads.stack_grows_up),
        "NOLIBC_WEAK_BY_GOT": int(arch.weak_by_got),
        "NOLIBC_PAGE_SIZE_FIXED": arch.page_sizes[0] if len(arch.page_sizes) == 1 else 0,
    }
    word = "long long" if call.word_bits == 64 else "long"
    parts = [
        _NOTICE,
        f'#define NOLIBC_ARCH "{arch.name}"',
        f'#define NOLIBC_JUMPS_FILE "arch/{arch.name}-jumps.h"',
        f'#define NOLIBC_RESTORER_FILE "arch/{arch.name}-restorer.h"',
        f'#define NOLIBC_CLONE_FILE "arch/{arch.name}-clone.h"',
        f'#define NOLIBC_TLS_FILE "arch/{arch.name}-tls.h"',
        f"#define NOLIBC_JMP_WORDS {arch.entry.jmp_words}",
        *(f"#define {name} {value}" for name, value in flags.items()),
        f"typedef {word} __nolibc_word;",
        "typedef unsigned " + word + " __nolibc_uword;",
        *(_call(call, count) for count in range(7)),
        _fork(call),
        _thread_pointer(arch.entry, arch.threads),
        _entry(arch.entry),
        _signals(arch.signals),
    ]
    jumps = [
        _function(arch.entry, "setjmp", arch.entry.setjmp, {}),
        _function(arch.entry, "longjmp", arch.entry.longjmp, {}),
    ]
    files = {
        f"{arch.name}.h": "\n".join(part for part in parts if part) + "\n",
        f"{arch.name}-jumps.h": _guarded(f"{arch.name}-jumps", "\n".join(jumps)),
        f"{arch.name}-clone.h": _guarded(
            f"{arch.name}-clone", _clone(call, arch.entry, arch.threads)
        ),
        f"{arch.name}-tls.h": _guarded(f"{arch.name}-tls", _variables(arch.entry, arch.threads)),
    }
    if arch.signals.restorer:
        code = _function(arch.entry, "__nolibc_restorer", arch.signals.restorer, {})
        files[f"{arch.name}-restorer.h"] = _guarded(f"{arch.name}-restorer", code)
    return files


def _call(call: Syscall, count: int) -> str:
    """``__nolibc_syscallN``: the result, negative errors included, as a word."""
    params = "".join(f", __nolibc_word a{n}" for n in range(1, count + 1))
    lines = [f"NOLIBC_INLINE __nolibc_word __nolibc_syscall{count}(__nolibc_word n{params})", "{"]
    code = call.instruction.splitlines()
    registers = {reg: n for n, reg in enumerate(call.args[:count], 1) if not _in_memory(reg)}
    written = set(registers) if not call.args_kept else set()
    clobbers = [
        name
        for name in (*call.clobbers, *(() if call.args_kept else call.args[count:]))
        if name not in registers and not _in_memory(name) and name not in (call.result, call.error)
    ]
    outputs: list[str] = []
    inputs: list[str] = []
    if count == 6 and call.sixth:
        code = list(call.sixth)
        inputs.append('[a6] "m" (a6)')
        registers.pop(call.args[5])
    memory = [(n, reg) for n, reg in enumerate(call.args[:count], 1) if _in_memory(reg)]
    if memory:
        code = [
            "subu $29, $29, 32",
            *(f"sw %[a{n}], {reg.split('+')[1]}($29)" for n, reg in memory),
            *code,
            "addu $29, $29, 32",
        ]
        inputs += [f'[a{n}] "r" (a{n})' for n, _ in memory]

    lines.append(f'\tregister __nolibc_word r_n __asm__("{call.number}") = n;')
    for reg, n in registers.items():
        lines.append(f'\tregister __nolibc_word r_{n} __asm__("{reg}") = a{n};')
        written |= {reg} if reg in (call.result, call.error) else set()
        (outputs if reg in written else inputs).append(
            f'"+r" (r_{n})' if reg in written else f'"r" (r_{n})'
        )
    number_written = call.number == call.result or not call.args_kept or call.number in clobbers
    if number_written:
        outputs.append('"+r" (r_n)')
    else:
        inputs.append('"r" (r_n)')
    clobbers = [name for name in clobbers if name != call.number]

    def variable(reg: str, name: str) -> str:
        if reg == call.number:
            return "r_n"
        if reg in registers:
            return f"r_{registers[reg]}"
        lines.append(f'\tregister __nolibc_word {name} __asm__("{reg}");')
        outputs.append(f'"=r" ({name})')
        return name

    result = variable(call.result, "r_result")
    error = variable(call.error, "r_error") if call.error != "-4095" else None
    lines.append("\t__asm__ volatile(")
    lines += [f'\t\t"{line}\\n\\t"' for line in code]
    lines.append(f"\t\t: {', '.join(outputs)}")
    lines.append(f"\t\t: {', '.join(inputs)}")
    quoted = ", ".join(f'"{name}"' for name in clobbers if name not in ("hi", "lo"))
    hilo = " NOLIBC_HILO" if "hi" in clobbers else ""
    lines.append(f"\t\t: {quoted}{hilo});")
    lines.append(f"\treturn {f'{error} ? -{result} : {result}' if error else result};")
    lines.append("}")
    return "\n".join(lines)


def _in_memory(reg: str) -> bool:
    return reg.startswith("stack+")


def _fork(call: Syscall) -> str:
    """``NOLIBC_FORK_FLAG``: where a fork's child is told apart by a second result register."""
    if call.fork_flag is None:
        return ""
    text = _call(call, 2).replace("__nolibc_syscall2", "__nolibc_fork2")
    flag = call.args.index(call.fork_flag) + 1
    # The flag is 1 in the child, whose first result is its parent; and with 0 makes that a 0.
    text = _flag_written(text, flag)
    text = text.replace("return r_1;", f"return r_1 < 0 ? r_1 : r_1 & (r_{flag} - 1);")
    return "#define NOLIBC_FORK2 1\n" + text


def _flag_written(text: str, flag: int) -> str:
    """``text`` of a call with its argument number ``flag`` as a result, too."""
    return text.replace(f'"r" (r_{flag}), ', "").replace(
        '"+r" (r_1)', f'"+r" (r_1), "+r" (r_{flag})'
    )


def _entry(entry: Entry) -> str:
    return (
        "/* Weak and in a group of its own: of many translation units one gives the entry. */\n"
        + _function(entry, entry.symbol, entry.start, {"start": "__nolibc_start"})
    )


def _thread_pointer(entry: Entry, threads: Threads) -> str:
    """``NOLIBC_SET_THREAD``, and where -fstack-protector looks into the thread's block."""
    text = f"#define NOLIBC_SET_THREAD(p) do {{ {threads.pointer} }} while (0)"
    if entry.guard is not None:
        text += f"\n#define NOLIBC_GUARD_OFFSET ({entry.guard.offset})"
    return text


def _clone(call: Syscall, entry: Entry, threads: Threads) -> str:
    """``__nolibc_clone5``, whose child begins in __nolibc_begin."""
    code = "\n".join(threads.clone).replace("{child}", "__nolibc_child")
    cloning = replace(call, instruction=code, clobbers=tuple(dict.fromkeys((*call.clobbers, "cc"))))
    text = _call(cloning, 5).replace("__nolibc_syscall5", "__nolibc_clone5")
    if call.fork_flag is not None:
        text = _flag_written(text, call.args.index(call.fork_flag) + 1)
    child = _function(
        entry, "__nolibc_child", threads.child or entry.start, {"start": "__nolibc_begin"}
    )
    return f"{child}\n{text}"


def _variables(entry: Entry, threads: Threads) -> str:
    """Where the variables of threads lie, and the function that some compilers call for the pointer."""
    lines = [
        f"#define NOLIBC_TLS_ABOVE {int(threads.above)}",
        f"#define NOLIBC_TLS_GAP {threads.gap}",
        f"#define NOLIBC_TLS_BIAS {threads.bias:#x}",
    ]
    if threads.read is not None:
        lines.append(_function(entry, *threads.read, {}))
    return "\n".join(lines)


def _signals(signals: Signals) -> str:
    members = {
        "handler": "void (*handler)(int);",
        "flags": f"{signals.flags_type} flags;",
        "restorer": "void (*restorer)(void);",
        "mask": f"unsigned char mask[{signals.mask_bytes}] "
        "__attribute__((__aligned__(__alignof__(long))));",
    }
    lines = [
        f"#define NOLIBC_SIGSET_BYTES {signals.mask_bytes}",
        f"#define NOLIBC_SIG_SETMASK {signals.setmask}",
        f"#define NOLIBC_RESTORER {int(bool(signals.restorer))}",
        f"#define NOLIBC_RESTORER_FLAG {signals.restorer_flag if signals.restorer else 0}",
        f"#define NOLIBC_RESTORER_FIELD {int('restorer' in signals.layout)}",
        f"#define NOLIBC_RESTORER_ARGUMENT {signals.restorer_argument}",
        f"#define NOLIBC_RESTORER_OFFSET ({signals.restorer_offset})",
        "struct __nolibc_sigaction {",
        *(f"\t{members[name]}" for name in signals.layout),
        "};",
    ]
    return "\n".join(lines)


def _guarded(name: str, text: str) -> str:
    guard = "NOLIBC_" + name.upper().replace("-", "_") + "_H"
    return f"{_NOTICE}#ifndef {guard}\n#define {guard}\n\n{text}\n#endif\n"


def _function(entry: Entry, name: str, body: tuple[str, ...], symbols: dict[str, str]) -> str:
    """A function in file-scope assembler, in a section group that the linker keeps once.

    Link-time optimization puts many translation units into one: there it is said once.
    """
    code = (
        f".ifndef {name}",
        f'.pushsection .text.nolibc.{name},\\"axG\\",%progbits,{name},comdat',
        "NOLIBC_ASM_BEGIN",
        ".balign 4",
        f".weak {name}",
        f".type {name}, STT_FUNC",
        *entry.label,
        *body,
        ".popsection",
        ".endif",
    )
    lines = ["__asm__("]
    for line in code:
        text = line.replace("{name}", name)
        for key, symbol in symbols.items():
            text = text.replace("{" + key + "}", symbol)
        if text == "NOLIBC_ASM_BEGIN":
            lines.append("\tNOLIBC_ASM_BEGIN")
        else:
            lines.append(text if text.startswith("#") else f'\t"{text}\\n"')
    lines.append(");")
    return "\n".join(lines)
