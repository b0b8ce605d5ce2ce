"""The main job: every system once, on real input of this machine, into one page.

A chapter is a function that returns blocks.  What a machine lacks becomes a block that says so; what
goes wrong for a reason ring3 knows does, too, and the other chapters still run.
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from ring3.cli import Command
from ring3.cli.output import console, progress, require_writable
from ring3.errors import Ring3Error
from ring3.files import write_atomically
from ring3.page import Markup, page
from ring3.report import Block, Embedded, Headline, LeftOut, Picture, to_html, to_terminal
from ring3.tour import nolibc, panthor, reclaim, sframe
from ring3.tour.chapter import Chapter, Say, Told


def chapters() -> list[Chapter]:
    """The chapters in the order of the page."""
    return [
        Chapter("SFrame", "compiler | tracer", "stack traces from a compact table", sframe.blocks),
        Chapter("nolibc", "program | system call", "a libc that is only headers", nolibc.blocks),
        Chapter(
            "Panthor", "user-mode | kernel-mode GPU driver", "from ioctl to pixel", panthor.blocks
        ),
        Chapter(
            "Reclaim",
            "filesystems | memory management",
            "allocating while freeing, run and found in source",
            reclaim.blocks,
        ),
    ]


def tell(chapter: Chapter, say: Say) -> Told:
    """Run one chapter; a known fault ends it with a block that says what and why."""
    start = time.monotonic()
    blocks: list[Block] = []
    try:
        blocks.extend(chapter.run(say))
    except Ring3Error as error:
        blocks.append(LeftOut.because(f"the rest of {chapter.name}", error))
    return Told(chapter, blocks, time.monotonic() - start)


def _card(part: Told) -> Markup:
    """A chapter in one glance, with a way to it."""
    headlines = [block for block in part.blocks if isinstance(block, Headline)]
    return Markup('<a href="#{0}"><h3>{0}</h3><p class="soft">{1}</p>{2}</a>').format(
        part.chapter.name, part.chapter.border, to_html(headlines)
    )


def write(told: list[Told], folder: Path) -> Path:
    """Write ``index.html``, self-contained, and each picture and embedded page beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    body = Markup('<h1>ring3</h1><p class="soft">{}</p>').format(
        "Linux machinery in user space, on what this machine has."
    )
    body += Markup('<nav class="cards">{}</nav>').format(Markup("").join(map(_card, told)))
    for part in told:
        body += Markup('<h2 id="{0}">{0}</h2><p class="soft">{1} &mdash; {2} ({3} s)</p>').format(
            part.chapter.name, part.chapter.border, part.chapter.about, f"{part.seconds:.0f}"
        ) + to_html(block for block in part.blocks if not isinstance(block, Headline))
        for block in part.blocks:
            if isinstance(block, Picture):
                write_atomically(folder / block.name, block.data)
            elif isinstance(block, Embedded):
                write_atomically(folder / block.name, block.document)
    index = folder / "index.html"
    write_atomically(index, page("ring3: the tour", body))
    return index


@click.command(cls=Command, examples=["ring3 tour", "ring3 tour -o /tmp/tour --only sframe"])
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("tour"),
    show_default=True,
    help="Folder of the page.",
)
@click.option("--only", multiple=True, help="Run only the chapter of this name; may be repeated.")
def tour(output: Path, only: tuple[str, ...]) -> None:
    """Run all four systems on real input found on this machine and write one page.

    The page is OUTPUT/index.html, self-contained; the same is printed here.
    """
    chosen = chapters()
    names = [chapter.name.lower() for chapter in chosen]
    for name in only:
        if name.lower() not in names:
            raise click.BadParameter(f"no chapter {name!r}; there are {', '.join(names)}")
    if only:
        wanted = {name.lower() for name in only}
        chosen = [chapter for chapter in chosen if chapter.name.lower() in wanted]
    output.mkdir(parents=True, exist_ok=True)
    require_writable(output)
    out = console()
    told = []
    with progress() as bars:
        overall = bars.add_task("tour", total=len(chosen))
        for chapter in chosen:

            def say(what: str, name: str = chapter.name) -> None:
                bars.update(overall, description=f"{name}: {what}")

            part = tell(chapter, say)
            bars.advance(overall)
            out.rule(f"[bold]{chapter.name}[/] {chapter.border}", align="left")
            to_terminal(part.blocks, out)
            told.append(part)
    click.echo(f"written: {write(told, output)}")
