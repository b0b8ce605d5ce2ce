"""Functions in contexts as a graph: walked on demand, spread from roots, searched backwards for sites."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from typing import NamedTuple

from ring3.audit.conditions import LAST_PUT, MOUNTING, PREAMBLE, RARE
from ring3.audit.contexts import (
    ANY_OF,
    NOFS,
    NOIO,
    NORECLAIM,
    ONE_OF,
    Context,
    Edge,
    Site,
    Walked,
    cleared,
)
from ring3.audit.findings import Step
from ring3.audit.flow import Interpreter
from ring3.audit.program import Program
from ring3.audit.tables import SHARED

#: A walk over more nodes than this is cut there, and its subject says so.
LARGEST = 30_000
#: A function met with more sets of constants than this keeps only its GFP flags apart, and which tables of
#: operations its objects have; with more than that many of these not them, either.
MOST_CONTEXTS = 40
MOST_TABLES = 400

#: Longer ways are doubted: some condition on them may not have been understood.
LONG = 14

Node = tuple[int, Context]
#: Node -> the node and edge by which it was first reached; None for roots.
Ways = dict[Node, tuple[Node, Edge] | None]
#: Node -> what to follow next to a wanted site: an edge, or the site itself.
Reach = dict[Node, Edge | Site]


class Spread(NamedTuple):
    """Nodes reached, in order of distance; ``callers`` are their edges reversed.

    Who goes through all of them does so by ``walked``: to look up a node takes as long as to ask it.
    """

    ways: Ways
    callers: dict[Node, list[tuple[Node, Edge]]]
    walked: dict[Node, Walked]
    cut: bool = False


@dataclass
class Graph:
    """All walks of one subject; what is walked once is kept."""

    interpreter: Interpreter
    walked: dict[Node, Walked] = field(default_factory=dict)
    contexts: dict[int, set[Context]] = field(default_factory=dict)
    _ambient: dict[int, int] = field(default_factory=dict)
    _called: dict[str, list[int]] | None = None

    def at(self, node: Node) -> Walked:
        """What happens in ``node``."""
        found = self.walked.get(node)
        if found is None:
            function, context = node
            found = self.interpreter.walk(function, context.in_scope(0))
            if context.scope:
                found = self._scoped(found, context.scope)
            found = self.walked[node] = self._widened(found)
        return found

    def _scoped(self, walked: Walked, scope: int) -> Walked:
        """``walked`` as it is in a memalloc ``scope`` of a caller, which changes nothing else."""
        gfp = self.interpreter.program.gfp
        edges = tuple(
            edge._replace(context=edge.context.in_scope(edge.context.scope | scope))
            for edge in walked.edges
        )
        sites = tuple(
            site._replace(flags=cleared(site.flags, scope, gfp)) if site.kind == "alloc" else site
            for site in walked.sites
        )
        return walked._replace(edges=edges, sites=sites)

    def _widened(self, walked: Walked) -> Walked:
        """``walked``, where it enters functions that have too many contexts, without constants."""
        edges = tuple(map(self._widen, walked.edges))
        return walked if edges == walked.edges else walked._replace(edges=edges)

    def _widen(self, edge: Edge) -> Edge:
        """``edge``, without constants other than flags when its callee has too many contexts."""
        if not edge.context.args and not edge.context.fields and not edge.context.tables:
            return edge
        contexts = self.contexts.setdefault(edge.callee, set())
        if edge.context in contexts or len(contexts) < MOST_CONTEXTS:
            contexts.add(edge.context)
            return edge
        params = self.interpreter.program.functions[edge.callee].params
        kept = tuple(
            (index, value)
            for index, value in edge.context.args
            if params[index][0] == "gfp_t" or "gfp" in params[index][1]
        )
        tables = edge.context.tables if len(contexts) < MOST_TABLES else ()
        context = edge.context._replace(args=kept, fields=(), tables=tables)
        contexts.add(context)
        return edge._replace(context=context)

    def near(self, root: Node, calls: int) -> Spread:
        """What is reached from ``root`` by so many calls, and what happens there."""
        ways: Ways = {root: None}
        found = Spread(ways, {}, {})
        last = [root]
        for _ in range(calls + 1):
            following: list[Node] = []
            for node in last:
                found.walked[node] = self.at(node)
                for edge in found.walked[node].edges:
                    callee = (edge.callee, edge.context)
                    if callee not in ways:
                        ways[callee] = (node, edge)
                        following.append(callee)
            last = following
        return found

    def spread(self, roots: Iterable[Node], before: Spread | None = None) -> Spread:
        """Everything reached from ``roots``, breadth first; adds to ``before`` when given."""
        ways, callers, walked, cut = before or Spread({}, {}, {})
        queue: deque[Node] = deque()
        for root in roots:
            if root not in ways:
                ways[root] = None
                queue.append(root)
        later: deque[tuple[Node, Edge]] = deque()
        while (queue or later) and len(ways) <= LARGEST:
            if not queue:
                node, edge = later.popleft()
                following = (edge.callee, edge.context)
                if following not in ways:
                    ways[following] = (node, edge)
                    queue.append(following)
                continue
            node = queue.popleft()
            found = walked[node] = self.at(node)
            for edge in found.edges:
                following = (edge.callee, edge.context)
                callers.setdefault(following, []).append((node, edge))
                if following in ways:
                    continue
                if self._doubtful(node, edge):
                    later.append((node, edge))
                else:
                    ways[following] = (node, edge)
                    queue.append(following)
        return Spread(ways, callers, walked, cut or bool(queue or later))

    def reach(
        self,
        spread: Spread,
        wanted: Callable[[Site], bool],
        unlocked: str | None = None,
        *,
        without_evict: bool = False,
    ) -> Reach:
        """From which nodes, and by which way, a wanted allocation is reached; shortest ways.

        Not past a place where the lock ``unlocked`` has been released, nor into eviction if told so.
        """
        functions = self.interpreter.program.functions
        found: Reach = {}
        queue: deque[Node] = deque()
        for node, walked in spread.walked.items():
            for site in walked.sites:
                if site.kind == "alloc" and unlocked not in site.released and wanted(site):
                    found[node] = site
                    queue.append(node)
                    break
        later: deque[tuple[Node, Edge]] = deque()
        while queue or later:
            if not queue:
                caller, edge = later.popleft()
                if caller not in found:
                    found[caller] = edge
                    queue.append(caller)
                continue
            node = queue.popleft()
            if without_evict and functions[node[0]].name in LAST_PUT:
                continue
            for caller, edge in spread.callers.get(node, ()):
                if caller in found or unlocked in edge.released:
                    continue
                if self._doubtful(caller, edge):
                    later.append((caller, edge))
                else:
                    found[caller] = edge
                    queue.append(caller)
        return found

    # -- what callers have begun

    def ambient(self, function: int, unit: str, depth: int = 0) -> int:
        """The memalloc scope that every caller of ``function`` in the subject is in; 0 if there is none.

        A function that is handed around, or that nobody calls by name, may be called in no scope.
        """
        known = self._ambient.get(function)
        if known is not None:
            return known
        program = self.interpreter.program
        name = program.functions[function].name
        self._ambient[function] = everything = NOFS | NOIO | NORECLAIM
        scope = everything
        callers = self._callers(unit).get(name, ())
        if not callers or depth > 8 or name in program.handed:
            scope = 0
        for caller in callers:
            if program.resolve(name, program.file[caller]) != function:
                continue
            inherited: int | None = None
            for edge in self.at((caller, Context(unit))).edges:
                if edge.callee == function and not edge.context.scope & scope:
                    if inherited is None:
                        inherited = self.ambient(caller, unit, depth + 1)
                    scope &= inherited | edge.context.scope
                elif edge.callee == function:
                    scope &= edge.context.scope
            if not scope:
                break
        self._ambient[function] = 0 if scope == everything else scope
        return self._ambient[function]

    def unused(self, function: int, unit: str, depth: int = 0) -> bool:
        """Whether ``function`` runs only while nobody uses the filesystem or device: by its name, or that
        of all its callers in the subject."""
        program = self.interpreter.program
        name = program.functions[function].name
        if any(mark in name for mark in MOUNTING):
            return True
        if depth > 4 or name in program.handed:
            return False
        callers = self.callers_of(function, unit)
        return bool(callers) and all(self.unused(one, unit, depth + 1) for one in callers)

    def callers_of(self, function: int, unit: str) -> list[int]:
        """Functions of the subject, and of the machinery it shares, that call ``function`` by its name."""
        program = self.interpreter.program
        name = program.functions[function].name
        return [
            caller
            for caller in self._callers(unit).get(name, ())
            if caller != function and program.resolve(name, program.file[caller]) == function
        ]

    def _callers(self, unit: str) -> dict[str, list[int]]:
        if self._called is None:
            program = self.interpreter.program
            self._called = {}
            for other, functions in program.unit_functions.items():
                if other != unit and other not in SHARED:
                    continue
                for caller in functions:
                    if not program.functions[caller].macro:
                        for name in program.functions[caller].callees:
                            self._called.setdefault(name, []).append(caller)
        return self._called

    def _doubtful(self, node: Node, edge: Edge) -> bool:
        """Edges that are taken only where nothing else leads."""
        if edge.failed or edge.how.startswith(("handed", ONE_OF[0], ANY_OF)):
            return True
        functions = self.interpreter.program.functions
        return (functions[node[0]].name, functions[edge.callee].name) in RARE


class Chains:
    """Ways through a graph as steps that a reader can follow."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def name(self, node: Node) -> str:
        """The function's name."""
        return self.program.functions[node[0]].name

    def to(self, ways: Ways, node: Node) -> tuple[list[Step], Node]:
        """The steps from a root to ``node``, and the root."""
        steps: list[Step] = []
        while (way := ways[node]) is not None:
            node, edge = way
            steps.append(self.step(node, edge))
        return steps[::-1], node

    def onward(self, reach: Reach, node: Node, what: Edge | Site) -> tuple[list[Step], Site]:
        """The steps from ``what`` in ``node`` to a wanted site, and the site."""
        steps: list[Step] = []
        while isinstance(what, Edge):
            steps.append(self.step(node, what))
            node = (what.callee, what.context)
            what = reach[node]
        steps.append(self.step(node, what))
        return steps, what

    def step(self, node: Node, what: Edge | Site, call: str = "") -> Step:
        """One step: in ``node``, ``what``."""
        program = self.program
        notes = ["PF_MEMALLOC"] if node[1].reclaim else []
        scope = node[1].scope
        if isinstance(what, Edge):
            call = call or program.functions[what.callee].name
            scope = what.context.scope
            for index, value in what.context.args:
                kind, parameter = program.functions[what.callee].params[index]
                if kind == "gfp_t" or "gfp" in parameter:
                    notes.append(f"{parameter}={program.flag_names(value)}")
        elif what.kind == "alloc":
            notes.append(program.flag_names(what.flags))
        for bit, shown in ((NOFS, "NOFS scope"), (NOIO, "NOIO scope"), (NORECLAIM, "no reclaim")):
            if scope & bit:
                notes.append(shown)
        if isinstance(what, Edge) and what.how:
            notes.append(what.how)
        home = "" if program.functions[node[0]].macro else program.unit[node[0]]
        file = program.file[node[0]]
        shown = call or (what.name if isinstance(what, Site) else "")
        return Step(self.name(node), file, what.line, shown, ", ".join(notes), home)

    def preamble(self, root: Node) -> list[Step]:
        """From shrink_slab() to the root, when the tree has mm/."""
        names = [*PREAMBLE, self.name(root)]
        steps = []
        for caller, callee in pairwise(names):
            function = next(
                (
                    f
                    for f in self.program.by_name.get(caller, ())
                    if self.program.file[f][:3] == "mm/"
                ),
                None,
            )
            line = _line_of_call(self.program, function, callee) if function is not None else 0
            if not line or function is None:
                return []
            steps.append(Step(caller, self.program.file[function], line, callee, "PF_MEMALLOC"))
        return steps


