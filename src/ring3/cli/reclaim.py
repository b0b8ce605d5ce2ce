"""``ring3 reclaim``: the policies compared, searched for counterexamples, and splats explained."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import click

from ring3.cli import Group
from ring3.cli.output import OutFile, console, emit_json, finding, progress
from ring3.cluster import executor
from ring3.files import write_atomically
from ring3.fs.block import FAULTS
from ring3.reclaim import compare as study
from ring3.reclaim import explore as search
from ring3.reclaim import splats
from ring3.reclaim.explain import explain
from ring3.reclaim.explain import text as explanation_text
from ring3.reclaim.html import comparison_page
from ring3.reclaim.outcome import KINDS, Figures
from ring3.reclaim.policies import POLICIES, policy
from ring3.reclaim.scenarios import CURRENT, SCENARIOS, WORKLOADS, scenario, with_fault
from ring3.report import Table, to_terminal


@click.group(cls=Group)
def reclaim() -> None:
    """Inode eviction inside memory reclaim: what each proposal leads to, in a simulated kernel."""


@reclaim.command(
    "compare",
    examples=[
        "ring3 reclaim compare",
        "ring3 reclaim compare as-today i-reclaim-hard --seeds 20",
        "ring3 reclaim compare --scenario overlay-ext4-kswapd --json",
        "ring3 reclaim compare --fault read-error",
        "ring3 reclaim compare --html policies.html",
    ],
)
@click.argument("policies", nargs=-1)
@click.option("--scenario", "scenarios", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--seeds",
    type=click.IntRange(0, 10_000),
    default=2,
    show_default=True,
    help="Random schedules of each run.",
)
@click.option(
    "--programs",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    help="Pages of running programs that each machine has besides, always in use.",
)
@click.option("--fault", type=click.Choice(list(FAULTS)), help="What is wrong with the disk.")
@click.option("--workers", type=click.IntRange(1), help="Processes [default: one a core].")
@click.option("--cluster", help="A Dask scheduler, tcp://HOST:PORT.")
@click.option(
    "--html",
    type=OutFile(),
    help="Write a page that tells it all, with counterexamples.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare_command(
    *,
    policies: tuple[str, ...],
    scenarios: tuple[str, ...],
    seeds: int,
    programs: int,
    fault: str | None,
    workers: int | None,
    cluster: str | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Run POLICIES (default: all) against every scenario and workload and print what came of it."""
    for name in policies:
        policy(name)
    for name in scenarios:
        scenario(name)
    work = study.jobs(policies, scenarios, seeds, programs, fault or "")
    with progress() as bars, executor(cluster, workers) as pool:
        task = bars.add_task("runs", total=len(work))
        cells = study.compare(work, pool, lambda: bars.advance(task))
        if html is not None:
            searched = _search_for_page(cells, pool)
            write_atomically(html, comparison_page(cells, searched))
    found = study.rows(cells)
    if as_json:
        emit_json({"rows": [vars(row) for row in found], "runs": [vars(cell) for cell in cells]})
    else:
        to_terminal(study.tables(found), console())


def _search_for_page(cells: list[Figures], pool: Executor) -> list[search.Exploration]:
    """A short search for counterexamples of each policy in the small scenarios that were compared."""
    policies = list(dict.fromkeys(cell.policy for cell in cells))
    names = [cell.scenario for cell in cells if cell.scenario.partition("+")[0] in SCENARIOS]
    small = list(dict.fromkeys(names)) or list(CURRENT)
    return search.all_policies(small, 8, pool, policies=policies, budget=20)


@reclaim.command("policies", examples=["ring3 reclaim policies"])
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def policies_command(as_json: bool) -> None:
    """The policies: who proposed each, and how it is understood here."""
    rows = [[kind.name, kind.source, kind.reading] for kind in POLICIES.values()]
    if as_json:
        emit_json([dict(zip(("policy", "source", "reading"), row, strict=True)) for row in rows])
    else:
        to_terminal([Table("", ("policy", "source", "as understood here"), rows)], console())


@reclaim.command("scenarios", examples=["ring3 reclaim scenarios"])
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def scenarios_command(as_json: bool) -> None:
    """The scenarios that are explored, the larger workloads that are measured, and faults of the disk.

    SCENARIO+FAULT is a scenario, too.
    """
    every = [*SCENARIOS.values(), *WORKLOADS.values()]
    if as_json:
        faults = [{**vars(each), "blocks": None} for each in FAULTS.values()]
        emit_json({"scenarios": [vars(each) for each in every], "faults": faults})
    else:
        rows = [[each.name, each.title] for each in every]
        faulty = [[f"+{each.name}", each.title] for each in FAULTS.values()]
        to_terminal(
            [
                Table("", ("scenario", "what happens"), rows),
                Table(
                    "", ("fault", "once memory is short"), faulty, "As in fat-linked-direct+slow."
                ),
            ],
            console(),
        )


