"""Event timelines: tracks of slices, instants, flows and counters, written as Perfetto traces.

Times are integers in nanoseconds on whatever clock the caller keeps (virtual or real).  The file opens
in ui.perfetto.dev or any trace processor.  Format: Perfetto's ``TracePacket`` / ``TrackEvent`` protobuf.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ring3.files import write_atomically

Value = str | int | float | bool
_SEQUENCE = 1


@dataclass(frozen=True)
class Track:
    """A row of the timeline.  ``parent`` groups rows; ``counter`` rows hold values."""

    uuid: int
    name: str
    parent: int | None
    counter: bool


@dataclass(frozen=True)
class Event:
    """One event.  A slice has an ``end``; an instant has ``end == start``; a counter has a ``value``.

    Events that share a number in ``flows`` are joined by an arrow, in order of time.
    """

    track: int
    name: str
    start: int
    end: int
    value: float | None = None
    flows: tuple[int, ...] = ()
    args: tuple[tuple[str, Value], ...] = ()


@dataclass
class Timeline:
    """Collects events; order of calls does not matter, except that equal times keep it."""

    tracks: list[Track] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def track(self, name: str, *, parent: int | None = None, counter: bool = False) -> int:
        """Add a row and return its number."""
        uuid = len(self.tracks) + 1
        self.tracks.append(Track(uuid, name, parent, counter))
        return uuid

    def slice(
        self,
        track: int,
        name: str,
        start: int,
        end: int,
        *,
        flows: tuple[int, ...] = (),
        args: Mapping[str, Value] | None = None,
    ) -> None:
        """Something lasted from ``start`` to ``end`` (ns).  Slices of one track must nest."""
        items = tuple((args or {}).items())
        self.events.append(Event(track, name, start, end, None, flows, items))

    def instant(
        self,
        track: int,
        name: str,
        time: int,
        *,
        flows: tuple[int, ...] = (),
        args: Mapping[str, Value] | None = None,
    ) -> None:
        """Something happened at ``time`` (ns)."""
        self.slice(track, name, time, time, flows=flows, args=args)

    def counter(self, track: int, time: int, value: float) -> None:
        """The counter row ``track`` has ``value`` from ``time`` (ns) on."""
        self.events.append(Event(track, "", time, time, value))

    def to_perfetto(self) -> bytes:
        """The trace as Perfetto protobuf bytes; the same events give the same bytes."""
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

        trace = pb.Trace()
        for track in self.tracks:
            packet = trace.packet.add()
            descriptor = packet.track_descriptor
            descriptor.uuid = track.uuid
            descriptor.name = track.name
            if track.parent is not None:
                descriptor.parent_uuid = track.parent
            if track.counter:
                descriptor.counter.SetInParent()
        kinds = pb.TrackEvent
        for time, kind, event in self._edges():
            packet = trace.packet.add()
            packet.timestamp = time
            packet.trusted_packet_sequence_id = _SEQUENCE
            out = packet.track_event
            out.track_uuid = event.track
            if kind == "end":
                out.type = kinds.TYPE_SLICE_END
                continue
            if kind == "counter":
                out.type = kinds.TYPE_COUNTER
                out.double_counter_value = event.value
                continue
            out.type = kinds.TYPE_SLICE_BEGIN if kind == "begin" else kinds.TYPE_INSTANT
            out.name = event.name
            out.flow_ids.extend(event.flows)
            for key, value in event.args:
                annotation = out.debug_annotations.add()
                annotation.name = key
                if isinstance(value, bool):
                    annotation.bool_value = value
                elif isinstance(value, int):
                    annotation.int_value = value
                elif isinstance(value, float):
                    annotation.double_value = value
                else:
                    annotation.string_value = value
        data: bytes = trace.SerializeToString(deterministic=True)
        return data

    def write(self, path: Path) -> None:
        """Write the Perfetto trace to ``path``, atomically."""
        write_atomically(path, self.to_perfetto())

    def _edges(self) -> list[tuple[int, Literal["begin", "end", "instant", "counter"], Event]]:
        """Begins and ends in the order a trace needs: at one instant inner slices end before outer
        ones, all ends come before begins, and longer slices begin before shorter ones."""
        keyed: list[
            tuple[tuple[int, int, int, int], Literal["begin", "end", "instant", "counter"], Event]
        ] = []
        for order, event in enumerate(self.events):
            length = event.end - event.start
            if event.value is not None:
                keyed.append(((event.start, 1, 0, order), "counter", event))
            elif length == 0:
                keyed.append(((event.start, 2, 0, order), "instant", event))
            else:
                keyed.append(((event.start, 1, -length, order), "begin", event))
                keyed.append(((event.end, 0, length, -order), "end", event))
        keyed.sort(key=lambda edge: edge[0])
        return [(key[0], kind, event) for key, kind, event in keyed]
