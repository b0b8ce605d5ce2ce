"""Notes: owners, order of bytes, padding, and what a cut leaves."""

from __future__ import annotations

import struct

import pytest

from ring3.elf_notes import build_id, notes


def note(order: str, owner: bytes, kind: int, data: bytes) -> bytes:
    pad = {n: bytes(-n % 4) for n in (len(owner), len(data))}
    head = struct.pack(order + "III", len(owner), len(data), kind)
    return head + owner + pad[len(owner)] + data + pad[len(data)]


@pytest.mark.parametrize("order", "<>")
def test_the_build_id_among_other_notes(order: str) -> None:
    raw = (
        note(order, b"CORE\0", 3, b"seven..")
        + note(order, b"GNU\0", 1, b"abi!")
        + note(order, b"GNU\0", 3, b"\xab\xcd\xef")
        + note(order, b"", 9, b"")
    )
    owners = [(owner, kind) for owner, kind, _, _ in notes(raw, order)]
    assert owners == [(b"CORE", 3), (b"GNU", 1), (b"GNU", 3), (b"", 9)]
    assert build_id(raw, order) == "abcdef"


def test_a_cut_build_id_is_none() -> None:
    raw = note("<", b"GNU\0", 3, bytes(20))
    assert build_id(raw, "<") == "00" * 20
    assert build_id(raw[:-1], "<") is None
    assert [len(data) for _, _, data, _ in notes(raw[:-1], "<")] == [19]
