"""The kernel's ORC tables (x86) to the canonical table.

ORC says for every address how to find the previous stack pointer, frame pointer and, in entry code, a
whole saved register set.  Sources: arch/x86/include/asm/orc_types.h and arch/x86/kernel/unwind_orc.c of
Linux 6.1, 6.12 and 7.2.  From 6.4 on .orc_header holds a hash of the layout; before, there is none.

ORC has no functions.  A new one begins here wherever the stack is as at a function's entry, after a gap,
and where frames with exact and with return addresses meet, since SFrame marks whole functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ring3 import arch
from ring3.elf import Elf
from ring3.errors import BadInput, Unsupported
from ring3.sframe.image import Image
from ring3.sframe.table import (
    CFA,
    DEREF,
    FUNCTION,
    REGISTER,
    ROW,
    SAME,
    SIGNAL,
    Reason,
    Refusal,
    Table,
    signed,
)


@dataclass(frozen=True)
class Layout:
    """What the numbers of an ORC entry mean.

    ``bases`` and ``types`` are named by value; a ``signal`` of None means that saved register sets
    are exact.  ``end`` is the bit that marks the end of the stack where no type does.
    """

    bases: tuple[str, ...]
    types: tuple[str, ...]
    type_bits: int
    signal: int | None = None
    end: int | None = None


_BASES_6 = ("", "prev_sp", "rdx", "rdi", "rbp", "rsp", "r10", "r13", "*rbp", "*rsp")
_BASES_7 = ("", "rax", "rdx", "rsp", "rbp", "rdi", "r10", "r13", "prev_sp", "*rsp", "*rbp")
_TYPES_6_4 = ("undefined", "end", "call", "regs", "regs_partial")

#: By the hash in .orc_header, "" where there is none.
LAYOUTS = {
    "": Layout(_BASES_6, ("call", "regs", "regs_partial", ""), 2, end=10),
    "fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24": Layout(_BASES_6, _TYPES_6_4, 3, signal=11),
    "137c36ad7627c4dd55932176bb0ecdbd5041fc82": Layout(_BASES_7, _TYPES_6_4, 3, signal=11),
}

# Offsets in the kernel's struct pt_regs.
_REGS_BP, _REGS_IP, _REGS_SP = 32, 128, 152
# From the saved ip, what the processor itself pushes.
_IRET_SP = 24
ENTRY = np.dtype([("sp_offset", "<i2"), ("bp_offset", "<i2"), ("bits", "<u2")])


def read(elf: Elf) -> Table:
    """The table of a vmlinux or a module with .orc_unwind.

    Ranges for which ORC has no rule are in no function; those whose rule SFrame cannot say are refused.
    Raises BadInput for tables of different lengths, Unsupported for a layout that is not declared.
    """
    image = Image(elf)
    where = f"{elf.path}: .orc_unwind"
    layout = _layout(image, where)
    body, places = image.contents(".orc_unwind"), image.contents(".orc_unwind_ip")
    if body is None or places is None:
        raise BadInput("no .orc_unwind with its .orc_unwind_ip", where=str(elf.path))
    if len(body) % 6 or len(places) % 4 or len(body) // 6 != len(places) // 4:
        raise BadInput(f"{len(body)} bytes of entries, {len(places)} of addresses", where=where)
    entries = body.view(ENTRY)
    base = signed(image.address(".orc_unwind_ip"))
    ip = places.view("<i4").astype(np.int64) + base + 4 * np.arange(len(entries))
    rows, exact, state = rows_of(entries, layout)
    # Of entries for one address the last that says something counts: a section's closing entry may
    # have the address of the next one's first.
    order = np.lexsort((state != _GAP, ip))
    order = order[np.append(ip[order][:-1] != ip[order][1:], [True])[: len(order)]]
    ip, rows, exact, state = ip[order], rows[order], exact[order], state[order]
    return _functions(ip, _ends(image, ip), rows, exact, state)


def _layout(image: Image, where: str) -> Layout:
    held = image.contents(".orc_header")
    key = "" if held is None else held.tobytes().hex()
    if key not in LAYOUTS:
        raise Unsupported(
            f"ORC layout {key} is not known",
            where=where,
            remedy="declare it in ring3/sframe/orc.py from the kernel's asm/orc_types.h",
        )
    return LAYOUTS[key]


_GAP, _RULE, _REFUSED = 0, 1, 2


def rows_of(entries: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A row for each entry, whether the caller's pc is exact, and _GAP, _RULE or _REFUSED."""
    dwarf = arch.by_name("x86_64").dwarf
    assert dwarf is not None
    bits = entries["bits"]
    sp_base, bp_base = bits & 15, bits >> 4 & 15
    kind = bits >> 8 & (1 << layout.type_bits) - 1
    rows = np.zeros(len(entries), ROW)
    state = np.full(len(entries), _REFUSED, np.uint8)
    exact = np.zeros(len(entries), bool)
    if layout.signal is not None:
        exact = (bits >> layout.signal & 1).astype(bool)

    def of_type(name: str) -> np.ndarray:
        return (
            kind == layout.types.index(name) if name in layout.types else np.zeros(len(kind), bool)
        )

    # The stack pointer that the entry is about: base + offset, or what is saved there.
    offset = entries["sp_offset"].astype(np.int32)
    known = np.zeros(len(entries), bool)
    indirect = np.zeros(len(entries), bool)
    for number, name in enumerate(layout.bases):
        chosen = sp_base == number
        if name in ("", "prev_sp"):
            continue
        register = dwarf.number(name.removeprefix("*"))
        rows["cfa_reg"][chosen] = register
        indirect |= chosen & (name[0] == "*")
        known |= chosen & ((name != "*rsp") | (offset == 0))
        if name not in ("rsp", "rbp", "*rsp", "*rbp"):
            offset[chosen] = 0
    call, regs, partial = of_type("call"), of_type("regs"), of_type("regs_partial")
    if layout.signal is None:
        exact = regs | partial
    rows["cfa"] = np.where(indirect | regs | partial, REGISTER | DEREF, REGISTER)
    rows["cfa_offset"] = offset + regs * _REGS_SP + partial * _IRET_SP
    saved = regs | partial
    rows["ra"] = np.where(saved, REGISTER | DEREF, CFA | DEREF)
    rows["ra_reg"] = np.where(saved, rows["cfa_reg"], 0)
    rows["ra_offset"] = np.where(saved, offset + regs * _REGS_IP, -8)
    rows["fp"] = np.where(regs, REGISTER | DEREF, SAME)
    rows["fp_reg"] = np.where(regs, rows["cfa_reg"], 0)
    rows["fp_offset"] = np.where(regs, offset + _REGS_BP, 0)
    by_sp = bp_base == layout.bases.index("prev_sp")
    by_bp = bp_base == layout.bases.index("rbp")
    bp_offset = entries["bp_offset"].astype(np.int32)
    # In an entry with saved registers "previous SP" is where they are saved, not the caller's SP.
    rows["fp"] = np.where(by_sp & ~saved, CFA | DEREF, rows["fp"])
    rows["fp"] = np.where(by_bp | (by_sp & saved), REGISTER | DEREF, rows["fp"])
    rows["fp_reg"] = np.where(by_bp, dwarf.fp, np.where(by_sp & ~saved, 0, rows["fp_reg"]))
    rows["fp_reg"] = np.where(by_sp & saved, rows["cfa_reg"], rows["fp_reg"])
    rows["fp_offset"] = np.where(by_bp | by_sp, bp_offset, rows["fp_offset"])
    rows["fp_offset"] += np.where(by_sp & saved, offset, 0)
    # Where FP is saved relative to the CFA's own base, say so (the table's one way of saying it).
    plain = (rows["cfa"] == REGISTER) & by_bp & (rows["cfa_reg"] == dwarf.fp)
    rows["fp"] = np.where(plain, CFA | DEREF, rows["fp"])
    rows["fp_reg"] = np.where(plain, 0, rows["fp_reg"])
    rows["fp_offset"] -= np.where(plain, rows["cfa_offset"], 0)
    sayable = known & (call | saved) & ~(indirect & saved)
    sayable &= (bp_base == 0) | by_sp | by_bp
    state[sayable] = _RULE
    if layout.end is None:
        ended, gap = of_type("end"), of_type("undefined")
    else:
        nothing = sp_base == 0
        ended = nothing & (bits >> layout.end & 1).astype(bool)
        gap = nothing & ~ended
    rows[ended | gap] = np.zeros(1, ROW)
    state[ended] = _RULE
    state[gap] = _GAP
    return rows, exact & ~(ended | gap), state


