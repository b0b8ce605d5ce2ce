"""Which test programs lie under a path: C files with a main, and what the Makefile beside them says.

A kselftest folder's Makefile is read for what it says literally: the programs that it means to be run
(``TEST_GEN_PROGS``, so that helpers with a main of their own are not taken for tests), the C files that a
program is built of besides its own, folders of headers, and the scripts that are not programs
(``TEST_PROGS``), which are reported as left out.  A list that make would have to compute is not guessed
at: then every C file with a main counts.  A folder's ``settings`` file may say
``timeout=SECONDS``, as for kselftest's own runner.

Sources: Documentation/dev-tools/kselftest.rst, tools/testing/selftests/kselftest/runner.sh, Linux 7.2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ring3.arch import ARCHS, Arch
from ring3.errors import BadInput

#: Seconds that a test may take where nothing says otherwise, as kselftest has it.
TIMEOUT = 45.0
_MOST_BYTES = 4 << 20  # no test program's source is larger
_MAIN = re.compile(
    r"^(?!\s*(?:\*|//))[\w \t*]*\bmain\s*\((?![^;{]*;)|^\s*TEST_HARNESS_MAIN\b", re.MULTILINE
)
_FOREIGN = frozenset({arch.family for arch in ARCHS.values()} | {"ia64", "sparc64"})
_HARNESSES = ("kselftest.h", "kselftest_harness.h")


@dataclass(frozen=True)
class Source:
    """A test program: the C file with its main.  ``name`` is unique in a run: its path below what was
    asked for."""

    name: str
    path: Path
    timeout: float = TIMEOUT


@dataclass(frozen=True)
class LeftOut:
    """Something that lies there as a test and is none that can be built from one C file."""

    name: str
    reason: str


@dataclass(frozen=True)
class Found:
    """All tests under some paths, in the order of their names, and what was left out."""

    sources: tuple[Source, ...]
    left_out: tuple[LeftOut, ...]


def discover(paths: Iterable[Path]) -> Found:
    """The tests that ``paths`` name: a C file is one; a folder is searched, with all below it.

    Raises BadInput when a path is not there or is a file of another kind, or when nothing at all was found.
    """
    sources: dict[Path, Source] = {}
    left_out: list[LeftOut] = []
    paths = list(paths)
    for path in paths:
        if path.is_file():
            if path.suffix != ".c":
                raise BadInput("not a C file", where=str(path))
            sources[path.resolve()] = Source(path.stem, path, _timeout(path.parent))
        elif path.is_dir():
            # Of several folders each gives its name to its tests.
            top = path if len(paths) == 1 else path.resolve().parent
            for folder in _folders(path if len(paths) == 1 else path.resolve()):
                _search(top, folder, sources, left_out)
        else:
            raise BadInput("no such file or folder", where=str(path))
    if not sources and not left_out:
        raise BadInput(
            "no test program: no C file with a main", where=", ".join(map(str, paths)) or None
        )
    return Found(tuple(_distinct(sources.values())), tuple(left_out))


def foreign(source: Source, arch: Arch) -> str | None:
    """The architecture that a test is written for, when it is not ``arch``: kselftests keep such tests
    in folders of the family's name."""
    for part in source.path.resolve().parent.parts[-3:]:
        if part in _FOREIGN and part not in (arch.family, arch.name):
            return part
    return None


def include_folders(source: Path) -> tuple[list[Path], list[Path]]:
    """Folders for ``-I`` and for ``-idirafter``: the test's own and the one of kselftest.h; then the
    kernel's tools/include and its top, which some tests' Makefiles name, behind everything else."""
    folder = source.resolve().parent
    first, last = [folder], []
    for parent in (folder, *list(folder.parents)[:5]):
        if any((parent / name).is_file() for name in _HARNESSES):
            if parent not in first:
                first.append(parent)
            top = parent.parent.parent.parent
            last = [path for path in (top / "tools/include", top) if path.is_dir()]
            if (top / "Kbuild").is_file():
                return first, last
            return first, []
    return first, last


