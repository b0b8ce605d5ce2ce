"""What happened in a kernel, as it happened: for people and for timelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ring3.kernel.task import Task


class Tracer:
    """Receives what a kernel does; ``kernel.tracer``."""

    def wake(self, task: Task) -> None: ...

    def block(self, task: Task) -> None: ...

    def exit(self, task: Task) -> None: ...

    def instant(self, name: str) -> None: ...
