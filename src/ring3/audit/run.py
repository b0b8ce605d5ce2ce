"""``audit(TREE)``: from a folder to findings.  What other programs call."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ring3.audit import store
from ring3.audit.facts import Facts
from ring3.audit.findings import Finding, ranked
from ring3.audit.program import Program
from ring3.audit.reclaim import Audit, Root
from ring3.errors import BadInput

Progress = Callable[[str, int, int], None]


@dataclass
class Report:
    """The answer.

    ``problems`` are (file, why) of what was left out; ``cut`` are subjects too large to finish.
    """

    root: Path
    findings: list[Finding]
    subjects: dict[str, int] = field(default_factory=dict)  # unit -> nodes walked
    problems: list[tuple[str, str]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    suppressed: int = 0
    files: int = 0
    functions: int = 0
    seconds: float = 0.0


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
) -> Report:
    """Audit the tree ``root``.

    ``folders`` are those to read (None: the core of a kernel tree, all of any other; () all).
    ``subjects`` limits the walk to filesystems or drivers (``fs/ext4``); ``roots`` are more functions
    that reclaim calls.  ``overlay`` lays (path -> content) over the tree.  BadInput when there is no
    source, or no such subject.
    """
    started = time.monotonic()
    chosen = store.core_folders(root) if folders is None else folders
    sources = store.list_sources(root, chosen)
    report_progress = progress or (lambda what, done, total: None)
    facts = store.load(
        sources,
        overlay=overlay,
        workers=workers,
        cluster=cluster,
        progress=lambda done, total: report_progress("reading source", done, total),
    )
    report = analyse(root, facts, subjects, roots, report_progress)
    report.seconds = time.monotonic() - started
    return report


def analyse(
    root: Path,
    facts: Mapping[str, Facts],
    subjects: tuple[str, ...],
    roots: tuple[str, ...],
    progress: Progress,
    *,
    strict: bool = True,
) -> Report:
    """The decisions about ``facts``; reads no file.  ``strict``: every name in ``subjects`` must exist."""
    program = Program(facts)
    walk = Audit(program, roots)
    units = walk.subjects()
    for name in subjects:
        if strict and name not in units:
            raise BadInput(f"nothing that reclaim calls in {name!r}", where=str(root))
    findings: list[Finding] = []
    report = Report(root, [], files=len(facts), functions=len(program.functions))
    wanted = {unit: entries for unit, entries in units.items() if not subjects or unit in subjects}
    # Millions of small tuples that stay: looking for cycles among them takes a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        _walk(walk, wanted, findings, report, progress)
    finally:
        if collecting:
            gc.enable()
    report.problems = [(name, fact.problem) for name, fact in facts.items() if fact.problem]
    kept = [one for one in findings if not _suppressed(one, facts)]
    report.suppressed = len(findings) - len(kept)
    report.findings = ranked(kept)
    return report


def _walk(
    walk: Audit,
    wanted: Mapping[str, list[Root]],
    findings: list[Finding],
    report: Report,
    progress: Progress,
) -> None:
    for done, (unit, entries) in enumerate(wanted.items()):
        subject = walk.run(unit, entries)
        findings.extend(subject.findings)
        report.subjects[unit] = subject.nodes
        if subject.cut:
            report.cut.append(unit)
        progress("walking from reclaim", done + 1, len(wanted))


def _suppressed(finding: Finding, facts: Mapping[str, Facts]) -> bool:
    """A comment ``ring3: allow RULE`` (or ``allow all``) on the line, or the one above, of any of its steps
    in its subject."""
    for step in finding.chain:
        for line, what in facts[step.file].suppressed if step.file in facts else ():
            names = {word.strip() for word in what.replace(",", " ").split()}
            if step.line - line in (0, 1) and names & {finding.rule, finding.id, "all"}:
                return True
    return False
