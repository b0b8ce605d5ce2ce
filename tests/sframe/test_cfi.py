"""The CFI interpreter against readelf, on real files of the three architectures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sframe_peers import Interpreted, interpreted, output, tool

from ring3.arch import Arch
from ring3.elf import Elf
from ring3.sframe import cfi, table

FILES = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/aarch64-linux-gnu/lib/libc.so.6",
    "/usr/aarch64-linux-gnu/lib/libstdc++.so.6",
    "/usr/s390x-linux-gnu/lib/libc.so.6",
    "/usr/s390x-linux-gnu/lib/libstdc++.so.6",
]
_NAMES = {"x86_64": ("rsp", "rbp"), "arm64": ("sp", "x29"), "s390x": ("r15", "r11")}


def said(row: np.void, arch: Arch) -> tuple[str, str, str]:
    """CFA, FP and RA of a row in readelf's words."""
    assert arch.dwarf
    if row["ra"] == table.UNDEFINED:
        return "", "", "u"
    rules = []
    for name in ("cfa", "fp", "ra"):
        kind, offset = row[name], row[f"{name}_offset"]
        register = arch.dwarf.registers[row[f"{name}_reg"]]
        if kind == table.SAME:
            rules.append("s")
        elif kind == table.CFA | table.DEREF:
            rules.append(f"c{offset:+d}")
        elif kind == table.CFA:
            rules.append(f"v{offset:+d}")
        elif kind == table.REGISTER and name == "cfa":
            rules.append(f"{register}{offset:+d}")
        else:
            rules.append("exp" if kind & table.DEREF else f"r{row[f'{name}_reg']}")
    return rules[0], rules[1], rules[2]


def agree(entry: Interpreted, made: table.Table, sp: str, fp: str) -> int:
    """Compare at every pc where either side has a row; the number of rows compared."""
    compared = 0
    starts = {pc for pc, _ in entry.rows}
    function, _ = made.find(entry.start)
    assert function >= 0, hex(entry.start)
    held = made.functions[function]
    first = held["first_row"]
    ours = made.rows[first : first + held["row_count"]]["start"]
    starts |= {entry.start + int(start) for start in ours if not held["flags"] & table.PCMASK}
    for pc in sorted(starts):
        rules = [rules for start, rules in entry.rows if start <= pc][-1]
        own_sp = rules.get(sp, "u") not in ("u", "s") and made.arch.family != "s390"
        if rules["CFA"] == "exp" or own_sp:
            continue
        _, index = made.find(pc)
        mine = said(made.rows[index], made.arch)
        ra = rules.get("ra", "u")
        where = f"{pc:#x}: {mine} but readelf {rules}"
        if mine[2] == "u":
            assert ra == "u", where
            continue
        # readelf's u is also a register that the CFI does not mention.
        own = "s" if entry.column == made.arch.dwarf.ra else f"r{entry.column}"
        assert mine[2] == (own if ra == "u" else ra), where
        assert mine[0] == rules["CFA"], where
        expected = rules.get(fp, "u")
        assert mine[1] == ("s" if expected == "u" else expected), where
        compared += 1
    return compared


@pytest.mark.oracle
@pytest.mark.parametrize("path", FILES)
def test_as_readelf_interprets(path, needs):
    if not Path(path).exists():
        pytest.skip(f"{path} is not here")
    tree = needs("oracle:binutils")
    with Elf(path) as elf:
        made = cfi.read(elf)
    entries = list(
        interpreted(output([*tool(tree, "readelf"), "--debug-dump=frames-interp"], path))
    )
    refused = {refusal.start for refusal in made.refused}
    sp, fp = _NAMES[made.arch.name]
    compared = 0
    for entry in entries:
        if entry.start not in refused and entry.end > entry.start:
            compared += agree(entry, made, sp, fp)
    assert len(entries) > 200
    assert compared > 2 * len(entries)
    # CFAs that OpenSSL's assembly loads from the stack and adds 8 to.
    assert {refusal.reason for refusal in made.refused} <= {table.Reason.CFA_EXPRESSION}
