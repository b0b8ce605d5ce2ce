"""Schedules a second: exploration of ring3.kernel beside a bare stateless replay in pure Python.

    python benchmarks/kernel_explore.py

The program has three threads of eight steps (lock, read, write, unlock, twice over).  The peer, written
here, is the least that replays schedules of it: generators for threads, a list for what they share, depth
first; it has no kernel, names no locks, finds no cause.  Times are CPU time, the best of several turns,
since other work on the machine stretches them.  The bars are 20,000 schedules a second on the program,
2,000 on the smallest fs-reclaim scenario, and a tenth of the plain schedules after reduction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ring3.kernel import Kernel, Mutex, Shared
from ring3.kernel.explore import exhaustive, sample

SCHEDULES = 4_000
TURNS = 5


def program(kernel: Kernel) -> Callable[[], None]:
    """Three threads of eight visible steps."""
    locks = [Mutex(kernel, f"lock{i}") for i in range(2)]
    counters = [Shared(kernel, f"counter{i}", 0) for i in range(2)]

    def body() -> None:
        for lock, counter in zip(locks, counters, strict=True):
            lock.lock()
            counter.write(counter.read() + 1)
            lock.unlock()

    for _ in range(3):
        kernel.spawn(body)

    def check() -> None:
        assert [counter.value for counter in counters] == [3, 3]

    return check


def racy(kernel: Kernel) -> None:
    """Three threads of eight steps that share everything: little can be reduced."""
    cells = [Shared(kernel, f"cell{i}", 0) for i in range(4)]

    def body(me: int) -> None:
        for i in range(4):
            cells[(i + me) % 4].write(me)
            cells[i].read()

    for me in range(3):
        kernel.spawn(body, me)


def peer(limit: int) -> int:
    """Stateless depth-first replay of the same three threads, without anything around it."""

    def thread(owners: list[int], counters: list[int], me: int):
        for i in range(2):
            while owners[i] >= 0:
                yield i  # blocked on lock i
            owners[i] = me
            yield -1
            seen = counters[i]
            yield -1
            counters[i] = seen + 1
            yield -1
            owners[i] = -1
            yield -1

    path: list[tuple[int, list[int]]] = []
    done = 0
    while done < limit:
        owners, counters = [-1, -1], [0, 0]
        threads = [thread(owners, counters, me) for me in range(3)]
        waits = [0, 0, 0]  # the lock whose turn it is, or -1; all begin before lock 0
        step = 0
        live = [0, 1, 2]
        while live:
            if step < len(path):
                me = path[step][0]
            else:
                able = [t for t in live if waits[t] < 0 or owners[waits[t]] < 0]
                me = able[0]
                path.append((me, able[1:]))
            step += 1
            waits[me] = next(threads[me], -2)
            if waits[me] == -2:
                live.remove(me)
        assert counters == [3, 3]
        done += 1
        while path and not path[-1][1]:
            path.pop()
        if not path:
            break
        _, others = path.pop()
        path.append((others[0], others[1:]))
    return done


def plain_count() -> int:
    """How many plain schedules the program has, by dynamic programming over its states."""
    seen: dict[tuple[int, ...], int] = {}

    def count(pcs: tuple[int, ...]) -> int:
        if pcs == (8, 8, 8):
            return 1
        if pcs not in seen:
            total = 0
            for me, pc in enumerate(pcs):
                base = pc - pc % 4
                held = any(base < other < base + 4 for i, other in enumerate(pcs) if i != me)
                if pc < 8 and not (pc % 4 == 0 and held):
                    total += count((*pcs[:me], pc + 1, *pcs[me + 1 :]))
            seen[pcs] = total
        return seen[pcs]

    return count((0, 0, 0))


def rate(run: Callable[[], int]) -> float:
    """Schedules a CPU second: the best of TURNS."""
    best = 0.0
    for _ in range(TURNS):
        begin = time.process_time()
        done = run()
        best = max(best, done / (time.process_time() - begin))
    return best


def explored(run: Callable[..., int | None], **options: object) -> int:
    """Explore until SCHEDULES were run, from the start again where there are fewer."""
    done = 0
    while done < SCHEDULES:
        result = exhaustive(run, max_schedules=SCHEDULES, **options)
        done += result.schedules + result.pruned
    return done


def main() -> None:
    """Print each way of exploring with its rate, and its ratio to the peer's."""
    base = rate(lambda: peer(SCHEDULES))
    print(f"{'bare replay in pure Python (the peer)':52}{base:>10,.0f}/s")
    ways: dict[str, Callable[[], int]] = {
        "3 x 8, plain enumeration": lambda: explored(program, reduce=False),
        "3 x 8, random": lambda: sample(program, "random", range(SCHEDULES)).schedules,
        "3 x 8, PCT": lambda: sample(program, "pct", range(SCHEDULES)).schedules,
        "3 x 8 that share everything, reduced": lambda: explored(racy),
        "3 x 8, reduced (all of it)": lambda: explored(program),
    }
    for name, run in ways.items():
        got = rate(run)
        print(f"{name:52}{got:>10,.0f}/s   {got / base:.2f} of the peer")

    result = exhaustive(program)
    runs, plain = result.schedules + result.pruned, plain_count()
    print(
        f"reduction: {runs} runs ({result.pruned} of them given up early) instead of "
        f"{plain:,}: 1 in {plain / runs:,.0f}; complete: {result.complete}"
    )

    from ring3.reclaim.explore import program as reclaim
    from ring3.reclaim.scenarios import SCENARIOS, scenario

    slowest, fastest = float("inf"), 0.0
    for name in SCENARIOS:
        run = partial(reclaim, "as-today", scenario(name))
        begin = time.process_time()
        count = sample(run, "random", range(150)).schedules
        got = count / (time.process_time() - begin)
        slowest, fastest = min(slowest, got), max(fastest, got)
    print(
        f"{'fs-reclaim scenarios, random':52}{fastest:>10,.0f}/s the smallest, {slowest:,.0f} the largest"
    )


if __name__ == "__main__":
    main()
