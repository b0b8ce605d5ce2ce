"""``ring3 kselftest``: the kernel's tests, in user space and in a booted kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ring3 import ktap, linux_source
from ring3.arch import by_name, host
from ring3.cli import Group
from ring3.cli.output import OutFile, console, emit_json, finding, progress
from ring3.errors import BadInput
from ring3.files import read_input, write_atomically
from ring3.kselftest import boot, discover, kernel, machine, pipeline, report
from ring3.kselftest.kernel import Config, Image
from ring3.kselftest.outcome import Outcome
from ring3.ktap import Log
from ring3.nolibc import toolchain


@click.group(cls=Group)
def kselftest() -> None:
    """The kernel's own tests: kselftests built with nolibc, and KUnit, in one pipeline."""


@dataclass(frozen=True)
class Outputs:
    """What is to be written of the results, beside the text on the terminal."""

    as_json: bool
    junit: Path | None
    html: Path | None
    ktap_file: Path | None
    verbose: bool


def _outputs(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every verb has for its results."""
    file = OutFile()
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Show every test."),
        click.option("--ktap", "ktap_file", type=file, help="Write all results as one KTAP."),
        click.option("--html", type=file, help="Write a page with the whole tree."),
        click.option("--junit", type=file, help="Write JUnit XML."),
        click.option("--json", "as_json", is_flag=True, help="Print the tree as JSON."),
    ):
        verb = option(verb)
    return verb


@kselftest.command(
    examples=[
        "ring3 kselftest run test.c",
        "ring3 kselftest run linux/tools/testing/selftests/timers --arch x86_64 --arch riscv64",
        "ring3 kselftest run tests/ --html results.html --junit results.xml",
    ],
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--arch", "names", multiple=True, help="Architecture; the host's, repeatable.")
@click.option("--compiler", type=click.Choice(toolchain.KINDS), help="The first found by default.")
@click.option("--timeout", type=click.FloatRange(0.1), help="Seconds a test; 45, or its settings'.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Tests at a time; one a core.")
@_outputs
def run(
    paths: tuple[Path, ...],
    names: tuple[str, ...],
    compiler: toolchain.Kind | None,
    timeout: float | None,
    jobs: int | None,
    **outputs: Any,
) -> None:
    """Build the tests under PATHS with nolibc and run them, natively or under qemu-user.

    A PATH is a C file, a kselftest folder or a whole tree.  Tests run with your rights: what may harm
    this machine belongs into `ring3 kselftest kernel`.
    """
    found = discover.discover(paths)
    archs = [by_name(name) for name in dict.fromkeys(names)] or [host()]
    options = pipeline.Options(compiler=compiler, timeout=timeout, jobs=jobs)
    with progress() as bars:
        task = bars.add_task("testing", total=len(found.sources) * len(archs))

        def tick(outcome: Outcome) -> None:
            bars.update(task, advance=1, description=f"{outcome.arch} {outcome.name}"[:50])

        outcomes = pipeline.run_here(found.sources, archs, options, tick)
    log = pipeline.join(Log(), outcomes)
    _report(log, Outputs(**outputs), "kselftests", found.left_out)


@kselftest.command(
    "kernel",
    examples=[
        "ring3 kselftest kernel tools/testing/selftests/timers --source . --config x86-kunit",
        "ring3 kselftest kernel --image ./linux --arch um --suites 'list*'",
        "ring3 kselftest kernel --source 7.2 --config uml-kunit --config CONFIG_KASAN=y",
        "ring3 kselftest kernel --log dmesg.txt --html results.html",
    ],
)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--image", type=click.Path(path_type=Path), help="A kernel that is built.")
@click.option(
    "--arch",
    type=click.Choice(["um", "x86_64"]),
    help="What the image is: User-mode Linux, or for QEMU.  Seen from the file by default.",
)
@click.option("--source", help="Build from this tree, or from Debian's linux-source: 7.2.")
@click.option(
    "--config",
    "configs",
    multiple=True,
    help=f"What to build: {', '.join(kernel.CONFIGS)}; a .kunitconfig; CONFIG_X=y; repeatable.",
)
@click.option("--log", "log_file", type=click.Path(path_type=Path), help="Only read this log.")
@click.option("--suites", help="Only KUnit suites whose name matches this glob.")
@click.option("--no-kunit", is_flag=True, help="Run only the programs.")
@click.option("--append", multiple=True, help="A further word of the kernel's command line.")
@click.option("--memory", default=512, show_default=True, help="MiB of the machine.")
@click.option(
    "--machine",
    "at",
    type=click.Choice(["microvm", "pc"]),
    default="microvm",
    show_default=True,
    help="QEMU's.",
)
@click.option("--timeout", type=click.FloatRange(0.1), help="Seconds a test; 45, or its settings'.")
@click.option(
    "--boot-time",
    type=click.FloatRange(1),
    default=machine.BOOT_TIME,
    show_default=True,
    help="Seconds that boot and KUnit may take.",
)
@click.option("--save-log", type=OutFile(), help="Keep the log.")
@_outputs
def kernel_(
    paths: tuple[Path, ...],
    image: Path | None,
    arch: str | None,
    source: str | None,
    configs: tuple[str, ...],
    log_file: Path | None,
    suites: str | None,
    no_kunit: bool,
    append: tuple[str, ...],
    memory: int,
    at: boot.Machine,
    timeout: float | None,
    boot_time: float,
    save_log: Path | None,
    **outputs: Any,
) -> None:
    """Boot a kernel once: its KUnit suites, then the test programs under PATHS; one tree of results.

    The kernel is an --image, or is built from --source, or its --log is there already.
    """
    wanted = [name for name, value in (("--image", image), ("--log", log_file)) if value]
    wanted += ["--source"] if source or configs else []
    if len(wanted) != 1:
        raise BadInput(
            "which kernel?" if not wanted else f"{' and '.join(wanted)} exclude each other",
            remedy="one of --image FILE, --source TREE --config NAME, --log FILE",
        )
    out = Outputs(**outputs)
    if log_file:
        log = pipeline.read_log(_read(log_file))
        _report(pipeline.select(log, suites) if suites else log, out, log_file.name, ())
        return
    if no_kunit and not paths:
        raise BadInput("nothing to run", remedy="name test programs, or leave out --no-kunit")
    found = discover.discover(paths) if paths else discover.Found((), ())
    with progress() as bars:
        built = _image(image, arch) if image else _build(source or "7.2", configs, bars)
        task = bars.add_task("booting", total=len(found.sources) or None)

        def on_line(line: str) -> None:
            bars.update(task, description=ktap.without_time(line).strip()[:60])

        booted = pipeline.run_in_kernel(
            built,
            found.sources,
            pipeline.Options(timeout=timeout),
            kunit=not no_kunit,
            suites=suites,
            cmdline=append,
            memory=memory,
            at=at,
            boot_time=boot_time,
            on_line=on_line,
        )
    if save_log:
        write_atomically(save_log, booted.text)
    title = f"{built.path.name}, one boot of {booted.seconds:.1f} s ({boot.accelerator(built, at)})"
    click.echo(title, err=True)
    if not booted.log.documents:
        click.echo("\n".join(f"  {line}" for line in booted.text.splitlines()[-5:]), err=True)
    _report(booted.log, out, title, found.left_out)


def _read(path: Path) -> str:
    return read_input("/dev/stdin" if str(path) == "-" else path).decode(errors="replace")


def _image(path: Path, arch: str | None) -> Image:
    if arch is None:
        # A kernel for QEMU is no ELF program (bzImage), User-mode Linux is one that can be started.
        with path.open("rb") as file:
            head = file.read(18)
        arch = "um" if head[:4] == b"\x7fELF" and head[16:17] in (b"\2", b"\3") else "x86_64"
    return Image(path, "um" if arch == "um" else "x86_64")


def _build(source: str, configs: tuple[str, ...], bars: Any) -> Image:
    tree = Path(source)
    if not tree.is_dir() and source in linux_source.tarballs():
        tree = linux_source.kernel_source(source)
    config = _config(configs)
    task = bars.add_task(f"building {config.name}", total=None)

    def show(done: int, what: str) -> None:
        bars.update(task, completed=done, description=f"building {config.name}: {what}"[:60])

    try:
        return kernel.build(tree, config, progress=show)
    finally:
        bars.remove_task(task)


def _config(words: tuple[str, ...]) -> Config:
    """A named configuration, the default one, with further options from files and from words."""
    named = [kernel.CONFIGS[word] for word in words if word in kernel.CONFIGS]
    if len(named) > 1:
        raise BadInput("one kernel has one base", remedy=f"one of {', '.join(kernel.CONFIGS)}")
    base = named[0] if named else kernel.UML_KUNIT
    lines: list[str] = []
    for word in words:
        if word in kernel.CONFIGS:
            continue
        if word.startswith("CONFIG_"):
            lines.append(word)
        elif Path(word).is_file():
            lines += read_input(word).decode(errors="replace").splitlines()
        else:
            raise BadInput(
                f"no configuration {word!r}",
                remedy=f"one of {', '.join(kernel.CONFIGS)}, a file, or CONFIG_NAME=y",
            )
    extra = tuple(f"{name}={value}" for name, value in kernel.values(lines).items())
    return Config(base.name, base.arch, base.base, base.options + extra)


def _report(log: Log, out: Outputs, title: str, left_out: tuple[discover.LeftOut, ...]) -> None:
    """Print and write what came of it; exit code 1 where not all is good."""
    bad = list(pipeline.bad(log))
    if out.junit:
        write_atomically(out.junit, report.junit(log))
    if out.html:
        write_atomically(out.html, report.html(log, title, bad))
    if out.ktap_file:
        write_atomically(out.ktap_file, "".join(f"{line}\n" for line in ktap.render(log.documents)))
    if out.as_json:
        emit_json(
            {
                **report.as_data(log),
                "left_out": [{"name": x.name, "reason": x.reason} for x in left_out],
            }
        )
    else:
        _print(log, bad, out.verbose, left_out)
    if not log.good:
        finding()


def _print(
    log: Log,
    bad: list[tuple[str, ktap.Test]],
    verbose: bool,
    left_out: tuple[discover.LeftOut, ...],
) -> None:
    shown = console()
    if verbose:
        for document in log.documents:
            for depth, test in report.outline(document):
                seconds = f" {test.seconds:.2f} s" if test.seconds is not None else ""
                reason = f"  ({test.reason})" if test.reason else ""
                shown.print(
                    f"{'  ' * depth}{test.status.value:7} {test.name}{seconds}{reason}",
                    markup=False,
                )
                for note in test.notes:
                    shown.print(f"{'  ' * depth}        {note}", markup=False)
    for path, test in bad:
        shown.print(
            f"{test.status.value:7} {path}: {report.why(test)}", markup=False, soft_wrap=True
        )
    for name, line in report.kernel_reports(log):
        shown.print(f"kernel  {name}: {line}", markup=False, soft_wrap=True)
    for left in left_out if verbose else ():
        shown.print(f"left out: {left.name}: {left.reason}", markup=False)
    if left_out and not verbose:
        shown.print(f"{len(left_out)} left out (-v says which)", markup=False)
    if not log.documents:
        shown.print("no results at all", markup=False)
    shown.print(report.summary(log), markup=False)
