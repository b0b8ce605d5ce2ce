"""Interprets functions in contexts, and keeps what is known of a function whatever its context."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from ring3.audit import balance
from ring3.audit.cexpr import UNKNOWN, Value
from ring3.audit.changes import Changes
from ring3.audit.conditions import CGROUP_ONLY, OWN_SUPERBLOCK, TESTS, TRUNCATES
from ring3.audit.contexts import (
    ANY_RECLAIM,
    ASKS_DOMAIN,
    ASKS_RECLAIM,
    FILESYSTEMS,
    Context,
    Edge,
    Net,
    Walked,
)
from ring3.audit.decisions import Decisions
from ring3.audit.instances import Guides, Tables
from ring3.audit.operations import Operations
from ring3.audit.primitives import (
    ACQUIRE,
    CLASSED,
    JOURNAL_INFO,
    RELEASE,
)
from ring3.audit.program import DEEPEST, Program
from ring3.audit.settled import Settled
from ring3.audit.silence import Silence
from ring3.audit.values import KNOWN
from ring3.audit.walk import Walk

#: Functions that a call enters, and how each is known: "" by name.
Callees = tuple[tuple[int, str], ...]


class Interpreter:
    """Interprets functions of one program.  Keeps what does not depend on the context."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.silence = Silence(program)
        self.boundary = self.silence.boundary
        self.nets: dict[int, Net] = {}
        #: Walks of the subject at hand, outside of every scope.
        self.walks: dict[tuple[int, Context], Walked] = {}
        #: Those that are the same for any reclaim (ANY_RECLAIM), and for any filesystem (FILESYSTEMS).
        self._own_walks: dict[tuple[int, Context], Walked] = {}
        self._shared_walks: dict[tuple[int, Context], Walked] = {}
        #: What the walk at hand has asked of its context: ASKS_RECLAIM, ASKS_DOMAIN.
        self.asked = 0
        #: How often an answer or a net was not to be had: its question was being asked already.
        self._unanswered = 0
        self._busy: set[int] = set()
        self._answers: dict[tuple[int, Context], tuple[Value, int] | None] = {}
        self._answering: list[int] = []
        self._callees: dict[tuple[int, str, tuple[str, ...], Callees], tuple[Callees, bool]] = {}
        self._expressions: dict[int, str | None] = {}
        self._opaque: dict[tuple[str, str], bool] = {}
        #: (expression, function, domain, reclaim) -> its value where the state has no part in it, and what
        #: that asked of the context.
        self.alone: dict[tuple[str, int, str, int], tuple[Value, int]] = {}
        self.guides = Guides(program)
        self._repeated: dict[int, frozenset[str]] = {}
        self.changes = Changes(program)
        self.decisions = Decisions(program)
        self._variables: dict[int, frozenset[str]] = {}
        self._structs: dict[int, frozenset[str]] = {}
        self._left: dict[int, frozenset[str]] = {}
        self._may_hold: dict[str, list[int]] = {}
        self._helpers: dict[int, list[tuple[str, int]]] = {}
        self.operations: dict[str, Operations] = {}
        self._tables: dict[str, Tables] = {}
        self._settled: dict[str, set[tuple[int, str]]] = {}

    def walk(self, function: int, context: Context) -> Walked:
        """Interpret ``function`` entered as ``context`` says, or remember what it does then."""
        key = (function, context)
        found = self.walks.get(key)
        if found is None:
            found = self._alike(function, context)
            if found is None:
                unanswered, asked = self._unanswered, self.asked
                self.asked = 0
                found = Walk(self, function, context).run()._replace(asks=self.asked)
                self.asked = asked
                if self._unanswered != unanswered:
                    return found
                self._keep(function, context, found)
            self.walks[key] = found
        return found

    def _keep(self, function: int, context: Context, walked: Walked) -> None:
        """Keep ``walked`` for all contexts in which it is the same."""
        domain, reclaim = context.domain, context.reclaim
        if not walked.asks & ASKS_RECLAIM:
            reclaim = ANY_RECLAIM
        if not walked.asks & ASKS_DOMAIN and self._shared(function, context):
            domain = FILESYSTEMS
        if (domain, reclaim) != context[:2]:
            general = context.within(domain, reclaim)
            kept = self._shared_walks if domain == FILESYSTEMS else self._own_walks
            kept[function, general] = _entered_by(walked, context, general)

    def _alike(self, function: int, context: Context) -> Walked | None:
        """The walk for ``context``, told from one for another reclaim or filesystem that is the same."""
        kept = [(context.domain, self._own_walks)]
        if self._shared(function, context):
            kept.append((FILESYSTEMS, self._shared_walks))
        for domain, walks in kept:
            for reclaim in (ANY_RECLAIM, context.reclaim):
                general = context.within(domain, reclaim)
                found = walks.get((function, general))
                if found is not None:
                    return _entered_by(found, general, context)
        return None

    def _shared(self, function: int, context: Context) -> bool:
        """Whether ``function`` is code that other filesystems have, too."""
        return (
            context.domain.startswith(FILESYSTEMS)
            and self.program.unit[function] != context.domain
            and f"{context.domain}/" not in OWN_SUPERBLOCK
        )

    def forget(self) -> None:
        """Another subject begins: what was walked for the last one alone is of no more use."""
        self.walks.clear()
        self._answers.clear()
        self._own_walks.clear()

    def domain(self, unit: str) -> Operations:
        """The operations that subject ``unit`` registers."""
        if unit not in self.operations:
            self.operations[unit] = Operations(self.program, unit)
        return self.operations[unit]

    def tables(self, unit: str) -> Tables:
        """The tables of operations of which subject ``unit`` has several."""
        if unit not in self._tables:
            self._tables[unit] = Tables(self.program, unit)
        return self._tables[unit]

    def settled(self, unit: str) -> set[tuple[int, str]]:
        """What the first initialisation of subject ``unit`` has settled."""
        if unit not in self._settled:
            self._settled[unit] = Settled(self.program, unit).guards
        return self._settled[unit]

    def callees(
        self, function: int, name: str, args: tuple[str, ...], answers: Callees
    ) -> tuple[Callees, bool]:
        """What ``name(args)`` in ``function`` enters: the function of that name or, through a pointer,
        those that ``answers`` has, and what is handed to it.  And whether none of them does anything."""
        key = (function, name, args, answers)
        found = self._callees.get(key)
        if found is None:
            callees = list(answers)
            direct = None if callees else self.program.called(name, self.program.file[function])
            if direct is not None:
                callees.append((direct, ""))
            first = callees[0][0] if callees else None
            for callback, known in self.silence.handed(function, name, args, first):
                how = (
                    f"called by {name}()"
                    if known
                    else f"handed to {name}(), which is not in the tree"
                )
                callees.append((callback, how))
            inert = all(self.inert(callee) for callee, _ in callees)
            found = self._callees[key] = tuple(callees), inert
        return found

    def inert(self, function: int) -> bool:
        """Whether a call of ``function`` changes nothing but what its caller knows of values."""
        declared = self.program.functions[function]
        return (
            self.silence.silent(function)
            and declared.name not in self.unbalanced
            and declared.name not in TRUNCATES
            and not self.helper(function)
            and not (self.program.outside[function] and self.boundary.allocates(function))
        )

    def variables(self, function: int) -> frozenset[str]:
        """The names of parameters and local variables of ``function``."""
        found = self._variables.get(function)
        if found is None:
            params = self.program.functions[function].params
            names = [*(name for _, name in params), *self.program.body(function)[0]]
            found = self._variables[function] = frozenset(names)
        return found

    def structs(self, function: int) -> frozenset[str]:
        """Local variables of ``function`` that are no pointers."""
        found = self._structs.get(function)
        if found is None:
            found = self._structs[function] = frozenset(
                name for name, kind in self.program.body(function)[0].items() if kind[-1:] != "*"
            )
        return found

    def repeated(self, function: int) -> frozenset[str]:
        """Labels that something further down jumps to: what is after them happens again."""
        found = self._repeated.get(function)
        if found is None:
            seen: set[str] = set()
            again: set[str] = set()
            for event in self.program.events(function):
                if event[0] == "label":
                    seen.add(event[2])
                elif event[0] == "goto" and event[2] in seen:
                    again.add(event[2])
            found = self._repeated[function] = frozenset(again)
        return found

    def answer(self, function: int, context: Context) -> Value:
        """What ``function`` returns in ``context``, when it is one value."""
        context = context.in_scope(0)  # in which no value has a part
        key = (function, context)
        if key not in self._answers:
            if len(self._answering) >= 6:
                self._unanswered += 1
                return UNKNOWN
            self._answers[key] = None
            self._answering.append(function)
            walked = self.walk(function, context)
            self._answers[key] = walked.returns, walked.asks
            self._answering.pop()
        answer = self._answers[key]
        if answer is None:
            self._unanswered += 1
            return UNKNOWN
        self.asked |= answer[1]
        return answer[0]

    def expression_of(self, function: int) -> str | None:
        """The expression of a function that only returns one of its arguments; None for any other."""
        if function not in self._expressions:
            events = self.program.body(function)[1]
            returns = [event[2] for event in events if event[0] == "ret"]
            plain = len(returns) == 1 and all(event[0] in ("c", "ret") for event in events)
            self._expressions[function] = returns[0] if plain and events[-1][0] == "ret" else None
        return self._expressions[function]

    def opaque(self, name: str, path: str) -> bool:
        """Whether a call of ``name`` in file ``path`` is worth nothing that its arguments tell."""
        key = (name, path)
        found = self._opaque.get(key)
        if found is None:
            callee = self.program.resolve(name, path)
            found = self._opaque[key] = name not in KNOWN and (
                callee is None or self.expression_of(callee) is None
            )
        return found

    def zeroes(self, function: int) -> bool:
        """Whether ``function`` only returns memory that it allocates, zeroed."""
        return "zalloc" in (self.expression_of(function) or "").partition("(")[0]

    # -- what calls leave behind

    @cached_property
    def unbalanced(self) -> frozenset[str]:
        """Names of functions that may return with a lock or scope more, or fewer."""
        return balance.unbalanced(self.program)

    def net(self, function: int) -> Net | None:
        """What ``function`` leaves locked or begun; None when it is balanced."""
        declared = self.program.functions[function]
        if declared.name not in self.unbalanced:
            return None
        if function in self.nets:
            return self.nets[function]
        if function in self._busy or len(self._busy) > 40:
            self._unanswered += 1
            return None
        self._busy.add(function)
        walked = self.walk(function, Context(self.program.unit[function]))
        self._busy.discard(function)
        # A transaction that goes on after the call has locks of its own that say so.
        journal = CLASSED[JOURNAL_INFO]
        unit = self.program.unit[function]
        acquired = tuple(
            lock
            for lock in walked.acquired
            if lock.name != journal
            and (unit, lock.name.rpartition(".")[2]) not in self.given_back_later
        )
        net = Net(acquired, walked.released - {journal}, walked.scope, walked.ended)
        self.nets[function] = net
        return net

    @cached_property
    def given_back_later(self) -> frozenset[tuple[str, str]]:
        return balance.given_back_later(self.program)

    def left_taken(self, function: int) -> frozenset[str]:
        """The locks that what ``function`` calls leaves taken."""
        found = self._left.get(function)
        if found is None:
            names: set[str] = set()
            for name in self.program.functions[function].callees:
                if name in self.unbalanced:
                    callee = self.program.resolve(name, self.program.file[function])
                    net = self.net(callee) if callee is not None else None
                    if net is not None:
                        names.update(lock.name for lock in net.acquired)
            found = self._left[function] = frozenset(names)
        return found

    def may_hold(self, unit: str) -> list[int]:
        """The functions of ``unit`` that may hold a lock: they take one, or call something that may leave
        one taken."""
        found = self._may_hold.get(unit)
        if found is None:
            program = self.program
            calling = self.unbalanced | self.helpers
            found = self._may_hold[unit] = [
                function
                for function in program.unit_functions.get(unit, ())
                if not (declared := program.functions[function]).macro
                and (declared.locks or not calling.isdisjoint(declared.callees))
                and declared.name not in CGROUP_ONLY
                and not TESTS.search(program.file[function])
            ]
        return found

    def helper(self, function: int, depth: int = 0) -> list[tuple[str, int]]:
        """Lock primitives that ``function`` applies to its own bare parameters: (name, index).

        Itself, or by handing a parameter to such a helper (f2fs_down_read_trace()).
        """
        found = self._helpers.get(function)
        if found is None:
            declared = self.program.functions[function]
            found = []
            for primitive, arg in declared.locks:
                if primitive in ACQUIRE or primitive in RELEASE:
                    index = self.program.wrapper_parameter(arg, function)
                    if index is not None:
                        found.append((primitive, index))
            self._helpers[function] = found
            if not declared.locks and self._handed_lock(function) and depth < DEEPEST:
                found += self._by_helpers(function, depth)
        return found

    def _handed_lock(self, function: int) -> bool:
        """Whether a parameter of ``function`` is a lock, or a small struct around one."""
        params = self.program.functions[function].params
        return any(kind.rstrip("*") in self.program.wrappers for kind, _ in params)

    def _by_helpers(self, function: int, depth: int) -> Iterator[tuple[str, int]]:
        program = self.program
        names = [name for _, name in program.functions[function].params]
        for event in program.events(function):
            if event[0] != "c" or not any(arg in names for arg in event[3]):
                continue
            callee = program.resolve(event[2], program.file[function])
            if callee is not None and self._handed_lock(callee):
                for primitive, index in self.helper(callee, depth + 1):
                    if index < len(event[3]) and event[3][index] in names:
                        yield primitive, names.index(event[3][index])

    @cached_property
    def helpers(self) -> frozenset[str]:
        """Names of functions that take a lock, or give one back, that they are handed inside a struct."""
        return frozenset(
            declared.name
            for function, declared in enumerate(self.program.functions)
            if not declared.macro and self._handed_lock(function) and self.helper(function)
        )


def _entered_by(walked: Walked, context: Context, other: Context) -> Walked:
    """``walked``, which was in ``context``, as it is in ``other``: what it calls is there, too."""
    edges = tuple(
        Edge(
            edge.line,
            edge.callee,
            edge.context.within(
                other.domain if edge.context.domain == context.domain else edge.context.domain,
                other.reclaim,
            ),
            *edge[3:],
        )
        for edge in walked.edges
    )
    return walked._replace(edges=edges)
