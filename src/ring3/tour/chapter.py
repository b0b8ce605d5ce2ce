"""What one system shows of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ring3.report import Block

#: What a chapter calls to say what it is doing now: a sentence of a few words.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Chapter:
    """One system's part: ``run`` yields its blocks as they are ready."""

    name: str
    border: str
    about: str
    run: Callable[[Say], Iterator[Block]]


@dataclass(frozen=True)
class Told:
    """A chapter that has run."""

    chapter: Chapter
    blocks: list[Block]
    seconds: float
