"""Locks that reclaim waits for, held around allocations that may enter that reclaim."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ring3.audit.conditions import LAST_PUT, LAZYTIME, OWN_SUPERBLOCK
from ring3.audit.contexts import NOFS, NOIO, NORECLAIM, Context, Edge, Lock, Site
from ring3.audit.findings import LEVELS, Finding, Level, Step
from ring3.audit.flow import Interpreter
from ring3.audit.graph import (
    Chains,
    Graph,
    Node,
    Reach,
    Spread,
    Ways,
    any_of_several,
    beyond_evict,
    doubts,
    long_way,
    one_of_several,
    rare_step,
)
from ring3.audit.primitives import CLASSED
from ring3.audit.program import PER_OBJECT, Program
from ring3.audit.roots import Taken
from ring3.audit.tables import NO_LOCKS, SHARED, TREE_FLAGS

#: So many findings a place, each under another lock.
MOST_LOCKS = 4
#: Under a lock that reclaim waits for, another lock is looked for so many calls deep.
_DEEPEST = 6


_BEHIND = "only comparisons tell it: another allocation is nearer to where the lock is taken"


@dataclass
class Holder:
    """What happens under a lock that reclaim takes: a call, an allocation, another lock waited for."""

    node: Node
    what: Edge | Site
    lock: Lock


@dataclass
class Held:
    """Everything that a subject does under locks of ``taken``."""

    program: Program
    chains: Chains
    graph: Graph
    unit: str
    taken: Mapping[str, Taken]
    holders: dict[str, list[Holder]] = field(default_factory=dict)
    spread: Spread = field(default_factory=lambda: Spread({}, {}, {}))

    def __post_init__(self) -> None:
        entered: dict[Node, None] = {}
        for node in _seeds(self.program, self.graph.interpreter, self.unit, frozenset(self.taken)):
            walked = self.graph.at(node)
            happening: list[Edge | Site] = [*walked.edges, *walked.sites]
            for what in happening:
                for lock in what.held:
                    if lock.name in self.taken:
                        if isinstance(what, Edge):
                            entered[what.callee, what.context] = None
                        self.holders.setdefault(lock.name, []).append(Holder(node, what, lock))
        self.spread = self.graph.spread(entered)

    def findings(self) -> list[Finding]:
        """One finding for every place of the subject that allocates under a lock of ``taken``.

        With them what is behind them.
        """
        found: list[Finding] = []
        for name in sorted(self.holders):
            found += self._under(self.taken[name], name, self.holders[name])
        shown = _few_locks([one for one in found if not one.behind])
        return shown + _few_locks([one for one in found if one.behind])

    def waited_for(self) -> dict[str, Taken]:
        """Locks for which a task waits while it holds one that reclaim takes: reclaim waits for them, too."""
        found: dict[str, Taken] = {}
        for name in sorted(self.holders):
            taken = self.taken[name]
            for holder in self.holders[name]:
                if not holder.lock.sure or holder.lock.mode == taken.mode == "r":
                    continue  # two that share a lock do not wait for each other
                if self.graph.unused(holder.node[0], self.unit):
                    continue  # reclaim has nothing to do with what is not in use
                for site, steps in self._locks_under(name, holder):
                    if site.name not in self.taken and site.name not in found:
                        begin = self._begin(holder, name)
                        steps[-1] = Step(
                            steps[-1].function,
                            steps[-1].file,
                            steps[-1].line,
                            f"takes {site.name}",
                        )
                        found[site.name] = Taken(
                            site.mode,
                            taken.needs,
                            steps[-1].function,
                            (*taken.steps, begin, *steps),
                            taken.preamble,
                            via=name,
                            anchored=taken.anchored,
                        )
        return found

    def _locks_under(self, name: str, holder: Holder) -> list[tuple[Site, list[Step]]]:
        what = holder.what
        if isinstance(what, Site):
            counts = what.kind == "lock" and self._counts(what)
            return [(what, [self.chains.step(holder.node, what)])] if counts else []
        first = (what.callee, what.context)
        ways: Ways = {first: None}
        depth = {first: 1}
        queue = deque([first])
        found: dict[str, tuple[Site, list[Step]]] = {}
        while queue:
            node = queue.popleft()
            walked = self.graph.at(node)
            for site in walked.sites:
                if (
                    site.kind == "lock"
                    and name not in site.released
                    and site.name not in found
                    and self._counts(site)
                ):
                    steps, _ = self.chains.to(ways, node)
                    steps = [self.chains.step(holder.node, what), *steps]
                    found[site.name] = (site, [*steps, self.chains.step(node, site)])
            if depth[node] >= _DEEPEST:
                continue
            for edge in walked.edges:
                following = (edge.callee, edge.context)
                if following not in ways and name not in edge.released and not edge.how:
                    ways[following] = (node, edge)
                    depth[following] = depth[node] + 1
                    queue.append(following)
        return list(found.values())

    @staticmethod
    def _counts(site: Site) -> bool:
        if site.own or site.name[0] == "?" or site.name in NO_LOCKS:
            return False
        struct, _, member = site.name.partition(".")
        return not PER_OBJECT.match(struct) and member != "dep_map"

    def _begin(self, holder: Holder, name: str) -> Step:
        return Step(
            self.chains.name(holder.node),
            self.program.file[holder.node[0]],
            holder.lock.line,
            f"takes {name}",
        )

    # -- allocations under one lock

    def _enters(self, taken: Taken, site: Site) -> bool:
        """Whether the allocation ``site`` may enter the reclaim that takes the lock."""
        gfp = self.program.gfp
        bits = site.flags[0] & site.flags[1]
        if bits & gfp["NOLOCKDEP"]:
            return False  # somebody has looked and says that it is right
        needed = gfp[taken.needs.removeprefix("__GFP_")] if taken.needs else bits
        return bool(bits & gfp["DIRECT_RECLAIM"] and bits & needed)

    def _under(self, taken: Taken, name: str, holders: list[Holder]) -> list[Finding]:
        shared = taken.mode == "r" and all(holder.lock.mode == "r" for holder in holders)
        if shared and name not in CLASSED.values() and not _written(self.program, name):
            return []
        # Who calls iput() under a lock that eviction takes does not evict by it: it would wait for itself.
        evicting = taken.taker == "evict" or any(step.call in LAST_PUT for step in taken.steps)
        reach = self.graph.reach(
            self.spread, lambda site: self._enters(taken, site), name, without_evict=evicting
        )
        ends: dict[Node, tuple[tuple[str, int] | None, int]] = {}
        best: dict[tuple[str, int], tuple[int, Holder]] = {}
        count: dict[tuple[str, int], int] = {}
        for holder in holders:
            what = holder.what
            mine = self._place(holder.node, what.line)
            if isinstance(what, Site):
                if what.kind != "alloc" or not self._enters(taken, what):
                    continue
                place, length = mine, 1
            else:
                following = (what.callee, what.context)
                if following not in reach or (evicting and self._evicts(what)):
                    continue
                place, length = self._end(reach, following, ends)
                place, length = place or mine, length + 1
            if self._protected(holder.node, taken):
                continue
            key = place or (self.program.file[holder.node[0]], what.line)
            count[key] = count.get(key, 0) + 1
            length += 0 if holder.lock.sure else 50 if holder.lock.when else 100
            if key not in best or length < best[key][0]:
                best[key] = (length, holder)
        found = []
        for key, (_, holder) in sorted(best.items(), key=lambda item: item[0]):
            steps, site = self.chains.onward(reach, holder.node, holder.what)
            found.append(self._finding(taken, name, key, holder, steps, site, count[key]))
        calls = [
            holder
            for holder in holders
            if isinstance(holder.what, Edge)
            and not (evicting and self._evicts(holder.what))
            and not self._protected(holder.node, taken)
        ]
        return found + self._behind(taken, name, calls, reach, ends, set(best), evicting)

    def _behind(
        self,
        taken: Taken,
        name: str,
        calls: list[Holder],
        reach: Reach,
        ends: dict[Node, tuple[tuple[str, int] | None, int]],
        told: set[tuple[str, int]],
        evicting: bool,
    ) -> list[Finding]:
        """What is allocated further on under the lock than at the places ``told``; only what is no note."""
        first: dict[Node, Holder] = {}
        for holder in sorted(calls, key=lambda one: (not one.lock.sure, not one.lock.when)):
            if isinstance(holder.what, Edge):
                node = (holder.what.callee, holder.what.context)
                if node in reach:
                    first.setdefault(node, holder)
        ways: Ways = dict.fromkeys(first)
        queue = deque(first)
        found: list[Finding] = []
        while queue:
            node = queue.popleft()
            for what in self._onward(taken, name, node, reach, evicting):
                if isinstance(what, Edge):
                    following = (what.callee, what.context)
                    if following not in ways:
                        ways[following] = (node, what)
                        queue.append(following)
                    if self._end(reach, following, ends)[0]:
                        continue  # the subject's place comes later
                place = self._place(node, what.line)
                if place is None or place in told:
                    continue
                told.add(place)
                steps, begin = self.chains.to(ways, node)
                holder = first[begin]
                more, site = self.chains.onward(reach, node, what)
                steps = [self.chains.step(holder.node, holder.what), *steps, *more]
                one = self._finding(taken, name, place, holder, steps, site, 1)
                if one.level != "note":
                    found.append(replace(one, behind=True, why=(*one.why, _BEHIND)))
        return found

    def _onward(
        self, taken: Taken, name: str, node: Node, reach: Reach, evicting: bool
    ) -> Iterator[Edge | Site]:
        """What happens in ``node`` under the lock and is, or leads to, an allocation that enters reclaim."""
        walked = self.graph.at(node)
        for site in walked.sites:
            if site.kind == "alloc" and name not in site.released and self._enters(taken, site):
                yield site
        for edge in walked.edges:
            if (
                (edge.callee, edge.context) in reach
                and name not in edge.released
                and not (evicting and self._evicts(edge))
            ):
                yield edge

    def _evicts(self, edge: Edge) -> bool:
        return self.program.functions[edge.callee].name in LAST_PUT

    def _protected(self, node: Node, taken: Taken) -> bool:
        """Whether every caller of the holder is in a scope that keeps its allocations out of that reclaim."""
        scope = self.graph.ambient(node[0], self.unit)
        if scope & NORECLAIM or taken.needs not in ("__GFP_FS", "__GFP_IO"):
            return bool(scope & NORECLAIM)
        return bool(scope & (NOIO if taken.needs == "__GFP_IO" else NOFS | NOIO))

    def _place(self, node: Node, line: int) -> tuple[str, int] | None:
        """(file, line) when ``node`` is a function of the subject and no macro."""
        program = self.program
        if program.unit[node[0]] != self.unit or program.functions[node[0]].macro:
            return None
        return program.file[node[0]], line

    def _end(
        self, reach: Reach, node: Node, ends: dict[Node, tuple[tuple[str, int] | None, int]]
    ) -> tuple[tuple[str, int] | None, int]:
        """The last place of the subject on the way from ``node`` to its site, and the way's length."""
        trail = []
        while node not in ends:
            what = reach[node]
            if isinstance(what, Site):
                ends[node] = (self._place(node, what.line), 1)
                break
            trail.append((node, what.line))
            node = (what.callee, what.context)
        place, length = ends[node]
        for before, line in reversed(trail):
            place, length = place or self._place(before, line), length + 1
            ends[before] = (place, length)
        return place, length

    def _finding(
        self,
        taken: Taken,
        name: str,
        key: tuple[str, int],
        holder: Holder,
        steps: list[Step],
        site: Site,
        count: int,
    ) -> Finding:
        place = next((step for step in reversed(steps) if (step.file, step.line) == key), steps[0])
        who = self.chains.name(holder.node)
        reclaim = list(taken.steps)
        doubted = list(doubts([*steps, *reclaim]))
        if site.name in TREE_FLAGS:
            doubted.append(f"{site.name}() allocates with the flags its tree was initialised with")
        # The first steps, from the shrinker to evict(), are the same for all.
        doubted += [
            why
            for why in (rare_step(reclaim), long_way(steps), long_way(beyond_evict(reclaim)))
            if why
        ]
        if taken.via:
            doubted.append(f"two tasks: reclaim waits for {taken.via}, whose holder waits for this")
        doubted += any_of_several([*steps, *reclaim], steps[0].file)
        several = one_of_several([*steps, *reclaim], rare=True)
        doubted += filter(None, [several, one_of_several([*steps, *reclaim], rare=False)])
        level: Level = "warning" if doubted else "error"
        if holder.lock.when and not holder.lock.sure:
            doubted.append(f"the lock is held if {holder.lock.when}")
            level = "warning"
        elif not holder.lock.sure:
            doubted.append("the lock is held on some of the ways here only")
            level = "note"
        if self.graph.unused(holder.node[0], self.unit):
            doubted.append(f"{who}() runs while nobody uses the filesystem or device")
            level = "note"
        if several or len(doubted) > 1 or LAZYTIME in doubted:
            level = "note"
        flags = self.program.flag_names(site.flags)
        kind = f"reclaim with {taken.needs}" if taken.needs else "any direct reclaim"
        rule = "lock-of-nofs-region" if taken.via else "lock-across-reclaim"
        waits = f"reclaim takes it in {taken.taker}()"
        if taken.via:
            waits = f"{taken.taker}() waits for it under {taken.via}, for which reclaim waits"
        return Finding(
            rule=rule,
            level=level,
            subject=self.unit,
            message=f"{who}() holds {name} around {site.name} with {flags}; {waits}",
            chain=(self._begin(holder, name), *steps),
            at=place,
            lock=name,
            other=(*taken.preamble, *taken.steps),
            why=(
                f"{who}() holds {name} from line {holder.lock.line} on",
                f"flags at the allocation: {flags}",
                f"{kind} takes {taken.via or name} without trying first",
                *doubted,
            ),
            others=count - 1,
            id=Finding.identity(rule, self.unit, name, place.function, site.name),
        )


