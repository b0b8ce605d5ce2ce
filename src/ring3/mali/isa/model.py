"""Instructions as objects, built from the declaration, and the decoder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from ring3.errors import BadInput
from ring3.mali.isa.declare import FLOWS, MODIFIERS, SELECTIONS, TABLE

_MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Choice:
    """A field whose values have names.  ``names`` is empty for a flag; ``default`` is not written."""

    name: str
    start: int
    size: int
    names: tuple[str, ...] = ()
    default: int | None = None

    def get(self, word: int) -> int:
        return word >> self.start & (1 << self.size) - 1

    def text(self, value: int) -> str:
        """The name of ``value``, with nothing for the default."""
        if not self.names:
            return self.name if value else ""
        return "" if value == self.default else self.names[value]


@dataclass(frozen=True)
class Source:
    """A source: its byte, and where its decorations are encoded."""

    byte: int
    wide: bool  # a register pair
    neg: int | None = None
    absolute: int | None = None
    invert: int | None = None
    select: Choice | None = None
    kind: str = ""  # the decoration that select belongs to: widen16, lane8, half8, ...


@dataclass(frozen=True)
class Staging:
    """Staging registers at ``start``; their number is at ``count`` (3 bits, plus ``bias``)."""

    start: int
    reads: bool
    writes: bool
    count: int
    bias: int
    flags: int | None  # value of bits 47:46


@dataclass(frozen=True)
class Immediate:
    name: str
    start: int
    size: int
    signed: bool

    def get(self, word: int) -> int:
        value = word >> self.start & (1 << self.size) - 1
        return value - (value >> self.size - 1 << self.size) if self.signed else value


@dataclass(frozen=True)
class Encoding:
    """One instruction of the declaration."""

    name: str  # with its type: FADD.f32
    mnemonic: str
    type: str
    opcode: int
    code: int  # value of the secondary opcode, in place
    mask: int  # its bits
    modifiers: tuple[Choice, ...]
    has_destination: bool
    staging: tuple[Staging, ...]
    sources: tuple[Source, ...]
    immediates: tuple[Immediate, ...]

    @property
    def width(self) -> int:
        """Bits of one element of the type; 32 when it has none."""
        return _width(self.type)

    def modifier(self, name: str) -> Choice | None:
        return next((choice for choice in self.modifiers if choice.name == name), None)


@dataclass(frozen=True)
class Instruction:
    """A decoded word."""

    word: int
    encoding: Encoding

    @property
    def flow(self) -> str:
        return FLOWS[self.word >> 59 & 15]

    @property
    def page(self) -> int:
        return self.word >> 57 & 3

    @property
    def destination(self) -> tuple[int, int]:
        """Register and mask of the halves that are written (1 low, 2 high, 3 both)."""
        return self.word >> 40 & 63, self.word >> 46 & 3

    def source(self, source: Source) -> int:
        """The raw byte of a source."""
        return self.word >> 8 * source.byte & 255

    def modifier(self, name: str) -> str:
        """The name of a modifier's value (``"1"``/``""`` for a flag); "" when it has no such modifier."""
        choice = self.encoding.modifier(name)
        if choice is None:
            return ""
        value = choice.get(self.word)
        return choice.names[value] if choice.names else "1" if value else ""

    def flag(self, name: str) -> bool:
        return bool(self.modifier(name))

    def immediate(self, name: str) -> int:
        return next(item.get(self.word) for item in self.encoding.immediates if item.name == name)

    def staging(self, staging: Staging) -> tuple[int, int]:
        """First register and number of registers."""
        return self.word >> staging.start & 63, (self.word >> staging.count & 7) + staging.bias


def _choice(name: str, start: int, size: int, names: str) -> Choice:
    listed = names.split()
    default = next((index for index, item in enumerate(listed) if item.startswith("*")), None)
    return Choice(name, start, size, tuple(item.lstrip("*") for item in listed), default)


def _width(kind: str) -> int:
    digits = re.search(r"(\d+)$", kind)
    return int(digits[1]) if digits and int(digits[1]) >= 8 else 32


