"""``ring3 nolibc vendor``: the headers inside a project, with a record of what was written.

A vendored folder has ``include/`` and ``nolibc.json``: the architectures, the choices and the SHA-256 of each
file as written.  Running again updates it with the same choices; a file that was edited since is never
overwritten without being asked to.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ring3.arch import ARCHS, Arch, by_name
from ring3.errors import BadInput
from ring3.files import write_atomically
from ring3.nolibc import generate, uapi

RECORD = "nolibc.json"
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)


@dataclass(frozen=True)
class Choices:
    """What was asked for; kept in the record."""

    archs: tuple[str, ...]
    amalgamate: bool = False
    kernel_headers: bool = True


@dataclass(frozen=True)
class State:
    """How a vendored folder differs from its record and from what would be written now (paths)."""

    edited: tuple[str, ...]
    missing: tuple[str, ...]
    outdated: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing was edited, lost or added."""
        return not (self.edited or self.missing or self.unknown)


def files(choices: Choices) -> dict[str, str]:
    """Path inside the vendored folder -> text."""
    archs = [by_name(name) for name in choices.archs]
    if choices.amalgamate:
        return {"include/nolibc.h": amalgamated(archs), **_kernel(archs, choices, ("nolibc.h",))}
    ours = {f"include/{name}": text for name, text in generate.headers(archs).items()}
    return {**ours, **_kernel(archs, choices, tuple(generate.headers(archs)))}


def write(folder: Path, choices: Choices | None = None, *, force: bool = False) -> list[str]:
    """Write or update ``folder``; the paths that changed.

    Without ``choices`` those of the record hold.  Raises BadInput when a file was edited since it was
    written, or was there before, and ``force`` does not say that it may go.
    """
    record = _read(folder) if (folder / RECORD).is_file() else None
    if choices is None:
        choices = record[0] if record else Choices(generate.SUPPORTED)
    if record and not force:
        edited = [
            name for name, digest in record[1].items() if _digest(folder / name) not in (digest, "")
        ]
        if edited:
            raise BadInput(
                f"{len(edited)} edited: {', '.join(edited[:3])}",
                where=str(folder),
                remedy="keep the edits elsewhere, or --force to lose them",
            )
    wanted = files(choices)
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in wanted.items()}
    ours = record[1] if record else {}
    foreign = [
        name
        for name in wanted
        if name not in ours and _digest(folder / name) not in ("", digests[name])
    ]
    if foreign and not force:
        raise BadInput(
            f"{len(foreign)} in the way: {', '.join(foreign[:3])}",
            where=str(folder),
            remedy="an empty folder, or --force to overwrite them",
        )
    changed = []
    for name in record[1] if record else ():
        if name not in wanted and (folder / name).is_file():
            (folder / name).unlink()
            changed.append(name)
    for name, text in wanted.items():
        path = folder / name
        if _digest(path) != digests[name]:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)
            changed.append(name)
    text = json.dumps({"choices": asdict(choices), "files": digests}, indent=1) + "\n"
    write_atomically(folder / RECORD, text)
    return sorted(changed)


def check(folder: Path) -> State:
    """Compare ``folder`` with its record and with what this ring3 would write."""
    choices, digests = _read(folder)
    now = files(choices)
    edited = [n for n, d in digests.items() if (folder / n).is_file() and _digest(folder / n) != d]
    missing = [n for n in digests if not (folder / n).is_file()]
    outdated = [
        n
        for n, d in digests.items()
        if n not in now or hashlib.sha256(now[n].encode()).hexdigest() != d
    ]
    there = (str(p.relative_to(folder)) for p in (folder / "include").rglob("*") if p.is_file())
    unknown = [name for name in there if name not in digests]
    return State(*(tuple(sorted(names)) for names in (edited, missing, outdated, unknown)))


def amalgamated(archs: Sequence[Arch]) -> str:
    """nolibc.h with all of our own headers in it; only the kernel's are included still."""
    ours = generate.headers(archs)
    seen: set[str] = set()

    def expand(name: str) -> str:
        if name in seen:
            return ""
        seen.add(name)
        text = ours[name]

        def replace(match: re.Match[str]) -> str:
            target = match.group(1)
            if target is None:
                return match.group(0)
            inner = _resolve(name, target, ours)
            if inner is None:
                return match.group(0)
            return expand(inner)

        return _INCLUDE.sub(replace, text)

    text = expand("nolibc.h")
    # Included by the name that the architecture gives: each is placed under that architecture's condition.
    for suffix in ("jumps", "restorer", "clone", "tls"):
        macro = f"NOLIBC_{suffix.upper()}_FILE"
        pieces = [
            f"#if {arch.condition}\n{ours[f'nolibc/arch/{arch.name}-{suffix}.h']}#endif\n"
            for arch in archs
            if f"nolibc/arch/{arch.name}-{suffix}.h" in ours
        ]
        text = text.replace(f"#include {macro}\n", "\n".join(pieces))
    return text


def _resolve(including: str, target: str, ours: dict[str, str]) -> str | None:
    """The path of an include relative to the file that has it, if it is one of ours."""
    parts: list[str] = []
    for part in (*Path(including).parent.parts, *Path(target).parts):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part != ".":
            parts.append(part)
    name = "/".join(parts)
    return name if name in ours else None


def _kernel(archs: Iterable[Arch], choices: Choices, ours: Iterable[str]) -> dict[str, str]:
    """The kernel's headers that ours need, and those that they need.

    ``asm/`` differs by architecture: it lies under ``kernel/ARCH/asm``, the rest under ``kernel/common``.
    """
    if not choices.kernel_headers:
        return {}
    found: dict[str, str] = {}
    texts = generate.headers(list(archs))
    wanted = {m.group(2) for text in texts.values() for m in _INCLUDE.finditer(text) if m.group(2)}
    for arch in archs:
        base = uapi.folder(arch)
        queue, seen = sorted(wanted), set(wanted)
        while queue:
            name = queue.pop()
            path = base / name
            if not path.is_file():
                continue
            text = path.read_text(errors="replace")
            place = f"kernel/{arch.family}" if name.startswith("asm/") else "kernel/common"
            found[f"{place}/{name}"] = text
            for match in _INCLUDE.finditer(text):
                inner = match.group(2) or str(Path(name).parent / match.group(1))
                if inner not in seen:
                    seen.add(inner)
                    queue.append(inner)
    return found


def _read(folder: Path) -> tuple[Choices, dict[str, str]]:
    path = folder / RECORD
    if not path.is_file():
        raise BadInput(
            "nothing was vendored here", where=str(folder), remedy=f"ring3 nolibc vendor {folder}"
        )
    try:
        record = json.loads(path.read_text())
        raw = record["choices"]
        choices = Choices(
            tuple(str(name) for name in raw["archs"]),
            bool(raw["amalgamate"]),
            bool(raw["kernel_headers"]),
        )
        digests = {str(name): str(digest) for name, digest in record["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"damaged record: {error}", where=str(path), remedy="delete it and vendor again"
        ) from None
    for name in digests:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BadInput(
                f"path {name!r} leads outside", where=str(path), remedy="delete the record"
            )
    for name in choices.archs:
        if name not in ARCHS:
            raise BadInput(
                f"unknown architecture {name!r}", where=str(path), remedy="delete the record"
            )
    return choices, digests


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
