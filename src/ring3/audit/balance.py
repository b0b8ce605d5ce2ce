"""Which functions return with more or fewer locks or scopes than they came with, by name: before any walk."""

from __future__ import annotations

from ring3.audit.primitives import ACQUIRE, RELEASE, SCOPE_BEGIN, SCOPE_END
from ring3.audit.program import WORD, Program


def unbalanced(program: Program) -> frozenset[str]:
    """Names of functions that may return with a lock or scope more, or fewer, than they came with."""
    gives: set[str] = set()
    takes: set[str] = set()
    both: set[str] = set()
    for index, function in enumerate(program.functions):
        if not function.locks or program.file[index].startswith(
            ("kernel/locking", "include/linux/m")
        ):
            continue
        begun = sum(name in ACQUIRE or name in SCOPE_BEGIN for name, _ in function.locks)
        ended = sum(name in RELEASE or name in SCOPE_END for name, _ in function.locks)
        if begun and ended:
            both.add(function.name)
        elif begun:
            takes.add(function.name)
        elif ended:
            gives.add(function.name)
        if "current_set_flags_nested" in function.callees:
            takes.add(function.name)
        if "current_restore_flags_nested" in function.callees:
            gives.add(function.name)
    rest = [(one.name, one.callees) for one in program.functions if 0 < len(one.callees) <= 60]
    for _ in range(5):
        more_takes, more_gives = set(), set()
        decided = takes | gives | both
        rest = [row for row in rest if row[0] not in decided]
        for name, callees in rest:
            if takes.isdisjoint(callees):
                if not gives.isdisjoint(callees):
                    more_gives.add(name)
            elif gives.isdisjoint(callees):
                more_takes.add(name)
        if not more_takes and not more_gives:
            break
        takes |= more_takes
        gives |= more_gives
    return frozenset(takes | gives | both)


def given_back_later(program: Program) -> frozenset[tuple[str, str]]:
    """Semaphores, as subject and member, that no function which is called by name gives back, but a
    handler at the end of an I/O: who has taken one has no part in that."""
    giving = {
        function.name
        for function in program.functions
        if any(name == "up" for name, _ in function.locks)
    }
    called = {
        name
        for function in program.functions
        if not giving.isdisjoint(function.callees)
        for name in function.callees
    }
    kept: set[tuple[str, str]] = set()
    given: set[tuple[str, str]] = set()
    for index, function in enumerate(program.functions):
        if not function.locks:
            continue
        taken = {arg for name, arg in function.locks if name[:4] == "down" and "_" not in name}
        back = {arg for name, arg in function.locks if name == "up"}
        for found, args in ((kept, taken - back), (given, back - taken)):
            if found is kept or function.name in called:
                found.update((program.unit[index], WORD.findall(arg)[-1]) for arg in args)
    return frozenset(kept - given)
