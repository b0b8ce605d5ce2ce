"""Words to text, in the syntax that Mesa's own Valhall disassembler prints."""

from __future__ import annotations

from ring3.errors import BadInput
from ring3.mali.isa.declare import IMMEDIATES, SPECIAL
from ring3.mali.isa.model import Choice, Instruction, Source, decode


def disassemble(word: int) -> str:
    """One line for one instruction; ``.word 0x...`` when it is none."""
    try:
        return text(decode(word))
    except BadInput:
        return f".word {word:#018x}"


def listing(code: bytes, base: int = 0) -> list[str]:
    """One line per instruction with its address."""
    words = (code[at : at + 8] for at in range(0, len(code) - 7, 8))
    return [
        f"{base + 8 * index:#x}: {disassemble(int.from_bytes(word, 'little'))}"
        for index, word in enumerate(words)
    ]


def text(instruction: Instruction) -> str:
    encoding, word = instruction.encoding, instruction.word
    head = [encoding.name]
    head += [_choice(choice, word) for choice in encoding.modifiers]
    head.append(instruction.flow if instruction.flow != "none" else "")
    if encoding.mnemonic == "NOP" and instruction.flow == "none":
        return "NOP "
    name = ".".join(part for part in head if part)
    operands = []
    if encoding.has_destination:
        register, mask = instruction.destination
        operands.append(f"r{register}" + ("", ".h0", ".h1", "")[mask])
    for staging in encoding.staging:
        first, count = instruction.staging(staging)
        operands.append("@" + ":".join(f"r{first + index}" for index in range(count)))
    operands += [_source(instruction, source) for source in encoding.sources]
    for item in encoding.immediates:
        value = item.get(word)
        if item.name == "constant":
            operands.append(f"#0x{value:X}")
        else:
            operands.append(f"{item.name}:{value}" if item.signed else f"{item.name}:0x{value:X}")
    return f"{name} {', '.join(operands)}"


def _choice(choice: Choice, word: int) -> str:
    value = choice.get(word)
    shown = choice.text(value)
    return f"{choice.name}={value}" if shown == "-" else shown


def _source(instruction: Instruction, source: Source) -> str:
    word = instruction.word
    shown = operand(instruction.source(source), instruction.page)
    if source.neg is not None and word >> source.neg & 1:
        shown += ".neg"
    if source.absolute is not None and word >> source.absolute & 1:
        shown += ".abs"
    if source.select is not None:
        lane = _choice(source.select, word)
        shown += f".{lane}" if lane else ""
    if source.invert is not None and word >> source.invert & 1:
        shown += ".not"
    return shown


def operand(value: int, page: int) -> str:
    """A source byte: register (``^``: read for the last time), uniform, immediate or special constant."""
    kind, index = value >> 6, value & 63
    if kind < 2:
        return f"{'^' if kind else ''}r{index}"
    if kind == 2:
        return f"u{index | page << 6}"
    if index < 32:
        return f"0x{IMMEDIATES[index]:X}"
    name = SPECIAL[page].get(index - 32 >> 1, f"special_{page}_{index - 32 >> 1}")
    return f"{name}.w{index & 1}"
