"""``ring3 stack``: the stacks of a process or a core dump."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Command
from ring3.sframe import stack as stacks
from ring3.sframe.stack import ThreadStack
from ring3.sframe.unwind import Frame


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
    "--exe", type=click.Path(path_type=Path), help="The program, where a core names none."
)
@click.option("--sysroot", type=click.Path(path_type=Path), help="Where a core's files are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def stack(target: str, exe: Path | None, sysroot: Path | None, as_json: bool) -> None:
    """Print the stack of every thread of a running process or a core dump.

    Each frame says what gave it, each trace whether it is complete or why it stopped.  The process is
    stopped for the moment and goes on afterwards.
    """
    if target.isdecimal():
        threads = stacks.of_process(int(target))
    else:
        threads = stacks.of_core(Path(target), exe, sysroot)
    if as_json:
        from ring3.cli.output import emit_json

        emit_json({"target": target, "threads": [_as_json(thread) for thread in threads]})
        return
    click.echo("\n".join(line for thread in threads for line in _lines(thread)))


def _lines(stack: ThreadStack) -> list[str]:
    out = [f"thread {stack.thread.tid} {stack.thread.name}"]
    for number, frame in enumerate(stack.trace.frames):
        name, inside = _function(frame)
        file = Path(frame.module.name).name if frame.module and frame.module.name else "?"
        shown = f"{name}+{inside:#x}" if name else "?"
        out.append(f"  #{number:<3} {frame.pc:#018x}  {shown}  ({file}, {_HOW[frame.how]})")
    verdict = "complete" if stack.trace.complete else "stopped"
    out.append(f"  {verdict}: {stack.trace.stop.text}")
    return out


def _as_json(stack: ThreadStack) -> dict[str, object]:
    frames = []
    for frame in stack.trace.frames:
        name, inside = _function(frame)
        frames.append(
            {
                "pc": frame.pc,
                "function": name or None,
                "offset": inside if name else None,
                "file": frame.module.name if frame.module else None,
                "address": frame.pc - frame.module.bias if frame.module else None,
                "found_by": _HOW[frame.how],
            }
        )
    return {
        "tid": stack.thread.tid,
        "name": stack.thread.name,
        "complete": stack.trace.complete,
        "stop": stack.trace.stop.name.lower(),
        "frames": frames,
    }


def _function(frame: Frame) -> tuple[str, int]:
    if frame.module is None:
        return "", 0
    name, inside = frame.module.function(frame.lookup)
    return name, inside + frame.pc - frame.lookup


_HOW = ("registers", "sframe", "sidecar", "eh_frame", "frame pointer", "signal frame")
