"""Which files were mapped where, at every moment of a recording: MMAP, FORK and exec records, replayed.

A *space* is one state of one process's memory map; equal states are one space.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np

from ring3.errors import BadInput
from ring3.sframe import perf_event
from ring3.sframe.perf_data import PerfData
from ring3.sframe.perf_event import SampleType

#: One executable mapping of a space, sorted by ``start`` within it.
MAPPING = np.dtype(
    [("start", "i8"), ("end", "i8"), ("offset", "i8"), ("image", "i4"), ("_pad", "i4")]
)

_MOST_MAPPINGS = 1 << 24  # over all spaces: 512 MiB


@dataclass(frozen=True)
class ImageName:
    """A mapped file as the records name it; ``build_id`` is "" where the kernel did not say."""

    path: str
    build_id: str = ""


@dataclass
class Space:
    """A process's memory map while it is replayed: parallel lists sorted by start."""

    starts: list[int] = field(default_factory=list)
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)  # start, end, offset, image

    def copy(self) -> Space:
        return Space(list(self.starts), list(self.rows))

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


class World:
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
        spaces: dict[int, Space] = {}
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
                space = self._space(spaces.get(pid) or Space())
                self._samples["space"][of_pid[pid][start:end]] = space
                done[pid] = end

        for time, _, kind, misc, at, size in sorted(self._events):
            if kind in (perf_event.RECORD_MMAP, perf_event.RECORD_MMAP2):
                pid = self._unpack("i", at + 8)[0]
                settle(pid, time)
                self._mmap(spaces.setdefault(pid, Space()), kind, misc, at, size)
            elif kind == perf_event.RECORD_FORK:
                pid, parent, tid = self._unpack("iii", at + 8)
                if pid != parent:
                    settle(pid, time)
                    spaces[pid] = spaces.get(parent, Space()).copy()
                parent_tid = self._unpack("i", at + 20)[0]
                if named := self.comms.get(parent_tid):
                    self.comms.setdefault(tid, []).append((time, named[-1][1]))
            elif kind == perf_event.RECORD_COMM:
                pid, tid = self._unpack("ii", at + 8)
                name = self._string(at + 16, at + size - self._trailer)
                self.comms.setdefault(tid, []).append((time, name))
                if misc & perf_event.MISC_COMM_EXEC:
                    settle(pid, time)
                    spaces[pid] = Space()
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

    def _mmap(self, space: Space, kind: int, misc: int, at: int, size: int) -> None:
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

    def _space(self, space: Space) -> int:
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
