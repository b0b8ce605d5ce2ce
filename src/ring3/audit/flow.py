"""One function, interpreted in one context: what it calls, allocates, locks and waits for, and under what.

The interpretation is one pass in source order.  Branches whose condition is decided by the context are
taken or left; of the others both sides are walked and joined.  A backward goto is not followed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ring3.audit import cexpr
from ring3.audit.cexpr import ALL, FALSE, TRUE, UNKNOWN, Value
from ring3.audit.facts import Event
from ring3.audit.program import Program, flatten
from ring3.audit.tables import (
    ACQUIRE,
    ALLOCATIONS,
    DEFERRED,
    ERROR_HANDLERS,
    GUARD,
    IMPORTED,
    MEMPOOLS,
    NEVER,
    NO_ALLOCATION,
    NORETURN,
    RELEASE,
    SCOPE_BEGIN,
    SCOPE_END,
    SCOPE_GUARD,
    SHARED,
    TREE_FLAGS,
    TRYLOCK,
    UMOUNT,
    WAITS,
)

NOFS, NOIO, NORECLAIM = 1, 2, 4
#: Flags of the allocation that reclaims, by Context.reclaim.
RECLAIM_FLAGS = ("", "GFP_KERNEL", "GFP_NOFS", "GFP_NOIO")
_SCOPE_BITS = {"__GFP_FS": NOFS, "__GFP_IO": NOIO, "PF_MEMALLOC": NORECLAIM}
_DEFERRED = frozenset(DEFERRED)
_ERRORS = frozenset(ERROR_HANDLERS)
_WORD = re.compile(r"[A-Za-z_]\w*")
_MEMBER_CALL = re.compile(r"^(.*?)(?:->|\.)\s*(\w+)$", re.S)
_PER_INODE = re.compile(r"(?:inode|_inode_info|_inode_t|_vnode)$|^address_space$|^ntfs_inode$")
_FROM_LIST = re.compile(r"^(?:container_of|list_entry|list_first_entry|list_first_entry_or_null)\(")
_SPECIAL = re.compile(r"(\w+)->i_ino (==|!=) [A-Z]\w*")
#: The value is that of the first argument.
_TRANSPARENT = frozenset(
    {"likely", "unlikely", "READ_ONCE", "__builtin_expect", "data_race", "WARN_ON", "WARN_ON_ONCE"}
)
#: Returned by functions whose value is an error or a count, not a choice.
_PLAIN = frozenset(
    {"", "int", "void", "bool", "long", "unsigned", "size_t", "ssize_t", "u32", "u64"}
)
_GUARDS = re.compile(r"^(?:guard|class)\((\w+)\)$")


class Lock(NamedTuple):
    """A lock held or taken.  ``own``: it belongs to the object that reclaim has taken out of use."""

    name: str
    mode: str
    line: int
    own: bool
    sure: bool = True
    guard: bool = False  # given back at the end of the block


class Context(NamedTuple):
    """How a function is entered.  ``args`` are the parameters of which something is known."""

    domain: str
    reclaim: int = 0  # 0: a task of its own; else inside reclaim with RECLAIM_FLAGS[reclaim]
    scope: int = 0
    args: tuple[tuple[int, Value], ...] = ()
    own: tuple[int, ...] = ()


class Edge(NamedTuple):
    """A call of ``callee`` at ``line``."""

    line: int
    callee: int
    context: Context
    held: tuple[Lock, ...]
    released: frozenset[str]
    how: str  # "" direct, else why it is believed


class Site(NamedTuple):
    """An allocation, a lock taken or a wait at ``line``.

    ``kind`` is "alloc", "lock" or "wait"; ``name`` the call, the lock class or what is waited for.
    """

    kind: str
    line: int
    name: str
    flags: Value
    held: tuple[Lock, ...]
    released: frozenset[str]
    mode: str = ""
    own: bool = False


class Walked(NamedTuple):
    """What a function does in a context, and what it leaves behind when it returns."""

    edges: tuple[Edge, ...]
    sites: tuple[Site, ...]
    acquired: tuple[Lock, ...]
    released: frozenset[str]
    scope: int
    ended: bool
    returns: Value = UNKNOWN


class Net(NamedTuple):
    """Locks and scopes that a function leaves taken or gives back."""

    acquired: tuple[Lock, ...]
    released: frozenset[str]
    scope: int
    ended: bool


class _State:
    __slots__ = ("env", "held", "own", "released", "scopes")

    def __init__(self) -> None:
        self.env: dict[str, Value] = {}
        self.held: tuple[Lock, ...] = ()
        self.released: frozenset[str] = frozenset()
        self.scopes: tuple[tuple[str, int], ...] = ()
        self.own: frozenset[str] = frozenset()

    def copy(self) -> _State:
        other = _State()
        other.env = dict(self.env)
        other.held, other.released = self.held, self.released
        other.scopes, other.own = self.scopes, self.own
        return other


def _join(a: _State | None, b: _State | None) -> _State | None:
    if a is None or b is None:
        return a or b
    out = a.copy()
    if a.env != b.env:
        out.env = {}
        for name, value in a.env.items():
            other = b.env.get(name)
            if other is not None:
                both = cexpr.either(value, other)
                if both[1]:
                    out.env[name] = both
    if a.held != b.held:
        mine, theirs = {lock.name for lock in a.held}, {lock.name for lock in b.held}
        out.held = tuple(
            lock if lock.name in theirs else lock._replace(sure=False) for lock in a.held
        ) + tuple(lock._replace(sure=False) for lock in b.held if lock.name not in mine)
    out.released = a.released | b.released
    out.scopes = a.scopes if len(a.scopes) >= len(b.scopes) else b.scopes
    out.own = a.own | b.own
    return out


class Interpreter:
    """Interprets functions of one program.  Keeps what does not depend on the context."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nets: dict[int, Net] = {}
        self._busy: set[int] = set()
        self._net_names: frozenset[str] | None = None
        self._answers: dict[tuple[int, Context], Value] = {}
        self._answering: list[int] = []
        self._invokes: dict[tuple[int, int], bool] = {}
        self._expressions: dict[int, str | None] = {}
        self._decisive: dict[int, frozenset[int]] = {}
        self._helpers: dict[int, list[tuple[str, int]]] = {}
        self.operations: dict[str, Operations] = {}

    def walk(self, function: int, context: Context) -> Walked:
        """Interpret ``function`` entered as ``context`` says."""
        return _Walk(self, function, context).run()

    def domain(self, unit: str) -> Operations:
        """The operations that subject ``unit`` registers."""
        if unit not in self.operations:
            self.operations[unit] = Operations(self.program, unit)
        return self.operations[unit]

    def decisive(self, function: int) -> frozenset[int]:
        """Parameters whose value can select a branch or flags here or below; others are not kept apart."""
        found = self._decisive.get(function)
        if found is not None:
            return found
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
            out: set[int] = set()
            for word in _WORD.findall(text):
                if word in carries:
                    out |= carries[word]
            return out

        path = program.file[function]
        for event in flatten(program.body(function)[1]):
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
                    if at in self.decisive(callee):
                        chosen |= more
        self._decisive[function] = frozenset(chosen)
        return self._decisive[function]

    def answer(self, function: int, context: Context) -> Value:
        """What ``function`` returns in ``context``, when it is one value."""
        key = (function, context)
        if key not in self._answers:
            self._answers[key] = UNKNOWN
            if len(self._answering) < 6:
                self._answering.append(function)
                self._answers[key] = self.walk(function, context).returns
                self._answering.pop()
        return self._answers[key]

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
                for event in flatten(self.program.body(function)[1]):
                    if event[0] != "c" or name not in event[3] or event[2] in _DEFERRED:
                        continue
                    callee = self.program.resolve(event[2], self.program.file[function])
                    if callee is not None and self.invokes(callee, event[3].index(name), depth + 1):
                        self._invokes[key] = True
                        break
        return self._invokes[key]

    def expression_of(self, function: int) -> str | None:
        """The expression of a function that only returns one of its arguments; None for any other."""
        if function not in self._expressions:
            events = self.program.body(function)[1]
            returns = [event[2] for event in events if event[0] == "ret"]
            plain = len(returns) == 1 and all(event[0] in ("c", "ret") for event in events)
            self._expressions[function] = returns[0] if plain and events[-1][0] == "ret" else None
        return self._expressions[function]

    # -- what calls leave behind

    def net(self, function: int) -> Net | None:
        """What ``function`` leaves locked or begun; None when it is balanced."""
        if self._net_names is None:
            self._net_names = _unbalanced(self.program)
        declared = self.program.functions[function]
        if declared.name not in self._net_names:
            return None
        if function in self.nets:
            return self.nets[function]
        if function in self._busy or len(self._busy) > 40:
            return None
        self._busy.add(function)
        walked = self.walk(function, Context(self.program.unit[function]))
        self._busy.discard(function)
        net = Net(walked.acquired, walked.released, walked.scope, walked.ended)
        self.nets[function] = net
        return net

    def leaving(self, callees: tuple[str, ...], path: str) -> list[Net]:
        """What those of ``callees`` that are unbalanced leave behind."""
        if self._net_names is None:
            self._net_names = _unbalanced(self.program)
        if self._net_names.isdisjoint(callees):
            return []
        found = []
        for name in callees:
            function = self.program.resolve(name, path) if name in self._net_names else None
            net = self.net(function) if function is not None else None
            if net is not None:
                found.append(net)
        return found

    def helper(self, function: int) -> list[tuple[str, int]]:
        """Lock primitives that ``function`` applies to its own bare parameters: (name, index)."""
        found = self._helpers.get(function)
        if found is None:
            declared = self.program.functions[function]
            found = []
            for primitive, arg in declared.locks:
                if primitive in ACQUIRE or primitive in RELEASE:
                    index = self.program.wrapper_parameter(arg, function)
                    if index is not None:
                        found.append((primitive, index))
            self._helpers[function] = found
        return found


