"""What a kernel says when something is wrong: WARNs, BUGs, and the stack they came from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ring3.errors import Ring3Error

_OURS = str(Path(__file__).parent)


class KernelBug(Ring3Error):
    """The simulated kernel did what a kernel must never do; the task that did it is dead."""


class WouldDeadlock(Ring3Error):
    """Nothing can run any more and what was waited for has not happened; lists who waits for what."""


@dataclass(frozen=True)
class Frame:
    """One line of a stack: where, and in which function."""

    function: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """``file.py:12``"""
        return f"{Path(self.file).name}:{self.line}"

    def __str__(self) -> str:
        return f"{self.function} ({self.place})"


Stack = tuple[Frame, ...]


@dataclass(frozen=True)
class Warn:
    """A WARN: the task went on.  ``stack`` is innermost first."""

    time: int
    task: str
    message: str
    stack: Stack

    def __str__(self) -> str:
        lines = [f"[{self.time / 1e9:12.6f}] WARNING: {self.message} ({self.task})", "Call Trace:"]
        return "\n".join(lines + [f"  {frame}" for frame in self.stack])


def caller(skip: int = 1) -> Frame:
    """The innermost frame outside of ring3.kernel itself."""
    frame: FrameType | None = sys._getframe(skip)
    while frame is not None and frame.f_code.co_filename.startswith(_OURS):
        frame = frame.f_back
    if frame is None:
        return Frame("?", "?", 0)
    return Frame(frame.f_code.co_qualname, frame.f_code.co_filename, frame.f_lineno)


def stack() -> Stack:
    """The running task's stack, innermost first, without the frames of ring3.kernel itself."""
    frames: list[Frame] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_OURS):
            frames.append(Frame(code.co_qualname, code.co_filename, frame.f_lineno))
        elif code.co_name == "run" and frames:
            break  # the bottom of a task, or the loop that runs them
        frame = frame.f_back
    return tuple(frames)
