"""Which functions cannot matter: nothing below them allocates, takes a lock that sleeps, or waits."""

from __future__ import annotations

from ring3.audit.boundary import Boundary
from ring3.audit.primitives import ACQUIRE, GUARD, MIGHT
from ring3.audit.program import DEEPEST, MEMBER_CALL, Program
from ring3.audit.tables import (
    ALLOCATIONS,
    DEFERRED,
    FILE_IO,
    IMPORTED,
    QUEUERS,
    SOCKET_CALLS,
    SPIN,
    WAITS,
    WOKEN,
)

_DEFERRED = frozenset(DEFERRED)
_TELLING = frozenset({*ALLOCATIONS, *WAITS, *WOKEN, *ACQUIRE, *MIGHT, *SOCKET_CALLS})
_GUARDS = frozenset(f"{way}({kind})" for way in ("guard", "class") for kind in GUARD)


class Silence:
    """Of every function, whatever its context: here both sides of every branch count."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.boundary = Boundary(program)
        self._silent: dict[int, bool] = {}
        self._unlocks: dict[int, bool] = {}
        self._invokes: dict[tuple[int, int], bool] = {}

    def silent(self, function: int) -> bool:
        """Whether nothing that the audit looks for happens in ``function``, or in what it calls."""
        if function not in self._silent:
            self._decide(function)
        return self._silent[function]

    def _decide(self, function: int) -> None:
        """Decide about ``function`` and everything below it that is not decided yet."""
        callers: dict[int, list[int]] = {function: []}
        waiting, telling = [function], []
        while waiting:
            caller = waiting.pop()
            callees = self._calls(caller)
            if callees is None or any(self._silent.get(callee) is False for callee in callees):
                telling.append(caller)
                continue
            for callee in callees:
                if callee not in self._silent:
                    if callee not in callers:
                        callers[callee] = []
                        waiting.append(callee)
                    callers[callee].append(caller)
        loud = set(telling)
        while telling:
            for caller in callers[telling.pop()]:
                if caller not in loud:
                    loud.add(caller)
                    telling.append(caller)
        # What a telling function calls has not been looked at.
        self._silent.update((each, each not in loud) for each in callers)

    def _calls(self, function: int) -> list[int] | None:
        """What ``function`` calls; None when it does something itself that the audit looks for."""
        program = self.program
        declared, path = program.functions[function], program.file[function]
        if any(name in ACQUIRE or name in MIGHT for name, _ in declared.locks):
            return None
        found: list[int] = []
        # From a header anything may be called that a subject has itself.
        boundary = not path.startswith("include/")
        for event in program.events(function):
            if event[0] != "c":
                continue
            name, args = event[2], event[3]
            if name.removesuffix("_noprof") in _TELLING or name in _GUARDS:
                return None
            if name in ("scoped_guard", "scoped_cond_guard"):
                if args and args[0] in GUARD:
                    return None
                continue
            if name in QUEUERS:  # workers are waited for, too (waits.py)
                return None
            callee = program.called(name, path)
            if callee is None:
                member = MEMBER_CALL.match(name.strip("()* "))
                if name in IMPORTED or (
                    member and (member.group(2) in program.op_fields or member.group(2) in FILE_IO)
                ):
                    return None
            elif (
                program.outside[callee]
                and boundary
                and program.unit[callee] != program.unit[function]
            ):
                if self.boundary.allocates(callee):
                    return None
            else:
                found.append(callee)
            found += (callback for callback, _ in self.handed(function, name, args, callee))
        return found

    def handed(
        self, function: int, name: str, args: tuple[str, ...], callee: int | None
    ) -> list[tuple[int, bool]]:
        """Functions that ``function`` hands to ``name``, which calls them; and whether that is known.

        It is believed where the callee is not in the tree.
        """
        program = self.program
        found: list[tuple[int, bool]] = []
        if name in _DEFERRED or name.startswith(("INIT_", "trace_")):
            return found
        for index, text in enumerate(args):
            arg = text.lstrip("& ")
            if len(arg) < 4 or not arg.isidentifier() or arg not in program.by_name:
                continue
            if arg in program.body(function)[0]:
                continue
            if any(arg == parameter for _, parameter in program.functions[function].params):
                continue
            callback = program.resolve(arg, program.file[function])
            if callback is None or program.functions[callback].macro:
                continue
            if callee is None or self.invokes(callee, index):
                found.append((callback, callee is not None))
        return found

    def invokes(self, function: int, index: int, depth: int = 0) -> bool:
        """Whether ``function`` calls its parameter ``index``, itself or through what it hands it on to."""
        key = (function, index)
        if key not in self._invokes:
            self._invokes[key] = False
            declared = self.program.functions[function]
            name = declared.params[index][1] if index < len(declared.params) else ""
            if name and name in declared.callees:
                self._invokes[key] = True
            elif name and depth < 5:
                for event in self.program.events(function):
                    if event[0] != "c" or name not in event[3] or event[2] in _DEFERRED:
                        continue
                    callee = self.program.resolve(event[2], self.program.file[function])
                    if callee is not None and self.invokes(callee, event[3].index(name), depth + 1):
                        self._invokes[key] = True
                        break
        return self._invokes[key]

    def unlocks(self, function: int, depth: int = 0) -> bool:
        """Whether ``function`` first gives back a spinning lock, one of its caller's, itself or below."""
        found = self._unlocks.get(function)
        if found is None:
            self._unlocks[function] = found = False
            path = self.program.file[function]
            for event in self.program.events(function):
                if event[0] != "c":
                    continue
                if event[2] in SPIN:
                    found = SPIN[event[2]] < 0
                    break
                callee = self.program.resolve(event[2], path)
                if callee is not None and depth < DEEPEST and self.unlocks(callee, depth + 1):
                    found = True
                    break
            self._unlocks[function] = found
        return found
