"""The 11 cases of drivers/dma-buf/st-dma-fence-chain.c (7.2), by name, and garbage collection."""

from __future__ import annotations

import gc
import random
import weakref
from typing import Any

import pytest

from ring3.dma_buf.containers import DmaFenceArray, DmaFenceChain, find_seqno, walk
from ring3.dma_buf.fence import DmaFence, Fences
from ring3.kernel import Kernel, RandomScheduler

COUNT = 64


class Chains:
    """``count`` fences, each in a link of one chain; ``seqno`` gives the links' numbers."""

    def __init__(self, core: Fences, count: int, seqno: Any = lambda i: i + 1) -> None:
        self.fences = [DmaFence(core, core.context_alloc(), 1) for _ in range(count)]
        self.links: list[DmaFenceChain] = []
        tail = None
        for i, fence in enumerate(self.fences):
            tail = DmaFenceChain(core, tail, fence, seqno(i))
            self.links.append(tail)
            tail.enable_sw_signaling()
        assert tail is not None
        self.tail: DmaFenceChain = tail


def test_sanitycheck(bench: Any) -> None:
    fence = bench.fence()
    link = DmaFenceChain(bench.core, None, fence, 1)
    link.enable_sw_signaling()
    fence.signal()
    assert link.is_signaled_flag


def test_find_seqno(bench: Any) -> None:
    chains = Chains(bench.core, COUNT)
    assert find_seqno(chains.tail, 0) is chains.tail
    for i, link in enumerate(chains.links):
        assert find_seqno(chains.tail, i + 1) is link
        assert find_seqno(link, i + 1) is link
        with pytest.raises(OSError, match="no point"):
            find_seqno(link, i + 2)
        found = find_seqno(link, i)
        assert i == 0 or found is chains.links[i - 1]


def test_find_signaled(bench: Any) -> None:
    chains = Chains(bench.core, 2)
    chains.fences[0].signal()
    found = find_seqno(chains.tail, 1)
    if found is not None:
        assert found is chains.links[0]
        assert find_seqno(found, 1) is found


def test_find_out_of_order(bench: Any) -> None:
    chains = Chains(bench.core, 3)
    chains.fences[1].signal()
    # Point 2 is done only when point 1 is: what stands for it is the first link.
    assert find_seqno(chains.tail, 2) is chains.links[0]


def test_find_gap(bench: Any) -> None:
    chains = Chains(bench.core, COUNT, lambda i: 2 * i + 2)
    for i, link in enumerate(chains.links):
        assert find_seqno(chains.tail, 2 * i + 1) is link
        assert find_seqno(link, 2 * i + 2) is link


@pytest.mark.parametrize("seed", range(20))
def test_find_race(seed: int) -> None:
    kernel = Kernel(scheduler=RandomScheduler(seed))
    chains = Chains(Fences.of(kernel), 32)

    def thread(number: int) -> None:
        choose = random.Random(seed * 10 + number)
        for _ in range(30):
            seqno = choose.randint(1, 32)
            found = find_seqno(chains.tail, seqno)
            if found is not None and found.seqno == seqno:
                again = find_seqno(found, seqno)
                assert again is found or again is None or found.is_signaled()
            chains.fences[choose.randrange(31)].signal()

    for number in range(3):
        kernel.spawn(thread, number)
    assert kernel.run()
    kernel.close()


def test_signal_forward(bench: Any) -> None:
    chains = Chains(bench.core, COUNT)
    for i, fence in enumerate(chains.fences):
        fence.signal()
        assert chains.links[i].is_signaled()
        assert i + 1 == COUNT or not chains.links[i + 1].is_signaled()


def test_signal_backward(bench: Any) -> None:
    chains = Chains(bench.core, COUNT)
    for i in reversed(range(COUNT)):
        chains.fences[i].signal()
        assert i == 0 or not chains.links[i].is_signaled()
    assert all(link.is_signaled() for link in chains.links)


def test_wait_forward(bench: Any) -> None:
    wait_while_signalled(bench, "forward")


def test_wait_backward(bench: Any) -> None:
    wait_while_signalled(bench, "backward")


def test_wait_random(bench: Any) -> None:
    wait_while_signalled(bench, "random")


def wait_while_signalled(bench: Any, order: str) -> None:
    """Somebody waits for the chain's end while its fences are signalled in ``order``."""
    chains = Chains(bench.core, COUNT)
    waiter = bench.kernel.spawn(chains.tail.wait)
    bench.kernel.run(until_time=1)
    fences = list(chains.fences)
    if order == "backward":
        fences.reverse()
    elif order == "random":
        random.Random(7).shuffle(fences)
    for fence in fences[:-1]:
        fence.signal()
    bench.kernel.run(until_time=2)
    assert waiter.result is None, "one fence is missing"
    fences[-1].signal()
    bench.kernel.run()
    assert waiter.result is True


def test_signalled_links_are_collected(bench: Any) -> None:
    chains = Chains(bench.core, 3)
    gone = [weakref.ref(fence) for fence in chains.fences[:2]]
    chains.fences[0].signal()
    chains.fences[1].signal()
    assert [link.seqno for link in walk(chains.tail)] == [3]
    tail = chains.tail
    del chains
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
    assert tail.prev is None


def test_a_long_chain_is_freed_and_signalled_without_recursion(bench: Any) -> None:
    chains = Chains(bench.core, 20_000)
    tail = chains.tail
    for fence in chains.fences:
        fence.signal()
    assert tail.is_signaled()
    other = Chains(bench.core, 20_000)
    other.links.clear()
    other.tail = None  # type: ignore[assignment]
    gc.collect()


def test_array_error_is_that_of_its_first_failure(bench: Any) -> None:
    members = [bench.fence() for _ in range(3)]
    array = DmaFenceArray(bench.core, members)
    array.enable_sw_signaling()
    members[1].set_error(-5)
    members[2].set_error(-22)
    for member in (members[2], members[1], members[0]):
        assert not array.is_signaled()
        member.signal()
    assert array.status() == -22
