"""Facts of one C file, by tree-sitter: no configuration, both sides of every #ifdef that one may choose."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_c

from ring3.audit.bodies import Bodies
from ring3.audit.declarations import DEPTH, kind_of, parser
from ring3.audit.forms import EMPTY, Facts
from ring3.audit.primitives import words

#: Larger than this is generated tables.
LARGEST = 8 << 20

# Attributes that the C grammar cannot know; blanked so that declarations around them parse.
_ATTRIBUTES = re.compile(
    rb"(?<!\w)(?=_|asm|no|STATIC)(?:__init|__exit|__user|__rcu|__must_check|__wur|asmlinkage|noinline|__always_inline|noinline_for_stack"
    rb"|__maybe_unused|__cold|__percpu|__iomem|__force|__bitwise|__read_mostly|__ro_after_init|__initdata"
    rb"|__packed|__always_unused|__net_init|__net_exit|__sched|__weak|notrace|__used|__init_or_module|__ref"
    rb"|__private|__randomize_layout|____cacheline_aligned_in_smp|____cacheline_aligned|__no_kasan_or_inline"
    rb"|__flatten|__pure|__attribute_const__|__malloc|__hot|__init_memblock|__meminit|__noreturn|__cpuidle"
    rb"|STATIC(?=\s)|(?:__counted_by|__counted_by_ptr|__counted_by_le|__acquires|__releases|__must_hold|__printf|__aligned"
    rb"|__acquire|__cond_acquires|__alloc_size|__realloc_size|__assume_aligned|__section)\s*\([^()\n]*\))(?!\w)"
)
# struct TAG as a macro's argument (kmalloc_obj(struct foo, ...), container_of(p, struct foo, m)) is no
# expression; without the keyword it is one.
_TAG_ARGUMENT = re.compile(rb"([(,]\s*)(?:struct|union|enum)(\s+\w+\s*)(?:(?=[,)])|\*+(?=\s*,))")
# A type that points, as a macro's argument: kmalloc_objs(loff_t *, n).
_POINTER_ARGUMENT = re.compile(rb"([(,]\s*\w+\s*)\*+(?=\s*,)")
# The grammar knows offsetof(type, member), not offsetof(type, member[n]): a call like any other.
_OFFSET = re.compile(rb"\boffsetof(?=\s*\([^()]*\[)")
_UNDEFINED = re.compile(rb"^[ \t]*#[ \t]*undef[ \t]+(\w+)", re.M)
_CONDITIONAL = re.compile(rb"^[ \t]*#[ \t]*(ifdef|ifndef|if|elif\w*|else|endif)\b[ \t]*(\w*)", re.M)
_SUPPRESS = re.compile(rb"ring3:\s*allow\s+([\w, -]+)")
_CONSTANT = re.compile(
    rb"^[ \t]*#[ \t]*define[ \t]+([A-Za-z_]\w*)[ \t]+((?:[^\n\"'\\]|\\\n){1,600})$",
    re.M,
)
_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.S)
_SYSCALL = re.compile(r"^(?:COMPAT_)?SYSCALL_DEFINE\d$")
# Tables of register numbers: megabytes of defines that no branch of interest looks at.
_TABLE_OF_DEFINES = 200_000


#: The other files that decide what facts say.
_SHAPING = ("bodies.py", "declarations.py", "forms.py", "primitives.py")


@cache
def version() -> str:
    """Changes with everything that shapes facts; part of the cache's key."""
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__)
    for path in (here, *map(here.with_name, _SHAPING)):
        digest.update(path.read_bytes())
    digest.update(f"{tree_sitter.__name__} {tree_sitter_c.language()!r}"[:12].encode())
    return digest.hexdigest()


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
    blanked = _ATTRIBUTES.sub(_blank, _without_dead(data))
    blanked = _TAG_ARGUMENT.sub(_untag, blanked)
    if b"offsetof" in blanked:
        blanked = _OFFSET.sub(b"Offsetof", blanked)
    if b"*," in blanked or b"* ," in blanked:
        blanked = _POINTER_ARGUMENT.sub(lambda found: found[1].ljust(len(found[0])), blanked)
    if b"\r" in blanked:
        blanked = blanked.replace(b"\r", b" ")
    reader = _Reader(blanked)
    tree = parser().parse(blanked)
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


def _without_dead(data: bytes) -> bytes:
    """``data`` with what no configuration compiles blanked: ``#if 0``, ``#ifdef`` of what it undefines."""
    if b"undef" not in data and b"if 0" not in data:
        return data
    never = {name for name in _UNDEFINED.findall(data) if b"define " + name not in data}
    parts: list[bytes] = []
    at = depth = 0
    begin = -1  # of the dead code, at depth 1
    for found in _CONDITIONAL.finditer(data):
        word, name = found.groups()
        if begin < 0:
            if (word, name) == (b"if", b"0") or (word == b"ifdef" and name in never):
                begin, depth = found.end(), 1
        elif word[:2] == b"if":
            depth += 1
        elif depth > 1:
            depth -= word == b"endif"
        else:
            parts += [data[at:begin], re.sub(rb"\S", b" ", data[begin : found.start()])]
            at, begin = found.start(), -1
    return b"".join([*parts, data[at:]])


def _blank(found: re.Match[bytes]) -> bytes:
    return re.sub(rb"\S", b" ", found.group())


def _untag(found: re.Match[bytes]) -> bytes:
    before, name = found.groups()
    return before + name.rjust(len(found.group()) - len(before), b" ")


class _Reader(Bodies):
    """The whole file."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.variables: list[tuple[str, str]] = []

    def top(self, node: Any, depth: int) -> None:
        if depth > DEPTH:
            self.problem = f"nested deeper than {DEPTH} at line {self.line(node)}: read in part"
            return
        syscall = None
        for child in node.children:
            kind = kind_of(child)
            if kind == "function_definition":
                if not self.function(child):
                    self.top(child, DEPTH - 8)
            elif kind == "declaration":
                self.variables += [row[:2] for row in self.declared(child)]
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
                alive = self.compiled(child)
                if alive is not None:
                    self.top(alive, depth + 1)
            syscall = None
            if kind == "expression_statement":
                name = self.text(child)
                if _SYSCALL.match(name.partition("(")[0]):
                    syscall = "sys_" + re.split(r"[(,)]", name)[1].strip()


_LEAVES_AT_TOP = frozenset(
    words(
        "comment preproc_def preproc_include preproc_call expression_statement compound_statement "
        "type_identifier identifier string_literal initializer_list"
    )
)
