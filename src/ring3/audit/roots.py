"""Where reclaim begins: operations it calls, locks it waits for everywhere, lockdep's own notes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property

from ring3.audit.conditions import EVERYWHERE, NEEDS, NEVER_RECLAIMED, ROOT_FUNCTIONS, ROOTS
from ring3.audit.contexts import RECLAIM_FLAGS, Context, Site
from ring3.audit.findings import Step
from ring3.audit.flow import Interpreter
from ring3.audit.graph import Chains, Graph, Node, Spread
from ring3.audit.primitives import ACQUIRE
from ring3.audit.program import PER_OBJECT, Program
from ring3.audit.tables import NO_LOCKS, TRANSPORTS, WAITED_OPS

#: (function, struct, field) of an operation that reclaim calls; struct "" for a function by name.
Root = tuple[int, str, str]

#: Functions that are reclaim, lockdep or their tests: their notes are not about anybody's locks.
_MACHINERY = ("mm/page_alloc.c", "mm/vmscan.c", "lib/", "include/", "kernel/locking")


@dataclass
class Taken:
    """A lock that reclaim waits for: by which way, and the flag without which it does not ("" none).

    ``via``: not reclaim itself waits, but a task that holds ``via``, for which reclaim waits.
    """

    mode: str
    needs: str
    taker: str
    steps: tuple[Step, ...]
    preamble: tuple[Step, ...] = ()
    via: str = ""
    anchored: bool = True  # the way is in the source; else it is known from documentation


class Roots:
    """The entry points of one program.  ``extra`` are names of functions that reclaim calls, too."""

    def __init__(self, program: Program, interpreter: Interpreter, extra: tuple[str, ...]) -> None:
        self.program = program
        self.interpreter = interpreter
        self.chains = Chains(program)
        self.extra = extra
        self._everywhere: dict[str, Taken] | None = None

    def subjects(self) -> dict[str, list[Root]]:
        """Unit -> its reclaim roots; those that it only waits for, or that only hold its locks, have none."""
        program = self.program
        found: dict[str, dict[Root, None]] = {}
        rows = [(key, path, name) for key, entry in program.ops.items() for path, name, _ in entry]
        rows += [
            (key, path, name) for key, entry in program.registered.items() for path, name in entry
        ]
        for (struct, operation), path, name in rows:
            if operation in ROOTS.get(struct, ()):
                function = program.resolve(name, path)
                if function is not None:
                    found.setdefault(program.unit_of(path), {})[function, struct, operation] = None
        for (struct, operation), entry in program.ops.items():
            if operation in WAITED_OPS.get(struct, ()):
                for path, _, _ in entry:
                    found.setdefault(program.unit_of(path), {})
        for unit in TRANSPORTS:
            if unit in program.unit_functions:
                found.setdefault(unit, {})
        for name in ROOT_FUNCTIONS:
            for function in program.by_name.get(name, ()):
                if not program.functions[function].macro and program.file[function].endswith(".c"):
                    found.setdefault(program.unit[function], {})[function, "", name] = None
        for name in self.extra:
            for function in program.by_name.get(name, ()):
                found.setdefault(program.unit[function], {})[function, "", name] = None
        holders = {name for way in EVERYWHERE.values() for name in way.holders}
        holders.add("fs_reclaim_acquire")  # who tells lockdep what reclaim takes
        for index, declared in enumerate(program.functions):
            if not holders.isdisjoint(declared.callees) and not declared.macro:
                path = program.file[index]
                if path.endswith(".c") and not path.startswith(_MACHINERY):
                    found.setdefault(program.unit[index], {})
        return {unit: list(roots) for unit, roots in sorted(found.items())}

    def scan(self, unit: str, roots: list[Root]) -> list[Node]:
        """The superblock's shrinker, when the tree has the VFS and the subject is a filesystem."""
        if not {struct for _, struct, _ in roots} & {"super_operations", "dentry_operations"}:
            return []
        scan = self.program.resolve("super_cache_scan", "fs/super.c")
        if scan is None or self.program.file[scan] != "fs/super.c":
            return []
        return [(scan, Context(unit, 1))]

    def entries(self, unit: str, roots: list[Root], reclaim: int) -> list[Node]:
        """Operations called directly: flags as reclaim passes them, the inode its own."""
        program = self.program
        flags = program.constant(RECLAIM_FLAGS[reclaim])
        nodes = []
        for function, struct, _ in roots:
            params = program.functions[function].params
            args = tuple((at, flags) for at, (kind, _) in enumerate(params) if kind == "gfp_t")
            own = (
                (0,) if struct == "super_operations" and params and "inode" in params[0][0] else ()
            )
            nodes.append((function, Context(unit, reclaim, 0, args, own)))
        return nodes

    # -- locks that reclaim waits for

    def taken_along(
        self, graph: Graph, spread: Spread, taken: dict[str, Taken], needs: str
    ) -> None:
        """Add to ``taken`` the lock classes that reclaim waits for along ``spread``."""
        for node, walked in spread.walked.items():
            for site in walked.sites:
                if site.kind != "lock" or site.own or not self._counts(site, node):
                    continue
                known = taken.get(site.name)
                # Who waits for all readers, and with fewer flags, is the more telling one.
                better = known is not None and (
                    known.needs != needs or (known.mode, site.mode) == ("r", "w")
                )
                if known is None or better:
                    steps, root = self.chains.to(spread.ways, node)
                    steps.append(self.chains.step(node, site, f"takes {site.name}"))
                    taken[site.name] = Taken(
                        site.mode,
                        needs,
                        self.chains.name(node),
                        tuple(steps),
                        tuple(self.chains.preamble(root)),
                    )

    def _counts(self, site: Site, node: Node) -> bool:
        if site.name[0] == "?" or site.name in NO_LOCKS:
            return False
        struct = site.name.partition(".")[0]
        if PER_OBJECT.match(struct) or struct in self._requests(node):
            return False
        # annotations of spinning and RCU sections
        header = self.program.file[node[0]].startswith("include/")
        return not (site.name.endswith(".dep_map") and header)

    def _requests(self, node: Node) -> set[str]:
        return self.interpreter.domain(node[1].domain).requests

    def noted(self, graph: Graph, unit: str) -> dict[str, Taken]:
        """Locks that the subject tells lockdep reclaim takes: between fs_reclaim_acquire() and _release()."""
        found: dict[str, Taken] = {}
        for function in self.program.unit_functions.get(unit, ()):
            declared = self.program.functions[function]
            if self.program.file[function].startswith(_MACHINERY):
                continue
            if not self.tainters.keys().isdisjoint(declared.callees):
                self._tainted(function, found)
            if "fs_reclaim_acquire" not in declared.callees:
                continue
            node = (function, Context(unit))
            spread = graph.spread([node])
            for inner, walked in spread.walked.items():
                for site in walked.sites:
                    under = any(lock.name == "fs_reclaim" for lock in site.held)
                    if site.kind != "lock" or not (under or inner != node):
                        continue
                    if inner != node and not self._under_reclaim(spread, inner):
                        continue
                    if site.name != "fs_reclaim" and self._counts(site, inner):
                        steps, _ = self.chains.to(spread.ways, inner)
                        steps.append(self.chains.step(inner, site, f"takes {site.name}"))
                        found.setdefault(
                            site.name, Taken(site.mode, "__GFP_FS", declared.name, tuple(steps))
                        )
        return found

    @cached_property
    def tainters(self) -> dict[str, int]:
        """Functions that tell lockdep so of a lock that they are handed -> index of the lock."""
        program = self.program
        return {
            function.name: index
            for number, function in enumerate(program.functions)
            if "fs_reclaim_acquire" in function.callees
            and not program.file[number].startswith(_MACHINERY)
            for primitive, index in self.interpreter.helper(number)[:1]
            if primitive in ACQUIRE
        }

    def _tainted(self, function: int, found: dict[str, Taken]) -> None:
        program = self.program
        for event in program.events(function):
            if event[0] != "c" or event[2] not in self.tainters:
                continue
            at = self.tainters[event[2]]
            lock = program.lock_class(event[3][at], function) if at < len(event[3]) else ""
            if lock and lock[0] != "?":
                name = program.functions[function].name
                step = Step(name, program.file[function], event[1], f"{event[2]} of {lock}")
                found.setdefault(lock, Taken("w", "__GFP_FS", name, (step,)))

    @staticmethod
    def _under_reclaim(spread: Spread, node: Node) -> bool:
        while (way := spread.ways[node]) is not None:
            node, edge = way
            if any(lock.name == "fs_reclaim" for lock in edge.held):
                return True
        return False

    def everywhere(self, unit: str) -> dict[str, Taken]:
        """Locks that reclaim takes whatever the subject, with the way there if the tree has it."""
        found = self._known()
        return {} if unit in NEVER_RECLAIMED else found

    def _known(self) -> dict[str, Taken]:
        if self._everywhere is None:
            self._everywhere = {}
            for name, known in EVERYWHERE.items():
                steps = self._way(known.begin, known.end)
                self._everywhere[name] = Taken(
                    known.mode,
                    known.needs,
                    steps[-1].function if steps else known.end[0],
                    tuple(steps),
                    anchored=bool(steps),
                )
        return self._everywhere

    def _way(self, begin: tuple[str, ...], end: tuple[str, ...]) -> list[Step]:
        """The shortest way of direct calls within mm/ and block/ from one of ``begin`` to one of ``end``."""
        program = self.program
        inside = ("mm/", "block/", "include/linux/", "drivers/dma-buf/")
        queue = deque(
            f
            for name in begin
            for f in program.by_name.get(name, ())
            if program.file[f].startswith(inside)
        )
        before: dict[int, int | None] = dict.fromkeys(queue)
        while queue:
            function = queue.popleft()
            for name in program.functions[function].callees:
                if name in end:
                    return self._steps(before, function, name)
                callee = program.resolve(name, program.file[function])
                if (
                    callee is not None
                    and callee not in before
                    and program.file[callee].startswith(inside)
                ):
                    before[callee] = function
                    queue.append(callee)
        return []

    def _steps(self, before: dict[int, int | None], function: int, name: str) -> list[Step]:
        program = self.program
        steps: list[Step] = []
        at: int | None = function
        while at is not None:
            line = next(
                (e[1] for e in program.events(at) if e[0] == "c" and e[2] == name),
                program.functions[at].line,
            )
            steps.append(
                Step(program.functions[at].name, program.file[at], line, name, "PF_MEMALLOC")
            )
            name = program.functions[at].name
            at = before[at]
        return steps[::-1]


def needs_of(root: Root) -> str:
    """The flag without which reclaim does not call this root; "" when any reclaim does."""
    _, struct, operation = root
    return ROOT_FUNCTIONS.get(operation, "") if not struct else NEEDS.get(struct, "")
