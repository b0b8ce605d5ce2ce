"""From open to a stored value and a signalled syncobj, and what can go wrong on the way."""

from __future__ import annotations

import pytest

from tests.panthor.conftest import Store

MS = 1_000_000


def test_a_stream_stores_and_signals(store: Store) -> None:
    done = store.syncobj()
    store.store(0xCAFE, signals=[done])
    store.wait(done)
    assert store.value() == 0xCAFE


def test_jobs_wait_for_syncobjs(store: Store) -> None:
    gate, done = store.syncobj(), store.syncobj()
    with pytest.raises(OSError, match="submitted"):
        store.store(1, waits=[gate])
    first = store.syncobj()
    store.store(1, slot=1, signals=[first])
    store.store(2, waits=[first], signals=[done])
    store.wait(done)
    assert store.value() == 2
