"""The command line: ``ring3 GROUP VERB``.

Exit codes: 0 good, 1 a finding, 2 bad input or a missing part (one line on stderr), 130 and 143 for ^C and
SIGTERM.  Each group lives in a module of its own that is imported only when it is named, so that
``ring3 --help`` stays quick.
"""

from __future__ import annotations

import importlib
import signal
from typing import Any

import click

from ring3 import __version__
from ring3.errors import BadInput

#: Command -> (module in ring3.cli, attribute, one line of help).  One line here adds a group.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "doctor": ("doctor", "doctor", "Which real parts this machine has, and how to get the others."),
    "audit": ("audit", "audit", "Find reclaim bugs in kernel source."),
    "tour": (".tour", "tour", "All four systems on what this machine has, into one page."),
    "nolibc": ("nolibc", "nolibc", "A libc of headers only: vendor, build, measure."),
    "kselftest": (
        "kselftest",
        "kselftest",
        "The kernel's own tests: kselftests and KUnit, one pipeline.",
    ),
    "completion": ("completion", "completion", "Print the shell's completion script."),
    "sframe": ("sframe", "sframe", "SFrame sections: dump, convert, add, verify, stat."),
    "reclaim": (
        "reclaim",
        "reclaim",
        "Filesystems in memory reclaim: policies compared, broken, explained.",
    ),
    "slab": (
        "slab",
        "slab_group",
        "SLUB layout: a cache byte by byte; the running kernel checked.",
    ),
    "export": (
        "export",
        "export",
        "A recording as flame graph, speedscope, pprof, collapsed stacks.",
    ),
    "compare": (
        "compare",
        "compare",
        "What frame pointers, SFrame and .eh_frame lose on the same samples.",
    ),
    "panthor": ("panthor", "panthor", "A GPU driver stack that unmodified Vulkan programs run on."),
    "record": ("record", "record", "Sample a command or a process, to be unwound afterwards."),
    "stack": ("stack", "stack", "The stacks of a process or a core dump, complete or why not."),
}


class Command(click.Command):
    """A verb.  ``examples`` are complete command lines; the help ends with them."""

    def __init__(self, *args: Any, examples: list[str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples or []

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {example}\n")


class Group(click.Group):
    """A group of verbs; verbs made with ``@group.command(examples=[...])`` are :class:`Command`."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.line_of(ctx, name)) for name in self.list_commands(ctx)]
            )

    def line_of(self, ctx: click.Context, name: str) -> str:
        """What a list of commands says of one: the first sentence of its help, whole."""
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=1000) if command else ""


class RootGroup(Group):
    """Finds commands in :data:`COMMANDS` and imports a module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        # The tour stands above the command line on the map: ".tour" is one package further up.
        module, attribute, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f".{module}", __name__), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read the output has left.  Click would end with 1, which here is a finding.
            ctx.exit(0)

    def line_of(self, ctx: click.Context, name: str) -> str:
        return COMMANDS[name][2]


@click.group(cls=RootGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ring3")
def root() -> None:
    """Linux machinery in user space: run it, measure it, break it.

    \b
    ring3 doctor            what this machine has
    ring3 GROUP --help      the verbs of a group
    ring3 GROUP VERB --help what a verb takes, with an example
    """


class Terminated(KeyboardInterrupt):
    """SIGTERM: to be cleaned up after as after ^C, where Python alone would be gone at once."""


def _terminate(*_: object) -> None:
    raise Terminated


def run() -> int:
    """Run the command line and return its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        # Outside standalone mode click hands back the code of ctx.exit(), or what the verb returned.
        code = root.main(prog_name="ring3", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.Abort as end:
        return 143 if isinstance(end.__cause__, Terminated) else 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        # Click says it in four lines.
        context = error.ctx if isinstance(error, click.UsageError) else None
        command = context.command_path if context else "ring3"
        raise BadInput(error.format_message().rstrip("."), remedy=f"{command} --help") from None
