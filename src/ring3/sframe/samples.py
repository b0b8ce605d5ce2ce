"""Recorded samples in bulk: NumPy columns over the raw records of a perf.data file.

Nothing is copied but the registers: stacks and call chains stay in the mapped file and are named by
their offsets.  Which files were mapped where is worked out from the MMAP, FORK and exec records in the
order of time: every sample belongs to a *space*, one state of one process's memory map.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ring3 import arch
from ring3.arch import Arch
from ring3.compiled import njit
from ring3.errors import BadInput, Unsupported
from ring3.sframe import abi as abis
from ring3.sframe import perf_data
from ring3.sframe.abi import Abi
from ring3.sframe.perf_data import Extras, PerfData
from ring3.sframe.perf_event import Flag, SampleType
from ring3.sframe.spaces import ImageName, World

#: One sample.  Offsets are bytes into :attr:`Samples.data`; lengths of chains are words.
SAMPLE = np.dtype(
    [
        ("time", "i8"),  # ns
        ("ip", "i8"),
        ("period", "i8"),
        ("chain", "i8"),
        ("stack", "i8"),
        ("sp", "i8"),  # the address that the recorded stack begins at
        ("pid", "i4"),
        ("tid", "i4"),
        ("cpu", "i4"),
        ("space", "i4"),
        ("chain_length", "i4"),
        ("stack_size", "i4"),
        ("in_kernel", "u1"),
        ("has_registers", "u1"),
        ("_pad", "u2"),
    ]
)
_LITTLE = "<"


@dataclass(frozen=True)
class Samples:
    """What was sampled.

    ``registers[s, n]`` is DWARF register ``n`` of sample ``s`` (all i64, addresses wrapped); the mappings
    of space ``p`` are ``mappings[space_first[p] : space_first[p + 1]]``; ``comms[tid]`` are a thread's
    names over time; ``lost`` counts samples that the kernel could not deliver; ``truncated`` says that
    the recording was cut off.
    """

    path: Path
    arch: Arch
    order: str
    data: np.ndarray
    samples: np.ndarray
    registers: np.ndarray
    mappings: np.ndarray
    space_first: np.ndarray
    images: list[ImageName]
    extras: Extras
    comms: dict[int, list[tuple[int, str]]]
    lost: int
    truncated: bool
    event: str

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def abi(self) -> Abi:
        """The ABI of the recorded machine."""
        return abis.of(self.arch)

    @property
    def faults(self) -> list[str]:
        """What is missing in the recording, a sentence each."""
        said = ["cut off: what was recorded after its end is lost"] if self.truncated else []
        if self.lost:
            said.append(f"the kernel could not deliver {self.lost:,} samples")
        return said

    def command(self, tid: int, time: int) -> str:
        """The name of a thread at a time; its number where no record named it."""
        named = self.comms.get(tid, [])
        index = bisect_right(named, (time, "\U0010ffff")) - 1
        return named[max(index, 0)][1] if named else f"thread {tid}"


def read(path: Path | str) -> Samples:
    """Read a recording of ``ring3 record`` or ``perf record --call-graph dwarf``.

    Raises BadInput when it is malformed or holds no samples that can be unwound; Unsupported for an
    architecture that SFrame does not know.
    """
    return decode(perf_data.read(path))


def decode(source: PerfData) -> Samples:
    """The columns of an opened file."""
    where = str(source.path)
    machine = _machine(source)
    data = np.frombuffer(source.records, np.uint8)
    layouts = _layouts(source, where)
    big = source.order != _LITTLE
    counts = _count(data, big)
    samples = np.zeros(counts[0], SAMPLE)
    registers = np.zeros((counts[0], abis.of(machine).count), np.int64)
    others = np.zeros(counts[1], np.int64)
    _fill(data, big, *layouts, _slots(machine), samples, registers, others)
    samples["sp"] = registers[:, abis.of(machine).sp]
    samples_order = np.argsort(samples["time"], kind="stable")
    samples, registers = samples[samples_order], registers[samples_order]
    world = World(samples, source, where)
    for at in others:
        world.collect(int(at))
    world.replay()
    if not len(samples):
        raise BadInput("it holds no samples", where=where, remedy="record for longer")
    if not samples["has_registers"].any():
        raise BadInput(
            "its samples hold no user registers and stack",
            where=where,
            remedy="record with ring3 record, or perf record --call-graph dwarf",
        )
    attr = source.attrs[0]
    event = {(0, 0): "cpu-cycles", (1, 0): "cpu-clock"}.get((attr.type, attr.config), "samples")
    return Samples(
        source.path,
        machine,
        source.order,
        data,
        samples,
        registers,
        *world.flattened(),
        world.images,
        source.extras,
        world.comms,
        world.lost,
        source.truncated,
        event,
    )


def _machine(source: PerfData) -> Arch:
    if not source.machine:
        return arch.host()
    name = source.machine if source.order == _LITTLE or source.machine == "s390x" else "arm64be"
    found = arch.by_name(name)
    abis.of(found)
    return found


def _layouts(source: PerfData, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sample type and register mask of each attribute, and sorted event ids with their attribute."""
    types = [attr.sample_type for attr in source.attrs]
    ids = sorted((id_, index) for index, of in enumerate(source.ids) for id_ in of)
    # Events of one file can only be told apart where their ids stand at a fixed place.
    if len(set(types)) > 1 and not all(kind & SampleType.IDENTIFIER for kind in types):
        raise Unsupported(
            "several events whose samples differ and do not say which they are of", where=where
        )
    if any(int(kind) >> 63 for kind in types):
        raise BadInput("a sample type that no kernel writes", where=where)
    unknown = SampleType.READ | SampleType.BRANCH_STACK
    if any(kind & unknown for kind in types):
        raise Unsupported(
            "samples with counter groups or branch stacks",
            where=where,
            remedy="record without -b and groups",
        )
    if not all(attr.flags & Flag.SAMPLE_ID_ALL for attr in source.attrs):
        raise Unsupported("records without time (sample_id_all)", where=where)
    return (
        np.array(types, np.int64),
        np.array([attr.regs_user for attr in source.attrs], np.uint64).view(np.int64),
        np.array([id_ for id_, _ in ids], np.uint64).view(np.int64),
        np.array([index for _, index in ids], np.int64),
    )


