"""The 10 cases of drivers/dma-buf/st-dma-fence-unwrap.c (7.2), by name."""

from __future__ import annotations

from typing import Any

from ring3.dma_buf.containers import DmaFenceArray, DmaFenceChain, merge, unwrap


def test_sanitycheck(bench: Any) -> None:
    fence = bench.fence()
    chain = DmaFenceChain(bench.core, None, DmaFenceArray(bench.core, [fence]), 1)
    assert list(unwrap(chain)) == [fence]


def test_unwrap_array(bench: Any) -> None:
    f1, f2 = bench.fence(), bench.fence()
    assert list(unwrap(DmaFenceArray(bench.core, [f1, f2]))) == [f1, f2]


def test_unwrap_chain(bench: Any) -> None:
    f1, f2 = bench.fence(), bench.fence()
    assert set(unwrap(DmaFenceChain(bench.core, f1, f2, 1))) == {f1, f2}


def test_unwrap_chain_array(bench: Any) -> None:
    f1, f2 = bench.fence(), bench.fence()
    array = DmaFenceArray(bench.core, [f1, f2])
    assert list(unwrap(DmaFenceChain(bench.core, None, array, 1))) == [f1, f2]


def test_unwrap_merge(bench: Any) -> None:
    f1, f2 = bench.fence(), bench.fence()
    assert set(unwrap(merge(bench.core, [f1, f2]))) == {f1, f2}


def test_unwrap_merge_duplicate(bench: Any) -> None:
    fence = bench.fence()
    assert list(unwrap(merge(bench.core, [fence, fence]))) == [fence]


def test_unwrap_merge_seqno(bench: Any) -> None:
    a, b = bench.core.context_alloc(2), bench.core.context_alloc()
    f1, f2, f3 = bench.fence(b, 1), bench.fence(b, 2), bench.fence(a, 1)
    # By context: that of f3 is the lower one; of f1 and f2 the later stays.
    assert list(unwrap(merge(bench.core, [f1, f2, f3]))) == [f3, f2]


def test_unwrap_merge_order(bench: Any) -> None:
    f1, f2 = bench.fence(), bench.fence()
    array = DmaFenceArray(bench.core, [f1, f2])
    chain = DmaFenceChain(bench.core, DmaFenceChain(bench.core, None, f1, 1), f2, 1)
    assert list(unwrap(merge(bench.core, [array, chain]))) == [f1, f2]


def test_unwrap_merge_complex(bench: Any) -> None:
    f1, f2 = bench.fence(), bench.fence()
    f3 = merge(bench.core, [f1, f2])
    f4 = DmaFenceArray(bench.core, [f2, f1])
    f5 = merge(bench.core, [f3, f4, bench.core.stub])
    assert list(unwrap(f5)) == [f1, f2]


def test_unwrap_merge_complex_seqno(bench: Any) -> None:
    a = bench.core.context_alloc()
    b = bench.core.context_alloc()
    f1, f2, f3, f4 = (bench.fence(*of) for of in ((a, 2), (b, 1), (a, 1), (b, 2)))
    arrays = [DmaFenceArray(bench.core, pair) for pair in ([f1, f2], [f3, f4])]
    assert list(unwrap(merge(bench.core, arrays))) == [f1, f4]


def test_merging_what_is_signalled_gives_a_stub_of_the_latest(bench: Any) -> None:
    f1, f2 = bench.fence(), bench.fence()
    f1.signal(30)
    f2.signal(20)
    merged = merge(bench.core, [f1, f2])
    assert merged.is_signaled_flag
    assert merged.timestamp == 30
