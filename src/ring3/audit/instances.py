"""Which of a subject's tables of operations an object has, where it has several of one struct.

Told by who sets the pointer (the object that it is set in, the file that has the table), by conditions on
constant members of the table, and by the operation through which a function was entered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ring3.audit import cexpr
from ring3.audit.cexpr import FALSE, NONZERO, UNKNOWN, Value
from ring3.audit.contexts import ANY_OF, ASKS_DOMAIN, ASKS_RECLAIM, FILESYSTEMS, Context
from ring3.audit.forms import Event
from ring3.audit.operations import Operations
from ring3.audit.program import MEMBER_CALL, WORD, Program
from ring3.audit.state import State, plain

if TYPE_CHECKING:
    from ring3.audit.flow import Interpreter

#: A member of a table, and the pointer to the table: ``mddev->pers->head.id``.
_OF_TABLE = re.compile(r"(.+)->(?:\w+\.)*(\w+)")
#: A pointer to operations: ``ring`` and ``funcs`` of ``ring->funcs->begin_use``.
_POINTER = re.compile(r"(\w+)\)?->(\w+)->")
#: What is set in a table besides the members that were read.
_MORE = "*"

Chosen = frozenset[str]


class Tables:
    """The tables of subject ``unit`` of whose struct it has several, as ``path:variable``.

    Only of drivers: an object of theirs has one of them for good.  A filesystem's objects are of many kinds,
    and those that matter are told apart by name (tables.TOLD_APART).
    """

    def __init__(self, program: Program, unit: str) -> None:
        self.program = program
        #: A table's name -> tables.
        self.named: dict[str, list[str]] = {}
        #: Struct -> table -> member -> what it is set to.
        self.several: dict[str, dict[str, dict[str, str]]] = {}
        #: Struct, its member that is an object, the object's pointer -> tables that are put there.
        self.placed: dict[tuple[str, str, str], set[str]] = {}
        #: Members that are pointers to tables, or constants in them.
        self.members: frozenset[str] = frozenset()
        #: Members of structs that point to tables.
        self.pointers: frozenset[str] = frozenset()
        if not unit.startswith("drivers/"):
            return
        found: dict[str, dict[str, dict[str, str]]] = {}
        for struct, path, variable, fields in program.unit_tables.get(unit, ()):
            table = found.setdefault(struct, {}).setdefault(f"{path}:{variable}", {})
            for member, text in fields:
                table[member] = text if table.get(member, text) == text else ""
        several = {struct: tables for struct, tables in found.items() if len(tables) > 1}
        for tables in several.values():
            for name in tables:
                self.named.setdefault(name.rpartition(":")[2], []).append(name)
        for struct, tables in several.items():
            texts = {text for table in tables.values() for text in table.values()}
            if any(text in program.by_name or text in self.named for text in texts):
                self.several[struct] = tables
        self.members = frozenset(
            member
            for tables in self.several.values()
            for table in tables.values()
            for member in table
        )
        self._read(unit)
        self.pointers = frozenset(
            member
            for (owner, _), members in program.unit_structs.items()
            if owner in (unit, "include", "drivers/gpu/drm")
            for member, kind in members.items()
            if kind[-1:] == "*" and kind[:-1] in self.several
        )

    def _read(self, unit: str) -> None:
        """Where pointers to tables are set; a member that code sets is unknown in all tables."""
        program = self.program
        for function in program.unit_functions.get(unit, ()) if self.several else ():
            if program.functions[function].macro:
                continue
            events = program.events(function)
            for event in events:
                if event[0] != "=" or event[3] != "=":
                    continue
                target = MEMBER_CALL.match(event[2])
                if target is None:
                    continue
                if event[4][:1] == "&" and event[4][1:] in self.named:
                    self._place(function, events, target[1], target[2], event[4][1:])
                elif target[2] in self.members:
                    for one in self.several.get(program.type_of(target[1], function), {}).values():
                        one[target[2]] = ""

    def _place(
        self, function: int, events: list[Event], text: str, pointer: str, table: str
    ) -> None:
        if WORD.fullmatch(text):  # a variable for the object
            text = next(
                (e[4] for e in events if e[0] == "=" and e[2] == text and e[4][:1] == "&"), ""
            )
        found = MEMBER_CALL.match(plain(text.lstrip("&")).removesuffix("[]"))
        owner = self.program.type_of(found[1], function) if found else ""
        if found and owner:
            placed = self.placed.setdefault((owner, found[2], pointer), set())
            placed.update(self.find(table, self.program.file[function]))

    def find(self, variable: str, path: str) -> list[str]:
        """The tables that ``variable`` means in file ``path``."""
        own = f"{path}:{variable}"
        tables = self.named.get(variable, [])
        return [own] if own in tables else tables

    def here(self, struct: str, path: str) -> Chosen:
        """The tables of ``struct`` that file ``path`` has itself."""
        return frozenset(one for one in self.several[struct] if one.startswith(f"{path}:"))


class Guides:
    """Of every function of ``program``, by which pointers of its parameters operations are reached."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._guided: dict[int, frozenset[tuple[int, str]]] = {}

    def of(self, function: int, depth: int = 0) -> frozenset[tuple[int, str]]:
        """Parameter, and its pointer to operations that are called or tested here or below."""
        found = self._guided.get(function)
        if found is not None:
            return found
        self._guided[function] = frozenset()  # a recursion goes where it has been
        program = self.program
        names = {
            name: at for at, (_, name) in enumerate(program.functions[function].params) if name
        }
        told: set[tuple[int, str]] = set()
        for event in program.events(function) if names else ():
            if event[0] in ("c", "if", "switch", "loop", "do", "="):
                for name, member in _POINTER.findall(event[4 if event[0] == "=" else 2]):
                    if name in names:
                        told.add((names[name], member))
            if event[0] == "c" and depth < 12 and any(arg in names for arg in event[3]):
                callee = program.resolve(event[2], program.file[function])
                for index, member in self.of(callee, depth + 1) if callee is not None else ():
                    if index < len(event[3]) and event[3][index] in names:
                        told.add((names[event[3][index]], member))
        self._guided[function] = frozenset(told)
        return self._guided[function]


