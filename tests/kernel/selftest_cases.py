"""The case matrix of the kernel's lib/locking-selftest.c (7.2) as declarations, and their interpreter.

What each case does and which verdict the kernel demands of itself are facts of that file. A case is
a few words: ``+A`` takes lock A of the family under test and ``-A`` releases it; a letter before
names another family (``s+A`` spin, ``w+A``/``r+A`` write/read of the rwlock, ``m+A`` mutex,
``W+A``/``R+A`` write/read of the rwsem, ``l+A`` local_lock); ``!A`` frees the memory of A;
``off``/``on`` disable and enable the interrupts under test, ``hoff``/``hon`` the hard ones,
``soff``/``son`` softirqs; ``irq( ... )``, ``hirq( ... )`` and ``sirq( ... )`` happen in such an
interrupt. X1 and X2 are two locks of one class, like Y1, Y2 and Z1, Z2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations

from ring3.kernel import (
    Interrupt,
    Kernel,
    KernelBug,
    LocalLock,
    Mutex,
    RtMutex,
    RwLock,
    RwSem,
    Softirq,
    Spinlock,
    local_bh_disable,
    local_bh_enable,
    local_irq_disable,
    local_irq_enable,
)

# Family -> (letter, type, how to lock, how to unlock)
FAMILIES = {
    "spin": ("s", Spinlock, "lock", "unlock"),
    "wlock": ("w", RwLock, "write_lock", "write_unlock"),
    "rlock": ("r", RwLock, "read_lock", "read_unlock"),
    "mutex": ("m", Mutex, "lock", "unlock"),
    "wsem": ("W", RwSem, "down_write", "up_write"),
    "rsem": ("R", RwSem, "down_read", "up_read"),
    "rtmutex": ("t", RtMutex, "lock", "unlock"),
    "local": ("l", LocalLock, "lock", "unlock"),
}
_BY_LETTER = {letter: family for family, (letter, *_) in FAMILIES.items()}
SEVEN = ("spin", "wlock", "rlock", "mutex", "wsem", "rsem", "rtmutex")
THREE = ("spin", "wlock", "rlock")
TWO = ("wlock", "rlock")


@dataclass(frozen=True)
class Case:
    """One case.  ``ok``: the kernel accepts it."""

    name: str
    words: str
    ok: bool
    family: str = "spin"
    irq: str = "hard"
    recursive_reads: bool = (
        True  # the selftest forces read_lock() to be recursive, except in one group
    )


def _nest(*pairs: str) -> str:
    """Each pair of locks taken in that order and released."""
    return " ".join(f"+{a} +{b} -{b} -{a}" for a, b in pairs)


# name -> words; all seven families, of which only rlock passes
_CYCLES = {
    "A-A deadlock": "+X1 +X2",
    "A-B-B-A deadlock": _nest("AB", "BA"),
    "A-B-B-C-C-A deadlock": _nest("AB", "BC", "CA"),
    "A-B-C-A-B-C deadlock": _nest("AB", "CA", "BC"),
    "A-B-B-C-C-D-D-A deadlock": _nest("AB", "BC", "CD", "DA"),
    "A-B-C-D-B-D-D-A deadlock": _nest("AB", "CD", "BD", "DA"),
    "A-B-C-D-B-C-D-A deadlock": _nest("AB", "CD", "BC", "DA"),
}
# all seven families fail
_MISUSE = {"double unlock": "+A -A -A", "initialize held": "+A !A"}
# (name, words, accepted)
_MIXED = [
    ("recursive read-lock rlock", "r+X1 r+X1", True),
    ("recursive read-lock rsem", "R+X1 R+X1", False),
    ("recursive read-lock #2 rlock", "r+X1 r+X2", True),
    ("recursive read-lock #2 rsem", "R+X1 R+X2", False),
    ("mixed read-write-lock rlock", "r+X1 w+X2", False),
    ("mixed read-write-lock rsem", "R+X1 W+X2", False),
    ("mixed write-read-lock rlock", "w+X1 r+X2", False),
    ("mixed write-read-lock rsem", "W+X1 R+X2", False),
    ("read-lock/lock-write ABBA rlock", "r+X1 s+Y1 s-Y1 r-X1 s+Y1 w+X1 w-X1 s-Y1", False),
    ("read-lock/lock-write ABBA rwsem", "R+X1 m+Y1 m-Y1 R-X1 m+Y1 W+X1 W-X1 m-Y1", False),
    ("read-lock/lock-read ABBA rlock", "r+X1 s+Y1 s-Y1 r-X1 s+Y1 r+X1 r-X1 s-Y1", True),
    ("read-lock/lock-read ABBA rwsem", "R+X1 m+Y1 m-Y1 R-X1 m+Y1 R+X1 R-X1 m-Y1", False),
    ("write-lock/lock-write ABBA rlock", "w+X1 s+Y1 s-Y1 w-X1 s+Y1 w+X1 w-X1 s-Y1", False),
    ("write-lock/lock-write ABBA rwsem", "W+X1 m+Y1 m-Y1 W-X1 m+Y1 W+X1 W-X1 m-Y1", False),
    (
        "chain cached R-L/L-W ABBA",
        "r+X1 s+Y1 s-Y1 r-X1 s+Y1 r+X1 r-X1 s-Y1 s+Y1 w+X1 w-X1 s-Y1",
        False,
    ),
]


def _three(first: str, second: str, third: str) -> tuple[str, str, str]:
    """Three nestings of rwlocks: "wX rY" is write X, then read Y inside."""
    out = []
    for text in (first, second, third):
        (a, x), (b, y) = text.split()
        out.append(f"{a}+{x}1 {b}+{y}1 {b}-{y}1 {a}-{x}1")
    return out[0], out[1], out[2]


# (name, three events in all six orders, accepted)
_READ_WRITE = [
    ("W1R2/W2R3/W3R1", _three("wX rY", "wY rZ", "wZ rX"), False),
    ("W1W2/R2R3/W3R1", _three("wX wY", "rY rZ", "wZ rX"), False),
    ("W1W2/R2R3/R3W1", _three("wX wY", "rY rZ", "rZ wX"), True),
    ("W1R2/R2R3/W3W1", _three("wX rY", "rY rZ", "wZ wX"), True),
]
_BOTH = ("hard", "soft")
# (name, events in all their orders, families, interrupts); accepted only where the family is rlock
_IRQ = [
    ("irqs-on + irq-safe-A", ("irq( +A -A )", "+A -A"), THREE, _BOTH),
    ("sirq-safe-A => hirqs-on", ("sirq( +A -A )", "hoff +A hon -A"), THREE, ("hard",)),
    ("safe-A + irqs-on", ("irq( +A -A )", "off +A on -A"), THREE, _BOTH),
    ("safe-A + unsafe-B #1", ("+A +B -B -A", "+B -B", "irq( +A -A )"), THREE, _BOTH),
    ("safe-A + unsafe-B #2", ("off +A +B -B -A on", "+B -B", "irq( +A -A )"), THREE, _BOTH),
    ("irq lock-inversion", ("off w+A +B -B w-A on", "+B -B", "irq( r+A r-A )"), THREE, _BOTH),
    (
        "irq read-recursion",
        ("off w+A w-A on", "r+A r-A", "irq( +A s+B s-B -A )"),
        TWO,
        _BOTH,
    ),
    (
        "irq read-recursion #2",
        ("off s+B +A -A s-B on", "r+A r-A", "irq( s+B s-B )"),
        TWO,
        _BOTH,
    ),
    (
        "irq read-recursion #3",
        ("off w+B +A -A w-B on", "r+A r-A", "irq( r+B r-B )"),
        TWO,
        _BOTH,
    ),
]
_QUEUED = [
    ("hardirq read-lock/lock-read", "hirq( r+A s+B s-B r-A ) hoff s+B r+A r-A s-B hon", False),
    ("hardirq lock-read/read-lock", "hirq( s+B r+A r-A s-B ) hoff r+A s+B s-B r-A hon", True),
    ("hardirq inversion", "hirq( s+B s-B ) hoff s+B r+A r-A s-B hon r+A r-A", False),
]
_IN_IRQ_A = "hirq( s+A s-A )"
_LOCAL_3A = f"l+A s+B s-B l-A {_IN_IRQ_A} hoff s+A l+A l-A s-A hon"
_LOCAL = [
    ("local_lock inversion 2", f"l+A l-A {_IN_IRQ_A} hoff s+A l+A l-A s-A hon", True),
    ("local_lock inversion 3A", _LOCAL_3A, True),
    ("local_lock inversion 3B", f"{_LOCAL_3A} hoff s+A s+B s-B s-A", False),
]
_SPECIAL = (
    "m+A hoff s+C s-C hon m-A "
    f"{_IN_IRQ_A} hoff s+A s+B s-B s-A hon hoff s+B s+C s-C s-B hon "
    "sirq( s+D s-D ) soff s+D s-D son hoff s+C s+D s-D s-C hon"
)


def cases() -> Iterator[Case]:
    """Every case that needs only locks and interrupts."""
    for name, words in _CYCLES.items():
        for family in SEVEN:
            yield Case(f"{name} {family}", words, family == "rlock", family)
    for name, words in _MISUSE.items():
        for family in SEVEN:
            yield Case(f"{name} {family}", words, False, family)
    for name, words, ok in _MIXED:
        yield Case(name, words, ok)
    for name, events, ok in _READ_WRITE:
        for order, words in _orders(events):
            yield Case(f"rlock {name}/{order}", words, ok)
    for name, events, families, interrupts in _IRQ:
        for order, words in _orders(events):
            for irq in interrupts:
                for family in families:
                    title = f"{irq}-{name}/{order} {family}"
                    yield Case(title, words, family == "rlock", family, irq)
    for name, words, ok in _QUEUED:
        yield Case(name, words, ok, recursive_reads=False)
    for name, words, ok in _LOCAL:
        yield Case(name, words, ok, recursive_reads=False)
    yield Case("hardirq_unsafe_softirq_safe", _SPECIAL, False, recursive_reads=False)


def _orders(events: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for order in permutations(range(len(events))):
        yield "".join(str(i + 1) for i in order), " ".join(events[i] for i in order)


def accepts(case: Case) -> bool:
    """Run the case on a fresh kernel: does lockdep accept it?"""
    kernel = Kernel(lockdep=True)
    assert kernel.lockdep is not None
    kernel.lockdep.force_read_lock_recursive = case.recursive_reads
    run = _Run(kernel, case)
    # A lock left held, or unlocked twice, is a bug too, but the verdict is lockdep's alone.
    with suppress(KernelBug):
        kernel.call(run.words, iter(case.words.split()))
    kernel.close()
    return kernel.lockdep.debug_locks


class _Run:
    def __init__(self, kernel: Kernel, case: Case) -> None:
        self.kernel = kernel
        self.case = case
        self.locks: dict[tuple[type, str], object] = {}

    def words(self, words: Iterator[str]) -> None:
        """Carry out words up to a closing bracket or the end."""
        hard = self.case.irq == "hard"
        switches = {
            "off": local_irq_disable if hard else local_bh_disable,
            "on": local_irq_enable if hard else local_bh_enable,
            "hoff": local_irq_disable,
            "hon": local_irq_enable,
            "soff": local_bh_disable,
            "son": local_bh_enable,
        }
        interrupts = {"irq(": Interrupt if hard else Softirq, "hirq(": Interrupt, "sirq(": Softirq}
        for word in words:
            if word == ")":
                return
            if word in switches:
                switches[word](self.kernel)
            elif word in interrupts:
                kind = interrupts[word]
                kind(self.kernel, "irq", self.words, words).raise_(on=self.kernel.current)
            else:
                self.lock(word)

    def lock(self, word: str) -> None:
        place = next(i for i, letter in enumerate(word) if letter in "+-!")
        family = _BY_LETTER[word[:place]] if place else self.case.family
        _, kind, lock, unlock = FAMILIES[family]
        name = word[place + 1 :]
        if (kind, name) not in self.locks:
            shared = f"{kind.what}_{name[0]}"  # X1 and X2 are of one class
            self.locks[kind, name] = kind(self.kernel, f"{kind.what}_{name}", lock_class=shared)
        action = {"+": lock, "-": unlock, "!": "destroy"}[word[place]]
        getattr(self.locks[kind, name], action)()
