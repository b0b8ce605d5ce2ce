"""Every case of the kernel's lockdep selftest, with the verdict that the kernel demands of itself."""

from __future__ import annotations

import copy
import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from ring3.errors import MissingPart
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
from ring3.kselftest.kernel import UML_LOCKDEP, Image, build
from ring3.linux_source import kernel_source

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


FS_RECLAIM = {"GFP_NOFS": True, "GFP_KERNEL": False, "scope": True}


def _fs_reclaim_verdict(inner: str) -> bool:
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

    return _verdict(body)


@pytest.mark.parametrize("inner", FS_RECLAIM)
def test_fs_reclaim_case(inner):
    assert _fs_reclaim_verdict(inner) == FS_RECLAIM[inner]


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


def _wait_verdict(outer: str, inner: str) -> bool:
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

    return _verdict(body)


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", WAIT_CONTEXTS)
def test_wait_context(outer, inner):
    assert _wait_verdict(outer, inner) == (WAIT_CONTEXTS[outer][INNER.index(inner)] == "o")


# The same table printed by a kernel that boots: lines of it, each with our verdicts in its order.


def _our_table() -> dict[str, list[bool]]:
    table: dict[str, list[bool]] = {}
    renamed = {"local_lock inversion 2": "local_lock inversion  2"}
    for case in CASES:
        name = case.name.removesuffix(" rlock").removesuffix(" rsem").removesuffix(" rwsem")
        name = name.removesuffix(f" {case.family}").removeprefix("hard-sirq").strip()
        if case.name.startswith("hard-sirq-safe"):
            name = f"sirq{name}"
        name = name.replace("chain cached R-L", "chain cached mixed R-L")
        if name.startswith(("read-lock/lock", "write-lock/lock")):
            name = f"mixed {name}"
        table.setdefault(renamed.get(name, name), []).append(selftest_cases.accepts(case))
    for line, names in {
        "ww api failures": ("fail_acquire", "normal", "unneeded_slow"),
        "ww contexts mixing": ("two_contexts", "diff_class"),
        "finishing ww context": (
            "context_done_twice",
            "context_unlock_twice",
            "context_fini_early",
            "context_lock_after_done",
        ),
        "locking mismatches": (
            "object_unlock_twice",
            "object_lock_unbalanced",
            "object_lock_stale_context",
        ),
        "EDEADLK handling": tuple(name for name in WW_CASES if name.startswith("edeadlk")),
        "spinlock nest unlocked": ("spin_nest_unlocked",),
        "spinlock nest test": ("spin_nest_lock",),
        "context": ("context_block", "context_try", "context_context"),
        "try": ("try_block", "try_try", "try_context"),
        "block": ("block_block", "block_try", "block_context"),
        "spinlock": ("spin_block", "spin_try", "spin_context"),
    }.items():
        table[line] = [
            _verdict(lambda kernel, body=WW_CASES[name][0]: body(WW(kernel))) for name in names
        ]
    nestings = ("correct nesting", "wrong nesting", "protected nesting")
    for line, inner in zip(nestings, FS_RECLAIM, strict=True):
        table[line] = [_fs_reclaim_verdict(inner)]
    names = ("hardirq", "hardirq (not threaded)", "softirq", "RCU", "RCU-bh", "RCU-sched")
    names += ("RAW_SPINLOCK", "SPINLOCK", "MUTEX")
    for name, outer in zip(names, WAIT_CONTEXTS, strict=True):
        first, _, rest = name.partition(" ")
        line = f"in {first} context {rest}".strip()
        table[line] = [_wait_verdict(outer, inner) for inner in INNER]
    return table


_RESULT = re.compile(
    r"(  ok  |FAILED)\|(?: lockclass mask: \w+, debug_locks: ([01]), expected: ([01]))?"
)
# Cases that no lockclass mask turns verbose: of these the log has only that the kernel is content.
_SILENT = {"correct nesting", "wrong nesting", "protected nesting"}


def _kernel_table(log: str, lines: Iterable[str]) -> dict[str, list[bool | None]]:
    """Line of the table -> the kernel's own verdicts; None where the log does not tell."""
    wanted = set(lines)
    table: dict[str, list[bool | None]] = {}
    current: list[bool | None] | None = None
    for text in log.partition("| Locking API testsuite:")[2].splitlines():
        rest = text
        if text[33:34] == ":" and text[:33].strip() in wanted:
            current = table.setdefault(text[:33].strip(), [])
            rest = text[34:]
        if current is None:
            continue
        for outcome, verdict, expected in _RESULT.findall(rest):
            assert outcome == "  ok  ", text
            assert verdict == expected
            current.append(verdict == "1" if verdict else None)
        if "set_subclass" in text:
            break
    return table


@pytest.fixture(scope="module")
def image() -> Image:
    """Linux 7.2 with its self-test; built once a machine, which takes minutes, on a busy one an hour."""
    try:
        return build(kernel_source("7.2"), UML_LOCKDEP)
    except MissingPart as missing:
        pytest.skip(str(missing))


@pytest.mark.oracle
@pytest.mark.timeout(900, func_only=True)  # the image has all the time it needs
def test_every_verdict_is_that_of_a_kernel_that_boots(image: Image, tmp_path: Path) -> None:
    """Booted with every case verbose it prints debug_locks for each."""
    log = tmp_path / "log"
    # Into a file: User-mode Linux drops what a pipe does not take at once.
    words = [image.path, "mem=256M", f"uml_dir={tmp_path}", "con=null", "con0=fd:0,fd:1"]
    words += ["console=tty0", "debug_locks_verbose=-1", "panic=-1", "ignore_loglevel"]
    words += ["log_buf_len=16M"]
    with log.open("wb") as out:
        subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=800, check=False
        )
    text = log.read_text(errors="replace")
    ours = _our_table()
    theirs = _kernel_table(text, ours)
    assert sum(map(len, ours.values())) == 358 + 36
    assert {line: len(found) for line, found in theirs.items()} == {
        line: len(found) for line, found in ours.items()
    }
    # One more is on names: test_set_subclass_keeps_the_name.
    assert f"Good, all {358 + 36 + 1} testcases passed!" in text
    for line, found in theirs.items():
        assert all(verdict is not None for verdict in found) or line in _SILENT
        if line not in _SILENT:
            assert found == ours[line], line
