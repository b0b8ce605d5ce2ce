"""Code that is not entered (tables.BOUNDARY): what of it allocates, and with which flags."""

from __future__ import annotations

from ring3.audit import cexpr
from ring3.audit.cexpr import UNKNOWN, Value
from ring3.audit.forms import Event
from ring3.audit.program import DEEPEST, Program, flatten
from ring3.audit.tables import ALLOCATIONS, NO_ALLOCATION, TREE_FLAGS


class Boundary:
    """Of every function, whatever its context."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._own_flags: dict[int, Value] = {}

    def allocates(self, function: int) -> bool:
        """Whether ``function`` may allocate, with flags that it is handed or with its own."""
        return self.takes_flags(function) or self.own_flags(function) != UNKNOWN

    def own_flags(self, function: int, depth: int = 0) -> Value:
        """The GFP flags with which ``function``, or one of its file that it calls, allocates whatever its
        caller says; UNKNOWN where it is handed flags, or allocates on some ways only."""
        found = self._own_flags.get(function)
        if found is None:
            self._own_flags[function] = found = UNKNOWN  # a recursion adds nothing
            declared, path = self.program.functions[function], self.program.file[function]
            if depth < DEEPEST and not declared.macro and not self.takes_flags(function):
                found = self._flags_of(self.program.body(function)[1], path, depth)
                self._own_flags[function] = found
        return found

    def _flags_of(self, events: list[Event], path: str, depth: int) -> Value:
        for event in events:
            found = UNKNOWN
            if event[0] == "if" and any(inner[0] == "goto" for inner in flatten([event])):
                break  # what follows may have been done already
            if event[0] in ("loop", "do", "block"):
                found = self._flags_of(event[3], path, depth)
            elif event[0] == "c" and not event[2].startswith(NO_ALLOCATION):
                found = self._flags_of_call(event, path, depth)
            if found[0] & found[1] & self.program.gfp["DIRECT_RECLAIM"]:
                return found
        return UNKNOWN

    def _flags_of_call(self, event: Event, path: str, depth: int) -> Value:
        _, _, name, args, _ = event
        program = self.program
        callee = program.resolve(name, path)
        text = next((arg for arg in args if arg.startswith("GFP_")), "")
        allocation = ALLOCATIONS.get(name.removesuffix("_noprof"))
        if allocation is not None:
            if allocation.needs or name in TREE_FLAGS:
                return UNKNOWN
            if allocation.flags is None or allocation.flags >= len(args):
                text = text or allocation.default
        elif callee is None or not self.takes_flags(callee):
            if callee is not None and program.file[callee] == path:
                return self.own_flags(callee, depth + 1)
            return UNKNOWN
        return cexpr.evaluate(cexpr.parse(text), program.constant, program.constant_call)

    def takes_flags(self, function: int) -> bool:
        """Whether ``function`` is handed GFP flags."""
        return any(kind == "gfp_t" for kind, _ in self.program.functions[function].params)
