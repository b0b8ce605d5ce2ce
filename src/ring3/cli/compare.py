"""``ring3 compare``: what each way of unwinding loses on the same samples."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Command
from ring3.cli.output import console, emit_json, progress


@click.command(
    cls=Command,
    examples=["ring3 compare ring3.data", "ring3 compare --json perf.data | jq .methods"],
)
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def compare(recording: Path, as_json: bool) -> None:
    """Unwind a recording by frame pointers, SFrame and .eh_frame, and print what each loses.

    Frames are matched against .eh_frame's, in every sample where .eh_frame reaches an outermost frame.
    """
    from ring3.report import to_terminal
    from ring3.sframe import compare as comparing
    from ring3.sframe import samples

    with progress() as bars:
        task = bars.add_task("reading the recording", total=None)
        recorded = samples.read(recording)
        found = comparing.compare(
            recorded, lambda what: bars.update(task, description=f"by {what}")
        )
    for fault in recorded.faults:
        click.echo(f"{recording}: {fault}", err=True)
    if as_json:
        emit_json(found.as_json())
        return
    to_terminal([found.table()], console())
