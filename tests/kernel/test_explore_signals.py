"""Signals race with what a task waits for: exploration, reduced or not, must see both end first."""

from __future__ import annotations

import pytest

from ring3.kernel import Completion, Kernel, Mutex, Shared, WaitQueue
from ring3.kernel.explore import exhaustive
from ring3.kernel.task import State
from ring3.kernel.wait import EINTR, ERESTARTSYS


def wait_queue(kernel: Kernel) -> set[tuple[int, ...]]:
    queue, flag = WaitQueue(kernel, "queue"), Shared(kernel, "flag", 0)
    ends = kernel.parts["ends"] = []

    def waits() -> None:
        ends.append(queue.wait_event(lambda: bool(flag.read()), state=State.KILLABLE))

    def wakes() -> None:
        flag.write(1)
        queue.wake_up()

    waiter = kernel.spawn(waits)
    kernel.spawn(wakes)
    kernel.spawn(lambda: kernel.signal(waiter))
    return {(0,), (-ERESTARTSYS,)}


def completion(kernel: Kernel) -> set[tuple[int, ...]]:
    done = Completion(kernel, "done")
    ends = kernel.parts["ends"] = []
    waiter = kernel.spawn(lambda: ends.append(done.wait(state=State.KILLABLE)))
    kernel.spawn(done.complete)
    kernel.spawn(lambda: kernel.signal(waiter))
    return {(0,), (-ERESTARTSYS,)}


def completion_of_two(kernel: Kernel) -> set[tuple[int, ...]]:
    """The other waiter is not signalled: it always gets its completion."""
    done = Completion(kernel, "done")
    ends = kernel.parts["ends"] = [1, 1]

    def waits(me: int, state: State) -> None:
        ends[me] = done.wait(state=state)

    waiter = kernel.spawn(waits, 0, State.INTERRUPTIBLE)
    kernel.spawn(waits, 1, State.UNINTERRUPTIBLE)
    kernel.spawn(lambda: (done.complete(), done.complete()))
    kernel.spawn(lambda: kernel.signal(waiter))
    return {(0, 0), (-ERESTARTSYS, 0)}


def mutex(kernel: Kernel) -> set[tuple[int, ...]]:
    lock = Mutex(kernel, "lock")
    ends = kernel.parts["ends"] = []

    def locks() -> None:
        ends.append(lock.lock_interruptible())
        if not ends[-1]:
            lock.unlock()

    def holds() -> None:
        with lock:
            pass

    waiter = kernel.spawn(locks)
    kernel.spawn(holds)
    kernel.spawn(lambda: kernel.signal(waiter))
    return {(0,), (-EINTR,)}


@pytest.mark.parametrize("reduce", [True, False])
@pytest.mark.parametrize("setup", [wait_queue, completion, completion_of_two, mutex])
def test_a_signal_comes_before_or_after(setup, reduce):
    wanted = []
    seen = set()

    def program(kernel: Kernel) -> None:
        wanted.append(setup(kernel))

    def observe(kernel, wrong):
        assert wrong is None
        seen.add(tuple(kernel.parts["ends"]))

    result = exhaustive(program, reduce=reduce, observe=observe)
    assert result.complete
    assert seen == wanted[0]
