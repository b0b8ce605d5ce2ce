"""Values of expressions inside a function: constants, flags, guards, what small functions answer."""

from __future__ import annotations

import re
from functools import lru_cache

from ring3.audit import cexpr
from ring3.audit.cexpr import FALSE, NONZERO, TRUE, UNKNOWN, Value
from ring3.audit.conditions import DEFAULT_D_OP, GIVEN_UP
from ring3.audit.contexts import RECLAIM_FLAGS
from ring3.audit.instances import Instances
from ring3.audit.program import MEMBER_CALL, WORD
from ring3.audit.state import State, variable_of
from ring3.audit.tables import KNOWN_CALLS

#: The value is that of the first argument.
_TRANSPARENT = frozenset(
    {"likely", "unlikely", "READ_ONCE", "__builtin_expect", "data_race", "WARN_ON", "WARN_ON_ONCE"}
)
_ROUNDS_UP = frozenset(
    {"DIV_ROUND_UP", "DIV_ROUND_UP_ULL", "round_up", "roundup", "ALIGN", "PAGE_ALIGN"}
)

#: In a state: the flags of the mappings of its ``masked`` inodes.
MASK = "@mask"
#: In a state: the size of the reclaimed inode is 0, as eviction sets it to delete all of it.
EMPTY = "@empty"
#: In a state: whether the reclaimed inode has links.
LINKS = "@links"
_SIZE = re.compile(r"^(\w+)->i_size$")


#: Words that C knows.
_WORDS = {"NULL": FALSE, "false": FALSE, "true": TRUE}


#: Most expressions are one of these, and need not be taken apart.
_PLACE = re.compile(f"[&*]?{cexpr.PLAIN.pattern}")
_CALL = re.compile(r"([A-Za-z_]\w*+)\([^()]*+\)")
_SIMPLE = re.compile(f"{_PLACE.pattern}|{_CALL.pattern}")
#: Calls that are worth something whatever their function does: those that Values.called() knows by name.
KNOWN = frozenset(
    {*_TRANSPARENT, *_ROUNDS_UP, *GIVEN_UP, *KNOWN_CALLS}
    | {"i_size_read", "current_is_kswapd", "BIT", "BIT_ULL"}
)

#: So many values of expressions are kept that depend on no state.
_MOST_ALONE = 20_000


@lru_cache(maxsize=20_000)
def _names(text: str) -> frozenset[str]:
    """What a state may know under which name of ``text``: variables, and answers of calls."""
    words = WORD.findall(text)
    more = [f"={word}()" for word in words] if "(" in text else []
    more += [f"{word}[]" for word in words] if "[" in text else []
    return frozenset(words + more)


@lru_cache(maxsize=20_000)
def _asked_again(text: str) -> tuple[str, ...]:
    """Names of answers of calls that are in ``text`` more than once."""
    return tuple(name for name in _names(text) if name[0] == "=" and text.count(name[1:-1]) > 1)


