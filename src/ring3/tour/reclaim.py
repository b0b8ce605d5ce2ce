"""Reclaim: the policies with their counterexamples, and the chains in real source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ring3.cluster import each, executor
from ring3.report import Block, Headline, LeftOut, Lines, Table
from ring3.tour.chapter import Say

if TYPE_CHECKING:
    from ring3.reclaim.explore import Exploration


def blocks(say: Say) -> Iterator[Block]:
    """The chapter."""
    from ring3.reclaim import compare, explore
    from ring3.reclaim.policies import POLICIES

    work = compare.jobs((), (), 1)
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        say(f"policies: run {done} of {len(work)}")

    with executor() as pool:
        cells = compare.compare(work, pool, advance)
    rows = compare.rows(cells)
    held = [r for r in rows if not (r.warn or r.deadlock or r.livelock or r.panic or r.leaked)]
    yield Headline(
        f"{len(held)} of {len(rows)} policies",
        f"end {len(work)} runs without WARN, deadlock, livelock, panic or leaked inode: "
        f"{', '.join(row.policy for row in held) or 'none'}",
    )
    yield from compare.tables(rows)
    say("counterexamples")
    results = []
    with executor() as pool:
        for name, result in each(pool, _counterexample, POLICIES):
            results.append(result)
            say(f"counterexamples: {name}")
    order = list(POLICIES)
    yield explore.table(sorted(results, key=lambda result: order.index(result.policy)))
    yield from _audit(say)


def _counterexample(policy: str) -> Exploration:
    """What goes wrong under a policy in a few schedules of each scenario, made small."""
    from ring3.reclaim import explore

    result = explore.explore(policy, schedules=8, budget=20)
    if result.worst is not None:
        result.found[result.worst.kind] = explore.smallest(result.worst, budget=60)
    return result


def _audit(say: Say) -> Iterator[Block]:
    from ring3.audit.report import step_text
    from ring3.audit.run import SAMPLE, audit
    from ring3.linux_source import kernel_source, newest

    version = newest()
    if version is not None:
        name = f"the source of Linux {version}"
        say(f"unpacking {name}")
        tree = kernel_source(version)
        subjects: tuple[str, ...] = ("fs/fat", "fs/ext4", "fs/f2fs", "fs/xfs")
    else:
        yield LeftOut(
            "chains in real kernel source",
            "no linux-source package is here",
            "apt-get install linux-source-6.1",
        )
        name, tree, subjects = "a small filesystem of ring3's own", SAMPLE, ()
    answer = audit(
        tree,
        subjects=subjects,
        progress=lambda what, at, total: say(f"{what} {at} of {total}"),
    )
    worst = [
        one for one in answer.findings if one.level == "error" and one.rule == "nofail-in-reclaim"
    ]
    counted = Counter(one.subject for one in worst)
    yield Table(
        f"Paths from memory reclaim into allocations that must not fail, in {name}",
        ("filesystem", "#findings"),
        [(name, counted.get(name, 0)) for name in sorted(answer.subjects)],
        f"{answer.files:,} files and {answer.functions:,} functions read in {answer.seconds:.0f} s",
    )
    shown: set[str] = set()
    for one in worst:
        if one.subject not in shown:
            shown.add(one.subject)
            yield Lines(
                "\n".join(step_text(step) for step in one.chain), f"{one.subject}: {one.id}"
            )
