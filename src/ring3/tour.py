"""The main job: every system once, on real input of this machine, into one page.

A chapter is a function that returns blocks.  What a machine lacks becomes a block that says so; what
goes wrong for a reason ring3 knows does, too, and the other chapters still run.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ring3.cli import Command
from ring3.cli.output import console, progress, require_writable
from ring3.cluster import each, executor
from ring3.elf import Elf
from ring3.errors import BadInput, MissingPart, Ring3Error
from ring3.files import write_atomically
from ring3.page import Markup, page
from ring3.report import (
    Block,
    Embedded,
    Headline,
    LeftOut,
    Lines,
    Picture,
    Table,
    to_html,
    to_terminal,
)

if TYPE_CHECKING:
    import numpy as np

    from ring3.drm.trace import JobSpan
    from ring3.nolibc import sizes
    from ring3.reclaim.explore import Exploration

#: What a chapter calls to say what it is doing now: a sentence of a few words.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Chapter:
    """One system's part: ``run`` yields its blocks as they are ready."""

    name: str
    border: str
    about: str
    run: Callable[[Say], Iterator[Block]]


@dataclass(frozen=True)
class Told:
    """A chapter that has run."""

    chapter: Chapter
    blocks: list[Block]
    seconds: float


def chapters() -> list[Chapter]:
    """The chapters in the order of the page."""
    return [
        Chapter("SFrame", "compiler | tracer", "stack traces from a compact table", _sframe),
        Chapter("nolibc", "program | system call", "a libc that is only headers", _nolibc),
        Chapter("Panthor", "user-mode | kernel-mode GPU driver", "from ioctl to pixel", _panthor),
        Chapter(
            "Reclaim",
            "filesystems | memory management",
            "allocating while freeing, run and found in source",
            _reclaim,
        ),
    ]


def _sframe(say: Say) -> Iterator[Block]:
    """Convert and verify two binaries of this machine; profile a program and lose frames."""
    from ring3.sframe import convert, section, showcase, verify

    rows = []
    for path in (_libc(), _largest_binary()):
        say(f"converting {path.name}")
        made = convert.convert(path)
        written = section.parse(made.encoded.data, made.vaddr, str(path))
        verdict, _ = verify.check(path, written)
        rows.append(
            (
                str(path),
                made.replaces,
                len(made.encoded.data),
                made.ratio,
                made.encoded.functions,
                len(made.encoded.refused),
                verdict.compared,
                verdict.differences,
            )
        )
    yield Headline(
        f"{sum(row[6] for row in rows):,} ranges, {sum(row[7] for row in rows)} disagree",
        f"between .eh_frame and the SFrame made of it, in {' and '.join(Path(row[0]).name for row in rows)}",
    )
    yield Table(
        "Binaries of this machine, nobody rebuilt: .eh_frame converted to SFrame V3, then both compared",
        (
            "file",
            "#.eh_frame + hdr bytes",
            "#SFrame bytes",
            "#ratio",
            "#functions",
            "#not expressed",
            "#ranges compared",
            "#disagree",
        ),
        rows,
        "Every row decoded from the section is compared with what the CFI says over the same addresses.",
    )
    yield from showcase.blocks(say)


