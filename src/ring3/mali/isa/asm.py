"""Text to words: the disassembler's syntax, with labels.

::

    loop:                                   // a label is a name with a colon
        IADD_IMM.i32 r0, r0, #0xFFFFFFFF
        BRANCHZ.reconverge r0, offset:loop  // back to it while r0 is not zero
        NOP.end

Modifiers stand in the order in which the disassembler prints them; defaults may be left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from ring3.errors import BadInput
from ring3.mali.isa.declare import FLOWS, IMMEDIATES, SPECIAL
from ring3.mali.isa.model import Choice, Encoding, Immediate, Source, encodings

_NO_OPERAND = 3 << 46  # what instructions without destination have in the mask


@cache
def _by_name() -> dict[str, Encoding]:
    return {encoding.name: encoding for encoding in encodings()}


@cache
def _specials() -> dict[str, tuple[int, int]]:
    return {
        f"{name}.w{word}": (page, 0xE0 + 2 * index + word)
        for page, names in SPECIAL.items()
        for index, name in names.items()
        for word in (0, 1)
    }


def assemble(text: str) -> bytes:
    """The code of a listing; BadInput names the line."""
    lines: list[tuple[int, str]] = []
    labels: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        code = line.partition("//")[0].strip()
        label = re.fullmatch(r"([A-Za-z_]\w*):", code)
        if label:
            labels[label[1]] = len(lines)
        elif code:
            lines.append((number, code))
    words = []
    for index, (number, code) in enumerate(lines):
        try:
            words.append(instruction(code, labels, index))
        except BadInput as error:
            raise BadInput(str(error), where=f"line {number}: {code}") from error
    return b"".join(word.to_bytes(8, "little") for word in words)


def instruction(text: str, labels: dict[str, int] | None = None, index: int = 0) -> int:
    """The word of one instruction, the ``index``-th of its program."""
    head, _, rest = text.strip().partition(" ")
    if head == ".word":
        return int(rest, 0)
    encoding, modifiers = _split(head)
    word = encoding.opcode << 48 | encoding.code
    if not encoding.has_destination and not encoding.staging:
        word |= _NO_OPERAND
    word |= _modifiers(encoding, modifiers)
    operands = iter([item.strip() for item in rest.split(",")] if rest.strip() else [])
    word |= _operands(encoding, operands, labels or {}, index)
    extra = list(operands)
    if extra:
        raise BadInput(f"{encoding.name} takes no operand {extra[0]!r}")
    return word


def _split(head: str) -> tuple[Encoding, str]:
    parts = head.split(".")
    for size in (2, 1):
        encoding = _by_name().get(".".join(parts[:size]))
        if encoding is not None:
            return encoding, "".join(f".{part}" for part in parts[size:])
    raise BadInput(f"no instruction {head!r}")


def _modifiers(encoding: Encoding, rest: str) -> int:
    word = 0
    for choice in encoding.modifiers:
        value, rest = _choose(choice, rest)
        word |= value << choice.start
    flow = rest[1:] or "none"
    if flow not in FLOWS or flow == "-":
        raise BadInput(f"{encoding.name} has no modifier {flow!r} here")
    return word | FLOWS.index(flow) << 59


def _choose(choice: Choice, rest: str) -> tuple[int, str]:
    """The value that ``rest`` begins with, or the default; and what follows."""
    names = choice.names or ("", choice.name)
    found = re.match(rf"\.{choice.name}=(\d+)(?=\.|$)", rest)
    if found:
        return int(found[1]), rest[found.end() :]
    for value, name in sorted(enumerate(names), key=lambda item: -len(item[1])):
        if name not in ("", "-") and re.match(rf"\.{re.escape(name)}(?=\.|$)", rest):
            return value, rest[len(name) + 1 :]
    if not choice.names:
        return 0, rest
    if choice.default is None:
        raise BadInput(f"{choice.name} is missing: one of {', '.join(choice.names)}")
    return choice.default, rest


def _operands(
    encoding: Encoding, operands: Iterable[str], labels: dict[str, int], index: int
) -> int:
    items = iter(operands)

    def take(what: str) -> str:
        item = next(items, None)
        if item is None:
            raise BadInput(f"{encoding.name}: {what} is missing")
        return item

    word, pages = 0, set()
    if encoding.has_destination:
        found = re.fullmatch(r"r(\d+)(\.h0|\.h1)?", take("the destination"))
        if not found:
            raise BadInput(f"{encoding.name}: the destination is no register")
        mask = {None: 3, ".h0": 1, ".h1": 2}[found[2]]
        word |= _register(found[1]) << 40 | mask << 46
    for staging in encoding.staging:
        registers = _staging(take("staging registers"))
        count = len(registers) - staging.bias
        if not 0 <= count < 8:
            raise BadInput(f"{encoding.name}: {len(registers)} staging registers")
        word |= (registers[0] if registers else 0) << staging.start | count << staging.count
        word |= (staging.flags or 0) << 46
    for source in encoding.sources:
        bits, page = _source(source, take("a source"))
        word |= bits
        if page is not None:
            pages.add(page)
    for item in encoding.immediates:
        word |= _immediate(item, take(item.name), labels, index)
    if len(pages) > 1:
        raise BadInput(
            f"{encoding.name}: sources of constant pages {sorted(pages)} do not go together"
        )
    return word | (pages.pop() if pages else 0) << 57


def _register(text: str) -> int:
    if not int(text) < 64:
        raise BadInput(f"there is no register r{text}")
    return int(text)


def _staging(text: str) -> list[int]:
    if not text.startswith("@"):
        raise BadInput(f"{text!r} are no staging registers (@r0:r1)")
    registers = [_register(item.lstrip("r")) for item in text[1:].split(":") if item]
    if (
        registers != list(range(registers[0], registers[0] + len(registers)))
        if registers
        else False
    ):
        raise BadInput(f"{text}: staging registers follow each other")
    return registers


def _source(source: Source, text: str) -> tuple[int, int | None]:
    """The bits of a source, and the page of constants it needs (None: any)."""
    found = re.match(r"(\^?r\d+|u\d+|0x[0-9A-Fa-f]+|[a-z_]+[a-z_0-9]*\.w[01])(.*)", text)
    if not found:
        raise BadInput(f"{text!r} is no source")
    byte, page = _value(found[1])
    bits, rest = byte << 8 * source.byte, found[2]
    for place, name in ((source.neg, ".neg"), (source.absolute, ".abs")):
        if rest.startswith(name) and place is not None:
            bits |= 1 << place
            rest = rest[len(name) :]
    if source.select is not None:
        value, rest = _choose(source.select, rest)
        bits |= value << source.select.start
    if source.invert is not None and rest == ".not":
        bits |= 1 << source.invert
        rest = ""
    if rest:
        raise BadInput(f"{text!r}: no {rest!r} here")
    return bits, page


def _value(text: str) -> tuple[int, int | None]:
    if text[0] in "^r":
        return _register(text.lstrip("^r")) | (64 if text[0] == "^" else 0), None
    if text[0] == "u":
        slot = int(text[1:])
        if slot > 255:
            raise BadInput(f"there is no uniform {text}")
        return 0x80 | slot & 63, slot >> 6
    if text.startswith("0x"):
        if int(text, 16) not in IMMEDIATES:
            raise BadInput(f"{text} is not in the table of immediates")
        return 0xC0 | IMMEDIATES.index(int(text, 16)), None
    if text not in _specials():
        raise BadInput(f"no special constant {text}")
    page, byte = _specials()[text]
    return byte, page


def _immediate(item: Immediate, text: str, labels: dict[str, int], index: int) -> int:
    name, _, number = text.partition(":")
    if item.name == "constant":
        number = text.lstrip("#")
    elif name != item.name:
        raise BadInput(f"{item.name}: expected, not {text!r}")
    if number in labels:
        value = labels[number] - index - 1
    else:
        try:
            value = int(number, 0)
        except ValueError:
            raise BadInput(f"{number!r} is neither a number nor a label") from None
    low, high = (-1 << item.size - 1, 1 << item.size - 1) if item.signed else (0, 1 << item.size)
    if not low <= value < high:
        raise BadInput(f"{item.name}:{value} does not fit in {item.size} bits")
    return (value & (1 << item.size) - 1) << item.start
