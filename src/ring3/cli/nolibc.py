"""``ring3 nolibc``: a libc that is only headers."""

from __future__ import annotations

from pathlib import Path

import click

from ring3 import linux_source
from ring3.arch import ARCHS, Arch, by_name, host
from ring3.cli import Group
from ring3.cli.output import OutFile, console, emit_json, finding, progress
from ring3.errors import BadInput
from ring3.files import write_atomically
from ring3.nolibc import driver, generate, toolchain
from ring3.nolibc import vendor as vendoring
from ring3.report import Table, to_terminal


@click.group(cls=Group)
def nolibc() -> None:
    """A libc of headers only: vendor it, build with it, measure it."""


@nolibc.command(
    examples=["ring3 nolibc arch", "ring3 nolibc arch --json"],
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def arch(as_json: bool) -> None:
    """The architectures: what is declared, which compilers and runners are here."""
    rows = [_arch_row(ARCHS[name]) for name in generate.SUPPORTED]
    if as_json:
        emit_json(rows)
        return
    columns = ("name", "bits", "endian", "call", "error", "compilers here", "runs")
    cells = [[" ".join(v) if isinstance(v, list) else v for v in row.values()] for row in rows]
    to_terminal([Table("", columns, cells)], console())


def _arch_row(arch: Arch) -> dict[str, object]:
    assert arch.syscall is not None
    runner = toolchain.runner(arch)
    return {
        "name": arch.name,
        "bits": arch.elf.bits,
        "endian": arch.elf.endian,
        "call": arch.syscall.instruction.splitlines()[-1]
        if arch.name == "armthumb"
        else arch.syscall.instruction.splitlines()[0],
        "error": arch.syscall.error,
        "compilers": [compiler.kind for compiler in toolchain.compilers(arch)],
        "runs": "no" if runner is None else Path(runner[0]).name if runner else "natively",
    }


@nolibc.command(
    # No -h: click would find it inside the compiler's options, as in -fno-asynchronous-unwind-tables.
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],
    },
    examples=[
        "ring3 nolibc cc -o hello hello.c",
        "ring3 nolibc cc --arch riscv64 --smallest -o hello hello.c",
        "ring3 nolibc cc --smallest --check '{} | grep -q hello' -o hello hello.c",
    ],
)
@click.option("--arch", "arch_name", default=None, help="Architecture; the host's by default.")
@click.option(
    "--compiler",
    type=click.Choice(toolchain.KINDS),
    default=None,
    help="The first found by default.",
)
@click.option("--smallest", is_flag=True, help="Try flags; keep the smallest binary that runs.")
@click.option(
    "--check", help="With --smallest: a shell command with {} for the program; 0 is good."
)
@click.option("--compat", is_flag=True, help="Upstream's dialect: all of nolibc.h, NOLIBC defined.")
@click.argument("args", nargs=-1, required=True, type=click.UNPROCESSED)
def cc(
    arch_name: str | None,
    compiler: str | None,
    smallest: bool,
    check: str | None,
    compat: bool,
    args: tuple[str, ...],
) -> None:
    """Run the compiler with nolibc in place of the system's libc; ARGS are its own."""
    target = by_name(arch_name) if arch_name else host()
    result = driver.cc(target, args, kind=compiler, smallest=smallest, check=check, compat=compat)
    click.echo(result.stdout, nl=False)
    click.echo(result.log, err=True, nl=False)
    if result.choice:
        click.echo(f"{result.output}: {result.size} bytes with {result.choice}", err=True)
    click.get_current_context().exit(result.code)


