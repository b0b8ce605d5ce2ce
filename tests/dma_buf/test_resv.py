"""The cases of drivers/dma-buf/st-dma-resv.c (7.2) for each usage, and the rules of adding."""

from __future__ import annotations

from typing import Any

import pytest

from ring3.dma_buf.resv import DmaResv, Usage, usage_rw
from ring3.kernel import KernelBug

USAGES = pytest.mark.parametrize("usage", list(Usage))


def locked(bench: Any, body: Any) -> Any:
    resv = DmaResv(bench.core)

    def run() -> Any:
        with resv.locked():
            return body(resv)

    return bench.run(run)


def test_sanitycheck(bench: Any) -> None:
    locked(bench, lambda resv: resv.reserve_fences(1))


@USAGES
def test_signaling(bench: Any, usage: Usage) -> None:
    fence = bench.fence()

    def body(resv: DmaResv) -> None:
        resv.reserve_fences(1)
        resv.add_fence(fence, usage)
        assert not resv.test_signaled(usage)
        fence.signal()
        assert resv.test_signaled(usage)

    locked(bench, body)


@USAGES
def test_for_each(bench: Any, usage: Usage) -> None:
    fence = bench.fence()

    def body(resv: DmaResv) -> None:
        resv.reserve_fences(1)
        resv.add_fence(fence, usage)
        assert list(resv.iterate(usage)) == [(fence, usage)]

    locked(bench, body)


@USAGES
def test_for_each_unlocked(bench: Any, usage: Usage) -> None:
    fence = bench.fence()
    resv = DmaResv(bench.core)

    def body() -> None:
        with resv.locked():
            resv.reserve_fences(1)
            resv.add_fence(fence, usage)
        seen = []
        for entry in resv.iterate_unlocked(usage):
            # The list changes under the iteration: what was seen stays valid.
            with resv.locked():
                resv.reserve_fences(1)
                resv.add_fence(bench.fence(), usage)
            seen.append(entry)
        assert seen == [(fence, usage)]

    bench.run(body)


@USAGES
def test_get_fences(bench: Any, usage: Usage) -> None:
    fence = bench.fence()

    def body(resv: DmaResv) -> None:
        resv.reserve_fences(1)
        resv.add_fence(fence, usage)
        assert resv.get_fences(usage) == [fence]

    locked(bench, body)


@pytest.mark.parametrize("query", list(Usage))
def test_a_query_sees_its_own_usage_and_those_below(bench: Any, query: Usage) -> None:
    fences = {usage: bench.fence() for usage in Usage}

    def body(resv: DmaResv) -> None:
        resv.reserve_fences(4)
        for usage, fence in fences.items():
            resv.add_fence(fence, usage)
        assert resv.get_fences(query) == [fences[usage] for usage in Usage if usage <= query]

    locked(bench, body)


def test_a_new_write_waits_for_reads_and_a_new_read_for_writes() -> None:
    assert usage_rw(True) is Usage.READ
    assert usage_rw(False) is Usage.WRITE


def test_usage_is_only_ever_promoted(bench: Any) -> None:
    context = bench.core.context_alloc()
    f1, f2 = bench.fence(context, 1), bench.fence(context, 2)

    def body(resv: DmaResv) -> None:
        resv.reserve_fences(3)
        resv.add_fence(f1, Usage.WRITE)
        resv.add_fence(f2, Usage.READ)  # may not take the write's place
        assert list(resv.iterate(Usage.BOOKKEEP)) == [(f1, Usage.WRITE), (f2, Usage.READ)]
        resv.add_fence(f2, Usage.WRITE)
        assert resv.get_fences(Usage.WRITE) == [f2]

    locked(bench, body)


def test_adding_without_a_reserved_slot_is_a_bug(bench: Any) -> None:
    def body(resv: DmaResv) -> None:
        resv.reserve_fences(1)
        resv.reset_max_fences()
        resv.add_fence(bench.fence(), Usage.READ)

    with pytest.raises(KernelBug, match="reserved slot"):
        locked(bench, body)


def test_waiting_waits_for_all_of_the_usage(bench: Any) -> None:
    write, book = bench.fence(), bench.fence()

    def body(resv: DmaResv) -> None:
        resv.reserve_fences(2)
        resv.add_fence(write, Usage.WRITE)
        resv.add_fence(book, Usage.BOOKKEEP)
        assert not resv.wait(Usage.READ, 1000)
        write.signal()
        assert resv.wait(Usage.READ, 1000)
        assert not resv.wait(Usage.BOOKKEEP, 1000)

    locked(bench, body)
