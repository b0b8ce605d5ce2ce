"""What verbs print with: JSON, tables, progress, files.  Colours and bars appear only on a terminal."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class OutFile(click.Path):
    """A file that a verb will write.  That it may is found out before the work, which may take long."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        # Devices and pipes are written to; a file is replaced, which is a matter of its folder.
        special = path.exists() and not path.is_file()
        require_writable(path if special else path.resolve().parent)
        return path


def require_writable(place: Path) -> None:
    """OSError unless ``place`` is there and this user may write to it."""
    if not place.exists():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(place))
    if not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, "may not be written to", str(place))


def emit_json(answer: Any) -> None:
    """Print ``answer`` as JSON, one document, stable key order as given.

    Bytes of a file's name that are no UTF-8 are written as Python has them, "\\udcff" for 0xff.
    """
    text = json.dumps(answer, indent=2, ensure_ascii=False)
    click.echo(text.encode(errors="backslashreplace").decode())


def finding() -> None:
    """End the verb with exit code 1: it worked, and it found something."""
    click.get_current_context().exit(1)


def console(stderr: bool = False) -> Console:
    """A rich console.  Off a terminal it prints plain text and never wraps a table's rows; on a narrow one
    the terminal wraps them, since a number that is cut or broken is none."""
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end with 1, which here is a finding

    made = Quiet(stderr=stderr, highlight=False)
    made.width = max(80, made.width) if made.is_terminal else 200
    return made


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress bars on stderr, silent where stderr is no terminal.  ``add_task``/``advance`` as in rich."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    shown = console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as bars:
        yield bars
