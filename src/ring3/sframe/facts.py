"""What unwinding and naming need of one ELF file: its unwind tables and its symbols, cached by build-id.

Made once with NumPy, Numba and pyelftools; read ever after by mapping one file, with none of them.  A
cached file is :data:`_HEAD`, (how, 0) for each table, (offset, size) for each array, and the arrays: FUNCTION
and ROW records of each table, the symbols' four, the problem's text; all in the host's byte order.
Everything in it can be made again.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ring3.errors import BadInput, Ring3Error
from ring3.files import cache_folder, write_atomically
from ring3.sframe import elf_head
from ring3.sframe.elf_head import Image
from ring3.sframe.symbolise import NO_SYMBOLS, Symbols
from ring3.sframe.unwind import How, Rules

if TYPE_CHECKING:
    from ring3.elf import Elf
    from ring3.sframe.table import Table

_MAGIC = b"ring3fct"
_VERSION = 4
_HEAD = struct.Struct("=8sII")  # magic, version, number of tables
_PAIR = struct.Struct("=QQ")
_ALIGN = 64
STT_FUNC = 2
STT_GNU_IFUNC = 10
_SHF_EXECINSTR = 4
_DEBUG = "/usr/lib/debug/.build-id/{}/{}.debug"


@dataclass(frozen=True)
class Facts:
    """``tables`` in the order in which they are asked: (what it is, FUNCTION records, ROW records).

    ``problem`` says why there are none, "" where there are.
    """

    tables: list[tuple[How, memoryview, memoryview]] = field(default_factory=list)
    symbols: Symbols = NO_SYMBOLS
    problem: str = ""

    def rules(self) -> list[tuple[How, Rules]]:
        """The tables as the readable engine takes them."""
        return [(how, Rules(functions, rows)) for how, functions, rows in self.tables]


NOTHING = Facts()


def of_file(path: str, head: Image | None = None) -> Facts:
    """The facts of the ELF file that opens at ``path``; of a malformed one, why there are none."""
    head = head or elf_head.read_path(path)
    if head is None:
        return Facts(problem="not a 64-bit ELF file")
    return _cached(_key(path, head), lambda: _make_from(path, None))


def of_bytes(name: str, data: bytes) -> Facts:
    """The facts of an ELF image in memory (the vDSO, a file that is gone)."""
    head = elf_head.read_bytes(data)
    key = head.build_id if head and head.build_id else f"{zlib.crc32(data):x}.{len(data):x}"
    return _cached(key, lambda: _make_from(name, data))


def _key(path: str, head: Image) -> str:
    """Whatever the answer depends on: the build-id (or the very inode), .sframe, sidecar, debug file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - of /proc/self/fd/N, too
    except OSError:
        return ""
    parts = [head.build_id or f"{found.st_dev:x}.{found.st_ino:x}"]
    if head.sframe or not head.build_id:  # may change under the same build-id
        parts.append(f"{found.st_size:x}.{found.st_mtime_ns:x}")
    for other in (sidecar(head.build_id), debug_file(head.build_id)):
        if other is not None:
            parts.append(f"{other.name[-12:]}.{other.stat().st_mtime_ns:x}")
    return "-".join(parts)


def debug_file(build_id: str | None) -> Path | None:
    """The separate debug file of a build-id, where the distribution puts it."""
    if not build_id or len(build_id) < 3:
        return None
    path = Path(_DEBUG.format(build_id[:2], build_id[2:]))
    return path if path.is_file() else None


def sidecar(build_id: str | None) -> Path | None:
    """The sidecar SFrame file of a build-id, where :func:`ring3.sframe.sidecar.path` puts it."""
    if not build_id:
        return None
    path = cache_folder("sframe", build_id[:2]) / f"{build_id[2:]}.sframe"
    return path if path.is_file() else None


def _make_from(path: str, data: bytes | None) -> Facts:
    from ring3.elf import Elf

    try:
        with Elf(path, data) as elf:
            return make(elf)
    except Ring3Error as error:
        return Facts(problem=str(error))


def make(elf: Elf) -> Facts:
    """Read the tables and symbols of an open file; nothing is cached."""
    tables: list[tuple[How, memoryview, memoryview]] = []
    problem = ""
    for how, read in _sources(elf):
        try:
            table = read()
        except Ring3Error as error:
            problem = str(error)
            continue
        if len(table.functions):
            functions, rows = table.functions.tobytes(), table.rows.tobytes()
            tables.append((how, memoryview(functions), memoryview(rows)))
    return Facts(tables, _symbols(elf), "" if tables else problem or "it has no unwind tables")


