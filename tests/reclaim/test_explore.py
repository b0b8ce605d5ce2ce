"""Counterexamples: found, replayed to the same end, shown; and what is not found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ring3.cli.reclaim import reclaim
from ring3.errors import BadInput, Ring3Error
from ring3.kernel import Kernel
from ring3.kernel.explore import exhaustive, sample
from ring3.kernel.explore.outcome import Result, encode
from ring3.reclaim import explore
from ring3.reclaim.scenarios import scenario

#: Each policy that fails, a scenario in which it does, and how.
FAILING = [
    ("as-today", "fat-linked-direct", "warn"),
    ("as-today", "fat-linked-drain", "deadlock"),
    ("mempool", "ext4-linked-direct", "deadlock"),
    ("pinned", "f2fs-linked-direct", "warn"),
    ("background-only", "fat-linked-kswapd", "warn"),
    ("may-fail", "overlay-ext4-kswapd", "leak"),
    ("reserves", "ext4-linked-drain", "deadlock"),
    ("skip-unlinked", "overlay-ext4-kswapd", "warn"),
    ("clean-not-dirty", "ext4-linked-direct", "warn"),
    ("clean-linked", "f2fs-linked-direct", "warn"),
    ("clean-nothing-pending", "overlay-ext4-kswapd", "leak"),
    # Any blocking in evict() is a way to deadlock, in a worker just as well: ext4 before EXT4_IGET_NOWAIT.
    ("as-today", "ext4-unlinked-transaction", "deadlock"),
    ("inodegc", "ext4-unlinked-transaction", "deadlock"),
    ("i-reclaim-hard", "ext4-unlinked-transaction", "deadlock"),
]


@pytest.mark.parametrize(("policy", "scenario", "kind"), FAILING)
def test_counterexample_replays_identically(policy: str, scenario: str, kind: str) -> None:
    result = explore.explore(policy, [scenario], schedules=60, budget=40)
    assert kind in result.found, result.found
    found = explore.smallest(result.found[kind], budget=40)
    first, second = (explore.replay(policy, found.name) for _ in range(2))
    assert first == second
    assert kind in first.failures
    shown = explore.interleaving(policy, found.name)
    assert shown == explore.interleaving(policy, found.name)
    # What fails before its first step has no timeline.
    assert bool(explore.perfetto(policy, found.name).to_perfetto()) == bool(found.finding.schedule)


@pytest.mark.parametrize("policy", ["as-today", "inodegc", "i-reclaim-hard"])
def test_a_lookup_that_does_not_wait_breaks_that_circle(policy: str) -> None:
    """EXT4_IGET_NOWAIT, in ext4 since: the lookup was changed, not the eviction."""
    result = explore.explore(policy, ["ext4-unlinked-nowait"], schedules=60, budget=40)
    assert not {"deadlock", "livelock"} & set(result.found)


@pytest.mark.parametrize(
    "scenario", ["xfs-linked-direct", "xfs-unlinked-kswapd", "xfs-linked-drain"]
)
def test_xfs_neither_warns_nor_deadlocks(scenario: str) -> None:
    result = explore.explore("as-today", [scenario], schedules=60, budget=40)
    assert result.covered[0].complete or result.covered[0].sampled == 120
    assert set(result.found) <= {"oom"}


@pytest.mark.parametrize("policy", ["inodegc", "clean-nothing-pending", "i-reclaim-hard"])
def test_what_never_allocates_in_reclaim_never_warns(policy: str) -> None:
    names = [
        "fat-linked-direct",
        "ext4-unlinked-direct",
        "f2fs-linked-kswapd",
        "overlay-ext4-kswapd",
    ]
    result = explore.explore(policy, names, schedules=30, budget=20)
    assert not {"warn", "deadlock", "livelock", "panic"} & set(result.found)


def test_every_schedule_within_a_bound() -> None:
    result = explore.explore("as-today", ["xfs-linked-direct"], preemptions=1)
    (covered,) = result.covered
    assert (covered.preemptions, covered.complete, covered.sampled) == (1, False, 0)
    assert result.bound == 1
    assert not {"warn", "deadlock", "livelock"} & set(result.found)
    # A budget that not even the schedules without preemption fit into: nothing is claimed.
    cut = explore.explore("as-today", ["ext4-unlinked-nowait"], schedules=3, budget=2)
    (covered,) = cut.covered
    assert (covered.preemptions, covered.complete) == (None, False)
    assert (covered.enumerated, covered.sampled, cut.bound) == (2, 6, None)


def _ends(kernel: Kernel, wrong: tuple[str, str] | None) -> tuple[object, ...]:
    outcome = explore._outcome(kernel, wrong)
    warns = tuple((warn.task, warn.message, warn.stack) for warn in outcome.warns)
    return (*outcome.failures.items(), warns, outcome.operations, outcome.time)


def _all_ends(run: Callable[..., Result], *arguments: object, **options: object) -> set[object]:
    ends: set[object] = set()
    result = run(
        *arguments, observe=lambda kernel, wrong: ends.add(_ends(kernel, wrong)), **options
    )
    assert result.complete or run is sample
    return ends


@pytest.mark.parametrize("policy", ["as-today", "pinned"])
@pytest.mark.parametrize("name", ["fat-unlinked-kswapd", "ext4-unlinked-kswapd"])
def test_what_is_called_every_schedule_is(policy: str, name: str) -> None:
    """Random and PCT schedules, which know nothing of the enumeration, end in no way that it has not seen."""
    run = partial(explore.program, policy, replace(scenario(name), allocate=2))
    every = _all_ends(exhaustive, run, preemptions=30)
    for strategy in ("random", "pct"):
        assert _all_ends(sample, run, strategy, range(100)) <= every


def test_a_bound_is_what_it_says() -> None:
    """Every random schedule is enumerated once the bound is as large as its preemptions."""
    run = partial(explore.program, "inodegc", scenario("fat-linked-direct"))
    seen: set[str] = set()

    def note(kernel: Kernel, wrong: tuple[str, str] | None) -> None:
        seen.add(encode(kernel.parts["scheduler"].choices))

    result = exhaustive(run, preemptions=2, observe=note)
    assert result.exhausted
    assert len(seen) == result.schedules  # none twice
    fewer = exhaustive(run, preemptions=1, observe=lambda k, w: None)
    assert fewer.schedules < result.schedules


def test_another_process_replays_the_same() -> None:
    result = explore.explore("as-today", ["ext4-unlinked-transaction"], schedules=60, budget=40)
    found = result.found["deadlock"]
    code = (
        "from ring3.reclaim.explore import replay, interleaving\n"
        f"print(replay('as-today', '{found.name}'))\n"
        f"print(interleaving('as-today', '{found.name}'))"
    )
    # Another hash seed, so that nothing may hang on the order of sets.
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert found.message in outputs[0]


def test_a_schedule_of_something_else_is_refused() -> None:
    for name in ("nonsense", "fat-linked-direct", "fat-linked-direct/zz9", "nowhere/a1"):
        with pytest.raises(Ring3Error):
            explore.replay("as-today", name)
    with pytest.raises(BadInput):
        explore.replay("as-today", "fat-linked-direct/!")
    result = explore.explore("as-today", ["fat-linked-kswapd"], schedules=1, budget=10)
    whole = result.found["warn"].name
    assert explore.replay("as-today", whole).warns
    letters = whole.rstrip("0123456789")
    last = int(whole.removeprefix(letters))
    for edited in (f"{letters}{last - 1}", f"{letters}{last + 1}", letters[:-1], whole + "a1"):
        with pytest.raises(BadInput):
            explore.replay("as-today", edited)


@given(st.text("abcdefz0123456789/-", max_size=30))
def test_any_schedule_string(text: str) -> None:
    try:
        explore.replay("as-today", f"f2fs-linked-direct/{text}")
    except Ring3Error as error:
        assert error.where


def test_command(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    common = ["explore", "as-today", "--scenario", "fat-linked-direct", "--schedules", "5"]
    done = CliRunner().invoke(reclaim, [*common, "--perfetto", str(trace)])
    assert done.exit_code == 1
    assert "1 schedules of 1 scenario: warn" in done.output
    assert "every schedule (1)" in done.output
    assert "fat12_ent_bread" in done.output
    assert trace.stat().st_size > 100
    name = json.loads(CliRunner().invoke(reclaim, [*common, "--json"]).output)["replay"]
    again = CliRunner().invoke(reclaim, ["explore", "as-today", "--replay", name])
    assert again.exit_code == 1
    assert "NOFAIL under PF_MEMALLOC" in again.output
    quiet = ["explore", "as-today", "--scenario", "xfs-unlinked-kswapd", "--schedules", "5"]
    assert "nothing goes wrong" in CliRunner().invoke(reclaim, quiet).output
