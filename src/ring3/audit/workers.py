"""Who ends a wait: workers of work items, threads, who completes a completion; of one subject."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from ring3.audit.conditions import DUMPS, MOUNTING
from ring3.audit.contexts import FILESYSTEMS
from ring3.audit.graph import Chains, Graph, Node, Spread, any_of_several
from ring3.audit.primitives import words
from ring3.audit.queues import Queues
from ring3.audit.tables import QUEUERS, RESCUED, SHARED, WAKES

_WORK = re.compile(
    r"^(?:__)?INIT_(?:DELAYED_|DEFERRABLE_|RCU_)?WORK(?:_ONSTACK)?$|^kthread_init_work$"
)
#: Stands for the queue that a function is handed, whichever it is.
_HANDED = "*"
#: Work queued so many calls below an operation is the operation's own.
_NEAR = 3
#: What makes a thread of the function that is its first argument.
_THREADS = frozenset(
    words(
        "kthread_run kthread_run_on_cpu kthread_create kthread_create_on_cpu kthread_create_on_node "
        "md_register_thread"
    )
)
_MARKS = (b"_WORK", b"_work", b"complete", b"kthread", b"md_register_thread")


class Other(NamedTuple):
    """Who ends a wait: ``function``, up to ``line`` (0: all of it)."""

    function: int
    line: int
    how: str


class Workers:
    """Those of subject ``unit``."""

    def __init__(self, queues: Queues, unit: str) -> None:
        self.queues = queues
        self.program = queues.program
        self.unit = unit

    @cached_property
    def others(self) -> dict[str, list[Other]]:
        """Class of a work item, completion, thread or queue -> who does, completes or is it."""
        program = self.program
        found: dict[str, list[Other]] = {}
        queued: list[tuple[str, str]] = []
        for function in program.unit_functions.get(self.unit, ()):
            declared = program.functions[function]
            if declared.macro or not any(mark in declared.body for mark in _MARKS):
                continue
            for event in program.events(function):
                if event[0] != "c":
                    continue
                _, _, name, args, target = event
                if name in _THREADS and args:
                    self._add(found, target or name, function, args[0], "the thread")
                on = self.queues.queue_of(event, function)
                if _WORK.match(name) and len(args) > 1:
                    how = f"the work set up by {declared.name}()"
                    self._add(found, args[0], function, args[1], how)
                elif on:
                    queued += [(on[0] or _HANDED, kind) for kind in self._works(function, on[1])]
                elif name in ("complete", "complete_all") and args:
                    key = program.lock_class(args[0], function)
                    if key:
                        found.setdefault(key, []).append(
                            Other(function, event[1], "which completes it")
                        )
        for queue, work in queued:
            for other in found.get(work, ()):
                found.setdefault(queue, []).append(other)
        return found

    def who_ends(self, waited: str, function: int) -> list[Other]:
        """Who ends the wait of ``function`` for ``waited``."""
        known = self.others.get(self.program.lock_class(waited, function), [])
        if known:
            return known
        # A completion on the stack: the work that this function sets up ends it.
        set_up = f"set up by {self.program.functions[function].name}()"
        return [
            other
            for key, entry in self.others.items()
            for other in entry
            if key and other.how.endswith(set_up)
        ]

    def event_of(self, text: str, function: int) -> str:
        """The class of a queue of waiters, word or variable; "" of a variable that may be anything."""
        event = self.program.lock_class(text, function)
        return "" if event[:1] == "?" and text.isidentifier() else event

    def who_wakes(self, event: str, graph: Graph) -> tuple[list[Other], bool]:
        """The threads and workers that, a few calls below, wake who waits for ``event``.

        And whether there is but one, and nobody else does.
        """
        wakers = self.wakers.get(event, frozenset())
        found: dict[int, None] = {}
        others = [waker for waker in sorted(wakers) if not self._climb(waker, graph, found)]
        return [Other(each, 0, "which wakes it") for each in found], len(found) == 1 and not others

    def _climb(self, function: int, graph: Graph, found: dict[int, None], depth: int = 0) -> bool:
        """Add the threads and workers that come to ``function``; whether nothing else does, in use."""
        if function in self.bodies:
            found[function] = None
            return True
        name = self.program.functions[function].name
        if any(mark in name for mark in MOUNTING):
            return True
        callers = graph.callers_of(function, self.unit)
        if depth >= _NEAR or not callers or name in self.program.handed:
            return False
        others = [one for one in callers if not self._climb(one, graph, found, depth + 1)]
        return not others

    @cached_property
    def bodies(self) -> frozenset[int]:
        """The functions that are threads, or done by workers, of the subject and of what it shares."""
        everybody = [self, *(Workers(self.queues, unit) for unit in self._shared)]
        return frozenset(
            other.function
            for each in everybody
            for entry in each.others.values()
            for other in entry
            if not other.line
        )

    @property
    def _shared(self) -> tuple[str, ...]:
        return SHARED if self.unit.startswith(FILESYSTEMS) else ()

    @cached_property
    def wakers(self) -> dict[str, frozenset[int]]:
        """Class of a queue of waiters, word or variable -> functions that wake those who wait for it."""
        program = self.program
        found: dict[str, set[int]] = {}
        for unit in (self.unit, *self._shared):
            for function in program.unit_functions.get(unit, ()):
                declared = program.functions[function]
                if declared.macro or WAKES.keys().isdisjoint(declared.callees):
                    continue
                for event in program.events(function):
                    at = WAKES.get(event[2]) if event[0] == "c" else None
                    if at is not None and at < len(event[3]):
                        woken = self.event_of(event[3][at], function)
                        found.setdefault(woken, set()).add(function)
        return {name: frozenset(each) for name, each in found.items() if name}

    def _works(self, function: int, text: str) -> list[str]:
        """The classes of the work items that ``text`` may be; of a variable those it is assigned."""
        assigned = [
            event[4]
            for event in self.program.events(function)
            if event[0] == "=" and event[2] == text and event[4][:1] == "&"
        ]
        return [self.program.lock_class(one, function) for one in assigned or [text]]

    def _add(
        self, found: dict[str, list[Other]], text: str, function: int, name: str, how: str
    ) -> None:
        program = self.program
        key = program.lock_class(text, function)
        worker = program.resolve(name.strip("&( )"), program.file[function])
        if key and worker is not None and not program.functions[worker].macro:
            found.setdefault(key, []).append(Other(worker, 0, how))

    def rescued(self) -> dict[int, str]:
        """Workers of the subject's workqueues that were made for use in reclaim -> why it is thought so."""
        program = self.program
        queues: dict[str, str] = {}
        for function in program.unit_functions.get(self.unit, ()):
            declared = program.functions[function]
            if not declared.macro and RESCUED.encode() in declared.body:
                made: set[str] = (
                    set()
                )  # it may be kept in a variable until it is known not to be NULL
                for event in program.events(function):
                    if event[0] == "=" and RESCUED in event[4] and "workqueue(" in event[4]:
                        made.add(event[2])
                    elif event[0] != "=" or event[4] not in made:
                        continue
                    queues[program.lock_class(event[2], function)] = event[2]
        found: dict[int, str] = {}
        if not queues:
            return found
        for queue, shown in (
            *queues.items(),
            (_HANDED, "a queue that it is handed, like others here"),
        ):
            for other in self.others.get(queue, ()) if queue else ():
                if not other.line:
                    name = program.functions[other.function].name
                    reason = f"{name}() is {other.how}, on {shown}, which is made with {RESCUED}"
                    found.setdefault(other.function, reason)
        return found

    def queued_by(
        self, chains: Chains, spread: Spread
    ) -> Iterator[tuple[Node, int, str, str, list[Other]]]:
        """What functions of ``spread`` in the subject queue: where, on which queue, which work, who does it.

        Only what is queued near its beginning: work that an event far below sets off is not the operation's.
        """
        program = self.program
        for node in spread.ways:
            function = node[0]
            callees = program.functions[function].callees
            if program.unit[function] != self.unit or QUEUERS.keys().isdisjoint(callees):
                continue
            steps, _ = chains.to(spread.ways, node)
            if len(steps) > _NEAR or any_of_several(steps):
                continue
            for event in program.events(function):
                on = self.queues.queue_of(event, function)
                if not on:
                    continue
                for kind in self._works(function, on[1]):
                    workers = [
                        other
                        for other in self.others.get(kind, ())
                        if not other.line
                        and not DUMPS.search(program.functions[other.function].name)
                    ]
                    yield node, event[1], on[0], kind, workers