def _libc() -> Path:
    """The C library this process runs with."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = line.split(maxsplit=5)[-1]
        if re.search(r"/(libc\.so\.6|libc-2\.\d+\.so|ld-musl-.*)$", path):
            return Path(path)
    raise MissingPart("this Python maps no C library", remedy="use a dynamically linked Python")


def _largest_binary() -> Path:
    """The largest ELF file among the programs on PATH."""
    folders = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    programs = {
        path.resolve() for folder in folders if folder.is_dir() for path in folder.iterdir()
    }
    sized = sorted(
        ((path.stat().st_size, path) for path in programs if path.is_file()), reverse=True
    )
    for _, path in sized:
        try:
            with Elf(path) as elf:
                if elf.section(".eh_frame"):
                    return path
        except (BadInput, PermissionError):
            continue
    raise MissingPart("no ELF program with .eh_frame on PATH", remedy="apt-get install gdb")


_HELLO = '#include <stdio.h>\nint main(void) { puts("Hello, world!"); return 0; }\n'


def _nolibc(say: Say) -> Iterator[Block]:
    """One program built for every architecture whose compiler is here, run, and weighed."""
    from ring3.arch import ARCHS
    from ring3.nolibc import sizes, toolchain

    known = [name for name, machine in ARCHS.items() if machine.entry]
    here = [name for name in known if toolchain.compilers(ARCHS[name])]
    rows: dict[str, sizes.Row] = {}
    with executor() as pool:
        for name, row in each(pool, _nolibc_row, here):
            rows[name] = row
            say(f"built for {len(rows)} of {len(here)} architectures")
    found = [rows[name] for name in here]
    built = [row for row in found if "nolibc" in row.sizes]
    if built:
        smallest = min(built, key=lambda row: row.sizes["nolibc"])
        yield Headline(
            f"{sum(row.ran is True for row in built)} of {len(known)} architectures",
            f"ran one program that is nothing but headers and itself; the smallest is "
            f"{smallest.sizes['nolibc']} bytes ({smallest.arch})",
        )
        chart = sizes.chart(found, "puts", _LIBCS)
        caption = 'puts("Hello, world!"), static and stripped; the floor is what ELF itself needs'
        yield Picture("sizes.svg", chart.encode(), "image/svg+xml", caption)
    yield Table(
        'puts("Hello, world!"), static and stripped: bytes of the file',
        ("architecture", "it ran", *(f"#{libc}" for libc in _LIBCS), "#floor"),
        [
            (
                row.arch,
                _RAN[row.ran] if "nolibc" in row.sizes else "not built",
                *(row.sizes.get(c, "-") for c in _LIBCS),
                row.floor,
            )
            for row in found
        ],
        "All with the same flags; W^X kept and section headers present.",
    )
    missing = [name for name in known if name not in here]
    if missing:
        yield LeftOut(
            f"nolibc for {', '.join(missing)}", "no compiler", "ring3 doctor says how to get them"
        )
    yield from _selftests(say)


#: Selftests of the kernel that change nothing on the machine they run on.
_SELFTESTS = (
    "exec/recursion-depth",
    "filesystems/anon_inode_test",
    "net/reuseaddr_conflict",
    "net/socket",
    "prctl/set-process-name",
    "tmpfs/bug-link-o-tmpfile",
)


def _selftests(say: Say) -> Iterator[Block]:
    """Some of the kernel's own selftests, unmodified, built with nolibc: here and under emulation."""
    from ring3 import linux_source
    from ring3.arch import ARCHS, host
    from ring3.kselftest import discover, pipeline
    from ring3.kselftest.outcome import judge
    from ring3.ktap import Status
    from ring3.nolibc import toolchain

    try:
        folder = linux_source.kernel_source("7.2") / "tools/testing/selftests"
    except MissingPart as error:
        yield LeftOut.because("the kernel's own selftests", error)
        return
    archs = [
        ARCHS[name]
        for name in dict.fromkeys((host().name, "arm64", "riscv64", "s390x"))
        if toolchain.compilers(ARCHS[name]) and toolchain.runner(ARCHS[name]) is not None
    ]
    say(f"{len(_SELFTESTS)} of the kernel's selftests for {len(archs)} architectures")
    sources = [discover.Source(name, folder / f"{name}.c") for name in _SELFTESTS]
    outcomes = pipeline.run_here(sources, archs, pipeline.Options(timeout=20))
    cells: dict[str, list[str]] = {name: [] for name in _SELFTESTS}
    for outcome in outcomes:
        test = judge(outcome)
        good = sum(sub.status is Status.PASS for sub in test.subtests)
        count = f" ({good} of {len(test.subtests)})" if test.subtests else ""
        cells[test.name].append(f"{test.status.value}{count}")
    yield Table(
        "The kernel's own selftests, unmodified, built with nolibc",
        ("selftest of Linux 7.2", *(arch.name for arch in archs)),
        [(name, *found) for name, found in cells.items()],
        "ring3 kselftest runs whole trees of them, here or in a kernel it boots, together with KUnit.",
    )


