"""The facts of all files joined: which function a name means where, types of expressions, operations.

Functions are numbered; everything about function ``i`` is ``program.functions[i]`` and parallel lists.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache, cached_property

from ring3.audit import cexpr
from ring3.audit.cexpr import ALL, UNKNOWN, Value
from ring3.audit.forms import Event, Facts, Function
from ring3.audit.primitives import ACQUIRE, words
from ring3.audit.tables import BOUNDARY, FILE_IS_UNIT, GFP, KNOWN_CALLS

WORD = re.compile(r"[A-Za-z_]\w*")
MEMBER_CALL = re.compile(r"^(.*?)(?:->|\.)\s*(\w+)$", re.S)
#: Locks of these belong to objects that reclaim holds alone; a task that allocates has another's.
#: A ``btree`` is bcache's buffer of one node.
PER_OBJECT = re.compile(
    r"^(?:\w*inode|\w*inode_info|\w*inode_t|\w*_vnode|address_space|dentry|folio|page|buffer_head|xfs_buf|extent_buffer|btree)$"
)
#: An expression that goes from an object to its superblock or device.
SHARED_BY_ALL = re.compile(
    r"i_sb\b|s_fs_info|_SB\(|_FS_INFO\(|_MAPPING\(|fs_info\b|_sbi\(|_MP\(|i_mount\b|\bsb\b|bd_disk"
)
#: What is reached by it is a directory.
PARENT = "->d_parent"
#: Structs that are one inode or its mapping.
PER_INODE = re.compile(r"(?:inode|_inode_info|_inode_t|_vnode)$|^address_space$|^ntfs_inode$")
#: Calls are followed so deep where what is asked of a function is asked of those that it calls, too.
DEEPEST = 50
#: So many bodies are kept, of 5 KiB each.
_MOST_BODIES = 10_000
#: A struct's initial value: struct, path, variable, (member, text) with "*" where more is set.
Table = tuple[str, str, str, tuple[tuple[str, str], ...]]
_LOCK_TYPES = frozenset(
    words("mutex rw_semaphore percpu_rw_semaphore semaphore rt_mutex ww_mutex lockdep_map")
)


@cache
def unit_of(path: str) -> str:
    """The subject a file belongs to: its filesystem, its driver; the file itself in shared folders."""
    parts = path.split("/")
    if len(parts) == 1:
        return "."
    top = parts[0]
    if len(parts) == 2 and top in FILE_IS_UNIT:
        return path
    if top == "drivers":
        depth = 4 if parts[1:3] == ["gpu", "drm"] else 5 if parts[1:3] == ["net", "ethernet"] else 3
        return "/".join(parts[: min(depth, len(parts) - 1)])
    if top == "block":
        return top
    if top in ("fs", "net", "sound", "kernel", "mm", "lib", "security"):
        return "/".join(parts[:2])
    if top == "include":
        return "include"
    return "/".join(parts[:-1])


class Program:
    """A whole tree.  Made once; only caches change afterwards."""

    def __init__(self, facts: Mapping[str, Facts]) -> None:
        self.files: list[str] = list(facts)
        self.facts = facts
        self.functions: list[Function] = []
        self.file: list[str] = []
        self.unit: list[str] = []
        self.outside: list[bool] = []
        self.by_name: dict[str, list[int]] = defaultdict(list)
        self.structs: dict[str, dict[str, str]] = {}
        self.unit_structs: dict[tuple[str, str], dict[str, str]] = {}
        self.lock_members: dict[str, set[str]] = defaultdict(set)
        self.constants: dict[str, str] = dict(GFP)
        self.ops: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
        self.unit_ops: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
        self.unit_variables: dict[str, set[str]] = defaultdict(set)
        #: Subject -> (struct, path, variable, members) of its tables.
        self.unit_tables: dict[str, list[Table]] = defaultdict(list)
        self.variable_ops: dict[str, list[tuple[str, str, str, str]]] = defaultdict(list)
        self.op_fields: dict[str, set[str]] = defaultdict(set)
        self.globals: dict[tuple[str, str], str] = {}
        self._values: dict[str, Value] = {}
        self._resolved: dict[tuple[str, str], int | None] = {}
        self.unit_functions: dict[str, list[int]] = defaultdict(list)
        self._bodies: dict[int, tuple[dict[str, str], list[Event]]] = {}
        self._events: dict[int, list[Event]] = {}
        # Headers of include/ last, so that theirs is the definition that everybody sees.
        for path in sorted(facts, key=lambda name: name.startswith("include/linux/")):
            self._add(path, facts[path])

    def _add(self, path: str, facts: Facts) -> None:
        unit = unit_of(path)
        outside = path.startswith(BOUNDARY)
        for function in facts.functions:
            self.by_name[function.name].append(len(self.functions))
            self.unit_functions[unit].append(len(self.functions))
            self.functions.append(function)
            self.file.append(path)
            self.unit.append(unit)
            self.outside.append(outside)
        for name, members in facts.structs:
            table = {member: kind for kind, member in members}
            self.unit_structs[unit, name] = table
            if name not in self.structs or path.startswith("include/"):
                self.structs[name] = table
            for kind, member in members:
                if kind in _LOCK_TYPES:
                    self.lock_members[member].add(name)
        for struct, variable, _, fields in facts.ops:
            self.unit_variables[unit].add(variable)
            self.unit_tables[unit].append((struct, path, variable, fields))
            for field, function_name in fields:
                if not function_name.isidentifier():
                    continue
                self.ops[struct, field].append((path, function_name, variable))
                self.unit_ops[unit].append((struct, field, path, function_name))
                self.variable_ops[variable].append((struct, field, path, function_name))
                self.op_fields[field].add(struct)
        for name, text in facts.constants:
            known = self.constants.get(name)
            if (
                known is None
                or known == GFP.get(name)
                or (path.startswith("include/") and text != "0")
            ):
                self.constants[name] = text
        for kind, name in facts.variables:
            self.globals[unit, name] = kind

    # -- names

    def body(self, function: int) -> tuple[dict[str, str], list[Event]]:
        """Locals and events of ``function``, read once, or again when too many are kept."""
        found = self._bodies.get(function)
        if found is None:
            if len(self._bodies) >= _MOST_BODIES:
                self._bodies.clear()
                self._events.clear()
            found = self._bodies[function] = self.functions[function].read()
        return found

    def events(self, function: int) -> list[Event]:
        """All events of ``function``, nested ones too, in source order."""
        found = self._events.get(function)
        if found is None:
            events = self.body(function)[1]
            found = self._events[function] = flatten(events)
        return found

    def resolve(self, name: str, path: str) -> int | None:
        """The function or macro that ``name`` means in file ``path``; None when the tree has none."""
        key = (name, path)
        if key not in self._resolved:
            self._resolved[key] = self._resolve(name, path)
        return self._resolved[key]

    def called(self, name: str, path: str) -> int | None:
        """The function or macro that a call of ``name`` in file ``path`` enters; None when it is no name,
        or the tree has none."""
        found = self.resolve(name, path) if name.isidentifier() else None
        if found is not None and self.functions[found].macro:
            # Allocation profiling wraps the function of this name in a macro without types.
            behind = self.resolve(f"{name}_noprof", path)
            found = found if behind is None else behind
        return found

    def _resolve(self, name: str, path: str) -> int | None:
        candidates = self.by_name.get(name)
        if not candidates:
            alias = self.alias(name)
            return self._resolve(alias, path) if alias != name else self._instance(name, path)
        unit = unit_of(path)
        best, best_score = None, (-1, 0)
        for index in candidates:
            where = self.file[index]
            function = self.functions[index]
            header = where.endswith(".h")
            if where == path:
                near = 5
            elif function.static and not header:
                continue
            elif self.unit[index] == unit != "include":
                near = 4
            elif where.startswith(("arch/", "include/asm")) or "/kunit" in where:
                near = 0
            elif header and not where.startswith("include/"):
                near = 0 if function.macro else 1
            else:
                near = 3
            if near == 4 and not header:
                near = 5
            # Of an #ifdef's two definitions the larger is the real one.
            score = (near, len(function.body))
            if score > best_score and (near > 0 or not function.static):
                best, best_score = index, score
        return best

    def alias(self, name: str) -> str:
        """What ``name`` stands for when it is a macro without arguments for another name."""
        for _ in range(4):
            text = self.constants.get(name, "").strip("() ")
            if name in self.by_name or not WORD.fullmatch(text):
                break
            name = text
        return name

    def _instance(self, name: str, path: str) -> int | None:
        """The template that ``name`` is made of by a macro; one that the file, or a header, has."""
        for before, after, index in self.templates.get(name[:4], ()):
            home = self.file[index] == path or self.file[index].endswith(".h")
            if home and name.startswith(before) and name.endswith(after):
                return index
        return None

    @cached_property
    def templates(self) -> dict[str, list[tuple[str, str, int]]]:
        """First four letters -> (begin, end, function) of names that macros make, longest first."""
        found: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for name, indices in self.by_name.items():
            before, made, after = name.partition("$")
            if made and len(before) > 3:
                after = after.rpartition("$")[2]
                found[before[:4]] += [(before, after, index) for index in indices]
        for rows in found.values():
            rows.sort(key=lambda row: -len(row[0]))
        return dict(found)

    def unit_of(self, path: str) -> str:
        """The subject of file ``path``."""
        return unit_of(path)

    # -- constants

    def constant(self, name: str) -> Value:
        """The value of a #define or an enumerator; UNKNOWN when there is none that is a number."""
        value = self._values.get(name)
        if value is None:
            self._values[name] = UNKNOWN  # a definition by itself ends here
            text = self.constants.get(name)
            value = UNKNOWN
            if text is not None:
                value = cexpr.evaluate(cexpr.parse(text), self.constant, self.constant_call)
            if value[1] == 0 and name in GFP and text != GFP[name]:
                value = cexpr.evaluate(cexpr.parse(GFP[name]), self.constant, self.constant_call)
            self._values[name] = value
        return value

    def constant_call(self, name: str, args: tuple[cexpr.Node, ...]) -> Value:
        if name in ("BIT", "BIT_ULL", "_BITUL", "_BITULL", "BIT_MASK") and len(args) == 1:
            shift = cexpr.evaluate(args[0], self.constant, self.constant_call)
            return (1 << shift[0], ALL) if shift[1] == ALL and shift[0] < 64 else UNKNOWN
        if name in ("__force", "gfp_t") and len(args) == 1:
            return cexpr.evaluate(args[0], self.constant, self.constant_call)
        return UNKNOWN

    @cached_property
    def gfp(self) -> dict[str, int]:
        """GFP bits by name: FS, IO, DIRECT_RECLAIM, NOFAIL, NOLOCKDEP."""
        names = ["FS", "IO", "DIRECT_RECLAIM", "NOFAIL", "NOLOCKDEP"]
        return {name: self.constant(f"__GFP_{name}")[0] for name in names}

    @cached_property
    def memalloc(self) -> int:
        """PF_MEMALLOC."""
        return self.constant("PF_MEMALLOC")[0] or 0x800

    def flag_names(self, value: Value) -> str:
        """``value`` as the field writes it: GFP_NOFS|__GFP_NOFAIL."""
        bits, known = value[:2]
        if known & self.gfp["DIRECT_RECLAIM"] == 0:
            return "gfp unknown"
        for name in ("GFP_KERNEL", "GFP_NOFS", "GFP_NOIO", "GFP_ATOMIC", "GFP_NOWAIT"):
            base = self.constant(name)[0]
            mask = self.constant("GFP_KERNEL")[0]
            if bits & mask == base & mask:
                break
        extra = [
            f"__GFP_{flag}" for flag in ("NOFAIL", "NOLOCKDEP") if bits & known & self.gfp[flag]
        ]
        return "|".join([name, *extra])

    # -- types

    def members(self, struct: str, unit: str) -> dict[str, str]:
        """Member -> type of ``struct`` as ``unit`` sees it."""
        return self.unit_structs.get((unit, struct)) or self.structs.get(struct) or {}

    def type_of(self, text: str, function: int, depth: int = 0) -> str:
        """The struct that expression ``text`` is, or points to, inside ``function``; "" unknown."""
        text = text.strip()
        while text[:1] in "&*(" and text:
            if text[0] == "(":
                cast = re.match(r"^\(\s*(?:const\s+)?(?:struct\s+)?(\w+)\s*\*+\s*\)", text)
                if cast:
                    return cast.group(1)
                if not text.endswith(")"):
                    break
                text = text[1:-1].strip()
            else:
                text = text[1:].strip()
        if depth > 6 or len(text) > 200:
            return ""
        if text.endswith("]"):
            text = text[: text.rfind("[")].strip()
        path, unit = self.file[function], self.unit[function]
        if text.endswith(")"):
            name = text.partition("(")[0].strip("( &*")
            if name in ("container_of", "list_entry"):
                parts = text.split(",")
                return parts[1].replace("struct", "").strip() if len(parts) > 2 else ""
            # A call's own closing bracket, or that of something before a member.
            if "->" not in text.rpartition(")")[0] or _balanced_call(text):
                callee = self.resolve(name, path)
                return self._returned(callee, depth) if callee is not None else ""
        found = MEMBER_CALL.match(text)
        if found:
            base = self.type_of(found.group(1), function, depth + 1)
            if not base:
                return ""
            kind = self.members(base, unit).get(found.group(2))
            return base if kind == "" else (kind or "").rstrip("*")
        if not WORD.fullmatch(text):
            return ""
        kind = self.body(function)[0].get(text)
        if kind is None:
            kind = next(
                (kind for kind, name in self.functions[function].params if name == text), None
            )
        if kind is None:
            kind = self.globals.get((unit, text), "")
        return kind.rstrip("*")

    def _returned(self, callee: int, depth: int) -> str:
        function = self.functions[callee]
        if not function.macro:
            return function.returns.rstrip("*")
        last = self.body(callee)[1][-1:]
        if last and last[0][0] == "ret":
            return self.type_of(last[0][2], callee, depth + 1)
        return ""

    def lock_class(self, text: str, function: int) -> str:
        """The class of the lock that ``text`` names: ``struct.member``, or the variable's name.

        ``?.member`` when no struct can be told; "" for a bare parameter.
        """
        shown = text.strip().lstrip("&*(").strip()
        while shown.endswith(")") and shown.count(")") > shown.count("("):
            shown = shown[:-1].strip()
        if shown.endswith("]"):
            shown = shown[: shown.rfind("[")]
        shown = shown.removesuffix(".base").removesuffix(".dep_map")
        found = MEMBER_CALL.match(shown)
        if found:
            member = found.group(2)
            struct = self.type_of(found.group(1), function)
            if struct in self.wrappers:
                outer = self.lock_class(found.group(1), function)
                if outer and outer[0] != "?" and "." in outer:
                    return outer
            if struct and struct in self.structs:
                return f"{struct}.{member}"
            owners = self.lock_members.get(member, set())
            unit = self.unit[function]
            mine = {owner for owner in owners if (unit, owner) in self.unit_structs}
            for choice in (mine, owners):
                if len(choice) == 1:
                    return f"{next(iter(choice))}.{member}"
            return f"?{unit}.{member}"
        if not WORD.fullmatch(shown):
            return f"?{self.unit[function]}.{shown[:40]}"
        if any(shown == name for _, name in self.functions[function].params):
            return ""
        locals_ = self.body(function)[0]
        if shown in locals_:
            return f"?{self.unit[function]}.{shown}"
        return shown

    # -- values

    def known_call(self, name: str) -> Value | None:
        """The value of a call that no source line says (the flags of a mapping)."""
        text = KNOWN_CALLS.get(name)
        return self.constant(text) if text else None

    @cached_property
    def wrappers(self) -> frozenset[str]:
        """Small structs around a lock that others embed (f2fs_rwsem, mrlock_t): the lock is the owner's."""
        small = {
            owner
            for owners in self.lock_members.values()
            for owner in owners
            if len(self.structs.get(owner, ())) <= 8
        }
        embedded = {kind for members in self.structs.values() for kind in members.values()}
        return frozenset(small & embedded)

    def wrapper_parameter(self, text: str, function: int) -> int | None:
        """The index of the parameter whose wrapped lock ``text`` is, as in ``&sem->internal_rwsem``."""
        base = text.strip("&()* ").partition("->")[0]
        for index, (kind, name) in enumerate(self.functions[function].params):
            if name == base and (text.strip("&()* ") == base or kind.rstrip("*") in self.wrappers):
                return index
        return None

    @cached_property
    def handed(self) -> frozenset[str]:
        """Names of functions that are in a table of operations: called by who knows whom."""
        return frozenset(name for entry in self.ops.values() for _, name, _ in entry)

    @cached_property
    def exclusive(self) -> frozenset[str]:
        """The texts of locks that somebody takes exclusively."""
        return frozenset(
            arg
            for function in self.functions
            for primitive, arg in function.locks
            if ACQUIRE.get(primitive, (0, "r"))[1] == "w"
        )

    @cached_property
    def registered(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """(struct, field) -> (path, function) of operations assigned in code: ``x->scan = f``."""
        found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        marks = (b"scan_objects", b"count_objects")
        for index, function in enumerate(self.functions):
            if any(mark in function.body for mark in marks):
                for event in self.events(index):
                    if event[0] == "=" and event[3] == "=":
                        member = MEMBER_CALL.match(event[2])
                        right = event[4].strip("& ")
                        if member and WORD.fullmatch(right) and right in self.by_name:
                            struct = self.type_of(member.group(1), index) or "shrinker"
                            found[struct, member.group(2)].append((self.file[index], right))
        return found


def flatten(events: list[Event]) -> list[Event]:
    """All events of a body, nested ones too, in source order."""
    out: list[Event] = []
    stack = [iter(events)]
    while stack:
        for event in stack[-1]:
            out.append(event)
            kind = event[0]
            if kind == "if":
                stack.append(iter(list(event[3]) + list(event[4])))
                break
            if kind in ("loop", "do", "block"):
                stack.append(iter(event[3]))
                break
            if kind == "switch":
                stack.append(iter([inner for _, case in event[3] for inner in case]))
                break
        else:
            stack.pop()
    return out


def _balanced_call(text: str) -> bool:
    """Whether ``name(...)`` is one call to its end."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character == ")":
            return at == len(text) - 1
    return False
