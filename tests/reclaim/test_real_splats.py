"""Kernel reports that people posted: what is read off each, against what stands in it.

The files are excerpts, headline and the frames that matter; their first line says where each is from.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ring3.mm import gfp as G
from ring3.reclaim import splats
from ring3.reclaim.explain import Explanation, explain

FOLDER = Path(__file__).with_name("splats")

#: file -> (kind, task, reclaim entry, eviction, what the verdict must name)
REPORTS = {
    "jffs2-lockdep": (
        "lockdep",
        "kswapd0",
        "kswapd",
        "jffs2_evict_inode",
        "&f->sem is taken inside",
    ),
    "btrfs-lockdep-mail": (
        "lockdep",
        "kswapd0",
        "kswapd",
        "btrfs_evict_inode",
        "made by btrfs_alloc_inode",
    ),
    "xfs-4.14-lockdep": ("lockdep", "xfs_scrub", "direct", "", "made by kmem_zone_alloc"),
    "xfs-4.7-usage": ("lockdep", "fs_mark", "", "", "&xfs_nondir_ilock_class is taken inside"),
    "bcachefs-lockdep": ("lockdep", "kswapd0", "", "", "made by replicas_table_update"),
    "zfs-hung-syslog": (
        "hung task",
        "txg_sync",
        "direct",
        "",
        "An inode is evicted inside reclaim",
    ),
    "kswapd-hung-numbered": ("hung task", "kswapd0", "", "", "waits for I/O (xfs_buf_submit_wait)"),
    "ppc-hung": ("hung task", "systemd-tmpfile", "", "", "waits for I/O (__wait_on_buffer)"),
    "page-alloc-warn-6.12": ("warn", "", "", "", "No reclaim"),
    "failure-5.7": ("allocation failure", "updater", "", "", "No reclaim"),
    "failure-3.19": ("allocation failure", "dmsetup", "", "", "0x2040d0 is printed without names"),
    "failure-2.6.38": ("allocation failure", "z_wr_iss/0", "", "", "0x4020 is printed without"),
}


def _explained(name: str) -> Explanation:
    (splat,) = splats.read(FOLDER / f"{name}.txt")
    return explain(splat)


@pytest.mark.parametrize("name", REPORTS)
def test_report(name: str) -> None:
    kind, task, entry, eviction, told = REPORTS[name]
    answer = _explained(name)
    assert (answer.kind, answer.task, answer.entry, answer.eviction) == (
        kind,
        task,
        entry,
        eviction,
    )
    assert told in " ".join(answer.verdict)


def test_every_file_is_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(REPORTS)


def test_only_masks_with_names_are_decoded() -> None:
    assert _explained("failure-5.7").flags == G.GFP_KERNEL | G.COMP
    assert _explained("failure-3.19").flags is None


def test_the_way_from_kswapd_to_the_eviction_is_in_order() -> None:
    parts = [step.part for step in _explained("btrfs-lockdep-mail").steps]
    assert parts == ["entry", "reclaim", "shrinker", "route", "evict", "eviction"]
