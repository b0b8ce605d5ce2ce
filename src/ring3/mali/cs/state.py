"""What a queue is made of: its states, buffers, heap and configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

Slice = Iterator[None]


@runtime_checkable
class Shown(Protocol):
    """Work that can say where it is."""

    def show(self) -> str: ...


class QueueState(Enum):
    STOPPED = "stopped"  # not in a slot, or its group is suspended
    IDLE = "idle"  # extract == insert
    RUNNING = "running"
    WAITING = "waiting"  # in SYNC_WAIT: another queue or the CPU must change memory
    BLOCKED = "blocked"  # the tiler waits for a heap chunk from the driver
    FATAL = "fatal"  # the stream cannot be executed; only a restart of the group helps


@dataclass(frozen=True)
class QueueConfig:
    """What the driver writes into CS_INPUT before it starts a queue; addresses are virtual."""

    ring: int
    ring_size: int
    priority: int = 0
    insert: int = 0
    extract: int = 0


@dataclass(frozen=True)
class SyncWait:
    """What SYNC_WAIT waits for: the ``size`` bytes at ``address`` above ``value``, or not above it."""

    address: int
    size: int
    value: int
    above: bool

    def met(self, value: int) -> bool:
        """Whether it is over when the memory holds ``value``."""
        return (value > self.value) == self.above

    def __str__(self) -> str:
        return f"[{self.address:#x}] {'>' if self.above else '<='} {self.value:#x}"


@dataclass
class Buffer:
    """A run of instructions being executed: ``pc`` goes from its start to ``end``."""

    pc: int
    end: int


@dataclass
class Heap:
    """A tiler heap as the firmware keeps it, by the address of its context."""

    context: int
    free: list[int] = field(default_factory=list)
    seeded: bool = False
    vt_started: int = 0
    vt_completed: int = 0
    frag_completed: int = 0
