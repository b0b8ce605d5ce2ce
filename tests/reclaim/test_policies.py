"""What each proposal leads to, as the talk and the list argued; and that it is the same every time."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ring3.cli.reclaim import reclaim
from ring3.cluster import executor
from ring3.reclaim.compare import Job, compare, jobs, measure, rows, run_seeded
from ring3.reclaim.outcome import run
from ring3.reclaim.policies import POLICIES
from ring3.reclaim.scenarios import SCENARIOS, WORKLOADS

#: The objection raised against each proposal: (policy, scenario, what goes wrong there).
OBJECTIONS = [
    # A pool's pages come back when reclaim frees them: reclaim that waits for the pool never does.
    ("mempool", "ext4-linked-direct", "deadlock"),
    # A transaction and a slab object cannot be pinned in advance.
    ("pinned", "ext4-unlinked-direct", "warn"),
    ("pinned", "f2fs-linked-direct", "warn"),
    # kswapd may not block or allocate any more than a direct reclaimer.
    ("background-only", "fat-linked-kswapd", "warn"),
    ("background-only", "overlay-ext4-kswapd", "warn"),
    # Nobody to tell: the unlinked inode stays for ever.
    ("may-fail", "overlay-ext4-kswapd", "leak"),
    # Any reserve is used up by enough inodes.
    ("reserves", "ext4-linked-drain", "deadlock"),
    # iput_final evicts past the LRU; and linked inodes need pages, too.
    ("skip-unlinked", "overlay-ext4-kswapd", "warn"),
    ("skip-unlinked", "fat-linked-direct", "warn"),
    # f2fs allocates for a linked inode that is not I_DIRTY.
    ("clean-not-dirty", "f2fs-linked-direct", "warn"),
    ("clean-linked", "f2fs-linked-direct", "warn"),
]


@pytest.mark.parametrize(("policy", "scenario", "failure"), OBJECTIONS)
def test_objection_holds(policy: str, scenario: str, failure: str) -> None:
    assert failure in run(SCENARIOS[scenario], POLICIES[policy]()).failures


def test_warn_and_deadlock_are_two_outcomes() -> None:
    as_today = POLICIES["as-today"]
    mempool = POLICIES["mempool"]
    assert list(run(SCENARIOS["fat-linked-direct"], as_today()).failures) == ["warn"]
    assert list(run(SCENARIOS["fat-linked-drain"], as_today()).failures) == ["deadlock", "warn"]
    assert list(run(SCENARIOS["fat-linked-drain"], mempool()).failures) == ["deadlock"]


@pytest.mark.parametrize("policy", ["inodegc", "i-reclaim-hard", "clean-nothing-pending"])
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_no_nofail_under_pf_memalloc(policy: str, name: str) -> None:
    """What these three do promise, whatever else they cost."""
    assert run(SCENARIOS[name], POLICIES[policy]()).warns == ()


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_the_machine_is_big_enough_today(name: str) -> None:
    """So that an OOM kill under another policy is that policy's doing."""
    outcome = run(WORKLOADS[name], POLICIES["as-today"]())
    assert (outcome.oom_kills, outcome.deadlock, outcome.livelock, outcome.panic) == (0, "", "", "")
    wanted = WORKLOADS[name]
    assert outcome.operations == (
        wanted.users * wanted.operations + wanted.allocators * wanted.allocate
    )


def test_same_job_same_bytes_in_any_process() -> None:
    work = jobs(["as-today", "mempool"], ["fat-linked-direct", "overlay-ext4-kswapd"], 3)
    here = compare(work)
    with executor(workers=2) as pool:
        assert compare(work, pool) == here
    job = Job("as-today", "ext4-churn", 7)
    assert repr(measure(job)) == repr(measure(job))
    first, second = (run_seeded(job) for _ in range(2))
    assert [str(w) for w in first.warns] == [str(w) for w in second.warns]


def test_rows_add_up() -> None:
    cells = compare(jobs(["as-today", "may-fail"], ["overlay-ext4-kswapd", "xfs-churn"], 1))
    found = {row.policy: row for row in rows(cells)}
    assert found["as-today"].runs == 4
    assert found["as-today"].warn == sum(c.warned > 0 for c in cells if c.policy == "as-today")
    assert found["may-fail"].leaked == sum(c.leaked for c in cells if c.policy == "may-fail")


def test_command() -> None:
    arguments = ["compare", "as-today", "--scenario", "fat-linked-direct", "--seeds", "0", "--json"]
    done = CliRunner().invoke(reclaim, [*arguments, "--workers", "1"])
    answer = json.loads(done.output)
    assert answer["rows"][0]["warn"] == 1
    assert CliRunner().invoke(reclaim, ["compare", "nonsense"]).exception is not None
