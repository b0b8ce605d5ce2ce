"""What unwinding and naming need of one ELF file: its unwind tables and its symbols, cached by build-id.

Made once by :mod:`facts_of_elf`; read ever after by mapping one file.  A cached file is :data:`_HEAD`,
(how, 0) for each table, (offset, size) for each array, and the arrays: FUNCTION and ROW records of each
table, the symbols' four, the problem's text; all in the host's byte order.  Everything in it can be made
again.  On the way of ``ring3 stack``: imports nothing heavy (see :mod:`ring3.sframe.stack`).
"""

from __future__ import annotations

import mmap
import os
import struct

from ring3.files import cache_path
from ring3.sframe import elf_head
from ring3.sframe.symbols import NO_SYMBOLS, Symbols
from ring3.sframe.unwind import Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ring3.sframe.elf_head import Image

_MAGIC = b"ring3fct"
_VERSION = 4
_HEAD = struct.Struct("=8sII")  # magic, version, number of tables
_PAIR = struct.Struct("=QQ")
_ALIGN = 64
_MOST_TABLES = 3
_DEBUG = "/usr/lib/debug/.build-id/{}/{}.debug"


class Facts:
    """``tables`` in the order in which they are asked: (:class:`How`, FUNCTION records, ROW records).

    ``problem`` says why there are none, "" where there are.
    """

    def __init__(
        self,
        tables: list[tuple[int, memoryview, memoryview]] | None = None,
        symbols: Symbols = NO_SYMBOLS,
        problem: str = "",
    ) -> None:
        self.tables = tables or []
        self.symbols = symbols
        self.problem = problem

    def rules(self) -> list[tuple[int, Rules]]:
        """The tables as the readable engine takes them."""
        return [(how, Rules(functions, rows)) for how, functions, rows in self.tables]


NOTHING = Facts()


def _made_by() -> str:
    """When the code of this folder last changed: facts that older code made are not used."""
    with os.scandir(os.path.dirname(__file__)) as files:
        times = [entry.stat().st_mtime_ns for entry in files if entry.name.endswith(".py")]
    return f"{max(times):x}"


_MADE_BY = _made_by()


def of_file(path: str, head: Image | None = None) -> Facts:
    """The facts of the ELF file that opens at ``path``; of a malformed one, why there are none."""
    head = head or elf_head.read_path(path)
    if head is None:
        return Facts(problem="not a 64-bit ELF file")
    return _cached(_key(path, head), path, None)


def of_bytes(name: str, data: bytes) -> Facts:
    """The facts of an ELF image in memory (the vDSO, a file that is gone)."""
    head = elf_head.read_bytes(data)
    if head and head.build_id:
        return _cached(head.build_id, name, data)
    import zlib  # seldom needed

    return _cached(f"{zlib.crc32(data):x}.{len(data):x}", name, data)


def _key(path: str, head: Image) -> str:
    """Whatever the answer depends on: the build-id (or the very inode), .sframe, sidecar, debug file."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    parts = [head.build_id or f"{found.st_dev:x}.{found.st_ino:x}"]
    if head.sframe or not head.build_id:  # may change under the same build-id
        parts.append(f"{found.st_size:x}.{found.st_mtime_ns:x}")
    for other in (sidecar(head.build_id), debug_file(head.build_id)):
        if other is not None:
            parts.append(f"{other[-12:]}.{os.stat(other).st_mtime_ns:x}")
    return "-".join(parts)


def debug_file(build_id: str | None) -> str | None:
    """The separate debug file of a build-id, where the distribution puts it."""
    if not build_id or len(build_id) < 3:
        return None
    path = _DEBUG.format(build_id[:2], build_id[2:])
    return path if os.path.isfile(path) else None


def sidecar(build_id: str | None) -> str | None:
    """The sidecar SFrame file of a build-id, where :func:`ring3.sframe.sidecar.path` puts it."""
    if not build_id:
        return None
    path = cache_path("sframe", build_id[:2], f"{build_id[2:]}.sframe")
    return path if os.path.isfile(path) else None


def _cached(key: str, path: str, data: bytes | None) -> Facts:
    """The facts under ``key``, made of the file at ``path`` or of ``data`` and kept if not there yet."""
    kept = cache_path("facts", f"{key}-{_MADE_BY}")
    if key:
        try:
            return _load(kept)
        except (OSError, ValueError, TypeError, struct.error):
            pass
    from ring3.sframe import facts_of_elf

    facts = facts_of_elf.make_from(path, data)
    if key:
        _keep(kept, facts)
    return facts


def _keep(path: str, facts: Facts) -> None:
    from pathlib import Path

    from ring3.files import cache_folder, write_atomically

    try:
        cache_folder("facts")
        write_atomically(Path(path), _pack(facts))
    except OSError:
        pass  # a full or read-only disk only costs time


def _pack(facts: Facts) -> bytes:
    arrays = [bytes(part) for _, *parts in facts.tables for part in parts]
    symbols = facts.symbols
    arrays += [bytes(view) for view in (symbols.addr, symbols.size, symbols.name, symbols.strings)]
    arrays.append(facts.problem.encode(errors="replace"))
    out = bytearray(_HEAD.pack(_MAGIC, _VERSION, len(facts.tables)))
    for how, *_ in facts.tables:
        out += _PAIR.pack(how, 0)
    at = len(out) + _PAIR.size * len(arrays)
    for array in arrays:
        at += -at % _ALIGN
        out += _PAIR.pack(at, len(array))
        at += len(array)
    for array in arrays:
        out += bytes(-len(out) % _ALIGN) + array
    return bytes(out)


def _load(path: str) -> Facts:
    """Read what :func:`_pack` made; ValueError or struct.error when it is something else."""
    with open(path, "rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    magic, version, count = _HEAD.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION) or count > _MOST_TABLES:
        raise ValueError("not a file of this version")
    pairs = _PAIR.iter_unpack(data[_HEAD.size : _HEAD.size + _PAIR.size * (3 * count + 5)])
    hows = [next(pairs)[0] for _ in range(count)]
    arrays = [data[at : at + size] for at, size in pairs if at + size <= len(data)]
    *tables, addr, size, name, strings, problem = arrays
    return Facts(
        list(zip(hows, tables[::2], tables[1::2], strict=True)),
        Symbols(addr.cast("Q"), size.cast("Q"), name.cast("I"), strings),
        bytes(problem).decode(),
    )
