"""Tasks, time and locks, by what their kernel namesakes promise."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import pytest

from ring3.kernel import (
    PF_MEMALLOC_NOFS,
    WQ_MEM_RECLAIM,
    Completion,
    DelayedWork,
    HrTimer,
    Interrupt,
    Kernel,
    KernelBug,
    Mutex,
    RandomScheduler,
    Rcu,
    RwSem,
    Spinlock,
    State,
    Timer,
    WaitQueue,
    Work,
    WorkerPool,
    Workqueue,
    WouldDeadlock,
    WwAcquireCtx,
    WwClass,
    WwMutex,
    memalloc_nofs,
)

MS = 1_000_000


def test_module_docstring_example_runs():
    import ring3.kernel

    text = ring3.kernel.__doc__
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    exec("\n".join(lines), {})


def test_virtual_time_jumps_to_the_next_sleeper():
    kernel = Kernel()
    order = []

    def sleeper(ms):
        kernel.msleep(ms)
        order.append((ms, kernel.now()))

    for ms in (30, 10, 20):
        kernel.spawn(sleeper, ms)
    assert kernel.run()
    assert order == [(10, 10 * MS), (20, 20 * MS), (30, 30 * MS)]


def test_run_until_time_stops_the_clock_there():
    kernel = Kernel()
    kernel.spawn(kernel.msleep, 50)
    kernel.run(until_time=20 * MS)
    assert kernel.now() == 20 * MS
    assert kernel.run()
    assert kernel.now() == 50 * MS


@pytest.mark.parametrize("seed", range(20))
def test_mutex_excludes_and_everyone_gets_it(seed):
    kernel = Kernel(scheduler=RandomScheduler(seed))
    lock = Mutex(kernel, "m")
    inside = []
    turns = []

    def worker(me):
        for _ in range(3):
            with lock:
                inside.append(me)
                assert len(inside) == 1
                kernel.cond_resched()
                inside.remove(me)
                turns.append(me)

    for me in range(4):
        kernel.spawn(worker, me)
    assert kernel.run()
    assert sorted(turns) == sorted(list(range(4)) * 3)


@pytest.mark.parametrize("seed", range(20))
def test_rwsem_readers_share_and_writers_do_not(seed):
    kernel = Kernel(scheduler=RandomScheduler(seed))
    sem = RwSem(kernel, "s")
    state = {"readers": 0, "writers": 0, "together": 0}

    def reader():
        with sem.read():
            state["readers"] += 1
            assert state["writers"] == 0
            state["together"] = max(state["together"], state["readers"])
            kernel.msleep(1)
            state["readers"] -= 1

    def writer():
        with sem.write():
            state["writers"] += 1
            assert state["writers"] == 1
            assert state["readers"] == 0
            kernel.msleep(1)
            state["writers"] -= 1

    for fn in (reader, reader, writer, reader, writer):
        kernel.spawn(fn)
    assert kernel.run()


def test_recursive_read_behind_a_writer_is_a_deadlock():
    kernel = Kernel()
    sem = RwSem(kernel, "s")

    def reader():
        with sem.read():
            kernel.msleep(2)
            with sem.read():
                pass

    def writer():
        kernel.msleep(1)
        with sem.write():
            pass

    kernel.spawn(reader)
    kernel.spawn(writer)
    assert not kernel.run()
    assert [task.name for task in kernel.stuck()] == ["reader", "writer"]
    kernel.close()


def test_downgrade_lets_readers_in_but_no_writer():
    kernel = Kernel()
    sem = RwSem(kernel, "s")
    seen = []

    def first():
        sem.down_write()
        kernel.msleep(1)
        sem.downgrade_write()
        kernel.msleep(1)
        seen.append(("first", sem.writer, len(sem.readers)))
        sem.up_read()

    def second():
        with sem.read():
            seen.append("second")

    kernel.spawn(first)
    kernel.spawn(second)
    assert kernel.run()
    assert seen == ["second", ("first", None, 1)]


def test_sleeping_under_a_spinlock_is_a_bug():
    kernel = Kernel()
    lock = Spinlock(kernel, "l")

    def bad():
        with lock:
            kernel.msleep(1)

    with pytest.raises(KernelBug, match="invalid context"):
        kernel.call(bad)


def test_unlock_by_a_stranger_is_a_bug():
    kernel = Kernel()
    lock = Mutex(kernel, "m")
    lock.lock()
    with pytest.raises(KernelBug, match="unlocks mutex m"):
        kernel.call(lock.unlock)


def test_call_returns_raises_and_sees_that_it_can_never_end():
    kernel = Kernel()
    assert kernel.call(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        kernel.call(lambda: 1 // 0)
    with pytest.raises(WouldDeadlock, match="completion never"):
        kernel.call(Completion(kernel, "never").wait)
    kernel.close()


def test_close_runs_finally_clauses():
    kernel = Kernel()
    log = []

    def body():
        lock = Mutex(kernel, "m")
        with lock:
            try:
                Completion(kernel, "never").wait()
            finally:
                log.append("unwound")

    kernel.spawn(body)
    kernel.run()
    kernel.close()
    assert log == ["unwound"]


def test_completion_timeout_and_count():
    kernel = Kernel()
    done = Completion(kernel)
    results = []

    def waiter():
        results.append(done.wait(timeout=5 * MS))
        results.append(done.wait(timeout=5 * MS))
        results.append(done.try_wait())

    def completer():
        kernel.msleep(7)
        done.complete()
        done.complete()

    kernel.spawn(waiter)
    kernel.spawn(completer)
    assert kernel.run()
    assert results == [0, 3 * MS, True]


def test_wait_event_rechecks_and_signals_interrupt():
    kernel = Kernel()
    queue = WaitQueue(kernel, "q")
    value = [0]
    results = []

    def waiter(want, state):
        results.append((want, queue.wait_event(lambda: value[0] >= want, state=state)))

    kernel.spawn(waiter, 2, State.UNINTERRUPTIBLE)
    victim = kernel.spawn(waiter, 99, State.INTERRUPTIBLE)

    def driver():
        for _ in range(2):
            kernel.msleep(1)
            value[0] += 1
            queue.wake_up()
        kernel.signal(victim)

    kernel.spawn(driver)
    assert kernel.run()
    assert results == [(2, 0), (99, -512)]


def test_exclusive_waiters_wake_one_at_a_time():
    kernel = Kernel()
    queue = WaitQueue(kernel)
    ready = [False]
    woken = []

    def waiter(me):
        queue.wait_event(lambda: ready[0], exclusive=True)
        woken.append(me)

    for me in range(3):
        kernel.spawn(waiter, me)
    kernel.run()
    ready[0] = True
    queue.wake_up()
    kernel.run()
    assert woken == [0]
    queue.wake_up_all()
    assert kernel.run()
    assert woken == [0, 1, 2]


def test_memalloc_scopes_nest():
    kernel = Kernel()

    def body():
        seen = []
        with memalloc_nofs(kernel):
            with memalloc_nofs(kernel):
                pass
            seen.append(kernel.current.flags & PF_MEMALLOC_NOFS)
        seen.append(kernel.current.flags & PF_MEMALLOC_NOFS)
        return seen

    assert kernel.call(body) == [PF_MEMALLOC_NOFS, 0]


def test_ordered_workqueue_keeps_order_and_flush_waits():
    kernel = Kernel()
    queue = Workqueue.ordered(kernel, "ordered")
    log = []

    def job(n):
        kernel.msleep(3 - n)
        log.append(n)

    def body():
        works = [Work(kernel, job, n) for n in range(3)]
        assert all(queue.queue(work) for work in works)
        assert not queue.queue(works[2])
        queue.flush()
        log.append("flushed")

    kernel.spawn(body)
    assert kernel.run()
    assert log == [0, 1, 2, "flushed"]


def test_unbound_work_runs_side_by_side():
    kernel = Kernel()
    queue = Workqueue(kernel, "unbound")
    for _ in range(5):
        queue.queue(Work(kernel, kernel.msleep, 10))
    kernel.run()
    assert kernel.now() == 10 * MS


def test_cancel_sync_waits_for_the_running_work():
    kernel = Kernel()
    queue = Workqueue(kernel, "q")
    log = []

    def job():
        kernel.msleep(5)
        log.append("done")

    def body():
        work = Work(kernel, job)
        queue.queue(work)
        kernel.msleep(1)
        assert not work.cancel_sync()
        log.append("cancelled")
        delayed = DelayedWork(kernel, job)
        queue.queue_delayed(delayed, 10 * MS)
        assert delayed.cancel_sync()

    kernel.spawn(body)
    assert kernel.run()
    assert log == ["done", "cancelled"]


def test_cancel_sync_ends_work_that_queues_itself_again():
    kernel = Kernel()
    queue = Workqueue(kernel, "q")
    runs = []

    def again():
        kernel.msleep(5)
        runs.append(kernel.now())
        queue.queue(plain)

    def later():
        kernel.msleep(5)
        runs.append(kernel.now())
        queue.queue_delayed(delayed, 10 * MS)

    plain, delayed = Work(kernel, again), DelayedWork(kernel, later)

    def body():
        for work in (plain, delayed):
            queue.queue(work)
            kernel.msleep(1)
            assert not work.cancel_sync()
            assert not work.pending and work.worker is None
            over = len(runs)
            kernel.msleep(50)
            assert len(runs) == over
            assert queue.queue(work), "only while it is being cancelled it cannot be queued"
            work.cancel_sync()

    kernel.call(body)


def test_flush_waits_for_the_runs_that_are_due_and_no_others():
    kernel = Kernel()
    queue = Workqueue(kernel, "q")
    runs = []

    def again():
        kernel.msleep(5)
        runs.append(kernel.now())
        if len(runs) < 20:
            queue.queue(work)

    work = Work(kernel, again)

    def body():
        queue.queue(work)
        kernel.msleep(1)
        queue.queue(work)  # it runs, and is to run once more
        queue.flush()
        assert len(runs) == 2
        assert work.flush()
        assert len(runs) == 3, "flush_work waits for one run, though the work queued itself again"
        assert work.pending or work.worker is not None

    kernel.call(body)
    kernel.run()
    assert len(runs) == 20
    kernel.close()


@pytest.mark.parametrize("flags", [0, WQ_MEM_RECLAIM])
def test_rescuer_works_while_no_worker_can_be_made(flags):
    kernel = Kernel()
    memory = Completion(kernel, "memory")
    WorkerPool.of(kernel).before_create = memory.wait
    queue = Workqueue(kernel, "wq", flags=flags)
    ran = []
    queue.queue(Work(kernel, lambda: ran.append(kernel.now())))
    kernel.run()
    assert ran == ([10 * MS] if flags else [])
    kernel.close()


def test_timer_runs_in_softirq_and_hrtimer_repeats():
    kernel = Kernel()
    seen = []

    def tick():
        task = kernel.current
        seen.append((kernel.now(), task.in_softirq, task.in_hardirq))

    def beat():
        tick()
        return 2 * MS if len(seen) < 4 else None

    Timer(kernel, "t", tick).mod(5 * MS)
    HrTimer(kernel, "h", beat).mod(1 * MS)
    kernel.run()
    assert seen == [
        (1 * MS, False, True),
        (3 * MS, False, True),
        (5 * MS, True, False),
        (5 * MS, False, True),
    ]


def test_interrupt_waits_until_interrupts_are_on():
    kernel = Kernel()
    lock = Spinlock(kernel, "l")
    log = []
    irq = Interrupt(kernel, "irq", lambda: log.append("irq"))

    def body():
        flags = lock.lock_irqsave()
        irq.raise_(on=kernel.current)
        log.append("critical")
        lock.unlock_irqrestore(flags)
        log.append("after")

    kernel.spawn(body)
    assert kernel.run()
    assert log == ["critical", "irq", "after"]


def test_interrupt_on_the_lock_holder_deadlocks():
    kernel = Kernel()
    lock = Spinlock(kernel, "l")

    def handler():
        with lock:
            pass

    def body():
        with lock:
            Interrupt(kernel, "irq", handler).raise_(on=kernel.current)

    kernel.spawn(body)
    assert not kernel.run()
    kernel.close()


def test_call_rcu_waits_for_the_readers_of_its_time():
    kernel = Kernel()
    rcu = Rcu.of(kernel)
    log = []

    def reader(ms, name):
        with rcu:
            kernel.udelay(ms * 1000)
            log.append(name)

    def updater():
        kernel.msleep(1)
        rcu.call(log.append, "freed")
        kernel.spawn(reader, 10, "late")
        rcu.synchronize()
        log.append("synchronized")

    kernel.spawn(reader, 5, "early")
    kernel.spawn(updater)
    assert kernel.run()
    assert log == ["early", "freed", "synchronized", "late"]


@pytest.mark.parametrize("wait_die", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_ww_mutexes_in_opposite_order_always_end(seed, wait_die):
    kernel = Kernel(scheduler=RandomScheduler(seed))
    ww = WwClass(kernel, "resv", wait_die=wait_die)
    locks = [WwMutex(kernel, f"bo{i}", ww) for i in range(3)]
    held = []

    def user(order):
        ctx = WwAcquireCtx(ww)
        slow = None
        while True:
            mine = []
            if slow is not None:
                slow.lock_slow(ctx)
                mine.append(slow)
            for index in order:
                if locks[index] in mine:
                    continue
                if locks[index].lock(ctx) == -35:
                    slow = locks[index]
                    break
                mine.append(locks[index])
            else:
                break
            for lock in mine:
                lock.unlock()
        ctx.done()
        held.append(order)
        assert all(lock.ctx is ctx for lock in locks)
        for lock in locks:
            lock.unlock()
        ctx.fini()

    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        kernel.spawn(user, order)
    assert kernel.run(), kernel.describe_blocked()
    assert len(held) == 3


def test_real_clock_sleeps_and_is_woken_from_another_thread():
    kernel = Kernel(clock="real")
    done = Completion(kernel, "from outside")

    def thread():
        time.sleep(0.02)
        kernel.call_soon_threadsafe(done.complete)

    helper = threading.Thread(target=thread)
    before = time.monotonic()
    helper.start()
    kernel.call(done.wait)
    assert time.monotonic() - before >= 0.02
    helper.join()
    before = time.monotonic()
    kernel.call(kernel.msleep, 10)
    assert time.monotonic() - before >= 0.01
    kernel.close()


def test_real_clock_reads_descriptors():
    kernel = Kernel(clock="real")
    read, write = os.pipe()
    got = Completion(kernel, "data")
    data = []

    def readable():
        data.append(os.read(read, 10))
        got.complete()

    kernel.add_reader(read, readable)
    os.write(write, b"x")
    kernel.call(got.wait)
    assert data == [b"x"]
    kernel.remove_reader(read)
    kernel.close()
    os.close(read)
    os.close(write)


def test_two_kernels_in_one_process():
    first, second = Kernel(), Kernel()
    first.spawn(first.msleep, 5)
    second.spawn(second.msleep, 9)
    first.run()
    second.run()
    assert (first.now(), second.now()) == (5 * MS, 9 * MS)


def test_many_tasks_and_a_deep_family_of_tasks_need_no_deep_stack():
    kernel = Kernel()
    ran = []

    def generation(left):
        ran.append(left)
        if left:
            kernel.join(kernel.spawn(generation, left - 1))

    for number in range(3000):
        kernel.spawn(ran.append, -number)
    kernel.spawn(generation, 1500)
    assert kernel.run()
    assert len(ran) == 3000 + 1501


def test_a_long_lived_kernel_forgets_its_dead_tasks():
    kernel = Kernel()
    timer = Timer(kernel, "tick", lambda: None)
    for _ in range(5_000):
        timer.mod(1 * MS)
        kernel.run()
    assert kernel.now() == 5_000 * MS
    assert len(kernel.tasks) < 1_500
    assert kernel.spawn(kernel.msleep, 1).tid == 5_001
    assert kernel.run()


def test_a_real_kernel_that_is_dropped_gives_its_descriptors_back():
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        kernel = Kernel(clock="real")
        kernel.call(kernel.msleep, 0)
        del kernel
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
