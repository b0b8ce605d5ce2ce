"""The one exception family: what is wrong, where, and what to do about it."""

from __future__ import annotations


class Ring3Error(Exception):
    """Base of every error that ring3 raises on purpose.

    ``what`` is the fault in one sentence; ``where`` is its place (``file+0x1c``, ``ioctl VM_BIND:
    ops.count``, ``source.c:12``); ``remedy`` is what the user can do.  The command line prints it as
    one line and exits 2.
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text} ({self.remedy})" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process pools; keyword-only arguments need their own way back.
        return _rebuild, (type(self), self.what, self.where, self.remedy)


class BadInput(Ring3Error):
    """Something read from outside is malformed: truncated, lying, of an unknown version."""


class MissingPart(Ring3Error):
    """A real part that the job needs is not on this machine; ``remedy`` is the command that supplies it."""


class Unsupported(Ring3Error):
    """Well-formed input that asks for what ring3 does not do, named."""


def _rebuild(
    kind: type[Ring3Error], what: str, where: str | None, remedy: str | None
) -> Ring3Error:
    return kind(what, where=where, remedy=remedy)
