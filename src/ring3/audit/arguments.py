"""What is known of arguments: handed down to a callee, what its answer is for them, what it changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ring3.audit import cexpr
from ring3.audit.cexpr import ALL, NONZERO, UNKNOWN, Value
from ring3.audit.conditions import OWN_SUPERBLOCK
from ring3.audit.contexts import Context, Edge
from ring3.audit.forms import Event
from ring3.audit.program import PARENT, PER_INODE, flatten
from ring3.audit.state import State, variable_of
from ring3.audit.tables import PLAIN, SHARERS
from ring3.audit.values import EMPTY, LINKS, MASK, Values

if TYPE_CHECKING:
    from ring3.audit.flow import Interpreter

#: What gives an object another name: ``&x``, ``&x->member`` or ``x`` alone on the right.
_ANOTHER_NAME = re.compile(r"\(*&\s*(\w+)(?:(?:->|\.)\w+)*\)*$|(\w+)$")


class Arguments(Values):
    """The contexts in which one function enters others, by ``edges``."""

    def __init__(self, interpreter: Interpreter, function: int, context: Context) -> None:
        super().__init__(interpreter, function, context)
        self.edges: list[Edge] = []

    def evicted(self) -> Value | None:
        """Whether an inode that this function gives to evict() in reclaim has links; None: it gives none."""
        return self.operations.evicted(self.declared.name)

    def entered(self, callee: int, args: tuple[str, ...], state: State) -> Context:
        """The context of ``callee`` when it is called with ``args`` here."""
        declared = self.program.functions[callee]
        known: list[tuple[int, Value]] = []
        own: list[int] = []
        fields: list[tuple[int, str, Value]] = []
        telling = self.interpreter.decisions.telling(callee) if args else ()
        structs = state.structs() if telling else ()
        for index, kind, pointer, inode, decisive in telling:
            if index >= len(args):
                break
            arg = args[index]
            if pointer and state.own and arg.strip("&") in state.own:
                own.append(index)
                continue
            if inode and state.own and state.owns(arg):
                own.append(index)
            if decisive and arg:
                value = self.value(arg, state)
                if (
                    value != UNKNOWN
                    and self.tells(kind, arg, value)
                    and (callee != self.function or (index, value) in self.context.args)
                ):
                    known.append((index, value))
            if pointer and structs and variable_of(arg) in structs:
                fields += self.fields(callee, index, arg, state)
        masked, mask = self.masked(declared.params, args, state) if args else ((), UNKNOWN)
        links = state.env.get(LINKS, UNKNOWN) if own else UNKNOWN
        if declared.name == "evict" and self.reclaim:
            own, links = [0], self.evicted() or UNKNOWN
        domain, path = self.context.domain, self.program.file[callee]
        return Context(
            path.rpartition("/")[0] if path.startswith(OWN_SUPERBLOCK) else domain,
            self.context.reclaim,
            self.scope(state),
            tuple(known),
            tuple(own),
            bool(own) and EMPTY in state.env,
            masked,
            mask,
            links,
            tuple(fields),
            self.handed(callee, args, state),
        )

    def masked(
        self, params: tuple[tuple[str, str], ...], args: tuple[str, ...], state: State
    ) -> tuple[tuple[int, ...], Value]:
        """Which parameters of a callee are inodes whose mappings' flags are known, and these flags."""
        if not state.masked and PARENT not in "".join(args):
            return (), UNKNOWN
        inodes = [
            (index, arg)
            for index, ((kind, _), arg) in enumerate(zip(params, args, strict=False))
            if kind.endswith("*") and PER_INODE.search(kind.rstrip("*"))
        ]
        same = [index for index, arg in inodes if state.is_masked(arg)]
        mask = state.env.get(MASK, UNKNOWN)
        parents = [index for index, arg in inodes if PARENT in arg]
        if parents and (directory := self.directory_mask())[1] and (not same or mask == directory):
            return tuple({*same, *parents}), directory
        return (tuple(same), mask) if same else ((), UNKNOWN)

    def fields(
        self, callee: int, index: int, arg: str, state: State
    ) -> list[tuple[int, str, Value]]:
        """What is known of the members of a struct handed over that the callee may test."""
        begin = f"{arg[1:]}." if arg[:1] == "&" else f"{arg}->"
        found = []
        for member in sorted(self.interpreter.decisions.tested(callee, index)):
            value = state.known(begin + member)
            if value is not None and cexpr.members(value):
                found.append((index, member, value))
        return found if callee != self.function else []

    def tells(self, kind: str, arg: str, value: Value) -> bool:
        """Whether the callee is walked anew for an argument's ``value``."""
        if not kind:
            return bool(value[1]) and arg[0] not in '"&'
        if value == NONZERO:
            return arg[0] == "&" or any(
                self.declared.params[index][1] == arg for index, _ in self.context.args
            )
        return bool(cexpr.members(value) or (kind == "gfp_t" and value[1]))

    def answer(self, callee: int, line: int, args: tuple[str, ...], state: State) -> Value:
        """What a function answers here where that is a choice: it selects what comes next."""
        returns = self.program.functions[callee].returns
        if returns in ("", "void") or returns.endswith("*") or self.program.outside[callee]:
            return UNKNOWN
        if returns in PLAIN:
            # What a function that does things answers is whether it failed, unless it is a bool.
            if not (returns == "bool" or self.interpreter.silence.silent(callee)):
                return UNKNOWN
            if not self.interpreter.decisions.decisive(callee):
                return UNKNOWN
        last = self.edges[-1] if self.edges else None
        if last and (last.callee, last.line) == (callee, line):
            context = last.context
        else:
            context = self.entered(callee, args, state)
        if returns in PLAIN and not self.chosen(callee, context):
            return UNKNOWN
        return self.interpreter.answer(callee, context)

    def chosen(self, callee: int, context: Context) -> bool:
        """Whether ``callee`` is handed constants that may choose its answer."""
        params = self.program.functions[callee].params
        return any(params[index][0] != "gfp_t" and value[1] == ALL for index, value in context.args)

    def change(self, callees: list[int], args: tuple[str, ...], state: State) -> None:
        """Forget what the callees may assign through pointers that they are handed, or know already."""
        if not state.env:
            return
        structs = state.structs()
        handed = set()
        for index, arg in enumerate(args):
            variable = arg.lstrip("&")
            if arg[:1] == "&":
                if state.star(variable):
                    state.env[variable] = UNKNOWN
                else:
                    state.env.pop(variable, None)
            elif arg in state.env and any(
                self.interpreter.changes.assigns(one, index) for one in callees
            ):
                state.set(arg, UNKNOWN)
            if not structs or (base := variable_of(variable)) not in structs:
                continue
            handed.add(base)
            if arg[:1] == "&" and self.program.type_of(variable, self.function) in SHARERS:
                state.drop(base, None)
            changed: frozenset[str] | None = frozenset() if callees else None
            for callee in callees:
                more = self.interpreter.changes.through(callee, index)
                changed = None if changed is None or more is None else changed | more
            state.drop(variable, changed)
        if structs and not all(map(self.interpreter.changes.nothing, callees or (-1,))):
            self.others_change(state, structs - handed)

    @staticmethod
    def others_change(state: State, structs: set[str]) -> None:
        """Others may have assigned members of those of ``structs`` that they know."""
        for variable in structs - state.private:
            state.drop(variable, None)

    def forget(self, state: State, events: list[Event]) -> None:
        """What ``events`` assign may have been assigned already, the time before."""
        for event in flatten(events):
            if event[0] == "=":
                self.named_anew(event[2], event[4], state)
                state.set(event[2].replace(" ", ""), UNKNOWN)
            elif event[0] == "c":
                if event[4]:
                    state.set(event[4].replace(" ", ""), UNKNOWN)
                if state.env:
                    direct = self.program.resolve(event[2], self.path)
                    self.change([] if direct is None else [direct], event[3], state)

    def named_anew(self, left: str, right: str, state: State) -> None:
        """``left`` is another name of ``right`` from now on, or of what it points to: nothing is believed
        of the members of either that is assigned by the other."""
        if left[:1] in "*(":
            state.drop(left.strip("*() "), None)
        other = _ANOTHER_NAME.match(right)
        if other and (name := other.group(1) or other.group(2)) in self.variables:
            state.private -= {name}
            if other.group(1) or name in state.structs():
                state.drop(name, None)
        key = left.replace(" ", "")
        if "->" in key and state.env and variable_of(key) not in state.private:
            member = key.rpartition("->")[2].rpartition(".")[2]
            for known in [one for one in state.env if one.endswith((f"->{member}", f".{member}"))]:
                if variable_of(known) not in state.private:
                    del state.env[known]

    def scope(self, state: State) -> int:
        bits = self.context.scope
        for _, more in state.scopes:
            bits |= more
        return bits
