"""A source tree read into facts: what is in the cache by content is not parsed again."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import marshal
import os
import re
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ring3.audit.facts import LARGEST, extract, version
from ring3.audit.forms import EMPTY, Facts, Function
from ring3.audit.primitives import words
from ring3.cluster import each, executor
from ring3.errors import BadInput
from ring3.files import cache_path

#: What `ring3 audit` reads of a kernel tree unless told otherwise.
CORE = ("fs", "mm", "lib", "kernel", "block", "include")
#: Not part of the running kernel.
_SKIPPED = frozenset(
    words("Documentation tools scripts samples usr certs LICENSES debian .git .tmp_versions")
)
#: What every GPU driver stands on; read with one.
_DRM = ("drivers/dma-buf", "drivers/gpu/drm/scheduler", "drivers/gpu/drm/ttm")
_BATCH = 1 << 20
#: With fewer bytes than this to parse, starting processes takes longer than parsing.
_ALONE = 1 << 20

_INCLUDE = re.compile(rb"#[ \t]*include[ \t]*[\"<]([^\">\n]+)")
#: Seconds that facts of another version of ring3 are kept.
_KEPT = 7 * 86400

Progress = Callable[[int, int], None]
Batch = tuple[tuple[str, str], ...]  # (name, path)
Row = tuple[str, bytes, bytes]  # name, key, marshalled facts


class Loaded(NamedTuple):
    """Relative path -> facts, and -> the key of the content that they are of."""

    facts: dict[str, Facts]
    keys: dict[str, bytes]

    def overlaid(self, overlay: Mapping[str, bytes]) -> Loaded:
        """The same with (path -> content) laid over it; only what is C counts."""
        changed = {name: data for name, data in overlay.items() if name.endswith((".c", ".h"))}
        facts = {name: extract(data, name.endswith(".h")) for name, data in changed.items()}
        keys = {name: _key(name, data) for name, data in changed.items()}
        return Loaded({**self.facts, **facts}, {**self.keys, **keys})


def list_sources(root: Path, folders: Iterable[str] = ()) -> dict[str, Path]:
    """Relative path -> file of every .c and .h below ``root`` (only in ``folders`` when given).

    Symlinks to folders are not followed, so that loops end.  BadInput when there is no source.
    """
    if not root.is_dir():
        raise BadInput("no such folder", where=str(root), remedy="name a source tree")
    wanted = list(folders) or ["."]
    kernel_tree = is_kernel(root)
    found: dict[str, Path] = {}
    for folder in wanted:
        top = root / folder
        if not top.is_dir():
            if not folders:
                continue
            raise BadInput("no such folder in the tree", where=str(top))
        for base, inner, files in os.walk(top, followlinks=False):
            if kernel_tree and Path(base) == root:
                inner[:] = [name for name in inner if name not in _SKIPPED]
            inner.sort()
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    path = Path(base, name)
                    found[path.relative_to(root).as_posix()] = path
    if not found:
        raise BadInput("no C source below", where=str(root))
    return found


def _is_inside(root: Path, name: str) -> bool:
    path = (root / name).resolve()
    return path.is_dir() and path != root.resolve() and path.is_relative_to(root.resolve())


def is_kernel(root: Path) -> bool:
    """Whether ``root`` is a whole kernel tree."""
    return (root / "Kbuild").is_file() and (root / "mm").is_dir() and (root / "fs").is_dir()


def core_folders(root: Path) -> tuple[str, ...]:
    """The default folders of a kernel tree; none (everything) for any other tree."""
    return tuple(name for name in CORE if (root / name).is_dir()) if is_kernel(root) else ()


def with_folders(root: Path, folders: tuple[str, ...], others: Iterable[str]) -> tuple[str, ...]:
    """``folders`` (none: all) with those of ``others`` that are in the tree and in none of them."""
    if not folders:
        return ()
    extra = [
        name for name in others if name.split("/")[0] not in folders and _is_inside(root, name)
    ]
    if any(name.startswith("drivers/gpu/drm") for name in extra):
        extra += [name for name in _DRM if (root / name).is_dir()]
    return tuple(dict.fromkeys((*folders, *extra)))


def load(
    sources: Mapping[str, Path],
    *,
    overlay: Mapping[str, bytes] | None = None,
    later: Mapping[str, bytes] | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> Loaded:
    """The facts of ``sources``, with ``overlay`` (path -> content) laid over them.

    Headers of include/ that nobody includes are left out; ``later`` will be laid over, too.  A file that
    cannot be read has facts that say so.  Writes to the cache only.
    """
    overlay = overlay or {}
    sources = _included(sources, {**overlay, **(later or {})})
    with _Store() as store:
        compared = store.knows_any()
        keys: dict[str, bytes] = {}
        unreadable: dict[str, Facts] = {}
        sizes: dict[str, int] = {}
        for name, path in sources.items():
            if name in overlay:
                continue
            try:
                status = path.stat()
                if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device never end
                    unreadable[name] = EMPTY._replace(problem="not a regular file: left out")
                    continue
                size = status.st_size
                data = path.read_bytes() if size <= LARGEST and compared else b""
            except OSError as error:
                unreadable[name] = EMPTY._replace(problem=f"{error.strerror}: left out")
                continue
            if size > LARGEST:
                unreadable[name] = EMPTY._replace(problem=f"{size >> 20} MiB: left out")
                continue
            keys[name] = _key(name, data) if compared else b""  # who parses it tells
            sizes[name] = size
        facts = store.get(keys)
        missing = [name for name in keys if name not in facts]
        batches = _batches(missing, sources, sizes)
        total = len(missing)
        if progress is not None:
            progress(0, total)
        if sum(sizes[name] for name in missing) <= _ALONE and cluster is None:
            _take(map(parse_files, batches), store, facts, keys, total, progress)
        else:
            with executor(cluster, workers) as pool:
                answers = (rows for _, rows in each(pool, parse_files, batches))
                _take(answers, store, facts, keys, total, progress)
    facts.update(unreadable)
    # In the order of names, not of arrival: the same tree gives the same answer.
    return Loaded({name: facts[name] for name in sources if name in facts}, keys).overlaid(overlay)


def _included(sources: Mapping[str, Path], overlay: Mapping[str, bytes]) -> Mapping[str, Path]:
    """``sources`` without headers of include/ that nothing else of them includes, by whichever way.

    In a kernel two of three: those of drivers and architectures that are not read.  Which folders a header
    is looked for in is not asked: any whose path ends so may be meant.
    """
    headers = [name for name in sources if name.startswith("include/")]
    ends: dict[bytes, list[str]] = {}
    for name in headers:
        end = name
        while end:
            ends.setdefault(end.encode(errors="surrogateescape"), []).append(name)
            end = end.partition("/")[2]
    wanted: set[str] = set()
    known: set[bytes] = set()
    said = {end for data in overlay.values() for end in _INCLUDE.findall(data)}
    following = [name for name in sources if not name.startswith("include/")]
    if not following:
        return sources
    while following:
        for name in following:
            said.update(_INCLUDE.findall(_content(name, sources[name], overlay)))
        found = {
            header
            for end in said - known
            for one in (end.lstrip(b"./"), end.replace(b"asm/", b"asm-generic/", 1))
            for header in ends.get(one, ())
        }
        known |= said
        following = sorted(found - wanted)
        wanted |= found
        said = set()
    return {
        name: path
        for name, path in sources.items()
        if not name.startswith("include/") or name in wanted
    }


def _content(name: str, path: Path, overlay: Mapping[str, bytes]) -> bytes:
    """What ``name`` has in it; nothing where that cannot be read, which is told when it is."""
    if name in overlay:
        return overlay[name]
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
            return path.read_bytes()
    except OSError:
        pass
    return b""


def _take(
    answers: Iterable[list[Row]],
    store: _Store,
    facts: dict[str, Facts],
    keys: dict[str, bytes],
    total: int,
    progress: Progress | None,
) -> None:
    done = 0
    for rows in answers:
        store.put([(key, blob) for _, key, blob in rows if key])
        for name, key, blob in rows:
            facts[name] = _unpack(blob)
            keys[name] = key  # of what was parsed: the file may have changed since it was looked at
        done += len(rows)
        if progress is not None:
            progress(done, total)


def _batches(
    names: list[str], sources: Mapping[str, Path], sizes: Mapping[str, int]
) -> list[Batch]:
    batches: list[Batch] = []
    batch: list[tuple[str, str]] = []
    held = 0
    for name in names:
        batch.append((name, str(sources[name])))
        held += sizes[name]
        if held >= _BATCH:
            batches.append(tuple(batch))
            batch, held = [], 0
    if batch:
        batches.append(tuple(batch))
    return batches


@contextlib.contextmanager
def not_collecting() -> Iterator[None]:
    """Facts are millions of small tuples that stay: looking for cycles among them is a third of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@not_collecting()
