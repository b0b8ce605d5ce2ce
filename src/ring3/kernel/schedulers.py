"""Simple scheduling strategies.  Exploration has more."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ring3.kernel.task import Task

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel


class RandomScheduler:
    """Before every visible operation any runnable task may go first; ``seed`` decides."""

    preemptive = True

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def pick(self, kernel: Kernel) -> Task:
        kernel.step += 1
        runnable = kernel.runnable
        return runnable[int(self._random() * len(runnable))]
