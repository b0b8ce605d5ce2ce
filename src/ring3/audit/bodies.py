"""Bodies of functions and function-like macros as events in source order."""

from __future__ import annotations

import marshal
import re
from typing import Any

from ring3.audit.declarations import (
    DEPTH,
    IDENTIFIER,
    Declarations,
    first_named,
    kind_of,
    parser,
    type_name,
)
from ring3.audit.forms import Event, Function
from ring3.audit.primitives import (
    ACQUIRE,
    JOURNAL_INFO,
    LOCK_CLEANUP,
    RELEASE,
    SCOPE_BEGIN,
    SCOPE_END,
    words,
)

_CALLS = re.compile(rb"\w\s*\(")
#: More constants in an array are not told.
MOST = 8
#: What an expression has that calls or assigns.
_TELLS = re.compile(rb"[({=]|\+\+|--")
#: Most calls: their arguments are names, members or numbers.  What "(a, &b)" is, the grammar cannot tell.
_WORD = r"[&*]?\w++(?:(?:->|\.)\w++)*+"
_WORDS = re.compile(_WORD)
_PLAIN_CALL = re.compile(rf"\w++\s*+\(\s*+(?:{_WORD}\s*+(?:,\s*+{_WORD}\s*+)*+)?\)".encode())
#: Of longer calls, names and arguments are cut.
_SHORT = 120
#: What a _Generic selection may be.
_CHOICE = re.compile(r":\s*([A-Za-z_]\w*)\s*(?=[,)])")
_DEBUG = re.compile(r"(?:^|_)DEBUG(?:_|$)")
#: ``#a`` of a macro is some string.
_STRING = re.compile(rb"(?<![#\w])#[ \t]*\w+")
#: A macro that defines functions, under names pasted together.
_DEFINES = re.compile(rb"\s*(?:static|extern|(?:struct \w+|\w+)[\s*]+\w*\$\w*\s*\()[^;=]*\)\s*\{")
#: ``a ## b`` of a macro is kept as the name ``a$b``, which tree-sitter takes for one identifier.
_PASTED = re.compile(rb"(?<=\w)[ \t]*##[ \t]*(?=(?!__VA_ARGS__)\w)")
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

_NO_CALLS = frozenset(words("likely unlikely sizeof IS_ERR PTR_ERR BUG_ON ARRAY_SIZE Offsetof"))
_NOTHING = frozenset({"comment", "{", "}"})
_QUALIFIERS = frozenset({"storage_class_specifier", "type_qualifier"})


