"""``ring3 doctor``: which real parts this machine has."""

from __future__ import annotations

import click

from ring3.cli import Command
from ring3.cli.output import console, emit_json
from ring3.errors import MissingPart


@click.command(
    cls=Command,
    examples=["ring3 doctor", "ring3 doctor --json", "ring3 doctor --install"],
)
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON.")
@click.option(
    "--install",
    is_flag=True,
    help="First install what is missing: Debian packages (as root or by sudo) and oracles.",
)
def doctor(as_json: bool, install: bool) -> None:
    """Say which real parts are here, what each is for, and how to get the others.

    A missing part is no fault: the jobs that can use it say what they leave out.
    """
    from ring3 import doctor as library

    if install:
        try:
            troubles = library.install()
        except MissingPart as error:
            troubles = [str(error)]
        troubles += library.bring_oracles(_tell)
        troubles += library.prepare(_tell)
        for trouble in troubles:
            _tell(trouble)
    answers = library.examine()
    if as_json:
        emit_json(
            [
                {
                    "group": answer.part.group,
                    "name": answer.part.name,
                    "purpose": answer.part.purpose,
                    "found": answer.found,
                    "get": answer.part.get,
                }
                for answer in answers
            ]
        )
        return
    from rich.table import Table

    out = console()
    for group in dict.fromkeys(answer.part.group for answer in answers):
        table = Table(
            title=group, title_justify="left", title_style="bold", box=None, pad_edge=False
        )
        for column in ("", "part", "what is here, or how to get it", "what for"):
            table.add_column(column, overflow="fold")
        for answer in answers:
            if answer.part.group == group:
                mark = "[green]ok[/]" if answer.found else "[red]--[/]"
                table.add_row(
                    mark, answer.part.name, answer.found or answer.part.get, answer.part.purpose
                )
        out.print(table, "")


def _tell(what: str) -> None:
    click.echo(f"doctor: {what}", err=True)
