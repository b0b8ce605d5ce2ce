"""``ring3 panthor``: the GPU driver stack, and programs on it."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Group


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
