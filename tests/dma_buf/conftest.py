"""A kernel whose test body runs as a task, and fences of nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ring3.dma_buf.fence import DmaFence, Fences
from ring3.kernel import Kernel


class MockFence(DmaFence):
    """A fence that the test signals."""

    driver = timeline = "mock"


class Bench:
    """A kernel and its fences; ``run`` runs a function as a task to its end."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.core = Fences.of(self.kernel)

    def fence(self, context: int | None = None, seqno: int = 1) -> MockFence:
        if context is None:
            context = self.core.context_alloc()
        return MockFence(self.core, context, seqno)

    def run(self, fn: Callable[..., Any], *args: Any) -> Any:
        return self.kernel.call(fn, *args)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.kernel.close()
