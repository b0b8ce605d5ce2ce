"""``ring3 sframe``: read, write, convert and check SFrame sections."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ring3.cli import Group
from ring3.cli.output import OutFile, emit_json, finding
from ring3.errors import BadInput

if TYPE_CHECKING:
    from ring3.sframe.stat import Report
    from ring3.sframe.table import Refusal

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = OutFile()


@click.group(cls=Group)
def sframe() -> None:
    """SFrame stack-trace sections: print, convert, add, verify, measure."""


@sframe.command(
    examples=["ring3 sframe dump libfoo.so", "ring3 sframe dump --json x.sframe | jq .functions[0]"]
)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One document a file.")
def dump(files: tuple[Path, ...], as_json: bool) -> None:
    """Print the .sframe section of binaries, objects, sidecars or raw sections, as objdump does.

    For a binary without one the sidecar of its build-id is printed.
    """
    from dataclasses import asdict

    from ring3.sframe import dump as dumper
    from ring3.sframe import load

    for path in files:
        section = load.sframe(path)
        if as_json:
            emit_json(
                {
                    "file": str(path),
                    "version": section.version,
                    "flags": dumper.flags(section),
                    "abi": section.arch.name,
                    "functions": [asdict(function) for function in dumper.functions(section)],
                }
            )
            continue
        click.echo(f"\n{section.where}\n\nContents of the SFrame section .sframe:")
        lines = dumper.text(section)
        while chunk := list(itertools.islice(lines, 1000)):
            click.echo("\n".join(chunk))


def _writing(command: Any) -> Any:
    """The options that every command that writes a section takes."""
    for option in (
        click.option("--strict", is_flag=True, help="Exit 1 when a function was left out."),
        click.option(
            "--no-share",
            is_flag=True,
            help="A block of rows for each function, for tools that flip the byte order.",
        ),
        click.option(
            "--version",
            type=click.Choice(["2", "3"]),
            default="3",
            show_default=True,
            help="SFrame version to write.",
        ),
        click.option(
            "--from",
            "source",
            type=click.Choice(["cfi", "orc", "sframe"]),
            help="What to read; by default the first of these that the file holds.",
        ),
    ):
        command = option(command)
    return command


@sframe.command(
    examples=[
        "ring3 sframe convert /usr/bin/gdb",
        "ring3 sframe convert /lib/x86_64-linux-gnu/libc.so.6 -o libc.sframe",
        "ring3 sframe convert --from sframe --version 2 new.so -o old.sframe",
    ]
)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("-o", "--output", type=OUTPUT, help="Where to write (one file only).")
@click.option("--raw", is_flag=True, help="Write the bare section, not an ELF file around it.")
@click.option(
    "--address", type=str, help="Address of the section; by default right behind the code."
)
@click.option("--json", "as_json", is_flag=True, help="What was written, as a list.")
@_writing
def convert(
    files: tuple[Path, ...],
    output: Path | None,
    raw: bool,
    address: str | None,
    as_json: bool,
    source: str | None,
    version: str,
    no_share: bool,
    strict: bool,
) -> None:
    """Write an SFrame section from a file's .eh_frame, .debug_frame, ORC or older SFrame.

    Without -o the result is a sidecar in the cache under the file's build-id, where `ring3 stack` and
    `ring3 record` find it.
    """
    from ring3.files import write_atomically
    from ring3.sframe import convert as converter

    if output is not None and len(files) > 1:
        raise click.UsageError("-o takes one file")
    if raw and output is None:
        raise click.UsageError("--raw needs -o")
    answers = []
    lost = False
    for path in files:
        made = converter.convert(
            path,
            source=source,
            version=int(version),
            share=not no_share,
            vaddr=_number(address) if address else None,
        )
        if output is None:
            target = converter.write_sidecar(made)
        else:
            target = output
            write_atomically(target, made.encoded.data if raw else made.sidecar())
        lost |= bool(made.encoded.refused)
        answers.append(
            {
                "file": str(path),
                "output": str(target),
                "source": made.source,
                "functions": made.encoded.functions,
                "rows": made.encoded.rows,
                "bytes": len(made.encoded.data),
                "replaces": made.replaces,
                "refused": [_refusal(refusal) for refusal in made.encoded.refused],
            }
        )
        if not as_json:
            _say(path, target, answers[-1], made.encoded.refused)
    if as_json:
        emit_json(answers)
    if strict and lost:
        finding()


@sframe.command(examples=["ring3 sframe add program -o program.sframe && ./program.sframe"])
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=OUTPUT, required=True, help="The new file.")
@_writing
def add(
    file: Path, output: Path, source: str | None, version: str, no_share: bool, strict: bool
) -> None:
    """Write a copy of a program or library with a loaded .sframe section that still runs."""
    from ring3.sframe import convert as converter

    place, encoded = converter.add(
        file, output, source=source, version=int(version), share=not no_share
    )
    click.echo(
        f"{file} -> {output}: .sframe of {encoded.functions:,} functions, {place.size:,} bytes "
        f"at {place.vaddr:#x}, PT_GNU_SFRAME"
    )
    for refusal in encoded.refused:
        click.echo(f"  not expressed: {refusal}")
    if strict and encoded.refused:
        finding()


def _say(path: Path, target: Path, answer: dict[str, Any], refused: list[Refusal]) -> None:
    line = f"{path} -> {target}: {answer['functions']:,} functions, {answer['rows']:,} rows, "
    line += f"{answer['bytes']:,} bytes"
    if before := answer["replaces"]:
        line += f" (.eh_frame and its index: {before:,}, {answer['bytes'] / before:.2f}x)"
    click.echo(line)
    for refusal in refused:
        click.echo(f"  not expressed: {refusal}")


@sframe.command(
    examples=[
        "ring3 sframe verify program",
        "ring3 sframe verify --sframe libc.sframe /lib/x86_64-linux-gnu/libc.so.6",
    ]
)
@click.argument("file", type=FILE)
@click.option("--sframe", "beside", type=FILE, help="The section to check, when not in FILE.")
@click.option("--limit", default=50, show_default=True, help="Disagreements to print.")
@click.option("--json", "as_json", is_flag=True, help="All that are kept, as one document.")
def verify(file: Path, beside: Path | None, limit: int, as_json: bool) -> None:
    """Compare SFrame with .eh_frame at every pc of every function.  Exit 1 when they disagree."""
    from ring3.sframe import load
    from ring3.sframe import verify as verifier

    verdict, names = verifier.check(file, load.sframe(beside or file))
    if as_json:
        emit_json(
            {
                "file": str(file),
                "compared": verdict.compared,
                "differences": verdict.differences,
                "extra": verdict.extra,
                "disagreements": [
                    {"function": name, **vars(found)}
                    for name, found in zip(names, verdict.disagreements, strict=True)
                ],
            }
        )
    else:
        for name, found in list(zip(names, verdict.disagreements, strict=True))[:limit]:
            click.echo(f"{name} at {found.pc:#x}..{found.end:#x}")
            click.echo(f"    sframe:    {found.sframe}")
            click.echo(f"    .eh_frame: {found.reference}")
        if verdict.differences > limit:
            click.echo(f"... and {verdict.differences - limit:,} more")
        click.echo(
            f"{file}: {verdict.compared:,} pieces of code compared, {verdict.differences:,} "
            f"disagree; SFrame alone covers {verdict.extra:,} bytes more"
        )
    if verdict.differences:
        finding()


@sframe.command(
    examples=[
        "ring3 sframe stat /usr/bin/gdb",
        "ring3 sframe stat --verify /usr/lib/x86_64-linux-gnu",
        "ring3 sframe stat --installed --json > system.json",
    ]
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--installed", is_flag=True, help="All files of all installed packages.")
@click.option("--verify", is_flag=True, help="Also compare with .eh_frame at every pc.")
@click.option("--files/--no-files", default=None, help="A line for each file (default: up to 40).")
@click.option("--jobs", type=click.IntRange(1), help="Processes; by default one a core.")
@click.option("--cluster", help="Address of a Dask scheduler to work on instead.")
@click.option("--json", "as_json", is_flag=True, help="All reports and their sum.")
def stat(
    paths: tuple[Path, ...],
    installed: bool,
    verify: bool,
    files: bool | None,
    jobs: int | None,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Measure SFrame on files and trees: size against .eh_frame, coverage, what cannot be expressed.

    Nothing is written.  Exit 1 when --verify finds a disagreement.
    """
    from dataclasses import asdict

    from ring3.cli.output import progress
    from ring3.sframe import stat as measuring

    if not paths and not installed:
        raise click.UsageError("name files or folders, or say --installed")
    for path in paths:
        if not path.is_dir() and not any(measuring.elf_files([path])):
            raise BadInput("not an ELF file", where=str(path))
    found = list(measuring.elf_files([*paths, *(measuring.installed() if installed else [])]))
    reports = []
    with progress() as bars:
        task = bars.add_task("files", total=len(found))
        for report in measuring.measure_all(found, verify=verify, cluster=cluster, jobs=jobs):
            reports.append(report)
            bars.advance(task)
    reports.sort(key=lambda report: report.path)
    # Of a tree it is told what was left out; who names files wants to hear of those.
    tree = installed or any(path.is_dir() for path in paths)
    if not tree and all(report.error for report in reports):
        raise BadInput(reports[0].error)
    whole = measuring.total(reports)
    if as_json:
        emit_json({"files": [asdict(r) for r in reports], "total": asdict(whole)})
    else:
        _print_reports(reports, whole, len(reports) <= 40 if files is None else files)
    if whole.differences:
        finding()


