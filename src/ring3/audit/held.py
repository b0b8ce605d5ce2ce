"""Locks that reclaim takes, and allocations that may enter reclaim while one is held."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ring3.audit.findings import Finding, Level, Step
from ring3.audit.flow import Context, Edge, Interpreter, Lock, Site
from ring3.audit.graph import Chains, Graph, Node, Reach, Spread, doubts, long_way, rare_step
from ring3.audit.program import Program
from ring3.audit.tables import MOUNTING, NO_LOCKS, SHARED, TREE_FLAGS

#: Locks of these belong to objects that reclaim holds alone; a task that allocates has another's.
_PER_OBJECT = re.compile(
    r"^(?:\w*inode|\w*inode_info|\w*inode_t|\w*_vnode|address_space|dentry|folio|page|buffer_head|xfs_buf|extent_buffer)$"
)


@dataclass
class Taken:
    """A lock that reclaim waits for: where, and the flag without which reclaim does not ("" none)."""

    node: Node
    site: Site
    spread: Spread
    needs: str


@dataclass
class Holder:
    """An allocation or call under a lock that reclaim takes."""

    node: Node
    what: Edge | Site
    lock: Lock


def taken_locks(
    program: Program, graph: Graph, spread: Spread, taken: dict[str, Taken], needs: str
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
            if known is None or len(known.needs) > len(needs) or known.needs == "__GFP_FS" != needs:
                taken[site.name] = Taken(node, site, spread, needs)


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
        needed = gfp[taken.needs.removeprefix("__GFP_")] if taken.needs else bits
        return bool(bits & gfp["DIRECT_RECLAIM"] and bits & needed)

    shared = taken.site.mode == "r" and all(holder.lock.mode == "r" for holder in holders)
    if shared and not _written(program, name):
        return []
    reach = graph.reach(spread, enters_reclaim, name)
    ends: dict[Node, tuple[tuple[str, int] | None, int]] = {}
    best: dict[tuple[str, int], tuple[int, Holder]] = {}
    count: dict[tuple[str, int], int] = {}
    for holder in holders:
        what = holder.what
        mine = _place(program, unit, holder.node, what.line)
        if isinstance(what, Site):
            if not enters_reclaim(what):
                continue
            place, length = mine, 1
        else:
            following = (what.callee, what.context)
            if following not in reach:
                continue
            place, length = _end(program, unit, reach, following, ends)
            place, length = place or mine, length + 1
        key = place or (program.file[holder.node[0]], what.line)
        count[key] = count.get(key, 0) + 1
        length += 0 if holder.lock.sure else 100
        if key not in best or length < best[key][0]:
            best[key] = (length, holder)
    found = []
    for key, (_, holder) in sorted(best.items(), key=lambda item: item[0]):
        steps, site = chains.onward(reach, holder.node, holder.what)
        found.append(_finding(program, chains, unit, taken, key, holder, steps, site, count[key]))
    return found


def _place(program: Program, unit: str, node: Node, line: int) -> tuple[str, int] | None:
    """(file, line) when ``node`` is a function of the subject and no macro."""
    if program.unit[node[0]] != unit or program.functions[node[0]].macro:
        return None
    return program.file[node[0]], line


def _end(
    program: Program,
    unit: str,
    reach: Reach,
    node: Node,
    ends: dict[Node, tuple[tuple[str, int] | None, int]],
) -> tuple[tuple[str, int] | None, int]:
    """The last place of the subject on the way from ``node`` to its site, and the way's length."""
    trail = []
    while node not in ends:
        what = reach[node]
        if isinstance(what, Site):
            ends[node] = (_place(program, unit, node, what.line), 1)
            break
        trail.append((node, what.line))
        node = (what.callee, what.context)
    place, length = ends[node]
    for before, line in reversed(trail):
        place, length = place or _place(program, unit, before, line), length + 1
        ends[before] = (place, length)
    return place, length


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
    place = next((step for step in reversed(steps) if (step.file, step.line) == key), steps[0])
    reclaim, root = chains.to(taken.spread.ways, taken.node)
    reclaim.append(chains.step(taken.node, taken.site, f"takes {name}"))
    begin = Step(
        chains.name(holder.node), program.file[holder.node[0]], holder.lock.line, f"takes {name}"
    )
    who = chains.name(holder.node)
    doubted = list(doubts([*steps, *reclaim]))
    if site.name in TREE_FLAGS:
        doubted.append(f"{site.name}() allocates with the flags its tree was initialised with")
    # The first steps, from the shrinker to evict(), are the same for all.
    doubted += [why for why in (rare_step(reclaim), long_way(steps), long_way(reclaim[4:])) if why]
    level: Level = "warning" if doubted else "error"
    if not holder.lock.sure:
        doubted.append("the lock is held on some of the ways here only")
        level = "note"
    if any(mark in who for mark in MOUNTING):
        doubted.append(f"{who}() runs while the shrinker of the superblock does nothing")
        level = "note"
    if len(doubted) > 1:
        level = "note"
    flags = program.flag_names(site.flags)
    kind = f"reclaim with {taken.needs}" if taken.needs else "any direct reclaim"
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
