"""Schedules a second of the smallest fs-reclaim scenarios, beside a program that only counts.

The peer is a program of three tasks with eight steps each in the same simulated kernel: the ratio says what
memory, caches and a filesystem cost on top of the scheduler.  Best of three, processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ring3.kernel import Kernel, Shared
from ring3.kernel.explore import sample
from ring3.reclaim.explore import program
from ring3.reclaim.scenarios import SCENARIOS

RUNS = 500
NAMES = ("f2fs-linked-direct", "fat-unlinked-direct", "fat-linked-direct", "overlay-ext4-kswapd")


def counting(kernel: Kernel) -> None:
    """Three tasks, eight visible steps each."""
    shared = Shared(kernel, "counter", 0)

    def body() -> None:
        for _ in range(8):
            shared.read()

    for _ in range(3):
        kernel.spawn(body)


def rate(run: Callable[[Kernel], Callable[[], None] | None]) -> tuple[float, float]:
    """(schedules a second, steps of a schedule)."""
    best, steps = 0.0, 0.0
    for _ in range(3):
        begin = time.process_time()
        result = sample(run, "random", range(1, RUNS + 1), max_steps=20_000)
        best = max(best, result.schedules / (time.process_time() - begin))
        steps = result.steps / result.schedules
    return best, steps


def main() -> None:
    peer, steps = rate(counting)
    print(f"{'three tasks, eight steps':28} {peer:8.0f} schedules/s  {steps:5.0f} steps  1.00")
    for name in NAMES:
        got, steps = rate(partial(program, "as-today", SCENARIOS[name]))
        print(f"{name:28} {got:8.0f} schedules/s  {steps:5.0f} steps  {got / peer:.2f}")


if __name__ == "__main__":
    main()
