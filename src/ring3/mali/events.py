"""What the GPU tells its driver: one dataclass per interrupt cause, and the exception codes.

Codes are those of the Mali CSF exception status register, as drivers/gpu/drm/panthor/panthor_device.h of
Linux 7.2 names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ExceptionCode(IntEnum):
    """Bits 7:0 of a queue's FAULT/FATAL status and of an address space's FAULTSTATUS."""

    OK = 0x00
    TERMINATED = 0x04
    ACTIVE = 0x08
    CS_RES_TERM = 0x0F
    CS_CONFIG_FAULT = 0x40
    CS_UNRECOVERABLE = 0x41
    CS_ENDPOINT_FAULT = 0x44
    CS_BUS_FAULT = 0x48
    CS_INVALID_INSTRUCTION = 0x49
    CS_CALL_STACK_OVERFLOW = 0x4A
    CS_INHERIT_FAULT = 0x4B
    INSTR_INVALID_PC = 0x50
    INSTR_INVALID_ENC = 0x51
    INSTR_BARRIER_FAULT = 0x55
    DATA_INVALID_FAULT = 0x58
    TILE_RANGE_FAULT = 0x59
    ADDR_RANGE_FAULT = 0x5A
    IMPRECISE_FAULT = 0x5B
    OOM = 0x60
    FIRMWARE_INTERNAL_ERROR = 0x68
    RES_EVICTION_TIMEOUT = 0x69
    GPU_BUS_FAULT = 0x80
    TRANSLATION_FAULT_0 = 0xC0
    TRANSLATION_FAULT_1 = 0xC1
    TRANSLATION_FAULT_2 = 0xC2
    TRANSLATION_FAULT_3 = 0xC3
    TRANSLATION_FAULT_4 = 0xC4
    PERM_FAULT_0 = 0xC8
    PERM_FAULT_1 = 0xC9
    PERM_FAULT_2 = 0xCA
    PERM_FAULT_3 = 0xCB
    ACCESS_FLAG_0 = 0xD8
    ADDR_SIZE_FAULT_IN = 0xE0
    ADDR_SIZE_FAULT_OUT_0 = 0xE4


class Access(IntEnum):
    """Access type, bits 9:8 of AS_FAULTSTATUS."""

    ATOMIC = 0
    EXECUTE = 1
    READ = 2
    WRITE = 3


@dataclass(frozen=True)
class MmuFault:
    """An address space could not translate ``address``; ``status`` is what AS_FAULTSTATUS reads."""

    address_space: int
    address: int
    status: int

    @property
    def code(self) -> ExceptionCode:
        return ExceptionCode(self.status & 0xFF)

    @property
    def access(self) -> Access:
        return Access(self.status >> 8 & 3)


@dataclass(frozen=True)
class QueueFault:
    """A job failed and its queue stopped there.

    ``fatal``: the stream itself cannot be executed (CS_FATAL); otherwise the work of one instruction failed
    (CS_FAULT).  ``address`` is the exception data: the faulting address, or the PC.  ``report`` is text for
    humans: the instruction, the shader, the registers.
    """

    slot: int
    queue: int
    fatal: bool
    code: ExceptionCode
    address: int
    report: str


@dataclass(frozen=True)
class TilerOutOfMemory:
    """The tiler needs a heap chunk; the queue stands until the driver calls ``Queue.grant_chunk``.

    The counters are the render passes begun and ended on the heap, as the firmware reports them.
    """

    slot: int
    queue: int
    heap: int
    vt_started: int
    vt_completed: int
    frag_completed: int


@dataclass(frozen=True)
class SyncUpdate:
    """A queue changed a synchronisation object with a scope wider than its own group."""

    slot: int
    queue: int
    address: int


@dataclass(frozen=True)
class QueueIdle:
    """A queue has executed all of its ring (extract == insert)."""

    slot: int
    queue: int


@dataclass(frozen=True)
class GroupIdle:
    """Every queue of a slot is idle or waits for a synchronisation object."""

    slot: int


@dataclass(frozen=True)
class ProgressTimeout:
    """A queue has executed for longer than the progress timer allows (GLB_PROGRESS_TIMER)."""

    slot: int
    queue: int
    report: str


#: What happens in a slot.
SlotEvent = QueueFault | TilerOutOfMemory | SyncUpdate | QueueIdle | GroupIdle | ProgressTimeout
Event = MmuFault | SlotEvent


class GpuFault(Exception):
    """Raised inside the GPU; ends the work of one queue as a fault with this code and address."""

    def __init__(
        self, code: ExceptionCode, address: int, what: str, *, fatal: bool = False
    ) -> None:
        super().__init__(what)
        self.code = code
        self.address = address
        self.what = what
        self.fatal = fatal