def _ends(image: Image, ip: np.ndarray) -> np.ndarray:
    """Where what begins at each ``ip`` ends: at the next entry, or with its section."""
    ends = np.append(ip[1:], ip[-1:])
    for section in image.elf.sections:
        if section.flags & 4 and section.size:
            low = signed(image.addresses[section.index])
            inside = (ip >= low) & (ip < low + section.size)
            ends[inside] = np.minimum(ends[inside], low + section.size)
            last = np.flatnonzero(inside)[-1:]
            ends[last] = np.maximum(ends[last], ip[last])
    return ends


def _functions(
    ip: np.ndarray, ends: np.ndarray, rows: np.ndarray, exact: np.ndarray, state: np.ndarray
) -> Table:
    machine = arch.by_name("x86_64")
    assert machine.dwarf is not None
    refused = [
        Refusal(int(ip[i]), int(ends[i] - ip[i]), Reason.CFA_EXPRESSION, f"ORC entry {i}")
        for i in np.flatnonzero((state == _REFUSED) & (ends > ip))
    ]
    held = (state == _RULE) & (ends > ip)
    ip, ends, rows, exact = ip[held], ends[held], rows[held], exact[held]
    if not len(ip):
        return Table(machine, np.zeros(0, FUNCTION), np.zeros(0, ROW), refused)
    entry = (rows["cfa"] == REGISTER) & (rows["cfa_reg"] == machine.dwarf.sp)
    entry &= (rows["cfa_offset"] == 8) & (rows["fp"] == SAME)
    begins = np.ones(len(ip), bool)
    begins[1:] = entry[1:] | (ends[:-1] != ip[1:]) | (exact[1:] != exact[:-1])
    first = np.flatnonzero(begins)
    functions = np.zeros(len(first), FUNCTION)
    functions["start"] = ip[first]
    functions["first_row"] = first
    functions["row_count"] = np.diff(np.append(first, len(ip)))
    functions["size"] = ends[first + functions["row_count"] - 1] - ip[first]
    functions["flags"] = SIGNAL * exact[first]
    rows["start"] = ip - np.repeat(ip[first], functions["row_count"])
    return Table(machine, functions, rows, refused)