def _slots(machine: Arch) -> np.ndarray:
    """DWARF number of each slot of the architecture's perf_regs, -1 for others."""
    dwarf = machine.dwarf
    names = dwarf.registers if dwarf else ()
    count = abis.of(machine).count
    slots = np.full(64, -1, np.int64)
    for slot, name in enumerate(machine.perf_regs):
        if name in names and (number := names.index(name)) < count:
            slots[slot] = number
    return slots


@njit(inline="always")
def load(data: np.ndarray, at: int, size: int, big: bool) -> int:
    """An integer of ``size`` bytes at byte ``at`` of ``data``; the caller knows that it is inside."""
    value = 0
    for index in range(size):
        place = index if big else size - 1 - index
        value = (value << 8) | int(data[at + place])
    return value


@njit
def _count(data: np.ndarray, big: bool) -> tuple[int, int]:
    samples = 0
    others = 0
    at = 0
    while at + 8 <= len(data):
        size = load(data, at + 6, 2, big)
        if size < 8 or at + size > len(data):
            break
        if load(data, at, 4, big) == 9:
            samples += 1
        else:
            others += 1
        at += size
    return samples, others


@njit
def _fill(
    data: np.ndarray,
    big: bool,
    types: np.ndarray,
    masks: np.ndarray,
    ids: np.ndarray,
    id_attr: np.ndarray,
    slots: np.ndarray,
    samples: np.ndarray,
    registers: np.ndarray,
    others: np.ndarray,
) -> None:
    """Decode every sample as far as it holds together; a lying one is left without registers."""
    sample = 0
    other = 0
    at = 0
    while sample + other < len(samples) + len(others):
        size = load(data, at + 6, 2, big)
        if load(data, at, 4, big) != 9:
            others[other] = at
            other += 1
        else:
            misc = load(data, at + 4, 2, big)
            out = samples[sample]
            out.in_kernel = 1 if misc & 7 == 1 else 0
            attr = 0
            if types[0] & (1 << 16) and size >= 16 and len(ids):
                wanted = load(data, at + 8, 8, big)
                place = np.searchsorted(ids, wanted)
                if place < len(ids) and ids[place] == wanted:
                    attr = id_attr[place]
            _sample(
                data,
                big,
                at + 8,
                at + size,
                types[attr],
                masks[attr],
                slots,
                out,
                registers[sample],
            )
            sample += 1
        at += size


@njit
def _sample(
    data: np.ndarray,
    big: bool,
    at: int,
    end: int,
    kind: int,
    mask: int,
    slots: np.ndarray,
    out: Any,
    registers: np.ndarray,
) -> None:
    """One sample; parts in the order of the ABI, each 8 bytes unless said otherwise."""
    for bit in (16, 0, 1, 2, 3, 6, 9, 7, 8):  # IDENTIFIER IP TID TIME ADDR ID STREAM_ID CPU PERIOD
        if not kind & (1 << bit):
            continue
        if at + 8 > end:
            return
        if bit == 0:
            out.ip = load(data, at, 8, big)
        elif bit == 1:
            out.pid = load(data, at, 4, big)
            out.tid = load(data, at + 4, 4, big)
        elif bit == 2:
            out.time = load(data, at, 8, big)
        elif bit == 7:
            out.cpu = load(data, at, 4, big)
        elif bit == 8:
            out.period = load(data, at, 8, big)
        at += 8
    if kind & (1 << 5):  # CALLCHAIN: count, words
        if at + 8 > end:
            return
        count = load(data, at, 8, big)
        at += 8
        if count < 0 or count > (end - at) // 8:
            return
        out.chain = at
        out.chain_length = count
        at += 8 * count
    if kind & (1 << 10):  # RAW: u32 size, bytes, together a multiple of 8
        if at + 4 > end:
            return
        at += 4 + load(data, at, 4, big)
    if kind & (1 << 12):  # REGS_USER: abi, registers of the mask
        if at + 8 > end:
            return
        abi = load(data, at, 8, big)
        at += 8
        if abi != 0:
            for slot in range(64):
                if mask & (np.int64(1) << slot):
                    if at + 8 > end:
                        return
                    if slots[slot] >= 0:
                        registers[slots[slot]] = load(data, at, 8, big)
                    at += 8
        out.has_registers = 1 if abi == 2 else 0
    if kind & (1 << 13):  # STACK_USER: size, bytes, how many of them count
        if at + 8 > end:
            out.has_registers = 0
            return
        size = load(data, at, 8, big)
        at += 8
        if size == 0:
            return
        if size < 0 or size > end - at - 8:
            out.has_registers = 0
            return
        used = load(data, at + size, 8, big)
        out.stack = at
        out.stack_size = min(max(used, 0), size)
