"""Searching the schedules of a scenario for one in which a policy fails.

The search is ring3.kernel.explore's; this module says what a failure is, which scenarios are searched,
and how a counterexample is named: ``SCENARIO/SCHEDULE``, which replays to the same end in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial

from ring3.cluster import each
from ring3.errors import BadInput
from ring3.kernel.core import Kernel
from ring3.kernel.explore import exhaustive, sample, show, shrink, timeline
from ring3.kernel.explore.outcome import Finding, Observer, Program, decode, encode, run_once
from ring3.kernel.schedulers import Recorded
from ring3.reclaim.outcome import KINDS, Outcome, judge
from ring3.reclaim.policies import POLICIES, policy
from ring3.reclaim.scenarios import CURRENT, Scenario, World, scenario, start
from ring3.report import Table
from ring3.timeline import Timeline

#: Random schedules, then as many PCT ones, of each scenario by default.
DEFAULT_SCHEDULES = 100
#: Schedules of a scenario that are gone through for the largest bound on preemptions that they allow.
BUDGET = 500
MAX_STEPS = 20_000


@dataclass(frozen=True)
class Counterexample:
    """A schedule of ``scenario`` under which ``policy`` fails; ``kind`` is one of KINDS.

    ``finding`` is what ring3.kernel.explore calls it.
    """

    policy: str
    scenario: str
    kind: str
    message: str
    finding: Finding

    @property
    def name(self) -> str:
        """What ``--replay`` takes."""
        return f"{self.scenario}/{self.finding.schedule}"


@dataclass(frozen=True)
class Coverage:
    """What was run of one scenario.

    ``preemptions``: every schedule with at most so many was run (see ring3.kernel.explore.exhaustive for
    what counts); None when not even those without.  ``complete``: those were all there are.
    ``enumerated`` are schedules run for that, the last bound's cut off or not; ``sampled`` random and PCT
    ones.  ``shows`` are the KINDS that they showed.
    """

    scenario: str
    preemptions: int | None = None
    complete: bool = False
    enumerated: int = 0
    sampled: int = 0
    shows: tuple[str, ...] = ()

    @property
    def schedules(self) -> int:
        """Runs, some of them of the same schedule."""
        return self.enumerated + self.sampled

    def __str__(self) -> str:
        if self.complete:
            return f"every schedule ({self.enumerated:,})"
        parts = []
        if self.preemptions is not None:
            bound = f"at most {self.preemptions} preemption{'s' * (self.preemptions != 1)}"
            parts.append(f"every schedule with {bound} ({self.enumerated:,})")
        elif self.enumerated:
            parts.append(f"{self.enumerated:,} schedules, not all with that bound")
        if self.sampled:
            parts.append(f"{self.sampled:,} drawn")
        return ", ".join(parts)


@dataclass
class Exploration:
    """What was searched for one policy.  ``found`` holds the shortest counterexample of each kind."""

    policy: str
    covered: list[Coverage] = field(default_factory=list)
    found: dict[str, Counterexample] = field(default_factory=dict)

    @property
    def schedules(self) -> int:
        """Runs of all scenarios together."""
        return sum(each.schedules for each in self.covered)

    @property
    def bound(self) -> int | None:
        """Every schedule of every scenario with at most so many preemptions was run."""
        bounds = [each.preemptions for each in self.covered if not each.complete]
        if not bounds:
            return None
        return None if None in bounds else min(bound for bound in bounds if bound is not None)

    @property
    def worst(self) -> Counterexample | None:
        """The counterexample of the worst kind."""
        return next((self.found[kind] for kind in KINDS if kind in self.found), None)


class Failure(AssertionError):
    """A run that ended, but not well."""


def program(policy_name: str, wanted: Scenario, kernel: Kernel) -> Callable[[], None]:
    """``wanted`` under a policy, as ring3.kernel.explore takes it.

    Neither the setup nor the check at the end is part of the schedule.
    """
    kernel.parts["scheduler"] = kernel.scheduler
    with kernel.unscheduled():
        world = World(wanted, policy(policy_name)(), kernel)
        kernel.parts["world"] = world
        start(world)

    def check() -> None:
        with kernel.unscheduled():
            outcome = kernel.parts["outcome"] = judge(world)
        for kind, message in outcome.failures.items():
            if kind != "warn":
                raise Failure(f"{kind}: {message}")

    return check


def explore(
    policy_name: str,
    scenarios: Sequence[str] = (),
    *,
    schedules: int = DEFAULT_SCHEDULES,
    preemptions: int | None = None,
    budget: int = BUDGET,
    done: Callable[[], None] = lambda: None,
) -> Exploration:
    """Search for failures of a policy in ``scenarios``, by default CURRENT: the small ones of the kernel as
    it is.

    Of each, every schedule with at most ``preemptions`` is run; without a number, with none, one, two... as
    far as BUDGET schedules go, and then, unless those were all, ``schedules`` random and as many PCT ones.
    """
    policy(policy_name)
    result = Exploration(policy_name)
    for wanted in [scenario(name) for name in scenarios or CURRENT]:
        run = partial(program, policy_name, wanted)
        shows: set[str] = set()
        observe = partial(_collect, result, wanted, shows)

        if preemptions is None:
            cover = _deepen(wanted.name, run, observe, budget)
            if not cover.complete:
                for strategy in ("random", "pct"):
                    seeds = range(1, schedules + 1)
                    sample(run, strategy, seeds, max_steps=MAX_STEPS, observe=observe)
                cover = replace(cover, sampled=2 * schedules)
        else:
            got = exhaustive(run, preemptions=preemptions, max_steps=MAX_STEPS, observe=observe)
            reached = preemptions if got.exhausted else None
            cover = Coverage(wanted.name, reached, got.complete, got.schedules)
        in_order = tuple(kind for kind in KINDS if kind in shows)
        result.covered.append(replace(cover, shows=in_order))
        done()
    return result


def _deepen(name: str, run: Program, observe: Observer, budget: int) -> Coverage:
    """Allow one preemption more at a time, as long as all schedules fit into ``budget``."""
    cover = Coverage(name)
    bound = 0
    while True:
        got = exhaustive(
            run, preemptions=bound, max_schedules=budget, max_steps=MAX_STEPS, observe=observe
        )
        if not got.exhausted:
            return cover if cover.preemptions is not None else replace(cover, enumerated=budget)
        cover = Coverage(name, bound, got.complete, got.schedules)
        if got.complete:
            return cover
        bound += 1


def _collect(
    result: Exploration,
    wanted: Scenario,
    shows: set[str],
    kernel: Kernel,
    wrong: tuple[str, str] | None,
) -> None:
    """Note what this run showed, and keep it where it is shorter than what was known of its kind."""
    if wrong is None:
        return
    choices: list[int] = kernel.parts["scheduler"].choices
    for kind, message in _outcome(kernel, wrong).failures.items():
        shows.add(kind)
        known = result.found.get(kind)
        if known is None or len(choices) < known.finding.steps:
            finding = Finding(wrong[0], wrong[1], encode(choices), len(choices))
            result.found[kind] = Counterexample(result.policy, wanted.name, kind, message, finding)


def _outcome(kernel: Kernel, wrong: tuple[str, str] | None) -> Outcome:
    if "outcome" in kernel.parts:
        outcome: Outcome = kernel.parts["outcome"]
        return outcome
    panic = wrong[1] if wrong is not None and wrong[0] == "bug" else ""
    return judge(kernel.parts["world"], panic)


def smallest(found: Counterexample, budget: int = 200) -> Counterexample:
    """``found`` with fewer switches and steps, if that still shows the same kind of failure."""
    run = partial(program, found.policy, scenario(found.scenario))
    small = shrink(run, found.finding, budget=budget)
    said = replay(found.policy, f"{found.scenario}/{small.schedule}").failures
    if found.kind not in said:
        return found
    return replace(found, message=said[found.kind], finding=small)


def replay(policy_name: str, name: str) -> Outcome:
    """Run a counterexample by its name (``SCENARIO/SCHEDULE``) again.

    Raises BadInput when that is no schedule of the scenario under the policy, to its end.
    """
    run, schedule = _named(policy_name, name)
    recorded = decode(schedule)
    scheduler = Recorded(recorded, strict=True, max_steps=MAX_STEPS)
    kernel, wrong = run_once(run, scheduler)
    try:
        if kernel.stopped and not scheduler.exhausted:
            raise BadInput("no such run", where=name[:60], remedy="a name that explore printed")
        if scheduler.choices != recorded:
            raise BadInput(
                f"the run has {len(scheduler.choices)} steps, the schedule {len(recorded)}",
                where=name[:60],
                remedy="a name that explore printed, whole, with this version",
            )
        return _outcome(kernel, wrong)
    finally:
        kernel.close()


def interleaving(policy_name: str, name: str) -> str:
    """The steps of a counterexample, for reading."""
    run, schedule = _named(policy_name, name)
    if not schedule:  # it fails before any task of the scenario runs
        return "\n".join(replay(policy_name, name).failures.values())
    return show(run, schedule, max_steps=MAX_STEPS)


def perfetto(policy_name: str, name: str) -> Timeline:
    """The steps of a counterexample as a timeline."""
    run, schedule = _named(policy_name, name)
    return timeline(run, schedule, max_steps=MAX_STEPS) if schedule else Timeline()


def _named(policy_name: str, name: str) -> tuple[Callable[[Kernel], Callable[[], None]], str]:
    first, slash, schedule = name.partition("/")
    if not slash:
        raise BadInput("no counterexample", where=name[:60], remedy="SCENARIO/SCHEDULE")
    policy(policy_name)
    return partial(program, policy_name, scenario(first)), schedule


def all_policies(
    scenarios: Sequence[str] = (),
    schedules: int = DEFAULT_SCHEDULES,
    pool: Executor | None = None,
    done: Callable[[], None] = lambda: None,
    *,
    policies: Sequence[str] = (),
    budget: int = BUDGET,
) -> list[Exploration]:
    """Every policy searched (or those of ``policies``), on ``pool`` if there is one, and the worst of what
    was found made small.

    In the order given, the same however it is spread.
    """
    names = list(policies or POLICIES)
    search = partial(_search, tuple(scenarios), schedules, budget)
    found: dict[str, Exploration] = {}
    for name, result in each(pool, search, names) if pool else ((p, search(p)) for p in names):
        found[name] = result
        done()
    return [found[name] for name in names]


def _search(scenarios: Sequence[str], schedules: int, budget: int, policy_name: str) -> Exploration:
    result = explore(policy_name, scenarios, schedules=schedules, budget=budget)
    if result.worst is not None:
        result.found[result.worst.kind] = smallest(result.worst)
    return result


def table(results: Sequence[Exploration]) -> Table:
    """The policies with a counterexample for each failing one, or how much was searched without any."""
    rows: list[list[object]] = []
    for result in results:
        worst = result.worst
        shows = ", ".join(kind for kind in KINDS if kind in result.found) or "nothing found"
        rows.append(
            [
                result.policy,
                result.schedules,
                "-" if result.bound is None else result.bound,
                shows,
                worst.name if worst is not None else "",
            ]
        )
    columns = ("policy", "#schedules", "#preemptions", "shows", "replay")
    note = (
        "Every schedule with at most so many preemptions was run, and some more.  Again:"
        " ring3 reclaim explore POLICY --replay REPLAY"
    )
    return Table("Counterexamples", columns, rows, note)


def coverage_table(result: Exploration) -> Table:
    """What was run of each scenario, and what it showed."""
    rows: list[list[object]] = [
        [each.scenario, str(each), ", ".join(each.shows)] for each in result.covered
    ]
    return Table("", ("scenario", "covered", "shows"), rows)