def companions(source: Path) -> tuple[list[Path], list[Path]]:
    """What the Makefile beside a test says literally of how it is built: the C files that are compiled with
    it (prerequisites of ``$(OUTPUT)/NAME`` or ``$(TEST_GEN_PROGS)``), and folders for ``-I``."""
    folder = source.resolve().parent
    text = _makefile_text(folder / "Makefile")
    words = ["$(TEST_GEN_PROGS)", f"$(OUTPUT)/{source.stem}"]
    files = [
        folder / word
        for target, needs in re.findall(r"^(\$\(\S+)\s*:([^=\n]*)$", text, re.MULTILINE)
        if target in words
        for word in re.findall(r"(?<!\S)[\w./-]+\.c(?!\S)", needs)
    ]
    folders = [
        folder / word for word in re.findall(r"(?<!\S)-I\s*(\.{1,2}(?:/[\w.-]+)*/?)(?!\S)", text)
    ]
    return (
        [path for path in dict.fromkeys(files) if path.is_file() and path.name != source.name],
        [path for path in dict.fromkeys(folders) if path.is_dir()],
    )


def _folders(path: Path) -> Iterator[Path]:
    for here, names, _ in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield Path(here)


def _search(top: Path, folder: Path, sources: dict[Path, Source], left_out: list[LeftOut]) -> None:
    programs, scripts = _makefile(folder / "Makefile")
    base = folder.relative_to(top)
    timeout = _timeout(folder)
    for script in scripts:
        left_out.append(LeftOut(str(base / script), "a script, not a program"))
    for path in sorted(folder.glob("*.c")):
        if programs is not None and path.stem not in programs:
            continue
        if path.is_file() and has_main(path):
            sources.setdefault(path.resolve(), Source(str(base / path.stem), path, timeout))
        elif programs is not None:
            left_out.append(LeftOut(str(base / path.stem), "has no main of its own"))
    for name in sorted((programs or set()) - {path.stem for path in folder.glob("*.c")}):
        left_out.append(LeftOut(str(base / name), "no C file of that name"))


def has_main(path: Path) -> bool:
    """Whether a C file defines main, itself or by kselftest_harness.h."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return False
        return bool(_MAIN.search(path.read_text(errors="replace")))
    except OSError:
        return False


def _makefile(path: Path) -> tuple[set[str] | None, list[str]]:
    """The programs and the scripts that a Makefile lists literally; None where make computes them."""
    text = _makefile_text(path)
    programs: set[str] | None = None
    scripts: list[str] = []
    for match in re.finditer(
        r"^(TEST_GEN_PROGS|TEST_CUSTOM_PROGS|TEST_PROGS)\s*[:+?]?=([^#\n]*)", text, re.MULTILINE
    ):
        words = match[2].split()
        if match[1] == "TEST_PROGS":
            scripts += [word for word in words if "$" not in word]
            continue
        if "$" in match[2]:
            return None, scripts
        programs = (programs or set()) | {Path(word).name for word in words}
    return programs, scripts


def _makefile_text(path: Path) -> str:
    """A Makefile with its continued lines joined; nothing where there is none."""
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return ""
    return path.read_text(errors="replace").replace("\\\n", " ")


@lru_cache
def _timeout(folder: Path) -> float:
    """``timeout=`` of the folder's settings; kselftest takes 0 for "none", which here is an hour."""
    try:
        text = (folder / "settings").read_text(errors="replace")
    except OSError:
        return TIMEOUT
    match = re.search(r"^timeout=(\d{1,6})\s*$", text, re.MULTILINE)
    return (float(match[1]) or 3600.0) if match else TIMEOUT


def _distinct(sources: Iterable[Source]) -> Iterator[Source]:
    """Names made unique by counting: two paths may hold files of one name."""
    seen: dict[str, int] = {}
    for source in sorted(sources, key=lambda source: (source.name, source.path)):
        count = seen[source.name] = seen.get(source.name, 0) + 1
        yield (
            source if count == 1 else Source(f"{source.name}#{count}", source.path, source.timeout)
        )
