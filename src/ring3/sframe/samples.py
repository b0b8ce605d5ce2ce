"""Recorded samples in bulk: NumPy columns over the raw records of a perf.data file.

Nothing is copied but the registers: stacks and call chains stay in the mapped file and are named by
their offsets.  Which files were mapped where is worked out from the MMAP, FORK and exec records in the
order of time: every sample belongs to a *space*, one state of one process's memory map.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from ring3 import arch
from ring3.arch import Arch
from ring3.errors import BadInput, Unsupported
from ring3.sframe import abi as abis
from ring3.sframe import perf_data, perf_event
from ring3.sframe.abi import Abi
from ring3.sframe.perf_data import Extras, PerfData
from ring3.sframe.perf_event import Flag, SampleType

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
#: One executable mapping of a space, sorted by ``start`` within it.
MAPPING = np.dtype(
    [("start", "i8"), ("end", "i8"), ("offset", "i8"), ("image", "i4"), ("_pad", "i4")]
)

_MOST_MAPPINGS = 1 << 24  # over all spaces: 512 MiB
_LITTLE = "<"


@dataclass(frozen=True)
class ImageName:
    """A mapped file as the records name it; ``build_id`` is "" where the kernel did not say."""

    path: str
    build_id: str = ""


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
    world = _World(samples, source, where)
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


@dataclass
class _Space:
    """A process's memory map while it is replayed: parallel lists sorted by start."""

    starts: list[int] = field(default_factory=list)
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)  # start, end, offset, image

    def copy(self) -> _Space:
        return _Space(list(self.starts), list(self.rows))

    def map(self, start: int, end: int, offset: int, image: int) -> None:
        first = bisect_left(self.starts, start)
        if first and self.rows[first - 1][1] > start:
            first -= 1
        last = bisect_left(self.starts, end)
        kept = []
        for low, high, at, old in self.rows[first:last]:
            if low < start:
                kept.append((low, start, at, old))
            if high > end:
                kept.append((end, high, at + end - low, old))
        rows = sorted([*kept, (start, end, offset, image)])
        self.rows[first:last] = rows
        self.starts[first:last] = [row[0] for row in rows]


