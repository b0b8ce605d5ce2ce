"""What exploration finds, shows, replays and shrinks, on programs whose fault (or lack of one) is known."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.errors import BadInput
from ring3.kernel.explore import (
    exhaustive,
    replay,
    sample,
    sample_parallel,
    show,
    shrink,
    timeline,
)
from ring3.kernel.explore.show import trace

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # worker processes import the programs by name
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
programs = importlib.import_module("programs")

WRONG = [
    (programs.abba, "deadlock"),
    (programs.lost_update, "assertion"),
    (programs.sleep_without_recheck, "lost wake-up"),
    (programs.after_you, "livelock"),
    (programs.recursive_read, "deadlock"),
    (programs.irq_takes_lock, "deadlock"),
    (programs.warns_in_one_order, "warning"),
]
RIGHT = [
    programs.ordered,
    programs.locked_update,
    programs.sleep_with_wait_event,
    programs.irq_safe,
    programs.timeout_or_completion,
]


def _name(value):
    return getattr(value, "__name__", value)


@pytest.mark.parametrize(("program", "kind"), WRONG, ids=_name)
def test_exhaustive_finds_it(program, kind):
    result = exhaustive(program, max_steps=200, stop_at_first=True)
    assert [finding.kind for finding in result.findings] == [kind]


@pytest.mark.parametrize(("program", "kind"), WRONG, ids=_name)
@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_sampling_finds_it(program, kind, strategy):
    result = sample(program, strategy, range(500), max_steps=200)
    assert kind in [finding.kind for finding in result.findings]


@pytest.mark.parametrize("program", RIGHT, ids=_name)
def test_nothing_is_found_where_nothing_is_wrong(program):
    result = exhaustive(program)
    assert result.complete
    assert not result.findings
    assert not sample(program, "random", range(200)).findings


@pytest.mark.parametrize(("program", "kind"), WRONG, ids=_name)
def test_replay_is_identical_and_shrinking_keeps_the_kind(program, kind):
    found = sample(program, "random", range(500), max_steps=200)
    finding = next(finding for finding in found.findings if finding.kind == kind)
    assert replay(program, finding.schedule, max_steps=200) == finding
    small = shrink(program, finding)
    assert small.kind == kind
    assert small.steps <= finding.steps + 1
    again = replay(program, small.schedule, max_steps=max(201, small.steps))
    assert again is not None
    assert (again.kind, again.message) == (small.kind, small.message)


def test_shrinking_reaches_the_smallest_deadlock():
    """ABBA needs one preemption: one task takes a lock, the other runs into it, the first goes on."""
    found = sample(programs.abba, "random", range(500))
    small = shrink(programs.abba, found.findings[0])
    letters = "".join(char for char in small.schedule if char.isalpha())
    assert letters in ("aba", "bab")


def test_reduction_is_tenfold_and_says_the_same():
    """Three threads of eight steps.  Mutual exclusion aside there are 24! / 8!^3 plain schedules; with it
    the exact number is counted by dynamic programming over states, without running any."""
    result = exhaustive(programs.locked_update)
    assert result.complete
    # Each lock is taken in one of 3! orders: no reduction can do with fewer than those that differ.
    assert result.schedules == math.factorial(3) ** 2
    assert _plain_schedules() > 10 * (result.schedules + result.pruned)
    plain = exhaustive(programs.locked_update, reduce=False, max_schedules=2000)
    assert plain.findings == result.findings == []


def _plain_schedules():
    """Interleavings of three threads (lock, read, write, unlock) x 2, a lock being free or not."""
    seen = {}

    def count(pcs):
        if all(pc == 8 for pc in pcs):
            return 1
        if pcs not in seen:
            total = 0
            for me, pc in enumerate(pcs):
                if pc == 8:
                    continue
                base = pc - pc % 4
                held = any(base < other < base + 4 for i, other in enumerate(pcs) if i != me)
                if pc % 4 == 0 and held:
                    continue
                total += count((*pcs[:me], pc + 1, *pcs[me + 1 :]))
            seen[pcs] = total
        return seen[pcs]

    return count((0, 0, 0))


def test_preemption_bound_zero_runs_tasks_to_their_end():
    result = exhaustive(programs.abba, preemptions=0)
    assert not result.findings
    assert not result.complete
    assert exhaustive(programs.abba, preemptions=1).findings[0].kind == "deadlock"


def test_the_interleaving_names_tasks_operations_lines_and_the_end():
    finding = exhaustive(programs.abba).findings[0]
    text = show(programs.abba, finding.schedule)
    assert "ab/1" in text
    assert "mutex_lock b" in text
    assert "programs.py:" in text
    assert text.splitlines()[-1] == f"deadlock: {finding.message}"


def test_the_timeline_has_a_track_for_each_task_and_the_same_bytes():
    finding = exhaustive(programs.sleep_without_recheck).findings[0]
    out = timeline(programs.sleep_without_recheck, finding.schedule)
    assert {track.name for track in out.tracks} >= {"waiter/1", "waker/2"}
    assert any("for ever" in event.name for event in out.events)
    assert out.to_perfetto() == out.to_perfetto()


def test_lockdep_can_be_asked_in_every_schedule():
    result = exhaustive(programs.abba, lockdep=True, preemptions=0)
    assert {finding.kind for finding in result.findings} == {"lockdep"}


def test_many_processes_find_what_one_finds():
    one = sample(programs.abba, "random", range(600))
    many = sample_parallel(programs.abba, "random", range(600), workers=2, chunk=100)
    assert many == one


_TRACE = """
import programs
from ring3.kernel.explore import sample
from ring3.kernel.explore.show import trace
for program in (programs.locked_update, programs.after_you):
    found = sample(program, "random", range(50), max_steps=60)
    print(found)
events, _ = trace(programs.sleep_with_wait_event, "a1b3a1")
print("\\n".join(event.line() for event in events))
"""


def test_same_seed_same_bytes_in_every_process():
    runs = []
    for seed in ("1", "2", "random"):
        env = dict(os.environ, PYTHONHASHSEED=seed)
        done = subprocess.run(
            [sys.executable, "-c", _TRACE], env=env, capture_output=True, check=True
        )
        runs.append(done.stdout)
    assert runs[0] == runs[1] == runs[2]
    assert b"wait_event" in runs[0]


@given(st.text(alphabet="ab1z9 -é", max_size=12))
def test_any_string_is_a_schedule_or_one_clear_error(text):
    try:
        replay(programs.abba, text)
        trace(programs.abba, text)
    except BadInput as error:
        assert error.where
