"""Facts of one C file, by tree-sitter: no configuration, no preprocessing, both sides of every #ifdef.

The facts of a file are plain tuples, so that they marshal: a function's body is kept as marshalled bytes
and read back only when an analysis walks it.  Bodies are lists of events in source order:

``("c", line, callee, args, target)``   a call; target is the variable it is assigned to, or ""
``("=", line, left, operator, right)``  an assignment or an initialiser
``("if", line, condition, then, otherwise)``  calls of the condition come before it
``("loop", line, condition, body)``, ``("block", line, "", body)`` the body of a guard,
``("switch", line, value, ((case or None, body), ...))``
``("ret", line, value)``, ``("goto", line, label)``, ``("label", line, name)``, ``("jump", line, kind)``
"""

from __future__ import annotations

import hashlib
import marshal
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import tree_sitter
import tree_sitter_c

from ring3.audit.tables import ACQUIRE, LOCK_CLEANUP, RELEASE, SCOPE_BEGIN, SCOPE_END, words

#: Nested deeper than this is no kernel code; deeper nodes are left out and the file is reported.
DEPTH = 150
#: Larger than this is generated tables.
LARGEST = 8 << 20

Event = tuple[Any, ...]


class Function(NamedTuple):
    """A function or (``macro``) a function-like macro.  ``params`` are (type, name)."""

    name: str
    line: int
    static: bool
    macro: bool
    returns: str
    params: tuple[tuple[str, str], ...]
    callees: tuple[str, ...]
    locks: tuple[tuple[str, str], ...]  # (primitive, first argument) of direct lock and scope calls
    body: bytes  # marshalled (locals, events)

    def read(self) -> tuple[dict[str, str], list[Event]]:
        """Local variable -> type, and the events of the body."""
        names, events = marshal.loads(self.body)
        return dict(names), events


class Facts(NamedTuple):
    """What one file says."""

    functions: tuple[Function, ...]
    structs: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]  # name, ((type, member), ...)
    ops: tuple[
        tuple[str, str, int, tuple[tuple[str, str], ...]], ...
    ]  # struct, variable, line, fields
    constants: tuple[tuple[str, str], ...]  # name, expression
    variables: tuple[tuple[str, str], ...]  # type, name, of file scope
    suppressed: tuple[tuple[int, str], ...]  # line, what: "ring3: allow WHAT" comments
    problem: str  # why the file was left out or read in part; "" when whole


EMPTY = Facts((), (), (), (), (), (), "")

# Attributes that the C grammar cannot know; blanked so that declarations around them parse.
_ATTRIBUTES = re.compile(
    rb"\b(?:__init|__exit|__user|__rcu|__must_check|__wur|asmlinkage|noinline|__always_inline|noinline_for_stack"
    rb"|__maybe_unused|__cold|__percpu|__iomem|__force|__bitwise|__read_mostly|__ro_after_init|__initdata"
    rb"|__packed|__always_unused|__net_init|__net_exit|__sched|__weak|notrace|__used|__init_or_module|__ref"
    rb"|__private|__randomize_layout|____cacheline_aligned_in_smp|____cacheline_aligned|__no_kasan_or_inline"
    rb"|__flatten|__pure|__attribute_const__|__malloc|__hot|__init_memblock|__meminit|__noreturn|__cpuidle"
    rb"|STATIC(?=\s)|(?:__counted_by|__counted_by_ptr|__counted_by_le|__acquires|__releases|__must_hold|__printf|__aligned"
    rb"|__acquire|__cond_acquires|__alloc_size|__realloc_size|__assume_aligned|__section)\s*\([^()\n]*\))(?!\w)"
)
# struct TAG as a macro's argument (kmalloc_obj(struct foo, ...), container_of(p, struct foo, m)) is no
# expression; without the keyword it is one.
_TAG_ARGUMENT = re.compile(
    rb"(?<=[(,])\s*(?:struct|union|enum)\s(?=\s*\w+\s*[,)])"
    rb"|(?<=[(,])(\s*)(?:struct|union|enum)(\s+\w+\s*)\*+(?=\s*,)"
)
_SUPPRESS = re.compile(rb"ring3:\s*allow\s+([\w, -]+)")
_CONSTANT = re.compile(
    rb"^[ \t]*#[ \t]*define[ \t]+([A-Za-z_]\w*)[ \t]+([^\n\"']{1,200}(?:\\\n[^\n\"']{1,200})*)$",
    re.M,
)
_TYPE = re.compile(r"(?:struct|union)\s+(\w+)|(\w+)\s*[\s*]*$")
_CALLS = re.compile(rb"\w\s*\(")
_SPACE = re.compile(r"\s+")
_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.S)
_SYSCALL = re.compile(r"^(?:COMPAT_)?SYSCALL_DEFINE\d$")
# Tables of register numbers: megabytes of defines that no branch of interest looks at.
_TABLE_OF_DEFINES = 200_000


