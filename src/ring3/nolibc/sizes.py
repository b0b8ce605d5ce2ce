"""How large programs are: nolibc beside other libcs, on every architecture, and where the bytes go.

The programs are six small tools and ``float``, which prints a real number.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ring3.arch import ARCHS, Arch, host
from ring3.elf import Elf
from ring3.errors import BadInput, MissingPart
from ring3.nolibc import build, generate, toolchain, uapi
from ring3.page import Markup, escape, page, table

PROGRAMS: dict[str, Path] = {
    path.stem: path for path in sorted((Path(__file__).parent / "programs").glob("*.c"))
}


@dataclass(frozen=True)
class Row:
    """One program on one architecture: libc -> bytes of the stripped static binary.

    ``missing`` says of the others why there is no number; ``ran`` is None where nothing runs it.
    """

    program: str
    arch: str
    floor: int
    sizes: dict[str, int]
    missing: dict[str, str] = field(default_factory=dict)
    ran: bool | None = None


def floor(arch: Arch) -> int:
    """Bytes of ELF header and one program header: what no program is smaller than."""
    return 64 + 56 if arch.elf.bits == 64 else 52 + 32


def measure(
    programs: dict[str, Path],
    archs: Sequence[Arch],
    *,
    libcs: Sequence[str] | None = None,
    upstream: Path | None = None,
    tick: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Build each program for each architecture with all libcs, or ``libcs``; ``tick`` after each row.

    ``upstream`` is a tree of Linux: its tools/include/nolibc is one more libc, named "upstream".
    """
    builders = {name: BUILDERS[name] for name in libcs or BUILDERS}
    if upstream is not None:
        builders[UPSTREAM] = partial(_upstream, _upstream_headers(upstream))
    cases = [(name, source, arch) for name, source in programs.items() for arch in archs]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(_row, *case, Path(folder), builders) for case in cases]
        rows = []
        try:
            for job in jobs:
                rows.append(job.result())
                tick()
        finally:
            for job in jobs:  # after an exception, or ^C
                job.cancel()
    return rows


def everywhere(source: Path | None = None) -> list[Row]:
    """One program (printf.c by default) on every architecture whose compiler is here, run where it can be."""
    source = source or PROGRAMS["printf"]
    archs = [ARCHS[name] for name in generate.SUPPORTED]
    return measure({source.stem: source}, [arch for arch in archs if toolchain.compilers(arch)])


def _row(name: str, source: Path, arch: Arch, folder: Path, builders: dict[str, Builder]) -> Row:
    sizes: dict[str, int] = {}
    missing: dict[str, str] = {}
    ran = None
    for libc, builder in builders.items():
        target = folder / f"{name}-{arch.name}-{libc}"
        try:
            builder(source, arch, target)
            sizes[libc] = target.stat().st_size
            if libc == "nolibc" and toolchain.runner(arch) is not None:
                ran = build.run(target, arch, timeout=20).code == 0
        except (MissingPart, build.CompileError) as error:
            missing[libc] = error.what
        target.unlink(missing_ok=True)
    return Row(name, arch.name, floor(arch), sizes, missing, ran)


def libcs_of(rows: Sequence[Row]) -> list[str]:
    """The libcs that ``rows`` have something to say of, in the order of the first row."""
    return list(dict.fromkeys(libc for row in rows for libc in (*row.sizes, *row.missing)))


def _nolibc(source: Path, arch: Arch, target: Path) -> None:
    build.build([source], arch, target)


def against_upstream(rows: Sequence[Row]) -> tuple[int, list[str]]:
    """How many rows have both ours and upstream's size, and by how much ours is larger where it is."""
    pairs = [
        (row.sizes["nolibc"], row.sizes[UPSTREAM], f"{row.program} on {row.arch}")
        for row in rows
        if {"nolibc", UPSTREAM} <= row.sizes.keys()
    ]
    larger = [f"{name} by {ours - theirs}" for ours, theirs, name in pairs if ours > theirs]
    return len(pairs), larger


def _upstream_headers(tree: Path) -> Path:
    folder = tree / "tools/include/nolibc"
    if not (folder / "nolibc.h").is_file():
        raise BadInput(
            "no tools/include/nolibc/nolibc.h", where=str(tree), remedy="a tree of Linux's source"
        )
    return folder


def _upstream(headers: Path, source: Path, arch: Arch, target: Path) -> None:
    """With the kernel's own nolibc, as its selftests' makefile does it: the same flags as ours."""
    compiler = toolchain.find(arch)
    place = "-I" if compiler.kind == "zig" else "-isystem"
    words = [
        *(*compiler.command, "-nostdinc", place, str(headers), "-isystem", str(uapi.folder(arch))),
        *("-include", str(headers / "nolibc.h"), *build.known_flags(build.TUNED, compiler)),
    ]
    _link(words, source, target, build.link_flags(compiler))


def _glibc(source: Path, arch: Arch, target: Path) -> None:
    compiler = toolchain.find(arch, "gcc")
    _link([*compiler.command, *build.known_flags(build.TUNED, compiler)], source, target)


def _musl(source: Path, arch: Arch, target: Path) -> None:
    if arch.name != host().name or not shutil.which("musl-gcc"):
        raise MissingPart("musl-gcc is for the host only", remedy="apt-get install musl-tools")
    _link(["musl-gcc", *build.TUNED], source, target)


def _dietlibc(source: Path, arch: Arch, target: Path) -> None:
    if arch.name != host().name or not shutil.which("diet"):
        raise MissingPart("dietlibc is for the host only", remedy="apt-get install dietlibc-dev")
    _link(["diet", "gcc", *build.TUNED], source, target)


