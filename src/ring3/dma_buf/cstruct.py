"""C structures and ioctl numbers, declared once: layout, codec, checks and documentation follow.

A structure is a class whose annotations are C types; the compiler's rules of alignment on a 64-bit
little-endian machine (System V psABI, all of Linux's 64-bit ports agree) give the offsets::

    class VmCreate(CStruct, name="drm_panthor_vm_create"):
        flags: u32
        id: u32
        user_va_range: u64

Instances are plain objects with those attributes.  An ioctl is a direction, a letter, a number and a
structure; its command number is ``_IOC`` of asm-generic/ioctl.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self, get_args, get_type_hints

u8 = Annotated[int, "B"]
u16 = Annotated[int, "H"]
u32 = Annotated[int, "I"]
s32 = Annotated[int, "i"]
u64 = Annotated[int, "Q"]
s64 = Annotated[int, "q"]


@dataclass(frozen=True)
class Array:
    """``code name[count]``; ``code`` as in :mod:`struct`.  ``s`` is a char array, read as bytes."""

    code: str
    count: int


@dataclass(frozen=True)
class Field:
    """One field: byte ``offset`` and ``size``, struct codes, and the nested structure if it is one."""

    name: str
    offset: int
    size: int
    code: str
    count: int
    nested: type[CStruct] | None


_CODE_NAMES = {
    "B": "__u8",
    "H": "__u16",
    "I": "__u32",
    "i": "__s32",
    "Q": "__u64",
    "q": "__s64",
    "s": "char",
}


class CStruct:
    """Base of the declared structures.

    ``C_NAME`` is the C tag, ``SIZE`` its sizeof, ``FIELDS`` its fields.  Values missing from the
    constructor are zero.
    """

    C_NAME: ClassVar[str]
    SIZE: ClassVar[int]
    ALIGN: ClassVar[int]
    FIELDS: ClassVar[tuple[Field, ...]]
    _codec: ClassVar[struct.Struct]
    _names: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.C_NAME = name
        hints = get_type_hints(cls, include_extras=True)
        fields: list[Field] = []
        codes = "<"
        at = 0
        cls.ALIGN = 1
        for field_name in cls.__annotations__:
            field, align = _field(field_name, hints[field_name], at)
            codes += "x" * (field.offset - at) + _codes(field)
            at = field.offset + field.size
            cls.ALIGN = max(cls.ALIGN, align)
            fields.append(field)
        cls.SIZE = -(-at // cls.ALIGN) * cls.ALIGN
        codes += "x" * (cls.SIZE - at)
        cls.FIELDS = tuple(fields)
        cls._codec = struct.Struct(codes)
        cls._names = tuple(field.name for field in fields)
        if all(f.nested is None and (f.count == 1 or f.code == "s") for f in fields):
            _specialise(cls)

    def __init__(self, **values: Any) -> None:
        for field in self.FIELDS:
            setattr(self, field.name, values.pop(field.name, None) or _zero(field))
        if values:
            raise TypeError(f"{self.C_NAME} has no field {', '.join(values)}")

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """From exactly ``SIZE`` bytes."""
        made = cls.__new__(cls)
        for field in cls.FIELDS:
            piece = data[field.offset : field.offset + field.size]
            if field.nested is not None:
                setattr(made, field.name, field.nested.unpack(piece))
            else:
                values = struct.unpack("<" + _codes(field), piece)
                setattr(made, field.name, values[0] if len(values) == 1 else values)
        return made

    def pack(self) -> bytes:
        """``SIZE`` bytes; padding that the compiler would add is zero."""
        values: list[Any] = []
        for field in self.FIELDS:
            value = getattr(self, field.name)
            if field.nested is not None:
                values.append(value.pack())
            elif field.count > 1 and field.code != "s":
                values.extend(value)
            else:
                values.append(value)
        return self._codec.pack(*values)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names)
        return f"{self.C_NAME or type(self).__name__}({inside})"


def _field(name: str, hint: Any, at: int) -> tuple[Field, int]:
    """The field ``name`` of type ``hint`` put at or after byte ``at``, and its alignment."""
    if isinstance(hint, type) and issubclass(hint, CStruct):
        offset = -(-at // hint.ALIGN) * hint.ALIGN
        return Field(name, offset, hint.SIZE, "", 1, hint), hint.ALIGN
    kind = get_args(hint)[1]
    code, count = (kind.code, kind.count) if isinstance(kind, Array) else (kind, 1)
    align = 1 if code == "s" else struct.calcsize("<" + code)
    offset = -(-at // align) * align
    return Field(name, offset, align * count, code, count, None), align


def _codes(field: Field) -> str:
    if field.nested is not None:
        return f"{field.size}s"
    return f"{field.count}{field.code}" if field.count > 1 else field.code


def _zero(field: Field) -> Any:
    if field.nested is not None:
        return field.nested()
    if field.code == "s":
        return b""
    return (0,) * field.count if field.count > 1 else 0


def _specialise(cls: type[CStruct]) -> None:
    """Give a structure of plain fields codecs that name them, as dataclasses get their methods: every system
    call unpacks and packs one, and a loop over names takes four times as long."""
    if not cls._names:
        return
    values = ", ".join(f"made.{name}" for name in cls._names)
    source = f"""
def unpack(data):
    made = new(cls)
    {values}, = codec_unpack(data)
    return made
def pack(made):
    return codec_pack({values})
"""
    space: dict[str, Any] = {
        "cls": cls,
        "new": object.__new__,
        "codec_unpack": cls._codec.unpack,
        "codec_pack": cls._codec.pack,
    }
    exec(source, space)
    setattr(cls, "unpack", staticmethod(space["unpack"]))  # noqa: B010 - for the type checker
    setattr(cls, "pack", space["pack"])  # noqa: B010


def c_declaration(kind: type[CStruct]) -> str:
    """The structure in C, for documentation."""
    lines = [f"struct {kind.C_NAME} {{"]
    for field in kind.FIELDS:
        c_type = f"struct {field.nested.C_NAME}" if field.nested else _CODE_NAMES[field.code]
        many = f"[{field.count}]" if field.count > 1 else ""
        lines.append(f"\t{c_type} {field.name}{many};")
    return "\n".join([*lines, "};"])


@dataclass(frozen=True)
class Ioctl:
    """``_IOC(direction, magic, nr, size)``.

    ``access`` is "", "R", "W" or "WR" as in the macros' names (W: the kernel reads the argument).
    ``argument`` is a structure or the size of a plain integer in bytes.
    """

    name: str
    magic: str
    nr: int
    access: str
    argument: type[CStruct] | int

    @property
    def size(self) -> int:
        """Bytes of the argument."""
        return self.argument if isinstance(self.argument, int) else self.argument.SIZE

    @cached_property
    def number(self) -> int:
        """The command number (asm-generic/ioctl.h: 8 bits nr, 8 magic, 14 size, 2 direction)."""
        direction = ("W" in self.access) | ("R" in self.access) << 1
        return direction << 30 | self.size << 16 | ord(self.magic) << 8 | self.nr


def ioc_fields(cmd: int) -> tuple[int, int, int, int]:
    """(direction, magic, nr, size) of a command number."""
    return cmd >> 30 & 3, cmd >> 8 & 0xFF, cmd & 0xFF, cmd >> 16 & 0x3FFF


def signed(value: int) -> int:
    """A u64 as the s64 of the same bits: times from user space (ns_to_ktime)."""
    return value - (1 << 64) if value >= 1 << 63 else value
