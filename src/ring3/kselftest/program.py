"""Test programs built with nolibc, so that one static file is all that a kernel must run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ring3.arch import Arch
from ring3.kselftest import discover
from ring3.nolibc import build
from ring3.nolibc.toolchain import Compiler, Kind

#: As kselftest's Makefiles have it; warnings are the business of whoever writes the test.
FLAGS = ("-O1", "-w", "-D_GNU_SOURCE=")


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
    first, last = discover.include_folders(source.path)
    words = [*flags, *(f"-I{path}" for path in first)]
    words += [word for path in last for word in ("-idirafter", str(path))]
    return build.build([source.path], arch, output, compiler=compiler, flags=words)
