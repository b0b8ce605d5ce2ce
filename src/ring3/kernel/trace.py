"""What happened in a kernel, as data: for interleavings, timelines, and comparing runs byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ring3.kernel.report import Frame, caller

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel
    from ring3.kernel.task import Task


@dataclass(frozen=True)
class Event:
    """One thing that happened.  ``kind`` is op, sleep, wake, end, or note.

    ``task`` is who did it (for wake: who was woken); ``what`` is the operation and its object;
    ``source`` is the line of the program, for op and sleep.
    """

    time: int
    task: str
    kind: str
    what: str
    source: Frame | None = None
    by: str = ""

    def line(self) -> str:
        """A line that is the same in every run and process that does the same."""
        source = f" {self.source}" if self.source is not None else ""
        return f"{self.time} {self.task} {self.kind} {self.what}{source} {self.by}".rstrip()


class Tracer:
    """Collects :class:`Event` in ``events`` from the moment it is made."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.events: list[Event] = []
        kernel.tracer = self

    def op(self, op: str, obj: Any) -> None:
        """The running task performs a visible operation."""
        self._add("op", f"{op} {_name(obj)}".rstrip(), caller(3))

    def block(self, task: Task) -> None:
        self._add("sleep", _name(task.waiting_on), caller(3))

    def wake(self, task: Task) -> None:
        event = Event(self.kernel.now(), str(task), "wake", "", by=str(self.kernel.current))
        self.events.append(event)

    def exit(self, task: Task) -> None:
        self._add("end", "")

    def instant(self, name: str) -> None:
        """Anything else worth a mark: a WARN, a lockdep report, an event of a subsystem."""
        self._add("note", name)

    def text(self) -> str:
        """All events, one a line."""
        return "\n".join(event.line() for event in self.events)

    def _add(self, kind: str, what: str, source: Frame | None = None) -> None:
        now = self.kernel.now()
        self.events.append(Event(now, str(self.kernel.current), kind, what, source))


def _name(obj: Any) -> str:
    if obj is None:
        return ""
    return str(getattr(obj, "name", "") or repr(obj)) if not isinstance(obj, tuple) else str(obj[0])
