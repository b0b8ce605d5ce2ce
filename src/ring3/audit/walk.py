"""One function, interpreted in one context: its statements in source order.

Branches whose condition is decided by the context are taken or left; of the others both sides are walked
and joined.  A backward goto is not followed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ring3.audit import cexpr
from ring3.audit.calls import Calls
from ring3.audit.cexpr import ALL, FALSE, NONZERO, TRUE, UNKNOWN, Value
from ring3.audit.conditions import LAST_REFERENCE
from ring3.audit.contexts import NOFS, NOIO, NORECLAIM, Context, Lock, Walked
from ring3.audit.forms import Event
from ring3.audit.primitives import JOURNAL_INFO
from ring3.audit.program import PER_INODE, WORD, flatten
from ring3.audit.state import NESTED, TASK_FLAGS, State, join
from ring3.audit.values import EMPTY, LINKS, MASK, no_call

if TYPE_CHECKING:
    from ring3.audit.flow import Interpreter

_FROM_LIST = re.compile(r"^(?:container_of|list_entry|list_first_entry|list_first_entry_or_null)\(")
_LARGER = re.compile(r"^\(*(\w+)->i_size > [^&|]*$")
_TASK_FLAGS = {
    "PF_MEMALLOC": NORECLAIM,
    "PF_MEMALLOC_NOFS": NOFS,
    "PF_MEMALLOC_NOIO": NOIO | NOFS,
}
#: What a function returns when it failed.
_ERROR = re.compile(r"-E[A-Z]+$|ERR_PTR\(|ERR_CAST\(|(?:NULL|false)$")
#: What holds whether a call has failed.
_FAILURE = re.compile(r"(?:err|error|ret|rc|retval|status|result)\d?$")
_IS_ERR = re.compile(r"[( ]*(!?)[( ]*(?:(?:un)?likely\()?IS_ERR(?:_OR_NULL)?\([^&|]*$")
#: What the code itself says never happens.
_NEVER_TRUE = re.compile(
    r"\(*(?:unlikely\()?(?:WARN|WARN_ON|WARN_ON_ONCE|WARN_ONCE|VM_WARN_ON|VM_WARN_ON_ONCE)\("
)
_CALL = re.compile(r"(likely|unlikely|IS_ERR|IS_ERR_OR_NULL)\(")
_AGAINST_0 = re.compile(r"(\w+) (<|!=|==|>=) 0$")
#: What a condition changes before it is tested, or in between.
_CHANGES = re.compile(r"(\w+)\s*(?:=(?!=)|[-+*/&|^]=|\+\+|--)|(?:\+\+|--)\s*(\w+)")
_SPECIAL = re.compile(r"(\w+)->i_ino (==|!=) [A-Z]\w*")


class Walk(Calls):
    """The statements of one function, in source order."""

    def __init__(self, interpreter: Interpreter, function: int, context: Context) -> None:
        super().__init__(interpreter, function, context)
        self.labels: dict[str, State] = {}
        self.exits: list[tuple[State, str]] = []  # and what is returned there
        self.returned: list[Value] = []
        self.repeated = self.interpreter.repeated(function)
        self.breaks: list[list[State]] = []

    def run(self) -> Walked:
        state = State()
        names = [name for _, name in self.declared.params]
        for index, value in self.context.args:
            if index < len(names):
                state.env[names[index]] = value
        for index, member, value in self.context.fields:
            state.env[f"{names[index]}->{member}"] = value
        state.private = self.interpreter.structs(self.function).union(
            names[index] for index, _, _ in self.context.fields
        )
        state.tables = {
            f"{names[index]}->{member}": tables
            for index, member, tables in self.context.tables
            if index < len(names)
        }
        state.own = frozenset(names[index] for index in self.context.own if index < len(names))
        if self.context.empty:
            state.env[EMPTY] = TRUE
        if self.context.links[1]:
            state.env[LINKS] = self.context.links
        if self.context.masked:
            state.masked = frozenset(names[i] for i in self.context.masked if i < len(names))
            state.env[MASK] = self.context.mask
        # What the kernel calls ``dir`` is one.
        known = self.directory_mask() if "dir" in names else UNKNOWN
        if known[1] and state.env.setdefault(MASK, known) == known:
            state.masked = state.masked | {"dir"}
        final = self.block(self.program.body(self.function)[1], state, 0)
        last = final if final is not None else self.last_exit()
        returned = self.returned[0] if self.returned else UNKNOWN
        for value in self.returned[1:]:
            returned = cexpr.either(returned, value)
        if last is None:
            return Walked(tuple(self.edges), tuple(self.sites), (), frozenset(), 0, False, returned)
        kept, scope = self.left(last)
        return Walked(
            tuple(self.edges),
            tuple(self.sites),
            kept,
            last.released,
            scope,
            self.ended,
            returned,
        )

    def last_exit(self) -> State | None:
        """The last state in which the function returns, and not because it has failed if it may succeed."""
        succeeds = [state for state, answer in self.exits if not _ERROR.match(answer)]
        every = succeeds or [state for state, _ in self.exits]
        return every[-1] if every else None

    def left(self, last: State) -> tuple[tuple[Lock, ...], int]:
        """Locks and scopes that the caller has after the call, if it goes on.

        A function that answers something answers whether it took them: who got an error leaves.
        """
        exits = [(last, "")]
        if self.declared.returns not in ("", "void"):
            exits += [(state, answer) for state, answer in self.exits if not _ERROR.match(answer)]
        kept: dict[str, Lock] = {}
        scope = 0
        for state, answer in exits:
            mark = _condition(answer)
            for lock in state.held:
                if lock.guard:
                    continue
                if mark and lock.when in (mark, _opposite(mark)):
                    lock = lock._replace(sure=True, when="")
                known = kept.get(lock.name)
                if known is None or (lock.sure and not known.sure):
                    kept[lock.name] = lock
            for _, bits in state.scopes:
                scope |= bits
        return tuple(kept.values()), scope

    # -- statements

    def block(self, events: list[Event], state: State | None, depth: int) -> State | None:
        before = (state.held, state.scopes) if state is not None else None
        for at, event in enumerate(events):
            kind = event[0]
            if kind == "label":
                # A label that nothing above jumps to, after code that does not come here, is not reached.
                state = self.meet(state, self.labels.pop(event[2], None))
                if state is not None and event[2] in self.repeated:
                    self.forget(state, events[at + 1 :])
                continue
            if state is None:
                if depth > 100 or not _has_label(event):
                    continue
                state = None
                if kind == "if":
                    state = join(
                        self.block(event[3], None, depth + 1), self.block(event[4], None, depth + 1)
                    )
                elif kind in ("loop", "do"):
                    self.breaks.append([])
                    state = self.block(event[3], None, depth + 1)
                    for out in self.breaks.pop():
                        state = join(state, out)
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
                skipped = state.copy()
                if kind == "loop" and cexpr.truth(self.value(event[2], state)) is False:
                    continue
                self.forget(state, event[3])
                self.breaks.append([])
                after = self.block(event[3], state, depth + 1)
                for out in self.breaks.pop():
                    after = join(after, out)
                forever = kind == "loop" and event[2] in ("", "1", "(1)", "true", "(true)")
                state = after if forever or kind == "do" else join(skipped, after)
            elif kind == "switch":
                state = self.switch(event, state, depth)
            elif kind == "ret":
                self.returned.append(self.value(event[2], state))
                self.exits.append((state, event[2]))
                state = None
            elif kind == "goto":
                joined = self.meet(self.labels.get(event[2]), state.copy())
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

    def meet(self, a: State | None, b: State | None) -> State | None:
        """The two ways to a label joined: what is locked for certain on one of them, is where the
        answer says so."""
        if a is not None and b is not None and a.held != b.held:
            events = self.program.events(self.function)
            answers = {event[2] for event in events if event[0] == "ret"}
            for one, other in ((a, b), (b, a)):
                theirs = {lock.name for lock in other.held}
                succeeded = next(
                    (v for v in answers if one.env.get(v) == FALSE and other.env.get(v) != FALSE),
                    None,
                )
                if succeeded:
                    one.held = tuple(
                        lock
                        if lock.name in theirs or lock.when or not lock.sure
                        else lock._replace(when=f"!{succeeded}")
                        for lock in one.held
                    )
        return join(a, b)

    def unguard(
        self,
        state: State,
        before: tuple[tuple[Lock, ...], tuple[tuple[str, int], ...]] | None = None,
    ) -> None:
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
            held, scopes = before
            state.held = tuple(lock for lock in state.held if not lock.guard or lock in held)
            state.scopes = tuple(
                scope for scope in state.scopes if scope[0] != "guard" or scope in scopes
            )

    def branch(self, event: Event, state: State, depth: int) -> State | None:
        _, _, condition, then, otherwise = event
        chosen = cexpr.truth(self.value(condition, state))
        larger = state.own and EMPTY in state.env and _LARGER.match(condition)
        if larger and larger.group(1) in state.own:
            chosen = False  # nothing is smaller than an empty inode
        if state.own and "i_ino" in condition:
            # Special inodes (journal, quota, FSINFO) are held while mounted: reclaim never has one.
            special = _SPECIAL.search(condition)
            if special and special.group(1) in state.own and "&&" not in condition:
                chosen = special.group(2) == "!=" if "||" not in condition else chosen
        if chosen is None and (_NEVER_TRUE.match(condition) or self.last_of_device(condition)):
            chosen = False
        if chosen is not None:
            return self.block(then if chosen else otherwise, state, depth + 1)
        other = state.copy()
        self.narrow(condition, state, other)
        if condition.strip("()") == JOURNAL_INFO:
            state.env[NESTED] = TRUE
        mark = _condition(condition)
        before = {lock.name for lock in state.held}
        _held_when(state, mark)
        _held_when(other, _opposite(mark))
        if error := _IS_ERR.match(condition):
            (other if error.group(1) else state).failed = True
        elif _FAILURE.match(mark.removeprefix("!")):
            (other if mark[0] == "!" else state).failed = True
        one = self.block(then, state, depth + 1)
        two = self.block(otherwise, other, depth + 1)
        if one is None or two is None:
            return one or two
        joined = join(one, two)
        assert joined is not None
        if joined.held and len(condition) < 80:
            # Taken for certain on one side, and not at all on the other or before.
            marks = {lock.name: mark for lock in one.held if lock.sure}
            marks |= {lock.name: _opposite(mark) for lock in two.held if lock.sure}
            joined.held = tuple(
                lock._replace(when=marks.get(lock.name, ""))
                if not lock.sure
                and lock.name not in before
                and (not lock.when or lock.name in marks)
                else lock
                for lock in joined.held
            )
        return joined

    def last_of_device(self, condition: str) -> bool:
        """Whether, for ``condition``, the last reference to a block device goes in the midst of its I/O."""
        last = LAST_REFERENCE.match(condition)
        if not last or not self.reclaim:
            return False
        struct = self.program.type_of(last.group(1), self.function)
        return "gendisk*" in self.program.members(struct, self.program.unit[self.function]).values()

    def narrow(self, condition: str, then: State, otherwise: State) -> None:
        """What each side of an undecided branch knows more."""
        changed: set[str] = set()
        if "=" in condition or "++" in condition or "--" in condition:
            changed = {found.group(1) or found.group(2) for found in _CHANGES.finditer(condition)}
        self._narrow(cexpr.parse(condition), then, otherwise, changed)

    def _narrow(self, node: cexpr.Node, then: State, otherwise: State, changed: set[str]) -> None:
        if node[0] == "f" and node[1] in ("likely", "unlikely") and len(node[2]) == 1:
            node = node[2][0]
        if node[0] == "u" and node[1] == "!":
            self._narrow(node[2], otherwise, then, changed)
        elif node[0] == "b" and node[1] in ("&&", "||"):
            # Where both hold, or both fail, that is known of each; else one of them.
            for part in node[2:]:
                both = (then, State()) if node[1] == "&&" else (State(), otherwise)
                self._narrow(part, *both, changed)
        else:
            subject = node[2] if node[0] == "b" else node
            if self.instances.members:
                self.tell(node, then, otherwise)
            if subject[0] != "v" or subject[1] in changed or not WORD.fullmatch(subject[1]):
                return
            name = subject[1]
            old = then.env.get(name) or otherwise.env.get(name) or UNKNOWN
            for side, wanted in ((then, True), (otherwise, False)):
                value = self._where(node, name, old, wanted, side)
                if value != UNKNOWN:
                    side.env[name] = value

    def _where(self, node: cexpr.Node, name: str, old: Value, wanted: bool, side: State) -> Value:
        """What ``name``, of which ``old`` is known, is where the truth of ``node`` is ``wanted``."""

        def holds(constant: int) -> bool:
            def lookup(other: str) -> Value:
                return (constant, ALL) if other == name else self.lookup(other, side)

            return cexpr.truth(cexpr.evaluate(node, lookup, no_call)) is not (not wanted)

        few = cexpr.members(old)
        if few:
            return cexpr.one_of(constant for constant in few if holds(constant))
        if not holds(0):
            return old if cexpr.truth(old) else NONZERO
        if node[0] == "v":
            return FALSE if not wanted else old
        value = cexpr.evaluate(node[3], lambda n: self.lookup(n, side), no_call)
        if value[1] != ALL:
            return old
        if node[1] in ("==", "!="):
            return value if wanted == (node[1] == "==") else old
        if node[1] == "&" and value[0]:
            bits = value[0]
            if not wanted:
                return (old[0] & ~bits, old[1] | bits)
            if bits & (bits - 1) == 0:
                return (old[0] | bits, old[1] | bits)
        return old

    def switch(self, event: Event, state: State, depth: int) -> State | None:
        _, _, subject, cases = event
        possible = set(cexpr.members(self.value(subject, state)))
        labels = [
            () if label is None else cexpr.members(self.value(label, state)) for label, _ in cases
        ]
        rest = possible.difference(*labels)
        self.breaks.append([])
        after: State | None = None
        default = False
        for (label, body), wanted in zip(cases, labels, strict=True):
            default = default or label is None
            entered = rest if label is None else possible.intersection(wanted) or not wanted
            entry = state.copy() if entered or not possible else None
            if entry is not None and label is not None and self.instances.members:
                self.tell(cexpr.parse(f"{subject} == {label}"), entry, State())
            after = self.block(body, join(after, entry), depth + 1)
        for out in self.breaks.pop():
            after = join(after, out)
        return after if default or (possible and not rest) else join(after, state)

    def assign(self, event: Event, state: State) -> None:
        _, _, left, operator, right = event
        if len(left) > 60:
            return
        if left == "current->flags":
            self.task_flags(operator, right, state)
            return
        if left == JOURNAL_INFO:
            text = self.named(left, 0, ())
            name = self.lock_class(text)
            begins = right not in ("NULL", "0")
            if not begins or any(lock.name == name for lock in state.held):
                self.release(name, state)
            if begins:
                self.acquire(event[1], text, "w", state, blocking=False)
            return
        if state.masked and WORD.fullmatch(left):
            # What a call answers is another inode, unless it is a cast (F2FS_I(inode)).
            same = state.is_masked(right) and ("(" not in right or right[0].isupper())
            state.masked = state.masked | {left} if same else state.masked - {left}
        self.named_anew(left, right, state)
        key = left.replace(" ", "")
        if key.endswith("->i_size") and key[:-8] in state.own:
            state.env.pop(EMPTY, None)
            if right == "0":
                state.env[EMPTY] = TRUE
        value = state.env.pop(f"={key}", UNKNOWN)
        if value == UNKNOWN:
            value = self.value(right, state)
        if operator != "=":
            node = ("b", operator[:-1], ("v", key), cexpr.parse(right))
            value = cexpr.evaluate(
                node, lambda n: self.lookup(n, state), lambda n, a: self.called(n, a, state)
            )
        if WORD.fullmatch(key):
            if key not in self.variables:
                value = UNKNOWN  # anybody assigns it
            elif key not in self.interpreter.structs(self.function):
                state.private -= {key}
        state.set(key, value)
        if operator == "=" and self.instances.several:
            self.settle(key, right, state)
        if operator == "=" and WORD.fullmatch(key) and self.zeroed(right):
            state.env[f"{key}->*"] = FALSE
            state.private |= {key}
        if _FROM_LIST.match(right) and self.of_filesystem and self.reclaim:
            # What a filesystem's shrinker takes off its list has no other user.
            state.own = state.own | {left}
        elif state.own and WORD.fullmatch(left):
            kind = self.program.type_of(left, self.function)
            if PER_INODE.search(kind) and state.owns(right):
                state.own = state.own | {left}
            elif left in state.own:
                state.own = state.own - {left}

    def zeroed(self, text: str) -> bool:
        """Whether ``text`` is a call that allocates, and answers memory that is 0."""
        name, called, _ = text.partition("(")
        if not called or not WORD.fullmatch(name):
            return False
        callee = self.program.resolve(name, self.path)
        return "zalloc" in name or (callee is not None and self.interpreter.zeroes(callee))

    def task_flags(self, operator: str, right: str, state: State) -> None:
        """``current->flags |= PF_MEMALLOC_NOIO`` begins a scope; any other assignment ends the last such."""
        if operator != "|=":
            state.scopes = tuple(scope for scope in state.scopes if scope[0] != TASK_FLAGS)
            return
        bits = 0
        for word in WORD.findall(right):
            bits |= _TASK_FLAGS.get(word, 0)
        if bits:
            state.scopes = (*state.scopes, (TASK_FLAGS, bits))


@lru_cache(maxsize=100_000)
def _condition(text: str) -> str:
    """``text`` without its brackets, negations taken together: the mark of an undecided branch.

    ``x < 0`` and ``x != 0`` are told as ``x``, ``IS_ERR(x)`` as ``!x``: whether a call has failed.
    """
    negated = False
    while True:
        text = text.strip()
        if text[:1] == "!" and text[1:2] != "=":
            rest = text[1:].strip()
            inner = _CALL.match(rest)
            whole = _whole(rest[inner.end() - 1 :]) if inner else rest[:1] == "(" and _whole(rest)
            if not (whole or WORD.fullmatch(rest)):
                break
            negated, text = not negated, rest
        elif text[:1] == "(" and _whole(text):
            text = text[1:-1]
        elif (inner := _CALL.match(text)) and _whole(text[inner.end() - 1 :]):
            negated ^= inner.group(1)[:6] == "IS_ERR"
            text = text[inner.end() - 1 :]
        else:
            break
    compared = _AGAINST_0.match(text)
    if compared:
        negated ^= compared.group(2) in ("==", ">=")
        text = compared.group(1)
    return "!" + text if negated else text


def _whole(text: str) -> bool:
    """Whether the bracket that ``text`` begins with ends at its end."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return at == len(text) - 1
    return False


def _opposite(mark: str) -> str:
    return mark[1:] if mark[:1] == "!" else "!" + mark


def _held_when(state: State, mark: str) -> None:
    """Where ``mark`` is true, locks taken when it was are held, and those taken when not are not."""
    if any(lock.when for lock in state.held):
        state.held = tuple(
            lock._replace(sure=True, when="") if lock.when == mark else lock
            for lock in state.held
            if lock.when != _opposite(mark)
        )


_LEAVES = frozenset({"c", "=", "ret", "goto", "jump"})


def _has_label(event: Event) -> bool:
    if event[0] in _LEAVES:
        return False
    return any(inner[0] == "label" for inner in flatten([event]))
