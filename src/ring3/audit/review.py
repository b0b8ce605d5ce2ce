"""Two states of a tree compared: a patch before and after, or two trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ring3.audit import patch as patches
from ring3.audit import store
from ring3.audit.compare import difference
from ring3.audit.findings import Finding, Level, at_least
from ring3.audit.program import unit_of
from ring3.audit.run import Progress, Report, analyse, audit, require
from ring3.audit.tables import SHARED


@dataclass
class Review:
    """``added`` are findings only of the new state, ``removed`` only of the old one."""

    old: Report
    new: Report
    added: list[Finding]
    removed: list[Finding]


def review_trees(old: Path, new: Path, level: Level = "note", **options: object) -> Review:
    """Compare two trees; ``options`` as for :func:`ring3.audit.run.audit`.

    A subject may be in one of them only.  What rises to ``level`` is added, what falls below it removed.
    """
    before = audit(old, strict=False, **options)  # type: ignore[arg-type]
    after = audit(new, strict=False, **options)  # type: ignore[arg-type]
    require(options.get("subjects", ()), [*before.subjects, *after.subjects], new)  # type: ignore[arg-type]
    return _compared(before, after, level)


def review_patch(
    root: Path,
    made: Sequence[Path],
    *,
    folders: tuple[str, ...] | None = None,
    subjects: tuple[str, ...] = (),
    roots: tuple[str, ...] = (),
    level: Level = "note",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Review:
    """What the patches ``made``, applied in turn, add to the findings of ``root``, and what they remove.

    ``level`` as for :func:`review_trees`.  Only the subjects of the changed files are walked.  A change
    to shared code (the VFS, mm, headers) is judged by ``subjects``, or by the filesystems named in
    :data:`SAMPLE` when none are given.
    """
    report = progress or (lambda what, done, total: None)
    changed = patches.overlay(root, made)
    chosen = store.core_folders(root) if folders is None else folders
    # A patch to a driver brings the driver in.
    beside = tuple(str(Path(name).parent) for name in changed if name.endswith((".c", ".h")))
    sources = store.list_sources(root, store.with_folders(root, chosen, beside))
    loaded = store.load(
        sources,
        later=changed,
        workers=workers,
        progress=lambda done, total: report("reading source", done, total),
    )
    wanted = subjects or tuple(
        sorted({unit_of(name) for name in changed if name.endswith((".c", ".h"))})
    )
    if any(_is_shared(unit) for unit in wanted) and not subjects:
        wanted = (*wanted, *SAMPLE)
    before = analyse(root, loaded, wanted, roots, report, strict=False, workers=workers)
    after = analyse(
        root, loaded.overlaid(changed), wanted, roots, report, strict=False, workers=workers
    )
    return _compared(before, after, level)


def _compared(before: Report, after: Report, level: Level) -> Review:
    old, new = (at_least([*each.findings, *each.behind], level) for each in (before, after))
    return Review(before, after, *difference(old, new))


#: Filesystems that stand for all when a patch changes what they share: small ones with every kind of
#: eviction (buffers, journal, log, quota), so that the answer comes while the reviewer waits.
SAMPLE = ("fs/fat", "fs/ext2", "fs/ext4", "fs/exfat")


def _is_shared(unit: str) -> bool:
    return unit == "include" or unit.endswith(".c") or unit in SHARED
