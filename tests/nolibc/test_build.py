"""Programs on every architecture whose compiler and emulator are here: they start, print, end."""

from __future__ import annotations

from pathlib import Path

import pytest

from ring3.arch import ARCHS
from ring3.errors import MissingPart, Unsupported
from ring3.nolibc import build, driver, generate, toolchain

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
	printf("%d %s %5x|%-4d|%lld\n", argc, argv[argc - 1], 0xbeef, -7, 1234567890123LL);
	return 7;
}
"""


@pytest.fixture(params=generate.SUPPORTED)
def arch(request):
    return ARCHS[request.param]


def _run(arch, tmp_path: Path, text: str, *args: str, **options):
    source = tmp_path / "program.c"
    source.write_text(text)
    try:
        program = build.build([source], arch, tmp_path / "program", **options)
        return program, build.run(program, arch, args)
    except MissingPart as missing:
        pytest.skip(str(missing))


def test_prints_and_returns(arch, tmp_path):
    program, ran = _run(
        arch, tmp_path, PROGRAM, "last", flags=(*build.TUNED, "-Wall", "-Wextra", "-Werror")
    )
    assert ran.stdout == b"2 last  beef|-7  |1234567890123\n"
    assert (ran.code, ran.stderr) == (7, b"")
    # Not a word from the compiler; the linker may regret RISC-V's one segment.
    assert all("RWX" in line for line in program.log.splitlines() if line)


def test_compile_error_is_the_compilers(tmp_path):
    source = tmp_path / "bad.c"
    source.write_text("int main(void) { return nothing; }\n")
    with pytest.raises(build.CompileError, match="nothing") as caught:
        build.build([source], ARCHS["x86_64"], tmp_path / "bad")
    assert "bad.c:1" in caught.value.log


def test_source_without_headers_still_starts(tmp_path):
    _, ran = _run(ARCHS["x86_64"], tmp_path, "int main(void) { return 5; }\n")
    assert ran.code == 5


def test_unsupported_architecture():
    with pytest.raises(Unsupported):
        toolchain.find(ARCHS["x86_64"].__class__(name="vax", family="vax", elf=ARCHS["x86_64"].elf))


def test_smallest_is_not_larger_and_runs(tmp_path):
    source = tmp_path / "p.c"
    source.write_text(PROGRAM)
    out = tmp_path / "p"
    result = driver.cc(ARCHS["x86_64"], [str(source), "-o", str(out)], smallest=True)
    plain = build.build([source], ARCHS["x86_64"], tmp_path / "q")
    assert result.code == 0
    assert out.stat().st_size == result.size <= plain.size
    assert build.run(out, ARCHS["x86_64"], ["x"]).code == 7
