"""Every command-stream instruction of CSF v10, declared once; decoder, assembler and help derive from it.

An instruction is 64 bits, little endian, opcode in bits 63:56.  A field is ``name@bit:size``; a leading ``-``
makes it signed; ``r`` and ``d`` before the name mark a 32-bit and a 64-bit register (d10 is r10 and r11).
Source: the v10 descriptions of Mesa's genxml (encodings), the names are the hardware's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ring3.errors import BadInput

_MASK64 = (1 << 64) - 1
_SELECT = "srt_select@40:2 spd_select@42:2 tsd_select@44:2 fau_select@46:2"
_DEFER = "wait_mask@16:16 sb_entry@48:4"
_SYNC = "error_propagate@0:1 scope_csg@2:1 wait_mask@16:16 sb_entry@48:4"

_TABLE = f"""
0   NOP
1   MOVE             d.d@48:8 imm@0:48
2   MOVE32           r.d@48:8 imm@0:32
3   WAIT             progress_increment@0:1 wait_mask@16:16
4   RUN_COMPUTE      task_increment@0:14 task_axis@14:2 progress_increment@32:1 {_SELECT}
5   RUN_TILING       flags_override@0:32 {_SELECT}
6   RUN_IDVS         flags_override@0:32 progress_increment@32:1 malloc_enable@33:1 \
draw_id_enable@34:1 varying_srt_select@35:1 varying_fau_select@36:1 varying_tsd_select@37:1 \
fragment_srt_select@38:1 fragment_tsd_select@39:1 r.draw_id@40:8
7   RUN_FRAGMENT     enable_tem@0:1 tile_order@4:4 progress_increment@32:1
8   RUN_FULLSCREEN   flags_override@0:32 progress_increment@32:1 d.dcd@40:8
9   FINISH_TILING    progress_increment@32:1
11  FINISH_FRAGMENT  increment_fragment_completed@0:1 d.last_heap_chunk@32:8 d.first_heap_chunk@40:8 {_DEFER}
16  ADD_IMM32        r.d@48:8 r.s@40:8 -imm@0:32
17  ADD_IMM64        d.d@48:8 d.s@40:8 -imm@0:32
18  UMIN32           r.d@48:8 r.s0@32:8 r.s1@40:8
20  LOAD_MULTIPLE    r.base@48:8 d.address@40:8 mask@16:16 -offset@0:16
21  STORE_MULTIPLE   r.base@48:8 d.address@40:8 mask@16:16 -offset@0:16
22  BRANCH           condition@28:3 r.value@40:8 -offset@0:16
23  SET_SB_ENTRY     endpoint@0:4 other@4:4
24  PROGRESS_WAIT    queue@0:5 d.source@40:8
25  SET_EXCEPTION_HANDLER  exception@0:8 r.length@32:8 d.address@40:8
32  CALL             r.length@32:8 d.address@40:8
33  JUMP             r.length@32:8 d.address@40:8
34  REQ_RESOURCE     compute@0:1 fragment@1:1 tiler@2:1 idvs@3:1
36  FLUSH_CACHE2     l2@0:4 lsc@4:4 other@8:4 r.flush_id@40:8 {_DEFER}
37  SYNC_ADD32       r.data@32:8 d.address@40:8 {_SYNC}
38  SYNC_SET32       r.data@32:8 d.address@40:8 {_SYNC}
39  SYNC_WAIT32      error_reject@0:1 condition@28:4 r.data@32:8 d.address@40:8
40  STORE_STATE      state@32:8 d.address@40:8 -offset@0:16 {_DEFER}
41  PROT_REGION      size@0:16
42  PROGRESS_STORE   d.source@40:8
43  PROGRESS_LOAD    d.d@40:8
44  RUN_COMPUTE_INDIRECT  workgroups_per_task@0:16 progress_increment@32:1 {_SELECT}
47  ERROR_BARRIER
48  HEAP_SET         d.address@40:8
49  HEAP_OPERATION   operation@32:2 {_DEFER}
50  TRACE_POINT      base@32:8 count@40:8 {_DEFER}
51  SYNC_ADD64       d.data@32:8 d.address@40:8 {_SYNC}
52  SYNC_SET64       d.data@32:8 d.address@40:8 {_SYNC}
53  SYNC_WAIT64      error_reject@0:1 condition@28:4 d.data@32:8 d.address@40:8
"""


@dataclass(frozen=True)
class Field:
    """Bits ``start .. start + size`` of the word; ``register`` is "r", "d" or ""."""

    name: str
    start: int
    size: int
    signed: bool
    register: str

    def get(self, word: int) -> int:
        value = word >> self.start & (1 << self.size) - 1
        return value - (value >> self.size - 1 << self.size) if self.signed else value

    def put(self, value: int) -> int:
        low, high = (
            (-1 << self.size - 1, 1 << self.size - 1) if self.signed else (0, 1 << self.size)
        )
        if not low <= value < high:
            raise BadInput(f"{self.name}={value} does not fit in {self.size} bits")
        return (value & (1 << self.size) - 1) << self.start


@dataclass(frozen=True)
class Op:
    """One instruction."""

    code: int
    name: str
    fields: tuple[Field, ...]


def _field(text: str) -> Field:
    signed = text.startswith("-")
    name, _, place = text.lstrip("-").partition("@")
    start, size = map(int, place.split(":"))
    register, _, plain = name.rpartition(".")
    return Field(plain, start, size, signed, register)


def _declare() -> dict[int, Op]:
    ops = {}
    for line in _TABLE.strip().splitlines():
        code, name, *fields = line.split()
        ops[int(code)] = Op(int(code), name, tuple(_field(text) for text in fields))
    return ops


#: opcode -> instruction
OPS: dict[int, Op] = _declare()
_BY_NAME = {op.name: op for op in OPS.values()}


@lru_cache(maxsize=8192)
def decode(word: int) -> tuple[Op, dict[str, int]]:
    """The instruction in ``word`` and its fields; BadInput when the opcode is none."""
    op = OPS.get(word >> 56)
    if op is None:
        raise BadInput(f"no command-stream opcode {word >> 56:#x} ({word:#018x})")
    return op, {field.name: field.get(word) for field in op.fields}


def encode(name: str, **values: int) -> int:
    """The word of instruction ``name``; fields not given are 0."""
    op = _BY_NAME.get(name)
    if op is None:
        raise BadInput(f"no command-stream instruction {name!r}")
    word = op.code << 56
    for field in op.fields:
        word |= field.put(values.pop(field.name, 0))
    if values:
        raise BadInput(f"{name} has no field {', '.join(values)}")
    return word & _MASK64


def disassemble(word: int) -> str:
    """One line: ``MOVE d=d10 imm=0x1000``.  Fields that are 0 are left out, registers never."""
    try:
        op, values = decode(word)
    except BadInput:
        return f".word {word:#018x}"
    parts = [op.name]
    for field in op.fields:
        value = values[field.name]
        if field.register:
            parts.append(f"{field.name}={field.register}{value}")
        elif value:
            parts.append(f"{field.name}={value:#x}")
    return " ".join(parts)


def assemble(text: str) -> list[int]:
    """Words of a listing in the form that :func:`disassemble` prints; ``#`` starts a comment."""
    words = []
    for number, line in enumerate(text.splitlines(), 1):
        name, *fields = line.partition("#")[0].split() or [""]
        try:
            if name == ".word":
                words.append(int(fields[0], 0) & _MASK64)
            elif name:
                pairs = (field.partition("=") for field in fields)
                words.append(encode(name, **{key: _number(value) for key, _, value in pairs}))
        except (ValueError, IndexError, BadInput) as error:
            raise BadInput(str(error), where=f"line {number}: {line.strip()}") from error
    return words


def _number(text: str) -> int:
    return int(text[1:]) if text[:1] in "rd" else int(text, 0)
