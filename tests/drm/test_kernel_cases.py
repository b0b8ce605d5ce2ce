"""The kernel's KUnit cases of fences, reservations, exec and the scheduler are all here, by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ring3.linux_source import kernel_source

TESTS = Path(__file__).parents[1]

#: The kernel's file -> how many cases the issue counts, and where they are expressed here.
SUITES = {
    "drivers/dma-buf/st-dma-fence.c": (12, "dma_buf/test_fence.py"),
    "drivers/dma-buf/st-dma-fence-chain.c": (11, "dma_buf/test_chain.py"),
    "drivers/dma-buf/st-dma-fence-unwrap.c": (10, "dma_buf/test_unwrap.py"),
    "drivers/dma-buf/st-dma-resv.c": (5, "dma_buf/test_resv.py"),
    "drivers/gpu/drm/tests/drm_exec_test.c": (7, "drm/test_exec.py"),
    "drivers/gpu/drm/scheduler/tests/tests_basic.c": (10, "drm/test_sched.py"),
    "drivers/gpu/drm/scheduler/tests/tests_scheduler.c": (4, "drm/test_sched.py"),
}


def functions(path: Path) -> set[str]:
    """The tests of a file, without their prefix."""
    tree = ast.parse(path.read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {name.removeprefix("test_") for name in names if name.startswith("test_")}


def cases(suite: str) -> list[str]:
    """The names of the cases in the kernel's file ``suite``."""
    text = (kernel_source("7.2") / suite).read_text()
    return re.findall(r"\bKUNIT_CASE\w*\(\s*(\w+)", text)


@pytest.mark.oracle
@pytest.mark.parametrize("suite", SUITES)
def test_every_case_is_expressed(suite: str, needs: Callable[[str], str]) -> None:
    needs("oracle:linux-7.2")
    count, here = SUITES[suite]
    found = cases(suite)
    assert len(found) == count
    missing = {case.removeprefix("test_") for case in found} - functions(TESTS / here)
    assert missing == set()
