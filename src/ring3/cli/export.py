"""``ring3 export``: a recording as a flame graph, or in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Command
from ring3.cli.output import progress
from ring3.errors import BadInput


@click.command(
    cls=Command,
    examples=[
        "ring3 export ring3.data -o flame.html",
        "ring3 export perf.data -o p.speedscope.json -o p.pb.gz -o p.collapsed",
    ],
)
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "outputs",
    type=click.Path(path_type=Path),
    multiple=True,
    help="*.html, *.collapsed, *.speedscope.json or *.pb.gz; may be given again.",
)
def export(recording: Path, outputs: tuple[Path, ...]) -> None:
    """Unwind a recording and write it as flame graph, collapsed stacks, speedscope or pprof.

    Reads what `ring3 record` or `perf record --call-graph dwarf` wrote.
    """
    from ring3.sframe import outputs as formats
    from ring3.sframe import profile, samples

    if not outputs:
        raise BadInput("where to?", remedy="-o FLAME.html")
    for path in outputs:
        formats.check(path)
    with progress() as bars:
        task = bars.add_task("reading the recording", total=None)
        recorded = samples.read(recording)
        made, traces = profile.of_recording(
            recorded, lambda what: bars.update(task, description=what)
        )
        for path in outputs:
            bars.update(task, description=f"writing {path}")
            formats.write(made, path)
    for fault in recorded.faults:
        click.echo(f"{recording}: {fault}", err=True)
    click.echo(
        f"{made.total} samples, {len(traces.pc)} frames: {', '.join(map(str, outputs))}", err=True
    )
