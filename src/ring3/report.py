"""What a long job has to show, as data: blocks that a terminal and a page both can render.

A block is a paragraph, a headline, a table, a picture, an embedded page, or something left out
with its remedy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ring3.errors import Ring3Error
from ring3.page import Markup, picture, table

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Headline:
    """What a chapter comes down to: one figure and what it is a figure of."""

    figure: str
    text: str


@dataclass(frozen=True)
class Lines:
    """Preformatted text: a trace, a listing."""

    text: str
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table.  A column named ``#NAME`` holds numbers; cells are str, int or float."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """An image of MIME type ``kind``; ``name`` is its file's name beside the page."""

    name: str
    data: bytes
    kind: str
    caption: str


@dataclass(frozen=True)
class Embedded:
    """A whole HTML document shown in a frame ``height`` pixels high; ``name`` as for pictures."""

    name: str
    document: str
    height: int
    caption: str


@dataclass(frozen=True)
class LeftOut:
    """Something that could not be shown: why, and the command or sentence that would supply it."""

    what: str
    reason: str
    remedy: str

    @classmethod
    def because(cls, what: str, error: Ring3Error) -> LeftOut:
        """From the error that stopped it."""
        place = f"{error.where}: " if error.where else ""
        return cls(what, f"{place}{error.what}", error.remedy or "")


Block = Text | Headline | Lines | Table | Picture | Embedded | LeftOut


def to_html(blocks: Iterable[Block]) -> Markup:
    """The blocks as trusted HTML; everything inside them is escaped."""
    return Markup("\n").join(_html(block) for block in blocks)


def _html(block: Block) -> Markup:
    match block:
        case Text(text):
            return Markup("<p>{}</p>").format(text)
        case Headline(figure, text):
            return Markup('<p class="headline"><b>{}</b> {}</p>').format(figure, text)
        case Lines(text, title):
            return Markup("{}<pre>{}</pre>").format(_heading(title), text)
        case Table(title, columns, rows, note):
            body = table(list(columns), [[_cell(cell) for cell in row] for row in rows])
            note_html = Markup('<p class="soft">{}</p>').format(note) if note else Markup("")
            return _heading(title) + body + note_html
        case Picture(_, data, kind, caption):
            return picture(data, kind, caption)
        case Embedded(_, document, height, caption):
            return Markup(
                '<figure><iframe srcdoc="{}" height="{}" title="{}"></iframe>'
                "<figcaption>{}</figcaption></figure>"
            ).format(document, height, caption, caption)
        case LeftOut(what, reason, remedy):
            return Markup('<p class="soft">Left out: <b>{}</b>: {}. <code>{}</code></p>').format(
                what, reason, remedy
            )


def to_terminal(blocks: Iterable[Block], out: Console) -> None:
    """Print the blocks; of pictures and embedded pages, the caption and the file beside the page."""
    from rich.table import Table as RichTable

    for block in blocks:
        match block:
            case Text(text):
                out.print(text, markup=False)
            case Headline(figure, text):
                out.print(f"{figure} {text}", style="bold", markup=False)
            case Lines(text, title):
                out.print(f"{title}\n{text}" if title else text, markup=False, soft_wrap=True)
            case Table(title, columns, rows, note):
                # As a caption of a narrow table a title would be broken into as narrow lines.
                if title:
                    out.print(title, style="bold", markup=False)
                shown = RichTable(box=None)
                for name in columns:
                    number = name.startswith("#")
                    shown.add_column(
                        name.lstrip("#"), justify="right" if number else "left", overflow="fold"
                    )
                for row in rows:
                    shown.add_row(*(_shown(cell) for cell in row))
                out.print(shown)
                if note:
                    out.print(note, style="dim", markup=False)
            case Picture(name, _, _, caption) | Embedded(name, _, _, caption):
                out.print(f"[{name}] {caption}", markup=False)
            case LeftOut(what, reason, remedy):
                out.print(f"left out: {what}: {reason}. {remedy}", markup=False)
        out.print()


def _heading(title: str) -> Markup:
    return Markup("<h3>{}</h3>").format(title) if title else Markup("")


def _cell(cell: object) -> object:
    return f"{cell:,.2f}" if isinstance(cell, float) else cell


def _shown(cell: object) -> str:
    from rich.markup import escape

    text = f"{cell:,}" if isinstance(cell, int) else str(_cell(cell))
    return escape(text)
