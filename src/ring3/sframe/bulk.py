"""Unwinding recorded samples in bulk: the steps of :mod:`unwind` over arrays, compiled by Numba.

A test runs both engines over the same samples and wants the same frames.  One thing only the other
engine does: it knows a signal trampoline without rules by its code, which a sample does not hold.
All numbers are i64; user addresses lie below 2**63, and whatever a hostile stack holds only wraps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ring3.compiled import njit
from ring3.sframe.elf_head import Image
from ring3.sframe.facts import Facts
from ring3.sframe.samples import Samples, load
from ring3.sframe.table import (
    CFA,
    DEREF,
    FUNCTION,
    KIND,
    REGISTER,
    ROW,
    SAME,
    SIGNAL,
    UNDEFINED,
    find_function,
    find_row,
)
from ring3.sframe.unwind import MOST_FRAMES, How, Stop

#: One unwind table among all of them: its records in the joined arrays.
TABLE = np.dtype(
    [("function", "i8"), ("functions", "i8"), ("row", "i8"), ("how", "i4"), ("_pad", "i4")]
)

#: One record of a record array; what fields it has is known to Numba, not to the type checker.
Record = Any

_TOP = How.REGISTERS
_FRAME_POINTER = How.FRAME_POINTER
_SIGNAL_FRAME = How.SIGNAL
_OUTERMOST = int(Stop.OUTERMOST)
_CHAIN_END = int(Stop.CHAIN_END)
_NO_MEMORY = int(Stop.NO_MEMORY)
_NO_RULE = int(Stop.NO_RULE)
_BAD_PC = int(Stop.BAD_PC)
_LOOP = int(Stop.LOOP)
_DEPTH = int(Stop.DEPTH)
_REGISTER = int(Stop.REGISTER)
_GO_ON = -1


@dataclass(frozen=True)
class World:
    """The tables of everything that was mapped, joined.

    ``bias[m]`` and ``image_of[m]`` belong to mapping ``m`` of the samples (image -1: none to speak of);
    image ``i`` has tables ``image_first[i]`` to ``image_first[i + 1]`` of ``tables``.
    """

    bias: np.ndarray
    tables: np.ndarray
    image_first: np.ndarray
    functions: np.ndarray
    rows: np.ndarray
    facts: list[Facts]


@dataclass(frozen=True)
class Traces:
    """Frames of sample ``s`` are ``first[s]`` to ``first[s + 1]``, innermost first.

    ``pc`` i64; ``mapping`` i4, an index into the samples' mappings, -1 where there is none; ``how`` u1,
    :class:`How`; ``stop`` u1 a sample, :class:`Stop`.
    """

    first: np.ndarray
    pc: np.ndarray
    mapping: np.ndarray
    how: np.ndarray
    stop: np.ndarray

    def of(self, sample: int) -> slice:
        """Where the frames of ``sample`` are."""
        return slice(int(self.first[sample]), int(self.first[sample + 1]))


def world(
    samples: Samples,
    find: Callable[[int], tuple[Image | None, Facts]],
    allowed: Sequence[int] = How.TABLES,
) -> World:
    """Join the tables of all images of ``samples``; ``find`` opens one by its number.

    Only tables of the kinds ``allowed`` (:class:`How`) are taken.
    """
    used = np.unique(samples.mappings["image"])
    heads: dict[int, Image | None] = {}
    facts = [Facts() for _ in samples.images]
    for number in used:
        heads[int(number)], facts[number] = find(int(number))
    # Spaces share most of their mappings: one look-up for each different one.
    different, which = np.unique(samples.mappings, return_inverse=True)
    biases = np.zeros(len(different), np.int64)
    for index, (start, _, offset, number, _) in enumerate(different.tolist()):
        head = heads[number]
        biases[index] = (head.bias(start, offset) if head else None) or 0
    bias = biases[which]
    functions, rows, tables, first = [], [], [], [0]
    at_function = at_row = 0
    for known in facts:
        for how, function_bytes, row_bytes in known.tables:
            if how not in allowed:
                continue
            functions.append(np.frombuffer(function_bytes, FUNCTION))
            rows.append(np.frombuffer(row_bytes, ROW))
            tables.append((at_function, len(functions[-1]), at_row, how, 0))
            at_function += len(functions[-1])
            at_row += len(rows[-1])
        first.append(len(tables))
    return World(
        bias,
        np.array(tables, TABLE),
        np.array(first, np.int64),
        np.concatenate(functions) if functions else np.zeros(0, FUNCTION),
        np.concatenate(rows) if rows else np.zeros(0, ROW),
        facts,
    )


def unwind(samples: Samples, known: World, limit: int = MOST_FRAMES) -> Traces:
    """Unwind every sample that has registers; the others get no frame and NO_MEMORY."""
    count = len(samples)
    first = np.zeros(count + 1, np.int64)
    stop = np.full(count, _NO_MEMORY, np.uint8)
    room = max(64 * count, 4 * limit)
    pc, mapping = np.zeros(room, np.int64), np.zeros(room, np.int32)
    how = np.zeros(room, np.uint8)
    abi = samples.abi
    numbers = np.array(
        [
            *(abi.pc, abi.sp, abi.fp, abi.ra, abi.sp_from_cfa, abi.frame_record, abi.record_cfa),
            *(abi.return_register, np.uint64(abi.address_mask).astype(np.int64)),
        ],
        np.int64,
    )
    saved = np.array([[*kind.registers, kind.pc] for kind in abi.signals], np.int64)
    at = 0
    while True:
        at = _unwind(
            samples.data,
            samples.order != "<",
            samples.samples,
            samples.registers,
            samples.mappings,
            samples.space_first,
            known.bias,
            known.tables,
            known.image_first,
            known.functions,
            known.rows,
            numbers,
            saved,
            limit,
            at,
            first,
            pc,
            mapping,
            how,
            stop,
        )
        if at == count:
            break
        pc, mapping, how = (np.concatenate([old, np.zeros_like(old)]) for old in (pc, mapping, how))
    end = int(first[count])
    return Traces(first, pc[:end], mapping[:end], how[:end], stop)


@njit
def _unwind(
    data: np.ndarray,
    big: bool,
    samples: np.ndarray,
    registers: np.ndarray,
    mappings: np.ndarray,
    space_first: np.ndarray,
    bias: np.ndarray,
    tables: np.ndarray,
    image_first: np.ndarray,
    functions: np.ndarray,
    rows: np.ndarray,
    abi: np.ndarray,
    saved: np.ndarray,
    limit: int,
    at: int,
    first: np.ndarray,
    pcs: np.ndarray,
    mapping_of: np.ndarray,
    hows: np.ndarray,
    stops: np.ndarray,
) -> int:
    """Unwind samples from number ``at`` until all are done or the room is used up; how far it came."""
    values = np.zeros(registers.shape[1], np.int64)
    known = np.zeros(registers.shape[1], np.bool_)
    while at < len(samples):
        out = first[at]
        if out + limit > len(pcs):
            break
        sample = samples[at]
        space, end = space_first[sample.space], space_first[sample.space + 1]
        stop = _NO_MEMORY
        if sample.has_registers:
            values[:] = registers[at]
            known[:] = True
            pc = values[abi[0]]
            how = _TOP
            exact = True
            mapping = find_mapping(mappings, space, end, pc)
            stop = _GO_ON
            while stop == _GO_ON:
                pcs[out] = pc
                hows[out] = how
                mapping_of[out] = mapping
                out += 1
                if out - first[at] >= limit:
                    stop = _DEPTH
                    break
                stop, pc, how = _step(
                    *(data, big, sample, mappings, space, end, bias, tables, image_first),
                    *(functions, rows, abi, saved, values, known, pc, mapping, exact),
                )
                if stop == _GO_ON:
                    exact = how == _SIGNAL_FRAME
                    mapping = find_mapping(mappings, space, end, pc if exact else pc - 1)
                    if mapping < 0:
                        mapping = find_mapping(mappings, space, end, pc)
                    if mapping < 0:
                        pcs[out] = pc
                        hows[out] = how
                        mapping_of[out] = -1
                        out += 1
                        stop = _BAD_PC
        stops[at] = stop
        at += 1
        first[at] = out
    return at


@njit
def find_mapping(mappings: np.ndarray, low: int, end: int, pc: int) -> int:
    """Index of the mapping among ``low`` to ``end`` that holds ``pc``, or -1."""
    begin = low
    high = end
    while low < high:
        middle = (low + high) >> 1
        if mappings[middle].start <= pc:
            low = middle + 1
        else:
            high = middle
    found = low - 1
    if found < begin or pc >= mappings[found].end:
        return -1
    return found


@njit
def _word(data: np.ndarray, big: bool, sample: Record, address: int) -> tuple[bool, int]:
    """The word at a stack address, if the sample holds it."""
    inside = address - sample.sp
    if inside < 0 or inside > sample.stack_size - 8:
        return False, 0
    return True, load(data, sample.stack + inside, 8, big)


@njit
def _step(
    data: np.ndarray,
    big: bool,
    sample: Record,
    mappings: np.ndarray,
    space: int,
    space_end: int,
    bias: np.ndarray,
    tables: np.ndarray,
    image_first: np.ndarray,
    functions: np.ndarray,
    rows: np.ndarray,
    abi: np.ndarray,
    saved: np.ndarray,
    values: np.ndarray,
    known: np.ndarray,
    pc: int,
    mapping: int,
    exact: bool,
) -> tuple[int, int, int]:
    """Turn ``values`` into the caller's; (:data:`_GO_ON` or why not, the caller's pc, what gave it)."""
    sp_number, fp_number = abi[1], abi[2]
    refused = _NO_RULE
    if mapping >= 0:
        image = mappings[mapping].image
        where = (pc if exact else pc - 1) - bias[mapping]
        for index in range(image_first[image], image_first[image + 1]):
            table = tables[index]
            near = functions[table.function : table.function + table.functions]
            function = find_function(near, where)
            if function < 0:
                continue
            row = find_row(near, rows[table.row :], function, where)
            if row < 0:
                continue
            rule = rows[table.row + row]
            signal = near[function].flags & SIGNAL
            if signal and known[sp_number]:
                base = values[sp_number]
                for kind in range(len(saved)):
                    fine, caller = _word(data, big, sample, base + saved[kind, -1])
                    if fine and find_mapping(mappings, space, space_end, caller) >= 0:
                        for number in range(len(values)):
                            known[number] = False
                            if saved[kind, number] >= 0:
                                known[number], values[number] = _word(
                                    data, big, sample, base + saved[kind, number]
                                )
                        return _GO_ON, caller, _SIGNAL_FRAME
            stop, caller = _apply(data, big, sample, rule, abi, values, known, exact)
            if stop == _GO_ON:
                return _GO_ON, caller, _SIGNAL_FRAME if signal else table.how
            if stop not in (_NO_RULE, _REGISTER):
                return stop, 0, 0
            refused = stop
    if refused == _REGISTER:
        return refused, 0, 0
    # The frame pointer, where it looks like one.
    if not abi[5] or not known[fp_number]:
        return _NO_RULE, 0, 0
    fp = values[fp_number]
    if fp == 0 and not exact:
        return _CHAIN_END, 0, 0
    if fp & 7 or (known[sp_number] and fp < values[sp_number]):
        return _NO_RULE, 0, 0
    fine, next_fp = _word(data, big, sample, fp)
    also, ra = _word(data, big, sample, fp + 8)
    if not fine or not also:
        return _NO_MEMORY, 0, 0
    if ra == 0:
        return _CHAIN_END, 0, 0
    ra &= abi[8]
    if find_mapping(mappings, space, space_end, ra - 1) < 0:
        return _NO_RULE, 0, 0
    known[:] = False
    known[fp_number] = next_fp == 0 or next_fp > fp
    values[fp_number] = next_fp
    known[sp_number] = abi[6] != 0
    values[sp_number] = fp + abi[6]
    return _GO_ON, ra, _FRAME_POINTER


@njit
def _apply(
    data: np.ndarray,
    big: bool,
    sample: Record,
    rule: Record,
    abi: np.ndarray,
    values: np.ndarray,
    known: np.ndarray,
    exact: bool,
) -> tuple[int, int]:
    """Apply one row; (:data:`_GO_ON` or why not, the return address)."""
    sp_number, fp_number, ra_number = abi[1], abi[2], abi[3]
    if rule.ra & KIND == UNDEFINED:
        return _OUTERMOST, 0
    stop, cfa = _value(
        data, big, sample, rule.cfa, rule.cfa_reg, rule.cfa_offset, 0, abi, values, known
    )
    if stop != _GO_ON:
        return stop, 0
    ra = 0
    if rule.ra & KIND == SAME:
        if not abi[7] or not exact or not known[ra_number]:
            return _NO_RULE, 0
        ra = values[ra_number]
    else:
        stop, ra = _value(
            data, big, sample, rule.ra, rule.ra_reg, rule.ra_offset, cfa, abi, values, known
        )
        if stop != _GO_ON:
            return stop, 0
    fp_known = known[fp_number]
    fp = values[fp_number]
    if rule.fp & KIND == UNDEFINED:
        fp_known = False
    elif rule.fp & KIND != SAME:
        stop, fp = _value(
            data, big, sample, rule.fp, rule.fp_reg, rule.fp_offset, cfa, abi, values, known
        )
        fp_known = stop == _GO_ON
    sp = cfa + abi[4]
    if known[sp_number] and (sp < values[sp_number] or (sp == values[sp_number] and not exact)):
        return _LOOP, 0
    if ra == 0:
        return _CHAIN_END, 0
    known[:] = False
    known[sp_number] = True
    values[sp_number] = sp
    known[fp_number] = fp_known
    values[fp_number] = fp
    return _GO_ON, ra & abi[8] if rule.mangled else ra


@njit
def _value(
    data: np.ndarray,
    big: bool,
    sample: Record,
    kind: int,
    register: int,
    offset: int,
    cfa: int,
    abi: np.ndarray,
    values: np.ndarray,
    known: np.ndarray,
) -> tuple[int, int]:
    base = cfa
    if kind & KIND == REGISTER:
        if register >= len(values) or not known[register]:
            return (_NO_RULE if register in (abi[1], abi[2]) else _REGISTER), 0
        base = values[register]
    elif kind & KIND != CFA:
        return _NO_RULE, 0
    address = base + offset
    if not kind & DEREF:
        return _GO_ON, address
    fine, word = _word(data, big, sample, address)
    return (_GO_ON, word) if fine else (_NO_MEMORY, 0)
