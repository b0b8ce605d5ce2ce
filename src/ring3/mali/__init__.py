"""The simulated GPU: a Mali with the command-stream frontend (CSF), architecture 10, and no driver in it.

It sees physical memory that its driver shares with it, walks page tables there, executes command streams
from ring buffers, and tells the driver what happened::

    memory = PhysicalMemory()
    memory.add(0x8000_0000, backing)            # any writable buffer, whole pages
    gpu = Gpu(memory, clock=clock_ns, on_event=handle)
    gpu.address_spaces[1].enable(page_table)    # physical address of the level-0 table
    group = Group(address_space=1, queues=[QueueConfig(ring=va, ring_size=65536)])
    gpu.slots[0].start(group)                   # START; .suspend() gives the group back, .resume(group)
    gpu.slots[0].doorbell(0, insert=64)         # bytes since the ring began
    gpu.run()                                   # or step(n) between other work of the simulated kernel

After the driver changes page tables: ``address_spaces[n].flush()``.  Before it resumes a group under another
number: ``place(n, space)`` with the :class:`AddressSpace` that the group had.  Answer to
``TilerOutOfMemory``: ``gpu.slots[s].queues[q].grant_chunk(address | size >> 12)``, 0 for none.  A queue's
``extract``, ``state`` and ``show()`` (PC, instruction, registers) may be read at any time.

docs/mali.md says what works; anything else ends in a QueueFault that names it.
"""

from ring3.mali.config import GpuConfig
from ring3.mali.cs.queue import Queue
from ring3.mali.cs.state import QueueConfig, QueueState
from ring3.mali.events import (
    Access,
    Event,
    ExceptionCode,
    GroupIdle,
    MmuFault,
    ProgressTimeout,
    QueueFault,
    QueueIdle,
    SlotEvent,
    SyncUpdate,
    TilerOutOfMemory,
)
from ring3.mali.gpu import Gpu, Group, GroupSlot
from ring3.mali.memory import PhysicalMemory
from ring3.mali.mmu import AddressSpace

__all__ = [
    "Access",
    "AddressSpace",
    "Event",
    "ExceptionCode",
    "Gpu",
    "GpuConfig",
    "Group",
    "GroupIdle",
    "GroupSlot",
    "MmuFault",
    "PhysicalMemory",
    "ProgressTimeout",
    "Queue",
    "QueueConfig",
    "QueueFault",
    "QueueIdle",
    "QueueState",
    "SlotEvent",
    "SyncUpdate",
    "TilerOutOfMemory",
]