@sframe.command(examples=["ring3 sframe layout /usr/bin/gdb /lib/x86_64-linux-gnu/libc.so.6"])
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--json", "as_json", is_flag=True, help="A list, one item a file.")
def layout(files: tuple[Path, ...], as_json: bool) -> None:
    """Compare today's unaligned rows with aligned ones: bytes, and time to find and to read a row."""
    from dataclasses import asdict

    from ring3.elf import Elf
    from ring3.sframe import layout as laying
    from ring3.sframe import load

    answers = []
    for path in files:
        with Elf(path) as elf:
            made = laying.study(load.table(elf))
        answers.append({"file": str(path), "layouts": [asdict(one) for one in made]})
        if as_json:
            continue
        click.echo(str(path))
        for one in made:
            click.echo(
                f"  {one.name:<8} {one.size:>11,} bytes ({one.size / made[0].size:.2f}x)   "
                f"look-up {one.lookup_ns:6.1f} ns   row {one.decode_ns:5.2f} ns"
            )
    if as_json:
        emit_json(answers)


def _print_reports(reports: list[Report], whole: Report, each: bool) -> None:
    from ring3.cli.output import console
    from ring3.report import Table, to_terminal

    columns = ("functions", "rows", "text covered", ".eh_frame", "SFrame", "ratio", "refused")
    cells = []
    shown = [report for report in reports if not report.error] if each else []
    for report in [*shown, whole]:
        ratio = f"{report.sframe / report.replaces:.2f}" if report.replaces else ""
        covered = f"{100 * report.covered / report.code:.2f} %" if report.code else ""
        refused = sum(report.refused.values())
        cells.append(
            (
                *(report.functions, report.rows, covered, report.replaces, report.sframe),
                *(ratio, refused, report.path),
            )
        )
    to_terminal([Table("", (*(f"#{name}" for name in columns), "file"), cells)], console())
    for title, reasons in (("V3", whole.refused), ("V2", whole.refused_v2)):
        for name, count in sorted(reasons.items(), key=lambda item: -item[1]):
            share = 100 * count / max(whole.functions + sum(whole.refused.values()), 1)
            click.echo(f"not expressible in {title}: {count:,} ({share:.3f} %) {name}")
    if whole.differences is not None:
        click.echo(f"verified at every pc: {whole.differences:,} disagreements")
    failed = Counter(_kind(report.error) for report in reports if report.error)
    for kind, count in failed.most_common():
        click.echo(f"left out: {count:,} files: {kind}")


def _kind(error: str) -> str:
    """An error without its place, so that equal ones can be counted."""
    return error.partition(": ")[2] or error


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "function": refusal.name or None,
        "start": refusal.start,
        "size": refusal.size,
        "code": refusal.reason.name,
        "reason": refusal.reason.text,
        "where": refusal.where,
    }


def _number(text: str) -> int:
    try:
        address = int(text, 0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number", param_hint="--address") from None
    if not 0 <= address < 1 << 64:
        raise click.BadParameter(f"{text} is no address of 64 bits", param_hint="--address")
    return address
