"""Test programs built with nolibc, so that one static file is all that a kernel must run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ring3.arch import Arch
from ring3.kselftest import discover
from ring3.nolibc import build, toolchain
from ring3.nolibc.toolchain import Compiler, Kind

#: As kselftest's Makefiles have it; warnings are the business of whoever writes the test.
FLAGS = ("-O1", "-w", "-D_GNU_SOURCE=", "-D_REENTRANT")


def compile_test(
    source: discover.Source,
    arch: Arch,
    output: Path,
    *,
    compiler: Compiler | Kind | None = None,
    flags: Sequence[str] = FLAGS,
) -> build.Program:
    """Build one test for ``arch`` into ``output``.

    Raises CompileError with the compiler's words, MissingPart without a compiler.
    """
    if not isinstance(compiler, Compiler):
        compiler = toolchain.find(arch, compiler)
    first, last = discover.include_folders(source.path)
    files, folders = discover.companions(source.path)
    first += folders
    last += own_headers(compiler)
    words = [*flags, *(f"-I{path}" for path in first)]
    words += [word for path in last for word in ("-idirafter", str(path))]
    return build.build([source.path, *files], arch, output, compiler=compiler, flags=words)


@lru_cache
def own_headers(compiler: Compiler) -> list[Path]:
    """The folder of headers that a compiler brings for its own instructions (cpuid.h, immintrin.h), which
    come after all of nolibc's."""
    words = [*compiler.command, "-print-file-name=include"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=toolchain.environment()
    )
    folder = Path(done.stdout.strip())
    return [folder] if folder.is_absolute() and folder.is_dir() else []
