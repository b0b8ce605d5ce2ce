"""What functions change of what they are handed: members assigned through pointers, variables by macros."""

from __future__ import annotations

import re

from ring3.audit.program import DEEPEST, WORD, Program


class Changes:
    """Whatever the context; asked once for each parameter."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._through: dict[tuple[int, int], frozenset[str] | None] = {}
        self._assigns: dict[tuple[int, int], bool] = {}

    def through(self, function: int, index: int, depth: int = 0) -> frozenset[str] | None:
        """Members that ``function`` assigns through parameter ``index``, itself or below; None: any.

        Of a member ``m->`` it is what that points to.
        """
        key = (function, index)
        if key in self._through:
            return self._through[key]
        self._through[key] = frozenset()  # a recursion changes nothing more
        declared = self.program.functions[function]
        name = declared.params[index][1] if index < len(declared.params) else ""
        found: set[str] | None = (
            self._assigned(function, name, depth) if WORD.fullmatch(name) else None
        )
        self._through[key] = None if found is None else frozenset(found)
        return self._through[key]

    def _assigned(self, function: int, name: str, depth: int) -> set[str] | None:
        found: set[str] = set()
        path = self.program.file[function]
        member = re.compile(rf"\(?{name}\)?\s*->\s*(\w+)")
        for event in self.program.events(function):
            if event[0] == "=":
                if (
                    event[4].strip("()& ") == name
                    or event[2].strip("(* )") == name
                    or event[2].startswith(f"{name}[")
                ):
                    return None  # another name for it, or all of it
                if assigned := member.match(event[2]):
                    found.add(assigned.group(1))
                if other := member.match(event[4].lstrip("( &")):
                    # Another name for a part of it, or for what that points to.
                    found.add(other.group(1) + ("" if "&" in event[4][:3] else "->"))
            elif event[0] == "c":
                for at, arg in enumerate(event[3]):
                    shown = arg.strip("() ")
                    assigned = member.match(shown.lstrip("&( "))
                    if shown != name and not assigned:
                        continue
                    callee = self.program.resolve(event[2], path)
                    more = None
                    if callee is not None and depth < 8:
                        more = self.through(callee, at, depth + 1)
                    if assigned and more != frozenset():
                        found.add(assigned.group(1) + ("" if shown[0] == "&" else "->"))
                    elif more is None:
                        return None
                    elif not assigned:
                        found |= more
        return found

    def assigns(self, function: int, index: int, depth: int = 0) -> bool:
        """Whether ``function`` is a macro that assigns its parameter ``index``."""
        declared = self.program.functions[function]
        if not declared.macro or index >= len(declared.params):
            return False
        key = (function, index)
        if key not in self._assigns:
            self._assigns[key] = False
            name = declared.params[index][1]
            path = self.program.file[function]
            for event in self.program.events(function):
                if event[0] == "=":
                    self._assigns[key] |= event[2].strip("() ") == name
                elif event[0] == "c":
                    self._assigns[key] |= event[4].strip("() ") == name
                    for at, arg in enumerate(event[3]):
                        callee = self.program.resolve(event[2], path) if arg == name else None
                        if callee is not None and (
                            depth > DEEPEST or self.assigns(callee, at, depth + 1)
                        ):
                            self._assigns[key] = True
        return self._assigns[key]

    def nothing(self, function: int) -> bool:
        """Whether ``function`` assigns nothing through what it is handed; -1 is one not in the tree."""
        return function >= 0 and all(
            self.through(function, index) == frozenset()
            for index, (kind, _) in enumerate(self.program.functions[function].params)
            if kind[-1:] in ("*", "")
        )
