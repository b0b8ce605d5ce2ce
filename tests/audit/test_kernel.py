"""Known bugs of real kernels, found, and gone where they are fixed."""

from __future__ import annotations

import pytest

from ring3 import linux_source
from ring3.audit import run
from ring3.audit.run import Report

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Report]:
    """Reports by (version, subject), made once."""
    return {}


def report(audited: dict[tuple[str, str], Report], version: str, subject: str) -> Report:
    key = (version, subject)
    if key not in audited:
        audited[key] = run.audit(linux_source.kernel_source(version), subjects=(subject,))
    return audited[key]


def steps(found: Report, rule: str) -> list[list[tuple[str, int]]]:
    """The chains of the findings that are shown by default, as (file, line)."""
    return [
        [(step.file, step.line) for step in one.chain]
        for one in found.findings
        if one.rule == rule and one.level != "note"
    ]


def in_order(wanted: list[tuple[str, int]], chain: list[tuple[str, int]]) -> bool:
    left = iter(chain)
    return all(step in left for step in wanted)


# The chains as reported on the mailing lists and read off 7.2 by hand.  fat's is that of a file with links:
# for one without, fat_evict_inode() truncates to 0 (line 659), and fat_free() has no new end to look up.
FAT = [
    ("fs/fat/inode.c", 662),
    ("fs/fat/inode.c", 636),
    ("fs/fat/file.c", 398),
    ("fs/fat/file.c", 357),
    ("fs/fat/fatent.c", 372),
    ("fs/fat/fatent.c", 77),
    ("include/linux/buffer_head.h", 348),
    ("fs/buffer.c", 1439),
    ("fs/buffer.c", 1044),
    ("fs/buffer.c", 1026),
    ("fs/buffer.c", 960),
]
EXT4 = [("fs/ext4/super.c", 1566), ("fs/ext4/extents_status.c", 540)]
EXT4_UNLINKED = [("fs/ext4/inode.c", 319), ("fs/ext4/ialloc.c", 289), ("fs/ext4/ialloc.c", 146)]


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [("fs/fat", FAT), ("fs/ext4", EXT4), ("fs/ext4", EXT4_UNLINKED)],
    ids=["fat", "ext4 linked", "ext4 unlinked"],
)
def test_the_chains_of_7_2(
    audited: dict[tuple[str, str], Report], subject: str, wanted: list[tuple[str, int]]
) -> None:
    chains = steps(report(audited, "7.2", subject), "nofail-in-reclaim")
    assert any(in_order(wanted, chain) for chain in chains)


def test_only_the_dentry_shrinker_evicts_inodes_without_links_on_7_2(
    audited: dict[tuple[str, str], Report],
) -> None:
    def calls(subject: str) -> list[list[str]]:
        return [
            [step.call for step in one.chain]
            for one in report(audited, "7.2", subject).findings
            if one.rule == "nofail-in-reclaim" and one.level != "note"
        ]

    # ext2_evict_inode() deletes what has no links, and allocates for nothing else.
    assert calls("fs/ext2")
    assert all("dispose_list" not in chain for chain in calls("fs/ext2"))
    # ocfs2 has no inodes on the list (inode_just_drop()), and all its dentries have ->d_iput().
    assert calls("fs/ocfs2")
    for chain in calls("fs/ocfs2"):
        assert "dispose_list" not in chain
        if "iput_final" in chain:
            assert chain[chain.index("dentry_unlink_inode") + 1] == "ocfs2_dentry_iput"


def test_f2fs_has_chains_and_xfs_has_none_on_7_2(audited: dict[tuple[str, str], Report]) -> None:
    assert steps(report(audited, "7.2", "fs/f2fs"), "nofail-in-reclaim")
    assert steps(report(audited, "7.2", "fs/xfs"), "nofail-in-reclaim") == []


def test_exfat_s_lock_is_found_in_6_1_and_gone_in_6_12(
    audited: dict[tuple[str, str], Report],
) -> None:
    def found(version: str) -> bool:
        return any(
            one.lock == "exfat_sb_info.s_lock" and one.at.function == "exfat_get_dentry_set"
            for one in report(audited, version, "fs/exfat").findings
        )

    assert found("6.1")
    assert not found("6.12")


def test_xfs_dquot_tree_is_found_in_6_1_and_gone_in_6_12(
    audited: dict[tuple[str, str], Report],
) -> None:
    def found(version: str) -> bool:
        return any(
            one.lock == "xfs_quotainfo.qi_tree_lock" and one.level != "note"
            for one in report(audited, version, "fs/xfs").findings
        )

    assert found("6.1")
    assert not found("6.12")


def test_ext4_writepages_deadlock_is_found_without_its_fix(
    audited: dict[tuple[str, str], Report],
) -> None:
    """Debian's 6.1 has the fix of 6.4 backported; without the scope that it added, the bug is found."""
    tree = linux_source.kernel_source("6.1")
    header = (tree / "fs/ext4/ext4.h").read_text()
    assert header.count("return memalloc_nofs_save();") == 2
    overlay = {
        "fs/ext4/ext4.h": header.replace("return memalloc_nofs_save();", "return 0;").encode()
    }
    lock = "ext4_sb_info.s_writepages_rwsem"
    broken = run.audit(tree, subjects=("fs/ext4",), overlay=overlay)
    assert any(one.lock == lock and one.level != "note" for one in broken.findings)
    fixed = report(audited, "6.1", "fs/ext4")
    assert not any(one.lock == lock and one.level != "note" for one in fixed.findings)


def test_nvme_tells_what_every_reset_does_and_not_what_the_first_did_on_7_2() -> None:
    """A controller that has I/O has been identified: ``if (!ctrl->identified)`` is not taken again."""
    found = run.audit(linux_source.kernel_source("7.2"), folders=("drivers/nvme",))
    told = {one.at.function for one in found.findings if one.level != "note"}
    assert "nvme_identify_ctrl" in told
    assert not told & {"nvme_init_effects_log", "nvme_init_subsystem", "nvme_hwmon_init"}
