"""The simulated GPU by itself: filling 4 MiB, and a 1920x1080 triangle; against NumPy doing the same work.

The comparison with lavapipe needs the driver stack above this package; what is measured here is the GPU's
share of it.  Run: python benchmarks/mali.py
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from mali_machine import ADDRESS, Bench, Compute, Scene, triangle  # type: ignore[import-not-found]


def best(work: Callable[[], object], times: int = 5) -> float:
    """The shortest of ``times`` runs in milliseconds."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return 1e3 * min(spent)


def fill() -> tuple[float, float]:
    """One thread a word, 4 MiB: the shape of the shader that panvk fills buffers with."""
    job = Compute(
        Bench,
        f"IADD_IMM.i32 r0, 0x0, #0x7\n{ADDRESS}STORE.i32.slot0.end @r0, ^r50, offset:0\n",
        size=4 << 20,
    )
    ours = best(lambda: job.run(4096, 256))
    target = np.zeros(1 << 20, dtype=np.uint32)
    ids = np.arange(1 << 20)
    return ours, best(lambda: target.__setitem__(ids, 7))


def screen() -> tuple[float, float]:
    """A vertex-coloured triangle over half of a 1920x1080 target."""
    scene = Scene(Bench, 1920, 1080)
    points = triangle([(0, 1080), (1920, 1080), (960, 0)])
    shaded = np.zeros((1080, 1920, 4), dtype=np.float32)

    def frame() -> None:
        scene.begin()
        scene.draw(points)
        scene.render()

    x = np.arange(1920, dtype=np.float32)[:, None]
    y = np.arange(1080, dtype=np.float32)[:, None, None]
    slope = np.float32([0.1, 0.2, 0.3, 0.4])

    def plain() -> None:
        np.add(slope * x, slope * y, out=shaded)
        (shaded * 255).astype(np.uint8)

    return best(frame, 3), best(plain, 3)


def main() -> None:
    for name, run in (("fill 4 MiB, a thread a word", fill), ("1920x1080 triangle", screen)):
        ours, peer = run()
        print(f"{name}: {ours:.1f} ms; NumPy alone {peer:.1f} ms; ratio {ours / peer:.1f}")


if __name__ == "__main__":
    main()
