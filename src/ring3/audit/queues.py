"""Workqueues: which keep a thread for when memory is short, and on which a work item is queued.

Work on a queue without ``WQ_MEM_RECLAIM`` may have to wait until a worker has been made, which takes memory.
The kernel warns of who waits for such work in reclaim (check_flush_dependency(), kernel/workqueue.c of 7.2).
"""

from __future__ import annotations

import re
from functools import cached_property

from ring3.audit.forms import Event
from ring3.audit.primitives import words
from ring3.audit.program import WORD, Program
from ring3.audit.tables import QUEUERS, RESCUED

#: Makes a workqueue -> index of its flags; None: they are a rescued queue's (include/linux/workqueue.h).
_MAKERS: dict[str, int | None] = {
    "alloc_workqueue": 1,
    "alloc_workqueue_lockdep_map": 1,
    "alloc_ordered_workqueue": 1,
    "alloc_ordered_workqueue_lockdep_map": 1,
    "devm_alloc_workqueue": 2,
    "devm_alloc_ordered_workqueue": 2,
    "drmm_alloc_ordered_workqueue": 2,
    **dict.fromkeys(
        words("create_workqueue create_singlethread_workqueue create_freezable_workqueue")
    ),
}
#: Waits for all of a queue, or for one work item.  What cancels work waits for it only while it runs.
_FLUSHES_QUEUE = frozenset(words("flush_workqueue __flush_workqueue drain_workqueue"))
_FLUSHES_WORK = frozenset(words("flush_work flush_delayed_work flush_rcu_work"))
FLUSHES = _FLUSHES_QUEUE | _FLUSHES_WORK
SYSTEM = "a queue of the system's"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_FLAG = re.compile(r"_*WQ_[A-Z]\w*$|\d")


class Queues:
    """What the whole program says of its workqueues; looked up when it is asked for."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._works: dict[str, dict[str, set[str]]] = {}

    @cached_property
    def rescued(self) -> dict[str, bool | None]:
        """Class of a queue -> whether it has a thread of its own; None: made in several ways, or not told."""
        program = self.program
        found: dict[str, set[bool | None]] = {}
        for index, function in enumerate(program.functions):
            if function.macro or _MAKERS.keys().isdisjoint(function.callees):
                continue
            made: dict[str, bool | None] = {}  # it may be kept in a variable until it is not NULL
            for event in program.events(index):
                if event[0] == "c" and event[2] in _MAKERS and event[4]:
                    at = _MAKERS[event[2]]
                    flags = event[3][at] if at is not None and at < len(event[3]) else ""
                    made[event[4]] = True if at is None else self._has_flag(flags, index)
                    found.setdefault(program.lock_class(event[4], index), set()).add(made[event[4]])
                elif event[0] == "=" and event[4] in made:
                    found.setdefault(program.lock_class(event[2], index), set()).add(made[event[4]])
        return {
            name: next(iter(how)) if len(how) == 1 else None
            for name, how in found.items()
            if name and name[0] != "?"
        }

    def _has_flag(self, flags: str, function: int) -> bool | None:
        """Whether ``flags`` have it, or need no thread (WQ_BH); None: that depends on more than constants."""
        shown, more = "", [flags]
        for _ in range(4):
            shown += " ".join(more)
            text = _STRING.sub("", " ".join(more))
            more = []
            for name in set(WORD.findall(text)) - {RESCUED}:
                if name.islower():
                    more += self._assigned(name, function)
                elif name in self.program.constants and not _FLAG.match(name):
                    more.append(self.program.constants[name])
                elif not _FLAG.match(name) and f"{name}(" not in text:
                    return None
                if more[-1:] == [""]:
                    return None
            if not more:
                break
        return RESCUED in shown or "WQ_BH" in shown

    def _assigned(self, name: str, function: int) -> list[str]:
        """What the variable ``name`` is set to in ``function``; "" at the end when that is not all."""
        declared = self.program.functions[function]
        texts = [
            event[4]
            for event in self.program.events(function)
            if event[0] == "=" and event[2] == name
        ]
        whole = texts and name not in [parameter for _, parameter in declared.params]
        return texts if whole else [""]

    def without_thread(self, waits: str, text: str, function: int) -> str:
        """The queue for whose work the call ``waits``(``text``) of ``function`` waits, if it keeps no thread.

        "" when it keeps one, or when that is not known.
        """
        name = self.program.lock_class(text, function)
        if not name or (name[0] == "?" and text.isidentifier()):  # a variable may be anything
            return ""
        if waits in _FLUSHES_QUEUE:
            return name if self.has_none(name) else ""
        if waits not in _FLUSHES_WORK:
            return ""
        queues = self._queued(self.program.unit[function]).get(name, set())
        return min(queues) if queues and all(map(self.has_none, queues)) else ""

    def has_none(self, queue: str) -> bool:
        """Whether ``queue`` is known to keep no thread for when memory is short."""
        return queue == SYSTEM or self.rescued.get(queue) is False

    def queue_of(self, event: Event, function: int) -> tuple[str, str] | None:
        """The queue, or "", and the text of the work of a call in ``function`` that queues some."""
        at = QUEUERS.get(event[2]) if event[0] == "c" else None
        if at is None or at[1] >= len(event[3]):
            return None
        if at[0] is None:
            return SYSTEM, event[3][at[1]]
        queue = event[3][at[0]]
        for assigned in self.program.events(function) if queue.isidentifier() else ():
            if assigned[0] == "=" and assigned[2] == queue:
                queue = assigned[4]
                break
        return self.program.lock_class(queue, function), event[3][at[1]]

    def _queued(self, unit: str) -> dict[str, set[str]]:
        """Class of a work item -> the queues that functions of ``unit`` put it on; "" unknown."""
        if unit not in self._works:
            program = self.program
            found: dict[str, set[str]] = {}
            for index in program.unit_functions[unit]:
                if QUEUERS.keys().isdisjoint(program.functions[index].callees):
                    continue
                for event in program.events(index):
                    if queued := self.queue_of(event, index):
                        queue, work = queued
                        found.setdefault(program.lock_class(work, index), set()).add(queue)
            self._works[unit] = found
        return self._works[unit]