@nolibc.command(
    examples=[
        "ring3 nolibc vendor third_party/nolibc --arch x86_64 --arch arm64",
        "ring3 nolibc vendor third_party/nolibc          # update it",
        "ring3 nolibc vendor third_party/nolibc --check",
    ],
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--arch", "names", multiple=True, help="Architecture; all by default, repeatable.")
@click.option("--amalgamate", is_flag=True, help="One nolibc.h in place of many headers.")
@click.option("--system-headers", is_flag=True, help="Leave the kernel's headers to the system.")
@click.option("--check", "only_check", is_flag=True, help="Say what was edited; write nothing.")
@click.option("--force", is_flag=True, help="Overwrite edited files.")
def vendor(
    folder: Path,
    names: tuple[str, ...],
    amalgamate: bool,
    system_headers: bool,
    only_check: bool,
    force: bool,
) -> None:
    """Write the headers into FOLDER, or update them; compile with -nostdinc -isystem FOLDER/include
    -isystem FOLDER/kernel/FAMILY -isystem FOLDER/kernel/common."""
    if only_check:
        state = vendoring.check(folder)
        for kind in ("edited", "missing", "unknown", "outdated"):
            for name in getattr(state, kind):
                click.echo(f"{kind}: {name}")
        if not state.clean:
            finding()
        return
    choices = None
    if names or amalgamate or system_headers or not (folder / vendoring.RECORD).is_file():
        archs = tuple(by_name(name).name for name in names) or generate.SUPPORTED
        choices = vendoring.Choices(archs, amalgamate, not system_headers)
    folder.mkdir(parents=True, exist_ok=True)
    changed = vendoring.write(folder, choices, force=force)
    click.echo(f"{folder}: {len(changed)} files written" if changed else f"{folder}: up to date")


@nolibc.command(
    examples=[
        "ring3 nolibc sizes --program printf",
        "ring3 nolibc sizes --arch x86_64 --arch arm64 --html sizes.html",
        "ring3 nolibc sizes --upstream 7.2 --arch x86_64",
        "ring3 nolibc sizes --why hello.c",
    ],
)
@click.option(
    "--program", "chosen", multiple=True, help="One of the built-in programs, or a C file."
)
@click.option("--arch", "names", multiple=True, help="Architecture; all by default, repeatable.")
@click.option(
    "--libc",
    "libcs",
    multiple=True,
    type=click.Choice(["nolibc", "dietlibc", "musl", "zig's musl", "glibc"]),
    help="Only these; all by default, with --upstream nolibc alone. Repeatable.",
)
@click.option(
    "--upstream",
    metavar="TREE",
    help="Linux's source, a folder or a version: compare with its tools/include/nolibc.",
)
@click.option("--why", "explained", default=None, help="Where each byte of PROGRAM goes.")
@click.option("--html", type=OutFile(), help="Write tables and charts.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sizes(
    chosen: tuple[str, ...],
    names: tuple[str, ...],
    libcs: tuple[str, ...],
    upstream: str | None,
    explained: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Static binaries with nolibc beside glibc, musl, dietlibc and zig's musl."""
    from ring3.nolibc import sizes as measuring

    archs = [by_name(name) for name in names or generate.SUPPORTED]
    if explained:
        target = archs[0] if names else host()
        parts = measuring.why(_program(explained, measuring.PROGRAMS), target)
        if as_json:
            emit_json([part.__dict__ for part in parts])
            return
        cells = [(part.size, part.kind, part.name) for part in parts]
        cells.append((sum(part.size for part in parts), "", "in all"))
        to_terminal([Table("", ("#bytes", "what", "name"), cells)], console())
        return
    programs = {Path(name).stem: _program(name, measuring.PROGRAMS) for name in chosen}
    programs = programs or measuring.PROGRAMS
    with progress() as bars:
        task = bars.add_task("building", total=len(programs) * len(archs))
        rows = measuring.measure(
            programs,
            archs,
            libcs=libcs or (["nolibc"] if upstream else None),
            upstream=_tree(upstream) if upstream else None,
            tick=lambda: bars.advance(task),
        )
    if html:
        write_atomically(html, measuring.report(rows))
    if as_json:
        emit_json([row.__dict__ for row in rows])
        return
    columns = measuring.libcs_of(rows)
    runs = {True: "yes", False: "no", None: "-"}
    shown = [
        (
            *(row.program, row.arch, row.floor),
            *(row.sizes.get(libc, "-") for libc in columns),
            runs[row.ran],
        )
        for row in rows
    ]
    head = ("program", "architecture", "#floor", *(f"#{libc}" for libc in columns), "runs")
    to_terminal([Table("", head, shown)], console())
    if upstream:
        pairs, larger = measuring.against_upstream(rows)
        click.echo(f"{pairs} pairs, larger than upstream: {', '.join(larger) or 'none'}")


def _tree(source: str) -> Path:
    """A folder, or the version of a linux-source package."""
    return Path(source) if Path(source).is_dir() else linux_source.kernel_source(source)


def _program(name: str, known: dict[str, Path]) -> Path:
    path = known.get(name, Path(name))
    if not path.is_file():
        raise BadInput(f"no program {name!r}", remedy=f"a C file, or one of {', '.join(known)}")
    return path
