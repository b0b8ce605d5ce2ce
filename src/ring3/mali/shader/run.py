"""Programs and the scheduler of threads.

A program is decoded once into a list of functions, one per instruction, each of which executes its
instruction for all threads of a selection.  Threads that agree execute together; where they part at a
branch, the group that is furthest behind in the program goes first, and groups that meet again at one
address become one.  That reconverges loops and if-else as early as their code allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ring3.errors import BadInput, Unsupported
from ring3.mali.events import Access, ExceptionCode, GpuFault
from ring3.mali.isa.disasm import disassemble, text
from ring3.mali.isa.model import Instruction, decode
from ring3.mali.mmu import AddressSpace, TranslationFault
from ring3.mali.shader import floats, images, integers, memory, stages, textures  # noqa: F401 - they fill BUILD
from ring3.mali.shader.flow import (
    Condition,
    branch_condition,
    branch_target,
    discard_condition,
)
from ring3.mali.shader.integers import BUILD, Execute
from ring3.mali.shader.operands import Read, Selection, distinct
from ring3.mali.shader.threads import REGISTERS, Threads

#: Instructions a thread may execute between two slices of its job.
SLICE = 512
#: Instructions of a shader that are looked at for what it uses.
LONGEST = 1 << 16


@dataclass
class Op:
    """One decoded instruction, ready to execute."""

    instruction: Instruction
    execute: Execute | None
    condition: Condition | None = None
    offset: int = 0
    target: Read | None = None
    ends: bool = False
    kind: str = ""  # "branch", "discard", "barrier", "blend" or ""


@dataclass
class Program:
    """Code at ``start`` of an address space.  Valid as long as memory holds the same bytes."""

    space: AddressSpace
    start: int
    ops: dict[int, Op] = field(default_factory=dict)
    words: dict[int, int] = field(default_factory=dict)
    _runs: list[tuple[int, bytes]] | None = None
    _reads_tile: bool | None = None

    def op(self, pc: int) -> Op:
        found = self.ops.get(pc)
        return found if found is not None else self._fetch(pc)

    def show(self, pc: int) -> str:
        """The instruction at ``pc`` as text, whether or not it can execute."""
        try:
            return disassemble(int.from_bytes(self.space.read(pc, 8), "little"))
        except TranslationFault:
            return "not mapped"

    def unchanged(self) -> bool:
        """Whether memory still holds what was decoded."""
        if not self.words:
            return True
        if self._runs is None:
            self._runs = self._code()
        try:
            return all(
                self.space.read(start, len(code), Access.EXECUTE) == code
                for start, code in self._runs
            )
        except TranslationFault:
            return False

    def _code(self) -> list[tuple[int, bytes]]:
        """What was decoded, as runs of consecutive words: a shader may call code that lies elsewhere."""
        runs: list[tuple[int, bytearray]] = []
        for pc in sorted(self.words):
            if not runs or runs[-1][0] + len(runs[-1][1]) != pc:
                runs.append((pc, bytearray()))
            runs[-1][1].extend(self.words[pc].to_bytes(8, "little"))
        return [(start, bytes(code)) for start, code in runs]

    def reads_tile(self) -> bool:
        """Whether the code reads the tile buffer: looked for once, from the start to the last end."""
        if self._reads_tile is None:
            self._reads_tile = False
            furthest = pc = self.start
            while pc <= furthest + 8 * LONGEST:
                try:
                    word = int.from_bytes(self.space.read(pc, 8, Access.EXECUTE), "little")
                    instruction = decode(word)
                except (TranslationFault, BadInput):
                    break
                if instruction.encoding.mnemonic == "LD_TILE":
                    self._reads_tile = True
                    break
                if instruction.encoding.mnemonic == "BRANCHZ":
                    furthest = max(furthest, pc + 8 + 8 * instruction.immediate("offset"))
                if instruction.flow == "end" and pc >= furthest:
                    break
                pc += 8
        return self._reads_tile

    def _fetch(self, pc: int) -> Op:
        if pc % 8:
            raise GpuFault(ExceptionCode.INSTR_INVALID_PC, pc, f"shader at {pc:#x}: unaligned")
        word = int.from_bytes(self.space.read(pc, 8, Access.EXECUTE), "little")
        try:
            op = _build(decode(word))
        except BadInput as error:
            raise GpuFault(
                ExceptionCode.INSTR_INVALID_ENC, pc, f"shader at {pc:#x}: {error}"
            ) from error
        except Unsupported as error:
            raise GpuFault(
                ExceptionCode.INSTR_INVALID_ENC,
                pc,
                f"shader at {pc:#x}: {text(decode(word))}: {error}",
            ) from error
        self.ops[pc], self.words[pc] = op, word
        self._runs = None
        return op


def _build(instruction: Instruction) -> Op:
    name = instruction.encoding.mnemonic
    ends = instruction.flow == "end"
    if name == "NOP":
        return Op(instruction, None, ends=ends)
    if name == "BRANCHZ":
        offset = 8 * instruction.immediate("offset")
        return Op(
            instruction, None, branch_condition(instruction), offset, kind="branch", ends=ends
        )
    if name == "BRANCHZI":
        return Op(
            instruction,
            None,
            branch_condition(instruction),
            target=branch_target(instruction),
            kind="branch",
            ends=ends,
        )
    if name == "DISCARD":
        return Op(instruction, None, discard_condition(instruction), kind="discard", ends=ends)
    if name == "BARRIER":
        return Op(instruction, None, kind="barrier", ends=ends)
    build = BUILD.get(name)
    if build is None:
        raise Unsupported(f"{instruction.encoding.name} is not there yet")
    try:
        execute = build(instruction)
    except LookupError as error:
        # Tables of operations and modes hold no reserved values.
        raise Unsupported(f"a reserved value of {instruction.encoding.name}") from error
    if name == "BLEND":
        offset = 8 * instruction.immediate("target")
        return Op(instruction, execute, offset=offset, kind="blend", ends=ends)
    return Op(instruction, execute, ends=ends)


@dataclass(eq=False)
class Group:
    """Threads at one address.  ``sel`` None: all of them."""

    pc: int
    sel: Selection


class Execution:
    """Threads executing a program.  ``run`` goes to the end in slices; ``step`` does one instruction."""

    def __init__(self, program: Program, threads: Threads) -> None:
        self.program = program
        self.threads = threads
        self.groups = [Group(program.start, None)]
        self.waiting: list[Group] = []  # at a barrier
        self.steps = 0

    @property
    def done(self) -> bool:
        return not self.groups and not self.waiting

    def run(self, every: int = SLICE) -> Iterator[None]:
        """Execute to the end, yielding after ``every`` so many instructions."""
        # What NumPy says of NaN and infinity is silenced slice by slice: between two, others execute.
        while not self.done:
            self.steps_until(every)
            yield

    def finish(self) -> None:
        """Execute to the end at once."""
        for _ in self.run():
            pass

    def steps_until(self, count: int) -> None:
        with np.errstate(all="ignore"):
            for _ in range(count):
                if self.done:
                    return
                self.step()

    def step(self) -> None:
        """One instruction of the group that is furthest behind."""
        if not self.groups:
            self._release()
        group = self.groups[0]
        if len(self.groups) > 1:
            group = self._behind()
        op = self.program.op(group.pc)
        self.steps += 1
        if op.kind == "branch":
            self._branch(group, op)
            return
        if op.execute is not None:
            self.threads.pc = group.pc
            try:
                op.execute(self.threads, group.sel)
            except Unsupported as error:
                raise GpuFault(
                    ExceptionCode.INSTR_INVALID_ENC,
                    group.pc,
                    f"shader at {group.pc:#x}: {text(op.instruction)}: {error}",
                ) from error
            except GpuFault as fault:
                fault.what += f"\nshader at {group.pc:#x}: {text(op.instruction)}"
                raise
        if op.kind == "blend":
            if self.threads.stages.pop(stages.CALLS, False):
                group.pc += 8
                return
            if not op.ends:
                group.pc += op.offset
        if op.kind == "discard":
            self._discard(group, op)
        group.pc += 8
        if op.kind == "barrier":
            self.groups.remove(group)
            self.waiting.append(group)
        elif op.ends and group in self.groups:
            self.groups.remove(group)

    def next(self) -> tuple[int, NDArray[np.intp]]:
        """The address of the next instruction, and the numbers of the threads that execute it."""
        if not self.groups:
            self._release()
        group = self._behind() if len(self.groups) > 1 else self.groups[0]
        return group.pc, self._indices(group)

    def show(self) -> str:
        """Where the threads are, and the registers of the first one that executes."""
        if self.done:
            return "shader: ended"
        group = min(self.groups or self.waiting, key=lambda each: each.pc)
        first = 0 if group.sel is None else int(group.sel[0])
        size = self.threads.count if group.sel is None else len(group.sel)
        lines = [
            f"shader pc {group.pc:#x}, {size} of {self.threads.count} threads: "
            f"{self.program.show(group.pc)}"
        ]
        column = self.threads.registers[:REGISTERS, first]
        held = [f"r{index:<2} {value:08x}" for index, value in enumerate(column.tolist()) if value]
        lines += ["  " + "  ".join(held[at : at + 6]) for at in range(0, len(held), 6)]
        return "\n".join(lines)

    def _behind(self) -> Group:
        """The group with the lowest address, with all others that are there merged into it."""
        pc = min(group.pc for group in self.groups)
        here = [group for group in self.groups if group.pc == pc]
        if len(here) == 1:
            return here[0]
        sel: NDArray[np.intp] = np.sort(np.concatenate([self._indices(group) for group in here]))
        merged = Group(pc, None if len(sel) == self.threads.count else sel)
        self.groups = [group for group in self.groups if group.pc != pc]
        self.groups.append(merged)
        return merged

    def _indices(self, group: Group) -> NDArray[np.intp]:
        return np.arange(self.threads.count) if group.sel is None else group.sel

    def _branch(self, group: Group, op: Op) -> None:
        if op.condition is None:
            raise AssertionError("a branch has a condition")
        taken = op.condition(self.threads, group.sel)
        after = group.pc + 8
        if taken.all():
            self._go(group, op, after)
        elif not taken.any():
            group.pc = after
            if op.ends:
                self.groups.remove(group)
        else:
            indices = self._indices(group)
            jumping = Group(group.pc, indices[taken])
            group.sel, group.pc = indices[~taken], after
            self.groups.append(jumping)
            self._go(jumping, op, after)

    def _go(self, group: Group, op: Op, after: int) -> None:
        if op.target is None:
            group.pc = after + op.offset
            return
        target = np.broadcast_to(op.target(self.threads, group.sel), (len(self._indices(group)),))
        every, places = self._indices(group), distinct(target)
        for place in places[1:]:
            self.groups.append(Group(self._absolute(op, after, place), every[target == place]))
        if len(places) > 1:
            group.sel = every[target == places[0]]
        group.pc = self._absolute(op, after, places[0])

    def _absolute(self, op: Op, after: int, place: int) -> int:
        """Where a BRANCHZI to ``place`` goes: in the 4 GiB of the code, or from the next instruction on."""
        if op.instruction.flag("absolute"):
            return after & ~0xFFFFFFFF | place
        return after + place - (place >> 31 << 32)

    def _discard(self, group: Group, op: Op) -> None:
        if op.condition is None:
            raise AssertionError("DISCARD has a condition")
        indices = self._indices(group)
        gone = np.broadcast_to(op.condition(self.threads, group.sel), (len(indices),))
        killed = self.threads.stages.get("killed")
        if killed is not None:
            killed[indices[gone]] = True
        helpers = self.threads.helpers
        if helpers is not None:
            # Others of the quad may need the difference to them: a quad ends as a whole.
            helpers[indices[gone]] = True
            ended = np.asarray(helpers.reshape(-1, 4).all(axis=1))
            gone = ended[indices // 4]
        group.sel = indices[~gone]
        if not len(group.sel):
            self.groups.remove(group)

    def _release(self) -> None:
        """Everybody who is left waits at a barrier: they go on."""
        self.groups, self.waiting = self.waiting, []
