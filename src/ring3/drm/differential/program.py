"""Programs of system calls about fences, as text that people read and both kernels execute.

A line is a call, with the file it is made on, its arguments, and the slot that gets what it makes::

    OPEN node=1 -> $1
    SW_SYNC_IOC_CREATE_FENCE $1 value=5 -> $2
    POLL $2 events=1
    SYNCOBJ_WAIT $0 handles=I[$3,$4] count_handles=2 timeout_nsec=now+1000000 flags=1 &1
    1: CLOSE $2

Values are numbers, slots (``$3``), the time of the call plus nanoseconds (``now+5``), and the address of a
block of memory: ``I[1,$2]`` of 32-bit values, ``Q[]`` of 64-bit ones, ``B[]`` of bytes, ``Z[9]`` of zeros.
``1:`` makes the call in process 1, which FORK has made; ``&1`` makes it in thread 1, for which JOIN waits.
Slot 0 is the render node from the start; the others hold -1.  ``_arg=`` replaces the address of an ioctl's
structure, ``_size=`` its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ring3.errors import BadInput

SLOTS = 32
THREADS = 4


@dataclass(frozen=True)
class Slot:
    """What slot ``number`` holds."""

    number: int

    def __str__(self) -> str:
        return f"${self.number}"


@dataclass(frozen=True)
class Now:
    """The monotonic time at the call plus ``offset`` ns."""

    offset: int

    def __str__(self) -> str:
        return f"now{self.offset:+d}"


@dataclass(frozen=True)
class Block:
    """The address of memory: ``code`` I, Q or B and its elements, or Z and its size in bytes."""

    code: str
    values: tuple[int | Slot, ...]

    def __str__(self) -> str:
        return f"{self.code}[{','.join(map(str, self.values))}]"

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return {"I": 4, "Q": 8, "B": 1, "Z": 1}[self.code]

    @property
    def size(self) -> int:
        """Bytes."""
        if self.code == "Z":
            size = self.values[0]
            assert isinstance(size, int)
            return size
        return self.width * len(self.values)


Value = int | Slot | Now | Block


@dataclass(frozen=True)
class Step:
    """A call: the name of its operation, the file (None where there is none), arguments by name."""

    name: str
    on: Value | None = None
    args: dict[str, Value] = field(default_factory=dict)
    to: int | None = None
    process: int = 0
    thread: int = 0

    def __str__(self) -> str:
        words = [f"{self.process}:"] if self.process else []
        words.append(self.name)
        if self.on is not None:
            words.append(str(self.on))
        words += [f"{name}={value}" for name, value in self.args.items()]
        if self.to is not None:
            words += ["->", f"${self.to}"]
        if self.thread:
            words.append(f"&{self.thread}")
        return " ".join(words)


@dataclass(frozen=True)
class Program:
    """Steps in the order in which they happen."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "".join(f"{step}\n" for step in self.steps)

    @classmethod
    def parse(cls, text: str) -> Program:
        """The inverse of ``str``; BadInput names the line."""
        return cls(tuple(_parse(text)))


def _parse(text: str) -> Iterator[Step]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            yield _step(words)
        except (ValueError, IndexError) as error:
            raise BadInput(f"{line.strip()!r}: {error}", where=f"line {number}") from None


def _step(words: list[str]) -> Step:
    process = thread = 0
    to = None
    if words[0] in ("0:", "1:"):
        process = int(words.pop(0)[0])
    if words[-1].startswith("&"):
        thread = _limited(words.pop()[1:], THREADS)
    if len(words) > 2 and words[-2] == "->":
        to = _slot(words.pop())
        words.pop()
    name, *rest = words
    on = None
    if rest and "=" not in rest[0]:
        on = _value(rest.pop(0))
    args = {}
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is no argument")
        args[key] = _value(value)
    return Step(name, on, args, to, process, thread)


def _limited(word: str, limit: int) -> int:
    number = int(word)
    if not 0 <= number <= limit:
        raise ValueError(f"{number} is out of range")
    return number


def _slot(word: str) -> int:
    if not word.startswith("$"):
        raise ValueError(f"{word!r} is no slot")
    return _limited(word[1:], SLOTS - 1)


_BLOCK = re.compile(r"([IQBZ])\[(.*)\]")


def _value(word: str) -> Value:
    if word.startswith("$"):
        return Slot(_slot(word))
    if word.startswith("now"):
        return Now(int(word[3:]))
    block = _BLOCK.fullmatch(word)
    if block is None:
        return _number(word)
    inside = [part for part in block[2].split(",") if part]
    values = [Slot(_slot(part)) if part[0] == "$" else _number(part) for part in inside]
    if block[1] == "Z" and (len(values) != 1 or not 0 <= _number(block[2]) <= 4096):
        raise ValueError("Z takes one size of at most 4096")
    if len(values) > 64:
        raise ValueError("a block has at most 64 elements")
    return Block(block[1], tuple(values))


def _number(word: str) -> int:
    number = int(word, 0)
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError(f"{number} is out of range")
    return number
