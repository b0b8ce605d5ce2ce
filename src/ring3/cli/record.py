"""``ring3 record``: sample a command or a process."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Command
from ring3.cli.output import progress
from ring3.errors import BadInput
from ring3.sframe import record as recording
from ring3.sframe.record import Settings, Summary


@click.command(
    cls=Command,
    context_settings={"allow_interspersed_args": False},  # options behind CMD are CMD's
    examples=[
        "ring3 record -- python3 slow.py",
        "ring3 record -o cc1.data -F 1999 -- gcc -O2 -c big.c",
        "ring3 record --seconds 10 -p 4242",
    ],
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("ring3.data"),
    show_default=True,
    help="The recording.",
)
@click.option("-p", "--pid", type=int, help="Sample this running process.")
@click.option(
    "-F",
    "--frequency",
    type=click.IntRange(1, 100000),
    default=997,
    show_default=True,
    help="Samples a second.",
)
@click.option("--stack", default=16384, show_default=True, help="Bytes of stack kept a sample.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after so many seconds; a command is ended.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- CMD...]")
def record(
    output: Path,
    pid: int | None,
    frequency: int,
    stack: int,
    seconds: float | None,
    command: tuple[str, ...],
) -> None:
    """Sample a command until it ends, or a process until ^C.

    The recording is a perf.data file with registers, stack and frame-pointer chain in every sample;
    nothing is unwound before `ring3 export` or `ring3 compare` does.
    """
    if bool(command) == (pid is not None):
        raise BadInput("what to record?", remedy="either -- CMD... or -p PID")
    settings = Settings(frequency=frequency, stack=stack, seconds=seconds)
    with progress() as bars:
        task = bars.add_task("recording", total=None)

        def show(so_far: Summary) -> None:
            bars.update(task, completed=so_far.samples)

        if pid is not None:
            summary = recording.record_process(pid, output, settings, show)
        else:
            summary = recording.record_command(list(command), output, settings, show)
    click.echo(
        f"{summary.samples} samples ({summary.event}, {frequency} Hz) in {summary.seconds:.1f} s, "
        f"{summary.lost} lost, {summary.bytes / 1e6:.1f} MB: {output}",
        err=True,
    )
    if summary.samples == 0:
        raise BadInput("no sample: it used no CPU", where=str(output), remedy="record for longer")
