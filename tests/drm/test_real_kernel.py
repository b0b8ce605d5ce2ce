"""Random fence programs, here and on Linux 7.2 itself: same errnos, same results, same final state."""

from __future__ import annotations

from collections.abc import Callable
from errno import EFAULT, ENOMEM

import pytest

from ring3 import ktap
from ring3.drm.differential import Disagreement, complete, disagreements, random_program, shrink
from ring3.drm.differential.peer import RealKernel
from ring3.kselftest.boot import boot
from tests.drm.test_kernel_cases import SUITES, cases

# Building the kernel takes minutes the first time, on a busy machine an hour: fixtures have no time limit.
pytestmark = [pytest.mark.oracle, pytest.mark.timeout(2_400, func_only=True)]

PROGRAMS = 2_400
SHARE = 400  # programs a boot

_UML_STRING = (
    "arch/um's strnlen_user returns -EFAULT instead of 0 for an address of the kernel's half, which "
    "strndup_user takes for a length: ENOMEM.  Every other architecture answers EFAULT."
)
#: Exceptions to "the same": (call, errno here, errno there) -> why.  (What the log may say is peer.KNOWN.)
EXCEPTIONS = {
    ("DMA_BUF_SET_NAME_A", EFAULT, ENOMEM): _UML_STRING,
    ("DMA_BUF_SET_NAME_B", EFAULT, ENOMEM): _UML_STRING,
}


@pytest.fixture(scope="module")
def linux(tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], str]) -> RealKernel:
    for part in ("oracle:linux-7.2", "gcc", "make", "flex", "bison", "bc"):
        needs(part)
    return RealKernel(tmp_path_factory.mktemp("linux"))


@pytest.mark.parametrize("first", range(0, PROGRAMS, SHARE))
def test_random_programs_are_answered_alike(first: int, linux: RealKernel) -> None:
    programs = [complete(random_program(seed)) for seed in range(first, first + SHARE)]
    found = [other for other in disagreements(programs, linux) if not excepted(other)]
    if found:
        found[0] = shrink(found[0], linux)
    assert [str(other) for other in found] == []
    assert linux.complaints == []


def excepted(found: Disagreement) -> bool:
    errnos = [int(answer.split()[0]) for answer in (found.here, found.there) if answer[0].isdigit()]
    return (found.operation, *errnos) in EXCEPTIONS


#: Their assertions are on real time, which a busy machine does not keep.
TIMED = {"drm_sched_scheduler_queue_overhead", "drm_sched_scheduler_ping_pong"}


def test_the_kernels_own_cases_run_there_too(linux: RealKernel) -> None:
    """The names in its log are those that tests here express, and none fails."""
    glob = ["kunit.filter_glob=d*"]  # dma-buf..., drm_...
    ended = boot(linux.image, cmdline=["kunit_shutdown=poweroff", *glob], memory=512, timeout=900)
    told = [test for tree in ktap.parse_text(ended.log).documents for test in tree.walk()]
    known = {case for suite in SUITES for case in cases(suite)}
    assert known - {test.name for test in told} == set()
    assert known & {test.name for test in told if test.status in ktap.BAD} <= TIMED
