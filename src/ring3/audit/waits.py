"""What reclaim waits for: work items, completions, threads; followed to what they allocate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from ring3.audit.contexts import Context, Edge, Site
from ring3.audit.findings import LEVELS, Finding, Level, Step
from ring3.audit.flushes import RULE, Flushes, Waited
from ring3.audit.graph import (
    Chains,
    Graph,
    Node,
    Reach,
    Spread,
    any_of_several,
    beyond_evict,
    doubts,
    doubts_of_wait,
    long_way,
)
from ring3.audit.program import Program
from ring3.audit.queues import Queues
from ring3.audit.tables import (
    BLOCK_OPS,
    CHANGES_TOLD,
    DOUBTED_OPS,
    IO_OPS,
    RESCUED,
    SHARED,
    SIGNALLERS,
    SUBMISSIONS,
    SUBMITTED_HERE,
    TRANSPORTS,
    UNRESCUED,
    UNWAITED,
    WAITED_OPS,
    WRITTEN_BACK,
)
from ring3.audit.workers import Other, Workers


def _waited(site: Site) -> str:
    """What is waited for at ``site``, as it is written there."""
    return site.name.partition("(")[2][:-1]


def _clearness(one: Finding) -> tuple[int, int]:
    return LEVELS.index(one.level), len(beyond_evict(list(one.chain)))


@dataclass
class Waits:
    """The waits of one subject."""

    queues: Queues
    chains: Chains
    graph: Graph
    unit: str
    _allocated: set[tuple[str, str, str]] = field(default_factory=set)
    _ends: dict[Other, list[Step]] = field(default_factory=dict)

    @cached_property
    def program(self) -> Program:
        return self.chains.program

    @cached_property
    def workers(self) -> Workers:
        return Workers(self.queues, self.unit)

    @cached_property
    def flushes(self) -> Flushes:
        return Flushes(self.queues, self.workers, self.chains, self.unit)

    def findings(self, spread: Spread) -> Iterator[Finding]:
        """The waits of reclaim along ``spread``, and what is done in the subject while reclaim waits."""
        program = self.program
        seen: set[tuple[int, int]] = set()
        for node, walked in spread.walked.items():
            if program.unit[node[0]] != self.unit or program.functions[node[0]].macro:
                continue
            for site in walked.sites:
                if site.kind == "wait" and (node[0], site.line) not in seen:
                    seen.add((node[0], site.line))
                    known = self.workers.who_ends(_waited(site), node[0])
                    yield self._wait(spread, node, site, known)
        self.flushes.along(spread)
        yield from self._declared()
        yield from self._events(spread)
        yield from self.flushes.findings()

    def _events(self, spread: Spread) -> Iterator[Finding]:
        """The events that reclaim waits for along ``spread`` and one thread or worker wakes that allocates.

        Where others wake who waits, too, what one allocates matters in comparisons only.
        """
        program = self.program
        places: dict[tuple[str, int], list[Finding]] = {}
        wakers: dict[int, str] = {}
        for node, walked in spread.walked.items():
            home = program.unit[node[0]]
            if program.functions[node[0]].macro or (home != self.unit and home not in SHARED):
                continue
            for site in walked.sites:
                if site.kind == "event":
                    event = self.workers.event_of(_waited(site), node[0])
                    found, alone = self.workers.who_wakes(event, self.graph)
                    for waker in found:
                        wakers.setdefault(waker.function, event)
                        if alone and self._allocates(waker):
                            several = places.setdefault((event, waker.function), [])
                            several.append(self._wait(spread, node, site, [waker]))
        for (event, waking), several in places.items():
            # Who waits where for it is told once, by the clearest way.
            yield replace(
                min(several, key=_clearness),
                others=len({(one.at.file, one.at.line) for one in several}) - 1,
                id=Finding.identity(RULE, self.unit, event, program.functions[waking].name),
            )
        for waking, event in wakers.items():
            name = program.functions[waking].name
            why = (f"reclaim waits for {event}", f"{name}() wakes who waits for it")
            near = self.graph.near((waking, Context(self.unit)), CHANGES_TOLD["event"] - 1)
            for one in self._allocations(near, Waited(name, "event", "__GFP_FS", why)):
                if one.behind:
                    yield one

    def _wait(self, spread: Spread, node: Node, site: Site, known: list[Other]) -> Finding:
        program, chains = self.program, self.chains
        before, root = chains.to(spread.ways, node)
        at = chains.step(node, site)
        name = chains.name(node)
        level: Level = "note"
        message = f"{name}() waits in reclaim: {site.name}"
        why: list[str] = [f"{chains.name(root)}() runs in reclaim"]
        steps: list[Step] = []
        for other in known:
            steps = self._allocates(other)
            if steps:
                doubted = list(doubts_of_wait(before, [*before, *steps]))
                if any(
                    function == other.function and context.reclaim
                    for function, context in spread.ways
                ):
                    doubted.append("the task that waits may do this itself, inside reclaim")
                level = "note" if doubted else "warning"
                flags = steps[-1].note.partition(",")[0]
                allocator = program.functions[other.function].name
                message += f"; {allocator}(), {other.how}, allocates with {flags}"
                why += [
                    f"{allocator}() runs in a task of its own: it may enter reclaim there, and wait",
                    *doubted,
                ]
                break
        if known and not steps:
            why.append(
                "who ends the wait was followed, and allocates nothing that may enter the same reclaim: "
                + ", ".join(sorted({program.functions[other.function].name for other in known}))
            )
        return Finding(
            rule=RULE,
            level=level,
            subject=self.unit,
            message=message,
            chain=(*chains.preamble(root), *before, at),
            at=at,
            other=tuple(steps),
            why=tuple(why),
            id=Finding.identity(RULE, self.unit, name, site.name),
        )

    def _allocates(self, other: Other) -> list[Step]:
        """The steps from ``other`` to an allocation that may enter reclaim with __GFP_FS; or none."""
        if other not in self._ends:
            start = (other.function, Context(self.unit))
            spread = self.graph.spread([start])
            reach = self.graph.reach(spread, lambda site: self._enters(site, "__GFP_FS"))
            begin = next(self._begins(reach, start, other.line, "__GFP_FS"), None)
            self._ends[other] = self.chains.onward(reach, start, begin)[0] if begin else []
        return self._ends[other]

    def _begins(self, reach: Reach, node: Node, last: int, needs: str) -> Iterator[Edge | Site]:
        walked = self.graph.at(node)
        for site in walked.sites:
            if (
                site.kind == "alloc"
                and self._enters(site, needs)
                and site.line <= (last or 1 << 30)
            ):
                yield site
        for edge in walked.edges:
            if (edge.callee, edge.context) in reach and edge.line <= (last or 1 << 30):
                yield edge

    def _enters(self, site: Site, needs: str) -> bool:
        gfp = self.program.gfp
        bits = site.flags[0] & site.flags[1]
        needed = gfp[needs.removeprefix("__GFP_")] if needs else bits
        return bool(bits & gfp["DIRECT_RECLAIM"] and bits & needed and not bits & gfp["NOLOCKDEP"])

    # -- what reclaim always waits for

    def _declared(self) -> Iterator[Finding]:
        """Operations that reclaim always waits for: block I/O, GPU jobs.  They run in tasks of their own."""
        program, unit = self.program, self.unit
        for struct, shown, needs, path, name in self._operations():
            function = program.resolve(name, path)
            # The block layer's own queues are pass-through ones, never swap's.
            if function is None or (unit == "block" and struct != "submission"):
                continue
            written = struct == "address_space_operations"
            if written and self.graph.interpreter.domain(unit).names((UNWAITED,)):
                continue
            waited = Waited(name, struct, needs, (SIGNALLERS[struct], f"{name}() is {shown}"))
            spread = self.graph.spread([(function, Context(unit))])
            yield from self._allocations(spread, waited)
            if shown != UNRESCUED and not written:
                self.flushes.along(spread, waited)
            if struct in IO_OPS:
                yield from self.flushes.queued(spread, waited)
            if struct in SUBMITTED_HERE:
                continue
            followed: set[int] = set()
            for _, _, _, _, workers in self.workers.queued_by(self.chains, spread):
                for other in workers:
                    if other.function not in followed:
                        followed.add(other.function)
                        does = program.functions[other.function].name
                        why = (*waited.why, f"{does}() is {other.how}, which {name}() queues")
                        behind = self.graph.spread([(other.function, Context(unit))])
                        yield from self._allocations(behind, Waited(does, struct, needs, why))
        needs = TRANSPORTS.get(unit) or ("__GFP_FS" if unit.startswith("fs/") else "__GFP_IO")
        carries = (f"{unit} carries what reclaim waits for",) if unit in TRANSPORTS else ()
        for worker, reason in self.workers.rescued().items():
            spread = self.graph.spread([(worker, Context(unit))])
            struct = "" if unit in TRANSPORTS else RESCUED
            how = f"on a queue made with {RESCUED}"
            waited = Waited(program.functions[worker].name, struct, needs, (*carries, reason), how)
            yield from self._allocations(spread, waited)
            self.flushes.along(spread, waited)
        self._written_back()

    def _written_back(self) -> None:
        """Flushes of what writeback's worker calls (wb_workfn(), fs/fs-writeback.c)."""
        for struct, member, path, name in self.program.unit_ops.get(self.unit, ()):
            function = self.program.resolve(name, path)
            if (
                function is not None
                and member in WRITTEN_BACK.get(struct, ())
                and self.flushes.possible
            ):
                why = (
                    f"{name}() is {struct}.{member}",
                    f"wb_workfn() calls it, on bdi_wq, which is made with {RESCUED}",
                )
                spread = self.graph.spread([(function, Context(self.unit))])
                self.flushes.along(spread, Waited(name, struct, "", why, "in writeback's worker"))

    def _operations(self) -> Iterator[tuple[str, str, str, str, str]]:
        """(struct, shown as, flag, path, function) of what reclaim waits for in the subject."""
        for struct, member, path, name in self.program.unit_ops.get(self.unit, ()):
            if member in WAITED_OPS.get(struct, ()):
                yield struct, f"{struct}.{member}", WAITED_OPS[struct][member], path, name
        if self.unit == "block":
            for name in SUBMISSIONS:
                yield "submission", "where a bio's way begins", "__GFP_IO", "block/", name
        # Assigned to each object, not in a table.  A block driver's own bios end those handed to it.
        domain = self.graph.interpreter.domain(self.unit)
        struct = next((struct for struct in BLOCK_OPS if domain.registers(struct)), "bio")
        for path, name in domain.fields.get(("bio", "bi_end_io"), ()):
            yield struct, "bio.bi_end_io", "__GFP_IO", path, name

    def _allocations(self, spread: Spread, waited: Waited) -> Iterator[Finding]:
        """What is allocated along ``spread`` in the subject and may enter the reclaim that waits.

        Of equal calls of one function the first is told.
        """
        program = self.program
        for node, walked in spread.walked.items():
            if program.unit[node[0]] != self.unit or program.functions[node[0]].macro:
                continue
            for site in walked.sites:
                if site.kind != "alloc" or not self._enters(site, waited.needs):
                    continue
                at = self.chains.step(node, site)
                if (at.file, at.function, at.call) in self._allocated:
                    continue
                self._allocated.add((at.file, at.function, at.call))
                steps, _ = self.chains.to(spread.ways, node)
                steps.append(at)
                flags = program.flag_names(site.flags)
                doubted = [*doubts(steps), *any_of_several(steps)]
                doubted += filter(None, [long_way(steps)])
                certain = not doubted and len(steps) <= 8
                doubted += filter(None, [DOUBTED_OPS.get(waited.struct)])
                finding = Finding(
                    rule=RULE,
                    level="warning" if certain and not doubted else "note",
                    subject=self.unit,
                    message=(
                        f"{waited.name}(), for which reclaim waits, allocates with {flags} ({site.name})"
                    ),
                    chain=tuple(steps),
                    at=at,
                    why=(*waited.why, *doubted),
                    id=Finding.identity(RULE, self.unit, waited.name, at.function, site.name),
                )
                yield finding
                if certain and len(steps) <= CHANGES_TOLD.get(waited.struct, 0):
                    # That alone is doubted, and who changes what it allocates wants to know.
                    yield replace(finding, level="warning", behind=True)
