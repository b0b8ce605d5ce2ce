"""Fixes of reclaim bugs taken out of real trees: found without them, not found with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

import pytest

from ring3 import linux_source
from ring3.audit import store
from ring3.audit.compare import difference
from ring3.audit.findings import Finding, at_least
from ring3.audit.run import analyse
from tests.audit.between_trees import BETWEEN
from tests.audit.known_fixes import FIXES, Edit, Fix
from tests.audit.upstream_fixes import UPSTREAM

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(1800)]

Tree = tuple[str, tuple[str, ...]]  # version, folders that are read besides the core


def of_filesystem(fix: Fix) -> bool:
    """Whether the fix is of one filesystem's own files, which no other subject is made of."""
    return fix.subject[:3] == "fs/" and all(
        edit.file.startswith(f"{fix.subject}/") for edit in fix.edits
    )


def batches(fixes: Iterable[Fix]) -> list[list[Fix]]:
    """Fixes that are taken out of a tree together, since joining its files takes longer than one subject:
    those of different filesystems."""
    found: list[list[Fix]] = []
    for fix in sorted(fixes, key=lambda fix: (fix.version, fix.folders)):
        for batch in found:
            if (
                (batch[0].version, batch[0].folders) == (fix.version, fix.folders)
                and fix.subject not in [other.subject for other in batch]
                and all(map(of_filesystem, (fix, *batch)))
            ):
                batch.append(fix)
                break
        else:
            found.append([fix])
    return found


BATCHES = batches((*FIXES, *UPSTREAM, *BETWEEN))


# One tree at a time: the facts of one take 350 MiB.
@lru_cache(maxsize=1)
def loaded(version: str, folders: tuple[str, ...]) -> tuple[Path, store.Loaded]:
    tree = linux_source.kernel_source(version)
    return tree, store.load(store.list_sources(tree, (*store.core_folders(tree), *folders)))


@cache
def findings(of: Tree, subjects: frozenset[str], edits: tuple[Edit, ...] = ()) -> list[Finding]:
    tree, facts = loaded(*of)
    if edits:
        facts = facts.overlaid(without(tree, edits))
    report = analyse(tree, facts, tuple(subjects), (), lambda what, done, total: None)
    return [*report.findings, *report.behind]


def as_it_is(of: Tree) -> list[Finding]:
    """The findings of a tree in all subjects that have a fix here."""
    subjects = {
        fix.subject
        for batch in BATCHES
        for fix in batch
        if of in ((fix.version, fix.folders), (fix.fixed, fix.folders))
    }
    return findings(of, frozenset(subjects))


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
    """What of ``these`` is the fix's bug: (function, identity)."""
    return {
        (one.at.function, one.id)
        for one in these
        if one.level != "note"
        and f"{one.subject}/".startswith(f"{fix.subject}/")
        and fix.lock in locks(one)
        and one.rule == fix.rule
        and fix.function in ("", one.at.function)
    }


@pytest.mark.parametrize(
    ("fix", "batch"),
    [pytest.param(fix, batch, id=fix.title) for batch in BATCHES for fix in batch],
)
def test_the_bug_is_found_without_its_fix_and_not_with_it(fix: Fix, batch: list[Fix]) -> None:
    tree = (fix.version, fix.folders)
    edits = tuple(edit for other in batch for edit in other.edits)
    subjects = frozenset(other.subject for other in batch)
    broken = findings(tree, subjects, edits) if fix.edits else as_it_is(tree)
    mended = as_it_is((fix.fixed or fix.version, fix.folders))
    # As a comparison tells it, or the list of all findings.
    added, _ = difference(at_least(mended, "warning"), at_least(broken, "warning"))
    listed, still = (
        shown(fix, [one for one in these if not one.behind]) for these in (broken, mended)
    )
    found = shown(fix, added) | (listed - still)
    if fix.missed:
        assert not found, "it is found now: say so in known_fixes.py"
    else:
        assert found


def test_most_are_found() -> None:
    for fixes in (FIXES, UPSTREAM):
        found = [fix for fix in fixes if not fix.missed]
        assert len(fixes) >= 30
        assert len(found) / len(fixes) > 0.8
