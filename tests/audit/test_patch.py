"""Patches, applied in memory as patch(1) and git apply them to files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.audit import patch as patches
from ring3.audit.review import review_patch
from ring3.audit.run import SAMPLE
from ring3.errors import BadInput, Ring3Error

TREE = SAMPLE


def make_patch(tmp_path: Path, name: str, change: Callable[[str], str]) -> Path:
    """A patch made by diff(1) that changes file ``name`` of the small tree."""
    old, new = tmp_path / "a", tmp_path / "b"
    shutil.copytree(TREE, old, dirs_exist_ok=True)
    shutil.copytree(TREE, new, dirs_exist_ok=True)
    (new / name).write_text(change((new / name).read_text()))
    done = subprocess.run(
        ["diff", "-ruN", "a", "b"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    out = tmp_path / "change.patch"
    out.write_text(done.stdout)
    return out


def test_a_patch_that_adds_a_bug_is_told(tmp_path: Path) -> None:
    made = make_patch(
        tmp_path,
        "locks.c",
        lambda text: text.replace("kzalloc(64, GFP_NOFS)", "kzalloc(64, GFP_KERNEL)"),
    )
    review = review_patch(TREE, made)
    assert [(one.rule, one.lock, one.at.function) for one in review.added] == [
        ("lock-across-reclaim", "toy_sb_info.table_lock", "toy_lookup_nofs")
    ]
    assert review.removed == []


def test_a_patch_that_fixes_a_bug_is_told(tmp_path: Path) -> None:
    made = make_patch(
        tmp_path,
        "locks.c",
        lambda text: text.replace(
            "\tkmalloc(16, GFP_KERNEL);\t\t\t/* LINE lock-guard", "\t/* none"
        ),
    )
    review = review_patch(TREE, made)
    assert [one.at.function for one in review.removed] == ["toy_guard"]
    assert review.added == []


def test_the_overlay_is_what_patch_1_makes(tmp_path: Path, needs: Callable[[str], str]) -> None:
    patch = needs("patch")

    def change(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join([*lines[:3], "int added;\n", *lines[3:20], *lines[24:], "int last;\n"])

    made = make_patch(tmp_path, "locks.c", change)
    moved = tmp_path / "moved"
    shutil.copytree(TREE, moved)
    # The tree has gone on since: the hunks have moved by five lines.
    (moved / "locks.c").write_text("/* 1 */\n" * 5 + (moved / "locks.c").read_text())
    laid = patches.overlay(moved, made)
    subprocess.run([patch, "-p1", "-s", "-i", str(made)], cwd=moved, check=True)
    assert laid == {"locks.c": (moved / "locks.c").read_bytes()}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nothing here", "no unified diff"),
        ("--- a/no.c\n+++ b/no.c\n@@ -1 +1 @@\n-a\n+b\n", "not in the tree"),
        ("--- a/locks.c\n+++ b/locks.c\n@@ -1 +1 @@\n-not there\n+b\n", "does not apply"),
        ("--- a/locks.c\n+++ b/locks.c\n@@ -1,9 +1,9 @@\n-x\n", "ends inside|shorter"),
        ("--- a/../../etc/passwd\n+++ b/../../etc/passwd\n@@ -1 +1 @@\n-x\n+y\n", "outside"),
        ("@@ -1 +1 @@\n-x\n+y\n", "without a file"),
    ],
)
def test_what_does_not_apply_says_why(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.patch"
    path.write_text(text)
    with pytest.raises(BadInput, match=reason):
        patches.overlay(TREE, path)


@given(st.binary(max_size=300))
def test_garbage_is_parsed_or_refused(data: bytes) -> None:
    try:
        patches.parse(b"--- a/x\n+++ b/x\n@@ -1,3 +1,2 @@\n" + data, "x")
        patches.parse(data, "x")
    except Ring3Error:
        pass
