"""``ring3 audit TREE``: reclaim bugs in kernel source."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Command
from ring3.cli.output import emit_json, finding, progress


@click.command(
    cls=Command,
    examples=[
        "ring3 audit ~/linux",
        "ring3 audit ~/linux --subject fs/ext4 --level note",
        "ring3 audit ~/linux --explain 70117c00",
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
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")
@click.option("--brief", is_flag=True, help="One line a finding, no chains.")
@click.option("--cluster", metavar="ADDRESS", help="Read files on a Dask cluster.")
def audit(
    tree: Path,
    everything: bool,
    folders: tuple[str, ...],
    subjects: tuple[str, ...],
    roots: tuple[str, ...],
    level: str,
    explain: str | None,
    as_json: bool,
    brief: bool,
    cluster: str | None,
) -> None:
    """Find paths from memory reclaim into allocations and locks in the kernel source TREE."""
    from ring3.audit import report as shown
    from ring3.audit import run
    from ring3.audit.findings import at_least
    from ring3.errors import BadInput

    with progress() as bars:
        tasks: dict[str, object] = {}

        def advance(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        answer = run.audit(
            tree,
            folders=() if everything else folders or None,
            subjects=subjects,
            roots=roots,
            cluster=cluster,
            progress=advance,
        )
    for name, problem in answer.problems:
        click.echo(f"{name}: {problem}", err=True)
    for name in answer.cut:
        click.echo(f"{name}: too many ways, walked in part", err=True)
    if explain:
        chosen = [one for one in answer.findings if one.id.startswith(explain)]
        if not chosen:
            raise BadInput("no finding has this id", where=explain, remedy="--level note shows all")
        for one in chosen:
            click.echo(shown.explain(one) + "\n")
        return
    findings = at_least(answer.findings, level)  # type: ignore[arg-type]
    if as_json:
        emit_json(shown.as_json(answer, findings))
    else:
        if findings:
            click.echo(shown.text(findings, chains=not brief))
        click.echo(shown.summary(answer), err=True)
    if findings:
        finding()
