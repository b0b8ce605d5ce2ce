"""``ring3 nolibc``: a libc that is only headers."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from ring3.arch import ARCHS, Arch, by_name, host
from ring3.cli import Group
from ring3.cli.output import console, emit_json
from ring3.nolibc import driver, generate, toolchain


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
    table = Table("name", "bits", "endian", "call", "error", "compilers here", "runs", box=None)
    for row in rows:
        table.add_row(*(" ".join(v) if isinstance(v, list) else str(v) for v in row.values()))
    console().print(table)


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
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    examples=[
        "ring3 nolibc cc -o hello hello.c",
        "ring3 nolibc cc --arch riscv64 --smallest -o hello hello.c",
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
@click.option("--compat", is_flag=True, help="Upstream's dialect: all of nolibc.h, NOLIBC defined.")
@click.argument("args", nargs=-1, required=True, type=click.UNPROCESSED)
def cc(
    arch_name: str | None, compiler: str | None, smallest: bool, compat: bool, args: tuple[str, ...]
) -> None:
    """Run the compiler with nolibc in place of the system's libc; ARGS are its own."""
    target = by_name(arch_name) if arch_name else host()
    result = driver.cc(target, args, kind=compiler, smallest=smallest, compat=compat)
    click.echo(result.log, err=True, nl=False)
    if result.choice:
        click.echo(f"{result.output}: {result.size} bytes with {result.choice}", err=True)
    click.get_current_context().exit(result.code)
