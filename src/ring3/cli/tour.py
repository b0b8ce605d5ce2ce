"""``ring3 tour``: all four systems on what this machine has."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Command
from ring3.cli.output import console, progress


@click.command(cls=Command, examples=["ring3 tour", "ring3 tour -o /tmp/tour --only sframe"])
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("tour"),
    help="Folder of the page.",
)
@click.option("--only", multiple=True, help="Run only the chapter of this name; may be repeated.")
def tour(output: Path, only: tuple[str, ...]) -> None:
    """Run all four systems on real input found on this machine and write one page.

    The page is OUTPUT/index.html, self-contained; the same is printed here.
    """
    from ring3 import tour as library
    from ring3.report import to_terminal

    chosen = library.chapters()
    names = [chapter.name.lower() for chapter in chosen]
    for name in only:
        if name.lower() not in names:
            raise click.BadParameter(f"no chapter {name!r}; there are {', '.join(names)}")
    if only:
        wanted = {name.lower() for name in only}
        chosen = [chapter for chapter in chosen if chapter.name.lower() in wanted]
    out = console()
    told = []
    with progress() as bars:
        overall = bars.add_task("tour", total=len(chosen))
        for chapter in chosen:

            def say(what: str, name: str = chapter.name) -> None:
                bars.update(overall, description=f"{name}: {what}")

            part = library.tell(chapter, say)
            bars.advance(overall)
            out.rule(f"[bold]{chapter.name}[/] {chapter.border}", align="left")
            to_terminal(part.blocks, out)
            told.append(part)
    click.echo(f"written: {library.write(told, output)}")
