"""Every policy against every scenario: one row of figures for each policy."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from ring3.cluster import each
from ring3.kernel.core import Kernel
from ring3.kernel.schedulers import RandomScheduler
from ring3.reclaim.outcome import Figures, Outcome, run
from ring3.reclaim.policies import POLICIES, policy
from ring3.reclaim.scenarios import CURRENT, WORKLOADS, scenario, with_fault, with_programs
from ring3.report import Table

#: Visible steps after which a run counts as endless; the workloads take some thousands.
MAX_STEPS = 1_000_000


@dataclass(frozen=True)
class Job:
    """One run: names, and the seed of the schedule (0: tasks in turn, never preempted).

    ``programs``: pages of running programs that the machine has besides.
    """

    policy: str
    scenario: str
    seed: int
    programs: int = 0


@dataclass(frozen=True)
class Row:
    """One policy over all runs.  Counts of runs, but for OOM kills and leaked inodes, which are summed.

    Latencies are virtual ns of user tasks' allocations in the workloads that entered the slow path (the
    others take none), throughput operations in a virtual second there, both over all runs that
    ended; None when none did.
    """

    policy: str
    runs: int
    warn: int
    deadlock: int
    livelock: int
    panic: int
    oom_kills: int
    leaked: int
    median_latency: int | None
    worst_latency: int | None
    held_back: int
    throughput: float | None


def jobs(
    policies: Sequence[str],
    scenarios: Sequence[str],
    seeds: int,
    programs: int = 0,
    fault: str = "",
) -> list[Job]:
    """Every combination; a schedule in turn and ``seeds`` random ones each, on disks with that fault."""
    names = with_fault(scenarios or [*CURRENT, *WORKLOADS], fault)
    return [
        Job(p, s, seed, programs)
        for p in dict.fromkeys(policies or POLICIES)
        for s in dict.fromkeys(names)
        for seed in range(seeds + 1)
    ]


def measure(job: Job) -> Figures:
    """Run one job."""
    return run_seeded(job).figures


def run_seeded(job: Job) -> Outcome:
    """The full outcome of one job; the same job gives the same outcome."""
    scheduler = RandomScheduler(job.seed, MAX_STEPS) if job.seed else None
    kernel = Kernel(scheduler=scheduler)
    wanted = with_programs(scenario(job.scenario), job.programs)
    return run(wanted, policy(job.policy)(), kernel, costs=True)


def compare(
    work: Sequence[Job], pool: Executor | None = None, done: Callable[[], None] = lambda: None
) -> list[Figures]:
    """Run every job, on ``pool`` if there is one; figures in the order of the jobs."""
    if pool is None:
        cells = []
        for job in work:
            cells.append(measure(job))
            done()
        return cells
    found = {}
    for job, result in each(pool, measure, work):
        found[job] = result
        done()
    return [found[job] for job in work]


def rows(cells: Iterable[Figures]) -> list[Row]:
    """One row for each policy, in the order of first appearance."""
    by_policy: dict[str, list[Figures]] = {}
    for each_cell in cells:
        by_policy.setdefault(each_cell.policy, []).append(each_cell)
    return [_row(name, group) for name, group in by_policy.items()]


def _row(name: str, cells: list[Figures]) -> Row:
    ended = [
        c
        for c in cells
        if c.scenario.partition("+")[0] in WORKLOADS
        and c.time
        and not (c.deadlock or c.livelock or c.panic)
    ]
    latencies = [ns for c in ended for ns in c.latencies]
    time = sum(c.time for c in ended)
    return Row(
        policy=name,
        runs=len(cells),
        warn=sum(c.warned > 0 for c in cells),
        deadlock=sum(bool(c.deadlock) for c in cells),
        livelock=sum(bool(c.livelock) for c in cells),
        panic=sum(bool(c.panic) for c in cells),
        oom_kills=sum(c.oom_kills for c in cells),
        leaked=sum(c.leaked for c in cells),
        median_latency=int(statistics.median(latencies)) if latencies else None,
        worst_latency=max(latencies) if latencies else None,
        held_back=max(c.held_back for c in cells),
        throughput=sum(c.operations for c in ended) * 1e9 / time if time else None,
    )


def tables(found: Sequence[Row]) -> list[Table]:
    """The rows as two tables, each of which fits a terminal: what went wrong, and what it costs."""
    wrong = ("policy", "#runs", "#WARN", "#deadlock", "#livelock", "#panic", "#OOM", "#leaked")
    costs = ("policy", "#median wait", "#worst wait", "#pages held back", "#operations/s")
    return [
        Table(
            "What went wrong",
            wrong,
            [
                [
                    row.policy,
                    row.runs,
                    row.warn,
                    row.deadlock,
                    row.livelock,
                    row.panic,
                    row.oom_kills,
                    row.leaked,
                ]
                for row in found
            ],
            "WARN, deadlock, livelock, panic: runs that showed it.  OOM: tasks killed, leaked: inodes never"
            " evicted, in all runs.",
        ),
        Table(
            "What it costs",
            costs,
            [
                [
                    row.policy,
                    _micro(row.median_latency),
                    _micro(row.worst_latency),
                    row.held_back,
                    "-" if row.throughput is None else f"{row.throughput:,.0f}",
                ]
                for row in found
            ],
            "In the workloads, in virtual time.  Waits: user tasks' allocations in the slow path.",
        ),
    ]


def _micro(ns: int | None) -> str:
    return "-" if ns is None else f"{ns / 1000:,.1f} µs"