#: zig's musl is left to ``ring3 nolibc sizes``: it is compiled anew for each architecture.
_LIBCS = ("nolibc", "dietlibc", "musl", "glibc")
_RAN = {True: "yes", False: "no", None: "nothing here runs it"}


def _nolibc_row(name: str) -> sizes.Row:
    from ring3.arch import by_name
    from ring3.nolibc import sizes

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "hello.c")
        source.write_text(_HELLO)
        return sizes.measure({"puts": source}, [by_name(name)], libcs=_LIBCS)[0]


def _panthor(say: Say) -> Iterator[Block]:
    """The triangle through our own user-mode driver, and by unmodified Vulkan."""
    from ring3.umd import draw

    width = height = 256
    say("drawing a triangle")
    drawing = draw.triangle(width, height)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw.write_png(folder / "ours.png", drawing.image)
        yield Picture(
            "triangle.png",
            (folder / "ours.png").read_bytes(),
            "image/png",
            f"User-mode driver, kernel-mode driver and simulated GPU: {len(drawing.trace.jobs)} jobs, "
            f"{drawing.steps:,} slices of command streams and shaders",
        )
        yield Picture(
            "jobs.svg",
            _job_chart(drawing.trace.jobs),
            "image/svg+xml",
            "Its jobs on the simulated clock: pushed, then run by the GPU; arrows are fences waited for",
        )
        yield from _vulkan(say, folder, drawing.image)


def _job_chart(jobs: list[JobSpan]) -> bytes:
    from matplotlib.figure import Figure

    queues = list(dict.fromkeys(job.queue for job in jobs))
    figure = Figure(figsize=(9, 0.8 + 0.6 * len(queues)))
    axes = figure.subplots()
    for job in jobs:
        row = queues.index(job.queue)
        pushed, run, end = ((at or 0) / 1000 for at in (job.pushed, job.run, job.finished))
        axes.broken_barh([(pushed, run - pushed)], (row - 0.12, 0.24), facecolor="#b8c4d6")
        axes.broken_barh([(run, end - run)], (row - 0.3, 0.6), facecolor="#2b7bba")
        for other in job.depends_on:
            start = (jobs[other].finished or 0) / 1000, queues.index(jobs[other].queue)
            axes.annotate(
                "", (run, row), start, arrowprops={"arrowstyle": "->", "color": "#c2261f"}
            )
    axes.set_yticks(range(len(queues)), queues)
    axes.invert_yaxis()
    axes.set_xlabel("simulated time, µs")
    figure.tight_layout()
    chart = io.BytesIO()
    figure.savefig(chart, format="svg", metadata={"Date": None})
    return chart.getvalue()


PANVK, LAVAPIPE = "Mesa's panvk", "Mesa's lavapipe"