@reclaim.command(
    "explore",
    examples=[
        "ring3 reclaim explore as-today --scenario fat-linked-direct",
        "ring3 reclaim explore i-reclaim-hard --schedules 1000 --perfetto hard.pftrace",
        "ring3 reclaim explore all",
    ],
)
@click.argument("policy_name", metavar="POLICY")
@click.option("--scenario", "scenarios", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--schedules",
    type=click.IntRange(1, 1_000_000),
    default=search.DEFAULT_SCHEDULES,
    show_default=True,
    help="Random, and as many PCT schedules, of each scenario, beyond those gone through one by one.",
)
@click.option(
    "--preemptions",
    type=click.IntRange(0),
    help="Only every schedule with at most so many, however long that takes.",
)
@click.option("--fault", type=click.Choice(list(FAULTS)), help="What is wrong with the disk.")
@click.option(
    "--workers", type=click.IntRange(1), help='Processes for "all" [default: one a core].'
)
@click.option("--cluster", help='A Dask scheduler for "all", tcp://HOST:PORT.')
@click.option("--replay", metavar="SCENARIO/SCHEDULE", help="Run one counterexample again.")
@click.option("--perfetto", type=OutFile(), help="Write it as a timeline.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explore_command(
    *,
    policy_name: str,
    scenarios: tuple[str, ...],
    schedules: int,
    preemptions: int | None,
    fault: str | None,
    workers: int | None,
    cluster: str | None,
    replay: str | None,
    perfetto: Path | None,
    as_json: bool,
) -> None:
    """Search schedules in which POLICY (or, with "all", each one) fails, and show the worst.

    Exit code 1 when there is one.
    """
    names = list(dict.fromkeys(with_fault(scenarios or CURRENT, fault or "")))
    if policy_name == "all":
        if preemptions is not None or replay is not None or perfetto is not None:
            raise click.UsageError("--preemptions, --replay and --perfetto are for one policy")
        _explore_all(names, schedules, workers, cluster, as_json)
        return
    name = replay
    covered: list[search.Coverage] = []
    if name is None:
        result = _explore_one(policy_name, names, schedules, preemptions, as_json)
        worst = search.smallest(result.worst) if result.worst else None
        name = worst.name if worst else None
        covered = result.covered
    outcome = search.replay(policy_name, name) if name is not None else None
    found = outcome.failures if outcome is not None else {}
    if as_json:
        shown = [vars(each) for each in covered]
        emit_json({"policy": policy_name, "found": found, "replay": name, "covered": shown})
    elif name is not None and outcome is not None:
        click.echo(f"\nring3 reclaim explore {policy_name} --replay {name}\n")
        click.echo(search.interleaving(policy_name, name))
        for warn in outcome.warns[:1]:
            click.echo(f"\n{warn}")
        click.echo()
        for kind, message in found.items():
            click.echo(f"{kind}: {message}")
    if name is not None and perfetto is not None:
        search.perfetto(policy_name, name).write(perfetto)
    if found:
        finding()


def _explore_one(
    policy_name: str, names: list[str], schedules: int, preemptions: int | None, as_json: bool
) -> search.Exploration:
    """Search the scenarios ``names``; unless the answer is to be JSON, say what was covered."""
    with progress() as bars:
        task = bars.add_task(policy_name, total=len(names))
        result = search.explore(
            policy_name,
            names,
            schedules=schedules,
            preemptions=preemptions,
            done=lambda: bars.advance(task),
        )
    if not as_json:
        shows = ", ".join(k for k in KINDS if k in result.found) or "nothing goes wrong"
        scenarios_are = "1 scenario" if len(names) == 1 else f"{len(names)} scenarios"
        click.echo(f"{policy_name}: {result.schedules:,} schedules of {scenarios_are}: {shows}")
        to_terminal([search.coverage_table(result)], console())
    return result


def _explore_all(
    scenarios: list[str], schedules: int, workers: int | None, cluster: str | None, as_json: bool
) -> None:
    with progress() as bars, executor(cluster, workers) as pool:
        task = bars.add_task("policies", total=len(POLICIES))
        results = search.all_policies(scenarios, schedules, pool, lambda: bars.advance(task))
    if as_json:
        emit_json(
            [
                {
                    "policy": result.policy,
                    "schedules": result.schedules,
                    "covered": [vars(each) for each in result.covered],
                    "found": {
                        kind: {"message": example.message, "replay": example.name}
                        for kind, example in result.found.items()
                    },
                }
                for result in results
            ]
        )
    else:
        to_terminal([search.table(results)], console())
    if any(result.found for result in results):
        finding()


@reclaim.command(
    "explain",
    examples=["ring3 reclaim explain splat.txt", "dmesg | ring3 reclaim explain /dev/stdin"],
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--all", "every", is_flag=True, help="Also reports that have nothing to do with reclaim."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain_command(file: Path, every: bool, as_json: bool) -> None:
    """Walk the kernel reports in FILE from the bottom of the stack to the top.

    WARN, lockdep, hung task and allocation failure; from dmesg, journalctl, syzbot or a mail.
    """
    answers = [explain(splat) for splat in splats.read(file)]
    shown = [a for a in answers if every or a.entry or "fs_reclaim" in " ".join(a.verdict)]
    shown = shown or answers[:1]
    if as_json:
        emit_json([{**vars(a), "steps": [vars(step) for step in a.steps]} for a in shown])
    else:
        click.echo("\n\n".join(explanation_text(answer) for answer in shown))
