"""Building programs with the generated headers, and running them.

``build`` is one compiler run: sources in, a static binary out, with the errors of the compiler as they
are.  ``run`` executes a binary natively or under qemu and says how it ended.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ring3.arch import Arch
from ring3.errors import BadInput, MissingPart
from ring3.files import cache_folder
from ring3.nolibc import generate, toolchain, uapi
from ring3.nolibc.toolchain import Compiler, Kind

#: Small, and still an ordinary binary: text is not writable, section headers are there.
TUNED: tuple[str, ...] = (
    "-Os",
    "-fno-ident",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    "-fno-stack-protector",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-pie",
    "-no-pie",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-Wl,-z,norelro",
    "-Wl,-z,noseparate-code",
    "-s",
)
PLAIN: tuple[str, ...] = ("-Os",)


@dataclass(frozen=True)
class Program:
    """A built program; ``log`` is what the compiler said, warnings included."""

    path: Path
    arch: Arch
    compiler: Compiler
    command: tuple[str, ...]
    log: str

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size


class CompileError(BadInput):
    """The compiler refused; ``log`` is all it said, ``command`` what was run."""

    def __init__(self, command: Sequence[str], code: int, log: str) -> None:
        errors = [line for line in log.splitlines() if "error:" in line or "undefined" in line]
        first = (errors or log.strip().splitlines() or [f"exit code {code}"])[0]
        super().__init__(
            first.strip(), where=Path(command[0]).name, remedy="see the compiler's log"
        )
        self.command = tuple(command)
        self.code = code
        self.log = log

    def __reduce__(self) -> tuple[object, ...]:
        return CompileError, (self.command, self.code, self.log)


def include_folder(arch: Arch) -> Path:
    """The headers generated for ``arch``, in the cache, as this ring3 writes them.

    Two versions of ring3 may run at once: the folder is named after what is in it.
    """
    files = generate.headers([arch])
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
    folder = cache_folder("nolibc", "include") / f"{arch.name}-{digest}"
    if not folder.is_dir():
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        generate.write_headers(made, [arch])
        try:
            made.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(made)
    return folder


def header_flags(compiler: Compiler, *, compat: bool = False) -> list[str]:
    """Flags that put nolibc in place of the system's headers.

    Every translation unit gets the entry, also one that includes nothing; ``compat`` gives upstream's
    dialect instead: all of nolibc.h, with NOLIBC defined.
    """
    arch = compiler.arch
    ours = include_folder(arch)
    # zig looks into its own folder before any -isystem, whatever -nostdinc says.
    place = "-I" if compiler.kind == "zig" else "-isystem"
    first = ours / ("nolibc.h" if compat else "nolibc/start.h")
    return [
        *("-nostdinc", place, str(ours), "-isystem", str(uapi.folder(arch))),
        *("-include", str(first)),
    ]


def known_flags(flags: Sequence[str], compiler: Compiler) -> list[str]:
    """``flags`` without those that the compiler's linker does not know, where they change nothing."""
    bare = compiler.kind == "zig" or "linux" not in (compiler.arch.toolchain.gcc or "linux")
    unknown = {"-Wl,-z,noseparate-code", "-Wl,-z,norelro"} if bare else set()
    if compiler.kind != "gcc":
        unknown.add("-no-pie")
    return [flag for flag in flags if flag not in unknown]


def link_flags(compiler: Compiler) -> list[str]:
    """What links without the system's libc: statically, with the compiler's own helpers where it has them."""
    flags = ["-nostdlib", "-static"]
    if compiler.kind == "gcc" and compiler.arch.toolchain.libgcc:
        flags.append("-lgcc")
    elif compiler.kind == "zig":
        flags.append("-lcompiler_rt")
    return flags


def command(
    sources: Sequence[Path | str],
    compiler: Compiler,
    output: Path,
    flags: Sequence[str] = TUNED,
    *,
    compat: bool = False,
    link: bool = True,
) -> list[str]:
    """The compiler's whole command line."""
    return [
        *compiler.command,
        *header_flags(compiler, compat=compat),
        *known_flags(flags, compiler),
        *("-o", str(output)),
        *map(str, sources),
        *(link_flags(compiler) if link else ["-c"]),
    ]


def build(
    sources: Sequence[Path | str],
    arch: Arch,
    output: Path,
    *,
    compiler: Compiler | Kind | None = None,
    flags: Sequence[str] = TUNED,
    compat: bool = False,
    link: bool = True,
    timeout: float = 300,
) -> Program:
    """Compile and link ``sources`` for ``arch`` into ``output``.

    Raises CompileError with the compiler's own words, MissingPart when there is no compiler or no kernel
    headers.
    """
    if not isinstance(compiler, Compiler):
        compiler = toolchain.find(arch, compiler)
    words = command(sources, compiler, output, flags, compat=compat, link=link)
    return Program(output, arch, compiler, tuple(words), _compile(words, timeout))


def _compile(words: list[str], timeout: float) -> str:
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            env=toolchain.environment(),
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise CompileError(words, -1, f"error: no end after {timeout:g} s") from None
    log = done.stdout + done.stderr
    if done.returncode:
        raise CompileError(words, done.returncode, log)
    return log


@dataclass(frozen=True)
class Ran:
    """How a run ended: ``code`` is the exit code, negative the signal that ended it, None a time-out."""

    code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float


def run(
    program: Program | Path,
    arch: Arch,
    args: Sequence[str] = (),
    *,
    stdin: bytes = b"",
    timeout: float = 60,
    limit: int = 64 << 20,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Ran:
    """Run a program natively or under qemu-user.

    At most ``limit`` bytes of each stream are kept.  Raises MissingPart when nothing here runs ``arch``.
    """
    path = program.path if isinstance(program, Program) else program
    before = toolchain.runner(arch)
    if before is None:
        what = (
            f"qemu-{arch.toolchain.qemu}" if arch.toolchain.qemu else f"a kernel with {arch.name}"
        )
        raise MissingPart(
            f"nothing here runs {arch.name}",
            remedy="apt-get install qemu-user" if arch.toolchain.qemu else f"boot {what}",
        )
    began = time.monotonic()
    try:
        done = subprocess.run(
            [*before, str(path), *args],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=timeout,
            env=env,
            cwd=cwd,
        )
        code: int | None = done.returncode
        out, err = done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        code, out, err = None, late.stdout or b"", late.stderr or b""
    return Ran(code, out[:limit], err[:limit], time.monotonic() - began)
