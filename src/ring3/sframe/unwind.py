"""Unwinding one stack: registers, a memory reader and a set of modules in; frames out.

This is the engine to read.  :mod:`bulk` does the same to many recorded samples at once, over the same
tables.  On the way of ``ring3 stack``: imports nothing heavy (see :mod:`ring3.sframe.stack`).

For every frame the first of these that knows the pc is taken, in this order (:class:`How`): the module's
.sframe section, a sidecar SFrame file, a table converted from .eh_frame or .debug_frame, the frame
pointer.  The order of a module's tables is the caller's; the frame pointer always comes last.
"""

from __future__ import annotations

import struct
from bisect import bisect_right

from ring3.sframe.symbols import NO_SYMBOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import ClassVar, Protocol

    from ring3.sframe.abi import Abi, SignalFrame
    from ring3.sframe.symbols import Symbols

    #: Reads the 8 bytes at an address in the target's byte order; None where there is no memory.
    Memory = Callable[[int], int | None]

    class Finder(Protocol):
        """:class:`Modules`, or what makes modules when they are asked for."""

        def find(self, pc: int) -> Module | None:
            """The module that holds ``pc``."""


# The numbers of :mod:`ring3.sframe.table`, which is not imported for its weight; a test compares them.
UNDEFINED, SAME, CFA, REGISTER = range(4)
KIND = 3
DEREF = 4
SIGNAL = 1
PCMASK = 2
FUNCTION = struct.Struct("=qqiiBB6x")
ROW = struct.Struct("=IiiiBBBBBBBx")

MOST_FRAMES = 1024
_WORD = (1 << 64) - 1


class How:
    """What gave a frame: plain numbers."""

    REGISTERS = 0  # the topmost frame: the thread's own registers
    SFRAME = 1  # .sframe of the file
    SIDECAR = 2  # an SFrame file found by build-id
    CONVERTED = 3  # .eh_frame or .debug_frame, converted in memory
    FRAME_POINTER = 4
    SIGNAL = 5  # registers that the kernel saved when it delivered a signal

    #: Those that a module has a table for.
    TABLES = (SFRAME, SIDECAR, CONVERTED)
    #: Each in a word or two for people, by number.
    TEXT = ("registers", "sframe", "sidecar", "eh_frame", "frame pointer", "signal frame")


class Stop(int):
    """Why a trace ends: a number with a ``name`` and a phrase for people.

    The first two are complete traces.  Not an IntEnum, since importing that takes 4 ms.
    """

    OUTERMOST: ClassVar[Stop]
    CHAIN_END: ClassVar[Stop]
    NO_MEMORY: ClassVar[Stop]
    NO_RULE: ClassVar[Stop]
    BAD_PC: ClassVar[Stop]
    LOOP: ClassVar[Stop]
    DEPTH: ClassVar[Stop]
    REGISTER: ClassVar[Stop]

    name: str
    text: str

    @property
    def complete(self) -> bool:
        """Whether the trace reached an outermost frame."""
        return self <= Stop.CHAIN_END

    def __repr__(self) -> str:
        return f"Stop.{self.name}"


for _number, (_name, _text) in enumerate(
    {
        "OUTERMOST": "outermost frame",
        "CHAIN_END": "end of the frame-pointer chain",
        "NO_MEMORY": "the stack could not be read there (not recorded, or no memory)",
        "NO_RULE": "nothing says how to unwind there",
        "BAD_PC": "the return address is in no executable mapping",
        "LOOP": "the stack does not go on",
        "DEPTH": "more frames than the limit",
        "REGISTER": "its rule needs a register that SFrame follows in the innermost frame only",
    }.items()
):
    _stop = Stop(_number)
    _stop.name, _stop.text = _name, _text
    setattr(Stop, _name, _stop)


