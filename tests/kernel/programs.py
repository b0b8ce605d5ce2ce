"""Small programs, right and wrong, for the tests of exploration.  Worker processes import them."""

from __future__ import annotations

from ring3.kernel import Completion, Interrupt, Mutex, RwSem, Shared, Spinlock, WaitQueue


def abba(kernel):
    a, b = Mutex(kernel, "a"), Mutex(kernel, "b")

    def both(first, second):
        with first, second:
            pass

    kernel.spawn(both, a, b, name="ab")
    kernel.spawn(both, b, a, name="ba")


def ordered(kernel):
    a, b = Mutex(kernel, "a"), Mutex(kernel, "b")

    def both():
        with a, b:
            pass

    kernel.spawn(both)
    kernel.spawn(both)


def lost_update(kernel):
    x = Shared(kernel, "x", 0)

    def bump():
        x.write(x.read() + 1)

    kernel.spawn(bump)
    kernel.spawn(bump)

    def check():
        assert x.value == 2, f"x is {x.value}, not 2"

    return check


def locked_update(kernel):
    """Three threads of eight steps: two counters, each under a lock of its own."""
    locks = [Mutex(kernel, f"lock{i}") for i in range(2)]
    counters = [Shared(kernel, f"counter{i}", 0) for i in range(2)]

    def body():
        for lock, counter in zip(locks, counters, strict=True):
            lock.lock()
            counter.write(counter.read() + 1)
            lock.unlock()

    for _ in range(3):
        kernel.spawn(body)

    def check():
        assert [counter.value for counter in counters] == [3, 3]

    return check


def sleep_without_recheck(kernel):
    """The wake-up may come between the check and the sleep, and is lost."""
    queue = WaitQueue(kernel, "queue")
    ready = Shared(kernel, "ready", False)

    def waiter():
        if not ready.read():
            queue.prepare_to_wait()
            queue.sleep()
            queue.finish_wait()

    def waker():
        ready.write(True)
        queue.wake_up()

    kernel.spawn(waiter)
    kernel.spawn(waker)


def sleep_with_wait_event(kernel):
    queue = WaitQueue(kernel, "queue")
    ready = Shared(kernel, "ready", False)

    def waiter():
        queue.wait_event(ready.read)

    def waker():
        ready.write(True)
        queue.wake_up()

    kernel.spawn(waiter)
    kernel.spawn(waker)


def after_you(kernel):
    """Each waits until the other no longer wants: polite for ever."""
    wants = [Shared(kernel, f"wants{i}", False) for i in range(2)]

    def body(me):
        wants[me].write(True)
        while wants[1 - me].read():
            kernel.cond_resched()
        wants[me].write(False)

    kernel.spawn(body, 0)
    kernel.spawn(body, 1)


def recursive_read(kernel):
    sem = RwSem(kernel, "sem")

    def reader():
        with sem.read(), sem.read():
            pass

    def writer():
        with sem.write():
            pass

    kernel.spawn(reader)
    kernel.spawn(writer)


def irq_takes_lock(kernel, irqs_off=False):
    """A lock that an interrupt takes too, held with interrupts on: it may hit in between."""
    lock = Spinlock(kernel, "lock")

    def handler():
        with lock:
            pass

    irq = Interrupt(kernel, "irq", handler)

    def body():
        if irqs_off:
            with lock.irqsave():
                pass
        else:
            with lock:
                pass

    victim = kernel.spawn(body)
    irq.aim(victim)
    kernel.spawn(irq.raise_, victim, name="device")


def irq_safe(kernel):
    irq_takes_lock(kernel, irqs_off=True)


def warns_in_one_order(kernel):
    flag = Shared(kernel, "flag", 0)

    def first():
        flag.write(1)

    def second():
        if flag.read():
            kernel.warn("flag was set")

    kernel.spawn(first)
    kernel.spawn(second)


def timeout_or_completion(kernel):
    """A completion that comes later than the wait lasts: the answer must be -ETIMEDOUT, in every order."""
    done = Completion(kernel, "done")

    def waiter():
        assert done.wait(timeout=1_000_000) == 0

    def device():
        kernel.msleep(2)
        done.complete()

    kernel.spawn(waiter)
    kernel.spawn(device)