def _source(index: int, text: str, kind: str) -> Source:
    head, *decorations = text.split("+")
    byte = int(head.partition("@")[2] or index)
    neg = absolute = invert = select = None
    wide, told = False, ""
    for item in decorations:
        found = re.fullmatch(r"([a-z]+)(\d*)(?:@(\d+))?", item)
        if item == "64":
            wide = True
        elif item == "an":
            neg, absolute = 34 + (2 - index) * 2, 35 + (2 - index) * 2
        elif item == "not":
            invert = 35
        elif found:
            name, bits, place = found[1], int(found[2] or 0), found[3]
            if name in ("widen", "swz"):
                bits = bits or _width(kind)
            wide = wide or (name == "widen" and bits == 64)
            start = {
                "swz": 24 + (2 - index) * 2,
                "combine": 37,
                "lane": int(place or 0),
            }.get(name, 26 if index == 1 else 36)
            names = SELECTIONS[name, bits]
            count = len(names.split())
            size = 4 if name in ("widen", "lanes", "half") else (count - 1).bit_length()
            if count < 1 << size:
                names += " -" * ((1 << size) - count)
            told = f"{name}{bits or ''}"
            select = _choice(told, start, size, names)
    return Source(byte, wide, neg, absolute, invert, select, told)


_STAGING = {
    "W": Staging(40, False, True, 33, 0, 2),
    "R": Staging(40, True, False, 33, 0, 1),
    "T": Staging(40, True, False, 33, 0, None),
    "X": Staging(40, True, False, 33, 0, 3),
    "V": Staging(40, False, True, 36, 1, 2),
    "W16": Staging(16, False, True, 36, 1, None),
}


def _encoding(line: str, kind: str, opcode: str) -> Encoding:
    head, modifiers, operands = line.split("|")
    name, *items = head.split()
    op2 = next((item for item in items if item.startswith("op2")), "")
    code = mask = 0
    if op2:
        value, shift, bits = re.fullmatch(r"op2=(\w+)@(\d+):(\w+)", op2).groups()  # type: ignore[union-attr]
        code, mask = int(value, 16) << int(shift), int(bits, 16) << int(shift)
    choices = [_choice(item, *MODIFIERS[item]) for item in modifiers.split()]
    staging: list[Staging] = []
    sources: list[Source] = []
    immediates: list[Immediate] = []
    destination = False
    for item in operands.split():
        if item == "d":
            destination = True
        elif item in _STAGING:
            staging.append(_STAGING[item])
        elif item == "s" or item.startswith(("s+", "s@")):
            sources.append(_source(len(sources), item, kind))
        else:
            field, start, size, sign = re.fullmatch(r"(\w+)@(\d+):(\d+)(-?)", item).groups()  # type: ignore[union-attr]
            immediates.append(Immediate(field, int(start), int(size), bool(sign)))
    full = f"{name}.{kind}" if kind else name
    return Encoding(
        full,
        name,
        kind,
        int(opcode, 16),
        code,
        mask,
        tuple(choices),
        destination,
        tuple(staging),
        tuple(sources),
        tuple(immediates),
    )


@cache
def encodings() -> tuple[Encoding, ...]:
    """Every encoding, in the order of the declaration."""
    built = []
    for line in TABLE.strip().splitlines():
        for item in line.partition("|")[0].split()[1:]:
            if not item.startswith("op2"):
                kind, _, opcode = item.partition("=")
                built.append(_encoding(line, kind, opcode))
    return tuple(built)


@cache
def _by_opcode() -> dict[int, tuple[Encoding, ...]]:
    table: dict[int, list[Encoding]] = {}
    for encoding in encodings():
        table.setdefault(encoding.opcode, []).append(encoding)
    return {opcode: tuple(found) for opcode, found in table.items()}


@lru_cache(maxsize=65536)
def decode(word: int) -> Instruction:
    """The instruction in ``word``; BadInput when there is none."""
    for encoding in _by_opcode().get(word >> 48 & 0x1FF, ()):
        if word & encoding.mask == encoding.code:
            return Instruction(word & _MASK64, encoding)
    raise BadInput(f"no Valhall instruction {word:#018x} (opcode {word >> 48 & 0x1FF:#x})")
