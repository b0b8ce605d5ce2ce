"""Plain shared memory, made visible: what tasks exchange without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from ring3.kernel.core import WRITE

if TYPE_CHECKING:
    from ring3.kernel.core import Kernel

Value = TypeVar("Value")


class Shared(Generic[Value]):
    """A variable whose every access is a visible operation, so that exploration finds its races.

    ``read`` and ``write`` are READ_ONCE and WRITE_ONCE; ``update`` is one atomic read-modify-write.
    """

    __slots__ = ("kernel", "key", "name", "value")

    def __init__(self, kernel: Kernel, name: str, value: Value) -> None:
        self.kernel = kernel
        self.name = name
        self.key = kernel.new_key()
        self.value = value

    def read(self) -> Value:
        self.kernel.point("read", self, self.key)
        return self.value

    def write(self, value: Value) -> None:
        self.kernel.point("write", self, self.key | WRITE)
        self.value = value

    def update(self, change: Callable[[Value], Value]) -> Value:
        """Atomically replace the value by ``change(value)``; the new value."""
        self.kernel.point("update", self, self.key | WRITE)
        self.value = change(self.value)
        return self.value

    def __repr__(self) -> str:
        return self.name