@cache
def version() -> str:
    """Changes with everything that shapes facts; part of the cache's key."""
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__)
    for path in (here, here.with_name("tables.py")):
        digest.update(path.read_bytes())
    digest.update(f"{tree_sitter.__name__} {tree_sitter_c.language()!r}"[:12].encode())
    return digest.hexdigest()


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))


def extract(data: bytes, header: bool = False) -> Facts:
    """The facts of a C source or header ``data``.

    Never fails on content: what cannot be read is named in ``problem``, and the rest is there.
    """
    if len(data) > LARGEST:
        return EMPTY._replace(problem=f"{len(data) >> 20} MiB, more than {LARGEST >> 20}: left out")
    if b"\0" in data[:65536]:
        if data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
            return EMPTY._replace(problem="holds NUL bytes, is not C source: left out")
        data = data.decode("utf-16", "replace").encode()
    if header and len(data) > _TABLE_OF_DEFINES and b"{" not in data:
        return EMPTY
    suppressed = tuple(
        (data.count(b"\n", 0, found.start()) + 1, found.group(1).decode().strip())
        for found in _SUPPRESS.finditer(data)
    )
    blanked = _ATTRIBUTES.sub(_blank, data)
    blanked = _TAG_ARGUMENT.sub(_untag, blanked)
    if b"\r" in blanked:
        blanked = blanked.replace(b"\r", b" ")
    reader = _Reader(blanked)
    tree = _parser().parse(blanked)
    reader.top(tree.root_node, 0)
    constants = {
        found.group(1).decode(): _COMMENT.sub(b"", found.group(2).replace(b"\\\n", b" "))
        .decode("utf-8", "replace")
        .strip()
        for found in _CONSTANT.finditer(blanked)
    }
    return Facts(
        tuple(reader.functions),
        tuple(reader.structs),
        tuple(reader.ops),
        tuple((name, text) for name, text in constants.items() if text) + tuple(reader.enums),
        tuple(reader.variables),
        suppressed,
        reader.problem,
    )


def _blank(found: re.Match[bytes]) -> bytes:
    return re.sub(rb"\S", b" ", found.group())


def _untag(found: re.Match[bytes]) -> bytes:
    if found.group(2) is None:
        return _blank(found)
    name = found.group(2)
    return (found.group(1) + name).rjust(len(found.group()), b" ")


