"""The one exception family: what is wrong, where, and what to do about it."""

from __future__ import annotations

import codecs
import io
import os
import sys

TYPE_CHECKING = False  # typing takes as long to import as the shortest command to run
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


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


def one_of(name: str, names: Iterable[str]) -> str:
    """The remedy for a wrong ``name``: the one of ``names`` that is much like it, or all of them."""
    from difflib import get_close_matches

    known = list(names)
    close = get_close_matches(name[:80], known, n=1)
    return f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"


def exit_code(run: Callable[[], int]) -> int:
    """The code that ``run`` returns; a fault becomes one line on stderr and 2, an interruption 130.

    Whatever command a program of ring3 runs, it runs inside this.
    """
    out = sys.stdout  # None where the caller closed it
    if isinstance(out, io.TextIOWrapper):
        codecs.register_error("ring3", _encoded)
        out.reconfigure(errors="ring3")
    try:
        code = run()
        if out is not None:
            out.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except Ring3Error as error:
        fault = str(error)
    except MemoryError:
        fault = "not enough memory"
    except BrokenPipeError:
        _discard_output()  # the reader left; what it did not read is not an error
        return 0
    except OSError as error:
        _discard_output()
        fault = f"{error.filename}: " if error.filename else ""
        fault += error.strerror or str(error)
    print(f"ring3: {fault}", file=sys.stderr)
    return 2


def _encoded(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of a file's name go out as they came in; of what the terminal has no letter for, the number."""
    assert isinstance(error, UnicodeEncodeError)
    number = ord(error.object[error.start])
    raw = 0xDC80 <= number <= 0xDCFF
    return bytes([number - 0xDC00]) if raw else f"\\u{number:04x}", error.start + 1


def _discard_output() -> None:
    """What is not written yet never will be: Python would try again, and complain, at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _rebuild(
    kind: type[Ring3Error], what: str, where: str | None, remedy: str | None
) -> Ring3Error:
    return kind(what, where=where, remedy=remedy)
