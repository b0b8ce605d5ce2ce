"""``ring3 audit TREE``: reclaim bugs in kernel source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ring3.cli import Command
from ring3.cli.output import emit_json, finding, progress
from ring3.errors import BadInput

if TYPE_CHECKING:
    from ring3.audit.findings import Finding
    from ring3.audit.run import Progress, Report

_OUT = click.Path(path_type=Path, dir_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_PATCH = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)


@click.command(
    cls=Command,
    examples=[
        "ring3 audit ~/linux",
        "ring3 audit ~/linux --subject fs/ext4 --level note --html ext4.html",
        "ring3 audit ~/linux --subject fs/fat --explain 70117c00",
        "ring3 audit ~/linux --patch 0001-fs-allocate-under-lock.patch",
        "ring3 audit ~/linux-6.1 --diff ~/linux-6.12 --subject fs/exfat --brief",
        "ring3 audit ~/linux --write-baseline known.json; ring3 audit ~/linux --baseline known.json",
    ],
)
@click.argument("tree", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--all", "everything", is_flag=True, help="Read all folders, drivers included.")
@click.option("--folder", "folders", multiple=True, help="Read only this folder (repeatable).")
@click.option("--subject", "subjects", multiple=True, help="Only this filesystem or driver.")
@click.option("--root", "roots", multiple=True, help="One more function that reclaim calls.")
@click.option(
    "--level",
    type=click.Choice(["error", "warning", "note"]),
    default="warning",
    show_default=True,
    help="Show findings of this level and worse.",
)
@click.option("--explain", metavar="ID", help="Everything about one finding.")
@click.option("--brief", is_flag=True, help="One line a finding, no chains.")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@click.option("--sarif", type=_OUT, help="Write SARIF 2.1.0.")
@click.option("--html", type=_OUT, help="Write a page with the paths to click through.")
@click.option("--baseline", type=_FILE, help="Show only what this baseline does not have.")
@click.option("--write-baseline", type=_OUT, help="Write what is found as a baseline; exit 0.")
@click.option(
    "--overlay",
    "overlays",
    type=_PATCH,
    multiple=True,
    help="Audit the tree with this patch applied on top (repeatable: in turn).",
)
@click.option(
    "--patch",
    "made",
    type=_PATCH,
    multiple=True,
    help="What this patch adds and removes; exit 1 if it adds (repeatable; - is stdin).",
)
@click.option(
    "--diff",
    "newer",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="What a newer tree adds and removes; exit 1 if it adds.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes that read files.")
@click.option("--cluster", metavar="ADDRESS", help="Read files on a Dask cluster.")
def audit(
    tree: Path,
    everything: bool,
    folders: tuple[str, ...],
    subjects: tuple[str, ...],
    roots: tuple[str, ...],
    level: str,
    explain: str | None,
    brief: bool,
    as_json: bool,
    sarif: Path | None,
    html: Path | None,
    baseline: Path | None,
    write_baseline: Path | None,
    overlays: tuple[Path, ...],
    made: tuple[Path, ...],
    newer: Path | None,
    workers: int | None,
    cluster: str | None,
) -> None:
    """Find paths from memory reclaim into allocations and locks in the kernel source TREE."""
    from ring3.audit import compare, run
    from ring3.audit import patch as patches

    chosen = () if everything else folders or None
    if made or newer:
        _alone(
            "--patch" if made else "--diff",
            {
                "--diff": made and newer,
                "--explain": explain,
                "--sarif": sarif,
                "--html": html,
                "--baseline": baseline,
                "--write-baseline": write_baseline,
                "--overlay": overlays,
                "--cluster": cluster,
            },
        )
        _review(tree, made, newer, chosen, subjects, roots, level, brief, as_json, workers)
        return
    if explain is not None or write_baseline:
        _alone(
            "--write-baseline" if write_baseline else "--explain",
            {
                "--explain": write_baseline and explain,
                "--json": write_baseline and as_json,
                "--sarif": sarif,
                "--html": html,
                "--baseline": explain is not None and baseline,
            },
        )
    with _bars() as advance:
        report = run.audit(
            tree,
            folders=chosen,
            subjects=subjects,
            roots=roots,
            overlay=patches.overlay(tree, overlays),
            workers=workers,
            cluster=cluster,
            progress=advance,
        )
    _problems(report)
    findings = _at_least(report.findings, level)
    if baseline:
        findings = compare.not_in_baseline(findings, baseline)
        report.known = len(_at_least(report.findings, level)) - len(findings)
    if explain is not None:
        _explain([*report.findings, *report.behind], explain, as_json)
    elif write_baseline:
        compare.write_baseline(write_baseline, findings)
    else:
        _show(report, findings, brief, as_json, sarif, html)
        if findings:
            finding()


def _alone(option: str, others: dict[str, object]) -> None:
    """Refuse what would otherwise be left out without a word."""
    for other, value in others.items():
        if value:
            raise BadInput(f"{option} does not go with {other}", remedy="use one of the two")


def _review(
    tree: Path,
    made: tuple[Path, ...],
    newer: Path | None,
    folders: tuple[str, ...] | None,
    subjects: tuple[str, ...],
    roots: tuple[str, ...],
    level: str,
    brief: bool,
    as_json: bool,
    workers: int | None,
) -> None:
    from ring3.audit import report as shown
    from ring3.audit import review

    options: dict[str, Any] = {
        "folders": folders,
        "subjects": subjects,
        "roots": roots,
        "level": level,
        "workers": workers,
    }
    with _bars() as advance:
        if made:
            answer = review.review_patch(tree, made, progress=advance, **options)
        else:
            assert newer is not None
            answer = review.review_trees(tree, newer, progress=advance, **options)
    _problems(answer.new)
    if as_json:
        emit_json(
            {
                "added": [shown.finding_json(one) for one in answer.added],
                "removed": [shown.finding_json(one) for one in answer.removed],
            }
        )
    else:
        for title, findings in (("added", answer.added), ("removed", answer.removed)):
            click.echo(f"{title}: {len(findings)}")
            if findings:
                click.echo(shown.text(findings, chains=not brief and title == "added"))
        click.echo(shown.reviewed(answer.new), err=True)
    if answer.added:
        finding()


def _show(
    report: Report,
    findings: list[Finding],
    brief: bool,
    as_json: bool,
    sarif: Path | None,
    html: Path | None,
) -> None:
    import json

    from ring3.audit import report as shown
    from ring3.files import write_atomically

    if sarif:
        from ring3.audit.sarif import sarif as as_sarif

        write_atomically(sarif, json.dumps(as_sarif(report.root, findings), indent=1) + "\n")
    if html:
        from ring3.audit.html import findings_page

        write_atomically(html, findings_page(report, findings))
    if as_json:
        emit_json(shown.as_json(report, findings))
    else:
        if findings and not (sarif or html):
            click.echo(shown.text(findings, chains=not brief))
        click.echo(shown.summary(report), err=True)


def _explain(findings: list[Finding], wanted: str, as_json: bool) -> None:
    from ring3.audit import report as shown

    chosen = [one for one in findings if wanted and one.id.startswith(wanted.lower())]
    if not chosen:
        raise BadInput(
            f"no finding has the id {wanted[:40]!r}",
            remedy="--level note lists all; with --subject or --folder, only what is read there",
        )
    if as_json:
        emit_json([shown.finding_json(one) for one in chosen])
        return
    for one in chosen:
        click.echo(shown.explain(one) + "\n")


def _at_least(findings: list[Finding], level: str) -> list[Finding]:
    from ring3.audit.findings import at_least

    return at_least(findings, level)  # type: ignore[arg-type]


def _problems(report: Report) -> None:
    from ring3.audit.report import visible

    for name, problem in report.problems:
        click.echo(visible(f"{name}: {problem}"), err=True)
    for name in report.cut:
        click.echo(f"{name}: too many ways, or nested too deep: walked in part", err=True)


@contextmanager
def _bars() -> Iterator[Progress]:
    with progress() as bars:
        tasks: dict[str, Any] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield advance