class Rule:
    """A row of the unwind table; fields as :data:`ring3.sframe.table.ROW` describes them."""

    def __init__(self, row: tuple[int, ...]) -> None:
        (
            self.start,
            self.cfa_offset,
            self.ra_offset,
            self.fp_offset,
            self.cfa_reg,
            self.ra_reg,
            self.fp_reg,
            self.cfa,
            self.ra,
            self.fp,
            self.mangled,
        ) = row


class Rules:
    """A table as bytes: records of ``table.FUNCTION`` and ``table.ROW``, searched in place."""

    def __init__(self, functions: bytes | memoryview, rows: bytes | memoryview) -> None:
        self._functions = functions
        self._rows = rows
        self._count = len(functions) // FUNCTION.size

    def find(self, pc: int) -> tuple[Rule, bool] | None:
        """The rule at file address ``pc``, and whether that is a signal trampoline; None for none."""
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if FUNCTION.unpack_from(self._functions, middle * FUNCTION.size)[0] <= pc:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            return None
        start, size, first, count, flags, repeat = FUNCTION.unpack_from(
            self._functions, (low - 1) * FUNCTION.size
        )
        offset = pc - start
        if offset >= size:
            return None
        if flags & PCMASK:
            offset %= repeat
        low, high = first, first + count
        while low < high:
            middle = (low + high) // 2
            if ROW.unpack_from(self._rows, middle * ROW.size)[0] <= offset:
                low = middle + 1
            else:
                high = middle
        if low == first:
            return None
        rule = Rule(ROW.unpack_from(self._rows, (low - 1) * ROW.size))
        return rule, bool(flags & SIGNAL)


class Module:
    """Executable memory from ``start`` to ``end``: a piece of a file, or of nothing (JIT code).

    ``bias`` is run-time address minus file address; ``tables`` are (:class:`How`, rules), asked in their
    order; ``problem`` says why there are none.
    """

    def __init__(
        self,
        start: int,
        end: int,
        bias: int = 0,
        name: str = "",
        tables: Sequence[tuple[int, Rules]] = (),
        symbols: Symbols = NO_SYMBOLS,
        problem: str = "",
    ) -> None:
        self.start = start
        self.end = end
        self.bias = bias
        self.name = name
        self.tables = tables
        self.symbols = symbols
        self.problem = problem

    def function(self, pc: int) -> tuple[str, int]:
        """Name of the function at run-time address ``pc``, demangled, and the distance from its start.

        The name is "" where no symbol holds it.
        """
        index = self.symbols.find(pc - self.bias)
        if index < 0:
            return "", 0
        name = self.symbols.text(index)
        if name.startswith(("_Z", "_R")):
            from ring3.sframe.demangle import demangle  # most names need none

            name = demangle(name)
        return name, pc - self.bias - self.symbols.addr[index]