def parse_files(batch: Batch) -> list[Row]:
    """(name, key, marshalled facts) of each (name, path): the work of one process."""
    rows = []
    for name, path in batch:
        try:
            data = Path(path).read_bytes()
            facts, key = extract(data, header=name.endswith(".h")), _key(name, data)
        except OSError as error:  # it went away since it was listed; not worth remembering
            facts, key = EMPTY._replace(problem=f"{error.strerror}: left out"), b""
        rows.append((name, key, _pack(facts)))
    return rows


def _key(name: str, data: bytes) -> bytes:
    digest = hashlib.blake2b(data, digest_size=16, key=version().encode())
    digest.update(b"h" if name.endswith(".h") else b"c")
    return digest.digest()


def _pack(facts: Facts) -> bytes:
    plain: Any = (tuple(tuple(function) for function in facts.functions), *tuple(facts)[1:])
    return marshal.dumps(plain)


def _unpack(blob: bytes) -> Facts:
    plain = marshal.loads(blob)
    return Facts(tuple(map(Function._make, plain[0])), *plain[1:])


def results(keys: list[bytes]) -> list[bytes | None]:
    """What :func:`keep_results` kept under each of ``keys``."""
    with _Store() as store:
        return [store.blob(key) for key in keys]


def keep_results(rows: list[tuple[bytes, bytes]]) -> None:
    """Keep (key, blob) until the cache is deleted or facts have another form."""
    with _Store() as store:
        store.put(rows)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # it went away
        return time.time()


