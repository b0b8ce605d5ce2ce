"""``ring3 panthor``: the GPU driver stack, and programs on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ring3.cli import Group
from ring3.cli.output import OutFile

if TYPE_CHECKING:
    from ring3.panthor.device import PanthorDevice


@click.group(cls=Group)
def panthor() -> None:
    """Panthor: a kernel-mode GPU driver on a simulated Mali, behind the true uAPI."""


@panthor.command(
    context_settings={"allow_interspersed_args": False},  # options behind PROGRAM are PROGRAM's
    examples=[
        "ring3 panthor run -- vulkaninfo --summary",
        "ring3 panthor run -- ./triangle --frames 3",
        "ring3 panthor run --suite forky -- vulkaninfo",
    ],
)
@click.option("--suite", help="Mesa of this Debian suite, see `ring3 panthor sysroot`.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A system root of your own for programs of other architectures.",
)
@click.argument("command", nargs=-1, required=True, metavar="PROGRAM [ARGS]...")
def run(suite: str | None, root: Path | None, command: tuple[str, ...]) -> None:
    """Run PROGRAM with the simulated GPU as /dev/dri/renderD128.

    A program of this machine's architecture runs natively, its calls caught by seccomp; any other runs
    under qemu-user in the system root with Mesa's driver.  Exits as the program did; faults of the GPU
    are reported on stderr.
    """
    from ring3.gateway import sysroot
    from ring3.gateway.session import Session

    if root is not None:
        sysroot.add_device(root)
    elif suite is not None or sysroot.tree().present:
        root = sysroot.find(suite)
    with Session() as session:
        (status,) = session.run([command], root=root)
        for _, line in session.kernel.log:
            click.echo(line, err=True)
    click.get_current_context().exit(status if status >= 0 else 128 - status)


@panthor.command(
    "sysroot",
    examples=[
        "ring3 panthor sysroot",
        "ring3 panthor sysroot --suite sid",
        "ls $(ring3 panthor sysroot --path)",
    ],
)
@click.option("--suite", help="A Debian suite by name [default: trixie].")
@click.option("--path", "only_path", is_flag=True, help="Print where it is; fetch nothing.")
def sysroot_command(suite: str | None, only_path: bool) -> None:
    """Fetch and unpack a system root with Mesa's Vulkan driver for Mali, beside the system.

    The packages come through this machine's own apt configuration and are checked with Debian's keyring.
    """
    from ring3.cli.output import progress
    from ring3.gateway import sysroot

    if only_path:
        click.echo(sysroot.find(suite))
        return
    with progress() as bars:
        bars.add_task(f"fetching Mesa of {sysroot.tree(suite).suite}", total=None)
        root = sysroot.prepare(suite)
    click.echo(root)


@panthor.command(
    examples=[
        "ring3 panthor triangle -o triangle.png",
        "ring3 panthor triangle -o t.png --size 640x480 --timeline t.perfetto-trace",
        "ring3 panthor triangle -o t.png --inject hang --json",
    ],
)
@click.option(
    "-o",
    "--output",
    type=OutFile(),
    required=True,
    help="The picture, a PNG.",
)
@click.option("--size", default="256x256", show_default=True, help="WIDTHxHEIGHT in pixels.")
@click.option(
    "--world",
    type=click.Choice(["new", "old"]),
    default="new",
    show_default=True,
    help="Who gives addresses and orders jobs, see above.",
)
@click.option(
    "--timeline",
    type=OutFile(),
    help="Write a Perfetto trace of jobs and fences.",
)
@click.option(
    "--inject",
    "fault",
    help="What goes wrong: mmu_fault, hang, tiler_oom, bind (both in the new world only) or firmware.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what each job did as JSON.")
def triangle(
    output: Path, size: str, world: str, timeline: Path | None, fault: str | None, as_json: bool
) -> None:
    """Draw a triangle with ring3's own user-mode driver, through the whole stack.

    The new world owns the GPU's addresses and says what waits for what; in the old one the kernel gives
    addresses and orders jobs by the buffers they use.  Exit code 1 when a job failed.
    """
    from dataclasses import asdict

    from ring3.cli.output import emit_json, finding
    from ring3.umd.draw import parse_size, triangle, write_png

    width, height = parse_size(size)
    drawing = triangle(width, height, world=world, fault=fault)
    write_png(output, drawing.image)
    if timeline is not None:
        drawing.trace.timeline().write(timeline)
    if as_json:
        emit_json({"jobs": [asdict(job) for job in drawing.trace.jobs], "log": drawing.log})
    else:
        for job in drawing.trace.jobs:
            state = f"error {job.error}" if job.error else "done"
            times = f"pushed {job.pushed} ns, run {job.run} ns, finished {job.finished} ns"
            click.echo(f"{job.queue} job {job.seqno}: {state}; {times}")
        for line in drawing.log:
            click.echo(line, err=True)
        click.echo(output)
    for violation in drawing.violations:
        click.echo(str(violation), err=True)
    if fault is not None and not drawing.fault_happened:
        click.echo(f"{fault} did not happen: nothing here came to where it could", err=True)
        finding()
    if drawing.violations or any(job.error for job in drawing.trace.jobs):
        finding()


@panthor.command(
    examples=[
        "ring3 panthor record -o triangle.ioctls",
        "ring3 panthor record -o info.ioctls -- vulkaninfo --summary",
    ],
    context_settings={"allow_interspersed_args": False},
)
@click.option(
    "-o",
    "--output",
    type=OutFile(),
    required=True,
    help="The recording.",
)
@click.argument("command", nargs=-1, metavar="[PROGRAM [ARGS]...]")
def record(output: Path, command: tuple[str, ...]) -> None:
    """Record what PROGRAM asks of the render node and of the sync files and dma-bufs that it gets there:
    every ioctl, its memory, its answer, its time, and what changed in buffers.

    Without PROGRAM, ring3's own triangle is recorded.
    """
    from ring3.drm.record import Recorder
    from ring3.gateway import sysroot
    from ring3.gateway.session import Session
    from ring3.umd.draw import recorded_triangle

    if command:
        root = sysroot.find(None) if sysroot.tree().present else None
        with Session() as session:
            recorder = Recorder(session.panthor)
            session.run([command], root=root)
    else:
        recorder = recorded_triangle()
    recorder.write(output)
    click.echo(f"{len(recorder.lines) - 1} calls in {output}")


@panthor.command(
    examples=["ring3 panthor replay triangle.ioctls", "ring3 panthor replay bug.ioctls --json"]
)
@click.argument("recording", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--timeline",
    type=OutFile(),
    help="Write a Perfetto trace of jobs and fences.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def replay(recording: Path, timeline: Path | None, as_json: bool) -> None:
    """Ask a fresh driver the same again, at the same times; compare its answers and what its GPU writes.

    The fence contract is checked on the way.  Exit code 1 when an answer differs or the contract is broken.
    """
    from ring3.cli.output import emit_json, finding
    from ring3.umd.draw import replay_recording

    outcome, trace, violations = replay_recording(recording)
    if timeline is not None:
        trace.timeline().write(timeline)
    broken = [str(violation) for violation in violations]
    if as_json:
        told = {"calls": outcome.calls, "results": outcome.results}
        emit_json({**told, "differences": outcome.differences, "contract": broken})
    else:
        for line in [*outcome.differences, *broken]:
            click.echo(line)
        pages = f"{outcome.results} pages of the GPU's compared"
        click.echo(f"{outcome.calls} calls, {pages}, {len(outcome.differences)} differences")
    if outcome.differences or broken:
        finding()


@panthor.command(
    examples=[
        "ring3 panthor step --count 12",
        "ring3 panthor step --shaders --from BLEND",
        "ring3 panthor step triangle.ioctls --from RUN_FRAGMENT --registers",
        "ring3 panthor step -i",
    ],
)
@click.argument(
    "recording", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--shaders", is_flag=True, help="Step through shaders, too.")
@click.option(
    "--from",
    "start",
    metavar="TEXT",
    help="Begin where TEXT is in the instruction, or in its address.",
)
@click.option("--count", default=40, show_default=True, help="Stop after this many instructions.")
@click.option("--registers", is_flag=True, help="Show all registers at every step.")
@click.option("-i", "--interactive", is_flag=True, help="Ask what to do at every step; h helps.")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as JSON.")
def step(
    recording: Path | None,
    shaders: bool,
    start: str | None,
    count: int,
    registers: bool,
    interactive: bool,
    as_json: bool,
) -> None:
    """Execute a recording's command streams one instruction at a time, with the registers shown.

    Without RECORDING ring3's own triangle is drawn.  At each step: where the GPU is, what comes next, and
    which registers the instruction before has changed.
    """
    from dataclasses import asdict

    from ring3.cli.output import emit_json, finding
    from ring3.cli.step import Prompt
    from ring3.panthor.step import stepped
    from ring3.umd.draw import replay_recording, triangle

    def run(prepare: Callable[[PanthorDevice], None]) -> object:
        if recording is None:
            return triangle(64, 64, prepare=prepare)
        return replay_recording(recording, prepare)

    if as_json:
        emit_json(
            [asdict(stop) for stop in stepped(run, shaders=shaders, start=start, count=count)]
        )
        return
    if interactive:
        Prompt(shaders=shaders, start=start).run(run)
        return
    shown = 0
    for stop in stepped(run, shaders=shaders, start=start, count=count):
        click.echo(str(stop))
        if registers:
            click.echo(stop.all_registers())
        shown += 1
    if not shown and start is not None:
        click.echo(f"nothing with {start!r} in it was executed", err=True)
        finding()
