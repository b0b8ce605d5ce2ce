"""Which parameters of a function decide what it does, and which members of what they point to."""

from __future__ import annotations

import re

from ring3.audit.program import DEEPEST, PER_INODE, WORD, Program
from ring3.audit.tables import ALLOCATIONS

#: Names in an expression that stand for their own value, not for something reached from them.
_VALUES = re.compile(r"(?<![\w.>])[A-Za-z_]\w*+(?!\s*(?:->|\.|\())")


class Decisions:
    """Of every function of ``program``; of parameters that decide nothing the values are not kept apart."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._decisive: dict[int, frozenset[int]] = {}
        self._telling: dict[int, tuple[tuple[int, str, bool, bool, bool], ...]] = {}
        self._tested: dict[tuple[int, int], frozenset[str]] = {}

    def decisive(self, function: int, depth: int = 0) -> frozenset[int]:
        """Parameters whose value can select a branch or flags here or below; others are not kept apart."""
        found = self._decisive.get(function)
        if found is not None:
            return found
        if depth > DEEPEST:
            return frozenset(range(len(self.program.functions[function].params)))
        self._decisive[function] = frozenset()  # a recursion decides nothing by itself
        program = self.program
        declared = program.functions[function]
        # Word -> parameters whose value it may carry.
        carries: dict[str, set[int]] = {}
        for index, (_, name) in enumerate(declared.params):
            if name:
                carries.setdefault(name, set()).add(index)
        chosen = {
            index
            for index, (kind, name) in enumerate(declared.params)
            if kind == "gfp_t" or "gfp" in name
        }
        if not carries:
            return self._decisive[function]

        def carried(text: str) -> set[int]:
            if text.isidentifier():
                return carries.get(text, set())
            out: set[int] = set()
            for word in _VALUES.findall(text):
                if word in carries:
                    out |= carries[word]
            return out

        path = program.file[function]
        for event in program.events(function):
            kind = event[0]
            if kind in ("if", "switch", "loop", "do"):
                chosen |= carried(event[2])
            elif kind == "ret":
                if len(event[2]) < 80:
                    chosen |= carried(event[2])
            elif kind == "=":
                more = carried(event[4])
                if more and len(event[2]) < 40:
                    carries.setdefault(event[2], set()).update(more)
            elif kind == "c" and event[3]:
                callee = None
                for at, arg in enumerate(event[3]):
                    more = carried(arg)
                    if not more or more <= chosen:
                        continue
                    if event[2] in ALLOCATIONS:
                        chosen |= more
                        continue
                    if callee is None:
                        callee = program.resolve(event[2], path)
                        if callee is None or program.outside[callee]:
                            break
                    if at in self.decisive(callee, depth + 1):
                        chosen |= more
        self._decisive[function] = frozenset(chosen)
        return self._decisive[function]

    def telling(self, function: int) -> tuple[tuple[int, str, bool, bool, bool], ...]:
        """Of parameters that may matter: index, type, whether it points, is an inode, is decisive."""
        found = self._telling.get(function)
        if found is None:
            decisive = self.decisive(function)
            rows = [
                (
                    index,
                    kind,
                    kind.endswith("*") and bool(name),
                    bool(PER_INODE.search(kind.rstrip("*"))),
                    index in decisive and bool(name),
                )
                for index, (kind, name) in enumerate(self.program.functions[function].params)
            ]
            found = self._telling[function] = tuple(row for row in rows if any(row[2:]))
        return found

    def tested(self, function: int, index: int, depth: int = 0) -> frozenset[str]:
        """Members of the struct that parameter ``index`` points to that select a branch here or below."""
        key = (function, index)
        if key in self._tested or depth > DEEPEST:
            return self._tested.get(key, frozenset())
        self._tested[key] = frozenset()
        declared = self.program.functions[function]
        name = declared.params[index][1] if index < len(declared.params) else ""
        events = self.program.events(function) if WORD.fullmatch(name) else []
        members = re.compile(rf"\b{name}\s*->\s*([\w.]+)(?!\w|\s*(?:->|\())")
        conditions = [
            event[2] for event in events if event[0] in ("if", "switch", "loop", "do", "ret")
        ]
        words = {word for text in conditions for word in WORD.findall(text)}
        found = {member for text in conditions for member in members.findall(text)}
        path = self.program.file[function]
        for event in events:
            if event[0] == "=" and event[2] in words:
                found.update(members.findall(event[4]))
            elif event[0] == "c" and any(name in arg for arg in event[3]):
                callee = self.program.resolve(event[2], path)
                if callee is None or self.program.outside[callee]:
                    continue
                for at, arg in enumerate(event[3]):
                    if arg == name:
                        found |= self.tested(callee, at, depth + 1)
                    elif at in self.decisive(callee):
                        found.update(members.findall(arg))
        self._tested[key] = frozenset(found)
        return self._tested[key]
