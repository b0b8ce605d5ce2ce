"""One way to fan work out: a :class:`concurrent.futures.Executor`, local or a Dask cluster's.

Callers hand in a picklable function and picklable arguments and never know which it is.
"""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, TypeVar, cast

from ring3.errors import MissingPart

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def executor(cluster: str | None = None, workers: int | None = None) -> Iterator[Executor]:
    """Yield an executor: ``workers`` local processes (default: one a usable core), or those of the
    Dask scheduler at ``cluster`` (``tcp://HOST:PORT``).

    Raises :class:`MissingPart` when no scheduler answers there within ten seconds, or none with workers.
    """
    if cluster is None:
        count = workers or len(os.sched_getaffinity(0))
        # Fork would copy locks that Numba's and Dask's threads may hold.
        context = multiprocessing.get_context("forkserver")
        pool = ProcessPoolExecutor(count, mp_context=context, initializer=_leave_to_parent)
        with _abandoned_when_interrupted(pool):
            yield pool
        return
    import distributed

    try:
        client: Any = cast(Any, distributed).Client(cluster, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise MissingPart(
            f"no Dask scheduler answers: {error}",
            where=cluster,
            remedy="start one with `dask scheduler` and `dask worker ADDRESS`",
        ) from None
    try:
        client.wait_for_workers(1, timeout=10)
    except TimeoutError:
        client.close()
        raise MissingPart(
            "the Dask scheduler has no workers",
            where=cluster,
            remedy=f"start some with `dask worker {cluster}`",
        ) from None
    try:
        yield client.get_executor()
    finally:
        client.close()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """An interruption in here comes at its end; what is started in here is deaf to them.

    So the processes of a pool are all known when they are to be ended, and print no tracebacks of their
    own when a terminal interrupts all processes of a command while they are still importing.
    """
    resource_tracker.ensure_running()  # else started within, and it lets interruptions through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_to_parent() -> None:
    """A terminal interrupts all processes of a command: the one that began the others ends them.

    Where it is killed and cannot, they end themselves.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _abandoned_when_interrupted(pool: ProcessPoolExecutor) -> Iterator[None]:
    with pool:
        try:
            yield
        except KeyboardInterrupt:
            _abandon(pool)
            raise


def _abandon(pool: ProcessPoolExecutor) -> None:
    """End the processes of ``pool`` without waiting for what they are at."""
    processes = list((pool._processes or {}).values())
    thread: Any = pool._executor_manager_thread
    pool.shutdown(wait=False, cancel_futures=True)
    # The pool's thread must have forgotten what was cancelled: it would tell that all is over to that, too.
    time.sleep(0.1)
    for process in processes:
        process.kill()
    if thread is not None:
        thread.join(5)


@contextmanager
def forked(shared: object, workers: int | None = None) -> Iterator[Executor]:
    """Yield local processes that share ``shared`` with this one, copied only where written to.

    Functions handed to it get ``shared`` by :func:`inherited`.  For what is large and takes longer to send
    than to use; where Numba or Dask run threads, use :func:`executor`.
    """
    count = workers or len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("fork")
    gc.freeze()  # a collection in the child would write to, hence copy, every page
    try:
        pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=_inherit, initargs=(shared,)
        )
        with _abandoned_when_interrupted(pool):
            yield pool
    finally:
        gc.unfreeze()


_inherited: list[object] = []


def _inherit(shared: object) -> None:
    _inherited[:] = [shared]
    gc.disable()
    _leave_to_parent()
    # A thread of the parent (a progress bar's) may have held the streams' locks when this process began.
    sys.stdout = sys.stderr = io.StringIO()


def inherited() -> Any:
    """In a process of :func:`forked`: what its parent shares."""
    return _inherited[0]


def each(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """Run ``function`` on every item; yield ``(item, result)`` as they finish, in any order.

    The first exception is raised and what has not begun is cancelled.
    """
    work = list(items)
    futures = {}
    try:
        with _interrupts_held():
            futures = {pool.submit(function, item): item for item in work}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()