def _few_locks(findings: list[Finding]) -> list[Finding]:
    """Of each place those with the clearest ways; they say under which locks it is, too.

    An allocation deep in what everything calls is one mistake, not one a lock.
    """
    places: dict[tuple[str, int], list[Finding]] = {}
    for one in findings:
        places.setdefault((one.at.file, one.at.line), []).append(one)
    kept = []
    for several in places.values():
        several.sort(key=lambda one: (LEVELS.index(one.level), len(one.chain), one.lock))
        more = several[MOST_LOCKS:]
        clear = ", ".join(one.lock for one in more if one.level != "note")
        doubted = ", ".join(one.lock for one in more if one.level == "note")
        others = [f"also under {clear}"] if clear else []
        others += [f"perhaps under {doubted}"] if doubted else []
        kept += [replace(one, why=(*one.why, *others)) for one in several[:MOST_LOCKS]]
    return kept


def _seeds(
    program: Program, interpreter: Interpreter, unit: str, names: frozenset[str]
) -> list[Node]:
    """Functions of the subject, and of the machinery it shares, that may hold one of ``names``."""
    functions = list(interpreter.may_hold(unit))
    if unit.startswith("fs/"):
        for other in program.unit_functions:
            if other != unit and (other in SHARED or (other[:3] == "fs/" and other.endswith(".c"))):
                functions += interpreter.may_hold(other)
    members = {name.rpartition(".")[2] for name in names if name not in CLASSED.values()}
    marks = [member.encode() for member in members]
    seeds = []
    for function in functions:
        declared = program.functions[function]
        if (
            any(
                CLASSED[primitive].format(arg) in names
                if primitive in CLASSED
                else any(member in arg for member in members)
                for primitive, arg in declared.locks
            )
            or not names.isdisjoint(interpreter.left_taken(function))
            or (
                not interpreter.helpers.isdisjoint(declared.callees)
                and any(mark in declared.body for mark in marks)
            )
        ):
            own = program.file[function].startswith(OWN_SUPERBLOCK)
            seeds.append((function, Context(program.unit[function] if own else unit)))
    return seeds


def _written(program: Program, name: str) -> bool:
    """Whether anybody takes the shared lock ``name`` exclusively."""
    member = name.rpartition(".")[2]
    return any(member in arg for arg in program.exclusive)
