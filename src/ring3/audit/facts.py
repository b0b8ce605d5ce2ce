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

# Attributes that the C grammar cannot know; blanked so that declarations around them parse.  By their first
# letter: for a set of characters that comes first the regular expression engine searches fast.
_ATTRIBUTES = {
    "_": "_init _exit _user _rcu _must_check _wur _always_inline _maybe_unused _cold _percpu _iomem _force "
    "_bitwise _read_mostly _ro_after_init _initdata _packed _always_unused _net_init _net_exit _sched _weak "
    "_used _init_or_module _ref _private _randomize_layout ___cacheline_aligned_in_smp ___cacheline_aligned "
    "_no_kasan_or_inline _flatten _pure _attribute_const__ _malloc _hot _init_memblock _meminit _noreturn "
    "_cpuidle",
    "a": "smlinkage",
    "n": "oinline oinline_for_stack otrace",
    "S": r"TATIC(?=\s)",
}
_WITH_ARGUMENTS = (
    "_counted_by _counted_by_ptr _counted_by_le _acquires _releases _must_hold _printf _aligned _acquire "
    "_cond_acquires _alloc_size _realloc_size _assume_aligned _section"
)
_ATTRIBUTE = re.compile(
    r"[_anS](?<!\w[_anS])(?:{}|(?<=_)(?:{})\s*\([^()\n]*\))(?!\w)".format(
        "|".join(
            f"(?<={first})(?:{rest.replace(' ', '|')})" for first, rest in _ATTRIBUTES.items()
        ),
        _WITH_ARGUMENTS.replace(" ", "|"),
    ).encode()
)
# struct TAG as a macro's argument (kmalloc_obj(struct foo, ...), container_of(p, struct foo, m)) is no
# expression; without the keyword it is one.  So is a type that points, without the stars:
# kmalloc_objs(loff_t *, n).
_TYPE_ARGUMENT = re.compile(
    rb"([(,]\s*+)(?:(?:struct|union|enum)(\s+\w+\s*+)(?:(?=[,)])|\*+(?=\s*,))|(\w++\s*+)\*+(?=\s*,))"
)
# The grammar knows offsetof(type, member), not offsetof(type, member[n]): a call like any other.
_OFFSET = re.compile(rb"\boffsetof(?=\s*\([^()]*\[)")
#: Nothing of interest is in long tables of numbers.
_TABLE = re.compile(rb"\{(?:[\s,/*-]++|\d\w*+){60,}+\}")
_DECLARES = re.compile(rb";|#[ \t]*define[ \t]+\w+\(")
_UNDEFINED = re.compile(rb"^[ \t]*#[ \t]*undef[ \t]+(\w+)", re.M)
_CONDITIONAL = re.compile(rb"^[ \t]*#[ \t]*(ifdef|ifndef|if|elif\w*|else|endif)\b[ \t]*(\w*)", re.M)
_SUPPRESS = re.compile(rb"ring3:\s*allow\s+([\w, -]+)")
_CONSTANT = re.compile(
    rb"#[ \t]*define[ \t]+([A-Za-z_]\w*)[ \t]+((?:[^\n\"'\\]|\\\n){1,600}+)($)?",
    re.M,
)
_COMMENT = re.compile(rb"/\*.*?(?:\*/|\Z)|//[^\n]*", re.S)
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
    blanked = _ATTRIBUTE.sub(_blank, _without_dead(data))
    blanked = _TYPE_ARGUMENT.sub(_as_expression, blanked)
    if b"offsetof" in blanked:
        blanked = _OFFSET.sub(b"Offsetof", blanked)
    if b"\r" in blanked:
        blanked = blanked.replace(b"\r", b" ")
    blanked = _TABLE.sub(_emptied, blanked)
    reader = _Reader(blanked)
    if not (header and _only_constants(data)):
        reader.top(parser().parse(blanked).root_node, 0)
    constants = {
        found.group(1).decode(): _COMMENT.sub(b"", found.group(2).replace(b"\\\n", b" "))
        .decode("utf-8", "replace")
        .strip()
        for found in _CONSTANT.finditer(blanked)
        if found.group(3) is not None
        and not blanked[blanked.rfind(b"\n", 0, found.start()) + 1 : found.start()].strip()
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


def _only_constants(header: bytes) -> bool:
    """Whether ``header`` defines constants, which are read without the grammar, or nothing but traces."""
    if b"trace/define_trace.h>" in header:
        return True
    return b"{" not in header and not _DECLARES.search(_COMMENT.sub(b"", header))


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


def _emptied(found: re.Match[bytes]) -> bytes:
    return b"{" + b"\n" * found.group().count(b"\n") + b"}"


def _blank(found: re.Match[bytes]) -> bytes:
    text = found.group()
    return b" " * len(text) if b"\n" not in text else re.sub(rb"\S", b" ", text)


def _as_expression(found: re.Match[bytes]) -> bytes:
    before, tag, name = found.groups()
    size = len(found.group())
    return before + tag.rjust(size - len(before)) if tag else (before + name).ljust(size)


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