def _unbalanced(program: Program) -> frozenset[str]:
    """Names of functions that may return with a lock or scope more, or fewer, than they came with."""
    gives: set[str] = set()
    takes: set[str] = set()
    both: set[str] = set()
    for index, function in enumerate(program.functions):
        if not function.locks or program.file[index].startswith(
            ("kernel/locking", "include/linux/m")
        ):
            continue
        begun = sum(name in ACQUIRE or name in SCOPE_BEGIN for name, _ in function.locks)
        ended = sum(name in RELEASE or name in SCOPE_END for name, _ in function.locks)
        if begun and ended:
            both.add(function.name)
        elif begun:
            takes.add(function.name)
        elif ended:
            gives.add(function.name)
        if "current_set_flags_nested" in function.callees:
            takes.add(function.name)
        if "current_restore_flags_nested" in function.callees:
            gives.add(function.name)
    for _ in range(5):
        more_takes, more_gives = set(), set()
        for function in program.functions:
            if function.name in takes or function.name in gives or function.name in both:
                continue
            callees = function.callees
            if len(callees) > 60:
                continue
            has_take = not takes.isdisjoint(callees)
            has_give = not gives.isdisjoint(callees)
            if has_take and not has_give:
                more_takes.add(function.name)
            elif has_give and not has_take:
                more_gives.add(function.name)
        if not more_takes and not more_gives:
            break
        takes |= more_takes
        gives |= more_gives
    return frozenset(takes | gives | both)


