"""The instruction set: published vectors, the description of every encoding, round trips."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.mali.isa.disasm import disassemble
from ring3.mali.isa.model import decode, encodings

DATA = Path(__file__).parents[2].parent / "shared/data/mali"


def shared(name: str) -> str:
    for top in (DATA, Path(__file__).parents[3].parent / "shared/data/mali"):
        if (top / name).is_file():
            return (top / name).read_text()
    pytest.skip(f"../shared/data/mali/{name} is not here")


def vectors() -> list[tuple[int, str]]:
    found = []
    for line in shared("valhall-disassembly-cases.txt").splitlines():
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
    root = ET.fromstring(shared("valhall-isa.xml"))
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
