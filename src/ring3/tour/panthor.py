"""Panthor: the triangle through our own user-mode driver, and by unmodified Vulkan."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ring3.errors import BadInput, Ring3Error
from ring3.report import Block, Headline, LeftOut, Picture, Table
from ring3.tour.chapter import Say

if TYPE_CHECKING:
    import numpy as np

    from ring3.drm.trace import JobSpan


def blocks(say: Say) -> Iterator[Block]:
    """The chapter."""
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