class Operations:
    """Which functions answer which operation of a subject: what its files define or refer to."""

    def __init__(self, program: Program, unit: str) -> None:
        self.unit = unit
        self.program = program
        self.fields: dict[tuple[str, str], list[tuple[str, str]]] = {}
        #: Member that is a radix tree -> the flags it was initialised with.
        self.trees: dict[str, str] = {}
        #: Whether some of its mappings have other flags than inodes are born with.
        self.lowers_mask = False
        referred: set[str] = set()
        for index in program.unit_functions.get(unit, ()):
            if program.functions[index].macro:
                continue
            for event in flatten(program.body(index)[1]):
                if event[0] == "=" and event[3] == "=":
                    right = event[4].lstrip("& (")
                    referred.update(_WORD.findall(right)[:3])
                    member = _MEMBER_CALL.match(event[2])
                    if member and right in program.by_name:
                        struct = program.type_of(member.group(1), index)
                        if struct:
                            key = (struct, member.group(2))
                            self.fields.setdefault(key, []).append((program.file[index], right))
                elif event[0] == "c":
                    self.lowers_mask |= event[2] == "mapping_set_gfp_mask"
                    if event[2] == "INIT_RADIX_TREE" and len(event[3]) == 2:
                        member = event[3][0].strip("&() ").rpartition("->")[2].rpartition(".")[2]
                        self.trees[member] = event[3][1]
                    referred.update(arg[1:] for arg in event[3] if arg[:1] == "&")
        entries = list(program.unit_ops.get(unit, ()))
        for variable in sorted(referred - program.unit_variables.get(unit, set())):
            entries += [
                entry
                for entry in program.variable_ops.get(variable, ())
                if program.unit_of(entry[2]).endswith((".c", "include", *SHARED))
            ]
        for struct, field, path, name in entries:
            self.fields.setdefault((struct, field), []).append((path, name))
        #: Whether unlinked inodes are kept from eviction in reclaim (gfs2 leaves them to a worker).
        self.keeps_unlinked = any(
            event[0] == "if" and "PF_MEMALLOC" in event[2] and "i_nlink" in event[2]
            for function in self.answer("super_operations", "drop_inode")
            if program.unit[function] == unit
            for event in flatten(program.body(function)[1])
        )

    def answer(self, struct: str, field: str) -> list[int]:
        """The functions behind ``field`` of ``struct`` here."""
        found = []
        for path, name in self.fields.get((struct, field), ()):
            function = self.program.resolve(name, path)
            if function is not None and function not in found:
                found.append(function)
        return found


