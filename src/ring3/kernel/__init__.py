"""A kernel in user space: tasks, clocks, locks, lockdep, workqueues, and exploration of their schedules.

    from ring3.kernel import Completion, Kernel, Mutex, Spinlock, WaitQueue, Work, Workqueue

    kernel = Kernel()                        # virtual clock; Kernel(clock="real"); lockdep=True
    lock = Mutex(kernel, "inode->i_rwsem")   # the name is the lockdep class
    done = Completion(kernel, "io")

    def reader(block):                       # any function may block anywhere; no async, no yield
        with lock:                           # or lock.lock() ... lock.unlock()
            done.wait(timeout=5_000_000)     # times are ns
        return block + 1

    def disk():
        kernel.msleep(3)
        done.complete()

    task = kernel.spawn(reader, 41)          # runnable; kthread_run(fn, name=...) for kernel threads
    kernel.spawn(disk)
    kernel.run()                             # until nothing can run; run(until=lambda: ...)
    assert task.result == 42 and kernel.now() == 3_000_000
    kernel.call(reader, 1)                   # from outside: spawn, run to its end, result or exception
    kernel.close()

Tasks: ``kernel.current`` (``.flags`` are PF_ flags, ``.name``, ``.tid``), ``kernel.join(task)``,
``kernel.signal(task)``, ``kernel.cond_resched()``, ``kernel.msleep(ms)``, ``kernel.udelay(us)``,
``kernel.stuck()``.  Scopes: ``with memalloc_nofs(kernel):``, or ``flags = memalloc_nofs_save(kernel)`` and
``memalloc_nofs_restore(kernel, flags)``; likewise noio and noreclaim.

Locks: Spinlock (``lock_irqsave``, ``with lock.irqsave():``, ``lock_bh``), Mutex, Semaphore, RwSem,
PercpuRwSem, RwLock, WwMutex with WwClass and WwAcquireCtx.  Waiting: ``WaitQueue.wait_event(cond,
timeout=ns)`` / ``wake_up()``, Completion.  Later: Work, DelayedWork, Workqueue (``ordered``, WQ_MEM_RECLAIM),
Timer, HrTimer, Interrupt, Softirq, ``Rcu.of(kernel)``.  Memory shared without a lock: ``Shared(kernel,
"seqno", 0)``, whose reads and writes exploration sees; any other state a task touches outside of a
lock is announced with ``kernel.touch(key)`` or ``kernel.touch(key | WRITE)``, keys from
``kernel.new_key()``.

What goes wrong: ``kernel.warn("...")`` records a WARN with its stack in ``kernel.warnings``;
``kernel.bug("...")`` raises KernelBug in the task, which ends :meth:`Kernel.run`, as any exception does.

The real clock: ``kernel.call_soon_threadsafe(fn, *args)`` from any thread, ``kernel.add_reader(fd, fn)``,
``kernel.run(forever=True)`` or ``run(until=...)``.  Such functions run outside of any task and must not
sleep: they complete, wake, queue work or spawn.

``kernel.parts`` is a dict in which a subsystem keeps what it has one of per kernel.
"""

from ring3.kernel.alarm import Alarm
from ring3.kernel.clock import NSEC_PER_MSEC, NSEC_PER_SEC, NSEC_PER_USEC, RealClock, VirtualClock
from ring3.kernel.core import STATE, WRITE, Kernel, Scheduler
from ring3.kernel.irq import HrTimer, Interrupt, Softirq, Timer
from ring3.kernel.locks import (
    LocalLock,
    Mutex,
    RawSpinlock,
    RtMutex,
    Semaphore,
    Spinlock,
    local_bh_disable,
    local_bh_enable,
    local_irq_disable,
    local_irq_enable,
    local_irq_restore,
    local_irq_save,
)
from ring3.kernel.memalloc import (
    memalloc_nofs,
    memalloc_nofs_restore,
    memalloc_nofs_save,
    memalloc_noio,
    memalloc_noio_restore,
    memalloc_noio_save,
    memalloc_noreclaim,
    memalloc_noreclaim_restore,
    memalloc_noreclaim_save,
)
from ring3.kernel.rcu import Rcu
from ring3.kernel.report import KernelBug, Warn, WouldDeadlock
from ring3.kernel.rwsem import PercpuRwSem, RwLock, RwSem
from ring3.kernel.schedulers import RandomScheduler
from ring3.kernel.shared import Shared
from ring3.kernel.task import (
    PF_KSWAPD,
    PF_KTHREAD,
    PF_MEMALLOC,
    PF_MEMALLOC_NOFS,
    PF_MEMALLOC_NOIO,
    PF_MEMALLOC_PIN,
    PF_WQ_WORKER,
    State,
    Task,
)
from ring3.kernel.wait import ERESTARTSYS, Completion, WaitQueue
from ring3.kernel.workqueue import (
    WQ_FREEZABLE,
    WQ_HIGHPRI,
    WQ_MEM_RECLAIM,
    WQ_UNBOUND,
    DelayedWork,
    Work,
    WorkerPool,
    Workqueue,
)
from ring3.kernel.ww import WwAcquireCtx, WwClass, WwMutex

__all__ = [
    "ERESTARTSYS",
    "NSEC_PER_MSEC",
    "NSEC_PER_SEC",
    "NSEC_PER_USEC",
    "PF_KSWAPD",
    "PF_KTHREAD",
    "PF_MEMALLOC",
    "PF_MEMALLOC_NOFS",
    "PF_MEMALLOC_NOIO",
    "PF_MEMALLOC_PIN",
    "PF_WQ_WORKER",
    "STATE",
    "WQ_FREEZABLE",
    "WQ_HIGHPRI",
    "WQ_MEM_RECLAIM",
    "WQ_UNBOUND",
    "WRITE",
    "Alarm",
    "Completion",
    "DelayedWork",
    "HrTimer",
    "Interrupt",
    "Kernel",
    "KernelBug",
    "LocalLock",
    "Mutex",
    "PercpuRwSem",
    "RandomScheduler",
    "RawSpinlock",
    "Rcu",
    "RealClock",
    "RtMutex",
    "RwLock",
    "RwSem",
    "Scheduler",
    "Semaphore",
    "Shared",
    "Softirq",
    "Spinlock",
    "State",
    "Task",
    "Timer",
    "VirtualClock",
    "WaitQueue",
    "Warn",
    "Work",
    "WorkerPool",
    "Workqueue",
    "WouldDeadlock",
    "WwAcquireCtx",
    "WwClass",
    "WwMutex",
    "local_bh_disable",
    "local_bh_enable",
    "local_irq_disable",
    "local_irq_enable",
    "local_irq_restore",
    "local_irq_save",
    "memalloc_nofs",
    "memalloc_nofs_restore",
    "memalloc_nofs_save",
    "memalloc_noio",
    "memalloc_noio_restore",
    "memalloc_noio_save",
    "memalloc_noreclaim",
    "memalloc_noreclaim_restore",
    "memalloc_noreclaim_save",
]
