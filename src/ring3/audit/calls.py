"""Calls inside a function: allocations, locks, scopes, waits, and which functions are entered how."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ring3.audit import cexpr
from ring3.audit.arguments import Arguments
from ring3.audit.cexpr import FALSE, TRUE, UNKNOWN, Value
from ring3.audit.conditions import (
    IMPOSSIBLE,
    NEVER,
    ONLY_IF,
    REGISTERED,
    TRUNCATES,
    UMOUNT,
    WRITES_BACK,
)
from ring3.audit.contexts import (
    FILESYSTEMS,
    NOFS,
    NOIO,
    NORECLAIM,
    ONE_OF,
    Context,
    Edge,
    Lock,
    Site,
    cleared,
)
from ring3.audit.forms import Event
from ring3.audit.primitives import (
    ACQUIRE,
    CLASSED,
    GUARD,
    MIGHT,
    RELEASE,
    SCOPE_BEGIN,
    SCOPE_END,
    SCOPE_GUARD,
    TRYLOCK,
)
from ring3.audit.program import MEMBER_CALL, WORD
from ring3.audit.state import TASK_FLAGS, State, plain
from ring3.audit.tables import (
    ALLOCATIONS,
    ERROR_HANDLERS,
    FILE_IO,
    IMPORTED,
    MEMPOOLS,
    NO_ALLOCATION,
    NORETURN,
    SOCKET_CALLS,
    SPIN,
    TOLD_APART,
    TREE_FLAGS,
    WAITS,
    WOKEN,
)
from ring3.audit.values import EMPTY, LINKS, MASK, no_call

if TYPE_CHECKING:
    from ring3.audit.flow import Interpreter

_SCOPE_BITS = {"__GFP_FS": NOFS, "__GFP_IO": NOIO, "PF_MEMALLOC": NORECLAIM}
_ERRORS = frozenset(ERROR_HANDLERS)
#: Functions that reclaim enters in some cases only, or never.
_OTHERWISE_IN_RECLAIM = frozenset(
    {*UMOUNT, *TRUNCATES, *WRITES_BACK, "do_writepages"}
    | {callee for _, callee in (*NEVER, *ONLY_IF)}
)
_MAY_FAIL = re.compile(r"_interruptible|_killable")
_GUARDS = re.compile(r"^(?:guard|class)\((\w+)\)$")
_GUARD_CALLS = ("guard(", "class(")
#: Most calls are none of these.
_KNOWN = frozenset(
    {
        *(*ALLOCATIONS, *ACQUIRE, *MIGHT, *TRYLOCK, *RELEASE, *SCOPE_BEGIN, *SCOPE_END),
        *(*_ERRORS, *WAITS, *WOKEN, *SOCKET_CALLS, *IMPORTED),
        *("memset", "downgrade_write", "lockdep_assert_held", "might_sleep", "i_size_write"),
        *("current_set_flags_nested", "current_restore_flags", "current_restore_flags_nested"),
        *("scoped_guard", "scoped_cond_guard", "inode_nohighmem", "mapping_set_gfp_mask"),
    }
)


class Calls(Arguments):
    """Collects what the calls of one function do: ``edges`` into others and ``sites``."""

    def __init__(self, interpreter: Interpreter, function: int, context: Context) -> None:
        super().__init__(interpreter, function, context)
        self.sites: list[Site] = []
        self.ended = False
        #: Function -> the line where it was called last.
        self.answered_at: dict[str, int] = {}
        #: Where the answer of the call at hand goes, or the call itself.
        self.answer_is = ""
        #: Of the call at hand: the pointer to a table of operations, and callee -> the tables that it means.
        self.pointer = ""
        self.meaning: dict[int, frozenset[str]] = {}

    def call(self, event: Event, state: State) -> State | None:
        _, line, name, args, target = event
        if target:
            state.set(target.replace(" ", ""), UNKNOWN)
        self.answer_is = target or f"{name}({', '.join(args)})"
        plain = name.removesuffix("_noprof")
        if name in NORETURN:
            return None
        if name in SPIN:
            state.spinning = max(0, state.spinning + SPIN[name])
            self.others_change(state, state.structs())
            return state
        if (plain in _KNOWN or name.startswith(_GUARD_CALLS)) and self.primitive(event, state):
            return state
        again = self.answered_at.get(name) == line
        self.answered_at[name] = line
        state.env.pop(f"={name}()", None)
        self.pointer, self.meaning = "", {}
        answers = () if name.isidentifier() else self.answers(name, state)
        callees, inert = self.interpreter.callees(self.function, name, args, answers)
        if not callees and not self.of_filesystem:
            member = MEMBER_CALL.match(name)
            if member and member.group(2) in FILE_IO:
                self.alloc_site(
                    line, f"->{member.group(2)}", self.program.constant("GFP_KERNEL"), state
                )
        before = state.tables
        for callee, how in callees:
            tables = self.meaning.get(callee)
            state.tables = {**before, self.pointer: tables} if tables else before
            if state.spinning and self.interpreter.silence.unlocks(callee):
                state.spinning = 0
            if not inert:
                self.enter(line, callee, args, state, how)
            if not how and not self.program.functions[callee].macro and "*" not in target:
                value = self.answer(callee, line, args, state)
                if target and cexpr.members(value):
                    state.env[f"={target}"] = value
                elif not again and cexpr.members(value):
                    state.env[f"={name}()"] = value
        state.tables = before
        self.change([callee for callee, _ in callees], args, state)
        return state

    def primitive(self, event: Event, state: State) -> bool:
        """What a call known by its name does; whether that is all there is to it."""
        _, line, name, args, target = event
        plain = name.removesuffix("_noprof")
        allocation = ALLOCATIONS.get(plain)
        if allocation is not None:
            self.allocate(line, plain, args, state)
            self.change([], tuple(arg for arg in args if arg[:1] == "&"), state)
            return True
        if name == "memset" and len(args) == 3 and args[1] == "0":
            star = f"{args[0][1:]}.*" if args[0][:1] == "&" else f"{args[0]}->*"
            state.drop(args[0].lstrip("&"), None)
            state.env[star] = FALSE
            return True
        if name in ACQUIRE:
            self.others_change(state, state.structs())
            index, mode = ACQUIRE[name]
            when = f"!{self.answer_is}" if _MAY_FAIL.search(name) else ""
            self.acquire(line, self.named(name, index, args), mode, state, blocking=True, when=when)
            self.scope_of(name, state)
            return True
        if name in MIGHT:
            index, mode = MIGHT[name]
            self.note_lock(line, self.named(name, index, args), mode, state)
            return True
        if name in TRYLOCK:
            if args:
                mode = TRYLOCK[name][1]
                self.acquire(line, args[0], mode, state, blocking=False, when=self.answer_is)
            return True
        if name in RELEASE:
            self.release(self.lock_class(self.named(name, RELEASE[name], args)), state)
            self.scope_of(name, state)
            return True
        if name == "downgrade_write" or name in ("lockdep_assert_held", "might_sleep"):
            return True
        if name in SCOPE_BEGIN:
            bits = 0
            for bit in SCOPE_BEGIN[name]:
                bits |= _SCOPE_BITS[bit]
            state.scopes = (*state.scopes, (target, bits))
            return True
        if name == "current_set_flags_nested" and len(args) > 1:
            if "NOFS" in args[1]:
                state.scopes = (*state.scopes, (args[0], NOFS))
            return True
        if name == "current_restore_flags":
            state.scopes = tuple(scope for scope in state.scopes if scope[0] != TASK_FLAGS)
            return True
        if name in SCOPE_END or name == "current_restore_flags_nested":
            self.end_scope(args[0] if args else "", state)
            return True
        guard = _GUARDS.match(name)
        if guard or name in ("scoped_guard", "scoped_cond_guard"):
            kind = guard.group(1) if guard else (args[0] if args else "")
            if kind in GUARD and args:
                lock = args[0] if guard else args[-1]
                self.acquire(line, lock, GUARD[kind], state, blocking=True, guard=True)
            elif kind in SCOPE_GUARD:
                bits = sum(_SCOPE_BITS[bit] for bit in SCOPE_GUARD[kind])
                state.scopes = (*state.scopes, ("guard", bits))
            return True
        if name == "i_size_write" and len(args) > 1 and args[0] in state.own:
            state.env.pop(EMPTY, None)
            if args[1] == "0":
                state.env[EMPTY] = TRUE
        elif name == "inode_nohighmem" and args:
            state.env[MASK] = self.program.constant("GFP_USER")
            state.masked = frozenset(WORD.findall(args[0])[:1])
        elif name == "mapping_set_gfp_mask" and len(args) > 1:
            state.env[MASK] = self.value(args[1], state)
            state.masked = frozenset(WORD.findall(args[0])[:1])
        if name in _ERRORS:
            return True
        if name in WAITS:
            self.others_change(state, state.structs())
            waited = args[WAITS[name]] if len(args) > WAITS[name] else ""
            self.site(
                Site("wait", line, f"{name}({waited})", UNKNOWN, state.held, state.released), state
            )
            return True
        if name in WOKEN:
            self.others_change(state, state.structs())
            waited = args[WOKEN[name]] if args else ""
            self.site(
                Site("event", line, f"{name}({waited})", UNKNOWN, state.held, state.released), state
            )
            return True
        if name in SOCKET_CALLS:
            self.alloc_site(line, name, self.socket_flags(state), state)
            return True
        if name in IMPORTED and self.program.resolve(name, self.path) is None:
            flags = cexpr.evaluate(cexpr.parse(IMPORTED[name]), self.program.constant, no_call)
            self.alloc_site(line, name, flags, state)
            return True
        return False

    def answers(self, name: str, state: State) -> tuple[tuple[int, str], ...]:
        """The functions behind a call through a pointer, and how they are known."""
        program, functions = self.program, self.program.functions
        member = MEMBER_CALL.match(name.strip("()* "))
        if not member or member.group(2) not in program.op_fields:
            return ()
        field = member.group(2)
        struct = program.type_of(member.group(1), self.function)
        owner, operations = self.domain, self.operations
        if not struct:
            owners = [one for one in program.op_fields[field] if (one, field) in operations.fields]
            if len(owners) != 1:
                return ()
            struct = owners[0]
        answers = operations.answer(struct, field)
        if not answers:
            # Shared machinery (quota formats, jbd2) answers its own operations.
            owner = program.unit[self.function]
            answers = self.interpreter.domain(owner).answer(struct, field)
        shown = f"{struct}.{field} of {owner}"
        if len(answers) < 2 or struct not in TOLD_APART:
            self.pointer = plain(member.group(1))
            meant = self.meant(self.pointer, struct, field, answers, state)
            self.meaning = {answer: tables for answer, _, tables in meant}
            return tuple((answer, mark + shown) for answer, mark, _ in meant)
        usual = self.interpreter.domain(owner).usual(struct, field)
        return tuple(
            (answer, f"{ONE_OF[functions[answer].name == usual]} {len(answers)} {shown}")
            for answer in answers
        )

    def enter(self, line: int, callee: int, args: tuple[str, ...], state: State, how: str) -> None:
        program = self.program
        declared = program.functions[callee]
        direct = not how.startswith(("handed to", "called by"))
        step = (self.declared.name, declared.name)
        if step in IMPOSSIBLE:
            return
        if declared.name in _OTHERWISE_IN_RECLAIM and self.reclaim:
            if declared.name in UMOUNT or step in NEVER:
                return
            if step in ONLY_IF and not self.operations.names(ONLY_IF[step]):
                return
            if declared.name in TRUNCATES:
                state.env["@truncated"] = TRUE
            elif declared.name in WRITES_BACK and "@truncated" in state.env:
                return
            # Inodes that reclaim takes are clean and without pages, or unlinked.
            if declared.name == "do_writepages" and (
                state.env.get(LINKS) == TRUE or self.operations.keeps_unlinked
            ):
                return
        folder = program.file[callee].rpartition("/")[0] + "/"
        if folder in REGISTERED and self.of_filesystem:
            mine = self.operations
            if self.domain + "/" != folder and not mine.registers(REGISTERED[folder]):
                return
        outside = program.outside[callee] and not self.belongs(callee)
        if direct:
            helper = self.interpreter.helper(callee)
            if helper:
                for primitive, index in helper:
                    if index < len(args) and primitive not in CLASSED:
                        if primitive in ACQUIRE:
                            self.acquire(
                                line, args[index], ACQUIRE[primitive][1], state, blocking=True
                            )
                        else:
                            self.release(self.lock_class(args[index]), state)
        if outside:
            if direct and not declared.name.startswith(NO_ALLOCATION):
                flags = self.interpreter.boundary.own_flags(callee)
                for index, (kind, _) in enumerate(declared.params):
                    if kind == "gfp_t" and index < len(args):
                        flags = self.value(args[index], state)
                        break
                if self.interpreter.boundary.allocates(callee):
                    self.alloc_site(line, declared.name, flags, state)
            if direct:
                self.leave(callee, line, state)
            return
        if declared.name == "evict" and self.reclaim and self.evicted() is None:
            return
        if not state.spinning and not self.interpreter.silence.silent(callee):
            context = self.entered(callee, args if direct else (), state)
            self.edges.append(
                Edge(line, callee, context, state.held, state.released, how, state.failed)
            )
        if direct:
            self.leave(callee, line, state)

    def belongs(self, callee: int) -> bool:
        """Whether ``callee``, which is neither a filesystem's nor of the kernel's core, is of this subject's
        story all the same."""
        path = self.program.file[callee]
        if self.of_filesystem and not path.startswith((FILESYSTEMS, "net/sunrpc")):
            return False  # whichever filesystem asks
        if self.domain.startswith("drivers/gpu/drm") and (
            path.startswith(("drivers/gpu/drm/ttm", "drivers/gpu/drm/scheduler"))
            or (path.startswith("drivers/gpu/drm/") and path.count("/") == 3)
        ):
            return True
        if self.domain.startswith("fs/nfs") and path.startswith("net/sunrpc"):
            return True
        return self.program.unit[callee] == self.domain

    def scope_of(self, name: str, state: State) -> None:
        """The scope that a function told as one lock begins or ends, too (mddev_suspend())."""
        callee = self.program.resolve(name, self.path) if name in CLASSED else None
        net = self.interpreter.net(callee) if callee is not None else None
        if net is not None and net.scope:
            state.scopes = (*state.scopes, ("", net.scope))
        if net is not None and net.ended:
            self.end_scope("", state)

    def leave(self, callee: int, line: int, state: State) -> None:
        """Locks and scopes that ``callee`` begins or ends for its caller."""
        net = self.interpreter.net(callee)
        if net is not None:
            when = self.when_taken(callee)
            for lock in net.acquired:
                mark = when if lock.sure else ""
                state.held = (*state.held, lock._replace(line=line, own=False, when=mark))
            # What it has for certain in the end, it gave back on other ways only (a transaction that it
            # ends to begin the next).
            for name in net.released - {lock.name for lock in net.acquired if lock.sure}:
                self.release(name, state)
            if net.scope:
                state.scopes = (*state.scopes, ("", net.scope))
            if net.ended:
                self.end_scope("", state)

    def when_taken(self, callee: int) -> str:
        """The condition under which what ``callee`` takes is held after it: that it has not failed."""
        returns = self.program.functions[callee].returns
        if returns in ("", "void"):
            return ""
        return self.answer_is if returns == "bool" or returns[-1] == "*" else f"!{self.answer_is}"

    def end_scope(self, variable: str, state: State) -> None:
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
        state: State,
        *,
        blocking: bool,
        guard: bool = False,
        when: str = "",
    ) -> None:
        name = self.lock_class(text)
        if not name:
            return
        own = state.owns(text)
        if blocking:
            self.note_lock(line, text, mode, state)
        if name in state.released:  # the caller's, which has it back
            state.released = state.released - {name}
        else:
            if blocking:  # where it was tried before, that was in vain, or this is the other case
                state.held = tuple(
                    lock for lock in state.held if lock.name != name or not lock.tried
                )
            lock = Lock(name, mode, line, own, True, guard, when, not blocking)
            state.held = (*state.held, lock)

    def note_lock(self, line: int, text: str, mode: str, state: State) -> None:
        """Somebody may wait for the lock here."""
        name = self.lock_class(text)
        if name:
            own = state.owns(text)
            self.sites.append(
                Site("lock", line, name, UNKNOWN, state.held, state.released, mode, own)
            )

    def named(self, primitive: str, index: int, args: tuple[str, ...]) -> str:
        """The lock that ``primitive`` is about: its argument, or ``@`` and a class of its own."""
        arg = args[index] if index < len(args) else ""
        return "@" + CLASSED[primitive].format(arg.strip()) if primitive in CLASSED else arg

    def lock_class(self, text: str) -> str:
        """The lock's class; "" when it is a parameter's, for which the callers answer."""
        if text[:1] == "@":
            return text[1:]
        if not text:
            return ""
        if self.program.wrapper_parameter(text, self.function) is not None:
            return ""
        return self.program.lock_class(text, self.function)

    def release(self, name: str, state: State) -> None:
        for index in range(len(state.held) - 1, -1, -1):
            if state.held[index].name == name:
                state.held = state.held[:index] + state.held[index + 1 :]
                return
        state.released = state.released | {name}

    def allocate(self, line: int, name: str, args: tuple[str, ...], state: State) -> None:
        allocation = ALLOCATIONS[name]
        if allocation.needs is not None:
            index, constant = allocation.needs
            wanted = self.program.constant(constant)[0]
            value = self.value(args[index], state) if index < len(args) else UNKNOWN
            if not value[0] & value[1] & wanted:
                return
        if name in TREE_FLAGS and args:
            member = args[0].strip("&() ").rpartition("->")[2].rpartition(".")[2]
            text = self.operations.trees.get(member)
            if text is not None:
                self.alloc_site(line, f"{name}({member})", self.value(text, state), state)
            elif member != args[0] or len(self.declared.callees) < 4:
                return  # whose tree it is, is not known here
            else:  # a helper that is handed a tree: where all of the subject's are atomic, so is this
                given = self.operations.trees.values()
                sleeps = self.program.gfp["DIRECT_RECLAIM"]
                if not given or any(self.value(one, state)[0] & sleeps for one in given):
                    self.alloc_site(line, name, self.program.constant("GFP_KERNEL"), state)
            return
        at = allocation.flags
        flags = self.program.constant(allocation.default)
        if at is not None:
            if at < len(args):
                flags = self.value(args[at], state)
            # A type among the arguments may have been read as two of them, or as one with the next.
            named = [arg for arg in args if arg.startswith("GFP_")]
            if named and (at >= len(args) or not flags[1]):
                flags = self.value(named[-1], state)
        if name in MEMPOOLS:
            nofail = self.program.gfp["NOFAIL"]
            flags = (flags[0] & ~nofail, flags[1] | nofail)
        self.alloc_site(line, name, flags, state)

    def socket_flags(self, state: State) -> Value:
        """The flags with which the subject's sockets allocate: of several those that reclaim most."""
        given = self.operations.socket_flags or ["GFP_KERNEL"]
        return self.most([self.value(text, state) for text in given])

    def alloc_site(self, line: int, name: str, flags: Value, state: State) -> None:
        flags = cleared(flags, self.scope(state), self.program.gfp)
        self.site(Site("alloc", line, name, flags, state.held, state.released), state)

    def site(self, site: Site, state: State) -> None:
        if not state.spinning:
            self.sites.append(site)