def _vulkan(say: Say, folder: Path, ours: np.ndarray) -> Iterator[Block]:
    """The same vertices through Mesa's panvk on our GPU and Mesa's lavapipe, both unmodified."""
    import numpy as np
    from PIL import Image

    from ring3.gateway import sysroot
    from ring3.gateway.vulkan import FRAGMENT_SHADER, VERTEX_SHADER, Mesa
    from ring3.umd.triangle import TRIANGLE

    height, width = ours.shape[:2]
    drawn: dict[str, np.ndarray] = {"ring3's own user-mode driver": ours}
    try:
        mesa = Mesa(sysroot.find(), folder)
        vertices = folder / "vertices"
        vertices.write_bytes(np.array(TRIANGLE, np.float32).tobytes())
        shaders = mesa.shader("t.vert", VERTEX_SHADER), mesa.shader("t.frag", FRAGMENT_SHADER)
        for name, run in ((PANVK, mesa.panvk), (LAVAPIPE, mesa.lavapipe)):
            say(f"unmodified Vulkan: {name}")
            out = folder / name
            run("draw", *shaders, out, width, height, vertices, "-", "-")
            if not out.exists():
                raise BadInput(f"{name} drew nothing", remedy="see ring3 panthor run -- vulkaninfo")
            drawn[name] = np.fromfile(out, np.uint8).reshape(height, width, 4)
    except Ring3Error as error:
        yield LeftOut.because("the triangle by unmodified Vulkan", error)
        return
    picture = io.BytesIO()
    Image.fromarray(drawn[PANVK]).save(picture, "png")
    yield Picture(
        "vulkan.png",
        picture.getvalue(),
        "image/png",
        "The same triangle by Mesa's Vulkan driver for Mali, unmodified, under qemu-user on this GPU",
    )
    reference = drawn[LAVAPIPE]
    differ = {name: int((pixels != reference).any(axis=2).sum()) for name, pixels in drawn.items()}
    yield Table(
        "Compared pixel by pixel with Mesa's lavapipe",
        ("driver", "#pixels", "#that differ"),
        [(name, width * height, count) for name, count in differ.items()],
    )
    yield Headline(
        f"{differ[PANVK]} of {width * height:,} pixels differ",
        "between Mesa's Mali driver, unmodified, on the simulated GPU and Mesa's own software renderer",
    )


def _reclaim(say: Say) -> Iterator[Block]:
    """The policies with their counterexamples, and the chains in real source."""
    from ring3.reclaim import compare, explore
    from ring3.reclaim.policies import POLICIES

    work = compare.jobs((), (), 1)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        say(f"policies: run {done} of {len(work)}")

    with executor() as pool:
        cells = compare.compare(work, pool, advance)
    rows = compare.rows(cells)
    held = [r for r in rows if not (r.warn or r.deadlock or r.livelock or r.panic or r.leaked)]
    yield Headline(
        f"{len(held)} of {len(rows)} policies",
        f"end {len(work)} runs without WARN, deadlock, livelock, panic or leaked inode: "
        f"{', '.join(row.policy for row in held) or 'none'}",
    )
    yield from compare.tables(rows)
    say("counterexamples")
    results = []
    with executor() as pool:
        for name, result in each(pool, _counterexample, POLICIES):
            results.append(result)
            say(f"counterexamples: {name}")
    order = list(POLICIES)
    yield explore.table(sorted(results, key=lambda result: order.index(result.policy)))
    yield from _audit(say)


def _counterexample(policy: str) -> Exploration:
    """What goes wrong under a policy in a few schedules of each scenario, made small."""
    from ring3.reclaim import explore

    result = explore.explore(policy, schedules=8, budget=20)
    if result.worst is not None:
        result.found[result.worst.kind] = explore.smallest(result.worst, budget=60)
    return result


def _audit(say: Say) -> Iterator[Block]:
    from ring3.audit.report import step_text
    from ring3.audit.run import SAMPLE, audit
    from ring3.linux_source import kernel_source, newest

    version = newest()
    if version is not None:
        name = f"the source of Linux {version}"
        say(f"unpacking {name}")
        tree = kernel_source(version)
        subjects: tuple[str, ...] = ("fs/fat", "fs/ext4", "fs/f2fs", "fs/xfs")
    else:
        yield LeftOut(
            "chains in real kernel source",
            "no linux-source package is here",
            "apt-get install linux-source-6.1",
        )
        name, tree, subjects = "a small filesystem of ring3's own", SAMPLE, ()
    answer = audit(
        tree,
        subjects=subjects,
        progress=lambda what, at, total: say(f"{what} {at} of {total}"),
    )
    worst = [
        one for one in answer.findings if one.level == "error" and one.rule == "nofail-in-reclaim"
    ]
    counted = Counter(one.subject for one in worst)
    yield Table(
        f"Paths from memory reclaim into allocations that must not fail, in {name}",
        ("filesystem", "#findings"),
        [(name, counted.get(name, 0)) for name in sorted(answer.subjects)],
        f"{answer.files:,} files and {answer.functions:,} functions read in {answer.seconds:.0f} s",
    )
    shown: set[str] = set()
    for one in worst:
        if one.subject not in shown:
            shown.add(one.subject)
            yield Lines(
                "\n".join(step_text(step) for step in one.chain), f"{one.subject}: {one.id}"
            )


