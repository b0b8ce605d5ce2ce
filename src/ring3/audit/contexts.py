"""What one function does in one context, as data: calls, allocations, locks, waits and their conditions."""

from __future__ import annotations

from typing import NamedTuple

from ring3.audit.cexpr import UNKNOWN, Value

NOFS, NOIO, NORECLAIM = 1, 2, 4
#: Flags of the allocation that reclaims, by Context.reclaim.
RECLAIM_FLAGS = ("", "GFP_KERNEL", "GFP_NOFS", "GFP_NOIO")
#: How the names of filesystems begin.
FILESYSTEMS = "fs/"
#: What a walk may ask of its context.  Without the first it is the same in all of reclaim and outside of it;
#: without the second in every filesystem.
ASKS_RECLAIM, ASKS_DOMAIN = 1, 2
#: Context.reclaim of walks that are the same in each.
ANY_RECLAIM = -1
#: How a function is told that answers an operation for which a subject has several: one that few objects
#: have (or nobody knows how many), the one that most have.
ONE_OF = ("one of", "the usual of")
#: The same of a driver, whose objects have one of them each, when nothing tells which.
ANY_OF = "any of"


class Lock(NamedTuple):
    """A lock held or taken.

    ``own``: it belongs to the object that reclaim has taken out of use.  Not ``sure``: it is held on some of
    the ways here; on those where the condition ``when`` is true, if that is known ("!" before it: false).
    A ``sure`` lock with a condition is believed held until the condition is tested.
    """

    name: str
    mode: str
    line: int
    own: bool
    sure: bool = True
    guard: bool = False  # given back at the end of the block
    when: str = ""
    tried: bool = False  # taken without waiting for it


class Context(NamedTuple):
    """How a function is entered.  ``args`` are the parameters of which something is known."""

    domain: str
    reclaim: int = 0  # 0: a task of its own; else inside reclaim with RECLAIM_FLAGS[reclaim]
    scope: int = 0
    args: tuple[tuple[int, Value], ...] = ()
    own: tuple[int, ...] = ()
    empty: bool = False  # the size of the reclaimed inode has been set to 0
    masked: tuple[int, ...] = ()  # parameters that are inodes, or mappings, with the flags ``mask``
    mask: Value = UNKNOWN
    links: Value = UNKNOWN  # whether the reclaimed inode has any
    fields: tuple[tuple[int, str, Value], ...] = ()  # parameter, its member, what is known of that
    #: Parameter, its pointer to a table of operations, the tables that it may be at (instances.py).
    tables: tuple[tuple[int, str, frozenset[str]], ...] = ()

    # Contexts are made by the million: _replace() takes three times as long.

    def within(self, domain: str, reclaim: int) -> Context:
        """The same of another subject and reclaim."""
        return Context(domain, reclaim, *self[2:])

    def in_scope(self, scope: int) -> Context:
        """The same in memalloc ``scope``, and no other."""
        return Context(self.domain, self.reclaim, scope, *self[3:])


class Edge(NamedTuple):
    """A call of ``callee`` at ``line``."""

    line: int
    callee: int
    context: Context
    held: tuple[Lock, ...]
    released: frozenset[str]
    how: str  # "" direct, else why it is believed
    failed: bool = False  # something before it has failed: it undoes what was done


class Site(NamedTuple):
    """An allocation, a lock taken or a wait at ``line``.

    ``kind`` is "alloc", "lock" or "wait"; ``name`` the call, the lock class or what is waited for.
    """

    kind: str
    line: int
    name: str
    flags: Value
    held: tuple[Lock, ...]
    released: frozenset[str]
    mode: str = ""
    own: bool = False


class Walked(NamedTuple):
    """What a function does in a context, and what it leaves behind when it returns."""

    edges: tuple[Edge, ...]
    sites: tuple[Site, ...]
    acquired: tuple[Lock, ...]
    released: frozenset[str]
    scope: int
    ended: bool
    returns: Value = UNKNOWN
    asks: int = 0  # ASKS_RECLAIM, ASKS_DOMAIN: what of the context has had a part in this


def cleared(flags: Value, scope: int, gfp: dict[str, int]) -> Value:
    """GFP ``flags`` as they are in a memalloc ``scope``."""
    bits = (gfp["FS"] if scope & (NOFS | NOIO) else 0) | (gfp["IO"] if scope & NOIO else 0)
    if scope & NORECLAIM:
        bits |= gfp["DIRECT_RECLAIM"]
    return flags[0] & ~bits, flags[1] | bits


class Net(NamedTuple):
    """Locks and scopes that a function leaves taken or gives back."""

    acquired: tuple[Lock, ...]
    released: frozenset[str]
    scope: int
    ended: bool