class Modules:
    """Modules sorted by address."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self._modules = sorted(modules, key=lambda module: module.start)
        self._starts = [module.start for module in self._modules]

    def find(self, pc: int) -> Module | None:
        """The module that holds ``pc``."""
        index = bisect_right(self._starts, pc) - 1
        if index < 0 or pc >= self._modules[index].end:
            return None
        return self._modules[index]


class Registers:
    """``values[n]`` is DWARF register ``n``, None where it is not known in this frame."""

    __slots__ = ("pc", "values")

    def __init__(self, pc: int, values: list[int | None]) -> None:
        self.pc = pc
        self.values = values


class Frame:
    """``pc`` is where it will go on; ``exact`` says that it stopped there rather than called before it.

    ``sp`` is its stack pointer, None where a frame pointer was all that could be followed; ``how`` is one
    of :class:`How`.
    """

    __slots__ = ("exact", "how", "module", "pc", "sp")

    def __init__(
        self, pc: int, sp: int | None, how: int, exact: bool, module: Module | None = None
    ) -> None:
        self.pc = pc
        self.sp = sp
        self.how = how
        self.exact = exact
        self.module = module

    @property
    def lookup(self) -> int:
        """An address inside the instruction that this frame is at, for rules and symbols."""
        return self.pc if self.exact else self.pc - 1

    @property
    def function(self) -> tuple[str, int]:
        """Name of its function, "" where it has none, and the distance of ``pc`` from its start."""
        if self.module is None:
            return "", 0
        name, inside = self.module.function(self.lookup)
        return name, inside + self.pc - self.lookup


class Trace:
    """Frames from the innermost to the outermost, and why there are no more."""

    def __init__(self, frames: list[Frame], stop: Stop) -> None:
        self.frames = frames
        self.stop = stop

    @property
    def complete(self) -> bool:
        """Whether it reached an outermost frame."""
        return self.stop.complete


def unwind(
    registers: Registers, memory: Memory, modules: Finder, abi: Abi, limit: int = MOST_FRAMES
) -> Trace:
    """The stack of a thread.

    Raises nothing: whatever the stack holds, the trace says where and why it ends.
    """
    walker = _Walker(memory, modules, abi)
    how, exact = How.REGISTERS, True
    frames: list[Frame] = []
    module = modules.find(registers.pc)
    while True:
        frames.append(Frame(registers.pc, registers.values[abi.sp], how, exact, module))
        if len(frames) >= limit:
            return Trace(frames, Stop.DEPTH)
        step = walker.step(registers, frames[-1].lookup, module, exact)
        if isinstance(step, Stop):
            return Trace(frames, step)
        registers, how = step
        exact = how == How.SIGNAL
        if exact:  # what was returned to is the trampoline itself, not behind a call in it
            frames[-1].exact = True
        module = modules.find(registers.pc if exact else registers.pc - 1)
        # A trampoline may begin where its mapping does.
        module = module or modules.find(registers.pc)
        if module is None:
            frames.append(Frame(registers.pc, registers.values[abi.sp], how, exact))
            return Trace(frames, Stop.BAD_PC)


class _Walker:
    """One step at a time, from a frame to its caller."""

    def __init__(self, memory: Memory, modules: Finder, abi: Abi) -> None:
        self._memory = memory
        self._modules = modules
        self._abi = abi

    def step(
        self, registers: Registers, lookup: int, module: Module | None, exact: bool
    ) -> tuple[Registers, int] | Stop:
        """The caller's registers and what gave them, or why there are none."""
        # Some trampolines have no rules (musl), some wrong ones (the vDSO's, one byte behind another's).
        for kind in self._abi.signals:
            if self._runs(registers.pc, kind.code) and (
                saved := self._interrupted(registers, kind)
            ):
                return saved, How.SIGNAL
        refused = Stop.NO_RULE
        for how, rules in module.tables if module else ():
            found = rules.find(lookup - module.bias) if module else None
            if found is None:
                continue
            rule, signal = found
            for kind in self._abi.signals if signal else ():
                if saved := self._interrupted(registers, kind):
                    return saved, How.SIGNAL
            caller = self._apply(rule, registers, exact)
            if isinstance(caller, Registers):
                return caller, How.SIGNAL if signal else how
            if caller is not Stop.NO_RULE and caller is not Stop.REGISTER:
                return caller
            refused = caller
        # Where a rule names another register, the frame pointer is none, and would skip frames unseen.
        if refused is Stop.REGISTER:
            return refused
        return self._frame_pointer(registers, exact)

    def _apply(self, rule: Rule, registers: Registers, exact: bool) -> Registers | Stop:
        abi = self._abi
        if rule.ra & KIND == UNDEFINED:
            return Stop.OUTERMOST
        cfa = self._value(rule.cfa, rule.cfa_reg, rule.cfa_offset, registers, 0)
        if isinstance(cfa, Stop):
            return cfa
        if rule.ra & KIND == SAME:
            ra = registers.values[abi.ra]
            if not abi.return_register or not exact or ra is None:
                return Stop.NO_RULE
        else:
            address = self._value(rule.ra, rule.ra_reg, rule.ra_offset, registers, cfa)
            if isinstance(address, Stop):
                return address
            ra = address
        fp: int | None = registers.values[abi.fp]
        if rule.fp & KIND == UNDEFINED:
            fp = None
        elif rule.fp & KIND != SAME:
            saved = self._value(rule.fp, rule.fp_reg, rule.fp_offset, registers, cfa)
            # Without its frame pointer a trace may still go on by SP.
            fp = None if isinstance(saved, Stop) else saved
        before = registers.values[abi.sp]
        sp = cfa + abi.sp_from_cfa & _WORD
        # Only a leaf, which has not moved SP yet, has the caller's SP.
        if before is not None and (_below(sp, before) or (sp == before and not exact)):
            return Stop.LOOP
        if ra == 0:
            return Stop.CHAIN_END
        return self._caller(ra & abi.address_mask if rule.mangled else ra, sp, fp)

    def _value(
        self, rule: int, register: int, offset: int, registers: Registers, cfa: int
    ) -> int | Stop:
        base: int | None = cfa
        if rule & KIND == REGISTER:
            values = registers.values
            base = values[register] if register < len(values) else None
            if base is None:
                followed = register in (self._abi.sp, self._abi.fp)
                return Stop.NO_RULE if followed else Stop.REGISTER
        elif rule & KIND != CFA:
            return Stop.NO_RULE
        address = (base or 0) + offset & _WORD
        if not rule & DEREF:
            return address
        word = self._memory(address)
        return Stop.NO_MEMORY if word is None else word

    def _frame_pointer(self, registers: Registers, exact: bool) -> tuple[Registers, int] | Stop:
        """Follow the frame record of the ABI, where it looks like one."""
        abi = self._abi
        fp, sp = registers.values[abi.fp], registers.values[abi.sp]
        if not abi.frame_record or fp is None:
            return Stop.NO_RULE
        if fp == 0 and not exact:  # psABI: the deepest frame is marked so
            return Stop.CHAIN_END
        if fp & 7 or (sp is not None and _below(fp, sp)):
            return Stop.NO_RULE
        next_fp, ra = self._memory(fp), self._memory(fp + 8 & _WORD)
        if next_fp is None or ra is None:
            return Stop.NO_MEMORY
        if ra == 0:
            return Stop.CHAIN_END
        if next_fp != 0 and not _below(fp, next_fp):
            next_fp = None  # not a chain of records: what it held was no frame pointer
        ra &= abi.address_mask
        if self._modules.find(ra - 1) is None:
            return Stop.NO_RULE
        caller_sp = fp + abi.record_cfa & _WORD if abi.record_cfa else None
        return self._caller(ra, caller_sp, next_fp), How.FRAME_POINTER

    def _caller(self, pc: int, sp: int | None, fp: int | None) -> Registers:
        """The registers that survive into a caller: SFrame follows no others."""
        values: list[int | None] = [None] * self._abi.count
        values[self._abi.sp] = sp
        values[self._abi.fp] = fp
        return Registers(pc, values)

    def _runs(self, pc: int, code: bytes) -> bool:
        """Whether the instructions at ``pc`` are ``code``."""
        inside = pc & 7
        held = b""
        for at in range(pc - inside, pc + len(code), 8):
            word = self._memory(at)
            if word is None:
                return False
            held += word.to_bytes(8, self._abi.endian)
        return held[inside:].startswith(code)

    def _interrupted(self, registers: Registers, kind: SignalFrame) -> Registers | None:
        """All registers of the frame that a signal interrupted, from where the kernel saved them."""
        sp = registers.values[self._abi.sp]
        if sp is None:
            return None
        pc = self._memory(sp + kind.pc & _WORD)
        if pc is None or self._modules.find(pc) is None:
            return None
        places = [sp + at & _WORD if at >= 0 else None for at in kind.registers]
        values = [None if place is None else self._memory(place) for place in places]
        return Registers(pc, values)


def _below(low: int, high: int) -> bool:
    """Whether one address lies below another; those of the upper half, which no stack has, below all."""
    return (low ^ 1 << 63) < (high ^ 1 << 63)
