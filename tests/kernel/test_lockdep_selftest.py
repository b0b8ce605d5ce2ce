"""Every case of the kernel's lockdep selftest, with the verdict that the kernel demands of itself."""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ring3.kernel import (
    PF_MEMALLOC_NOFS,
    Interrupt,
    Kernel,
    KernelBug,
    Mutex,
    RawSpinlock,
    Rcu,
    RwSem,
    Softirq,
    Spinlock,
    WwAcquireCtx,
    WwClass,
    WwMutex,
    memalloc_nofs,
)

_spec = importlib.util.spec_from_file_location(
    "selftest_cases", Path(__file__).with_name("selftest_cases.py")
)
selftest_cases = sys.modules["selftest_cases"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(selftest_cases)

CASES = list(selftest_cases.cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_case(case):
    assert selftest_cases.accepts(case) == case.ok


# Wound/wait: 36 cases.  A case gets (t, o, o2, o3, a): two contexts' maker, three ww_mutexes of one
# wait-die class, and spinlocks by name.


class WW:
    """The objects that the ww cases share."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.ww = WwClass(kernel, "ww_lockdep", wait_die=True)
        self.o, self.o2, self.o3 = (WwMutex(kernel, f"o{i}", self.ww) for i in range(3))
        self.spin = {
            name: Spinlock(kernel, name, lock_class=name[0]) for name in ("A", "X1", "Y1", "Y2")
        }

    def ctx(self) -> WwAcquireCtx:
        return WwAcquireCtx(self.ww)

    def older_owner(self, lock: WwMutex, ctx: WwAcquireCtx) -> None:
        """``lock`` is held by somebody older than ``ctx``, of whom lockdep does not know."""
        lock.ctx = copy.copy(ctx)
        lock.ctx.stamp -= 1

    def give_back(self, lock: WwMutex) -> None:
        lock.ctx = None
        lock.map.acquire(trylock=True)
        lock.base.unlock()


def _fail_acquire(w):
    t = w.ctx()
    t.stamp += 1
    assert w.o.lock(t) == 0
    assert w.o.lock(t) == -114
    assert not w.o.trylock()
    t2 = copy.copy(t)
    t2.stamp += 1
    assert w.o.lock(t2) == -35
    w.o.unlock()
    assert w.o.trylock()
    w.o.unlock()


def _normal(w):
    base, mark = w.o.base, object()
    w.o.ctx = mark
    base.lock()
    base.unlock()
    assert base.lock_interruptible() == 0
    base.unlock()
    assert base.trylock()
    base.unlock()
    base.lock()
    assert not base.trylock()
    base.unlock()
    base.lock(nest=w.ctx())
    base.unlock()
    assert w.o.ctx is mark


def _two_contexts(w):
    w.ctx()
    w.ctx()


def _diff_class(w):
    t = w.ctx()
    t.ww_class = WwClass(w.kernel, "another", wait_die=True)
    w.o.lock(t)


def _done_twice(w):
    t = w.ctx()
    t.done()
    t.done()
    t.fini()


def _unlock_twice(w):
    t = w.ctx()
    t.done()
    t.fini()
    t.fini()


def _fini_early(w):
    t = w.ctx()
    w.o.lock(t)
    t.done()
    t.fini()


def _lock_after_done(w):
    t = w.ctx()
    t.done()
    w.o.lock(t)


def _object_unlock_twice(w):
    w.o.lock()
    w.o.unlock()
    w.o.unlock()


def _unbalanced(w):
    t = w.ctx()
    w.o.lock(t)
    t.acquired = 0
    w.o.unlock()
    t.fini()


def _stale_context(w):
    t = w.ctx()
    w.o.ctx = copy.copy(t)
    w.o.lock(t)


def _edeadlk(then: str, *, also_o3: bool = False, unlock: bool = False) -> Callable[[WW], None]:
    """Told to back off at o2 with o held; ``then`` is what it does instead of, or after, unlocking."""

    def case(w):
        held = [w.o2, w.o3] if also_o3 else [w.o2]
        for lock in held:
            lock.base.lock()
            lock.map.release()
        t = w.ctx()
        for lock in held:
            w.older_owner(lock, t)
        assert w.o.lock(t) == 0
        assert w.o2.lock(t) == -35
        what, lock = then.split()
        if lock == "o2":
            w.give_back(w.o2)
        if unlock:
            w.o.unlock()
        getattr(getattr(w, lock), what)(t)

    return case


def _nest_unlocked(w):
    w.spin["A"].lock(nest=w.o.base)
    w.spin["A"].unlock()


def _nest_lock(w):
    s = w.spin
    s["X1"].lock()
    s["Y1"].lock(nest=s["X1"])
    s["A"].lock()
    s["Y2"].lock(nest=s["X1"])
    for name in ("A", "Y2", "Y1", "X1"):
        s[name].unlock()


def _unneeded_slow(w):
    w.o.lock_slow(w.ctx())


def _pair(first: str, second: str) -> Callable[[WW], None]:
    """One ww_mutex (or spinlock) taken in one way, then a second in another."""

    def take(w, how, lock):
        if how == "try":
            assert lock.trylock()
        else:
            lock.lock(w.ctx() if how == "context" else None)

    def case(w):
        if first == "spin":
            a = w.spin["A"]
            with a:
                pass
            t = w.ctx() if second == "context" else None
            for outer_is_spin in (False, True):
                if outer_is_spin:
                    a.lock()
                if second == "try":
                    assert w.o.trylock()
                else:
                    w.o.lock(t)
                if not outer_is_spin:
                    with a:
                        pass
                w.o.unlock()
                if outer_is_spin:
                    a.unlock()
        elif first == "context":
            t = w.ctx()
            w.o.lock(t)
            if second == "context":
                assert w.o2.lock(t) == 0
            else:
                take(w, second, w.o2)
        else:
            take(w, first, w.o)
            take(w, second, w.o2)

    return case


WW_CASES = {
    "fail_acquire": (_fail_acquire, True),
    "normal": (_normal, True),
    "unneeded_slow": (_unneeded_slow, False),
    "two_contexts": (_two_contexts, False),
    "diff_class": (_diff_class, False),
    "context_done_twice": (_done_twice, False),
    "context_unlock_twice": (_unlock_twice, False),
    "context_fini_early": (_fini_early, False),
    "context_lock_after_done": (_lock_after_done, False),
    "object_unlock_twice": (_object_unlock_twice, False),
    "object_lock_unbalanced": (_unbalanced, False),
    "object_lock_stale_context": (_stale_context, False),
    "edeadlk_normal": (_edeadlk("lock o2", unlock=True), True),
    "edeadlk_normal_slow": (_edeadlk("lock_slow o2", unlock=True), True),
    "edeadlk_no_unlock": (_edeadlk("lock o2"), False),
    "edeadlk_no_unlock_slow": (_edeadlk("lock_slow o2"), False),
    "edeadlk_acquire_more": (_edeadlk("lock o3"), False),
    "edeadlk_acquire_more_slow": (_edeadlk("lock_slow o3"), False),
    "edeadlk_acquire_more_edeadlk": (_edeadlk("lock o3", also_o3=True), False),
    "edeadlk_acquire_more_edeadlk_slow": (_edeadlk("lock_slow o3", also_o3=True), False),
    "edeadlk_acquire_wrong": (_edeadlk("lock o3", unlock=True), False),
    "edeadlk_acquire_wrong_slow": (_edeadlk("lock_slow o3", unlock=True), False),
    "spin_nest_unlocked": (_nest_unlocked, False),
    "spin_nest_lock": (_nest_lock, True),
} | {
    f"{first}_{second}": (_pair(first, second), ok)
    for first, verdicts in {
        "context": (False, True, True),
        "try": (False, True, False),
        "block": (False, True, False),
        "spin": (False, True, False),
    }.items()
    for second, ok in zip(("block", "try", "context"), verdicts, strict=True)
}


def _verdict(body: Callable[[Kernel], None]) -> bool:
    kernel = Kernel(lockdep=True)
    kernel.lockdep.force_read_lock_recursive = True
    # What is left held or unlocked twice is a bug too, but the verdict is lockdep's alone.
    with suppress(KernelBug):
        kernel.call(body, kernel)
    kernel.close()
    return kernel.lockdep.debug_locks


@pytest.mark.parametrize("name", WW_CASES)
def test_ww_case(name):
    body, ok = WW_CASES[name]
    assert _verdict(lambda kernel: body(WW(kernel))) == ok


# fs_reclaim: 3 cases, with the map used as mm/page_alloc.c uses it.


@pytest.mark.parametrize(
    ("inner", "ok"), [("GFP_NOFS", True), ("GFP_KERNEL", False), ("scope", True)]
)
def test_fs_reclaim_case(inner, ok):
    def body(kernel):
        fs_reclaim = kernel.lockdep.named_map("__fs_reclaim_map")

        def might_alloc(may_enter_fs):
            if may_enter_fs and not kernel.current.flags & PF_MEMALLOC_NOFS:
                fs_reclaim.acquire()
                fs_reclaim.release()

        fs_reclaim.acquire()
        if inner == "scope":
            with memalloc_nofs(kernel):
                might_alloc(True)
        else:
            might_alloc(inner == "GFP_KERNEL")
        fs_reclaim.release()

    assert _verdict(body) == ok


def test_set_subclass_keeps_the_name():
    kernel = Kernel(lockdep=True)
    sem = RwSem(kernel, "rwsem_X1")
    sem.map.set_class(sem.map.key, 1)
    assert sem.map.lock_class(1).name == "rwsem_X1"


def test_there_are_358_cases_and_one_on_names():
    assert len(CASES) + len(WW_CASES) + 3 == 358


# Wait contexts: what (column) may be taken where (row); o allowed, x not.
INNER = ("rcu", "raw", "spin", "mutex")
WAIT_CONTEXTS = {
    "hardirq": "ooox",
    "hardirq not threaded": "ooxx",
    "softirq": "ooox",
    "rcu": "ooox",
    "rcu bh": "ooox",
    "rcu sched": "ooxx",
    "raw": "ooxx",
    "spin": "ooox",
    "mutex": "oooo",
}


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", WAIT_CONTEXTS)
def test_wait_context(outer, inner):
    def take(kernel, what, name, then):
        if what.startswith("rcu"):
            rcu = Rcu.of(kernel)
            flavour = what.partition(" ")[2] or "rcu"
            rcu.read_lock(flavour)
            then()
            rcu.read_unlock(flavour)
        elif what.startswith("hardirq"):
            threaded = what == "hardirq"
            Interrupt(kernel, "irq", then, threaded=threaded).raise_(on=kernel.current)
        elif what == "softirq":
            Softirq(kernel, "softirq", then).raise_(on=kernel.current)
        else:
            kind = {"raw": RawSpinlock, "spin": Spinlock, "mutex": Mutex}[what]
            with kind(kernel, name):
                then()

    def body(kernel):
        take(kernel, outer, "A", lambda: take(kernel, inner, "B", lambda: None))

    assert _verdict(body) == (WAIT_CONTEXTS[outer][INNER.index(inner)] == "o")
