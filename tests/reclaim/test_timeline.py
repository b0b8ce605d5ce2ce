"""Timelines of counterexamples: one task does one thing at a time, in Perfetto's eyes, too."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from ring3.kernel.explore.show import trace
from ring3.reclaim import explore
from ring3.timeline import Timeline

EXAMPLES = [
    # a deadlock of two tasks; a read from the disk; kswapd and a task that waits for it
    ("as-today", "ext4-unlinked-transaction"),
    ("as-today", "fat-linked-direct"),
    ("background-only", "overlay-ext4-kswapd"),
    ("inodegc", "fat-linked-direct+slow"),
]


def _example(policy: str, scenario: str) -> tuple[str, Timeline]:
    result = explore.explore(policy, [scenario], schedules=10, budget=30)
    assert result.worst is not None
    return result.worst.name, explore.perfetto(policy, result.worst.name)


@pytest.mark.parametrize(("policy", "scenario"), EXAMPLES)
def test_slices_of_a_task_follow_one_another(policy: str, scenario: str) -> None:
    name, timeline = _example(policy, scenario)
    for track in timeline.tracks:
        slices = [e for e in timeline.events if e.track == track.uuid and e.end > e.start]
        slices.sort(key=lambda event: event.start)
        for before, after in pairwise(slices):
            assert before.end <= after.start, (name, track.name, before.name, after.name)


@pytest.mark.oracle
@pytest.mark.parametrize(("policy", "scenario"), EXAMPLES)
def test_perfetto_reads_it_as_it_is_meant(policy: str, scenario: str, tmp_path: Path) -> None:
    """Its trace processor finds nothing wrong in the file, the slices of each task, and the wake-ups."""
    from trace_processor import query

    name, timeline = _example(policy, scenario)
    faults, slices, overlapping, flows, backwards = query(
        timeline.to_perfetto(),
        (
            "select name, value from stats where severity in ('error', 'data_loss') and value > 0",
            "select track.name, slice.name, ts, dur from slice join track on track_id = track.id",
            "select name from slice where depth > 0 and dur > 0",
            "select out.ts, out.dur, woken.ts from flow join slice out on slice_out = out.id"
            " join slice woken on slice_in = woken.id",
            "select name from slice where dur < 0",
        ),
        tmp_path,
    )
    assert faults == overlapping == backwards == []
    names = {track.uuid: track.name for track in timeline.tracks}
    assert sorted(slices) == sorted(
        (names[e.track], e.name, e.start, e.end - e.start) for e in timeline.events
    )
    # An arrow for each wake-up by a task; time wakes, too, and some slept before the trace began.
    events, _ = trace(*explore._named(policy, name))
    asleep: set[str] = set()
    wakes = 0
    for event in events:
        if event.kind == "sleep":
            asleep.add(event.task)
        elif event.kind == "wake" and event.task in asleep:
            asleep.remove(event.task)
            wakes += not event.by.startswith("swapper")
    assert len(flows) == wakes
    assert all(begin <= woken < begin + length for begin, length, woken in flows)
