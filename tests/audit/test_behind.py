"""What is allocated under a lock behind another allocation: told where two states are compared only."""

from __future__ import annotations

from pathlib import Path

import pytest

from ring3.audit.review import Review, review_trees

_SOURCE = """
struct toy {{ struct mutex lock; struct mutex other; }};
static void far_away(struct toy *toy) {{ {far} }}
static void farther(struct toy *toy) {{ kmalloc(1, GFP_NOFS); far_away(toy); }}
static void near(struct toy *toy) {{ {near} farther(toy); }}
static void third(struct toy *toy) {{ kmalloc(1, GFP_KERNEL); {third} }}
static void toy_write(struct toy *toy)
{{
	mutex_lock(&toy->lock);
	near(toy);
	mutex_unlock(&toy->lock);
}}
static void toy_other(struct toy *toy)
{{
	mutex_lock(&toy->other);
	third(toy);
	mutex_unlock(&toy->other);
}}
static void toy_evict_inode(struct inode *inode)
{{
	struct toy *toy = TOY(inode);
	mutex_lock(&toy->lock);
	mutex_unlock(&toy->lock);
	mutex_lock(&toy->other);
	mutex_unlock(&toy->other);
}}
static const struct super_operations toy_ops = {{ .evict_inode = toy_evict_inode }};
"""
_KERNEL, _NOFS, _NONE = "kmalloc(1, GFP_KERNEL);", "kmalloc(1, GFP_NOFS);", ""


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def compare(old: tuple[str, str, str], new: tuple[str, str, str]) -> Review:
        for name, (near, far, third) in (("old", old), ("new", new)):
            (tmp_path / name).mkdir()
            text = _SOURCE.format(near=near, far=far, third=third)
            (tmp_path / name / "toy.c").write_text(text)
        return review_trees(tmp_path / "old", tmp_path / "new")

    return compare


def functions(findings) -> list[str]:
    return sorted(one.at.function for one in findings if one.lock)


def test_one_behind_another_is_told_in_comparisons(compared) -> None:
    review = compared((_KERNEL, _NOFS, _NONE), (_KERNEL, _KERNEL, _NONE))
    assert functions(review.old.findings) == functions(review.new.findings) == ["near", "third"]
    assert functions(review.new.behind) == ["far_away"]
    assert functions(review.added) == ["far_away"]
    assert "nearer" in review.added[0].why[-1]
    assert not review.removed


def test_the_nearest_stands_for_those_behind_it(compared) -> None:
    review = compared((_NONE, _NOFS, _NONE), (_KERNEL, _KERNEL, _NONE))
    assert functions(review.new.behind) == ["far_away"]
    assert functions(review.added) == ["near"]


def test_one_that_comes_to_the_front_is_nothing_new(compared) -> None:
    review = compared((_KERNEL, _KERNEL, _NONE), (_NONE, _KERNEL, _NONE))
    assert functions(review.new.findings) == ["far_away", "third"]
    assert functions(review.removed) == ["near"]
    assert not review.added


def test_a_place_known_under_another_lock_is_nothing_new_behind(compared) -> None:
    review = compared((_KERNEL, _KERNEL, _NONE), (_KERNEL, _KERNEL, "far_away(toy);"))
    assert {one.lock for one in review.new.behind} == {"toy.lock", "toy.other"}
    assert not review.added


def test_what_falls_below_the_level_is_removed_and_what_rises_to_it_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, holds in (("old", ""), ("new", "if (toy) ")):
        (tmp_path / name).mkdir()
        text = _SOURCE.format(near=_KERNEL, far=_NONE, third=_NONE)
        lock = "\tmutex_lock(&toy->lock);\n\tnear"
        assert lock in text
        text = text.replace(lock, f"\t{holds}mutex_lock(&toy->lock);\n\tif (rare) near")
        (tmp_path / name / "toy.c").write_text(text)
    trees = tmp_path / "old", tmp_path / "new"
    assert not review_trees(*trees).removed
    (sure,), (doubted,) = (
        [one for one in report.findings if one.lock == "toy.lock"]
        for report in (review_trees(*trees).old, review_trees(*trees).new)
    )
    assert (sure.level, sure.id) == ("error", doubted.id)
    assert doubted.level == "warning"
    assert functions(review_trees(*trees, level="error").removed) == ["near"]
    assert functions(review_trees(*trees[::-1], level="error").added) == ["near"]