def _sources(elf: Elf) -> Iterator[tuple[How, Callable[[], Table]]]:
    """The tables that there are for a file, in the order in which they are asked."""
    from ring3.elf import Elf as Reader
    from ring3.sframe import cfi, load
    from ring3.sframe.decode import decode

    def of_section(path: Path | None) -> Table:
        with Reader(path) if path else contextlib.nullcontext(elf) as holder:
            section = load.own_section(holder)
            if section is None:
                raise BadInput("no .sframe section", where=str(holder.path))
            return decode(section)

    if elf.section(".sframe"):
        yield How.SFRAME, lambda: of_section(None)
    if beside := sidecar(elf.build_id):
        yield How.SIDECAR, lambda: of_section(beside)
    yield How.CONVERTED, lambda: cfi.read(elf)


def _symbols(elf: Elf) -> Symbols:
    """Functions and labels in code, of the file itself or of its debug file."""
    from ring3.elf import Elf as Reader

    if elf.section(".symtab") is None and (path := debug_file(elf.build_id)):
        with contextlib.suppress(Ring3Error), Reader(path) as debug:
            return _symbols_in(debug)
    return _symbols_in(elf)


def _symbols_in(elf: Elf) -> Symbols:
    import numpy as np

    all_ = elf.symbols
    code = np.array([bool(section.flags & _SHF_EXECINSTR) for section in elf.sections] + [False])
    in_code = code[np.minimum(all_.section, len(code) - 1)]
    initial = np.frombuffer(all_._strings + b"\0", "u1")
    initial = initial[np.minimum(all_._name, len(initial) - 1)]
    # NOTYPE is a label of assembly; $x and $d mark code and data on AArch64, and are no names.
    wanted = np.isin(all_.type, (STT_FUNC, STT_GNU_IFUNC)) | (all_.type == 0)
    index = np.flatnonzero(wanted & in_code & (initial != ord("$")) & (initial != 0))
    # One symbol an address: a sized one before a global one before the first.
    index = index[np.lexsort((all_.bind[index] == 0, all_.size[index] == 0, all_.addr[index]))]
    addr = all_.addr[index]
    index = index[np.append(True, addr[1:] != addr[:-1])[: len(index)]]
    addr, size, name = all_.addr[index], all_.size[index], all_._name[index]
    # One without a size reaches to the next, but not out of its section.
    most = (1 << 64) - 1
    reach = [min(section.addr + section.size, most) for section in elf.sections]
    ends = np.array([*reach, 0], np.uint64)
    end = np.minimum(ends[all_.section[index]], np.append(addr[1:], ends.max(initial=0)))
    size = np.where((size == 0) & (end > addr), end - addr, size)
    # Stubs have no symbols of their own.
    strings = all_._strings + b"\0[plt]\0"
    for section in elf.sections:
        if section.name.startswith(".plt") and section.flags & _SHF_EXECINSTR:
            at = int(np.searchsorted(addr, section.addr))
            addr = np.insert(addr, at, section.addr)
            size = np.insert(size, at, section.size)
            name = np.insert(name, at, len(strings) - len(b"[plt]\0"))
    return Symbols(
        memoryview(addr.astype("=u8").tobytes()).cast("Q"),
        memoryview(size.astype("=u8").tobytes()).cast("Q"),
        memoryview(name.astype("=u4").tobytes()).cast("I"),
        strings,
    )


@cache
def _made_by() -> str:
    """When the code of this folder last changed: facts that older code made are not used."""
    files = (entry for entry in os.scandir(Path(__file__).parent) if entry.name.endswith(".py"))
    return f"{max(entry.stat().st_mtime_ns for entry in files):x}"


def _cached(key: str, make_it: Callable[[], Facts]) -> Facts:
    """The facts under ``key``, made and kept if they are not there yet."""
    path = cache_folder("facts") / f"{key}-{_made_by()}"
    if key:
        with contextlib.suppress(OSError, ValueError, TypeError, struct.error):
            return _load(path)
    facts = make_it()
    if key:
        with contextlib.suppress(OSError):  # a full or read-only disk only costs time
            write_atomically(path, _pack(facts))
    return facts


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


def _load(path: Path) -> Facts:
    """Read what :func:`_pack` made; ValueError or struct.error when it is something else."""
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    magic, version, count = _HEAD.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION) or count > len(How):
        raise ValueError("not a file of this version")
    pairs = _PAIR.iter_unpack(data[_HEAD.size : _HEAD.size + _PAIR.size * (3 * count + 5)])
    hows = [How(next(pairs)[0]) for _ in range(count)]
    arrays = [data[at : at + size] for at, size in pairs if at + size <= len(data)]
    *tables, addr, size, name, strings, problem = arrays
    return Facts(
        list(zip(hows, tables[::2], tables[1::2], strict=True)),
        Symbols(addr.cast("Q"), size.cast("Q"), name.cast("I"), strings),
        bytes(problem).decode(),
    )
