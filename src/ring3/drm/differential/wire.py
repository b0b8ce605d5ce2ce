"""Programs compiled to numbers: what the executors, here and in C, really run.

A call is a code, four values, blocks of memory with values patched in, and outputs: places in the blocks
whose content is told afterwards.  :func:`text` is the form that ``executor.c`` reads: numbers and one-letter
tags separated by spaces, in the order of the fields below, each list after its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from ring3.dma_buf.cstruct import Field
from ring3.drm.differential.operations import OPERATIONS, Operation
from ring3.drm.differential.program import Block, Now, Program, Slot, Step, Value
from ring3.errors import BadInput


class Code(IntEnum):
    """The calls."""

    IOCTL = 0
    OPEN = 1
    CLOSE = 2
    DUP = 3
    POLL = 4
    READ = 5
    LSEEK = 6
    MMAP = 7
    EVENTFD = 8
    FORK = 9
    GETFD = 10
    JOIN = 11


@dataclass(frozen=True)
class Word:
    """A value: tag i (number), s (slot), n (now + number) or b (address of a block)."""

    tag: str
    number: int

    def __str__(self) -> str:
        return f"{self.tag}{self.number}"


@dataclass(frozen=True)
class Patch:
    """Put ``word`` at byte ``offset``, ``width`` bytes of it."""

    offset: int
    width: int
    word: Word


@dataclass(frozen=True)
class Memory:
    """A block: its size in bytes and what is in it."""

    size: int
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True)
class Output:
    """Tell ``width`` bytes of ``block`` at ``offset``: as u(nsigned), i (signed), s(tring), # (a string whose
    numbers are nobody's business) or t (whether it is zero)."""

    block: int
    offset: int
    width: int
    kind: str


@dataclass(frozen=True)
class Call:
    """One step.  ``store`` is the slot for the result or -1; ``source`` the output that is the result, or -1
    for what the call returns."""

    process: int
    thread: int
    code: Code
    args: tuple[Word, Word, Word, Word]
    blocks: tuple[Memory, ...] = ()
    outputs: tuple[Output, ...] = ()
    store: int = -1
    source: int = -1


@dataclass
class _Builder:
    blocks: list[Memory] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)

    def word(self, value: Value) -> Word:
        if isinstance(value, Slot):
            return Word("s", value.number)
        if isinstance(value, Now):
            return Word("n", value.offset)
        if isinstance(value, Block):
            return Word("b", self.memory(value))
        return Word("i", value - (1 << 64) if value >= 1 << 63 else value)

    def memory(self, block: Block) -> int:
        """The number of a new block."""
        patches = []
        if block.code != "Z":
            for index, value in enumerate(block.values):
                patches.append(Patch(index * block.width, block.width, self.word(value)))
        self.blocks.append(Memory(block.size, tuple(patches)))
        return len(self.blocks) - 1

    def show(self, block: int, base: int, each: Field) -> None:
        kind = "t" if each.name == "timestamp_ns" else "i" if each.code in "iq" else "u"
        if each.code == "s":
            kind = "#"
        self.outputs.append(Output(block, base + each.offset, each.size, kind))


def compile_step(step: Step) -> Call:
    """The call of one step; BadInput for an operation or an argument that there is not."""
    operation = OPERATIONS.get(step.name)
    if operation is None:
        raise BadInput(f"no operation {step.name}", where=str(step))
    unknown = set(step.args) - set(operation.arguments)
    if unknown or (step.on is None) == operation.has_target:
        what = (
            f"no argument {', '.join(sorted(unknown))}" if unknown else "a file too many or too few"
        )
        raise BadInput(what, where=str(step))
    if operation.ioctl is None:
        return _plain(step, operation)
    return _ioctl(step, operation)


def _plain(step: Step, operation: Operation) -> Call:
    build = _Builder()
    values = [step.on] if step.on is not None else []
    values += [step.args.get(name, 0) for name in operation.fields]
    words = [build.word(value) for value in values]
    words += [Word("i", 0)] * (4 - len(words))
    code = Code[operation.name.removesuffix("_WAIT")]
    store = -1 if step.to is None else step.to
    return Call(
        step.process, step.thread, code, (words[0], words[1], words[2], words[3]), store=store
    )


