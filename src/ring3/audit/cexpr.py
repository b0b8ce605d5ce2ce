"""C expressions: parsed once per text, evaluated with bits that may be unknown.

A value is ``(bits, known)``: bit i of ``bits`` means something only where bit i of ``known`` is 1.
One bit more (:data:`NONZERO`) says that a value is not 0 whatever it is, as the address of something.  A
value that is one of a few constants has them, sorted, as its third element.

That is enough for GFP flags (``gfp & ~__GFP_FS | __GFP_NOFAIL`` with an unknown gfp has one bit that is
known to be clear and one that is known to be set) and for branches on constants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import product
from typing import Any

from ring3.audit.primitives import words

ALL = (1 << 64) - 1
Value = tuple[int, int] | tuple[int, int, tuple[int, ...]]
UNKNOWN: Value = (0, 0)
#: Not 0, nothing else is known.
NONZERO: Value = (1 << 64, 1 << 64)
TRUE: Value = (1, ALL)
FALSE: Value = (0, ALL)

#: A number, any other token, what is none.
_TOKEN = re.compile(
    r"(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|([A-Za-z_]\w*|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
    r"|->|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%&|^]=|[-+*/%&|^~!<>=?:,.()\[\]{};])|(\S)"
)
#: Most expressions: a variable or a member.
PLAIN = re.compile(r"(?!sizeof\b)[A-Za-z_]\w*+(?:(?:->|\.)[A-Za-z_]\w*+)*+")
_BINARY = {
    **dict.fromkeys(("*", "/", "%"), 10),
    **dict.fromkeys(("+", "-"), 9),
    **dict.fromkeys(("<<", ">>"), 8),
    **dict.fromkeys(("<", ">", "<=", ">="), 7),
    **dict.fromkeys(("==", "!="), 6),
    "&": 5,
    "^": 4,
    "|": 3,
    "&&": 2,
    "||": 1,
}
#: What sizes are rounded up to.
_UNIT = re.compile(r"(?i)block_?size|blk_?size|cluster_?size|sector_?size|page_size")
_TYPE_WORDS = frozenset(
    words(
        "int unsigned signed long short char void const struct enum union volatile u8 u16 u32 u64 "
        "s8 s16 s32 s64 __u8 __u16 __u32 __u64 gfp_t size_t ssize_t loff_t sector_t bool uint "
        "__force blk_opf_t fgf_t pgoff_t fmode_t slab_flags_t umode_t ino_t vm_flags_t"
    )
)
#: Longer expressions are taken as unknown: nothing that selects a branch is so long.
_LONGEST = 400
#: A value is told as one of so many constants, not more.
_MOST = 3
_DEEPEST = 40

Node = tuple[Any, ...]
Lookup = Callable[[str], Value]
Call = Callable[[str, tuple[Node, ...]], Value]


@lru_cache(maxsize=200_000)
def parse(text: str) -> Node:
    """The expression as nested tuples; ``("?",)`` where it is not one that we read.

    ``("n", number)``, ``("v", text)`` a variable or member, ``("f", name, args)``, ``("u", op, a)``,
    ``("b", op, a, b)``, ``("c", condition, a, b)``, ``("s",)`` a string.
    """
    if len(text) > _LONGEST:
        return ("?",)
    if PLAIN.fullmatch(text):
        return ("v", text)
    tokens = [number or token for number, token, _ in _TOKEN.findall(text)]
    if "" in tokens:
        return ("?",)
    tokens.append("")
    try:
        parser = _Parser(tokens)
        node = parser.comma(0)
    except (IndexError, ValueError):
        return ("?",)
    return node if parser.at == len(tokens) - 1 else ("?",)


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at]

    def take(self, wanted: str | None = None) -> str:
        token = self.tokens[self.at]
        if token == "" or (wanted is not None and token != wanted):
            raise ValueError(token)
        self.at += 1
        return token

    def comma(self, depth: int) -> Node:
        node = self.ternary(depth)
        while self.peek() == ",":
            self.take()
            node = self.ternary(depth)
        return node

    def ternary(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        node = self.binary(1, depth)
        if self.peek() == "?":
            self.take()
            then = node if self.peek() == ":" else self.comma(depth + 1)
            self.take(":")
            return ("c", node, then, self.ternary(depth + 1))
        if self.peek() in ("=", "|=", "&=", "+=", "-=", "^="):
            operator = self.take()
            right = self.ternary(depth + 1)
            return right if operator == "=" else ("b", operator[0], node, right)
        return node

    def binary(self, least: int, depth: int) -> Node:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        left = self.unary(depth)
        while True:
            operator = self.peek()
            rank = _BINARY.get(operator, 0)
            if rank < least:
                return left
            self.take()
            left = ("b", operator, left, self.binary(rank + 1, depth + 1))

    def unary(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        token = self.peek()
        if token in ("!", "~", "-", "+", "&", "*"):
            self.take()
            inner = self.unary(depth + 1)
            if token in ("&", "*"):
                return ("v", token + inner[1]) if inner[0] == "v" else ("?",)
            return ("u", token, inner)
        if token in ("++", "--"):
            self.take()
            self.unary(depth + 1)
            return ("?",)
        if token == "(":
            if self.cast():
                return self.unary(depth + 1)
            self.take()
            node = self.comma(depth + 1)
            self.take(")")
            return self.postfix(node, depth)
        if token == "sizeof":
            self.take()
            if self.peek() == "(":
                self.skip()
            else:
                self.unary(depth + 1)
            return ("?",)
        self.take()
        if token[0].isdigit():
            base = 8 if len(token) > 1 and token[0] == "0" and token.isdigit() else 0
            return ("n", int(token, base))
        if token[0] == '"':
            return ("s",)
        if token[0] == "'":
            return ("?",)
        if not (token[0].isalpha() or token[0] == "_"):
            raise ValueError(token)
        return self.postfix(("v", token), depth)

    def cast(self) -> bool:
        """Skip ``(TYPE)`` if that is what comes."""
        words = []
        at = self.at + 1
        while self.tokens[at] not in (")", ""):
            words.append(self.tokens[at])
            at += 1
        if self.tokens[at] == "" or not words or words[0] == "(":
            return False
        if words[0] not in _TYPE_WORDS and not (len(words) > 1 and words[-1] == "*"):
            return False
        self.at = at + 1
        return True

    def skip(self) -> None:
        depth = 0
        while True:
            token = self.take()
            depth += (token == "(") - (token == ")")
            if depth == 0:
                return

    def postfix(self, node: Node, depth: int) -> Node:
        while True:
            token = self.peek()
            if token in ("->", "."):
                self.take()
                member = self.take()
                base = node[1] if node[0] == "v" else f"{node[1]}()" if node[0] == "f" else "?"
                node = ("v", f"{base}{token}{member}")
            elif token == "[":
                self.take()
                self.comma(depth + 1)
                self.take("]")
                node = ("v", f"{node[1]}[]") if node[0] == "v" else ("?",)
            elif token == "(":
                self.take()
                args = []
                while self.peek() != ")":
                    args.append(self.ternary(depth + 1))
                    if self.peek() == ",":
                        self.take()
                self.take(")")
                node = ("f", node[1], tuple(args)) if node[0] == "v" else ("?",)
            elif token in ("++", "--"):
                self.take()
                node = ("?",)
            else:
                return node


def truth(value: Value) -> bool | None:
    """Whether ``value`` is nonzero; None when unknown."""
    if value[0] & value[1]:
        return True
    return False if value[1] == ALL else None


def members(value: Value) -> tuple[int, ...]:
    """The constants that ``value`` may be, when they are few; else none."""
    if len(value) == 3:
        return value[2]
    return (value[0],) if value[1] == ALL else ()


def opposite(value: Value) -> Value:
    """``!value``."""
    return _unary("!", value)


def one_of(constants: Iterable[int]) -> Value:
    """The value that is one of ``constants``."""
    chosen = tuple(sorted(set(constants)))
    if not chosen:
        return UNKNOWN
    value: Value = (chosen[0], ALL)
    for constant in chosen[1:]:
        value = _common(value, (constant, ALL))
    return (*value[:2], chosen) if 1 < len(chosen) <= _MOST else value


def evaluate(node: Node, lookup: Lookup, call: Call, depth: int = 0) -> Value:
    """The value of ``node``; ``lookup`` answers variables, ``call`` function-like things."""
    kind = node[0]
    if kind == "n":
        return (node[1] & ALL, ALL)
    if kind == "v":
        return lookup(node[1])
    if depth > _DEEPEST:
        return UNKNOWN
    if kind == "f":
        return call(node[1], node[2])
    if kind == "u":
        return _unary(node[1], evaluate(node[2], lookup, call, depth + 1))
    if kind == "c":
        chosen = truth(evaluate(node[1], lookup, call, depth + 1))
        if chosen is not None:
            return evaluate(node[2] if chosen else node[3], lookup, call, depth + 1)
        return either(
            evaluate(node[2], lookup, call, depth + 1), evaluate(node[3], lookup, call, depth + 1)
        )
    if kind == "b":
        operator = node[1]
        left = evaluate(node[2], lookup, call, depth + 1)
        if operator in ("&&", "||"):
            first = truth(left)
            if first is not None and first == (operator == "||"):
                return TRUE if first else FALSE
            second = truth(evaluate(node[3], lookup, call, depth + 1))
            if second is not None and second == (operator == "||"):
                return TRUE if second else FALSE
            if first is None or second is None:
                return UNKNOWN
            return TRUE if second else FALSE
        value = _binary(operator, left, evaluate(node[3], lookup, call, depth + 1))
        if operator == ">" and left == FALSE and not value[1] and _sizes(node[2], node[3]):
            return FALSE
        if operator in (">>", "/") and not value[1] and _rounds_up_nothing(node, lookup, call):
            return FALSE
        return value
    if kind == "s":
        return NONZERO
    return UNKNOWN


def _sizes(variable: Node, member: Node) -> bool:
    """Whether a variable is compared with a member, as sizes and places are, which are never negative."""
    return variable[0] == member[0] == "v" and ("->" in member[1] or "." in member[1])


def _rounds_up_nothing(node: Node, lookup: Lookup, call: Call) -> bool:
    """Whether ``node`` is ``(a + (UNIT - 1)) >> b``, or ``/ UNIT``, with an ``a`` that is 0."""
    terms: list[tuple[int, Node]] = []
    stack = [(1, node[2])]
    while stack:
        sign, term = stack.pop()
        if term[0] == "b" and term[1] in ("+", "-"):
            stack += [(sign, term[2]), (sign if term[1] == "+" else -sign, term[3])]
        else:
            terms.append((sign, term))
    unit = [term for sign, term in terms if sign == 1 and _UNIT.search(repr(term))]
    if len(terms) != 3 or len(unit) != 1:
        return False
    rest = [(sign, term) for sign, term in terms if term is not unit[0]]
    values = [(sign, evaluate(term, lookup, call)) for sign, term in rest]
    return sorted((sign * value[0], value[1]) for sign, value in values) == [(-1, ALL), (0, ALL)]


def either(a: Value, b: Value) -> Value:
    """What is known when it is one of the two."""
    mine, others = members(a), members(b)
    return one_of(mine + others) if mine and others else _common(a, b)


def _common(a: Value, b: Value) -> Value:
    known = a[1] & b[1] & ~(a[0] ^ b[0]) & ALL
    if a[0] & a[1] and b[0] & b[1] and not a[0] & known:
        known |= NONZERO[1]
    return ((a[0] | NONZERO[0]) & known, known)


def _unary(operator: str, value: Value) -> Value:
    if len(value) == 3:
        return _folded([_unary(operator, (one, ALL)) for one in value[2]])
    bits, known = value
    if operator == "~":
        return (~bits & known & ALL, known & ALL)
    if operator == "!":
        answer = truth(value)
        return UNKNOWN if answer is None else (FALSE if answer else TRUE)
    if known != ALL:
        return UNKNOWN
    return (-bits & ALL if operator == "-" else bits, ALL)


def _folded(values: list[Value]) -> Value:
    folded = values[0]
    for value in values[1:]:
        folded = either(folded, value)
    return folded


def _binary(operator: str, a: Value, b: Value) -> Value:
    if len(a) == 3 or len(b) == 3:
        pairs = product(members(a), members(b))
        values = [_binary(operator, (x, ALL), (y, ALL)) for x, y in pairs]
        if values:
            return _folded(values)
    if operator == "&":
        known = (a[1] & b[1]) | (a[1] & ~a[0]) | (b[1] & ~b[0])
        return (a[0] & a[1] & b[0] & b[1], known & ALL)
    if operator == "|":
        ones = (a[0] & a[1]) | (b[0] & b[1])
        return (ones, (a[1] & b[1]) | ones)
    if operator == "^":
        known = a[1] & b[1] & ALL
        return ((a[0] ^ b[0]) & known, known)
    if operator in ("==", "!="):
        differ = {truth(a), truth(b)} == {True, False} or (a[0] ^ b[0]) & a[1] & b[1]
        if differ:
            return TRUE if operator == "!=" else FALSE
    if a[1] != ALL or b[1] != ALL:
        # 0 times, shifted or divided by whatever it is, is 0.
        nothing = a == FALSE and operator in ("*", "/", "%", "<<", ">>")
        return FALSE if nothing or (b == FALSE and operator == "*") else UNKNOWN
    x, y = _signed(a[0]), _signed(b[0])
    if operator in ("<", ">", "<=", ">=") and _of_two_minds(operator, x, y):
        return UNKNOWN
    if operator in ("<<", ">>"):
        if not 0 <= y < 64:
            return UNKNOWN
        # Of shifts to the right those of ~0UL (LONG_MAX) matter: they are of what has no sign.
        return ((x << y if operator == "<<" else a[0] >> y) & ALL, ALL)
    if operator in ("/", "%"):
        if y == 0:
            return UNKNOWN
        quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
        return (quotient & ALL if operator == "/" else x - y * quotient & ALL, ALL)
    if operator in _ARITHMETIC:
        return (_ARITHMETIC[operator](x, y) & ALL, ALL)
    return TRUE if _COMPARE[operator](x, y) else FALSE


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
}
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    ">": lambda x, y: x > y,
    "<=": lambda x, y: x <= y,
    ">=": lambda x, y: x >= y,
}


def _of_two_minds(operator: str, x: int, y: int) -> bool:
    """Whether a comparison depends on a type that we do not know: -1 may be the largest number.

    Nobody asks whether what has no sign is less than 0; other negative numbers are errors.
    """
    if (x, y)[operator in ("<", ">=")] == 0:
        return False
    return any(number < 0 and not -4096 < number < -1 for number in (x, y))


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >> 63 else bits
