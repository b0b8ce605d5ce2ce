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
from ring3.kernel.explore.outcome import Finding, decode, encode, run_once
from ring3.kernel.schedulers import Recorded
from ring3.reclaim.outcome import Outcome, judge
from ring3.reclaim.policies import POLICIES, policy
from ring3.reclaim.scenarios import CURRENT, Scenario, World, scenario, start
from ring3.report import Table
from ring3.timeline import Timeline

#: What a run can show, the worst first.
KINDS = ("deadlock", "livelock", "panic", "leak", "warn", "oom")
#: Random schedules, then as many PCT ones, of each scenario by default.
DEFAULT_SCHEDULES = 100
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


@dataclass
class Exploration:
    """What was searched for one policy.  ``found`` holds the shortest counterexample of each kind;
    ``covered`` how many schedules of each scenario were run, ``whole`` for which scenarios those were all
    within the bound on preemptions."""

    policy: str
    covered: dict[str, int] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)
    found: dict[str, Counterexample] = field(default_factory=dict)

    @property
    def schedules(self) -> int:
        """Schedules of all scenarios together."""
        return sum(self.covered.values())

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
        for kind, message in failures(outcome).items():
            if kind != "warn":
                raise Failure(f"{kind}: {message}")

    return check


def failures(outcome: Outcome) -> dict[str, str]:
    """Everything that went wrong, by kind, with a sentence each."""
    said = {
        "deadlock": outcome.deadlock,
        "livelock": outcome.livelock,
        "panic": outcome.panic,
        "leak": f"{outcome.leaked} inodes are never evicted" if outcome.leaked else "",
        "warn": f"{outcome.warns[0].task}: {outcome.warns[0].message}" if outcome.warns else "",
        "oom": f"{outcome.oom_kills} tasks killed" if outcome.oom_kills else "",
    }
    return {kind: said[kind] for kind in KINDS if said[kind]}


def explore(
    policy_name: str,
    scenarios: Sequence[str] = (),
    *,
    schedules: int = DEFAULT_SCHEDULES,
    preemptions: int | None = None,
    done: Callable[[], None] = lambda: None,
) -> Exploration:
    """Search for failures of a policy in ``scenarios``, by default CURRENT: the small ones of the kernel as
    it is.

    ``schedules`` random and as many PCT schedules of each; with ``preemptions`` instead every schedule
    that interrupts a task at most so often, up to twice ``schedules``.
    """
    policy(policy_name)
    result = Exploration(policy_name)
    for wanted in [scenario(name) for name in scenarios or CURRENT]:
        run = partial(program, policy_name, wanted)

        def observe(
            kernel: Kernel, wrong: tuple[str, str] | None, wanted: Scenario = wanted
        ) -> None:
            _collect(result, wanted, kernel, wrong)

        if preemptions is None:
            seeds = range(1, schedules + 1)
            for strategy in ("random", "pct"):
                sample(run, strategy, seeds, max_steps=MAX_STEPS, observe=observe)
            result.covered[wanted.name] = 2 * schedules
        else:
            got = exhaustive(
                run,
                preemptions=preemptions,
                max_schedules=2 * schedules,
                max_steps=MAX_STEPS,
                observe=observe,
            )
            result.covered[wanted.name] = got.schedules
            if got.schedules < 2 * schedules:
                result.whole.append(wanted.name)
        done()
    return result


def _collect(
    result: Exploration, wanted: Scenario, kernel: Kernel, wrong: tuple[str, str] | None
) -> None:
    """Keep what this run showed, where it is shorter than what was known of its kind."""
    if wrong is None:
        return
    choices: list[int] = kernel.parts["scheduler"].choices
    for kind, message in failures(_outcome(kernel, wrong)).items():
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
    said = failures(replay(found.policy, f"{found.scenario}/{small.schedule}"))
    if found.kind not in said:
        return found
    return replace(found, message=said[found.kind], finding=small)


def replay(policy_name: str, name: str) -> Outcome:
    """Run a counterexample by its name (``SCENARIO/SCHEDULE``) again.

    Raises BadInput when that is no schedule of the scenario under the policy.
    """
    run, schedule = _named(policy_name, name)
    scheduler = Recorded(decode(schedule), strict=True, max_steps=MAX_STEPS)
    kernel, wrong = run_once(run, scheduler)
    try:
        if kernel.stopped:
            raise BadInput("no such run", where=name[:60], remedy="a name that explore printed")
        return _outcome(kernel, wrong)
    finally:
        kernel.close()


def interleaving(policy_name: str, name: str) -> str:
    """The steps of a counterexample, for reading."""
    run, schedule = _named(policy_name, name)
    if not schedule:  # it fails before any task of the scenario runs
        return "\n".join(failures(replay(policy_name, name)).values())
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
    schedules: int = DEFAULT_SCHEDULES,
    pool: Executor | None = None,
    done: Callable[[], None] = lambda: None,
) -> list[Exploration]:
    """Every policy searched, on ``pool`` if there is one, and the worst of what was found made small.

    In the order of POLICIES, the same however it is spread.
    """
    search = partial(_search, schedules)
    found: dict[str, Exploration] = {}
    for name, result in (
        each(pool, search, POLICIES) if pool else ((p, search(p)) for p in POLICIES)
    ):
        found[name] = result
        done()
    return [found[name] for name in POLICIES]


def _search(schedules: int, policy_name: str) -> Exploration:
    result = explore(policy_name, schedules=schedules)
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
                shows,
                worst.message if worst is not None else "",
                f"ring3 reclaim explore {result.policy} --replay {worst.name}" if worst else "",
            ]
        )
    columns = ("policy", "#schedules", "shows", "the worst of it", "again")
    return Table("Counterexamples", columns, rows)