class _Walk:
    def __init__(self, interpreter: Interpreter, function: int, context: Context) -> None:
        self.interpreter = interpreter
        self.program = interpreter.program
        self.function = function
        self.declared = self.program.functions[function]
        self.path = self.program.file[function]
        self.context = context
        self.edges: list[Edge] = []
        self.sites: list[Site] = []
        self.labels: dict[str, _State] = {}
        self.exits: list[_State] = []
        self.returned: list[Value] = []
        self.repeated = _repeated(self.program.body(function)[1])
        self.breaks: list[list[_State]] = []
        self.ended = False

    def run(self) -> Walked:
        state = _State()
        names = [name for _, name in self.declared.params]
        for index, value in self.context.args:
            if index < len(names):
                state.env[names[index]] = value
        state.own = frozenset(names[index] for index in self.context.own if index < len(names))
        final = self.block(self.program.body(self.function)[1], state, 0)
        last = final if final is not None else (self.exits[-1] if self.exits else None)
        returned = self.returned[0] if self.returned else UNKNOWN
        for value in self.returned[1:]:
            returned = cexpr.either(returned, value)
        if last is None:
            return Walked(tuple(self.edges), tuple(self.sites), (), frozenset(), 0, False, returned)
        scope = 0
        for _, bits in last.scopes:
            scope |= bits
        kept = tuple(lock for lock in last.held if not lock.guard)
        return Walked(
            tuple(self.edges),
            tuple(self.sites),
            kept,
            last.released,
            scope,
            self.ended,
            returned,
        )

    # -- statements

    def block(self, events: list[Event], state: _State | None, depth: int) -> _State | None:
        before = state
        if state is not None:
            before = state.copy()
        for event in events:
            kind = event[0]
            if kind == "label":
                # A label that nothing above jumps to, after code that does not come here, is not reached.
                state = _join(state, self.labels.pop(event[2], None))
                if state is not None and event[2] in self.repeated:
                    _forget(state, self.program.body(self.function)[1])
                continue
            if state is None:
                if depth > 100 or not _has_label(event):
                    continue
                state = None
                if kind == "if":
                    state = _join(
                        self.block(event[3], None, depth + 1), self.block(event[4], None, depth + 1)
                    )
                elif kind in ("loop", "do"):
                    self.breaks.append([])
                    state = self.block(event[3], None, depth + 1)
                    for out in self.breaks.pop():
                        state = _join(state, out)
                continue
            if kind == "c":
                state = self.call(event, state)
            elif kind == "block":
                state = self.block(event[3], state, depth + 1)
                if state is not None:
                    self.unguard(state)
            elif kind == "=":
                self.assign(event, state)
            elif kind == "if":
                state = self.branch(event, state, depth)
            elif kind in ("loop", "do"):
                before = state.copy()
                _forget(state, event[3])
                self.breaks.append([])
                after = self.block(event[3], state, depth + 1)
                for out in self.breaks.pop():
                    after = _join(after, out)
                forever = kind == "loop" and event[2] in ("", "1", "(1)", "true", "(true)")
                state = after if forever or kind == "do" else _join(before, after)
            elif kind == "switch":
                state = self.switch(event, state, depth)
            elif kind == "ret":
                self.returned.append(self.value(event[2], state))
                self.exits.append(state)
                state = None
            elif kind == "goto":
                joined = _join(self.labels.get(event[2]), state.copy())
                assert joined is not None
                self.labels[event[2]] = joined
                state = None
            elif kind == "jump":
                if self.breaks:
                    self.breaks[-1].append(state)
                state = None
        if state is not None and before is not None:
            self.unguard(state, before)
        return state

    def unguard(self, state: _State, before: _State | None = None) -> None:
        """End guards: the last one, that of a ``scoped_guard``, or all begun since ``before``."""
        if not any(lock.guard for lock in state.held) and not any(
            name == "guard" for name, _ in state.scopes
        ):
            return
        if before is None:
            for index in range(len(state.held) - 1, -1, -1):
                if state.held[index].guard:
                    state.held = state.held[:index] + state.held[index + 1 :]
                    break
        else:
            state.held = tuple(lock for lock in state.held if not lock.guard or lock in before.held)
            state.scopes = tuple(
                scope for scope in state.scopes if scope[0] != "guard" or scope in before.scopes
            )

    def branch(self, event: Event, state: _State, depth: int) -> _State | None:
        _, _, condition, then, otherwise = event
        chosen = cexpr.truth(self.value(condition, state))
        if state.own and "i_ino" in condition:
            # Special inodes (journal, quota, FSINFO) are held while mounted: reclaim never has one.
            special = _SPECIAL.search(condition)
            if special and special.group(1) in state.own and "&&" not in condition:
                chosen = special.group(2) == "!=" if "||" not in condition else chosen
        if chosen is not None:
            return self.block(then if chosen else otherwise, state, depth + 1)
        other = state.copy()
        self.narrow(condition, state, other)
        return _join(self.block(then, state, depth + 1), self.block(otherwise, other, depth + 1))

    def narrow(self, condition: str, then: _State, otherwise: _State) -> None:
        """``if (flags & X)``, ``if (x)``, ``if (!x)``, ``x == CONSTANT``: what each side knows more."""
        node = cexpr.parse(condition)
        if node[0] == "f" and node[1] in ("likely", "unlikely") and len(node[2]) == 1:
            node = node[2][0]
        if node[0] == "u" and node[1] == "!":
            node, then, otherwise = node[2], otherwise, then
        if node[0] == "v" and _WORD.fullmatch(node[1]):
            otherwise.env[node[1]] = FALSE
        elif node[0] == "b" and node[1] in ("==", "!=") and node[2][0] == "v":
            value = cexpr.evaluate(node[3], self.program.constant, _no_call)
            if value[1] == ALL and _WORD.fullmatch(node[2][1]):
                (then if node[1] == "==" else otherwise).env[node[2][1]] = value
        elif node[0] == "b" and node[1] == "&" and node[2][0] == "v":
            bits, known = cexpr.evaluate(node[3], self.program.constant, _no_call)
            if known == ALL and bits:
                name = node[2][1]
                old = otherwise.env.get(name, UNKNOWN)
                otherwise.env[name] = (old[0] & ~bits, old[1] | bits)
                if bits & (bits - 1) == 0:
                    old = then.env.get(name, UNKNOWN)
                    then.env[name] = (old[0] | bits, old[1] | bits)

    def switch(self, event: Event, state: _State, depth: int) -> _State | None:
        _, _, subject, cases = event
        value = self.value(subject, state)
        self.breaks.append([])
        after: _State | None = None
        default = False
        matched = False
        for label, body in cases:
            default = default or label is None
            entry: _State | None = state.copy()
            if label is not None and value[1] == ALL:
                wanted = self.value(label, state)
                if wanted[1] == ALL:
                    if wanted[0] != value[0]:
                        entry = None
                    else:
                        matched = True
            elif label is None and matched:
                entry = None
            after = self.block(body, _join(after, entry), depth + 1)
        for out in self.breaks.pop():
            after = _join(after, out)
        return after if default or matched else _join(after, state)

    def assign(self, event: Event, state: _State) -> None:
        _, _, left, operator, right = event
        if len(left) > 60:
            return
        key = left.replace(" ", "")
        value = state.env.pop(f"={key}", UNKNOWN)
        if not value[1]:
            value = self.value(right, state)
        if operator in ("|=", "&=", "^=", "+=", "-="):
            node = ("b", operator[0], ("v", key), cexpr.parse(right))
            value = cexpr.evaluate(
                node, lambda n: self.lookup(n, state), lambda n, a: self.called(n, a, state)
            )
        if value[1]:
            state.env[key] = value
        else:
            state.env.pop(key, None)
        if self.context.reclaim and _FROM_LIST.match(right) and self.context.domain[:3] == "fs/":
            # What a filesystem's shrinker takes off its list has no other user.
            state.own = state.own | {left}
        elif state.own and _WORD.fullmatch(left):
            words = set(_WORD.findall(right))
            kind = self.program.type_of(left, self.function)
            if _PER_INODE.search(kind) and not words.isdisjoint(state.own):
                state.own = state.own | {left}
            elif left in state.own:
                state.own = state.own - {left}

    # -- values

    def value(self, text: str, state: _State) -> Value:
        return cexpr.evaluate(
            cexpr.parse(text),
            lambda n: self.lookup(n, state),
            lambda n, a: self.called(n, a, state),
        )

    def lookup(self, name: str, state: _State) -> Value:
        value = state.env.get(name)
        if value is not None:
            return value
        if name == "NULL":
            return FALSE
        if name == "true":
            return TRUE
        if name == "false":
            return FALSE
        if "->" in name or "." in name:
            if name == "current->flags":
                mask = self.program.memalloc
                return (mask if self.context.reclaim else 0, mask)
            if (
                name.endswith("gfp_mask")
                and self.context.reclaim
                and name.startswith(("sc->", "ctl->"))
            ):
                return self.program.constant(RECLAIM_FLAGS[self.context.reclaim])
            if name.endswith("->s_flags") and self.context.reclaim:
                # The shrinkers hold s_umount of a superblock that is born and not dying.
                active = self.program.constant("SB_ACTIVE")[0]
                return (active, active)
            linked = name.endswith("->i_nlink") and self.context.reclaim
            if linked and self.interpreter.domain(self.context.domain).keeps_unlinked:
                return TRUE
            return self.operation_exists(name)
        return self.program.constant(name)

    def operation_exists(self, name: str) -> Value:
        """``if (sb->s_op->evict_inode)`` is decided by what the filesystem registers."""
        found = _MEMBER_CALL.match(name)
        if not found or found.group(2) not in self.program.op_fields:
            return UNKNOWN
        struct = self.program.type_of(found.group(1), self.function)
        if struct not in ("super_operations", "dentry_operations"):
            return UNKNOWN
        answers = self.interpreter.domain(self.context.domain).answer(struct, found.group(2))
        return TRUE if answers else FALSE

    def called(
        self, name: str, args: tuple[cexpr.Node, ...], state: _State, depth: int = 0
    ) -> Value:
        if name in _TRANSPARENT and args:
            return cexpr.evaluate(
                args[0], lambda n: self.lookup(n, state), lambda n, a: self.called(n, a, state)
            )
        if name == "current_is_kswapd":
            return UNKNOWN if self.context.reclaim else FALSE
        if name in ("BIT", "BIT_ULL"):
            return self.program._constant_call(name, args)
        known = self.program.known_call(name)
        if known is not None:
            if self.interpreter.domain(self.context.domain).lowers_mask:
                either = self.program.gfp["FS"] | self.program.gfp["IO"]
                return (known[0] & ~either, known[1] & ~either)
            return known
        if depth > 4:
            return UNKNOWN
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
                else (self.program.constant(variable) if _WORD.fullmatch(variable) else UNKNOWN)
            )

        return cexpr.evaluate(
            cexpr.parse(text),
            inner,
            lambda n, a: (
                self.called(n, a, _EMPTY, depth + 1)
                if not _uses(a, values)
                else self._nested(n, a, inner, depth + 1)
            ),
        )

    def _nested(
        self, name: str, args: tuple[cexpr.Node, ...], lookup: cexpr.Lookup, depth: int
    ) -> Value:
        """A call inside such an expression, whose arguments are the outer one's parameters."""
        state = _State()
        renamed = []
        for index, arg in enumerate(args):
            state.env[f"@{index}"] = cexpr.evaluate(arg, lookup, _no_call)
            renamed.append(("v", f"@{index}"))
        return self.called(name, tuple(renamed), state, depth)

    # -- calls

    def call(self, event: Event, state: _State) -> _State | None:
        _, line, name, args, target = event
        if target:
            state.env.pop(target.replace(" ", ""), None)
        for arg in args:
            if arg[:1] == "&":
                state.env.pop(arg[1:], None)
        plain = name.removesuffix("_noprof")
        allocation = ALLOCATIONS.get(plain)
        if allocation is not None:
            self.allocate(line, plain, args, state)
            return state
        if name in ACQUIRE:
            index, mode = ACQUIRE[name]
            if index < len(args):
                self.acquire(line, args[index], mode, state, blocking=True)
            return state
        if name in TRYLOCK:
            if args:
                self.acquire(line, args[0], TRYLOCK[name][1], state, blocking=False)
            return state
        if name in RELEASE:
            if args:
                self.release(self.lock_class(args[0]), state)
            return state
        if name == "downgrade_write" or name in ("lockdep_assert_held", "might_sleep"):
            return state
        if name in SCOPE_BEGIN:
            bits = 0
            for bit in SCOPE_BEGIN[name]:
                bits |= _SCOPE_BITS[bit]
            state.scopes = (*state.scopes, (target, bits))
            return state
        if name == "current_set_flags_nested" and len(args) > 1:
            if "NOFS" in args[1]:
                state.scopes = (*state.scopes, (args[0], NOFS))
            return state
        if name in SCOPE_END or name == "current_restore_flags_nested":
            self.end_scope(args[0] if args else "", state)
            return state
        guard = _GUARDS.match(name)
        if guard or name in ("scoped_guard", "scoped_cond_guard"):
            kind = guard.group(1) if guard else (args[0] if args else "")
            if kind in GUARD and args:
                lock = args[0] if guard else args[-1]
                self.acquire(line, lock, GUARD[kind], state, blocking=True, guard=True)
            elif kind in SCOPE_GUARD:
                bits = sum(_SCOPE_BITS[bit] for bit in SCOPE_GUARD[kind])
                state.scopes = (*state.scopes, ("guard", bits))
            return state
        if name in NORETURN:
            return None
        if name in _ERRORS:
            return state
        if name in WAITS:
            waited = args[WAITS[name]] if len(args) > WAITS[name] else ""
            self.site(
                Site("wait", line, f"{name}({waited})", UNKNOWN, state.held, state.released), state
            )
            return state
        if name in IMPORTED and self.program.resolve(name, self.path) is None:
            flags = cexpr.evaluate(cexpr.parse(IMPORTED[name]), self.program.constant, _no_call)
            self.alloc_site(line, name, flags, state)
            return state
        for callee, how in self.callees(name, args):
            self.enter(line, callee, args, state, how)
            if target and not how and self.program.functions[callee].returns not in _PLAIN:
                self.answered(callee, target, state)
        return state

    def answered(self, callee: int, target: str, state: _State) -> None:
        """Keep what an enum-valued function answers in this context: it selects what comes next."""
        if not self.edges or self.edges[-1].callee != callee or "*" in target:
            return
        if self.program.functions[callee].returns.endswith("*"):
            return
        value = self.interpreter.answer(callee, self.edges[-1].context)
        if value[1] == ALL:
            state.env[f"={target}"] = value

    def callees(self, name: str, args: tuple[str, ...]) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        if _WORD.fullmatch(name):
            direct = self.program.resolve(name, self.path)
            if direct is not None:
                found.append((direct, ""))
        else:
            member = _MEMBER_CALL.match(name.strip("()* "))
            if member and member.group(2) in self.program.op_fields:
                field = member.group(2)
                struct = self.program.type_of(member.group(1), self.function)
                operations = self.interpreter.domain(self.context.domain)
                structs = (
                    [struct]
                    if struct
                    else [
                        owner
                        for owner in self.program.op_fields[field]
                        if (owner, field) in operations.fields
                    ]
                )
                if len(structs) == 1:
                    owner = self.context.domain
                    answers = operations.answer(structs[0], field)
                    if not answers:
                        # Shared machinery (quota formats, jbd2) answers its own operations.
                        owner = self.program.unit[self.function]
                        answers = self.interpreter.domain(owner).answer(structs[0], field)
                    found.extend((answer, f"{structs[0]}.{field} of {owner}") for answer in answers)
        if name not in _DEFERRED and not name.startswith(("INIT_", "trace_")):
            found += self.callbacks(name, args, found[0][0] if found else None)
        return found

    def callbacks(
        self, name: str, args: tuple[str, ...], callee: int | None
    ) -> list[tuple[int, str]]:
        """Functions handed over that the callee calls; believed but doubted when it is not in the tree."""
        found = []
        for index, arg in enumerate(args):
            if len(arg) < 4 or not arg.isidentifier() or arg not in self.program.by_name:
                continue
            if arg in self.program.body(self.function)[0]:
                continue
            if any(arg == parameter for _, parameter in self.declared.params):
                continue
            callback = self.program.resolve(arg, self.path)
            if callback is None or self.program.functions[callback].macro:
                continue
            if callee is None:
                found.append((callback, f"handed to {name}(), which is not in the tree"))
            elif self.interpreter.invokes(callee, index):
                found.append((callback, f"called by {name}()"))
        return found

    def enter(self, line: int, callee: int, args: tuple[str, ...], state: _State, how: str) -> None:
        program = self.program
        declared = program.functions[callee]
        direct = not how.startswith(("handed to", "called by"))
        if self.context.reclaim:
            if declared.name in UMOUNT or (self.declared.name, declared.name) in NEVER:
                return
            # Inodes that reclaim takes are clean, or unlinked; here it takes no unlinked ones.
            clean = self.interpreter.domain(self.context.domain).keeps_unlinked
            if clean and declared.name == "do_writepages":
                return
        outside = program.outside[callee] and program.unit[callee] != self.context.domain
        if outside and _shared_with(program.file[callee], self.context.domain):
            outside = False
        if direct:
            helper = self.interpreter.helper(callee)
            if helper:
                for primitive, index in helper:
                    if index < len(args):
                        if primitive in ACQUIRE:
                            self.acquire(
                                line, args[index], ACQUIRE[primitive][1], state, blocking=True
                            )
                        else:
                            self.release(self.lock_class(args[index]), state)
        if outside:
            if direct and not declared.name.startswith(NO_ALLOCATION):
                for index, (kind, _) in enumerate(declared.params):
                    if kind == "gfp_t" and index < len(args):
                        flags = self.value(args[index], state)
                        self.alloc_site(line, declared.name, flags, state)
                        break
            return
        known: list[tuple[int, Value]] = []
        own: list[int] = []
        if direct:
            for index, (kind, parameter) in enumerate(declared.params):
                if index >= len(args):
                    break
                arg = args[index]
                if kind.endswith("*") and arg.strip("&") in state.own:
                    own.append(index)
                    continue
                per_inode = state.own and _PER_INODE.search(kind.rstrip("*"))
                if per_inode and not state.own.isdisjoint(_WORD.findall(arg)):
                    own.append(index)
                if kind.endswith("*") and arg not in ("NULL", "0"):
                    continue
                if parameter and arg[:1] not in '"&' and index in self.interpreter.decisive(callee):
                    value = self.value(arg, state)
                    if value[1] and (value[1] == ALL or kind == "gfp_t" or not kind):
                        known.append((index, value))
        if declared.name == "evict" and self.context.reclaim:
            own = [0]
        context = Context(
            self.context.domain,
            self.context.reclaim,
            self.scope(state),
            tuple(known),
            tuple(own),
        )
        self.edges.append(Edge(line, callee, context, state.held, state.released, how))
        if direct:
            net = self.interpreter.net(callee)
            if net is not None:
                for lock in net.acquired:
                    state.held = (*state.held, lock._replace(line=line, own=False))
                for name in net.released:
                    self.release(name, state)
                if net.scope:
                    state.scopes = (*state.scopes, ("", net.scope))
                if net.ended:
                    self.end_scope("", state)

    def scope(self, state: _State) -> int:
        bits = self.context.scope
        for _, more in state.scopes:
            bits |= more
        return bits

    def end_scope(self, variable: str, state: _State) -> None:
        for index in range(len(state.scopes) - 1, -1, -1):
            if state.scopes[index][0] == variable:
                state.scopes = state.scopes[:index] + state.scopes[index + 1 :]
                return
        if state.scopes:
            state.scopes = state.scopes[:-1]
        else:
            self.ended = True

    def acquire(
        self,
        line: int,
        text: str,
        mode: str,
        state: _State,
        *,
        blocking: bool,
        guard: bool = False,
    ) -> None:
        name = self.lock_class(text)
        if not name:
            return
        own = bool(state.own) and not state.own.isdisjoint(_WORD.findall(text))
        if blocking:
            self.sites.append(
                Site("lock", line, name, UNKNOWN, state.held, state.released, mode, own)
            )
        state.held = (*state.held, Lock(name, mode, line, own, True, guard))
        state.released = state.released - {name}

    def lock_class(self, text: str) -> str:
        """The lock's class; "" when it is a parameter's, for which the callers answer."""
        if self.program.wrapper_parameter(text, self.function) is not None:
            return ""
        return self.program.lock_class(text, self.function)

    def release(self, name: str, state: _State) -> None:
        for index in range(len(state.held) - 1, -1, -1):
            if state.held[index].name == name:
                state.held = state.held[:index] + state.held[index + 1 :]
                return
        state.released = state.released | {name}

    def allocate(self, line: int, name: str, args: tuple[str, ...], state: _State) -> None:
        allocation = ALLOCATIONS[name]
        if allocation.needs is not None:
            index, constant = allocation.needs
            wanted = self.program.constant(constant)[0]
            bits, known = self.value(args[index], state) if index < len(args) else UNKNOWN
            if not bits & known & wanted:
                return
        if name in TREE_FLAGS and args:
            member = args[0].strip("&() ").rpartition("->")[2].rpartition(".")[2]
            text = self.interpreter.domain(self.context.domain).trees.get(member)
            if text is not None:
                self.alloc_site(line, f"{name}({member})", self.value(text, state), state)
            elif member != args[0] or len(self.declared.callees) < 4:
                return  # whose tree it is, is not known here
            else:
                self.alloc_site(line, name, self.program.constant("GFP_KERNEL"), state)
            return
        if allocation.flags is None or allocation.flags >= len(args):
            flags = self.program.constant(allocation.default)
        else:
            flags = self.value(args[allocation.flags], state)
            if not flags[1]:
                # A type among the arguments may have been read as two of them.
                named = [arg for arg in args if arg.startswith("GFP_")]
                flags = self.value(named[-1], state) if named else flags
        if name in MEMPOOLS:
            nofail = self.program.gfp["NOFAIL"]
            flags = (flags[0] & ~nofail, flags[1] | nofail)
        self.alloc_site(line, name, flags, state)

    def alloc_site(self, line: int, name: str, flags: Value, state: _State) -> None:
        scope = self.scope(state)
        gfp = self.program.gfp
        cleared = (gfp["FS"] if scope & (NOFS | NOIO) else 0) | (gfp["IO"] if scope & NOIO else 0)
        if scope & NORECLAIM:
            cleared |= gfp["DIRECT_RECLAIM"]
        flags = (flags[0] & ~cleared, flags[1] | cleared)
        self.site(Site("alloc", line, name, flags, state.held, state.released), state)

    def site(self, site: Site, state: _State) -> None:
        self.sites.append(site)


