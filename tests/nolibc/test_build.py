"""Programs on every architecture whose compiler and emulator are here: they start, print, end."""

from __future__ import annotations

from pathlib import Path

import pytest

from ring3.arch import ARCHS
from ring3.errors import BadInput, MissingPart, Unsupported
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


SMASHED = r"""
#include <unistd.h>
static __attribute__((__noinline__)) void fill(volatile char *to, int n) { while (n--) *to++ = 'x'; }
static __attribute__((__noinline__)) void victim(int n) { char small[16]; fill(small, n); }
int main(int argc, char **argv)
{
	(void)argv;
	victim(16);
	write(1, "fine\n", 5);
	if (argc > 1)
		victim(64);
	return 3;
}
"""


def test_stack_protector(arch, tmp_path):
    """Where each compiler's guard is by default: a global, or in the thread's block."""
    kinds = [compiler.kind for compiler in toolchain.compilers(arch)]
    if kinds and kinds[0] == "zig":
        pytest.skip("zig: enabling stack protection requires libc")
    program, ran = _run(arch, tmp_path, SMASHED, flags=("-O1", "-fstack-protector-all"))
    if "not supported for this target" in program.log:  # Alpha's and PA-RISC's GCC
        pytest.skip(program.log)
    assert (ran.code, ran.stdout) == (3, b"fine\n")
    ran = build.run(program, arch, ["too far"])
    assert (ran.code, ran.stdout) == (-6, b"fine\n")
    assert ran.stderr.startswith(b"stack smashing detected\n")


@pytest.mark.parametrize("where", ["global", "tls"])
def test_stack_protector_either_way(where, tmp_path):
    flags = ("-O1", "-fstack-protector-all", f"-mstack-protector-guard={where}")
    program, _ = _run(ARCHS["x86_64"], tmp_path, SMASHED, flags=flags)
    assert build.run(program, ARCHS["x86_64"], ["too far"]).code == -6


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


def test_smallest_keeps_what_passes_the_users_check(tmp_path):
    source, out = tmp_path / "p.c", tmp_path / "p q"
    source.write_text('#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n')
    args = [str(source), "-o", str(out)]
    good = driver.cc(ARCHS["x86_64"], args, smallest=True, check="{} | grep -q hello")
    assert good.code == 0 and out.stat().st_size == good.size
    out.unlink()
    bad = driver.cc(ARCHS["x86_64"], args, smallest=True, check="{} | grep -q goodbye")
    assert bad.code == 1 and "no variant passed" in bad.log and not out.exists()
    with pytest.raises(BadInput, match="--smallest"):
        driver.cc(ARCHS["x86_64"], args, check="true")
    with pytest.raises(BadInput, match="no program can be written"):
        driver.cc(ARCHS["x86_64"], [str(source), "-o", str(tmp_path / "no/p")], smallest=True)


def test_the_driver_takes_what_a_compiler_takes(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    source, made = folder / "a b.c", folder / "a b.o"
    source.write_text("#include <limits.h>\nint number = INT_MAX;\n")
    shown = driver.cc(ARCHS["x86_64"], ["-E", "-P", str(source)])
    assert shown.code == 0 and b"number = 0x7fffffff" in shown.stdout and not shown.log
    words = tmp_path / "words"
    words.write_text(f'-c "{source}" -o "{made}" -MD -MF "{tmp_path}/deps"\n')
    assert driver.cc(ARCHS["x86_64"], [f"@{words}"]).code == 0
    assert made.is_file() and "limits.h" in (tmp_path / "deps").read_text()
    assert driver.cc(ARCHS["x86_64"], ["--version"]).stdout
    assert driver.cc(ARCHS["x86_64"], ["-v", "-c", str(source), "-o", str(made)]).code == 0
    assert driver.cc(ARCHS["x86_64"], [str(folder / "none.c")]).code == 1
    with pytest.raises(BadInput, match="static"):
        driver.cc(ARCHS["x86_64"], ["-shared", str(source)])


@pytest.mark.parametrize("variant", ["ppc64", "s390x"])
def test_clang_links_what_lld_does_not_know(variant, tmp_path):
    arch = ARCHS[variant]
    if "clang" not in [compiler.kind for compiler in toolchain.compilers(arch)]:
        pytest.skip("clang is not here")
    source = tmp_path / "p.c"
    source.write_text('#include <stdio.h>\nint main(void) { puts("hello"); return 3; }\n')
    ran = build.run(build.build([source], arch, tmp_path / "p", compiler="clang"), arch)
    assert (ran.code, ran.stdout) == (3, b"hello\n")
