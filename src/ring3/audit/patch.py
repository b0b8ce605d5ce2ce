"""Unified diffs laid over a tree in memory: what the tree would say with the patch applied.

Read are diffs of git and diff(1), alone or in mail: ``git format-patch``, a series in one mbox, attachments,
quoted-printable and base64 bodies.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from ring3.errors import BadInput
from ring3.files import read_input

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
#: The line that begins a message of an mbox, as git format-patch and mail readers write it.
_MBOX = re.compile(rb"^From \S+ .*\d\d:\d\d.*$", re.M)
_MAIL_HEADER = re.compile(rb"^[A-Za-z][A-Za-z-]*: ")
#: A hunk may have moved by so many lines since the patch was made.
_FUZZ = 400
_NOWHERE = b"/dev/null"
#: Git's header: of a file whose mode alone is changed, or which is binary, there is no more.
_WITHOUT_HUNKS = re.compile(rb"^diff --git ", re.M)


@dataclass
class Hunk:
    """Lines replaced: ``old`` (context and removed) found near line ``start`` become ``new``."""

    start: int
    old: list[bytes]
    new: list[bytes]


@dataclass
class Change:
    """One file: its names before and after ("" when it is made or removed), and what is changed in it.

    Names are as the patch has them, with its first folder.
    """

    old: str
    new: str
    copied: bool = False
    hunks: list[Hunk] = field(default_factory=list)


def overlay(root: Path, patches: Sequence[Path]) -> dict[str, bytes]:
    """Path -> content of every file that ``patches`` change, with them applied to ``root`` in turn.

    A removed file is empty, and so is one that was renamed.  BadInput naming file and hunk when one does not
    apply.
    """
    changed: dict[str, bytes] = {}
    for patch in patches:
        _lay(root, patch, changed)
    return changed


def _lay(root: Path, patch: Path, changed: dict[str, bytes]) -> None:
    """Apply one patch to ``root`` with ``changed`` on top, and put what it changes there."""
    text = bodies(read_input("/dev/stdin" if str(patch) == "-" else patch))
    changes = parse(text, str(patch))
    if not changes and not _WITHOUT_HUNKS.search(text):
        raise BadInput("no unified diff in it", where=str(patch), remedy="make it with git diff")
    for change in changes:
        old, new = _names(root, change)
        name = new or old
        if old:
            before = _content(root, old, changed, patch)
        elif _inside(root, name, patch).is_file() and changed.get(name) != b"":
            raise BadInput(
                f"{name} is to be made, and is in the tree already",
                where=str(patch),
                remedy="is the patch applied?",
            )
        else:
            before = b""
        after = apply(before, change.hunks, f"{patch}: {name}")
        if old and old != name and not change.copied:
            changed[old] = b""
        changed[name] = after if new else b""


def _names(root: Path, change: Change) -> tuple[str, str]:
    """The names before and after in the tree, as patch(1) would find them.

    The first folder goes (``a/fs/fat/file.c``) unless the tree has it (``git diff --no-prefix``); where the
    name before is a backup's (``file.c.orig``) the one after counts.
    """

    def in_tree(name: str) -> str:
        first, slash, rest = name.partition("/")
        return name if not slash or (first not in "ab" and (root / first).is_dir()) else rest

    old, new = in_tree(change.old), in_tree(change.new)
    if old and new and old != new and not (root / old).is_file() and (root / new).is_file():
        old = new
    return old, new


def _inside(root: Path, name: str, patch: Path) -> Path:
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise BadInput(f"{name} lies outside of the tree", where=str(patch))
    return path


def _content(root: Path, name: str, changed: dict[str, bytes], patch: Path) -> bytes:
    if name in changed:
        return changed[name]
    path = _inside(root, name, patch)
    if not path.is_file():
        raise BadInput(f"{name} is not in the tree", where=str(patch), remedy="is it for this one?")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name}: {error.strerror}", where=str(patch)) from None


# -- out of mail


def bodies(text: bytes) -> bytes:
    """The parts of ``text`` in which diffs may be: all of it, or the decoded bodies of its mail."""
    if not (text.startswith(b"From ") or _MAIL_HEADER.match(text)):
        return text
    starts = [found.start() for found in _MBOX.finditer(text)] or [0]
    found = []
    for begin, end in zip(starts, [*starts[1:], len(text)], strict=True):
        message = text[begin:end]
        if message.startswith(b"From "):
            message = message.partition(b"\n")[2]
        found += list(_parts(email.message_from_bytes(message)))
    return b"\n".join(found)


def _parts(message: Message) -> Iterator[bytes]:
    for part in message.walk():
        kind = part.get_content_maintype()
        if part.is_multipart() or kind not in ("text", "application"):
            continue
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            yield payload


# -- the diff


def parse(text: bytes, where: str) -> list[Change]:
    """The files that a patch (:func:`bodies` of it) changes."""
    changes: list[Change] = []
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    at = 0
    old_name = b""
    fresh = False  # the last of ``changes`` was begun by git's header and has no hunks yet
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(b"diff --git "):
            changes.append(Change("", ""))
            fresh = True
        elif fresh and line.startswith((b"rename from ", b"copy from ")):
            changes[-1].old = "a/" + _name(line.split(b" ", 2)[2])
            changes[-1].copied = line.startswith(b"copy")
        elif fresh and line.startswith((b"rename to ", b"copy to ")):
            changes[-1].new = "b/" + _name(line.split(b" ", 2)[2])
        elif line.startswith(b"--- "):
            old_name = line[4:].split(b"\t")[0].strip()
        elif line.startswith(b"+++ ") and old_name:
            new_name = line[4:].split(b"\t")[0].strip()
            if not fresh:
                changes.append(Change("", ""))
            changes[-1].old, changes[-1].new = _name(old_name), _name(new_name)
            old_name, fresh = b"", False
        elif line.startswith(b"@@ -"):
            found = _HUNK.match(line)
            if not found or not changes:
                raise BadInput("a hunk without a file, or not a hunk", where=f"{where}:{at}")
            hunk, at = _hunk(lines, at, found, where)
            changes[-1].hunks.append(hunk)
    # Modes and binary files are changed without a diff.
    return [change for change in changes if change.old or change.new]


def _hunk(lines: list[bytes], at: int, found: re.Match[bytes], where: str) -> tuple[Hunk, int]:
    """The hunk whose header ``found`` was, and the line after it."""
    wanted_old, wanted_new = int(found.group(2) or 1), int(found.group(4) or 1)
    hunk = Hunk(int(found.group(1)), [], [])
    while len(hunk.old) < wanted_old or len(hunk.new) < wanted_new:
        if at >= len(lines):
            raise BadInput("the patch ends inside a hunk", where=f"{where}:{at}")
        mark, rest = lines[at][:1], lines[at][1:]
        at += 1
        if mark == b"\\":
            continue
        if mark not in (b" ", b"+", b"-", b""):
            raise BadInput("the hunk is shorter than it says", where=f"{where}:{at}")
        if mark != b"+":
            hunk.old.append(rest)
        if mark != b"-":
            hunk.new.append(rest)
    return hunk, at


def _name(text: bytes) -> str:
    """A file's name; "" for one that is not there."""
    return "" if text == _NOWHERE else text.strip().decode("utf-8", "replace")


def apply(before: bytes, hunks: list[Hunk], where: str) -> bytes:
    """``before`` with ``hunks`` applied; each is looked for near where it says."""
    lines = before.split(b"\n")
    moved = 0
    for number, hunk in enumerate(hunks, 1):
        expected = max(0, hunk.start - 1 + moved)
        at = _find(lines, hunk.old, expected)
        if at is None:
            raise BadInput(
                f"hunk {number} does not apply", where=where, remedy="is it for this tree?"
            )
        lines[at : at + len(hunk.old)] = hunk.new
        moved += at - expected + len(hunk.new) - len(hunk.old)
    return b"\n".join(lines)


def _find(lines: list[bytes], wanted: list[bytes], expected: int) -> int | None:
    for distance in range(_FUZZ):
        for at in {expected + distance, expected - distance}:
            if 0 <= at <= len(lines) and lines[at : at + len(wanted)] == wanted:
                return at
    return None
