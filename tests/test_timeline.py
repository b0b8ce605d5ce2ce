"""Timelines, read back with Perfetto's own protobuf definitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as pb

from ring3.timeline import Timeline


def packets(timeline: Timeline) -> list[pb.TracePacket]:
    trace = pb.Trace()
    trace.ParseFromString(timeline.to_perfetto())
    return list(trace.packet)


def test_slices_instants_counters_and_flows() -> None:
    timeline = Timeline()
    gpu = timeline.track("GPU")
    queue = timeline.track("queue 0", parent=gpu)
    depth = timeline.track("depth", counter=True)
    timeline.slice(queue, "job 1", 100, 300, flows=(7,), args={"seqno": 1, "ok": True, "name": "x"})
    timeline.instant(queue, "fence", 300, flows=(7,))
    timeline.counter(depth, 150, 2.5)
    found = packets(timeline)
    descriptors = [p.track_descriptor for p in found if p.HasField("track_descriptor")]
    assert [(d.uuid, d.name, d.parent_uuid) for d in descriptors] == [
        (gpu, "GPU", 0),
        (queue, "queue 0", gpu),
        (depth, "depth", 0),
    ]
    events = [(p.timestamp, p.track_event) for p in found if p.HasField("track_event")]
    kinds = pb.TrackEvent
    assert [(time, event.type, event.track_uuid) for time, event in events] == [
        (100, kinds.TYPE_SLICE_BEGIN, queue),
        (150, kinds.TYPE_COUNTER, depth),
        (300, kinds.TYPE_SLICE_END, queue),
        (300, kinds.TYPE_INSTANT, queue),
    ]
    assert list(events[0][1].flow_ids) == [7] == list(events[3][1].flow_ids)
    assert events[1][1].double_counter_value == 2.5
    assert {a.name for a in events[0][1].debug_annotations} == {"seqno", "ok", "name"}


def nested(draw: st.DrawFn, start: int, end: int, depth: int) -> list[tuple[int, int]]:
    spans = [(start, end)]
    if depth and end - start >= 2:
        middle = draw(st.integers(start, end))
        for low, high in ((start, middle), (middle, end)):
            if high > low and draw(st.booleans()):
                spans += nested(draw, low, high, depth - 1)
    return spans


@given(st.data())
def test_slices_that_nest_are_closed_innermost_first(data: st.DataObject) -> None:
    spans = nested(data.draw, 0, data.draw(st.integers(1, 60)), 4)
    timeline = Timeline()
    track = timeline.track("t")
    for number, (start, end) in enumerate(spans):
        timeline.slice(track, str(number), start, end)
    open_slices: list[int] = []
    closed = {}
    for packet in packets(timeline):
        event = packet.track_event
        if event.type == pb.TrackEvent.TYPE_SLICE_BEGIN:
            open_slices.append(int(event.name))
        elif event.type == pb.TrackEvent.TYPE_SLICE_END:
            closed[open_slices.pop()] = packet.timestamp
    assert closed == {number: end for number, (_, end) in enumerate(spans)}


def test_the_same_events_give_the_same_bytes() -> None:
    def build() -> bytes:
        timeline = Timeline()
        track = timeline.track("a")
        timeline.slice(track, "x", 1, 2, args={"b": 1, "a": 2})
        return timeline.to_perfetto()

    assert build() == build()