def _zig_musl(source: Path, arch: Arch, target: Path) -> None:
    if arch.toolchain.musl is None:
        raise MissingPart(f"zig has no musl for {arch.name}")
    compiler = toolchain.find(arch, "zig")
    flags = build.known_flags(build.TUNED, compiler)
    words = [sys.executable, "-m", "ziglang", "cc", "-target", arch.toolchain.musl]
    _link([*words, *flags], source, target)


Builder = Callable[[Path, Arch, Path], None]

#: libc -> what builds a program with it.
BUILDERS: dict[str, Builder] = {
    "nolibc": _nolibc,
    "dietlibc": _dietlibc,
    "musl": _musl,
    "zig's musl": _zig_musl,
    "glibc": _glibc,
}
#: The name of the kernel's own nolibc, which is measured where its tree is given.
UPSTREAM = "upstream"


def _link(words: Sequence[str], source: Path, target: Path, tail: Sequence[str] = ()) -> None:
    command = [*words, "-static", "-w", "-o", str(target), str(source), *tail]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=toolchain.environment()
    )
    if done.returncode:
        raise build.CompileError(command, done.returncode, done.stdout + done.stderr)


@dataclass(frozen=True)
class Part:
    """Some bytes of a binary; ``kind`` is header, section, symbol or padding."""

    kind: str
    name: str
    size: int


def why(source: Path, arch: Arch) -> list[Part]:
    """Where each byte of the stripped binary of ``source`` goes, largest first.

    The parts add up to the file: headers, functions and variables by the linker's symbols, what no symbol
    covers in a section, and padding between sections.
    """
    with tempfile.TemporaryDirectory() as folder:
        stripped = build.build([source], arch, Path(folder, "stripped")).path
        flags = [flag for flag in build.TUNED if flag != "-s"]
        named = build.build([source], arch, Path(folder, "named"), flags=flags).path
        covered = _symbols(named)
        size = stripped.stat().st_size
        with Elf(stripped) as elf:
            phdrs, shdrs = len(elf.segments), len(elf.sections)
            wide = arch.elf.bits == 64
            parts = [
                Part("header", "ELF header", 64 if wide else 52),
                Part("header", f"{phdrs} program headers", phdrs * (56 if wide else 32)),
                Part("header", f"{shdrs} section headers", shdrs * (64 if wide else 40)),
            ]
            for section in elf.sections:
                if section.type in (0, 8) or not section.size:
                    continue
                own = covered.get(section.name, [])
                parts += own
                rest = section.size - sum(part.size for part in own)
                parts.append(Part("section", f"{section.name}, no symbol", rest))
    parts.append(Part("padding", "between sections", size - sum(part.size for part in parts)))
    return sorted((part for part in parts if part.size), key=lambda part: -part.size)


def _symbols(path: Path) -> dict[str, list[Part]]:
    """Section -> the symbols in it; each reaches to the next one, as assembler gives no sizes."""
    with Elf(path) as elf:
        symbols = elf.symbols
        spans: dict[str, list[tuple[int, str]]] = {}
        for index in range(len(symbols)):
            name = symbols.name(index)
            address = int(symbols.addr[index])
            if not name or name.startswith("$"):
                continue
            for section in elf.sections:
                inside = section.addr <= address < section.addr + section.size
                if section.addr and section.type != 8 and inside:
                    spans.setdefault(section.name, []).append((address, name))
        parts: dict[str, list[Part]] = {}
        for section in elf.sections:
            starts = sorted(dict(spans.get(section.name, [])).items())
            if not starts:
                continue
            ends = [address for address, _ in starts[1:]] + [section.addr + section.size]
            parts[section.name] = [
                Part("symbol", name, end - address)
                for (address, name), end in zip(starts, ends, strict=True)
            ]
    return parts


def chart(rows: Sequence[Row], program: str, libcs: Sequence[str] | None = None) -> str:
    """An SVG of ``program``: bytes on a logarithmic axis, one group for each architecture."""
    from matplotlib.figure import Figure

    chosen = [row for row in rows if row.program == program]
    figure = Figure(figsize=(9, 0.34 * len(chosen) + 1.4))
    axes = figure.add_subplot()
    for libc in libcs or libcs_of(rows):
        points = [(row.sizes[libc], at) for at, row in enumerate(chosen) if libc in row.sizes]
        if points:
            axes.scatter([p[0] for p in points], [p[1] for p in points], label=libc)
    axes.scatter(
        [row.floor for row in chosen], range(len(chosen)), label="floor", marker="|", c="k"
    )
    axes.set_xscale("log")
    axes.set_yticks(range(len(chosen)), [row.arch for row in chosen])
    axes.invert_yaxis()
    axes.set_xlabel("bytes, static and stripped")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, frameon=False)
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight")
    return out.getvalue()[out.getvalue().index("<svg") :]


def report(rows: Sequence[Row]) -> str:
    """A page with a chart and a table for each program."""
    body = Markup(
        "<h1>Sizes</h1><p>Bytes of static, stripped binaries, each with the same flags: {}</p>"
    ).format(" ".join(build.TUNED))
    libcs = libcs_of(rows)
    for program in dict.fromkeys(row.program for row in rows):
        chosen = [row for row in rows if row.program == program]
        cells: list[list[object]] = [
            [row.arch, row.floor, *(row.sizes.get(libc, "-") for libc in libcs)] for row in chosen
        ]
        # The chart's text is matplotlib's own: it holds nothing but our names.
        body += Markup("<h2>{}</h2><figure>{}</figure>").format(
            escape(program), Markup(chart(rows, program))
        )
        body += table(["architecture", "#floor", *(f"#{libc}" for libc in libcs)], cells)
    return page("nolibc sizes", body)
