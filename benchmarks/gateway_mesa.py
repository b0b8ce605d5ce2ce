"""Unmodified Mesa on the simulated GPU beside lavapipe in the same system root, both under qemu-user.

    python benchmarks/gateway_mesa.py [--suite forky]

Fill and copy 4 MiB, and draw a triangle of 1920x1080.  What is timed lies between vkQueueSubmit and the
end of vkWaitForFences, inside the client; the first submission of a process, which compiles and sets up, is
not counted.  The bar is 10 x lavapipe.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ring3.gateway import sysroot
from ring3.gateway.session import Session
from ring3.gateway.vulkan import FRAGMENT_SHADER, LAVAPIPE, VERTEX_SHADER, Mesa

ROUNDS = 9


@contextmanager
def output_into(path: Path) -> Iterator[None]:
    """Have this process and its children write their standard output into ``path``."""
    saved = os.dup(1)
    with path.open("w") as file:
        os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def milliseconds(mesa: Mesa, ours: bool, *args: object) -> float:
    """Median of all submissions but the first, on the simulated GPU or on lavapipe."""
    log = mesa.folder / "times"
    settings = {**os.environ, "REPEAT": str(ROUNDS)}
    command = [str(mesa.client), *map(str, args)]
    with output_into(log):
        if ours:
            with Session() as session:
                (status,) = session.run([command], root=mesa.root, environment=settings)
                assert status == 0, [line for _, line in session.kernel.log]
        else:
            line = ["qemu-aarch64", "-L", str(mesa.root), *command]
            status = subprocess.run(line, env={**settings, **LAVAPIPE}, check=False).returncode
    assert status == 0, status
    lines = [line.split() for line in log.read_text().splitlines()]
    return statistics.median([int(line[0]) for line in lines if line[1:] == ["ns"]][1:]) / 1e6


def main() -> None:
    """Print a line a workload."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", help="Mesa of this Debian suite")
    suite = parser.parse_args().suite
    with tempfile.TemporaryDirectory() as folder:
        mesa = Mesa(sysroot.find(suite), Path(folder))
        out = mesa.folder / "out"
        data = mesa.folder / "data"
        data.write_bytes(np.random.default_rng(1).bytes(4 << 20))
        corners = np.ones((3, 8), np.float32)
        corners[:, :2] = [(0, -0.8), (0.8, 0.8), (-0.8, 0.8)]
        corners[:, 4:] = [(1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1)]
        vertices = mesa.folder / "vertices"
        vertices.write_bytes(corners.tobytes())
        shaders = [
            mesa.shader("plain.vert", VERTEX_SHADER),
            mesa.shader("plain.frag", FRAGMENT_SHADER),
        ]
        for name, args in (
            ("fill of 4 MiB", ["fill", out, 4 << 20, 0x12345678]),
            ("copy of 4 MiB", ["copy", data, out]),
            ("triangle, 1920x1080", ["draw", *shaders, out, 1920, 1080, vertices, "-", "-"]),
        ):
            ours, theirs = (milliseconds(mesa, side, *args) for side in (True, False))
            print(f"{name:22} {ours:8.1f} ms, lavapipe {theirs:7.1f} ms, ratio {ours / theirs:.1f}")


if __name__ == "__main__":
    main()
