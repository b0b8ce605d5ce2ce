"""The instruction set: published vectors, the description of every encoding, round trips."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from ring3.errors import BadInput
from ring3.mali.isa.asm import assemble, instruction
from ring3.mali.isa.declare import FLOWS
from ring3.mali.isa.disasm import disassemble
from ring3.mali.isa.model import decode, encodings


def vectors() -> list[tuple[int, str]]:
    found = []
    for line in shared("mali/valhall-disassembly-cases.txt").read_text().splitlines():
        match = re.match(r"((?:[0-9a-f]{2} ){8})\s*(.*)", line)
        if match:
            found.append((int.from_bytes(bytes.fromhex(match[1]), "little"), match[2].strip()))
    return found


def test_all_published_vectors():
    cases = vectors()
    assert len(cases) >= 240
    wrong = [
        f"{word:016x}: {disassemble(word)} != {text}"
        for word, text in cases
        if disassemble(word).strip() != text
    ]
    assert not wrong, "\n".join(wrong)


def test_every_encoding_of_the_description_is_declared():
    root = ET.fromstring(shared("mali/valhall-isa.xml").read_text())
    described = {}
    for parent in (root, *root.iter("group")):
        for item in parent.findall("ins"):
            opcode = item.get("opcode") or parent.get("opcode")
            op2 = item.get("opcode2") or parent.get("opcode2") or "0"
            described[item.get("name"), int(opcode, 0)] = int(op2, 0)
    assert len(described) == 248
    declared = {(e.name, e.opcode): e.code >> _shift(e.mask) for e in encodings()}
    assert set(described) <= set(declared)
    for key, op2 in described.items():
        assert declared[key] == op2, key
    assert len({name.partition(".")[0] for name, _ in described}) == 131


def _shift(mask: int) -> int:
    return (mask & -mask).bit_length() - 1 if mask else 0


@given(st.integers(0, (1 << 64) - 1))
def test_any_word_disassembles(word):
    assert disassemble(word)


def test_no_two_encodings_claim_one_word():
    for encoding in encodings():
        word = encoding.opcode << 48 | encoding.code
        assert decode(word).encoding is encoding, encoding.name


def test_vectors_assemble_to_themselves():
    # One vector is listed with bits that mean nothing there; its text stands for the plain word.
    wrong = []
    for word, text in vectors():
        again = instruction(text)
        if again != word and disassemble(again).strip() != text:
            wrong.append(f"{text}: {again:016x} != {word:016x}")
    assert not wrong, "\n".join(wrong)
    same = sum(instruction(text) == word for word, text in vectors())
    assert same >= len(vectors()) - 3


@given(st.integers(0, (1 << 64) - 1), st.sampled_from(encodings()))
def test_what_disassembles_assembles(word, encoding):
    word = word & ~(0x1FF << 48) & ~encoding.mask | encoding.opcode << 48 | encoding.code
    text = disassemble(word)
    if "-" in text.replace("offset:-", "") or "special_" in text or ".word" in text or "=" in text:
        return  # reserved values
    if FLOWS[word >> 59 & 15] == "-" or any(int(r) > 63 for r in re.findall(r"r(\d+)", text)):
        return
    assert disassemble(instruction(text)) == text


def test_labels():
    code = assemble(
        "top:\n NOP\n BRANCHZ r0, offset:top\n BRANCHZ r0, offset:end\n NOP\nend:\n NOP.end"
    )
    offsets = [
        decode(int.from_bytes(code[at : at + 8], "little")).immediate("offset") for at in (8, 16)
    ]
    assert offsets == [-2, 1]


@pytest.mark.parametrize(
    "text",
    ["FOO r0", "MOV.i32 r64, r0", "MOV.i32 r0", "MOV.i32 r0, r1, r2", "FADD.f32.bad r0, r1, r2",
     "MOV.i32 r0, 0x1234", "BRANCHZ r0, offset:nowhere", "STORE.i32.slot0 @r0:r2, r4, offset:0",
     "FADD.f32 r0, u1, u70"],
)  # fmt: skip
def test_bad_lines_are_named(text):
    with pytest.raises(BadInput, match="line 2"):
        assemble(f"NOP\n{text}")