class _Store:
    """Key -> blob in one SQLite file of the cache.

    A damaged file is thrown away; where none can be had (a full or read-only disk), memory stands for it.
    """

    def __enter__(self) -> _Store:
        self.path = Path(cache_path("audit")) / f"facts-{version()}.sqlite"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._forget_old()
            self._open(self.path)
        except (OSError, *_DAMAGED) as error:
            self._start_over(error)
        return self

    def _forget_old(self) -> None:
        for old in self.path.parent.glob("facts-*.sqlite*"):
            # Another version of ring3 may be at work with its own; a week later nobody is.
            stale = time.time() - _modified(old) > _KEPT
            if stale and not old.name.startswith(self.path.name):
                old.unlink(missing_ok=True)

    def _open(self, path: Path | str) -> None:
        self.base = sqlite3.connect(path, timeout=60)
        self.base.execute("PRAGMA journal_mode=WAL")
        self.base.execute("PRAGMA synchronous=OFF")
        self.base.execute("CREATE TABLE IF NOT EXISTS facts (key BLOB PRIMARY KEY, blob BLOB)")

    def _start_over(self, error: Exception) -> None:
        """With an empty file, or where that cannot be, in memory."""
        try:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_BUSY:
                raise OSError  # another process writes, and it is not damaged
            for end in ("", "-wal", "-shm"):
                Path(f"{self.path}{end}").unlink(missing_ok=True)
            self._open(self.path)
        except (OSError, *_DAMAGED):
            self._open(":memory:")

    def __exit__(self, *_: object) -> None:
        self.base.close()

    def knows_any(self) -> bool:
        """Whether anything is kept at all."""
        try:
            return self.base.execute("SELECT 1 FROM facts LIMIT 1").fetchone() is not None
        except _DAMAGED as error:
            self._start_over(error)
            return False

    def get(self, keys: Mapping[str, bytes]) -> dict[str, Facts]:
        found: dict[str, Facts] = {}
        for name, key in keys.items():
            blob = self.blob(key)
            if blob is not None:
                found[name] = _unpack(blob)
        return found

    def blob(self, key: bytes) -> bytes | None:
        """What is kept under ``key``, as it was put there; None also where the file is damaged."""
        try:
            row = self.base.execute("SELECT blob FROM facts WHERE key = ?", (key,)).fetchone()
        except _DAMAGED as error:
            self._start_over(error)
            return None
        if row is None or not isinstance(row[0], bytes):
            return None
        kept = row[0]
        return kept[4:] if kept[:4] == _checksum(kept[4:]) else None

    def put(self, rows: list[tuple[bytes, bytes]]) -> None:
        kept = [(key, _checksum(blob) + blob) for key, blob in rows]
        # On a full disk the next run is slower; this one has what it needs.
        with contextlib.suppress(*_DAMAGED), self.base:
            self.base.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", kept)


#: What SQLite and its Python module say of a file that was written over.
_DAMAGED = (sqlite3.Error, UnicodeDecodeError)


def _checksum(blob: bytes) -> bytes:
    """SQLite has none, and marshal must not be given what it has not written."""
    return zlib.crc32(blob).to_bytes(4, "little")
