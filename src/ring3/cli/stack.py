"""``ring3 stack``: the stacks of a process or a core dump."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Command
from ring3.sframe import stack as stacks
from ring3.sframe.stack import ThreadStack
from ring3.sframe.unwind import How


@click.command(
    cls=Command,
    examples=[
        "ring3 stack 4242",
        "ring3 stack --json core.4242",
        "ring3 stack qemu_a.core --exe a.out --sysroot /usr/aarch64-linux-gnu",
    ],
)
@click.argument("target", metavar="PID|CORE")
@click.option(
    "--exe",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The program, where a core names none.",
)
@click.option(
    "--sysroot",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where a core's files are.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def stack(target: str, exe: Path | None, sysroot: Path | None, as_json: bool) -> None:
    """Print the stack of every thread of a running process or a core dump.

    Each frame says what gave it, each trace whether it is complete or why it stopped.  The process is
    stopped for the moment and goes on afterwards.
    """
    pid = stacks.pid_of(target)
    if pid is not None:
        threads = stacks.of_process(pid)
    else:
        threads = stacks.of_core(Path(target), exe, sysroot)
    if as_json:
        from ring3.cli.output import emit_json

        emit_json({"target": target, "threads": [_as_json(thread) for thread in threads]})
        return
    click.echo("\n".join(thread.text() for thread in threads))


def _as_json(stack: ThreadStack) -> dict[str, object]:
    frames = []
    for frame in stack.trace.frames:
        name, inside = frame.function
        frames.append(
            {
                "pc": frame.pc,
                "function": name or None,
                "offset": inside if name else None,
                "file": frame.module.name if frame.module else None,
                "address": frame.pc - frame.module.bias if frame.module else None,
                "found_by": How.TEXT[frame.how],
            }
        )
    return {
        "tid": stack.thread.tid,
        "name": stack.thread.name,
        "complete": stack.trace.complete,
        "stop": stack.trace.stop.name.lower(),
        "why": stack.why,
        "frames": frames,
    }
