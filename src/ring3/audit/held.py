"""Locks that reclaim takes, and allocations that may enter reclaim while one is held."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ring3.audit.findings import Finding, Level, Step
from ring3.audit.flow import Context, Edge, Interpreter, Lock, Site
from ring3.audit.graph import Chains, Graph, Node, Spread, doubts
from ring3.audit.program import Program
from ring3.audit.tables import NO_LOCKS, SHARED

#: Locks of these belong to objects that reclaim holds alone; a task that allocates has another's.
_PER_OBJECT = re.compile(
    r"^(?:\w*inode|\w*inode_info|address_space|dentry|folio|page|buffer_head)$"
)


@dataclass
class Taken:
    """A lock that reclaim waits for: where, and whether only reclaim with __GFP_FS does."""

    node: Node
    site: Site
    spread: Spread
    needs_fs: bool


@dataclass
class Holder:
    """An allocation or call under a lock that reclaim takes."""

    node: Node
    what: Edge | Site
    lock: Lock


def taken_locks(
    program: Program, graph: Graph, spread: Spread, taken: dict[str, Taken], *, needs_fs: bool
) -> None:
    """Add to ``taken`` the lock classes that reclaim waits for along ``spread``."""
    for node in spread.ways:
        for site in graph.at(node).sites:
            if site.kind != "lock" or site.own or site.name[0] == "?" or site.name in NO_LOCKS:
                continue
            if _PER_OBJECT.match(site.name.partition(".")[0]):
                continue
            if site.name.endswith(".dep_map") and program.file[node[0]].startswith("include/"):
                continue  # annotations of spinning and RCU sections
            known = taken.get(site.name)
            if known is None or (known.needs_fs and not needs_fs):
                taken[site.name] = Taken(node, site, spread, needs_fs)


def held_findings(
    program: Program, chains: Chains, graph: Graph, unit: str, taken: dict[str, Taken]
) -> tuple[list[Finding], bool]:
    """Findings of subject ``unit``, and whether the walk was cut."""
    holders: list[Holder] = []
    entered: dict[Node, None] = {}
    for node in _seeds(program, graph.interpreter, unit, frozenset(taken)):
        walked = graph.at(node)
        happening: list[Edge | Site] = [*walked.edges, *walked.sites]
        for what in happening:
            for lock in what.held:
                if lock.name not in taken:
                    continue
                if isinstance(what, Edge):
                    entered[what.callee, what.context] = None
                elif what.kind != "alloc":
                    continue
                holders.append(Holder(node, what, lock))
    spread = graph.spread(entered)
    findings: list[Finding] = []
    for name in sorted({holder.lock.name for holder in holders}):
        mine = [holder for holder in holders if holder.lock.name == name]
        findings += _under(program, chains, graph, unit, taken[name], spread, mine)
    return findings, spread.cut


def _under(
    program: Program,
    chains: Chains,
    graph: Graph,
    unit: str,
    taken: Taken,
    spread: Spread,
    holders: list[Holder],
) -> list[Finding]:
    """One finding for every place of the subject that allocates under the lock of ``taken``."""
    gfp = program.gfp
    name = taken.site.name

    def enters_reclaim(site: Site) -> bool:
        bits = site.flags[0] & site.flags[1]
        if bits & gfp["NOLOCKDEP"]:
            return False  # somebody has looked and says that it is right
        return bool(bits & gfp["DIRECT_RECLAIM"]) and (not taken.needs_fs or bool(bits & gfp["FS"]))

    shared = taken.site.mode == "r" and all(holder.lock.mode == "r" for holder in holders)
    if shared and not _written(program, name):
        return []
    reach = graph.reach(spread, enters_reclaim, name)
    best: dict[tuple[str, int], tuple[int, Holder, list[Step], Site]] = {}
    count: dict[tuple[str, int], int] = {}
    for holder in holders:
        if isinstance(holder.what, Site):
            if not enters_reclaim(holder.what):
                continue
        elif (holder.what.callee, holder.what.context) not in reach:
            continue
        steps, site = chains.onward(reach, holder.node, holder.what)
        place = next((step for step in reversed(steps) if step.home == unit), steps[0])
        key = (place.file, place.line)
        count[key] = count.get(key, 0) + 1
        length = len(steps) + (0 if holder.lock.sure else 100)
        if key not in best or length < best[key][0]:
            best[key] = (length, holder, steps, site)
    return [
        _finding(program, chains, unit, taken, key, holder, steps, site, count[key])
        for key, (_, holder, steps, site) in sorted(best.items())
    ]


def _finding(
    program: Program,
    chains: Chains,
    unit: str,
    taken: Taken,
    key: tuple[str, int],
    holder: Holder,
    steps: list[Step],
    site: Site,
    count: int,
) -> Finding:
    name = taken.site.name
    place = next(step for step in reversed(steps) if (step.file, step.line) == key)
    reclaim, root = chains.to(taken.spread.ways, taken.node)
    reclaim.append(chains.step(taken.node, taken.site, f"takes {name}"))
    begin = Step(
        chains.name(holder.node), program.file[holder.node[0]], holder.lock.line, f"takes {name}"
    )
    doubted = doubts([*steps, *reclaim])
    level: Level = "warning" if doubted else "error"
    if not holder.lock.sure:
        level = "note"
        doubted = (*doubted, "the lock is held on some of the ways here only")
    flags = program.flag_names(site.flags)
    who = chains.name(holder.node)
    kind = "reclaim with __GFP_FS" if taken.needs_fs else "reclaim with or without __GFP_FS"
    return Finding(
        rule="lock-across-reclaim",
        level=level,
        subject=unit,
        message=(
            f"{who}() holds {name} around {site.name} with {flags}; "
            f"reclaim takes it in {chains.name(taken.node)}()"
        ),
        chain=(begin, *steps),
        at=place,
        lock=name,
        other=(*chains.preamble(root), *reclaim),
        why=(
            f"{who}() holds {name} from line {holder.lock.line} on",
            f"flags at the allocation: {flags}",
            f"{kind} takes {name} without trying first",
            *doubted,
        ),
        others=count - 1,
        id=Finding.identity("lock-across-reclaim", unit, name, place.function, site.name),
    )


def _seeds(
    program: Program, interpreter: Interpreter, unit: str, names: frozenset[str]
) -> list[Node]:
    """Functions of the subject, and of the machinery it shares, that may hold one of ``names``."""
    functions = list(program.unit_functions.get(unit, ()))
    if unit.startswith("fs/"):
        for other, more in program.unit_functions.items():
            if other != unit and (other in SHARED or (other[:3] == "fs/" and other.endswith(".c"))):
                functions.extend(more)
    members = {name.rpartition(".")[2] for name in names}
    seeds = []
    for function in functions:
        declared = program.functions[function]
        if declared.macro:
            continue
        if any(member in arg for _, arg in declared.locks for member in members) or any(
            lock.name in names
            for callee in interpreter.leaving(declared.callees, program.file[function])
            for lock in callee.acquired
        ):
            seeds.append((function, Context(unit)))
    return seeds


def _written(program: Program, name: str) -> bool:
    """Whether anybody takes the shared lock ``name`` exclusively."""
    member = name.rpartition(".")[2]
    return any(
        "write" in primitive and member in arg
        for function in program.functions
        for primitive, arg in function.locks
    )