def doubts(steps: Iterable[Step]) -> tuple[str, ...]:
    """Steps that are believed, not read: functions handed to code that the tree does not have."""
    return tuple(
        f"{step.call}() is {step.note[step.note.index('handed to') :]}"
        for step in steps
        if "handed to" in step.note
    )


def one_of_several(steps: Iterable[Step], rare: bool) -> str:
    """That a step is into one of several functions that answer an operation, or "".

    ``rare``: not the one that most objects of the subject have.
    """
    mark = ONE_OF[not rare]
    return next(
        (f"{s.call}() is {s.note[s.note.index(mark) :]}" for s in steps if mark in s.note), ""
    )


def any_of_several(steps: list[Step], home: str = "") -> tuple[str, ...]:
    """Steps into any of several functions that answer an operation; one of each struct.

    Two such steps may be of two devices.  One into file ``home``, where the way began, is not.
    """
    found: dict[str, str] = {}
    for step, following in zip_longest(steps, steps[1:]):
        at = step.note.find(ANY_OF)
        if at >= 0 and (following is None or following.file != home):
            operation = step.note[at:].split()[3].partition(".")[0]
            found.setdefault(operation, f"{step.call}() is {step.note[at:]}")
    return tuple(found.values())


def beyond_evict(steps: list[Step]) -> list[Step]:
    """The steps after the first call of evict(): those before it are the same for every filesystem."""
    calls = [step.call for step in steps]
    return steps[calls.index("evict") + 1 :] if "evict" in calls else steps


def long_way(steps: list[Step]) -> str:
    """That the way is so long that some condition on it may not have been understood, or ""."""
    return f"a way of {len(steps)} calls" if len(steps) > LONG else ""


def rare_step(steps: Iterable[Step]) -> str:
    """Why the way is rare, or ""."""
    return next((RARE[s.function, s.call] for s in steps if (s.function, s.call) in RARE), "")


def doubts_of_wait(before: list[Step], steps: list[Step]) -> tuple[str, ...]:
    """Why it is doubted that reclaim waits at the end of ``before``, of which, and more, are ``steps``."""
    several = one_of_several(steps, rare=True)
    way = (long_way(beyond_evict(before)), rare_step(before), several)
    return (*doubts(steps), *any_of_several(steps), *filter(None, way))


def _line_of_call(program: Program, function: int, callee: str) -> int:
    for event in program.events(function):
        if event[0] == "c" and (event[2] == callee or event[2].endswith("->scan_objects")):
            return int(event[1])
    return 0
