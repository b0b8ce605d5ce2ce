"""Lockdep's reports, and what it says of the kernel's own uses of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ring3.kernel import (
    WQ_MEM_RECLAIM,
    Interrupt,
    Kernel,
    Mutex,
    RwSem,
    Spinlock,
    Work,
    Workqueue,
)


def _line_of(text):
    """The line of this file that ends in ``# text``."""
    lines = Path(__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {text}"))


def _abba(kernel):
    a, b = Mutex(kernel, "a_lock"), Mutex(kernel, "b_lock")

    def first():
        with a:
            b.lock()  # first takes b
            b.unlock()

    def second():
        with b:
            a.lock()  # second takes a
            a.unlock()

    kernel.spawn(first)
    kernel.spawn(second)
    kernel.run()


def test_circular_report_names_the_chain_and_the_source_lines():
    kernel = Kernel(lockdep=True)
    _abba(kernel)
    (report,) = kernel.lockdep.reports
    assert report.kind == "circular"
    assert report.chain == ("a_lock", "b_lock")
    lines = report.text.splitlines()
    assert lines[1] == "WARNING: possible circular locking dependency detected"
    assert "second/2 is trying to acquire lock:" in lines
    assert "which lock already depends on the new lock." in lines
    assert any(f"test_lockdep.py:{_line_of('second takes a')}" in line for line in lines)
    assert any(f"test_lockdep.py:{_line_of('first takes b')}" in line for line in lines)
    assert " *** DEADLOCK ***" in lines


def test_report_is_in_the_log_and_the_second_one_is_not_made():
    kernel = Kernel(lockdep=True)
    _abba(kernel)
    _abba(kernel)
    assert len(kernel.lockdep.reports) == 1
    assert sum("circular locking" in text for _, text in kernel.log) == 1


def test_same_text_from_two_kernels():
    texts = []
    for _ in range(2):
        kernel = Kernel(lockdep=True)
        _abba(kernel)
        texts.append(kernel.lockdep.reports[0].text)
    assert texts[0] == texts[1]


def test_interrupt_inversion_report():
    kernel = Kernel(lockdep=True)
    lock = Spinlock(kernel, "dev->lock")

    def handler():
        with lock:
            pass

    def body():
        Interrupt(kernel, "irq", handler).raise_(on=kernel.current)
        lock.lock()
        lock.unlock()

    kernel.call(body)
    (report,) = kernel.lockdep.reports
    assert report.kind == "inconsistent"
    assert "inconsistent {IN-HARDIRQ-W} -> {HARDIRQ-ON-W} usage." in report.text


@pytest.mark.parametrize("way", ["flush_workqueue", "cancel_work_sync"])
def test_waiting_for_work_under_a_lock_that_the_work_takes(way):
    """The workqueue maps: both orders are seen, though nothing deadlocks in this run."""
    kernel = Kernel(lockdep=True)
    lock = Mutex(kernel, "lock")
    queue = Workqueue(kernel, "queue", flags=WQ_MEM_RECLAIM)

    def job():
        with lock:
            pass

    work = Work(kernel, job)

    def body():
        queue.queue(work)
        kernel.msleep(1)
        with lock:
            if way == "flush_workqueue":
                queue.flush()
            else:
                work.cancel_sync()

    kernel.spawn(body)
    assert kernel.run()
    (report,) = kernel.lockdep.reports
    assert report.kind == "circular"
    wanted = "(wq_completion)queue" if way == "flush_workqueue" else "(work_completion)(job)"
    assert wanted in report.chain


def test_fence_signalling_critical_section_and_a_wait_under_the_same_lock():
    """drivers/dma-buf/dma-fence.c: a lock of the signalling path may not be held while waiting."""
    kernel = Kernel(lockdep=True)
    fence = kernel.lockdep.named_map("dma_fence_map")
    lock = Mutex(kernel, "resv")

    def signaller():
        fence.acquire(read=2, trylock=True)
        with lock:
            pass
        fence.release()

    def waiter():
        with lock:
            fence.acquire()
            fence.release()

    kernel.call(signaller)
    assert not kernel.lockdep.reports
    kernel.call(waiter)
    assert kernel.lockdep.reports[0].kind == "circular"


def test_releasing_in_another_order_keeps_the_dependencies():
    """After A, B, C and the release of B, C depends on A directly."""
    kernel = Kernel(lockdep=True)
    a, b, c = (Mutex(kernel, name) for name in "abc")

    def body():
        a.lock()
        b.lock()
        c.lock()
        b.unlock()
        c.unlock()
        a.unlock()

    kernel.call(body)
    classes = {str(cls): cls for cls in kernel.lockdep.classes.values()}
    assert {str(cls) for cls in classes["a"].after} == {"b", "c"}


def test_subclass_makes_parent_and_child_of_one_class_legal():
    for subclass in (0, 1):
        kernel = Kernel(lockdep=True)
        parent, child = (RwSem(kernel, f"inode {n}", lock_class="i_rwsem") for n in range(2))

        def body(parent=parent, child=child, subclass=subclass):
            parent.down_write()
            child.down_write(subclass=subclass)
            child.up_write()
            parent.up_write()

        kernel.call(body)
        assert kernel.lockdep.debug_locks == (subclass == 1)
