"""The talk's three reports, and what must not be reported, under "as today"."""

from __future__ import annotations

import pytest

from ring3.fs.inodegc import InodegcShrinker
from ring3.kernel import Kernel
from ring3.mm import page_alloc
from ring3.mm.oom import out_of_memory
from ring3.mm.zone import Memory
from ring3.reclaim.compare import Job, run_seeded
from ring3.reclaim.outcome import run
from ring3.reclaim.policies import POLICIES
from ring3.reclaim.scenarios import REPORTS, SCENARIOS, WORKLOADS

#: The trace shown in the talk, innermost first (Linux 7.2; helpers that a compiler may inline left out).
FAT_CHAIN = (
    "__alloc_pages_slowpath",
    "__filemap_get_folio",
    "sb_bread",
    "fat12_ent_bread",
    "fat_truncate_blocks",
    "fat_evict_inode",
    "evict",
    "prune_icache_sb",
    "super_cache_scan",
    "shrink_slab",
)
#: What evicting an unlinked ext4 inode from the dentry LRU allocates for (7.2): either may come first.
EXT4_UNLINKED = (
    ("__alloc_pages_slowpath", "jbd2_journal_start", "ext4_journal_start", "ext4_evict_inode"),
    ("__alloc_pages_slowpath", "ext4_read_inode_bitmap", "ext4_free_inode", "ext4_evict_inode"),
)
FROM_DENTRIES = ("evict", "iput", "dentry_unlink_inode", "prune_dcache_sb", "super_cache_scan")


def contains_in_order(names: list[str], chain: tuple[str, ...]) -> bool:
    rest = iter(names)
    return all(name in rest for name in chain)


def test_fat_from_direct_reclaim() -> None:
    outcome = run(SCENARIOS["fat-linked-direct"], POLICIES["as-today"]())
    warn = outcome.nofail_warns[0]
    names = [frame.function.rpartition(".")[2] for frame in warn.stack]
    assert contains_in_order(names, FAT_CHAIN)
    assert contains_in_order(names, ("try_to_free_pages", "__alloc_pages_direct_reclaim"))
    assert not warn.task.startswith("kswapd")
    # The WARN is not the deadlock: the reserves help, the inode goes, everybody ends.
    assert (outcome.deadlock, outcome.livelock, outcome.panic) == ("", "", "")


@pytest.mark.parametrize(
    "name", ["fat-linked-kswapd", "ext4-linked-kswapd", "ext4-unlinked-kswapd"]
)
def test_background_reclaim(name: str) -> None:
    outcome = run(SCENARIOS[name], POLICIES["as-today"]())
    assert {warn.task.partition("/")[0] for warn in outcome.nofail_warns} == {"kswapd0"}
    for warn in outcome.nofail_warns:
        names = [frame.function.rpartition(".")[2] for frame in warn.stack]
        assert contains_in_order(names, ("evict", "super_cache_scan", "balance_pgdat", "kswapd"))


def test_removed_files_behind_overlayfs() -> None:
    outcome = run(SCENARIOS["overlay-ext4-kswapd"], POLICIES["as-today"]())
    warn = outcome.nofail_warns[0]
    names = [frame.function.rpartition(".")[2] for frame in warn.stack]
    assert warn.task.startswith("kswapd0")
    # Twice through iput: the overlay's inode drops the upper dentry, that drops ext4's inode.
    assert contains_in_order(names, ("ext4_evict_inode", "iput", "ovl_destroy_inode", "iput"))
    assert any(contains_in_order(names, chain + FROM_DENTRIES) for chain in EXT4_UNLINKED)


def test_unlinked_ext4_needs_a_transaction_and_a_bitmap() -> None:
    warns = run(SCENARIOS["ext4-unlinked-direct"], POLICIES["as-today"]()).nofail_warns
    stacks = [[frame.function.rpartition(".")[2] for frame in warn.stack] for warn in warns]
    for chain in EXT4_UNLINKED:
        assert any(contains_in_order(names, chain + FROM_DENTRIES) for names in stacks)


@pytest.mark.parametrize("name", REPORTS)
def test_lockdep_sees_nothing_of_it(name: str) -> None:
    """An allocation under PF_MEMALLOC does not take fs_reclaim (mm/page_alloc.c, __need_reclaim)."""
    kernel = Kernel(lockdep=True)
    assert run(SCENARIOS[name], POLICIES["as-today"](), kernel).nofail_warns
    assert kernel.lockdep is not None
    assert kernel.lockdep.reports == []


@pytest.mark.parametrize("name", REPORTS)
def test_each_report_reproduces(name: str) -> None:
    assert run(SCENARIOS[name], POLICIES["as-today"]()).nofail_warns


XFS = [name for name in {**SCENARIOS, **WORKLOADS} if name.startswith("xfs")]


@pytest.mark.parametrize("programs", [0, 64])
@pytest.mark.parametrize("name", XFS)
def test_xfs_has_no_report(name: str, programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No WARN, deadlock, livelock, panic or leak in any run.  A task may be killed, but never while reclaim
    has anything left to do: each time the memory is in inodes that the worker has, who needs some itself
    (should_reclaim_retry counts the page lists only, and makes a worker sleep a jiffy each time)."""
    kills: list[bool] = []

    def watched(mm: Memory, gfp: int) -> bool:
        before = mm.stats.oom_kills
        answer = out_of_memory(mm, gfp)
        if mm.stats.oom_kills > before:
            queues = [s.gc for s in mm.shrinkers if isinstance(s, InodegcShrinker)]
            kills.append(any(gc.inodes or gc.work.worker for gc in queues))
        return answer

    monkeypatch.setattr(page_alloc, "out_of_memory", watched)
    for seed in range(3):
        outcome = run_seeded(Job("as-today", name, seed, programs))
        assert outcome.warns == ()
        assert outcome.failures.keys() <= {"oom"}
    assert all(kills)
    # Here one page is all that the worker needs, and there is one.
    assert not kills or name not in (
        "xfs-linked-direct",
        "xfs-linked-kswapd",
        "xfs-unlinked-kswapd",
    )


@pytest.mark.parametrize("name", REPORTS)
def test_same_bytes_on_every_run(name: str) -> None:
    first, second = (run(SCENARIOS[name], POLICIES["as-today"]()) for _ in range(2))
    assert first == second
    assert [str(warn) for warn in first.warns] == [str(warn) for warn in second.warns]