class _Reader:
    """Walks one tree.  Node kinds are looked up by number: asking for their names is slow."""

    def __init__(self, data: bytes, row: int = 0) -> None:
        self.data = data
        self.row = row
        self.functions: list[Function] = []
        self.structs: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        self.ops: list[tuple[str, str, int, tuple[tuple[str, str], ...]]] = []
        self.enums: list[tuple[str, str]] = []
        self.variables: list[tuple[str, str]] = []
        self.problem = ""
        self.locals: dict[str, str] = {}
        self.callees: dict[str, None] = {}
        self.locks: list[tuple[str, str]] = []

    def text(self, node: Any) -> str:
        found = self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")
        return _SPACE.sub(" ", found) if "\n" in found or "\t" in found else found

    def line(self, node: Any) -> int:
        return int(node.start_point[0]) + 1 + self.row

    # -- file scope

    def top(self, node: Any, depth: int) -> None:
        if depth > DEPTH:
            self.problem = f"nested deeper than {DEPTH} at line {self.line(node)}: read in part"
            return
        syscall = None
        for child in node.children:
            kind = _kind(child)
            if kind == "function_definition":
                self.function(child)
            elif kind == "declaration":
                self.declaration(child, top=True)
            elif kind in ("struct_specifier", "union_specifier"):
                self.struct(child)
            elif kind == "enum_specifier":
                self.enum(child)
            elif kind == "type_definition":
                self.typedef(child)
            elif kind == "preproc_function_def":
                self.macro(child)
            elif kind == "compound_statement" and syscall is not None:
                self.finish(syscall, self.line(child), False, False, "", (), child)
            elif child.child_count and kind not in _LEAVES_AT_TOP:
                self.top(child, depth + 1)
            syscall = None
            if kind == "expression_statement":
                name = self.text(child)
                if _SYSCALL.match(name.partition("(")[0]):
                    syscall = "sys_" + re.split(r"[(,)]", name)[1].strip()

    def function(self, node: Any) -> None:
        declarator = node.child_by_field_name("declarator")
        pointer = ""
        while declarator is not None and _kind(declarator) in (
            "pointer_declarator",
            "parenthesized_declarator",
            "attributed_declarator",
        ):
            pointer = "*"
            declarator = declarator.child_by_field_name("declarator") or _named(declarator)
        if declarator is None or _kind(declarator) != "function_declarator":
            self.top(node, DEPTH - 8)
            return
        inner = declarator.child_by_field_name("declarator")
        name = self.text(inner) if inner is not None else ""
        if not name.isidentifier():
            return
        head = self.data[node.start_byte : declarator.start_byte]
        returned = node.child_by_field_name("type")
        returns = _type_name(self.text(returned)) + pointer if returned is not None else ""
        parameters = declarator.child_by_field_name("parameters")
        body = node.child_by_field_name("body")
        if body is None:
            return
        params = []
        for parameter in parameters.named_children if parameters is not None else ():
            if _kind(parameter) != "parameter_declaration":
                continue
            kind = parameter.child_by_field_name("type")
            inner = parameter.child_by_field_name("declarator")
            shown = self.text(inner) if inner is not None else ""
            identifier = re.search(r"\w+", shown)
            params.append(
                (
                    (_type_name(self.text(kind)) if kind is not None else "")
                    + ("*" if "*" in shown else ""),
                    identifier.group() if identifier else "",
                )
            )
        static = b"static" in head
        self.finish(name, self.line(inner or node), static, False, returns, tuple(params), body)

    def finish(
        self,
        name: str,
        line: int,
        static: bool,
        macro: bool,
        returns: str,
        params: tuple[tuple[str, str], ...],
        body: Any,
    ) -> None:
        saved = self.locals, self.callees, self.locks
        self.locals, self.callees, self.locks = {}, {}, []
        events: list[Event] = []
        self.block(body, events, 0)
        packed = marshal.dumps((tuple(self.locals.items()), events))
        self.functions.append(
            Function(
                name,
                line,
                static,
                macro,
                returns,
                params,
                tuple(self.callees),
                tuple(self.locks),
                packed,
            )
        )
        self.locals, self.callees, self.locks = saved

    def macro(self, node: Any) -> None:
        value = node.child_by_field_name("value")
        name = node.child_by_field_name("name")
        parameters = node.child_by_field_name("parameters")
        if value is None or name is None or parameters is None:
            return
        text = self.data[value.start_byte : value.end_byte].replace(b"\\\n", b" \n")
        if not _CALLS.search(text) and b"=" not in text and b"->" not in text:
            return
        source = b"void m(void) { return " + text.replace(b"##", b"  ") + b"\n;}"
        if re.match(rb"\s*(?:do|if|for|while|switch|return|struct|int|typeof|static)\b", text):
            source = b"void m(void) {        " + text.replace(b"##", b"  ") + b"\n;}"
        tree = _parser().parse(source)
        body = next((c for c in tree.root_node.children if _kind(c) == "function_definition"), None)
        body = body.child_by_field_name("body") if body is not None else None
        if body is None:
            return
        inner = _Reader(source, self.row + int(value.start_point[0]))
        params = tuple(
            ("", self.text(child))
            for child in parameters.children
            if _kind(child) in ("identifier", "...")
        )
        inner.finish(self.text(name), self.line(node), True, True, "", params, body)
        found = inner.functions[0]
        self.functions.append(found._replace(line=self.line(node)))

    def struct(self, node: Any) -> None:
        body = node.child_by_field_name("body")
        name = node.child_by_field_name("name")
        if body is None:
            return
        members: list[tuple[str, str]] = []
        self.members(body, members, 0)
        if name is not None and members:
            self.structs.append((self.text(name), tuple(members)))

    def members(self, node: Any, members: list[tuple[str, str]], depth: int) -> None:
        if depth > 12:
            return
        for child in node.children:
            kind = _kind(child)
            if kind == "field_declaration":
                base = child.child_by_field_name("type")
                if base is None:
                    continue
                if base.child_by_field_name("body") is not None:
                    if _kind(base) == "enum_specifier":
                        self.enum(base)
                    elif base.child_by_field_name("name") is not None:
                        self.struct(base)
                    else:
                        self.members(base.child_by_field_name("body"), members, depth + 1)
                # The members of a struct without a name are told as its owner's.
                typename = "" if base.child_by_field_name("body") else _type_name(self.text(base))
                for declarator in child.children_by_field_name("declarator"):
                    shown = self.text(declarator)
                    found = re.search(r"\(\s*\*\s*(\w+)", shown) or re.search(r"\w+", shown)
                    if found:
                        mark = "*" if shown.startswith("*") else ""
                        members.append((typename + mark, found.group(found.lastindex or 0)))
            elif kind.startswith("preproc") or kind == "ERROR":
                self.members(child, members, depth + 1)

    def enum(self, node: Any) -> None:
        body = node.child_by_field_name("body")
        if body is None:
            return
        base, offset = "0", 0
        for child in body.named_children:
            if _kind(child) != "enumerator":
                continue
            name = self.text(child.child_by_field_name("name"))
            value = child.child_by_field_name("value")
            if value is not None:
                base, offset = self.text(value), 0
            self.enums.append((name, f"({base})+{offset}" if offset else base))
            offset += 1

    def typedef(self, node: Any) -> None:
        base = node.child_by_field_name("type")
        if base is None or base.child_by_field_name("body") is None:
            return
        if _kind(base) == "enum_specifier":
            self.enum(base)
            return
        members: list[tuple[str, str]] = []
        self.members(base.child_by_field_name("body"), members, 0)
        for declarator in node.children_by_field_name("declarator"):
            self.structs.append((self.text(declarator), tuple(members)))
        name = base.child_by_field_name("name")
        if name is not None:
            self.structs.append((self.text(name), tuple(members)))

    def declaration(self, node: Any, *, top: bool, out: list[Event] | None = None) -> None:
        base = node.child_by_field_name("type")
        if base is None:
            return
        body = base.child_by_field_name("body") if base.child_count else None
        if body is not None:
            (self.enum if _kind(base) == "enum_specifier" else self.struct)(base)
            name = base.child_by_field_name("name")
            typename = self.text(name) if name is not None else ""
        else:
            typename = _type_name(self.text(base))
        for declarator in node.children_by_field_name("declarator"):
            value = None
            if _kind(declarator) == "init_declarator":
                value = declarator.child_by_field_name("value")
                declarator = declarator.child_by_field_name("declarator")
            shown = self.text(declarator)
            if _kind(declarator) == "function_declarator":
                continue
            found = re.search(r"\w+", shown)
            if not found:
                continue
            variable = found.group()
            stars = "*" if shown.startswith("*") else ""
            if top:
                self.variables.append((typename + stars, variable))
            else:
                self.locals[variable] = typename + stars
            if value is None:
                continue
            if _kind(value) == "initializer_list":
                self.initialiser(typename, variable, value)
            if not top and out is not None:
                self.expression(value, out, 0, variable)
                if _kind(value) != "initializer_list":
                    out.append(("=", self.line(declarator), variable, "=", self.text(value)[:300]))

    def initialiser(self, typename: str, variable: str, node: Any) -> None:
        """Designated fields with plain names: which function answers which operation."""
        fields: list[tuple[str, str]] = []
        stack = [node]
        line = self.line(node)
        for _ in range(4000):
            if not stack:
                break
            for child in stack.pop().named_children:
                kind = _kind(child)
                if kind == "initializer_list":
                    stack.append(child)
                if kind != "initializer_pair":
                    continue
                value = child.child_by_field_name("value")
                designator = child.child_by_field_name("designator")
                if value is None or designator is None:
                    continue
                if _kind(value) == "initializer_list":
                    stack.append(value)
                else:
                    shown = self.text(value).lstrip("&( ").rstrip(") ")
                    if shown.isidentifier() and shown != "NULL":
                        fields.append((self.text(designator).lstrip("."), shown))
        if fields:
            self.ops.append((typename, variable, line, tuple(fields)))

    # -- inside functions

    def block(self, node: Any, out: list[Event], depth: int) -> None:
        for child in node.children:
            if _kind(child) == "compound_statement" and (
                (out and out[-1][0] == "c" and out[-1][2] in LOCK_CLEANUP)
                or self.data.find(b"guard(", child.start_byte, child.end_byte) >= 0
            ):
                # What a guard takes is given back at the end of its block.
                inner: list[Event] = []
                self.block(child, inner, depth + 1)
                out.append(("block", self.line(child), "", inner))
            else:
                self.statement(child, out, depth + 1)

    def statement(self, node: Any, out: list[Event], depth: int) -> None:
        if not node.child_count:
            return
        if depth > DEPTH:
            self.problem = f"nested deeper than {DEPTH} at line {self.line(node)}: read in part"
            return
        kind = _kind(node)
        if kind == "expression_statement":
            self.expression(node, out, 0)
        elif kind == "declaration":
            self.declaration(node, top=False, out=out)
        elif kind == "if_statement":
            condition = node.child_by_field_name("condition")
            if condition is None:
                return
            self.expression(condition, out, 0)
            then: list[Event] = []
            otherwise: list[Event] = []
            branch = node.child_by_field_name("consequence")
            if branch is not None:
                self.statement(branch, then, depth + 1)
            alternative = node.child_by_field_name("alternative")
            if alternative is not None:
                self.statement(alternative, otherwise, depth + 1)
            out.append(("if", self.line(node), self.text(condition)[:400], then, otherwise))
        elif kind in ("for_statement", "while_statement", "do_statement"):
            body: list[Event] = []
            condition = node.child_by_field_name("condition")
            inner = node.child_by_field_name("body")
            for child in node.children:
                if inner is None or child.start_byte != inner.start_byte:
                    if _kind(child) == "declaration":
                        self.declaration(child, top=False, out=out)
                    else:
                        self.expression(child, out, 0)
            if inner is not None:
                self.statement(inner, body, depth + 1)
            shown = self.text(condition)[:200] if condition is not None else ""
            out.append(("loop" if kind != "do_statement" else "do", self.line(node), shown, body))
        elif kind == "switch_statement":
            self.switch(node, out, depth)
        elif kind == "return_statement":
            self.expression(node, out, 0)
            value = _named(node)
            out.append(
                ("ret", self.line(node), self.text(value)[:300] if value is not None else "")
            )
        elif kind == "goto_statement":
            label = node.child_by_field_name("label")
            out.append(("goto", self.line(node), self.text(label) if label is not None else ""))
        elif kind == "labeled_statement":
            label = node.child_by_field_name("label")
            out.append(("label", self.line(node), self.text(label) if label is not None else ""))
            for child in node.children[2:]:
                self.statement(child, out, depth + 1)
        elif kind in ("break_statement", "continue_statement"):
            out.append(("jump", self.line(node), kind[0]))
        elif kind == "function_definition":
            self.function(node)
        elif kind in ("preproc_function_def",):
            self.macro(node)
        elif kind in _BLOCKS:
            self.block(node, out, depth)
        else:
            self.expression(node, out, 0)

    def switch(self, node: Any, out: list[Event], depth: int) -> None:
        condition = node.child_by_field_name("condition")
        body = node.child_by_field_name("body")
        if condition is None or body is None:
            return
        self.expression(condition, out, 0)
        cases: list[tuple[str | None, list[Event]]] = []
        for child in body.children:
            if _kind(child) != "case_statement":
                if cases:
                    self.statement(child, cases[-1][1], depth + 1)
                continue
            value = child.child_by_field_name("value")
            events: list[Event] = []
            for inner in child.children:
                if value is None or inner.start_byte != value.start_byte:
                    self.statement(inner, events, depth + 1)
            cases.append((self.text(value) if value is not None else None, events))
        out.append(("switch", self.line(node), self.text(condition)[:200], cases))

    def expression(self, node: Any, out: list[Event], depth: int, target: str = "") -> None:
        """Calls, inner ones first, and assignments of an expression."""
        data = self.data
        if not node.child_count or (
            data.find(b"(", node.start_byte, node.end_byte) < 0
            and data.find(b"=", node.start_byte, node.end_byte) < 0
        ):
            return
        if depth > DEPTH:
            self.problem = f"nested deeper than {DEPTH} at line {self.line(node)}: read in part"
            return
        kind = _kind(node)
        if kind == "call_expression":
            self.call(node, out, depth, target)
            return
        if kind == "assignment_expression":
            left = node.child_by_field_name("left")
            right = node.child_by_field_name("right")
            operator = node.child_by_field_name("operator")
            if left is None or right is None:
                return
            shown = self.text(left)
            self.expression(left, out, depth + 1)
            self.expression(right, out, depth + 1, shown)
            sign = self.text(operator) if operator is not None else "="
            out.append(("=", self.line(node), shown, sign, self.text(right)[:300]))
            return
        if kind == "compound_statement":
            self.block(node, out, depth + 1)
            return
        if kind == "conditional_expression":
            # Both sides are calls that may happen; which one is decided as for an if.
            condition = node.child_by_field_name("condition")
            then: list[Event] = []
            otherwise: list[Event] = []
            sides = (
                (condition, out),
                (node.child_by_field_name("consequence"), then),
                (node.child_by_field_name("alternative"), otherwise),
            )
            for side, events in sides:
                if side is not None:
                    self.expression(side, events, depth + 1, target)
            if condition is not None and (then or otherwise):
                out.append(("if", self.line(node), self.text(condition)[:400], then, otherwise))
            return
        if kind == "binary_expression":
            # A chain a + b + c ... is as deep as it is long; walk its left side in a loop.
            chain = []
            while kind == "binary_expression":
                right = node.child_by_field_name("right")
                if right is not None:
                    chain.append(right)
                node = node.child_by_field_name("left")
                if node is None:
                    break
                kind = _kind(node)
            if node is not None:
                self.expression(node, out, depth + 1)
            for right in reversed(chain):
                self.expression(right, out, depth + 1)
            return
        inner = target if kind in ("parenthesized_expression", "cast_expression") else ""
        for child in node.children:
            if child.child_count:
                if _kind(child) == "declaration":
                    self.declaration(child, top=False, out=out)
                elif _kind(child) in _STATEMENTS:
                    self.statement(child, out, depth + 1)
                else:
                    self.expression(child, out, depth + 1, inner)

    def call(self, node: Any, out: list[Event], depth: int, target: str) -> None:
        function = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        if function is None or arguments is None:
            return
        name = self.text(function)[:120]
        if function.child_count:
            if _kind(function) == "parenthesized_expression":
                name = name.strip("() *")
            else:
                self.expression(function, out, depth + 1)
        args = []
        for argument in arguments.children:
            if argument.is_named and not argument.is_extra:
                args.append(self.text(argument)[:240])
                if argument.child_count:
                    self.expression(argument, out, depth + 1)
        if name in ("likely", "unlikely", "sizeof", "IS_ERR", "PTR_ERR", "BUG_ON", "ARRAY_SIZE"):
            return
        self.callees[name] = None
        if name in ACQUIRE or name in RELEASE or name in SCOPE_BEGIN or name in SCOPE_END:
            self.locks.append((name, args[0] if args else ""))
        elif name in LOCK_CLEANUP or name.startswith("guard("):
            self.locks.append((name, ",".join(args)))
        out.append(("c", self.line(node), name, tuple(args), target))


_LEAVES_AT_TOP = frozenset(
    words(
        "comment preproc_def preproc_include preproc_call expression_statement compound_statement "
        "type_identifier identifier string_literal initializer_list"
    )
)
_BLOCKS = frozenset(
    words(
        "compound_statement else_clause preproc_if preproc_ifdef preproc_else preproc_elif "
        "preproc_elifdef attributed_statement case_statement"
    )
)
_STATEMENTS = frozenset(
    words(
        "compound_statement if_statement for_statement while_statement do_statement "
        "switch_statement return_statement goto_statement labeled_statement expression_statement "
        "break_statement continue_statement function_definition"
    )
)
_KINDS: dict[int, str] = {}


def _kind(node: Any) -> str:
    number = node.kind_id
    kind = _KINDS.get(number)
    if kind is None:
        kind = _KINDS[number] = node.type
    return kind


def _named(node: Any) -> Any:
    return node.named_children[0] if node.named_child_count else None


def _type_name(text: str) -> str:
    found = _TYPE.search(text)
    return (found.group(1) or found.group(2)) if found else ""
