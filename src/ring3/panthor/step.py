"""Single steps of command streams and shaders, with the registers shown.

A :class:`Stepper` is the debugger of a device's hardware: before every instruction of a stream, and with
``shaders`` of a shader, it makes a :class:`Stop` and hands it to whoever asked::

    device.hardware.debugger = Stepper(device, print, shaders=True)
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ring3.mali.cs.queue import Queue
from ring3.mali.cs.table import disassemble
from ring3.mali.mmu import TranslationFault
from ring3.mali.shader.run import Execution
from ring3.panthor.device import PanthorDevice


@dataclass(frozen=True)
class Stop:
    """The GPU before an instruction.

    ``unit`` is "cs" or "shader"; ``registers`` are the queue's 32-bit ones, or those of the first thread
    that executes; ``changed`` are those that the unit's last instruction changed.  ``threads`` says how many
    of all threads execute the instruction together, (0, 0) for a stream.
    """

    slot: int
    queue: int
    unit: str
    pc: int
    text: str
    registers: tuple[int, ...]
    changed: tuple[int, ...]
    threads: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        where = f"slot {self.slot} queue {self.queue} {self.unit:6} {self.pc:#012x}"
        together = (
            "" if self.unit == "cs" else f"  [{self.threads[0]} of {self.threads[1]} threads]"
        )
        held = "  ".join(f"r{n}={self.registers[n]:#x}" for n in self.changed)
        return f"{where}  {self.text}{together}" + (f"\n{'':12}after: {held}" if held else "")

    def matches(self, text: str) -> bool:
        """Whether ``text`` is in the instruction, in any case of letters, or in its address."""
        return text.lower() in f"{self.pc:#x} {self.text.lower()}"

    def all_registers(self) -> str:
        """Every register that is not 0, six a line."""
        held = [f"r{n:<2} {value:08x}" for n, value in enumerate(self.registers) if value]
        return "\n".join("  " + "  ".join(held[at : at + 6]) for at in range(0, len(held), 6))


class Enough(Exception):
    """Raised by who is told, to end the run."""


Run = Callable[[Callable[[PanthorDevice], None]], object]


def stepped(
    run: Run, *, shaders: bool = False, start: str | None = None, count: int = 40
) -> list[Stop]:
    """``count`` stops of what ``run(prepare)`` makes a device do, from the first that ``start`` matches."""
    stops: list[Stop] = []

    def tell(stop: Stop) -> None:
        if stops or start is None or stop.matches(start):
            stops.append(stop)
        if len(stops) >= count:
            raise Enough

    def prepare(device: PanthorDevice) -> None:
        device.hardware.debugger = Stepper(device, tell, shaders=shaders)

    with suppress(Enough):
        run(prepare)
    return stops


class Stepper:
    """Stops before every instruction and tells ``tell``, which may read whatever it likes.

    ``shaders``: single-step shaders, too; otherwise a job is one step.
    """

    def __init__(
        self, device: PanthorDevice, tell: Callable[[Stop], None], *, shaders: bool = False
    ) -> None:
        self.device = device
        self._tell = tell
        self._shaders = shaders
        if shaders:
            device.gpu.slice = 1
        self._before: dict[object, tuple[int, ...]] = {}
        self._unit: object = None

    def __call__(self, queue: Queue) -> None:
        running = queue.running
        if queue.between:
            self._tell(self._stream(queue))
        elif self._shaders and isinstance(running, Execution) and not running.done:
            self._tell(self._shader(queue, running))

    def memory(self, queue: int, slot: int, address: int, size: int) -> bytes:
        """What the GPU sees at ``address`` in the address space of a queue; b"" where nothing is mapped."""
        try:
            return self.device.gpu.slots[slot].queues[queue].space.read(address, size)
        except TranslationFault:
            return b""

    def _stream(self, queue: Queue) -> Stop:
        pc = queue.next_pc
        try:
            text = disassemble(int.from_bytes(queue.space.read(pc, 8), "little"))
        except TranslationFault:
            text = "(not mapped)"
        registers = tuple(queue.registers)
        return Stop(
            queue.slot, queue.number, "cs", pc, text, registers, self._changed(queue, registers)
        )

    def _shader(self, queue: Queue, running: Execution) -> Stop:
        pc, lanes = running.next()
        registers = tuple(running.threads.registers[:, lanes[0]].tolist())
        changed = self._changed((queue, "shader"), registers)
        if self._unit is not running:  # another shader's registers are no changes of this one's
            self._unit, changed = running, ()
        text = running.program.show(pc)
        threads = len(lanes), running.threads.count
        return Stop(queue.slot, queue.number, "shader", pc, text, registers, changed, threads)

    def _changed(self, unit: object, registers: tuple[int, ...]) -> tuple[int, ...]:
        before = self._before.get(unit, (0,) * len(registers))
        self._before[unit] = registers
        pairs = zip(before, registers, strict=False)
        return tuple(n for n, (was, now) in enumerate(pairs) if was != now)
