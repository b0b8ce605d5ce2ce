"""The headers compile without a warning: in every C and C++, alone, twice, all together, everywhere.

They are searched with -I, as compilers keep quiet about what -isystem finds.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ring3.arch import ARCHS
from ring3.errors import MissingPart
from ring3.nolibc import build, generate, toolchain, uapi

C = ("c89", "c99", "c11", "c17", "c2x")
CPLUSPLUS = ("c++98", "c++11", "c++14", "c++17", "c++20")
# The last is about the linker that clang is told to use, where nothing is linked.
WARNINGS = (
    *("-Wall", "-Wextra", "-Werror", "-Wwrite-strings"),
    "-Wno-unused-command-line-argument",
)
#: Both x86, big and little endian, 32 and 64 bits.
ALWAYS = (
    *("x86_64", "i386", "arm64", "armthumb", "riscv64", "ppc", "ppc64", "s390x"),
    *("mips32be", "mips64le", "m68k", "sparc64", "parisc32"),
)
#: zig's compiler dies of a pointer in .init_array or .fini_array there; threads and C++ always have one.
CRASHES = {("sparc64", "zig")}
PUBLIC = sorted(
    name for name in generate.headers([ARCHS["x86_64"]]) if not name.startswith("nolibc")
)
#: These want -pthread, and SPARC V9.
THREADS = ("pthread.h", "semaphore.h")


def _check(arch, kind: str, standard: str, sources: list[Path]) -> None:
    """Compile without linking; what the compiler says is the failure."""
    try:
        compiler = toolchain.find(arch, kind)
        kernel = uapi.folder(arch)
    except MissingPart as missing:
        pytest.skip(str(missing))
    words = list(compiler.command)
    if standard in CPLUSPLUS and kind == "gcc":
        words[0] = words[0].removesuffix("gcc") + "g++"
        if not Path(words[0]).is_file():
            pytest.skip(f"no {words[0]}")
    # zig fails where a compilation leaves no object.
    only = ["-c", "-o", str(sources[0]) + ".o"] if kind == "zig" else ["-fsyntax-only"]
    if kind == "zig":  # of the flags that it adds itself for MIPS
        only.append("-Wno-option-ignored")
    language = "c++" if standard in CPLUSPLUS else "c"
    done = subprocess.run(
        [
            *(*words, *only, "-nostdlib", f"-std={standard}", *WARNINGS),
            *(
                "-nostdinc",
                "-I",
                str(build.include_folder(arch)),
                "-isystem",
                str(kernel),
                "-x",
                language,
            ),
            *map(str, sources),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=toolchain.environment(),
    )
    assert (done.returncode, done.stderr[:2000]) == (0, "")


def _together(folder: Path, first: str = "", *, threads: bool = False) -> list[Path]:
    """A source of all headers; ``threads``: as with -pthread, and those that want it, too."""
    source = folder / "all.c"
    names = PUBLIC if threads else [name for name in PUBLIC if name not in THREADS]
    first = "#define _REENTRANT\n" * threads + first
    lines = "".join(f"#include <{name}>\n" for name in names)
    source.write_text(first + lines + "int main(void) { return 0; }\n")
    return [source]


@pytest.mark.parametrize(
    ("kind", "standard"),
    [("gcc", "c89"), ("gcc", "c++98"), ("clang", "c2x"), ("clang", "c++20")],
)
def test_each_header_alone_and_twice(kind, standard, tmp_path):
    sources = []
    for name in PUBLIC:
        sources.append(tmp_path / f"{name.replace('/', '-')}.c")
        threads = "#define _REENTRANT\n" * (name in THREADS)
        sources[-1].write_text(f"{threads}#include <{name}>\n#include <{name}>\n")
    _check(ARCHS["x86_64"], kind, standard, sources)


@pytest.mark.parametrize("first", ["", "#include <nolibc.h>\n"], ids=["standard", "compat"])
@pytest.mark.parametrize("standard", [*C, *CPLUSPLUS])
@pytest.mark.parametrize("kind", ["gcc", "clang"])
def test_all_together(kind, standard, first, tmp_path):
    for threads in (False, True):
        _check(ARCHS["x86_64"], kind, standard, _together(tmp_path, first, threads=threads))


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(name, marks=() if name in ALWAYS else pytest.mark.oracle)
        for name in generate.SUPPORTED
    ],
)
def test_all_together_on_every_variant(variant, tmp_path):
    arch = ARCHS[variant]
    sources = _together(tmp_path, threads=variant != "sparc32")
    kinds = [compiler.kind for compiler in toolchain.compilers(arch)]
    assert kinds
    for kind in kinds:
        standards = ("c89", "c2x") if kind == "gcc" else ("c89", "c2x", "c++98", "c++20")
        for standard in standards:
            if (variant, kind) in CRASHES:
                with pytest.raises(AssertionError):
                    _check(arch, kind, standard, sources)
            else:
                _check(arch, kind, standard, sources)


CLASSES = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <unistd.h>
static int order;
struct Counted {
	int at;
	Counted() : at(++order) { printf("made %d\n", at); }
	~Counted() { printf("gone %d\n", at); }
} first, second;
static volatile sig_atomic_t seen;
static void handler(int number) { seen = number; }
int main(int argc, char **argv)
{
	jmp_buf place;
	volatile int jumps = 0;
	char *copy = strdup(argv[0] ? "text" : "");

	if (setjmp(place) < 3) {
		jumps = jumps + 1;
		longjmp(place, jumps);
	}
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	close(-1);
	printf("%s %d %.2f %d %d %d\n", copy, argc, 2.5, jumps, seen == SIGUSR1, errno == EBADF);
	free(copy);
	return 0;
}
"""


@pytest.mark.parametrize("standard", ["c++98", "c++20"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_a_cplusplus_program_runs(compiler, standard, tmp_path):
    """What it prints follows from the C++ standard: static objects in order, and back."""
    arch = ARCHS["x86_64"]
    source = tmp_path / "program.cc"
    source.write_text(CLASSES)
    subprocess.run(
        [
            *(compiler, f"-std={standard}", "-Os", *WARNINGS, "-nostdinc", "-nostdlib", "-static"),
            *("-fno-exceptions", "-fno-rtti", "-fno-pie"),
            *("-I", build.include_folder(arch), "-isystem", uapi.folder(arch)),
            *("-include", "nolibc/start.h", source, "-o", tmp_path / "program"),
        ],
        check=True,
    )
    ran = build.run(tmp_path / "program", arch)
    lines = ["made 1", "made 2", "text 1 2.50 3 1 1", "gone 2", "gone 1"]
    assert (ran.code, ran.stdout.decode().splitlines()) == (0, lines)
