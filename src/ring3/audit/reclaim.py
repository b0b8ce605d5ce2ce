"""One subject (filesystem, driver) audited: chains from reclaim into allocations, locks, waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ring3.audit.contexts import Edge, Site
from ring3.audit.findings import Finding, Level
from ring3.audit.flow import Interpreter
from ring3.audit.graph import (
    Chains,
    Graph,
    Node,
    Reach,
    Spread,
    any_of_several,
    beyond_evict,
    doubts,
    long_way,
    one_of_several,
    rare_step,
)
from ring3.audit.held import Held
from ring3.audit.program import Program
from ring3.audit.queues import Queues
from ring3.audit.roots import Root, Roots, needs_of
from ring3.audit.waits import Waits


@dataclass
class Subject:
    """Everything found out about one filesystem or driver."""

    unit: str
    findings: list[Finding] = field(default_factory=list)
    nodes: int = 0
    cut: bool = False


class Audit:
    """The audit of one program.  ``extra_roots`` are names of functions that reclaim calls, too."""

    def __init__(self, program: Program, extra_roots: tuple[str, ...] = ()) -> None:
        self.program = program
        self.extra_roots = extra_roots
        self.chains = Chains(program)
        self.queues = Queues(program)
        self._begin()

    def _begin(self) -> None:
        self.interpreter = Interpreter(self.program)
        self.roots = Roots(self.program, self.interpreter, self.extra_roots)

    def subjects(self) -> dict[str, list[Root]]:
        """Unit -> its reclaim roots."""
        return self.roots.subjects()

    def prepare(self) -> None:
        """Find out, once, what every subject asks of the whole program.

        Processes that walk subjects share it then.  Each would otherwise look at every function, and
        looking at an object (its reference count) copies the page that it is on.
        """
        program = self.program
        _ = self.interpreter.helpers
        _ = self.interpreter.given_back_later
        _ = self.interpreter.unbalanced, self.roots.tainters, program.templates, program.wrappers
        _ = program.handed, program.registered, program.gfp, program.exclusive
        _ = self.queues.rescued
        self.roots.everywhere("")

    def run(self, unit: str, roots: list[Root]) -> Subject:
        """Everything about subject ``unit``; nothing, and cut, where its code is nested too deep."""
        try:
            return self._run(unit, roots)
        except RecursionError:
            self._begin()  # half of an answer may be kept somewhere
            return Subject(unit, cut=True)

    def _run(self, unit: str, roots: list[Root]) -> Subject:
        subject = Subject(unit)
        self.interpreter.forget()
        graph = Graph(self.interpreter)
        spread = graph.spread(self.roots.scan(unit, roots))
        # Operations that the walk through the VFS met have the fuller chain from there.
        met = {function for function, _ in spread.ways}
        rest = [root for root in roots if root[0] not in met]
        spread = graph.spread(self.roots.entries(unit, rest, 1), spread)
        self._allocations(subject, graph, spread)
        subject.findings += Waits(self.queues, self.chains, graph, unit).findings(spread)
        taken = dict(self.roots.noted(graph, unit))
        self.roots.taken_along(graph, spread, taken, "__GFP_FS")
        for reclaim, needed in ((2, "__GFP_IO"), (3, "")):
            mild = [root for root in roots if needs_of(root) in ("", needed)]
            if mild:
                again = graph.spread(self.roots.entries(unit, mild, reclaim))
                self.roots.taken_along(graph, again, taken, needed)
        taken.update(self.roots.everywhere(unit))
        held = Held(self.program, self.chains, graph, unit, taken)
        subject.findings += held.findings()
        told = {(one.at.file, one.at.line, one.behind) for one in subject.findings if one.lock}
        second = Held(self.program, self.chains, graph, unit, held.waited_for())
        subject.findings += [
            one
            for one in second.findings()
            if (one.at.file, one.at.line, False) not in told
            and (one.at.file, one.at.line, one.behind) not in told
        ]
        subject.cut = spread.cut or held.spread.cut or second.spread.cut
        subject.nodes = len(graph.walked)
        return subject

    # -- what is found

    def _allocations(self, subject: Subject, graph: Graph, spread: Spread) -> None:
        nofail, direct = self.program.gfp["NOFAIL"], self.program.gfp["DIRECT_RECLAIM"]

        def must_not_fail(site: Site) -> bool:
            bits = site.flags[0] & site.flags[1]
            return bool(bits & nofail and bits & direct)

        def may_sleep(site: Site) -> bool:
            bits = site.flags[0] & site.flags[1]
            return bool(bits & direct and not bits & nofail)

        self._report(subject, graph, spread, must_not_fail, "nofail-in-reclaim")
        self._report(subject, graph, spread, may_sleep, "sleep-in-reclaim")

    def _report(
        self,
        subject: Subject,
        graph: Graph,
        spread: Spread,
        wanted: Callable[[Site], bool],
        rule: str,
    ) -> None:
        """One finding for every place of the subject from which a wanted allocation is reached."""
        reach = graph.reach(spread, wanted)
        seen: set[tuple[int, int, str]] = set()
        for node, walked in spread.walked.items():
            if node not in reach or not self._home(node, subject.unit):
                continue
            ends: list[Edge | Site] = [
                site for site in walked.sites if site.kind == "alloc" and wanted(site)
            ]
            ends += [edge for edge in walked.edges if self._leaves(reach, edge, subject.unit)]
            for end in ends:
                called = (
                    self.program.functions[end.callee].name if isinstance(end, Edge) else end.name
                )
                key = (node[0], end.line, called)
                if key not in seen:
                    seen.add(key)
                    subject.findings.append(
                        self._chain(subject.unit, spread, reach, node, end, rule)
                    )

    def _chain(
        self, unit: str, spread: Spread, reach: Reach, node: Node, end: Edge | Site, rule: str
    ) -> Finding:
        before, root = self.chains.to(spread.ways, node)
        after, site = self.chains.onward(reach, node, end)
        doubted = doubts(before + after) + any_of_several(before + after)
        flags = self.program.flag_names(site.flags)
        name = self.chains.name(node)
        level: Level = "note"
        verb = "may sleep"
        if rule == "nofail-in-reclaim":
            level, verb = ("warning" if doubted else "error"), "must not fail"
            if long := long_way(
                [step for step in beyond_evict(before) + after if step.home == unit]
            ):
                level, doubted = "warning", (*doubted, long)
            if usual := one_of_several(before + after, rare=False):
                level, doubted = "warning", (*doubted, usual)
            if rare := rare_step(before + after) or one_of_several(before + after, rare=True):
                level, doubted = "note", (*doubted, rare)
        return Finding(
            rule=rule,
            level=level,
            subject=unit,
            message=f"{name}() allocates with {flags} ({site.name}), which {verb}, in reclaim",
            chain=(*self.chains.preamble(root), *before, *after),
            at=after[0],
            why=(
                f"{self.chains.name(root)}() runs in reclaim (PF_MEMALLOC)",
                f"flags at the allocation: {flags}",
                *doubted,
            ),
            id=Finding.identity(rule, unit, name, after[0].call, site.name),
        )

    def _home(self, node: Node, unit: str) -> bool:
        """Whether a function is the subject's own, and no macro: where findings are shown."""
        return self.program.unit[node[0]] == unit and not self.program.functions[node[0]].macro

    def _leaves(self, reach: Reach, edge: Edge, unit: str) -> bool:
        """Whether ``edge`` leads out of the subject, and from there to a wanted site without return."""
        what: Edge | Site | None = edge
        while isinstance(what, Edge):
            node = (what.callee, what.context)
            if self._home(node, unit):
                return False
            what = reach.get(node)
        return what is not None
