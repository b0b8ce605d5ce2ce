"""Compilers and emulators: which are here for an architecture, and how they are called."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from ring3 import arch as archs
from ring3 import oracles
from ring3.arch import Arch
from ring3.errors import MissingPart, Unsupported

Kind = Literal["gcc", "clang", "zig"]
KINDS: tuple[Kind, ...] = ("gcc", "clang", "zig")


@dataclass(frozen=True)
class Compiler:
    """A C compiler for one architecture: the words that its command line begins with."""

    arch: Arch
    kind: Kind
    command: tuple[str, ...]


def compilers(arch: Arch) -> list[Compiler]:
    """The compilers for ``arch`` that are here, GCC first."""
    found = []
    for kind in KINDS:
        command = _command(arch, kind)
        if command is not None:
            found.append(Compiler(arch, kind, command))
    return found


def find(arch: Arch, kind: Kind | None = None) -> Compiler:
    """The compiler ``kind`` for ``arch``, or the first that is here.

    Raises MissingPart with the command that brings one.
    """
    if arch.entry is None:
        raise Unsupported(
            f"{arch.name} has no nolibc", remedy="ring3 nolibc arch lists those that do"
        )
    for compiler in compilers(arch):
        if kind in (None, compiler.kind):
            return compiler
    package = arch.toolchain.gcc_package
    options = []
    if package and kind in (None, "gcc"):
        options.append(f"apt-get install {package}")
    if arch.toolchain.zig and kind in (None, "zig"):
        options.append("pip install ziglang")
    if arch.toolchain.clang and kind in (None, "clang"):
        options.append("apt-get install clang lld")
    raise MissingPart(
        f"no {kind or 'compiler'} for {arch.name}",
        remedy=" or ".join(options) or f"{kind} does not know {arch.name}",
    )


def _command(arch: Arch, kind: Kind) -> tuple[str, ...] | None:
    tools = arch.toolchain
    if kind == "gcc" and tools.gcc:
        path = shutil.which(f"{tools.gcc}-gcc")
        return (path, *tools.gcc_flags) if path else None
    if kind == "clang" and tools.clang:
        path = shutil.which("clang")
        if path is None or not shutil.which("ld.lld"):
            return None
        return (path, f"--target={tools.clang}", "-fuse-ld=lld", *tools.clang_flags)
    if kind == "zig" and tools.zig:
        if importlib.util.find_spec("ziglang") is None:
            return None
        return (
            *(sys.executable, "-m", "ziglang", "cc", "-target", tools.zig),
            *("-fno-sanitize=all", *tools.zig_flags),
        )
    return None


@lru_cache
def runner(arch: Arch) -> tuple[str, ...] | None:
    """The words before a program of ``arch`` that run it here: none natively, qemu, or None: nothing does."""
    if arch.name == archs.host().name:
        return ()
    if arch.toolchain.qemu:
        name = f"qemu-{arch.toolchain.qemu}"
        newest, _ = oracles.ORACLES["qemu"]
        # QEMU 7.2 fails mremap on targets with pages of 8 and 16 KiB; the unpacked one is newer.
        own = newest.path / "usr/bin" / name
        path = str(own) if newest.present and own.is_file() else shutil.which(name)
        if path:
            return (path, *arch.toolchain.qemu_flags)
    return () if _runs_natively(arch) else None


def _runs_natively(arch: Arch) -> bool:
    """Whether the running kernel executes a program of ``arch``: tried with one that only exits."""
    if arch.family != archs.host().family or not compilers(arch):
        return False
    from ring3.nolibc import build

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "true.c")
        source.write_text("#include <stdlib.h>\nint main(void) { return 0; }\n")
        program = build.build([source], arch, Path(folder, "true"))
        try:
            return subprocess.run([program.path], check=False).returncode == 0
        except OSError:
            return False


def environment() -> dict[str, str]:
    """What compilers run with: messages in English, zig's cache where caches belong."""
    return {**os.environ, "LC_ALL": "C"}
