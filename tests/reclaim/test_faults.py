"""A disk that fails, is slow, or loses a request, while inodes are evicted inside reclaim."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ring3.cli.reclaim import reclaim
from ring3.errors import Unsupported
from ring3.fs.block import FAULTS
from ring3.mm.costs import BLOCK_REQUEST
from ring3.reclaim.compare import Job, run_seeded
from ring3.reclaim.outcome import Outcome
from ring3.reclaim.policies import POLICIES
from ring3.reclaim.scenarios import SCENARIOS, scenario

#: Scenarios whose evictions read from the disk: a table block, a bitmap, a btree block, a node.
READING = [
    "fat-linked-direct",
    "fat-unlinked-kswapd",
    "ext4-linked-direct",
    "ext4-unlinked-direct",
    "xfs-linked-direct",
    "xfs-unlinked-kswapd",
    "f2fs-unlinked-direct",
    "overlay-ext4-kswapd",
]


def _run(policy: str, name: str) -> Outcome:
    return run_seeded(Job(policy, name, 0))


@pytest.mark.parametrize("name", READING)
def test_a_failed_read_stops_no_eviction(name: str) -> None:
    """evict() cannot fail, so the filesystem goes on without the block: the inode leaves memory, what it held
    stays allocated on the disk (fat_evict_inode, ext4_evict_inode, xfs_inodegc_inactivate, 7.2)."""
    good, bad = _run("as-today", name), _run("as-today", f"{name}+read-error")
    assert good.io_errors == 0
    assert bad.io_errors > 0
    assert (bad.leaked, bad.deadlock, bad.livelock, bad.panic) == (0, "", "", "")
    assert bool(bad.warns) == bool(good.warns)


#: Under these an inode can stay in memory for good, whatever the disk does.
LEAKING = {"may-fail", "clean-linked", "clean-nothing-pending"}


@pytest.mark.parametrize("policy", sorted(set(POLICIES) - LEAKING))
@pytest.mark.parametrize("fault", ["read-error", "write-error"])
def test_errors_leak_no_inode(policy: str, fault: str) -> None:
    for name in ("fat-linked-direct", "ext4-unlinked-nowait", "xfs-churn"):
        assert _run(policy, f"{name}+{fault}").leaked == 0, name


def test_a_commit_that_cannot_be_written_aborts_the_journal() -> None:
    """Then ext4 gets no transaction any more and evicts without one (jbd2_journal_abort, -EROFS)."""
    outcome = _run("as-today", "ext4-unlinked-nowait+write-error")
    assert outcome.io_errors == 1  # nothing is committed after the first
    assert (outcome.leaked, outcome.deadlock, outcome.livelock) == (0, "", "")


def test_who_waits_for_a_slow_disk() -> None:
    """Today the allocation itself waits until the evictions inside it have read; a worker spares it that."""
    slow = FAULTS["slow"].slow * BLOCK_REQUEST
    assert max(_run("as-today", "fat-linked-direct").latencies) < slow
    assert max(_run("as-today", "fat-linked-direct+slow").latencies) >= slow
    assert max(_run("i-reclaim-hard", "fat-linked-direct+slow").latencies) < slow


def test_who_hangs_on_a_lost_request() -> None:
    today = _run("as-today", "fat-linked-direct+lost")
    assert "alloc0" in today.deadlock
    assert "I/O of block" in today.deadlock
    assert "under PF_MEMALLOC" in today.deadlock
    hard = _run("i-reclaim-hard", "fat-linked-direct+lost")
    assert "kworker" in hard.deadlock
    assert "alloc0" not in hard.deadlock


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_fault_the_same_run(fault: str) -> None:
    job = Job("as-today", f"ext4-churn+{fault}", 3)
    assert run_seeded(job) == run_seeded(job)


def test_names() -> None:
    assert scenario("fat-linked-direct+slow").fault == "slow"
    assert scenario("fat-linked-direct") is SCENARIOS["fat-linked-direct"]
    for name, remedy in (
        ("fat-linked-direct+slw", "did you mean slow?"),
        ("fat-linked-dirct+slow", "did you mean fat-linked-direct?"),
        ("fat-linked-direct+", "one of read-error"),
    ):
        with pytest.raises(Unsupported) as caught:
            scenario(name)
        assert remedy in str(caught.value)


def test_command() -> None:
    arguments = ["compare", "as-today", "--scenario", "fat-linked-direct", "--seeds", "0", "--json"]
    done = CliRunner().invoke(reclaim, [*arguments, "--workers", "1", "--fault", "read-error"])
    (run,) = json.loads(done.output)["runs"]
    assert run["scenario"] == "fat-linked-direct+read-error"
    assert run["io_errors"] > 0
    arguments = ["explore", "as-today", "--scenario", "fat-linked-kswapd", "--fault", "lost"]
    found = CliRunner().invoke(reclaim, [*arguments, "--schedules", "3", "--json"])
    answer = json.loads(found.output)
    assert answer["replay"].startswith("fat-linked-kswapd+lost/")
    again = CliRunner().invoke(reclaim, ["explore", "as-today", "--replay", answer["replay"]])
    assert again.exit_code == 1
    assert "I/O of block" in again.output