class Bodies(Declarations):
    """Reads functions: what they call, lock and assign."""

    def __init__(self, data: bytes, row: int = 0) -> None:
        super().__init__(data, row)
        self.functions: list[Function] = []
        self.locals: dict[str, str] = {}
        self.callees: dict[str, None] = {}
        self.locks: list[tuple[str, str]] = []

    def function(self, node: Any) -> bool:
        """Read a definition; False when it is none of a function."""
        declarator = node.child_by_field_name("declarator")
        pointer = ""
        while declarator is not None and kind_of(declarator) in (
            "pointer_declarator",
            "parenthesized_declarator",
            "attributed_declarator",
        ):
            pointer = "*"
            declarator = declarator.child_by_field_name("declarator") or first_named(declarator)
        if declarator is None or kind_of(declarator) != "function_declarator":
            return False
        inner = declarator.child_by_field_name("declarator")
        name = self.text(inner) if inner is not None else ""
        if not name.replace("$", "_").isidentifier():
            return True
        head = self.data[node.start_byte : declarator.start_byte]
        returned = node.child_by_field_name("type")
        returns = type_name(self.text(returned)) + pointer if returned is not None else ""
        parameters = declarator.child_by_field_name("parameters")
        body = node.child_by_field_name("body")
        if body is None:
            return True
        params = []
        for parameter in parameters.named_children if parameters is not None else ():
            if kind_of(parameter) != "parameter_declaration":
                continue
            kind = parameter.child_by_field_name("type")
            inner = parameter.child_by_field_name("declarator")
            shown = self.text(inner) if inner is not None else ""
            identifier = IDENTIFIER.search(shown)
            params.append(
                (
                    (type_name(self.text(kind)) if kind is not None else "")
                    + ("*" if "*" in shown else ""),
                    identifier.group() if identifier else "",
                )
            )
        static = b"static" in head
        self.finish(name, self.line(inner or node), static, False, returns, tuple(params), body)
        return True

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
        text = _PASTED.sub(b"$", text).replace(b"##", b"  ")
        text = _STRING.sub(b'""', text)
        if _DEFINES.match(text):
            names = {self.text(child) for child in parameters.named_children}
            self.template(text, self.row + int(value.start_point[0]), names)
            return
        if not _CALLS.search(text) and b"=" not in text and b"->" not in text:
            return
        source = b"void m(void) { return " + text + b"\n;}"
        if re.match(rb"\s*(?:do|if|for|while|switch|return|struct|int|typeof|static)\b", text):
            source = b"void m(void) {        " + text + b"\n;}"
        tree = parser().parse(source)
        body = next(
            (c for c in tree.root_node.children if kind_of(c) == "function_definition"), None
        )
        body = body.child_by_field_name("body") if body is not None else None
        if body is None:
            return
        inner = Bodies(source, self.row + int(value.start_point[0]))
        params = tuple(
            ("", self.text(child))
            for child in parameters.children
            if kind_of(child) in ("identifier", "...")
        )
        inner.finish(self.text(name), self.line(node), True, True, "", params, body)
        found = inner.functions[0]
        self.functions.append(found._replace(line=self.line(node)))

    def template(self, text: bytes, row: int, parameters: set[str]) -> None:
        """Functions that a macro defines: their names have ``$`` in the place of a parameter."""
        inner = Bodies(text, row)
        for child in parser().parse(text).root_node.children:
            if kind_of(child) == "function_definition":
                inner.function(child)
        for function in inner.functions:
            parts = ["" if part in parameters else part for part in function.name.split("$")]
            self.functions.append(function._replace(name="$".join(parts)))

    def declaration(self, node: Any, out: list[Event]) -> None:
        """Local variables, and what their initial values call."""
        words = {self.text(child) for child in node.children if kind_of(child) in _QUALIFIERS}
        kept = "static" in words and "const" not in words
        for typename, variable, value, line in self.declared(node):
            self.locals[variable] = typename
            if value is not None and not kept:  # it has what the last call left
                self.expression(value, out, 0, variable)
                if kind_of(value) != "initializer_list":
                    out.append(("=", line, variable, "=", self.text(value)[:300]))
                elif not self.constants(value, variable, line, out):
                    self.fields(value, variable, line, out)

    def constants(self, node: Any, name: str, line: int, out: list[Event]) -> bool:
        """``= { A, B }``: ``name[]`` is one of these; False where that is not what the value is."""
        names = [self.text(child) for child in node.named_children if kind_of(child) != "comment"]
        if not 1 < len(names) <= MOST or not all(
            name.isidentifier() and name.isupper() for name in names
        ):
            return False
        choice = " : ".join([*(f"_ ? {n}" for n in names[:-1]), names[-1]])
        out.append(("=", line, f"{name}[]", "=", choice))
        return True

    def fields(self, node: Any, name: str, line: int, out: list[Event]) -> None:
        """``= { .a = x }``: what is not named is 0, which is told as ``name.*``."""
        pairs = [child for child in node.named_children if kind_of(child) != "comment"]
        named = []
        for pair in pairs:
            designator = pair.child_by_field_name("designator")
            value = pair.child_by_field_name("value")
            if designator is None or value is None or self.text(designator)[0] != ".":
                return
            named.append((f"{name}{self.text(designator)}", value))
        out.append(("=", line, f"{name}.*", "=", "0"))
        for member, value in named:
            if kind_of(value) == "initializer_list":
                self.fields(value, member, line, out)
            else:
                out.append(("=", line, member, "=", self.text(value)[:300]))

    def block(self, node: Any, out: list[Event], depth: int) -> None:
        heads = False
        for child in node.children:
            kind = kind_of(child)
            if kind in _NOTHING:
                continue
            if heads:
                out.append(self.each(child, out, depth))
                heads = False
            elif kind == "compound_statement" and (
                (out and out[-1][0] == "c" and out[-1][2] in LOCK_CLEANUP)
                or self.data.find(b"guard(", child.start_byte, child.end_byte) >= 0
            ):
                # What a guard takes is given back at the end of its block.
                inner: list[Event] = []
                self.block(child, inner, depth + 1)
                out.append(("block", self.line(child), "", inner))
            else:
                self.statement(child, out, depth + 1)
                heads = (
                    kind == "expression_statement"
                    and bool(out)
                    and out[-1][0] == "c"
                    and self.heads_loop(child)
                )

    def heads_loop(self, node: Any) -> bool:
        """Whether an expression is ``list_for_each(a, b)``, a macro after which the body of a loop comes."""
        if not node.children[-1].is_missing:
            return False
        return b"for_each" in self.data[node.start_byte : node.end_byte].partition(b"(")[0]

    def compiled(self, node: Any) -> Any:
        """What of an ``#ifdef`` of debugging is compiled: its #else; ``node`` itself of any other."""
        if kind_of(node) == "preproc_ifdef" and node.children[0].type == "#ifdef":
            name = node.child_by_field_name("name")
            if name is not None and self.for_developers(self.text(name)):
                return node.child_by_field_name("alternative")
        return node

    def for_developers(self, name: str) -> bool:
        """Whether ``name`` is a switch that no configuration sets, and this file does not, either."""
        if name[:7] == "CONFIG_" or not _DEBUG.search(name):
            return False
        return not re.search(rb"#[ \t]*define[ \t]+%s\b" % name.encode(), self.data)

    def each(self, body: Any, out: list[Event], depth: int) -> Event:
        """The loop whose head is the call at the end of ``out``, which moves its variables."""
        inner: list[Event] = []
        self.statement(body, inner, depth + 1)
        call = out[-1]
        moved = [arg for arg in call[3] if arg.isidentifier()]
        inner += [("=", call[1], name, "=", f"{call[2]}()") for name in moved]
        return ("loop", call[1], f"{call[2]}()", inner)

    def statement(self, node: Any, out: list[Event], depth: int) -> None:
        if not node.child_count:
            return
        if depth > DEPTH:
            self.problem = f"nested deeper than {DEPTH} at line {self.line(node)}: read in part"
            return
        kind = kind_of(node)
        if kind == "expression_statement":
            self.expression(node, out, 0)
        elif kind == "declaration":
            self.declaration(node, out)
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
            tested: list[Event] = []
            condition = node.child_by_field_name("condition")
            inner = node.child_by_field_name("body")
            update = node.child_by_field_name("update")
            after = {child.start_byte for child in (inner, update) if child is not None}
            for child in node.children:
                if child.start_byte not in after:
                    if kind_of(child) == "declaration":
                        self.declaration(child, out)
                    elif condition is not None and child.start_byte == condition.start_byte:
                        self.expression(child, tested, 0)
                    else:
                        self.expression(child, out, 0)
            if inner is not None:
                self.statement(inner, body, depth + 1)
            if update is not None:
                self.expression(update, body, 0)
            # The condition is evaluated again after each round.
            out += tested
            body += [event for event in tested if event[0] == "="]
            shown = self.text(condition)[:200] if condition is not None else ""
            out.append(("loop" if kind != "do_statement" else "do", self.line(node), shown, body))
        elif kind == "switch_statement":
            self.switch(node, out, depth)
        elif kind == "return_statement":
            self.expression(node, out, 0)
            value = first_named(node)
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
            alive = self.compiled(node)
            if alive is not None:
                self.block(alive, out, depth)
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
            if kind_of(child) != "case_statement":
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
        begin = node.start_byte
        begin += self.data.startswith(b"(", begin)
        if not node.child_count or not _TELLS.search(self.data, begin, node.end_byte):
            return
        if depth > DEPTH:
            self.problem = f"nested deeper than {DEPTH} at line {self.line(node)}: read in part"
            return
        kind = kind_of(node)
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
            if shown == JOURNAL_INFO:
                self.locks.append((shown, self.text(right)))
            out.append(("=", self.line(node), shown, sign, self.text(right)[:300]))
            return
        if kind == "update_expression":
            counted = node.child_by_field_name("argument")
            operator = node.child_by_field_name("operator")
            if counted is not None and operator is not None:
                self.expression(counted, out, depth + 1)
                sign = self.text(operator)[0] + "="
                out.append(("=", self.line(node), self.text(counted), sign, "1"))
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
                kind = kind_of(node)
            if node is not None:
                self.expression(node, out, depth + 1)
            for right in reversed(chain):
                self.expression(right, out, depth + 1)
            return
        inner = target if kind in ("parenthesized_expression", "cast_expression") else ""
        for child in node.children:
            if child.child_count:
                if kind_of(child) == "declaration":
                    self.declaration(child, out)
                elif kind_of(child) in _STATEMENTS:
                    self.statement(child, out, depth + 1)
                else:
                    self.expression(child, out, depth + 1, inner)

    def call(self, node: Any, out: list[Event], depth: int, target: str) -> None:
        begin, end = node.start_byte, node.end_byte
        if end - begin < _SHORT and _PLAIN_CALL.fullmatch(self.data, begin, end):
            name, *args = _WORDS.findall(self.data[begin:end].decode())
        else:
            function = node.child_by_field_name("function")
            arguments = node.child_by_field_name("arguments")
            if function is None or arguments is None:
                return
            name = self.text(function)[:120]
            if function.child_count:
                if kind_of(function) == "parenthesized_expression":
                    name = name.strip("() *")
                else:
                    self.expression(function, out, depth + 1)
            args = []
            for argument in arguments.children:
                if argument.is_named and not argument.is_extra:
                    args.append(self.text(argument)[:240])
                    if argument.child_count:
                        self.expression(argument, out, depth + 1)
        if name in _NO_CALLS:
            return
        if name.startswith("_Generic"):
            for choice in _CHOICE.findall(self.text(node)):
                self.callees[choice] = None
                out.append(("c", self.line(node), choice, tuple(args), target))
            return
        self.callees[name] = None
        if name in ACQUIRE or name in RELEASE or name in SCOPE_BEGIN or name in SCOPE_END:
            at = ACQUIRE[name][0] if name in ACQUIRE else RELEASE.get(name, 0)
            self.locks.append((name, args[at] if at < len(args) else ""))
        elif name in LOCK_CLEANUP or name.startswith("guard("):
            self.locks.append((name, ",".join(args)))
        out.append(("c", self.line(node), name, tuple(args), target))
