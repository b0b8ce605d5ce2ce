"""ELF reading, beside readelf, and with files that lie."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring3.elf import STT_FUNC, Elf
from ring3.errors import BadInput

FILES = [sys.executable, "/bin/ls", "/usr/bin/gdb", "/usr/bin/node"]


@pytest.mark.parametrize("path", FILES)
def test_sections_segments_and_symbols_are_readelfs(path: str, needs: Callable[[str], str]) -> None:
    readelf = needs("readelf")
    if not shutil.which(path):
        pytest.skip(f"{path} is not here")
    with Elf(path) as elf:
        text = subprocess.run(
            [readelf, "-SW", path], capture_output=True, text=True, check=True
        ).stdout
        rows = re.findall(
            r"^ +\[ *(\d+)\] (\S*) +\S+ +([0-9a-f]{16}) ([0-9a-f]{6,}) ([0-9a-f]{6,})", text, re.M
        )
        theirs = [(int(n), name, *(int(x, 16) for x in rest)) for n, name, *rest in rows if name]
        ours = [(s.index, s.name, s.addr, s.offset, s.size) for s in elf.sections if s.name]
        assert ours == theirs
        notes = subprocess.run([readelf, "-n", path], capture_output=True, text=True, check=False)
        match = re.search(r"Build ID: ([0-9a-f]+)", notes.stdout)
        assert elf.build_id == (match[1] if match else None)
        kind = "--syms" if elf.section(".symtab") else "--dyn-syms"
        text = subprocess.run(
            [readelf, kind, "-W", path], capture_output=True, text=True, check=True
        ).stdout
        table = text.split("Symbol table '.symtab'")[-1]
        funcs = re.findall(r"^ *\d+: ([0-9a-f]{16}) +\S+ FUNC +\S+ +\S+ +(?!UND)\S+", table, re.M)
        found = elf.symbols.addr[elf.symbols.type == STT_FUNC]
        assert sorted(int(x, 16) for x in funcs) == found.tolist()
        assert np.all(np.diff(elf.symbols.addr.astype(object)) >= 0)


def test_the_architecture_is_found() -> None:
    with Elf(sys.executable) as elf:
        assert elf.arch is not None
        assert elf.arch.elf.machine == elf.machine


def test_what_a_segment_loads_can_be_read_by_address() -> None:
    with Elf("/bin/ls") as elf:
        text = elf.section(".text")
        assert text is not None
        assert elf.at(text.addr, text.size) == elf.contents(text)
        assert elf.at(2**63, 1) is None


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01\x01" + bytes(40)]
)
def test_what_is_no_elf_is_one_clear_error(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=str(path)):
        Elf(path)


_LS = Path("/bin/ls").read_bytes()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_gives_an_answer_or_the_documented_error(data: st.DataObject) -> None:
    body = bytearray(_LS[: data.draw(st.sampled_from([len(_LS), 64, 500, 5000, len(_LS) - 700]))])
    headers = [
        *range(16, min(len(body), 64 + 13 * 56)),
        *range(max(64, len(body) - 31 * 64), len(body)),
    ]
    for _ in range(data.draw(st.integers(0, 12))):
        body[data.draw(st.sampled_from(headers))] = data.draw(st.integers(0, 255))
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        try:
            with Elf(file.name) as elf:
                for section in elf.sections:
                    with suppress(BadInput):
                        elf.contents(section)
                len(elf.symbols)
                _ = elf.build_id
        except BadInput as error:
            assert file.name in str(error)
