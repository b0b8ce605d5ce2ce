"""One subject (filesystem, driver) audited: chains from reclaim into allocations, locks, waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ring3.audit.findings import Finding, Level
from ring3.audit.flow import RECLAIM_FLAGS, Context, Edge, Interpreter, Site
from ring3.audit.graph import Chains, Graph, Node, Reach, Spread, doubts, long_way, rare_step
from ring3.audit.held import Taken, held_findings, taken_locks
from ring3.audit.program import Program
from ring3.audit.tables import NEEDS_FS, ROOTS

#: (function, struct, field) of an operation that reclaim calls.
Root = tuple[int, str, str]


@dataclass
class Subject:
    """Everything found out about one filesystem or driver."""

    unit: str
    findings: list[Finding] = field(default_factory=list)
    taken: dict[str, Taken] = field(default_factory=dict)
    nodes: int = 0
    cut: bool = False


class Audit:
    """The audit of one program.  ``extra_roots`` are names of functions that reclaim calls, too."""

    def __init__(self, program: Program, extra_roots: tuple[str, ...] = ()) -> None:
        self.program = program
        self.interpreter = Interpreter(program)
        self.chains = Chains(program)
        self.extra_roots = extra_roots

    def subjects(self) -> dict[str, list[Root]]:
        """Unit -> its reclaim roots."""
        program = self.program
        found: dict[str, dict[Root, None]] = {}
        rows = [(key, path, name) for key, entry in program.ops.items() for path, name, _ in entry]
        rows += [
            (key, path, name) for key, entry in program.registered.items() for path, name in entry
        ]
        for (struct, operation), path, name in rows:
            if operation in ROOTS.get(struct, ()):
                function = program.resolve(name, path)
                if function is not None:
                    unit = program.unit_of(path)
                    found.setdefault(unit, {})[function, struct, operation] = None
        for name in self.extra_roots:
            for function in program.by_name.get(name, ()):
                found.setdefault(program.unit[function], {})[function, "", name] = None
        return {unit: list(roots) for unit, roots in sorted(found.items())}

    def run(self, unit: str, roots: list[Root]) -> Subject:
        """Everything about subject ``unit``."""
        subject = Subject(unit)
        graph = Graph(self.interpreter)
        spread = graph.spread(self._scan(unit, roots))
        # Operations that the walk through the VFS met have the fuller chain from there.
        met = {function for function, _ in spread.ways}
        rest = [root for root in roots if root[0] not in met]
        spread = graph.spread(self._entries(unit, rest, 1), spread)
        self._allocations(subject, graph, spread)
        self._waits(subject, graph, spread)
        taken_locks(self.program, graph, spread, subject.taken, "__GFP_FS")
        shrinkers = [root for root in roots if root[1] not in NEEDS_FS]
        for reclaim, needed in ((2, "__GFP_IO"), (3, "")):
            if shrinkers:
                again = graph.spread(self._entries(unit, shrinkers, reclaim))
                taken_locks(self.program, graph, again, subject.taken, needed)
        if subject.taken:
            findings, cut = held_findings(self.program, self.chains, graph, unit, subject.taken)
            subject.findings += findings
            subject.cut |= cut
        subject.cut |= spread.cut
        subject.nodes = len(graph.walked)
        return subject

    # -- where it begins

    def _scan(self, unit: str, roots: list[Root]) -> list[Node]:
        """The superblock's shrinker, when the tree has the VFS and the subject is a filesystem."""
        if not {struct for _, struct, _ in roots} & {"super_operations", "dentry_operations"}:
            return []
        scan = self.program.resolve("super_cache_scan", "fs/super.c")
        if scan is None or self.program.file[scan] != "fs/super.c":
            return []
        return [(scan, Context(unit, 1))]

    def _entries(self, unit: str, roots: list[Root], reclaim: int) -> list[Node]:
        """Operations called directly: flags as reclaim passes them, the inode its own."""
        program = self.program
        flags = program.constant(RECLAIM_FLAGS[reclaim])
        nodes = []
        for function, struct, _ in roots:
            params = program.functions[function].params
            args = tuple((at, flags) for at, (kind, _) in enumerate(params) if kind == "gfp_t")
            own = (
                (0,) if struct == "super_operations" and params and "inode" in params[0][0] else ()
            )
            nodes.append((function, Context(unit, reclaim, 0, args, own)))
        return nodes

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
        for node in spread.ways:
            if node not in reach or not self._home(node, subject.unit):
                continue
            walked = graph.at(node)
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
        doubted = doubts(before + after)
        flags = self.program.flag_names(site.flags)
        name = self.chains.name(node)
        level: Level = "note"
        verb = "may sleep"
        if rule == "nofail-in-reclaim":
            level, verb = ("warning" if doubted else "error"), "must not fail"
            if long := long_way([step for step in before[4:] + after if step.home == unit]):
                level, doubted = "warning", (*doubted, long)
            if rare := rare_step(before + after):
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

    def _waits(self, subject: Subject, graph: Graph, spread: Spread) -> None:
        seen = set()
        for node in spread.ways:
            if not self._home(node, subject.unit):
                continue
            for site in graph.at(node).sites:
                if site.kind != "wait" or (node[0], site.line) in seen:
                    continue
                seen.add((node[0], site.line))
                before, root = self.chains.to(spread.ways, node)
                at = self.chains.step(node, site)
                name = self.chains.name(node)
                subject.findings.append(
                    Finding(
                        rule="wait-in-reclaim",
                        level="note",
                        subject=subject.unit,
                        message=f"{name}() waits in reclaim: {site.name}",
                        chain=(*self.chains.preamble(root), *before, at),
                        at=at,
                        why=(f"{self.chains.name(root)}() runs in reclaim",),
                        id=Finding.identity("wait-in-reclaim", subject.unit, name, site.name),
                    )
                )