class Instances:
    """``function`` entered in ``context``: which tables its objects may have in a state."""

    def __init__(self, interpreter: Interpreter, function: int, context: Context) -> None:
        self.interpreter = interpreter
        self.program = interpreter.program
        self.function = function
        self.declared = self.program.functions[function]
        self.path = self.program.file[function]
        self.context = context
        self.variables = interpreter.variables(function)
        self.instances = interpreter.tables(context.domain)
        #: Guards that are not passed again while the device is in use.
        self.settled = interpreter.settled(context.domain)
        self.of_filesystem = context.domain[:3] == FILESYSTEMS
        if not self.of_filesystem:  # what it has and has settled is asked all the time
            interpreter.asked |= ASKS_DOMAIN

    @property
    def reclaim(self) -> int:
        """``Context.reclaim``, where it makes a difference."""
        self.interpreter.asked |= ASKS_RECLAIM
        return self.context.reclaim

    @property
    def domain(self) -> str:
        """``Context.domain``, where it makes a difference which filesystem that is."""
        self.interpreter.asked |= ASKS_DOMAIN
        return self.context.domain

    @property
    def operations(self) -> Operations:
        return self.interpreter.domain(self.domain)

    def tables(self, expression: str, state: State, struct: str = "") -> Chosen | None:
        """The tables that the pointer ``expression`` may be at; None: any of its struct, or it is none."""
        key = plain(expression)
        known = state.tables.get(key)
        if known is not None or not self.instances.several:
            return known
        found = MEMBER_CALL.match(key)
        if found:
            behind = self._carried(state.tables.get(found[1]), found[2])
            if behind:
                return behind
            placed = self._placed(found[1], found[2])
            if placed:
                return placed
        struct = struct or self.program.type_of(key, self.function)
        return (
            (self.instances.here(struct, self.path) or None)
            if struct in self.instances.several
            else None
        )

    def _carried(self, tables: Chosen | None, member: str) -> Chosen:
        """The tables that ``member`` of ``tables`` points to: ``block->version->funcs``."""
        found: set[str] = set()
        for table in tables or ():
            owner = next(t for t in self.instances.several.values() if table in t)
            found.update(self.instances.find(owner[table].get(member, ""), table.partition(":")[0]))
        return frozenset(found)

    def _placed(self, place: str, pointer: str) -> Chosen:
        """The tables that code puts into the object at ``place``: ``kiq->ring`` of a pointer ``funcs``."""
        found = MEMBER_CALL.match(place.removesuffix("[]"))
        if found is None or not any(
            key[1:] == (found[2], pointer) for key in self.instances.placed
        ):
            return frozenset()
        owner = self.program.type_of(found[1], self.function)
        return frozenset(self.instances.placed.get((owner, found[2], pointer), ()))

    def _any(self, expression: str, state: State) -> tuple[str, Chosen]:
        """The struct that pointer ``expression`` is to, and the tables that it may be at; or nothing."""
        struct = ""
        chosen = self.tables(expression, state)
        if chosen:
            one = next(iter(chosen))
            struct = next((name for name, own in self.instances.several.items() if one in own), "")
        else:
            struct = self.program.type_of(expression, self.function)
            chosen = frozenset(self.instances.several.get(struct, ()))
        return (struct, chosen) if struct else ("", frozenset())

    def member_of(self, struct: str, table: str, member: str) -> Value:
        """What ``member`` of one table is."""
        members = self.instances.several[struct][table]
        text = members.get(member)
        if text is None:
            return UNKNOWN if _MORE in members else FALSE
        if text in self.program.by_name or text in self.instances.named:
            return NONZERO
        return cexpr.evaluate(cexpr.parse(text), self.program.constant, lambda n, a: UNKNOWN)

    def of_table(self, name: str, state: State) -> Value:
        """What ``name``, a member of a table of operations, is in all the tables that can be meant."""
        found = _OF_TABLE.fullmatch(name)
        if found is None or found[2] not in self.instances.members:
            return UNKNOWN
        struct, chosen = self._any(found[1], state)
        values = [self.member_of(struct, table, found[2]) for table in chosen]
        return _either(values)

    def tell(self, node: cexpr.Node, then: State, otherwise: State) -> None:
        """What each side of a condition on a member of a table knows of which table it is."""
        subject = node[2] if node[0] == "b" else node
        found = _OF_TABLE.fullmatch(subject[1]) if subject[0] == "v" else None
        if found is None or found[2] not in self.instances.members:
            return
        for side, wanted in ((then, True), (otherwise, False)):
            struct, chosen = self._any(found[1], side)
            kept = frozenset(
                table
                for table in chosen
                if self._holds(node, subject[1], self.member_of(struct, table, found[2]), side)
                is not (not wanted)
            )
            if kept and kept != chosen:
                side.tables = {**side.tables, plain(found[1]): kept}

    def _holds(self, node: cexpr.Node, name: str, value: Value, state: State) -> bool | None:
        def lookup(other: str) -> Value:
            return value if other == name else self.lookup(other, state)

        return cexpr.truth(cexpr.evaluate(node, lookup, lambda n, a: UNKNOWN))

    def lookup(self, name: str, state: State) -> Value:
        """The value of a variable or member."""
        raise NotImplementedError

    def settle(self, key: str, right: str, state: State) -> None:
        """``key`` has been assigned ``right``: which tables it, or what it points to, has now."""
        told: dict[str, Chosen] = {}
        text = right.strip("() ")
        if text[:1] == "&":
            if text[1:] in self.instances.named:
                told[key] = frozenset(self.instances.find(text[1:], self.path))
            else:
                place = MEMBER_CALL.match(plain(text[1:]).removesuffix("[]"))
                for _, member, pointer in self.instances.placed if place else ():
                    if place and member == place[2]:
                        tables = self._placed(plain(text[1:]), pointer)
                        if tables:
                            told[f"{key}->{pointer}"] = tables
        elif state.tables:
            begin = plain(text)
            for known, tables in state.tables.items():
                if known == begin or known.startswith(f"{begin}->"):
                    told[key + known[len(begin) :]] = tables
        if told:
            state.tables = {**state.tables, **told}

    def meant(
        self, pointer: str, struct: str, field: str, answers: list[int], state: State
    ) -> list[tuple[int, str, Chosen]]:
        """Of the functions that answer ``field``: those of tables that ``pointer`` may be at, and these."""
        own = self.instances.several.get(struct)
        if own is None or len(answers) < 2:
            return [(answer, "", frozenset()) for answer in answers]
        chosen = self.tables(pointer, state, struct)
        behind: dict[str, set[str]] = {}
        for table in own:
            behind.setdefault(own[table].get(field, ""), set()).add(table)
        found = []
        for answer in answers:
            tables = behind.get(self.program.functions[answer].name, set())
            kept = tables if chosen is None else tables & chosen
            if kept or not tables:
                found.append((answer, frozenset(kept)))
        mark = f"{ANY_OF} {len(found)} " if len(found) > 1 else ""
        return [(answer, mark, kept) for answer, kept in found]

    def handed(
        self, callee: int, args: tuple[str, ...], state: State
    ) -> tuple[tuple[int, str, Chosen], ...]:
        """What is known of the objects that ``callee`` is handed: parameter, its pointer, the tables."""
        if not self.instances.several:
            return ()
        found = []
        for index, member in self.interpreter.guides.of(callee):
            if index < len(args) and member in self.instances.pointers:
                arg = args[index]
                text = f"{arg[1:]}.{member}" if arg[:1] == "&" else f"{arg}->{member}"
                chosen = self.tables(text, state)
                if chosen:
                    found.append((index, member, chosen))
        return tuple(found)


def _either(values: Iterable[Value]) -> Value:
    folded: Value | None = None
    for value in values:
        folded = value if folded is None else cexpr.either(folded, value)
    return UNKNOWN if folded is None else folded
