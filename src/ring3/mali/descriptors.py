"""Descriptors in memory, declared once: word, bit and size of each field (v10 layouts of Mesa's genxml)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, TypeVar

from ring3.mali.events import ExceptionCode, GpuFault
from ring3.mali.mmu import AddressSpace

T = TypeVar("T", bound="Descriptor")


def at(
    word: int, bit: int = 0, size: int = 32, *, kind: str = "uint", plus: int = 0, shift: int = 0
) -> Any:
    """A field: ``size`` bits at ``word``:``bit``; value << shift + plus.  ``kind``: uint, int, float."""

    return field(default=0, metadata={"place": (32 * word + bit, size, kind, plus, shift)})


@dataclass(frozen=True)
class Descriptor:
    """Base of all: ``parse`` takes the bytes, ``pack`` gives them back (for tests and drivers)."""

    BYTES = 0

    @classmethod
    def parse(cls: type[T], data: bytes) -> T:
        whole = int.from_bytes(data[: cls.BYTES], "little")
        values = {}
        for name, (start, size, kind, plus, shift) in _places_of(cls):  # type: ignore[arg-type]
            value: float = whole >> start & (1 << size) - 1
            if kind == "int":
                value = value - (int(value) >> size - 1 << size)
            elif kind == "float":
                value = struct.unpack("<f", struct.pack("<I", value))[0]
            else:
                value = (int(value) << shift) + plus
            values[name] = value
        return cls(**values)

    @classmethod
    def read(cls: type[T], space: AddressSpace, address: int) -> T:
        return cls.parse(space.read(address, cls.BYTES))

    def pack(self) -> bytes:
        whole = 0
        for name, (start, size, kind, plus, shift) in _places_of(type(self)):  # type: ignore[arg-type]
            value = getattr(self, name)
            if kind == "float":
                value = struct.unpack("<I", struct.pack("<f", value))[0]
            else:
                value = int(value) - plus >> shift
            whole |= (value & (1 << size) - 1) << start
        return whole.to_bytes(self.BYTES, "little")


@cache
def _places_of(cls: Any) -> list[tuple[str, tuple[int, int, str, int, int]]]:
    return [(item.name, item.metadata["place"]) for item in fields(cls)]


@dataclass(frozen=True)
class Resource(Descriptor):
    """One resource table."""

    BYTES = 16
    address: int = at(0, 0, 56)
    size: int = at(2, 0, 64)


@dataclass(frozen=True)
class Buffer(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    size: int = at(1)
    address: int = at(2, 0, 64)
    stride: int = at(4)


@dataclass(frozen=True)
class Attribute(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    attribute_type: int = at(0, 4, 4)
    offset_enable: int = at(0, 8, 1)
    format: int = at(0, 10, 22)
    table: int = at(1, 0, 6)
    frequency: int = at(1, 6, 2)
    divisor_r: int = at(1, 24, 5)
    divisor_e: int = at(1, 29, 1)
    offset: int = at(2, kind="int")
    buffer_index: int = at(3)
    stride: int = at(4)
    divisor_d: int = at(5)


@dataclass(frozen=True)
class ShaderProgram(Descriptor):
    BYTES = 32
    type: int = at(0, 0, 4)
    stage: int = at(0, 4, 4)
    flush_to_zero: int = at(0, 17, 2)
    helpers: int = at(0, 28, 1)
    register_allocation: int = at(0, 30, 2)
    preload: int = at(1, 0, 16)
    binary: int = at(2, 0, 64)


@dataclass(frozen=True)
class LocalStorage(Descriptor):
    BYTES = 32
    tls_size: int = at(0, 0, 5)
    wls_instances: int = at(1, 0, 5)
    wls_size_base: int = at(1, 5, 2)
    wls_size_scale: int = at(1, 8, 5)
    tls_base: int = at(2, 0, 48)
    wls_base: int = at(4, 0, 64)

    @property
    def thread_bytes(self) -> int:
        """Stack of one thread: 2**n * 16 bytes; 0 stands for none."""
        return 16 << self.tls_size if self.tls_size else 0

    @property
    def group_bytes(self) -> int:
        """Local memory of one workgroup."""
        return 1 << self.wls_size_scale - 1 if self.wls_size_scale else 0


def descriptor(space: AddressSpace, tables: int, table: int, index: int, kind: type[T]) -> T:
    """Entry ``index`` of resource table ``table``; ``tables`` is a resource table pointer, whose low six
    bits count the tables.  A fault when there is no such entry."""
    if table >= tables & 63:
        raise GpuFault(
            ExceptionCode.DATA_INVALID_FAULT,
            tables & ~63,
            f"resource table {table} of {tables & 63}",
        )
    resource = Resource.read(space, (tables & ~63) + 16 * table)
    if kind.BYTES * (index + 1) > resource.size:
        raise GpuFault(
            ExceptionCode.DATA_INVALID_FAULT,
            resource.address,
            f"entry {index} of resource table {table}, which has {resource.size} bytes",
        )
    return kind.read(space, resource.address + kind.BYTES * index)
