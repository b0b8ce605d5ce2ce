"""Reads .eh_frame and .debug_frame into the canonical table.

The interpreter runs over the raw bytes in Numba; Python sees whole sections only.  A section whose
entries do not fit together is an error; a function that a table cannot express is left out and listed
in :attr:`Table.refused`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ring3.arch import Arch
from ring3.elf import Elf
from ring3.errors import BadInput, Unsupported
from ring3.sframe import cfi_program
from ring3.sframe.cfi_bytes import pointer
from ring3.sframe.cfi_entries import CIE, count, read_cies, until_terminator
from ring3.sframe.cfi_program import STATE
from ring3.sframe.cfi_section import REFUSED, fill, start_cies
from ring3.sframe.image import Image
from ring3.sframe.section import ABI_OF
from ring3.sframe.table import FUNCTION, ROW, Reason, Refusal, Table, empty, signed

PT_GNU_EH_FRAME = 0x6474E550

_ROWS_PLT = 256  # more than one block has


def architecture(elf: Elf) -> Arch:
    """The architecture of ``elf``; Unsupported unless SFrame knows it."""
    if elf.arch is None or elf.arch.name not in ABI_OF:
        name = elf.arch.name if elf.arch else f"machine {elf.machine}, {elf.bits} bits"
        raise Unsupported(
            f"SFrame does not exist for {name}",
            where=str(elf.path),
            remedy=f"only for {', '.join(ABI_OF)}",
        )
    return elf.arch


def read(elf: Elf) -> Table:
    """What .eh_frame says of every function, and .debug_frame of those that .eh_frame leaves out.

    Raises BadInput where a section's entries do not fit together; Unsupported for an architecture
    without SFrame.
    """
    arch = architecture(elf)
    image = Image(elf)
    bases = np.array(
        [
            signed(image.address(".text")),
            signed(image.address(".got.plt") or image.address(".got")),
            0,
        ]
    )
    found = empty(arch)
    for name in (".eh_frame", ".debug_frame"):
        data = image.contents(name)
        if data is None:
            continue
        more = interpret(
            arch,
            data,
            image.address(name),
            bases,
            debug=name == ".debug_frame",
            where=f"{elf.path}: {name}",
        )
        found = more if name == ".eh_frame" else _add(found, more, image)
    if not elf.sections:
        found = _by_segment(elf, arch, bases)
    return found


def _by_segment(elf: Elf, arch: Arch, bases: np.ndarray) -> Table:
    """.eh_frame of a file whose section headers are gone, by way of PT_GNU_EH_FRAME.

    Its index begins with four bytes - version, encodings of the pointer to .eh_frame, of the count and
    of the table - and that pointer (LSB Core, section 10.6.2).  .eh_frame goes on to its terminator.
    """
    big = arch.elf.endian == "big"
    for segment in elf.segments:
        if segment.type != PT_GNU_EH_FRAME:
            continue
        index = np.frombuffer(elf.slice(segment.offset, segment.filesz, ".eh_frame_hdr"), np.uint8)
        where = f"{elf.path}: .eh_frame_hdr"
        if len(index) < 4:
            raise BadInput("it is truncated", where=where)
        address, end, understood = pointer(
            index, 4, len(index), big, int(index[1]), signed(segment.vaddr), bases
        )
        if not understood or end > len(index):
            raise BadInput("its pointer to .eh_frame has an unknown encoding", where=where)
        for loaded in elf.segments:
            inside = (address & 0xFFFFFFFFFFFFFFFF) - loaded.vaddr
            if loaded.type != 1 or not 0 <= inside < loaded.filesz:
                continue
            data = np.frombuffer(
                elf.slice(loaded.offset + inside, loaded.filesz - inside, ".eh_frame"), np.uint8
            )
            data = data[: int(until_terminator(data, big))]
            return interpret(arch, data, address, bases, where=f"{elf.path}: .eh_frame")
        raise BadInput("it points outside what is loaded", where=where)
    return empty(arch)


def interpret(
    arch: Arch,
    data: np.ndarray,
    vaddr: int,
    bases: np.ndarray | None = None,
    *,
    debug: bool = False,
    where: str = ".eh_frame",
) -> Table:
    """The table of one section: ``data`` are its bytes (u8), ``vaddr`` is its address.

    ``debug``: it is a .debug_frame.  ``bases``: addresses of .text and of the GOT, for pointers
    relative to them.  Raises BadInput with ``where`` and the offset of an entry that leaves the section.
    """
    big = arch.elf.endian == "big"
    data = data.view()
    data.flags.writeable = False  # one type of array, compiled once
    abi = _abi(arch)
    cie_count, fde_count, fault = count(data, big, debug)
    if fault >= 0:
        raise BadInput("an entry ends outside the section", where=f"{where}+{fault:#x}")
    cies: Any = np.zeros(cie_count, CIE)
    read_cies(data, big, debug, signed(vaddr), cies)
    states = np.zeros((cie_count, STATE), np.int64)
    bases = np.zeros(3, np.int64) if bases is None else bases.astype(np.int64)
    functions: Any = np.zeros(2 * fde_count, FUNCTION)
    refused = np.zeros(fde_count, REFUSED)
    # A row takes an instruction that advances and one that changes something.  Pages that stay
    # untouched are never there, so that the array need not be copied to its size.
    rows: Any = np.empty(fde_count + len(data) // 2 + _ROWS_PLT, ROW)
    start_cies(data, big, signed(vaddr), bases, cies, abi, states, rows)
    n, row_count, refused_count = fill(
        data, big, debug, signed(vaddr), bases, cies, states, abi, functions, rows, refused
    )
    functions = functions[:n]
    functions = functions[np.argsort(functions["start"], kind="stable")]
    return Table(
        arch,
        functions,
        rows[:row_count],
        [
            Refusal(int(r["start"]), int(r["size"]), Reason(r["reason"]), f"FDE {r['offset']:#x}")
            for r in refused[:refused_count]
        ],
    )


def _abi(arch: Arch) -> np.ndarray:
    assert arch.dwarf is not None
    abi = np.zeros(6, np.int64)
    abi[cfi_program.ABI_SP] = arch.dwarf.sp
    abi[cfi_program.ABI_FP] = arch.dwarf.fp
    abi[cfi_program.ABI_RA] = arch.dwarf.ra
    # Only on AMD64 is the return column the program counter's own number.
    abi[cfi_program.ABI_PC] = arch.dwarf.ra if arch.family == "x86" else -1
    abi[cfi_program.ABI_S390] = arch.family == "s390"
    abi[cfi_program.ABI_ARM] = arch.family == "arm64"
    return abi


def _add(found: Table, more: Table, image: Image) -> Table:
    """``found`` and those functions of ``more`` that lie in code and that ``found`` does not hold."""
    functions = more.functions
    start, end = functions["start"], functions["start"] + functions["size"]
    # Functions that the linker threw away keep an entry at address 0 in .debug_frame.
    inside = np.zeros(len(functions), bool)
    for section in image.elf.sections:
        if section.flags & 4 and section.size:
            low = signed(image.addresses[section.index])
            inside |= (start >= low) & (end <= low + section.size)
    held = found.functions
    index = np.searchsorted(held["start"], start, side="right") - 1
    known = np.zeros(len(functions), bool)
    if len(held):
        known = (index >= 0) & (start < (held["start"] + held["size"])[index])
    fresh = functions[inside & ~known].copy()
    fresh["first_row"] += len(found.rows)
    both = np.concatenate([held, fresh])
    both = both[np.argsort(both["start"], kind="stable")]
    return Table(
        found.arch, both, np.concatenate([found.rows, more.rows]), found.refused + more.refused
    )
