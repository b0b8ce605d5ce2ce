"""Unified diffs laid over a tree in memory: what the tree would say with the patch applied."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ring3.errors import BadInput

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
#: A hunk may have moved by so many lines since the patch was made.
_FUZZ = 400


@dataclass
class Hunk:
    """Lines replaced: ``old`` (context and removed) found near line ``start`` become ``new``."""

    start: int
    old: list[bytes]
    new: list[bytes]


def overlay(root: Path, patch: Path) -> dict[str, bytes]:
    """Path -> content of every file that ``patch`` changes, with it applied to ``root``.

    A removed file is empty.  BadInput naming file and hunk when it does not apply.
    """
    try:
        text = patch.read_bytes()
    except OSError as error:
        raise BadInput(error.strerror or "cannot be read", where=str(patch)) from None
    changed: dict[str, bytes] = {}
    for name, is_new, hunks in parse(text, str(patch)):
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            raise BadInput(f"{name} lies outside of the tree", where=str(patch))
        if name in changed:
            before = changed[name]
        elif is_new:
            before = b""
        elif path.is_file():
            before = path.read_bytes()
        else:
            raise BadInput(
                f"{name} is not in the tree", where=str(patch), remedy="is it for this one?"
            )
        changed[name] = apply(before, hunks, f"{patch}: {name}")
    if not changed:
        raise BadInput("no unified diff in it", where=str(patch), remedy="make it with git diff")
    return changed


def parse(text: bytes, where: str) -> list[tuple[str, bool, list[Hunk]]]:
    """(path, whether it is new, hunks) of every file; paths lose their first folder, as with -p1."""
    files: list[tuple[str, bool, list[Hunk]]] = []
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    at = 0
    old_name = b""
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(b"--- "):
            old_name = line[4:].split(b"\t")[0].strip()
        elif line.startswith(b"+++ ") and old_name:
            new_name = line[4:].split(b"\t")[0].strip()
            is_new = old_name == b"/dev/null"
            name = (old_name if new_name == b"/dev/null" else new_name).decode("utf-8", "replace")
            files.append((name.partition("/")[2] if "/" in name else name, is_new, []))
            old_name = b""
        elif line.startswith(b"@@"):
            found = _HUNK.match(line)
            if not found or not files:
                raise BadInput("a hunk without a file, or not a hunk", where=f"{where}:{at}")
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
            files[-1][2].append(hunk)
    return files


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