def _ioctl(step: Step, operation: Operation) -> Call:
    ioctl = operation.ioctl
    assert ioctl is not None and step.on is not None
    kind = operation.struct
    build = _Builder([Memory(0)])
    size = step.args.get("_size", ioctl.size)
    assert isinstance(size, int)
    patches = []
    source = -1
    for each in kind.FIELDS:
        value = step.args.get(each.name, 0)
        word = build.word(value)
        hidden = isinstance(value, Now) or each.name in operation.pointers
        if each.code == "s":
            patches += _characters(each, word, build)
        elif word != Word("i", 0):
            patches.append(Patch(each.offset, each.size, word))
        if hidden:
            _show_block(build, operation, each.name, word)
        else:
            if each.name == operation.made:
                source = len(build.outputs)
            build.show(0, 0, each)
    build.blocks[0] = Memory(size, tuple(patches))
    number = ioctl.number & ~(0x3FFF << 16) | size << 16 if "_size" in step.args else ioctl.number
    argument = build.word(step.args["_arg"]) if "_arg" in step.args else Word("b", 0)
    if operation.by_value:
        argument = build.word(step.args.get("value", 0))
    words = (build.word(step.on), Word("i", number), argument, Word("i", 0))
    store = -1 if step.to is None else step.to
    blocks, outputs = tuple(build.blocks), tuple(build.outputs)
    return Call(step.process, step.thread, Code.IOCTL, words, blocks, outputs, store, source)


def _characters(each: Field, word: Word, build: _Builder) -> list[Patch]:
    """A string inside of the structure: the bytes of the block that was given for it."""
    if word.tag != "b":
        return []
    given = build.blocks.pop()
    return [Patch(each.offset + p.offset, 1, p.word) for p in given.patches[: each.size]]


def _show_block(build: _Builder, operation: Operation, name: str, word: Word) -> None:
    """Tell what came back in the block that argument ``name`` points to."""
    shape = operation.pointers.get(name)
    if shape is None or word.tag != "b":
        return
    size = build.blocks[word.number].size
    step = shape if isinstance(shape, int) else shape.SIZE
    for at in range(0, size - step + 1, step):
        if isinstance(shape, int):
            build.outputs.append(Output(word.number, at, step, "u"))
        else:
            for each in shape.FIELDS:
                build.show(word.number, at, each)


def compile_program(program: Program) -> list[Call]:
    """The calls of a program, and of the look at its final state."""
    return [compile_step(step) for step in program.steps]


def text(programs: Iterable[list[Call]]) -> str:
    """What ``executor.c`` reads."""
    listed = list(programs)
    return "\n".join([str(len(listed)), *(_program_text(calls) for calls in listed)]) + "\n"


def _program_text(calls: list[Call]) -> str:
    return "\n".join([str(len(calls)), *(" ".join(map(str, _tokens(call))) for call in calls)])


def _tokens(call: Call) -> Iterator[int | str | Word]:
    yield from (call.process, call.thread, int(call.code), *call.args, len(call.blocks))
    for block in call.blocks:
        yield from (block.size, len(block.patches))
        for patch in block.patches:
            yield from (patch.offset, patch.width, patch.word)
    yield len(call.outputs)
    for output in call.outputs:
        yield from (output.block, output.offset, output.width, output.kind)
    yield from (call.store, call.source)


def answers(told: str) -> list[list[str]]:
    """The executor's answers: for each program its lines.  BadInput when the last one is cut off."""
    programs: list[list[str]] = []
    lines: list[str] = []
    for line in told.splitlines():
        if line == "end":
            programs.append(lines)
            lines = []
        else:
            lines.append(line)
    if lines:
        raise BadInput(f"the answers of program {len(programs)} are cut off: {lines[-1]!r}")
    return programs