class Values(Instances):
    """``function`` entered in ``context``: what its expressions are worth in a state."""

    def value(self, text: str, state: State) -> Value:
        if text[:1] == "(" and text[-1] == ")" and "(" not in text[1:]:
            text = text[1:-1]
        if text.isidentifier():
            value = state.env.get(text) or _WORDS.get(text)
            return self.constant(text) if value is None else value
        if text.isdigit() and text[0] != "0":
            return (int(text) & cexpr.ALL, cexpr.ALL)
        if text[:1] == "!" and _SIMPLE.fullmatch(text, 1):
            return cexpr.opposite(self.value(text[1:], state))
        if _PLACE.fullmatch(text):
            return self.lookup(text, state)
        call = _CALL.fullmatch(text)
        if (
            call
            and self.interpreter.opaque(call[1], self.path)
            and f"={call[1]}()" not in state.env
        ):
            return UNKNOWN
        if not self.told_alone(text, state):
            return self.read(text, state)
        alone = self.interpreter.alone
        key = (text, self.function, self.context.domain, self.context.reclaim)
        found = alone.get(key)
        if found is None:
            if len(alone) > _MOST_ALONE:
                alone.clear()
            before, self.interpreter.asked = self.interpreter.asked, 0
            value = self.read(text, state)
            found = alone[key] = value, self.interpreter.asked
            self.interpreter.asked = before
        self.interpreter.asked |= found[1]
        return found[0]

    def told_alone(self, text: str, state: State) -> bool:
        """Whether nothing that the state knows has a part in ``text``: it is worth the same everywhere."""
        names = _names(text)
        if not names.isdisjoint(state.env):
            return False
        if ("." in text or "->" in text) and not names.isdisjoint(state.structs()):
            return False
        if state.tables and not names.isdisjoint(map(variable_of, state.tables)):
            return False
        if state.masked or EMPTY in state.env or LINKS in state.env:
            return "(" not in text and "i_size" not in text and "i_nlink" not in text
        return True

    def constant(self, name: str) -> Value:
        """The value of a constant; a variable of this function may have the name of one elsewhere."""
        return UNKNOWN if name in self.variables else self.program.constant(name)

    def read(self, text: str, state: State) -> Value:
        """The value of an expression that has to be looked at."""
        node = cexpr.parse(text)
        several = [name for name in _asked_again(text) if name in state.env]
        if several:  # asked with several arguments: the answer is that of the last call
            state = state.copy()
            for name in several:
                del state.env[name]
        if node[0] == "c" and "GFP_" in text:
            return self.either_flags(node, state)
        return self.evaluate(node, state)

    def evaluate(self, node: cexpr.Node, state: State) -> Value:
        return cexpr.evaluate(
            node, lambda n: self.lookup(n, state), lambda n, a: self.called(n, a, state)
        )

    def either_flags(self, node: cexpr.Node, state: State) -> Value:
        """``x ? GFP_NOWAIT : GFP_NOIO``, of which both happen: those that reclaim more are told."""
        chosen = cexpr.truth(self.evaluate(node[1], state))
        sides = [self.evaluate(side, state) for side in node[2:]]
        return self.most(sides) if chosen is None else sides[0 if chosen else 1]

    def most(self, flags: list[Value]) -> Value:
        """Of several GFP flags those that reclaim most."""
        gfp = self.program.gfp
        every = gfp["DIRECT_RECLAIM"] | gfp["IO"] | gfp["FS"]
        return max(flags, key=lambda value: (value[0] & value[1] & every).bit_count())

    def lookup(self, name: str, state: State) -> Value:
        value = state.known(name)
        if value is not None:
            return value
        if EMPTY in state.env and (size := _SIZE.match(name)) and size.group(1) in state.own:
            return FALSE
        if name in _WORDS:
            return _WORDS[name]
        if name[:1] == "&":
            return NONZERO
        if "->" in name or "." in name:
            if name == "current->flags":
                mask = self.program.memalloc
                return (mask if self.reclaim else 0, mask)
            if name.endswith("gfp_mask") and self.reclaim and name.startswith(("sc->", "ctl->")):
                return self.program.constant(RECLAIM_FLAGS[self.reclaim])
            if name.endswith("->s_flags") and self.reclaim:
                # The shrinkers hold s_umount of a superblock that is born and not dying.
                active = self.program.constant("SB_ACTIVE")[0]
                return (active, active)
            if name.endswith("i_nlink") and self.reclaim:
                if self.operations.keeps_unlinked:
                    return TRUE
                return state.env[LINKS] if LINKS in state.env and state.owns(name) else UNKNOWN
            if name.endswith("->d_op"):
                # Where it is set for the whole superblock every dentry has it.
                default = self.operations.names(DEFAULT_D_OP)
                return TRUE if default else UNKNOWN
            if self.settled and (self.function, self.last(name)) in self.settled:
                return NONZERO
            if self.instances.members:
                return self.of_table(name, state)
            return self.operation_exists(name)
        return self.constant(name)

    def last(self, name: str) -> str:
        """The last member of ``name``."""
        return name.rpartition(">")[2].rpartition(".")[2].removesuffix("[]")

    def directory_mask(self) -> Value:
        """The flags of the mappings of directories where the subject gives some others."""
        masks = self.operations.directory_masks
        return self.most([self.value(text, State()) for text in masks]) if masks else UNKNOWN

    def operation_exists(self, name: str) -> Value:
        """``if (sb->s_op->evict_inode)`` is decided by what the filesystem registers."""
        found = MEMBER_CALL.match(name)
        if not found or found.group(2) not in self.program.op_fields:
            return UNKNOWN
        struct = self.program.type_of(found.group(1), self.function)
        if struct not in ("super_operations", "dentry_operations"):
            return UNKNOWN
        return self.operations.has(struct, found.group(2))

    def called(
        self, name: str, args: tuple[cexpr.Node, ...], state: State, depth: int = 0
    ) -> Value:
        if name in _TRANSPARENT and args:
            return cexpr.evaluate(
                args[0], lambda n: self.lookup(n, state), lambda n, a: self.called(n, a, state)
            )
        if name == "i_size_read" and EMPTY in state.env and args and args[0][-1] in state.own:
            return FALSE
        if name in _ROUNDS_UP and args:
            rounded = cexpr.evaluate(
                args[0], lambda n: self.lookup(n, state), lambda n, a: self.called(n, a, state)
            )
            if rounded == FALSE:
                return FALSE
        if name in GIVEN_UP:
            return FALSE
        if name == "current_is_kswapd":
            return UNKNOWN if self.reclaim else FALSE
        if name in ("BIT", "BIT_ULL"):
            return self.program.constant_call(name, args)
        known = self.program.known_call(name)
        if known is not None:
            if args and args[0][0] == "v" and state.is_masked(args[0][1]):
                return state.env.get(MASK, UNKNOWN)
            if self.operations.lowers_mask:
                either = self.program.gfp["FS"] | self.program.gfp["IO"]
                return (known[0] & ~either, known[1] & ~either)
            return known
        answer = state.env.get(f"={name}()")
        if answer is not None and not depth:
            return answer
        if depth > 4:
            return UNKNOWN
        marked = {
            index for index, arg in enumerate(args) if arg[0] == "v" and state.is_masked(arg[1])
        }
        callee = self.program.resolve(name, self.path)
        if callee is None:
            return UNKNOWN
        text = self.interpreter.expression_of(callee)
        if text is None:
            return UNKNOWN
        names = [parameter for _, parameter in self.program.functions[callee].params]
        values = {
            parameter: cexpr.evaluate(
                arg,
                lambda n: self.lookup(n, state),
                lambda n, a: self.called(n, a, state, depth + 1),
            )
            for parameter, arg in zip(names, args, strict=False)
        }

        def inner(variable: str) -> Value:
            if variable in values:
                return values[variable]
            return (
                self.lookup(variable, state)
                if variable == "current->flags"
                else (self.program.constant(variable) if WORD.fullmatch(variable) else UNKNOWN)
            )

        return cexpr.evaluate(
            cexpr.parse(text),
            inner,
            lambda n, a: (
                self.called(n, a, _EMPTY, depth + 1)
                if not _uses(a, values)
                else self._nested(n, a, inner, depth + 1, [names[i] for i in marked], state)
            ),
        )

    def _nested(
        self,
        name: str,
        args: tuple[cexpr.Node, ...],
        lookup: cexpr.Lookup,
        depth: int,
        masked: list[str],
        outer: State,
    ) -> Value:
        """A call inside such an expression, whose arguments are the outer one's parameters."""
        state = State()
        renamed = []
        if masked:
            state.env[MASK] = outer.env.get(MASK, UNKNOWN)
        for index, arg in enumerate(args):
            if arg[0] == "v" and arg[1] in masked:
                state.masked = state.masked | {f"@{index}"}
            state.env[f"@{index}"] = cexpr.evaluate(arg, lookup, no_call)
            renamed.append(("v", f"@{index}"))
        return self.called(name, tuple(renamed), state, depth)


_EMPTY = State()


def no_call(name: str, args: tuple[cexpr.Node, ...]) -> Value:
    return UNKNOWN


def _uses(args: tuple[cexpr.Node, ...], names: dict[str, Value]) -> bool:
    return any(_mentions(arg, names) for arg in args)


def _mentions(node: cexpr.Node, names: dict[str, Value]) -> bool:
    if node[0] == "v":
        return node[1] in names
    return any(
        _mentions(part, names) if part and isinstance(part[0], str) else _uses(part, names)
        for part in node
        if isinstance(part, tuple)
    )
