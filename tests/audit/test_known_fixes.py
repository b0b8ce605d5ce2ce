"""Fixes of reclaim bugs taken out of real trees: found without them, not found with them."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

import pytest

from ring3 import linux_source
from ring3.audit import store
from ring3.audit.findings import Finding
from ring3.audit.run import analyse
from tests.audit.between_trees import BETWEEN
from tests.audit.known_fixes import FIXES, Edit, Fix
from tests.audit.upstream_fixes import UPSTREAM

EVERY = (*FIXES, *UPSTREAM, *BETWEEN)

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(1800)]


# One tree at a time: the facts of one take 350 MiB.
@lru_cache(maxsize=1)
def loaded(version: str, folders: tuple[str, ...]) -> tuple[Path, store.Loaded]:
    tree = linux_source.kernel_source(version)
    return tree, store.load(store.list_sources(tree, (*store.core_folders(tree), *folders)))


@cache
def findings(
    version: str, folders: tuple[str, ...], subject: str, edits: tuple[Edit, ...] = ()
) -> list[Finding]:
    tree, facts = loaded(version, folders)
    if edits:
        facts = facts.overlaid(without(tree, edits))
    return analyse(tree, facts, (subject,), (), lambda what, done, total: None).findings


def without(tree: Path, edits: tuple[Edit, ...]) -> dict[str, bytes]:
    """File -> content with the edits made; each must change something."""
    changed: dict[str, str] = {}
    for edit in edits:
        text = changed.get(edit.file) or (tree / edit.file).read_text(errors="replace")
        begin, end = 0, len(text)
        if edit.function:
            found = re.search(
                rf"^[^\n;]*\b{edit.function}\([^;{{]*\)[^;{{]*\n?\{{.*?^\}}", text, re.M | re.S
            )
            assert found, f"no {edit.function} in {edit.file}"
            begin, end = found.span()
        assert edit.change[0] in text[begin:end], f"{edit} changes nothing"
        changed[edit.file] = text[:begin] + text[begin:end].replace(*edit.change) + text[end:]
    return {name: text.encode() for name, text in changed.items()}


def locks(one: Finding) -> set[str]:
    """The lock of a finding, and those that it names besides: of an allocation under many four are told."""
    also = [
        reason.removeprefix("also under ").split(", ") for reason in one.why if "also u" in reason
    ]
    return {one.lock}.union(*also)


def shown(fix: Fix, these: list[Finding]) -> set[tuple[str, str]]:
    """What a user sees by default of the fix's bug: (function, identity)."""
    return {
        (one.at.function, one.id)
        for one in these
        if one.level != "note"
        and fix.lock in locks(one)
        and one.rule == fix.rule
        and fix.function in ("", one.at.function)
    }


@pytest.mark.parametrize("fix", EVERY, ids=lambda fix: fix.title)
def test_the_bug_is_found_without_its_fix_and_not_with_it(fix: Fix) -> None:
    broken = shown(fix, findings(fix.version, fix.folders, fix.subject, fix.edits))
    mended = shown(fix, findings(fix.fixed or fix.version, fix.folders, fix.subject))
    if fix.missed:
        assert broken <= mended, "it is found now: say so in known_fixes.py"
    else:
        assert broken - mended


def test_most_are_found() -> None:
    for fixes in (FIXES, UPSTREAM):
        found = [fix for fix in fixes if not fix.missed]
        assert len(fixes) >= 30
        assert len(found) / len(fixes) > 0.8
