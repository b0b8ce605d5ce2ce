"""The library's own tests: C programs that print the same with nolibc as with the host's libc.

About 1,900 cases a variant.  What an emulator or a compiler gets wrong is named in FAULTS.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ring3 import linux_source, oracles
from ring3.arch import ARCHS
from ring3.errors import MissingPart
from ring3.nolibc import build, generate, toolchain

SOURCES = Path(__file__).parent / "c"
PROGRAMS = (
    "few",
    "numbers",
    "text",
    "real",
    "system",
    "edges",
    "wide",
    "random",
    "suites",
    "far",
    "threads",
)
#: Both x86, big and little endian, 32 and 64 bits, aligned and unaligned pairs, stack arguments.
ALWAYS = (
    *("x86_64", "i386", "arm64", "armthumb", "riscv64", "ppc", "ppc64", "s390x"),
    *("mips32be", "mips64le", "m68k", "sparc64", "parisc32"),
)
FAULTS = {
    ("mipsn32le", "system"): "qemu-mipsn32el cuts 64-bit arguments",
    ("mipsn32be", "system"): "qemu-mipsn32 cuts 64-bit arguments",
    ("mipsn32le", "edges"): "qemu-mipsn32el cuts 64-bit arguments",
    ("mipsn32be", "edges"): "qemu-mipsn32 cuts 64-bit arguments",
    ("mipsn32le", "far"): "qemu-mipsn32el cuts 64-bit arguments",
    ("mipsn32be", "far"): "qemu-mipsn32 cuts 64-bit arguments",
    ("parisc32", "far"): "newer than 7.2, qemu-hppa cuts 64-bit arguments",
    ("sparc32", "random"): "no libgcc for sparc32 here, and the program itself divides",
    ("sparc32", "threads"): "SPARC V8 has no compare-and-swap",
    ("openrisc", "threads"): "or1k-elf's linker leaves the program headers out of memory",
    ("alpha", "random"): "linked without libgcc, and the program itself divides",
    ("riscv32", "random"): "no libgcc for rv32 here, and the program itself divides",
    ("riscv32", "real"): "no libgcc for rv32 here, and the program itself adds floats",
}
#: Where QEMU 7.2 fails: madvise, maps of files, signals that end a program.
NEWER_QEMU = ("system", "edges", "suites")
ENVIRONMENT = {**os.environ, "NOLIBC_TEST": "value"}


def _flags(program: str) -> tuple[str, ...]:
    """-D_REENTRANT is all that -pthread says to headers; or1k-elf's GCC has no -pthread."""
    return ("-O1", "-w", *(["-D_REENTRANT"] if program == "threads" else []))


def _variant(name: str):
    return pytest.param(name, marks=() if name in ALWAYS else pytest.mark.oracle)


@pytest.fixture(scope="session")
def expected(tmp_path_factory) -> dict[str, bytes]:
    """What each program prints with the host's libc; no case may fail there."""
    folder = tmp_path_factory.mktemp("host")
    found = {}
    for name in PROGRAMS:
        program = folder / name
        words = ["gcc", *_flags(name), SOURCES / f"{name}.c", "-lm", "-o", program]
        subprocess.run(words, check=True)
        ran = subprocess.run(
            [program, "first", "second"], capture_output=True, check=False, env=ENVIRONMENT
        )
        assert ran.returncode == 0, ran.stdout.decode()
        found[name] = ran.stdout
    return found


def _check(arch, name: str, expected, folder: Path, **options) -> None:
    try:
        program = build.build(
            [SOURCES / f"{name}.c"], arch, folder / name, flags=_flags(name), **options
        )
        ran = build.run(program, arch, ["first", "second"], env=ENVIRONMENT, timeout=60)
        if toolchain.runner(arch) and name in NEWER_QEMU:
            oracles.find("qemu")
    except MissingPart as missing:
        pytest.skip(str(missing))
    assert ran.stdout.decode(errors="replace").splitlines() == expected[name].decode().splitlines()
    assert ran.code == 0


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("variant", [_variant(name) for name in generate.SUPPORTED])
def test_same_as_the_hosts_libc(variant, program, expected, tmp_path, request):
    if (variant, program) in FAULTS:
        reason = FAULTS[variant, program]
        strict = "newer" not in reason  # than the system's, which may be what runs it
        request.applymarker(pytest.mark.xfail(reason=reason, strict=strict))
    _check(ARCHS[variant], program, expected, tmp_path)


@pytest.mark.parametrize("kind", ["clang", pytest.param("zig", marks=pytest.mark.oracle)])
@pytest.mark.parametrize("program", PROGRAMS)
def test_same_with_other_compilers(kind, program, expected, tmp_path):
    if kind not in [compiler.kind for compiler in toolchain.compilers(ARCHS["x86_64"])]:
        pytest.skip(f"{kind} is not here")
    _check(ARCHS["x86_64"], program, expected, tmp_path, compiler=kind)


def test_at_least_400_cases(expected):
    assert sum(text.count(b"\nok ") for text in expected.values()) >= 400


@pytest.mark.oracle
@pytest.mark.parametrize("variant", generate.SUPPORTED)
def test_upstreams_own_suite(variant, tmp_path):
    """tools/testing/selftests/nolibc of Linux 7.2, with our headers in its dialect."""
    try:
        source = linux_source.kernel_source("7.2") / "tools/testing/selftests/nolibc"
        names = ("nolibc-test", "nolibc-test-linkage", "nolibc-test-ignore-errno")
        program = build.build(
            [source / f"{name}.c" for name in names],
            ARCHS[variant],
            tmp_path / "nolibc-test",
            flags=("-Os", "-std=c89", "-Wall", "-Wextra", "-Wundef", "-Wwrite-strings"),
            compat=True,
        )
        before = toolchain.runner(ARCHS[variant])
    except MissingPart as missing:
        pytest.skip(str(missing))
    # Its own lines are its authors' affair: for sh4 they are compiled with -O0, which warns of other things.
    lines = [line for line in program.log.splitlines() if "RWX" not in line]
    assert not [line for line in lines if "warning" in line and not line.startswith(str(source))]
    if before is None:
        pytest.skip(f"nothing here runs {variant}")
    environment = {**os.environ, "HOME": "/", "TERM": "dumb", "PWD": "/"}
    # Its cases want a pipe on standard input that is open.
    with subprocess.Popen(
        [*before, program.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as running:
        assert running.stdout is not None
        text = running.stdout.read().decode(errors="replace")
    assert [line for line in text.splitlines() if "[FAIL]" in line] == []
    assert text.count("[OK]") >= 294
    assert running.returncode == 0
