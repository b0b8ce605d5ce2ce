"""``ring3 nolibc cc``: the compiler's own command line, with nolibc put in."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ring3.arch import Arch
from ring3.errors import BadInput
from ring3.nolibc import build, toolchain

#: What ``smallest`` adds to the flags it always uses, by name.
VARIANTS: dict[str, tuple[str, ...]] = {
    "tuned": (),
    "-O2": ("-O2",),
    "-Oz": ("-Oz",),
    "-flto": ("-flto",),
    "-fno-inline-small-functions": ("-fno-inline-small-functions",),
    "-fno-inline-functions-called-once": ("-fno-inline-functions-called-once",),
    "-flto -fno-inline-small-functions": ("-flto", "-fno-inline-small-functions"),
}
#: Only where nothing runs before main and nothing at exit.
NO_CONSTRUCTORS = "-DNOLIBC_NO_CONSTRUCTORS"
_STOPS_EARLY = frozenset({"-c", "-S", "-E", "-M", "-MM", "-fsyntax-only"})
_ONLY_ASKS = ("--version", "-v", "-###", "-dump", "-print-", "--help", "--target-help")


@dataclass(frozen=True)
class Result:
    """What the compiler did: its exit code, its messages, its standard output (-E, --version).

    ``choice`` names the flags that were kept.
    """

    code: int
    log: str
    stdout: bytes = b""
    output: Path | None = None
    size: int = 0
    choice: str = ""


def cc(
    arch: Arch,
    args: Sequence[str],
    *,
    kind: str | None = None,
    smallest: bool = False,
    check: str | None = None,
    compat: bool = False,
) -> Result:
    """Run the compiler for ``arch`` with ``args`` and nolibc; as a driver, it hands the exit code on.

    ``smallest`` tries VARIANTS and keeps the smallest program that passes ``check``: a shell command in
    which ``{}`` stands for what runs the program, good when it exits with 0.  Without one, a program passes
    that gets through start-up.
    """
    compiler = toolchain.find(arch, kind)  # type: ignore[arg-type] # click checked the name
    words = [*compiler.command]
    plain = _expanded(args)
    if "-shared" in plain:
        raise BadInput("-shared: nolibc is in static programs only", remedy="leave out -shared")
    if not any(arg.startswith(_ONLY_ASKS) for arg in plain) or _has_input(plain):
        words += build.header_flags(compiler, compat=compat)
    links = not any(arg in _STOPS_EARLY for arg in plain)
    if smallest:
        if not links:
            raise BadInput("--smallest needs a linked program", remedy="leave out -c, -S or -E")
        if "-" in plain:
            raise BadInput("--smallest compiles more than once", remedy="name a file in place of -")
        return _smallest(arch, compiler, args, check=check, compat=compat)
    if check is not None:
        raise BadInput("--check is for --smallest", remedy="add --smallest")
    tail = build.link_flags(compiler) if links else []
    done = _run([*words, *args, *tail])
    return Result(_code(done.returncode), _text(done.stderr), done.stdout)


def _smallest(
    arch: Arch,
    compiler: toolchain.Compiler,
    args: Sequence[str],
    *,
    check: str | None,
    compat: bool,
) -> Result:
    output = Path(_output(args))
    if output.is_dir() or not output.parent.is_dir():
        raise BadInput(f"{output}: no program can be written there", remedy="another -o")
    best: Result | None = None
    first_failure: Result | None = None
    rest = _without_output(args)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "kept")
        for name, flags in VARIANTS.items():
            for extra in ((), (NO_CONSTRUCTORS,)):
                made = Path(folder, "made")
                words = [
                    *compiler.command,
                    *build.header_flags(compiler, compat=compat),
                    *build.known_flags((*build.TUNED, *flags, *extra), compiler),
                    # main's parameters are the program's affair, which LTO need not regret.
                    *(["-Wno-lto-type-mismatch"] if compiler.kind == "gcc" else []),
                    *rest,
                    *("-o", str(made)),
                    *build.link_flags(compiler),
                ]
                done = _run(words)
                result = Result(_code(done.returncode), _text(done.stderr))
                if done.returncode:
                    first_failure = first_failure or result
                    break
                if extra and _has_constructors(made):
                    break
                size = made.stat().st_size
                if (best is None or size < best.size) and _passes(arch, made, check):
                    shutil.move(made, kept)
                    choice = " ".join((name, *extra))
                    best = Result(0, result.log, b"", output, size, choice)
        if best is None:
            what = f"exit code 0 of {check}" if check else "a start without a fault"
            return first_failure or Result(1, f"{output}: no variant passed: {what}\n")
        shutil.move(kept, output)
    return best


def _has_constructors(program: Path) -> bool:
    """Whether the linker kept an .init_array or .fini_array with something in it."""
    from ring3.elf import Elf

    with Elf(program) as elf:
        return any(
            section is not None and section.size
            for section in map(elf.section, (".init_array", ".fini_array"))
        )


def _passes(arch: Arch, program: Path, check: str | None) -> bool:
    """Whether ``check`` exits with 0 within a minute; without it, whether the program starts."""
    if check is None:
        return _starts(arch, program)
    before = toolchain.runner(arch)
    if before is None:
        raise BadInput(f"nothing here runs {arch.name}", remedy="leave out --check")
    command = check.replace("{}", shlex.join([*before, str(program)]))
    try:
        done = subprocess.run(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _starts(arch: Arch, program: Path) -> bool:
    """Whether the program gets through start-up: no signal of a fault within a second.

    A program that waits for input, or that nothing here can run, passes.
    """
    if toolchain.runner(arch) is None:
        return True
    ran = build.run(program, arch, timeout=1)
    return ran.code is None or ran.code not in (-4, -7, -8, -11, 132, 135, 136, 139)


def _expanded(args: Sequence[str]) -> list[str]:
    """``args`` with the words of response files (@file) in their place, as GCC takes them."""
    words = []
    for arg in args:
        path = Path(arg[1:])
        if arg.startswith("@") and path.is_file():
            words += shlex.split(path.read_text(errors="replace"))
        else:
            words.append(arg)
    return words


def _has_input(args: Sequence[str]) -> bool:
    return any(arg == "-" or (arg[:1] != "-" and Path(arg).suffix) for arg in args)


def _code(code: int) -> int:
    """A shell's exit code: 128 and the signal where one ended the compiler."""
    return code if code >= 0 else 128 - code


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _output(args: Sequence[str]) -> str:
    for at, arg in enumerate(args):
        if arg == "-o" and at + 1 < len(args):
            return args[at + 1]
        if arg.startswith("-o") and len(arg) > 2:
            return arg[2:]
    return "a.out"


def _without_output(args: Sequence[str]) -> list[str]:
    kept, skip = [], False
    for arg in args:
        if skip:
            skip = False
        elif arg == "-o":
            skip = True
        elif not (arg.startswith("-o") and len(arg) > 2):
            kept.append(arg)
    return kept


def _run(words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        words,
        capture_output=True,
        check=False,
        env=toolchain.environment(),
    )
