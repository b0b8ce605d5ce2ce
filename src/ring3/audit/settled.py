"""What the first initialisation of a device has settled: what is done only once is not done in operation."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from ring3.audit.forms import Event
from ring3.audit.program import MEMBER_CALL, Program, flatten
from ring3.audit.state import plain

#: ``!ctrl->identified``: the member that a condition wants to be 0, and that it does not look behind.
_NOT_YET = re.compile(r"!\s*\(?[\w.>\[\]-]*(?:->|\.)(\w+)(?:\[\])?(?![\w.(\[]|->|\s*[=!<>&|]=)")
_ALREADY = re.compile(r"\(?[\w.>\[\]-]*(?:->|\.)(\w+)(?:\[\])?\)?")
_NOTHING = frozenset({"0", "NULL", "false"})
_BEGINS = re.compile(r"probe|(?:^|_)init(?:_|$)|_load$")
_ENDS = re.compile(
    r"(?:^|_)(?:fini|exit|remove|free|destroy|release|cleanup|unload|unregister|deinit)(?:_|$)"
)
#: Who sets it is called so many calls below who begins.
_DEEPEST = 4
#: A member that more functions set says something else.
_MOST = 2


class Settled:
    """The guards of driver ``unit``: a function, and the member by which it tells that all is done.

    The function, one that it calls for it or one that calls it sets the member; that is called from where
    the device is initialised, and the member is only cleared where it comes and goes.
    """

    def __init__(self, program: Program, unit: str) -> None:
        self.program = program
        self.unit = unit
        self.guards: set[tuple[int, str]] = set()
        if not unit.startswith("drivers/"):
            return
        tested: dict[str, list[tuple[int, frozenset[str]]]] = defaultdict(list)
        setters: dict[str, set[int]] = defaultdict(set)
        cleared: dict[str, set[int]] = defaultdict(set)
        self.callers: dict[str, list[int]] = defaultdict(list)
        for function in program.unit_functions.get(unit, ()):
            for name in program.functions[function].callees:
                self.callers[name].append(function)
            made: set[str] = set()  # what is tested after that is whether it could be made
            for event in program.events(function):
                if event[0] == "if":
                    for member, called in self._guarded(function, event):
                        if member not in made:
                            tested[member].append((function, called))
                elif event[0] == "=" and event[3] == "=":
                    target = MEMBER_CALL.match(plain(event[2]).removesuffix("[]"))
                    if target:
                        which = cleared if event[4] in _NOTHING else setters
                        which[target[2]].add(function)
                        made.add(target[2])
        for member in tested.keys() & setters.keys():
            if len(setters[member]) <= _MOST and self._once(setters[member], cleared[member]):
                setting = {program.functions[one].name for one in setters[member]}
                below = {name for one in setters[member] for name in program.functions[one].callees}
                self.guards |= {
                    (function, member)
                    for function, called in tested[member]
                    if function in setters[member]
                    or not setting.isdisjoint(called)
                    or program.functions[function].name in below
                }

    def _guarded(self, function: int, event: Event) -> Iterator[tuple[str, frozenset[str]]]:
        """Members that ``event`` tests, with the functions that are called where they are not set."""
        condition = plain(event[2])
        for member in _NOT_YET.findall(condition):
            yield member, frozenset(e[2] for e in flatten(event[3]) if e[0] == "c")
        already = _ALREADY.fullmatch(condition)
        if already and event[3] and event[3][-1][0] in ("ret", "jump"):
            yield already[1], frozenset(self.program.functions[function].callees)

    def _once(self, setters: set[int], cleared: set[int]) -> bool:
        functions = self.program.functions
        for one in cleared - setters:
            name = functions[one].name
            if not _ENDS.search(name) and not _BEGINS.search(name):
                return False
        above, seen = set(setters), set(setters)
        for _ in range(_DEEPEST):
            above = {caller for one in above for caller in self.callers[functions[one].name]} - seen
            if any(_BEGINS.search(functions[one].name) for one in above):
                return True
            seen |= above
        return False