def tell(chapter: Chapter, say: Say) -> Told:
    """Run one chapter; a known fault ends it with a block that says what and why."""
    start = time.monotonic()
    blocks: list[Block] = []
    try:
        blocks.extend(chapter.run(say))
    except Ring3Error as error:
        blocks.append(LeftOut.because(f"the rest of {chapter.name}", error))
    return Told(chapter, blocks, time.monotonic() - start)


def _card(part: Told) -> Markup:
    """A chapter in one glance, with a way to it."""
    headlines = [block for block in part.blocks if isinstance(block, Headline)]
    return Markup('<a href="#{0}"><h3>{0}</h3><p class="soft">{1}</p>{2}</a>').format(
        part.chapter.name, part.chapter.border, to_html(headlines)
    )


def write(told: list[Told], folder: Path) -> Path:
    """Write ``index.html``, self-contained, and each picture and embedded page beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    body = Markup('<h1>ring3</h1><p class="soft">{}</p>').format(
        "Linux machinery in user space, on what this machine has."
    )
    body += Markup('<nav class="cards">{}</nav>').format(Markup("").join(map(_card, told)))
    for part in told:
        body += Markup('<h2 id="{0}">{0}</h2><p class="soft">{1} &mdash; {2} ({3} s)</p>').format(
            part.chapter.name, part.chapter.border, part.chapter.about, f"{part.seconds:.0f}"
        ) + to_html(block for block in part.blocks if not isinstance(block, Headline))
        for block in part.blocks:
            if isinstance(block, Picture):
                write_atomically(folder / block.name, block.data)
            elif isinstance(block, Embedded):
                write_atomically(folder / block.name, block.document)
    index = folder / "index.html"
    write_atomically(index, page("ring3: the tour", body))
    return index


@click.command(cls=Command, examples=["ring3 tour", "ring3 tour -o /tmp/tour --only sframe"])
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("tour"),
    show_default=True,
    help="Folder of the page.",
)
@click.option("--only", multiple=True, help="Run only the chapter of this name; may be repeated.")
def tour(output: Path, only: tuple[str, ...]) -> None:
    """Run all four systems on real input found on this machine and write one page.

    The page is OUTPUT/index.html, self-contained; the same is printed here.
    """
    chosen = chapters()
    names = [chapter.name.lower() for chapter in chosen]
    for name in only:
        if name.lower() not in names:
            raise click.BadParameter(f"no chapter {name!r}; there are {', '.join(names)}")
    if only:
        wanted = {name.lower() for name in only}
        chosen = [chapter for chapter in chosen if chapter.name.lower() in wanted]
    output.mkdir(parents=True, exist_ok=True)
    require_writable(output)
    out = console()
    told = []
    with progress() as bars:
        overall = bars.add_task("tour", total=len(chosen))
        for chapter in chosen:

            def say(what: str, name: str = chapter.name) -> None:
                bars.update(overall, description=f"{name}: {what}")

            part = tell(chapter, say)
            bars.advance(overall)
            out.rule(f"[bold]{chapter.name}[/] {chapter.border}", align="left")
            to_terminal(part.blocks, out)
            told.append(part)
    click.echo(f"written: {write(told, output)}")