_EMPTY = _State()


def _no_call(name: str, args: tuple[cexpr.Node, ...]) -> Value:
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


def _repeated(events: list[Event]) -> frozenset[str]:
    """Labels that something further down jumps to: what is after them happens again."""
    seen: set[str] = set()
    found: set[str] = set()
    for event in flatten(events):
        if event[0] == "label":
            seen.add(event[2])
        elif event[0] == "goto" and event[2] in seen:
            found.add(event[2])
    return frozenset(found)


def _forget(state: _State, events: list[Event]) -> None:
    """What ``events`` assign may have been assigned already, the time before."""
    for event in flatten(events):
        if event[0] == "=":
            state.env.pop(event[2].replace(" ", ""), None)
        elif event[0] == "c" and event[4]:
            state.env.pop(event[4].replace(" ", ""), None)


def _has_label(event: Event) -> bool:
    return any(inner[0] == "label" for inner in flatten([event]))


def _shared_with(path: str, domain: str) -> bool:
    """Code outside of ``domain`` that belongs to its story all the same."""
    if domain.startswith("drivers/gpu/drm"):
        return path.startswith(("drivers/gpu/drm/ttm", "drivers/gpu/drm/scheduler")) or (
            path.startswith("drivers/gpu/drm/") and path.count("/") == 3
        )
    return domain.startswith("fs/nfs") and path.startswith("net/sunrpc")
