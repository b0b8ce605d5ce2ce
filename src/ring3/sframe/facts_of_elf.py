"""Makes the facts of an ELF file: its tables read, its functions' names gathered.  Nothing is cached here."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from ring3.elf import STT_FUNC, STT_GNU_IFUNC, Elf
from ring3.errors import BadInput, Ring3Error
from ring3.sframe import cfi, load
from ring3.sframe.decode import decode
from ring3.sframe.facts import Facts, debug_file, sidecar
from ring3.sframe.symbols import Symbols
from ring3.sframe.table import Table
from ring3.sframe.unwind import How

_SHF_EXECINSTR = 4


def make_from(path: str, data: bytes | None) -> Facts:
    """The facts of a file, or of its bytes; of a malformed one, why there are none."""
    try:
        with Elf(path, data) as elf:
            return make(elf)
    except Ring3Error as error:
        return Facts(problem=str(error))


def make(elf: Elf) -> Facts:
    """Read the tables and symbols of an open file."""
    tables: list[tuple[int, memoryview, memoryview]] = []
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


def _sources(elf: Elf) -> Iterator[tuple[int, Callable[[], Table]]]:
    """The tables that there are for a file, in the order in which they are asked."""

    def of_section(path: str | None) -> Table:
        with Elf(path) if path else contextlib.nullcontext(elf) as holder:
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
    if elf.section(".symtab") is None and (path := debug_file(elf.build_id)):
        with contextlib.suppress(Ring3Error), Elf(path) as debug:
            return _symbols_in(debug)
    return _symbols_in(elf)


def _symbols_in(elf: Elf) -> Symbols:
    all_ = elf.symbols
    code = np.array([bool(section.flags & _SHF_EXECINSTR) for section in elf.sections] + [False])
    in_code = code[np.minimum(all_.section, len(code) - 1)]
    initial = np.frombuffer(all_.strings + b"\0", "u1")
    initial = initial[np.minimum(all_.name_at, len(initial) - 1)]
    # NOTYPE is a label of assembly; $x and $d mark code and data on AArch64, and are no names.
    wanted = np.isin(all_.type, (STT_FUNC, STT_GNU_IFUNC)) | (all_.type == 0)
    index = np.flatnonzero(wanted & in_code & (initial != ord("$")) & (initial != 0))
    # One symbol an address: a sized one before a global one before the first.
    index = index[np.lexsort((all_.bind[index] == 0, all_.size[index] == 0, all_.addr[index]))]
    addr = all_.addr[index]
    index = index[np.append(True, addr[1:] != addr[:-1])[: len(index)]]
    addr, size, name = all_.addr[index], all_.size[index], all_.name_at[index]
    # One without a size reaches to the next, but not out of its section.
    most = (1 << 64) - 1
    reach = [min(section.addr + section.size, most) for section in elf.sections]
    ends = np.array([*reach, 0], np.uint64)
    end = np.minimum(ends[all_.section[index]], np.append(addr[1:], ends.max(initial=0)))
    size = np.where((size == 0) & (end > addr), end - addr, size)
    # Stubs have no symbols of their own.
    strings = all_.strings + b"\0[plt]\0"
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
