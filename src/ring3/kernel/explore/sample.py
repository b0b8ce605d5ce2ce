"""Schedules drawn by a seed: random or PCT; on one core, or on many."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ring3.cluster import each, executor
from ring3.errors import Unsupported, one_of
from ring3.kernel.explore.outcome import Finding, Observer, Program, Result, encode, run_once
from ring3.kernel.schedulers import Pct, Preemptive, RandomScheduler
from ring3.kernel.task import Carrier

#: name -> the scheduler of a seed and a number of steps
STRATEGIES: dict[str, Callable[[int, int], Preemptive]] = {"random": RandomScheduler, "pct": Pct}


def sample(
    program: Program,
    strategy: str,
    seeds: Iterable[int],
    *,
    max_steps: int = 10_000,
    stop_at_first: bool = False,
    lockdep: bool = False,
    observe: Observer | None = None,
) -> Result:
    """One run of ``program`` per seed.  The same seed gives the same run in every process.

    ``observe`` is called with every kernel at the end of its run, and (kind, message) of what went wrong.
    """
    make = _strategy(strategy)
    result = Result()
    carriers: list[Carrier] = []
    for seed in seeds:
        scheduler = make(seed, max_steps)
        kernel, wrong = run_once(program, scheduler, carriers, lockdep=lockdep)
        result.schedules += 1
        result.steps += kernel.step + 1
        if observe is not None:
            observe(kernel, wrong)
        kernel.forget()
        if wrong is not None:
            choices = scheduler.choices
            result.add(Finding(wrong[0], wrong[1], encode(choices), len(choices)))
            if stop_at_first:
                break
    return result


def sample_parallel(
    program: Program,
    strategy: str,
    seeds: range,
    *,
    cluster: str | None = None,
    workers: int | None = None,
    chunk: int = 500,
    max_steps: int = 10_000,
    lockdep: bool = False,
) -> Result:
    """:func:`sample` over many processes, here or on the Dask cluster at ``cluster``.

    ``program`` must be picklable: a function of a module, or a functools.partial of one.  The result is the
    same however many processes there are.
    """
    _strategy(strategy)  # a wrong name is an error here, not in a worker
    work = partial(_chunk, program, strategy, max_steps, lockdep)
    chunks = [seeds[at : at + chunk] for at in range(0, len(seeds), chunk)]
    parts: dict[int, Result] = {}
    with executor(cluster, workers) as pool:
        for part, result in each(pool, work, chunks):
            parts[part.start] = result
    total = Result()
    for part in chunks:
        result = parts[part.start]
        total.schedules += result.schedules
        total.steps += result.steps
        for finding in result.findings:
            total.add(finding)
    return total


def _strategy(name: str) -> Callable[[int, int], Preemptive]:
    if name not in STRATEGIES:
        raise Unsupported(f"no strategy {name[:40]!r}", remedy=one_of(name, STRATEGIES))
    return STRATEGIES[name]


def _chunk(program: Program, strategy: str, max_steps: int, lockdep: bool, seeds: range) -> Result:
    return sample(program, strategy, seeds, max_steps=max_steps, lockdep=lockdep)
