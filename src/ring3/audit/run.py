"""``audit(TREE)``: from a folder to findings.  What other programs call."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ring3.audit import results, store
from ring3.audit.findings import RULES, Finding, ranked, told_apart
from ring3.audit.forms import Facts
from ring3.audit.program import Program
from ring3.audit.reclaim import Audit, Subject
from ring3.cluster import each, forked, inherited
from ring3.errors import BadInput, one_of

Progress = Callable[[str, int, int], None]

_IDENTITY = re.compile("[0-9a-f]{8}")
#: So few subjects are walked here rather than in processes of their own.
_FEW = 4

#: A filesystem of our own in a few C files, with each kind of bug in it once.
SAMPLE = Path(__file__).parent / "sample"


@dataclass
class Report:
    """The answer.

    ``problems`` are (file, why) of what was left out; ``cut`` are subjects too large to finish.
    ``behind`` matter in comparisons only (:attr:`Finding.behind`).
    """

    root: Path
    findings: list[Finding]
    behind: list[Finding] = field(default_factory=list)
    subjects: dict[str, int] = field(default_factory=dict)  # unit -> nodes walked
    problems: list[tuple[str, str]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    suppressed: int = 0
    known: int = 0  # to the baseline
    files: int = 0
    functions: int = 0
    seconds: float = 0.0
    overlay: Mapping[str, bytes] = field(default_factory=dict)  # laid over the tree


@store.not_collecting()
def audit(
    root: Path,
    *,
    folders: tuple[str, ...] | None = None,
    subjects: tuple[str, ...] = (),
    roots: tuple[str, ...] = (),
    overlay: Mapping[str, bytes] | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
    strict: bool = True,
) -> Report:
    """Audit the tree ``root``.

    ``folders`` are those to read (None: the core of a kernel tree, all of any other; () all).
    ``subjects`` limits the walk to filesystems or drivers (``fs/ext4``, ``drivers/nvme``), which are read
    wherever they are; ``roots`` are more functions that reclaim calls.  ``overlay`` lays (path -> content)
    over the tree.  BadInput when there is no source, or (``strict``) no such subject.
    """
    started = time.monotonic()
    chosen = store.core_folders(root) if folders is None else folders
    chosen = store.with_folders(root, chosen, subjects)
    sources = store.list_sources(root, chosen)
    report_progress = progress or (lambda what, done, total: None)
    loaded = store.load(
        sources,
        overlay=overlay,
        workers=workers,
        cluster=cluster,
        progress=lambda done, total: report_progress("reading source", done, total),
    )
    report = analyse(root, loaded, subjects, roots, report_progress, strict=strict, workers=workers)
    report.seconds = time.monotonic() - started
    report.overlay = overlay or {}
    return report


@store.not_collecting()
def analyse(
    root: Path,
    loaded: store.Loaded,
    subjects: tuple[str, ...],
    roots: tuple[str, ...],
    progress: Progress,
    *,
    strict: bool = True,
    workers: int | None = None,
) -> Report:
    """The decisions about ``loaded``.  ``strict``: every name in ``subjects`` must exist.

    What was decided about the same contents before is taken from the cache.
    """
    facts = loaded.facts
    key = results.tree_key(loaded.keys, roots)
    units, walk = _units(key, facts, roots, progress)
    for name in roots:
        if not any(name == function.name for fact in facts.values() for function in fact.functions):
            raise BadInput(f"no function {name} in what was read", where=str(root))
    if strict:
        require(subjects, units, root)
    wanted = [
        unit for unit in units if not subjects or any(_within(unit, name) for name in subjects)
    ]
    found = _known(key, wanted)
    missing = [unit for unit in wanted if unit not in found]
    if missing:
        walk = walk or _joined(facts, roots, progress)
        fresh = dict(_walk(walk, missing, progress, workers))
        found.update((unit, results.unpack(blob)) for unit, blob in fresh.items())
        store.keep_results([(key + unit.encode(), blob) for unit, blob in fresh.items()])
    findings = [one for unit in wanted for one in told_apart(found[unit].findings)]
    kept = [one for one in findings if not _suppressed(one, facts)]
    return Report(
        root,
        ranked([one for one in kept if not one.behind]),
        [one for one in kept if one.behind],
        subjects={unit: found[unit].nodes for unit in wanted},
        problems=[
            *((name, fact.problem) for name, fact in facts.items() if fact.problem),
            *_allowed_nothing(facts, findings, complete=not subjects),
        ],
        cut=[unit for unit in wanted if found[unit].cut],
        suppressed=sum(not one.behind for one in findings) - sum(not one.behind for one in kept),
        files=len(facts),
        functions=sum(len(fact.functions) for fact in facts.values()),
    )


def require(subjects: Iterable[str], units: list[str], root: Path) -> None:
    """BadInput unless every name of ``subjects`` is one of ``units`` of the tree, or a folder of some."""
    for name in subjects:
        if not any(_within(unit, name) for unit in units):
            raise BadInput(
                f"nothing that reclaim calls in {name[:80]!r}",
                where=str(root),
                remedy=one_of(name, units) if units else None,
            )


def _within(unit: str, name: str) -> bool:
    return f"{unit}/".startswith(f"{name.rstrip('/')}/")


def _units(
    key: bytes, facts: Mapping[str, Facts], roots: tuple[str, ...], progress: Progress
) -> tuple[list[str], Audit | None]:
    """The subjects of the tree; with the audit that was made to find them, if one was."""
    (blob,) = store.results([key])
    if blob is not None:
        return blob.decode().split("\n") if blob else [], None
    walk = _joined(facts, roots, progress)
    units = list(walk.subjects())
    store.keep_results([(key, "\n".join(units).encode())])
    return units, walk


def _joined(facts: Mapping[str, Facts], roots: tuple[str, ...], progress: Progress) -> Audit:
    progress("joining files", 0, len(facts))
    walk = Audit(Program(facts), roots)
    progress("joining files", len(facts), len(facts))
    return walk


def _known(key: bytes, units: list[str]) -> dict[str, Subject]:
    found = {}
    for unit, blob in zip(units, store.results([key + u.encode() for u in units]), strict=True):
        if blob is not None:
            with contextlib.suppress(ValueError, EOFError, TypeError):
                found[unit] = results.unpack(blob)
    return found


def _walk(
    walk: Audit, units: list[str], progress: Progress, workers: int | None
) -> Iterator[tuple[str, bytes]]:
    """The packed results of ``units``, as they come."""
    progress("walking from reclaim", 0, len(units))
    entries = walk.subjects()
    if len(units) < _FEW:
        for done, unit in enumerate(units, 1):
            yield unit, results.pack(walk.run(unit, entries[unit]))
            progress("walking from reclaim", done, len(units))
    else:
        walk.prepare()
        sizes = {unit: len(walk.program.unit_functions[unit]) for unit in units}
        largest_first = sorted(units, key=lambda unit: -sizes[unit])
        with forked((walk, entries), workers) as pool:
            for done, result in enumerate(each(pool, _walk_one, largest_first), 1):
                yield result
                progress("walking from reclaim", done, len(units))


def _walk_one(unit: str) -> bytes:
    """One subject, in a process that has inherited the program."""
    walk, entries = inherited()
    return results.pack(walk.run(unit, entries[unit]))


def _suppressed(finding: Finding, facts: Mapping[str, Facts]) -> bool:
    """A comment ``ring3: allow RULE`` (or ``allow all``) on the line, or the one above, of any of its steps
    in its subject."""
    for step in finding.chain:
        for line, what in facts[step.file].suppressed if step.file in facts else ():
            if step.line - line in (0, 1) and _words(what) & {finding.rule, finding.id, "all"}:
                return True
    return False


def _words(what: str) -> set[str]:
    return set(what.replace(",", " ").split())


def _allowed_nothing(
    facts: Mapping[str, Facts], findings: list[Finding], complete: bool
) -> Iterator[tuple[str, str]]:
    """(file, why) of comments that name neither a rule nor, where all was walked, a finding."""
    ids = {one.id for one in findings}
    for name, fact in facts.items():
        for line, what in fact.suppressed:
            words = _words(what)
            if words & {*RULES, *ids, "all"} or not words:
                continue
            if complete or not any(_IDENTITY.fullmatch(word) for word in words):
                yield (
                    name,
                    f"line {line}: 'ring3: allow {what[:60]}' allows nothing, "
                    "no rule or finding is called so",
                )
