"""Declarations of C as tree-sitter reads them: structs, enums, typedefs, variables, tables of operations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import tree_sitter
import tree_sitter_c

#: Nested deeper than this is no kernel code; deeper nodes are left out and the file is reported.
DEPTH = 150

_TYPE = re.compile(r"(?:struct|union)\s+(\w+)|\b(\w++)[\s*]*+$")
IDENTIFIER = re.compile(r"\w+")
_POINTED = re.compile(r"\(\s*\*\s*(\w+)")
_SPACE = re.compile(r"\s+")
#: Numbers and flags, as members of a table may be.
_FLAGS = re.compile(r"[\w |]{1,80}")
_KINDS: dict[int, str] = {}


@cache
def parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))


def kind_of(node: Any) -> str:
    number = node.kind_id
    kind = _KINDS.get(number)
    if kind is None:
        kind = _KINDS[number] = node.type
    return kind


def first_named(node: Any) -> Any:
    return node.named_children[0] if node.named_child_count else None


def type_name(text: str) -> str:
    found = _TYPE.search(text)
    return (found.group(1) or found.group(2)) if found else ""


class Declarations:
    """Reads declarations of one tree.  Node kinds are looked up by number: asking for their names is slow."""

    def __init__(self, data: bytes, row: int = 0) -> None:
        self.data = data
        self.row = row
        self.structs: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        self.ops: list[tuple[str, str, int, tuple[tuple[str, str], ...]]] = []
        self.enums: list[tuple[str, str]] = []
        self.problem = ""

    def text(self, node: Any) -> str:
        found = self.data[node.start_byte : node.end_byte].decode("utf-8", "replace")
        return _SPACE.sub(" ", found) if "\n" in found or "\t" in found else found

    def line(self, node: Any) -> int:
        return int(node.start_point[0]) + 1 + self.row

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
            kind = kind_of(child)
            if kind == "field_declaration":
                base = child.child_by_field_name("type")
                if base is None:
                    continue
                if base.child_by_field_name("body") is not None:
                    if kind_of(base) == "enum_specifier":
                        self.enum(base)
                    elif base.child_by_field_name("name") is not None:
                        self.struct(base)
                    else:
                        self.members(base.child_by_field_name("body"), members, depth + 1)
                # The members of a struct without a name are told as its owner's.
                typename = "" if base.child_by_field_name("body") else type_name(self.text(base))
                for declarator in child.children_by_field_name("declarator"):
                    shown = self.text(declarator)
                    found = _POINTED.search(shown) or IDENTIFIER.search(shown)
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
            if kind_of(child) != "enumerator":
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
        if kind_of(base) == "enum_specifier":
            self.enum(base)
            return
        members: list[tuple[str, str]] = []
        self.members(base.child_by_field_name("body"), members, 0)
        for declarator in node.children_by_field_name("declarator"):
            self.structs.append((self.text(declarator), tuple(members)))
        name = base.child_by_field_name("name")
        if name is not None:
            self.structs.append((self.text(name), tuple(members)))

    def declared(self, node: Any) -> Iterator[tuple[str, str, Any, int]]:
        """(type, variable, initial value or None, line) of every variable that ``node`` declares."""
        base = node.child_by_field_name("type")
        if base is None:
            return
        body = base.child_by_field_name("body") if base.child_count else None
        if body is not None:
            (self.enum if kind_of(base) == "enum_specifier" else self.struct)(base)
            name = base.child_by_field_name("name")
            typename = self.text(name) if name is not None else ""
        else:
            typename = type_name(self.text(base))
        for declarator in node.children_by_field_name("declarator"):
            value = None
            if kind_of(declarator) == "init_declarator":
                value = declarator.child_by_field_name("value")
                declarator = declarator.child_by_field_name("declarator")
            if kind_of(declarator) == "function_declarator":
                continue
            shown = self.text(declarator)
            found = IDENTIFIER.search(shown)
            if not found:
                continue
            variable = found.group()
            if value is not None and kind_of(value) == "initializer_list":
                self.initialiser(typename, variable, value)
            stars = "*" if shown.startswith("*") else ""
            yield typename + stars, variable, value, self.line(declarator)

    def initialiser(self, typename: str, variable: str, node: Any) -> None:
        """Designated fields with plain names: which function answers which operation.

        With them the members that are numbers or flags, and ``*`` where what else is set was not read.
        """
        fields: list[tuple[str, str]] = []
        others: list[tuple[str, str]] = []
        stack = [node]
        line = self.line(node)
        for _ in range(4000):
            if not stack:
                break
            for child in stack.pop().named_children:
                kind = kind_of(child)
                if kind == "initializer_list":
                    stack.append(child)
                if kind != "initializer_pair":
                    if kind != "comment" and others[-1:] != [("*", "")]:
                        others.append(("*", ""))
                    continue
                value = child.child_by_field_name("value")
                designator = child.child_by_field_name("designator")
                if value is None or designator is None:
                    continue
                if kind_of(value) == "initializer_list":
                    stack.append(value)
                else:
                    shown = self.text(value).lstrip("&( ").rstrip(") ")
                    member = self.text(designator).lstrip(".")
                    if shown.isidentifier() and shown != "NULL":
                        fields.append((member, shown))
                    elif shown != "NULL":
                        others.append((member, shown if _FLAGS.fullmatch(shown) else ""))
        if fields:
            self.ops.append((typename, variable, line, (*fields, *others)))
