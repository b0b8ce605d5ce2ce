"""Which functions answer a function pointer, by struct type and by who registers them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ring3.audit.cexpr import FALSE, TRUE, UNKNOWN, Value
from ring3.audit.conditions import DROPS_ALL, DROPS_UNLINKED
from ring3.audit.forms import Event
from ring3.audit.program import MEMBER_CALL, WORD, Program
from ring3.audit.tables import KNOWN_CALLS, SHARED

#: Members by which an inode is told what it is.
_KINDS = (b"a_ops", b"i_op", b"i_fop")


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
        #: Flags that mappings of directories are given, one for each place that makes a directory.  None
        #: are known when some function gives flags to inodes whose kind it does not say.
        self.directory_masks: list[str] = []
        any_kind = False
        directories = frozenset(
            variable
            for variable in program.unit_variables.get(unit, ())
            if any(entry[1] == "lookup" for entry in program.variable_ops[variable])
        )
        #: Structs that every request of a block device has one of: reclaim's own has its own locks.
        self.requests: set[str] = set()
        #: The flags that its sockets are given.
        self.socket_flags: list[str] = []
        self._answers: dict[tuple[str, str], list[int]] = {}
        self._names: dict[tuple[str, ...], bool] = {}
        self._has: dict[tuple[str, str], Value] = {}
        #: Table of operations -> at how many places code of the subject assigns it or hands it on.
        self.assigned: Counter[str] = Counter()
        referred: set[str] = set()
        functions = program.unit_functions.get(unit, ())
        any_masks = any(b"mapping_set_gfp_mask" in program.functions[one].body for one in functions)
        for index in functions:
            if program.functions[index].macro:
                continue
            body = program.body(index)[1]
            if any_masks:
                self.directory_masks += _masks(body, directories, KNOWN_CALLS["mapping_gfp_mask"])
            for event in program.events(index):
                if event[0] == "=" and event[3] == "=":
                    right = event[4].lstrip("& (")
                    referred.update(WORD.findall(right)[:3])
                    if event[4][:1] == "&":
                        self.assigned[right] += 1
                    member = MEMBER_CALL.match(event[2])
                    if right.startswith("blk_mq_rq_to_pdu("):
                        self.requests.add(program.type_of(event[2], index))
                    if event[2].endswith("sk_allocation"):
                        self.socket_flags.append(event[4])
                    if member and right in program.by_name:
                        struct = program.type_of(member.group(1), index)
                        if struct:
                            key = (struct, member.group(2))
                            self.fields.setdefault(key, []).append((program.file[index], right))
                elif event[0] == "c":
                    if event[2] == "mapping_set_gfp_mask":
                        self.lowers_mask = True
                        any_kind |= not any(
                            mark in program.functions[index].body for mark in _KINDS
                        )
                    if event[2] == "INIT_RADIX_TREE" and len(event[3]) == 2:
                        member = event[3][0].strip("&() ").rpartition("->")[2].rpartition(".")[2]
                        self.trees[member] = event[3][1]
                    for arg in event[3]:
                        if arg[:1] == "&":
                            referred.add(arg[1:])
                            self.assigned[arg[1:]] += 1
        if any_kind or not self.lowers_mask:
            self.directory_masks = []
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
            for event in program.events(function)
        )

    def has(self, struct: str, field: str) -> Value:
        """Whether ``field`` of ``struct`` is set here; unknown where only some of the tables have it."""
        found = self._has.get((struct, field))
        if found is None:
            found = self._has[struct, field] = self._is_set(struct, field)
        return found

    def _is_set(self, struct: str, field: str) -> Value:
        if not self.answer(struct, field):
            return FALSE
        tables: dict[str, set[str]] = {}
        for (owner, member), rows in self.program.ops.items():
            if owner == struct:
                for path, _, variable in rows:
                    if self.program.unit_of(path) == self.unit:
                        tables.setdefault(variable, set()).add(member)
        return TRUE if all(field in members for members in tables.values()) else UNKNOWN

    def evicted(self, caller: str) -> Value | None:
        """Whether an inode that ``caller`` gives to evict() in reclaim has links; None: it gives none.

        What prune_icache_sb() disposes of was put on its list by iput_final(), which keeps what
        ->drop_inode() does not drop (fs/inode.c).
        """
        functions = self.program.functions
        drop = {functions[one].name for one in self.answer("super_operations", "drop_inode")}
        if caller == "dispose_list":
            return None if drop and drop <= DROPS_ALL else TRUE
        return FALSE if caller == "iput_final" and drop <= DROPS_UNLINKED else UNKNOWN

    def usual(self, struct: str, field: str) -> str:
        """Which of several functions answers ``field`` for most objects; "" when that cannot be told."""
        places: Counter[str] = Counter()
        for path, name, variable in self.program.ops.get((struct, field), ()):
            if self.program.unit_of(path) == self.unit:
                places[name] += self.assigned[variable]
        ranked = [*places.most_common(2), ("", 0)]
        return ranked[0][0] if ranked[0][1] > ranked[1][1] else ""

    def registers(self, struct: str) -> bool:
        """Whether the subject has operations of type ``struct``, or code that assigns some."""
        return any(owner == struct for owner, _ in self.fields)

    def names(self, marks: tuple[str, ...]) -> bool:
        """Whether code of the subject calls or names one of ``marks``."""
        if marks not in self._names:
            sought = [mark.encode() for mark in marks]
            self._names[marks] = any(
                mark in self.program.functions[function].body
                for function in self.program.unit_functions.get(self.unit, ())
                for mark in sought
            )
        return self._names[marks]

    def answer(self, struct: str, field: str) -> list[int]:
        """The functions behind ``field`` of ``struct`` here."""
        found = self._answers.get((struct, field))
        if found is None:
            found = self._answers[struct, field] = []
            for path, name in self.fields.get((struct, field), ()):
                function = self.program.resolve(name, path)
                if function is not None and function not in found:
                    found.append(function)
        return found


def _masks(events: list[Event], directories: frozenset[str], mask: str) -> Iterator[str]:
    """The flags of the mapping wherever an inode gets operations of ``directories``; ``mask`` unless set.

    Flags are set in the same block as the operations, or in one around it.
    """
    for event in events:
        if event[0] == "c" and event[2] == "mapping_set_gfp_mask" and len(event[3]) > 1:
            mask = event[3][1]
    for event in events:
        if event[0] == "=" and event[4].lstrip("& ") in directories:
            yield mask
        elif event[0] == "if":
            yield from _masks(event[3], directories, mask)
            yield from _masks(event[4], directories, mask)
        elif event[0] in ("loop", "do", "block"):
            yield from _masks(event[3], directories, mask)
        elif event[0] == "switch":
            for _, body in event[3]:
                yield from _masks(body, directories, mask)
