"""The 12 cases of drivers/dma-buf/st-dma-fence.c (7.2), by name, and what hypothesis adds."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ring3.dma_buf.fence import DmaFence, wait_any
from ring3.kernel import Kernel, RandomScheduler

EIO = -5
MS = 1_000_000


def test_sanitycheck(bench: Any) -> None:
    fence = bench.fence()
    fence.enable_sw_signaling()
    fence.signal()
    assert fence.is_signaled()


def test_signaling(bench: Any) -> None:
    fence = bench.fence()
    fence.enable_sw_signaling()
    assert not fence.is_signaled()
    assert fence.signal(), "the first signal counts"
    assert not fence.signal(), "the second does not"
    assert fence.is_signaled()


def test_add_callback(bench: Any) -> None:
    fence, seen = bench.fence(), []
    assert fence.add_callback(seen.append)
    fence.signal()
    assert seen == [fence]


def test_late_add_callback(bench: Any) -> None:
    fence, seen = bench.fence(), []
    fence.enable_sw_signaling()
    fence.signal()
    assert not fence.add_callback(seen.append)
    fence.signal()
    assert seen == []


def test_rm_callback(bench: Any) -> None:
    fence, seen = bench.fence(), []
    assert fence.add_callback(seen.append)
    assert fence.remove_callback(seen.append)
    fence.signal()
    assert seen == []


def test_late_rm_callback(bench: Any) -> None:
    fence, seen = bench.fence(), []
    assert fence.add_callback(seen.append)
    fence.signal()
    assert seen == [fence]
    assert not fence.remove_callback(seen.append)


def test_status(bench: Any) -> None:
    fence = bench.fence()
    fence.enable_sw_signaling()
    assert fence.status() == 0
    fence.signal()
    assert fence.status() == 1


def test_error(bench: Any) -> None:
    fence = bench.fence()
    fence.enable_sw_signaling()
    fence.set_error(EIO)
    assert fence.status() == 0, "an error is none before the signal"
    fence.signal()
    assert fence.status() == EIO


def test_wait(bench: Any) -> None:
    fence = bench.fence()
    assert not bench.run(fence.wait, 0)
    fence.signal()
    assert bench.run(fence.wait, 0)


def test_wait_timeout(bench: Any) -> None:
    kernel, fence = bench.kernel, bench.fence()
    fence.enable_sw_signaling()
    assert not bench.run(fence.wait, MS)
    assert kernel.now() == MS, "it slept for its time, no longer"

    def later() -> None:
        kernel.sleep(MS)
        fence.signal()

    kernel.spawn(later)
    assert bench.run(fence.wait, 2 * MS)
    assert kernel.now() == 2 * MS == fence.timestamp


def test_stub(bench: Any) -> None:
    stubs = [bench.core.stub for _ in range(64)]
    assert all(stub.is_signaled() for stub in stubs)
    assert all(stub.status() == 1 for stub in stubs)
    assert not stubs[0].add_callback(lambda _: None)


@pytest.mark.parametrize("seed", range(40))
def test_race_signal_callback(seed: int) -> None:
    """Two threads hand fences to each other: one signals what the other adds callbacks to."""
    from ring3.dma_buf.fence import Fences

    kernel = Kernel(scheduler=RandomScheduler(seed))
    core = Fences.of(kernel)
    fences: dict[str, DmaFence] = {}
    random.seed(seed)

    def thread(mine: str, other: str) -> None:
        for turn in range(8):
            fence = fences[mine] = DmaFence(core, core.context_alloc(), turn)
            seen: list[DmaFence] = []
            peer = fences.get(other)
            if peer is not None and peer.add_callback(seen.append):
                peer.signal()
                assert seen == [peer], "the callback ran by the time the signal returned"
            fence.signal()
            assert fence.is_signaled()

    for names in (("a", "b"), ("b", "a")):
        kernel.spawn(thread, *names)
    assert kernel.run()
    kernel.close()


def test_interrupted_wait_restarts(bench: Any) -> None:
    fence = bench.fence()
    task = bench.kernel.spawn(lambda: fence.wait(interruptible=True))
    bench.kernel.run(until_time=MS)
    bench.kernel.signal(task)
    with pytest.raises(OSError) as info:
        bench.kernel.run()
    assert info.value.errno == 512
    assert not fence.has_callbacks, "nothing of the wait is left"


def test_wait_any_reports_the_first(bench: Any) -> None:
    fences = [bench.fence() for _ in range(3)]

    def later() -> None:
        bench.kernel.sleep(MS)
        fences[2].signal()

    bench.kernel.spawn(later)
    assert bench.run(wait_any, fences) == 2
    assert bench.run(wait_any, fences[:2], MS) is None
    assert not any(fence.has_callbacks for fence in fences)


@pytest.mark.parametrize(
    ("later", "earlier"), [(1, 0), (0, 0xFFFFFFFF), (0x80000000, 1), (2**31 - 1, 0)]
)
def test_seqnos_wrap_at_32_bits(bench: Any, later: int, earlier: int) -> None:
    context = bench.core.context_alloc()
    assert bench.fence(context, later).is_later(bench.fence(context, earlier))
    assert not bench.fence(context, earlier).is_later(bench.fence(context, later))


def test_deadline_is_only_a_hint_for_the_unsignalled(bench: Any) -> None:
    hints: list[int] = []

    class Hinted(DmaFence):
        def deadline_hint(self, deadline: int) -> None:
            hints.append(deadline)

    fence = Hinted(bench.core, bench.core.context_alloc(), 1)
    fence.set_deadline(5)
    fence.signal()
    fence.set_deadline(6)
    assert hints == [5]
