"""``ring3 completion``: the shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ring3.cli import Command, root


@click.command(
    cls=Command,
    examples=['eval "$(ring3 completion bash)"', "ring3 completion fish | source"],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL; evaluate it in the shell's start-up file."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(root, {}, "ring3", "_RING3_COMPLETE").source())
