"""One function, interpreted in one context: its statements in source order.

Branches whose condition is decided by the context are taken or left; of the others both sides are walked
and joined.  A backward goto is not followed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ring3.audit import cexpr
from ring3.audit.calls import Calls
from ring3.audit.cexpr import ALL, FALSE, NONZERO, TRUE, UNKNOWN, Value
from ring3.audit.contexts import NOFS, NOIO, NORECLAIM, Context, Lock, Walked
from ring3.audit.forms import Event
from ring3.audit.marks import mark_of, opposite, told_by
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
            mark = mark_of(answer)
            for lock in state.held:
                if lock.guard:
                    continue
                if mark and lock.when in (mark, opposite(mark)):
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
        if before == (state.held, state.scopes):
            return
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
        told = told_by(condition)
        if chosen is None and (told.never or (told.last_of and self.in_use(told.last_of))):
            chosen = False
        if chosen is not None:
            return self.block(then if chosen else otherwise, state, depth + 1)
        other = state.copy()
        self.narrow(cexpr.parse(condition), state, other, told.changes)
        if told.nests:
            state.env[NESTED] = TRUE
        before = {lock.name for lock in state.held}
        _held_when(state, told.mark, told.opposite)
        _held_when(other, told.opposite, told.mark)
        if told.failed is not None:
            (state if told.failed else other).failed = True
        one = self.block(then, state, depth + 1)
        two = self.block(otherwise, other, depth + 1)
        if one is None or two is None:
            return one or two
        joined = join(one, two)
        assert joined is not None
        if joined.held and len(condition) < 80:
            # Taken for certain on one side, and not at all on the other or before.
            marks = {lock.name: told.mark for lock in one.held if lock.sure}
            marks |= {lock.name: told.opposite for lock in two.held if lock.sure}
            joined.held = tuple(
                lock._replace(when=marks.get(lock.name, ""))
                if not lock.sure
                and lock.name not in before
                and (not lock.when or lock.name in marks)
                else lock
                for lock in joined.held
            )
        return joined

    def in_use(self, name: str) -> bool:
        """Whether ``name`` is a block device at work for reclaim: its last reference does not go then."""
        if not self.reclaim:
            return False
        struct = self.program.type_of(name, self.function)
        return "gendisk*" in self.program.members(struct, self.program.unit[self.function]).values()

    def narrow(
        self, node: cexpr.Node, then: State, otherwise: State, changed: frozenset[str]
    ) -> None:
        """What each side of an undecided branch knows more; nothing of what it has ``changed`` itself."""
        if node[0] == "f" and node[1] in ("likely", "unlikely") and len(node[2]) == 1:
            node = node[2][0]
        if node[0] == "u" and node[1] == "!":
            self.narrow(node[2], otherwise, then, changed)
        elif node[0] == "b" and node[1] in ("&&", "||"):
            # Where both hold, or both fail, that is known of each; else one of them.
            for part in node[2:]:
                both = (then, State()) if node[1] == "&&" else (State(), otherwise)
                self.narrow(part, *both, changed)
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


def _held_when(state: State, mark: str, opposite: str) -> None:
    """Where ``mark`` is true, locks taken when it was are held, and those taken when not are not."""
    if any(lock.when for lock in state.held):
        state.held = tuple(
            lock._replace(sure=True, when="") if lock.when == mark else lock
            for lock in state.held
            if lock.when != opposite
        )


_LEAVES = frozenset({"c", "=", "ret", "goto", "jump"})


def _has_label(event: Event) -> bool:
    if event[0] in _LEAVES:
        return False
    return any(inner[0] == "label" for inner in flatten([event]))