class _World:
    """Processes and their memory maps over time."""

    def __init__(self, samples: np.ndarray, source: PerfData, where: str) -> None:
        self._samples = samples
        self._records = source.records
        self._order = source.order
        self._build_ids = source.build_ids
        self._where = where
        kind = source.attrs[0].sample_type
        # The trailer of every other record: TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER, as far as asked for.
        behind = (SampleType.ID, SampleType.STREAM_ID, SampleType.CPU, SampleType.IDENTIFIER)
        self._time_from_end = 8 * (1 + sum(bool(kind & part) for part in behind))
        self._timed = bool(kind & SampleType.TIME)
        self._trailer = self._time_from_end + (8 if kind & SampleType.TID else 0)
        self._events: list[tuple[int, int, int, int, int, int]] = []
        self._image_index: dict[ImageName, int] = {}
        self._spaces: dict[tuple[tuple[int, int, int, int], ...], int] = {}
        self._total = 0
        self.images: list[ImageName] = []
        self.comms: dict[int, list[tuple[int, str]]] = {}
        self.lost = 0

    def collect(self, at: int) -> None:
        """Note one record that is no sample, to be replayed in order of time."""
        kind, misc, size = struct.unpack_from(self._order + "IHH", self._records, at)
        if kind == perf_event.RECORD_LOST and size >= 24:
            self.lost += self._unpack("Q", at + 16)[0]
        elif kind == perf_event.RECORD_LOST_SAMPLES and size >= 16:
            self.lost += self._unpack("Q", at + 8)[0]
        minimum = _MINIMUM.get(kind)
        if minimum is None or size < minimum + self._trailer:
            return
        time = 0
        if self._timed:
            (time,) = self._unpack("Q", at + size - self._time_from_end)
        self._events.append((time, len(self._events), kind, misc, at, size))

    def replay(self) -> None:
        """Give every sample its space."""
        spaces: dict[int, _Space] = {}
        order = np.argsort(self._samples["pid"], kind="stable")  # by pid, then time
        pids, first = np.unique(self._samples["pid"][order], return_index=True)
        bounds = np.append(first, len(order))
        of_pid = {int(pid): order[bounds[n] : bounds[n + 1]] for n, pid in enumerate(pids)}
        times = {pid: self._samples["time"][index] for pid, index in of_pid.items()}
        done: dict[int, int] = dict.fromkeys(of_pid, 0)

        def settle(pid: int, until: int | None) -> None:
            """Samples of ``pid`` before time ``until`` saw its map as it is now."""
            if pid not in of_pid:
                return
            start = done[pid]
            end = len(times[pid])
            if until is not None:
                end = int(np.searchsorted(times[pid], until, "left"))
            if end > start:
                space = self._space(spaces.get(pid) or _Space())
                self._samples["space"][of_pid[pid][start:end]] = space
                done[pid] = end

        for time, _, kind, misc, at, size in sorted(self._events):
            if kind in (perf_event.RECORD_MMAP, perf_event.RECORD_MMAP2):
                pid = self._unpack("i", at + 8)[0]
                settle(pid, time)
                self._mmap(spaces.setdefault(pid, _Space()), kind, misc, at, size)
            elif kind == perf_event.RECORD_FORK:
                pid, parent, tid = self._unpack("iii", at + 8)
                if pid != parent:
                    settle(pid, time)
                    spaces[pid] = spaces.get(parent, _Space()).copy()
                parent_tid = self._unpack("i", at + 20)[0]
                if named := self.comms.get(parent_tid):
                    self.comms.setdefault(tid, []).append((time, named[-1][1]))
            elif kind == perf_event.RECORD_COMM:
                pid, tid = self._unpack("ii", at + 8)
                name = self._string(at + 16, at + size - self._trailer)
                self.comms.setdefault(tid, []).append((time, name))
                if misc & perf_event.MISC_COMM_EXEC:
                    settle(pid, time)
                    spaces[pid] = _Space()
        for pid in of_pid:
            settle(pid, None)

    def flattened(self) -> tuple[np.ndarray, np.ndarray]:
        """All spaces as one array of :data:`MAPPING`, and where each begins."""
        mappings = np.zeros(self._total, MAPPING)
        first = np.zeros(len(self._spaces) + 1, np.int64)
        at = 0
        for index, rows in enumerate(self._spaces):
            for row in rows:
                mappings[at] = (*row, 0)
                at += 1
            first[index + 1] = at
        return mappings, first

    def _mmap(self, space: _Space, kind: int, misc: int, at: int, size: int) -> None:
        start, length, offset = self._unpack("QQQ", at + 16)
        name_at, build_id = at + 40, ""
        if kind == perf_event.RECORD_MMAP2:
            name_at = at + 72
            if misc & perf_event.MISC_MMAP_BUILD_ID:
                count = min(self._records[at + 40], 20)
                build_id = bytes(self._records[at + 44 : at + 44 + count]).hex()
            if not self._unpack("I", at + 64)[0] & 4:  # PROT_EXEC
                return
        path = self._string(name_at, at + size - self._trailer)
        name = ImageName(path, build_id or self._build_ids.get(path, ""))
        if name not in self._image_index:
            self._image_index[name] = len(self.images)
            self.images.append(name)
        if start < 1 << 62 and 0 < length < 1 << 62 and offset < 1 << 62:
            space.map(start, start + length, offset, self._image_index[name])

    def _space(self, space: _Space) -> int:
        key = tuple(space.rows)
        if key not in self._spaces:
            self._total += len(key)
            if self._total > _MOST_MAPPINGS:
                raise BadInput("its memory maps change more than can be kept", where=self._where)
            self._spaces[key] = len(self._spaces)
        return self._spaces[key]

    def _unpack(self, fields: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + fields, self._records, at)

    def _string(self, start: int, end: int) -> str:
        raw = bytes(self._records[start:end]).split(b"\0")[0]
        return raw.decode(errors="surrogateescape")


#: Bytes of each record that is replayed, without its string and trailer.
_MINIMUM = {
    perf_event.RECORD_MMAP: 40,
    perf_event.RECORD_MMAP2: 72,
    perf_event.RECORD_COMM: 16,
    perf_event.RECORD_FORK: 32,
}


@njit(cache=True, inline="always")
def load(data: np.ndarray, at: int, size: int, big: bool) -> int:
    """An integer of ``size`` bytes at byte ``at`` of ``data``; the caller knows that it is inside."""
    value = 0
    for index in range(size):
        place = index if big else size - 1 - index
        value = (value << 8) | int(data[at + place])
    return value


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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
