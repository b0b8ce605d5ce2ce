"""What reclaim waits for: work items, completions, threads; followed to what they allocate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from ring3.audit.cexpr import UNKNOWN
from ring3.audit.contexts import Context, Edge, Site
from ring3.audit.findings import LEVELS, Finding, Level, Step
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
from ring3.audit.program import Program
from ring3.audit.queues import RESCUED, Queues
from ring3.audit.tables import (
    BLOCK_OPS,
    DOUBTED_OPS,
    IO_OPS,
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

RULE = "wait-in-reclaim"


@dataclass
class Waited:
    """Code that reclaim waits for: its ``name``, what it is an operation of, why reclaim waits for it.

    ``needs``: the flag of an allocation that enters the reclaim that waits.
    """

    name: str
    struct: str
    needs: str
    why: tuple[str, ...]
    how: str = "for which reclaim waits"


@dataclass
class Waits:
    """The waits of one subject."""

    queues: Queues
    chains: Chains
    graph: Graph
    unit: str
    _allocated: set[tuple[str, str, str]] = field(default_factory=set)
    _ends: dict[Other, list[Step]] = field(default_factory=dict)
    _flushed: dict[tuple[str, int, str], Finding] = field(default_factory=dict)

    @cached_property
    def program(self) -> Program:
        return self.chains.program

    @cached_property
    def workers(self) -> Workers:
        return Workers(self.queues, self.unit)

    def findings(self, spread: Spread) -> Iterator[Finding]:
        """The waits of reclaim along ``spread``, and what is done in the subject while reclaim waits."""
        program = self.program
        seen: set[tuple[int, int]] = set()
        events: dict[str, list[Finding]] = {}
        for node, walked in spread.walked.items():
            home = program.unit[node[0]]
            if program.functions[node[0]].macro or (home != self.unit and home not in SHARED):
                continue
            for site in walked.sites:
                if (node[0], site.line) in seen:
                    continue
                waited = site.name.partition("(")[2][:-1]
                if site.kind == "wait" and home == self.unit:
                    seen.add((node[0], site.line))
                    known = self.workers.who_ends(waited, node[0])
                    yield self._wait(spread, node, site, known)
                elif site.kind == "event":
                    seen.add((node[0], site.line))
                    known, sole = self.workers.who_wakes(waited, node[0], self.graph)
                    one = replace(self._wait(spread, node, site, known), behind=not sole)
                    if one.other:
                        key = program.lock_class(waited, node[0])
                        events.setdefault(key, []).append(one)
        for several in events.values():
            # Who waits where for the same event is told once, by the clearest way.
            several.sort(key=lambda one: (one.behind, LEVELS.index(one.level), len(one.chain)))
            yield replace(several[0], others=len(several) - 1)
        self._flushes(spread)
        yield from self._declared()
        self._written_back()
        yield from self._flushed.values()

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
                doubted = [
                    *doubts([*before, *steps]),
                    *any_of_several([*before, *steps]),
                    *filter(
                        None,
                        [
                            long_way(beyond_evict(before)),
                            rare_step(before),
                            one_of_several([*before, *steps], rare=True),
                        ],
                    ),
                ]
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
            if struct == "address_space_operations" and self.graph.interpreter.domain(unit).names(
                (UNWAITED,)
            ):
                continue
            waited = Waited(name, struct, needs, (SIGNALLERS[struct], f"{name}() is {shown}"))
            spread = self.graph.spread([(function, Context(unit))])
            yield from self._allocations(spread, waited)
            if shown != UNRESCUED:
                self._flushes(spread, waited)
            if struct in IO_OPS:
                yield from self._queue(spread, waited)
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
            self._flushes(spread, waited)

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
                believed = not doubted and len(steps) <= 8
                doubted += filter(None, [DOUBTED_OPS.get(waited.struct)])
                finding = Finding(
                    rule=RULE,
                    level="note" if doubted or not believed else "warning",
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
                if believed and waited.struct in (RESCUED, "bio"):
                    # Who changes what such code allocates wants to know.
                    yield replace(finding, level="warning", behind=True)

    # -- queues that keep no thread for when memory is short

    def _flushes(self, spread: Spread, waited: Waited | None = None) -> None:
        """Note the waits along ``spread`` for work on such queues; of each place the one without doubts.

        In reclaim itself, or in what is ``waited`` for.
        """
        program, chains = self.program, self.chains
        for node, walked in spread.walked.items():
            home = program.unit[node[0]]
            if home != self.unit and home not in SHARED:
                continue
            for site in walked.sites:
                if site.kind != "wait":
                    continue
                call, _, text = site.name.partition("(")
                queue = self.queues.without_thread(call, text[:-1], node[0])
                if not queue:
                    continue
                before, root = chains.to(spread.ways, node)
                steps = [*before, chains.step(node, site)]
                at = next((step for step in reversed(steps) if step.home == self.unit), steps[-1])
                key = (at.file, at.line, site.name)
                if key in self._flushed and self._flushed[key].level != "note":
                    continue
                doubted = [
                    *doubts(steps),
                    *any_of_several(steps),
                    *filter(
                        None,
                        [
                            long_way(beyond_evict(before)),
                            rare_step(before),
                            one_of_several(steps, rare=True),
                        ],
                    ),
                ]
                if key in self._flushed and doubted:
                    continue
                name = chains.name(node)
                if waited is None:
                    message = f"{name}() waits in reclaim for work on {queue}"
                    why: tuple[str, ...] = (f"{chains.name(root)}() runs in reclaim",)
                    steps = [*chains.preamble(root), *steps]
                else:
                    message = f"{waited.name}(), {waited.how}, waits for work on {queue}"
                    why = waited.why
                self._flushed[key] = Finding(
                    rule=RULE,
                    level="note" if doubted else "warning",
                    subject=self.unit,
                    message=f"{message}, made without {RESCUED}: {site.name}",
                    chain=tuple(steps),
                    at=at,
                    why=(
                        *why,
                        f"{queue} keeps no thread for when memory is short: one may have to be made first",
                        *doubted,
                    ),
                    id=Finding.identity(RULE, self.unit, at.function, name, site.name, RESCUED),
                )

    def _written_back(self) -> None:
        """Note the flushes of what writeback's worker calls (wb_workfn(), fs/fs-writeback.c)."""
        for struct, member, path, name in self.program.unit_ops.get(self.unit, ()):
            function = self.program.resolve(name, path)
            if function is not None and member in WRITTEN_BACK.get(struct, ()):
                why = (
                    f"{name}() is {struct}.{member}",
                    f"wb_workfn() calls it, on bdi_wq, which is made with {RESCUED}",
                )
                spread = self.graph.spread([(function, Context(self.unit))])
                self._flushes(spread, Waited(name, struct, "", why, "in writeback's worker"))

    def _queue(self, spread: Spread, waited: Waited) -> Iterator[Finding]:
        """What block I/O queues near its beginning or end on such queues.

        Whether the I/O waits for that is not known, so that they matter in comparisons only.
        """
        for node, line, queue, work, _ in self.workers.queued_by(self.chains, spread):
            if self.queues.has_none(queue):
                steps, _ = self.chains.to(spread.ways, node)
                site = Site("work", line, f"{work} on {queue}", UNKNOWN, (), frozenset())
                at = self.chains.step(node, site)
                yield Finding(
                    rule=RULE,
                    level="warning",
                    subject=self.unit,
                    message=(
                        f"{waited.name}(), for which reclaim waits, queues {work} on {queue}, "
                        f"made without {RESCUED}"
                    ),
                    chain=(*steps, at),
                    at=at,
                    why=(
                        *waited.why,
                        f"{queue} keeps no thread for when memory is short: one may have to be made first",
                        "whether the I/O waits for it was not followed",
                    ),
                    id=Finding.identity(RULE, self.unit, waited.name, at.function, work, RESCUED),
                    behind=True,
                )
