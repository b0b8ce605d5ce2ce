"""Waits for work on queues that keep no thread for when memory is short: one may have to be made first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from ring3.audit.cexpr import UNKNOWN
from ring3.audit.contexts import Site
from ring3.audit.findings import Finding, Level, Step
from ring3.audit.graph import Chains, Node, Spread, doubts_of_wait
from ring3.audit.queues import FLUSHES, Queues
from ring3.audit.tables import RESCUED, SHARED
from ring3.audit.workers import Workers

RULE = "wait-in-reclaim"


@dataclass
class Waited:
    """Code that reclaim waits for: its ``name``, what it is an operation of, why reclaim waits for it.

    ``needs``: the flag of an allocation that enters the reclaim that waits; ``how``: where it is seen.
    """

    name: str
    struct: str
    needs: str
    why: tuple[str, ...]
    how: str = "for which reclaim waits"


@dataclass
class Flushes:
    """Those of one subject; of each place the one without doubts is told."""

    queues: Queues
    workers: Workers
    chains: Chains
    unit: str
    _found: dict[tuple[str, int, str], Finding] = field(default_factory=dict)

    def findings(self) -> Iterator[Finding]:
        """All that have been met."""
        yield from self._found.values()

    @cached_property
    def possible(self) -> bool:
        """Whether anybody waits for work on such queues, in the subject or what it shares."""
        program = self.queues.program
        return any(
            event[0] == "c"
            and event[3]
            and self.queues.without_thread(event[2], event[3][0], function)
            for unit in (self.unit, *SHARED)
            for function in program.unit_functions.get(unit, ())
            if not FLUSHES.isdisjoint(program.functions[function].callees)
            for event in program.events(function)
        )

    def along(self, spread: Spread, waited: Waited | None = None) -> None:
        """Those along ``spread``, in reclaim itself or in what is ``waited`` for."""
        program = self.queues.program
        if not self.possible:
            return
        for node, walked in spread.walked.items():
            home = program.unit[node[0]]
            if home != self.unit and home not in SHARED:
                continue
            for site in walked.sites:
                if site.kind == "wait":
                    call, _, text = site.name.partition("(")
                    if queue := self.queues.without_thread(call, text[:-1], node[0]):
                        self._flush(spread, node, site, queue, waited)

    def _flush(
        self, spread: Spread, node: Node, site: Site, queue: str, waited: Waited | None
    ) -> None:
        before, root = self.chains.to(spread.ways, node)
        steps = [*before, self.chains.step(node, site)]
        at = next((step for step in reversed(steps) if step.home == self.unit), steps[-1])
        doubted = doubts_of_wait(before, steps)
        known = self._found.get((at.file, at.line, site.name))
        if known is not None and (doubted or known.level != "note"):
            return
        name = self.chains.name(node)
        if waited is None:
            begin = f"{name}() waits in reclaim for work on"
            why: tuple[str, ...] = (f"{self.chains.name(root)}() runs in reclaim",)
            steps = [*self.chains.preamble(root), *steps]
        else:
            begin, why = f"{waited.name}(), {waited.how}, waits for work on", waited.why
        self._found[at.file, at.line, site.name] = self._finding(
            "note" if doubted else "warning",
            f"{begin} {queue}, made without {RESCUED}: {site.name}",
            steps,
            at,
            (*why, _none_kept(queue), *doubted),
            Finding.identity(RULE, self.unit, at.function, name, site.name, RESCUED),
        )

    def queued(self, spread: Spread, waited: Waited) -> Iterator[Finding]:
        """What I/O that is ``waited`` for puts on such queues, near its beginning or end.

        Whether the I/O waits for that is not known, so that it matters in comparisons only.
        """
        seen: set[tuple[int, int]] = set()
        for node, line, queue, work, _ in self.workers.queued_by(self.chains, spread):
            if self.queues.has_none(queue) and (node[0], line) not in seen:
                seen.add((node[0], line))
                steps, _ = self.chains.to(spread.ways, node)
                site = Site("work", line, f"{work} on {queue}", UNKNOWN, (), frozenset())
                at = self.chains.step(node, site)
                yield self._finding(
                    "warning",
                    f"{waited.name}(), {waited.how}, queues {work} on {queue}, made without {RESCUED}",
                    [*steps, at],
                    at,
                    (
                        *waited.why,
                        _none_kept(queue),
                        "whether the I/O waits for it was not followed",
                    ),
                    Finding.identity(RULE, self.unit, waited.name, at.function, work, RESCUED),
                    behind=True,
                )

    def _finding(
        self,
        level: Level,
        message: str,
        chain: list[Step],
        at: Step,
        why: tuple[str, ...],
        identity: str,
        *,
        behind: bool = False,
    ) -> Finding:
        return Finding(
            rule=RULE,
            level=level,
            subject=self.unit,
            message=message,
            chain=tuple(chain),
            at=at,
            why=why,
            id=identity,
            behind=behind,
        )


def _none_kept(queue: str) -> str:
    return f"{queue} keeps no thread for when memory is short: one may have to be made first"
