"""ORC against the kernel's own objtool, and against what a function's first instruction must find."""

from __future__ import annotations

import lzma
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from sframe_peers import output, tool

from ring3.elf import STT_FUNC, Elf
from ring3.errors import Ring3Error
from ring3.sframe import convert, load, orc, section, sidecar, table, verify
from ring3.sframe.decode import decode
from ring3.sframe.image import Image

pytestmark = pytest.mark.oracle
_LINE = re.compile(r"^(\S+?)\+([0-9a-f]+): sp:(\S+) bp:(\S+) type:(\w+) end:(\d)$")


def module(tree: str, name: str, folder: Path) -> Path:
    """A module of the unpacked kernel package, decompressed."""
    found = next(Path(tree).rglob(f"{name}.ko*"))
    if found.suffix == ".xz":
        (folder / f"{name}.ko").write_bytes(lzma.decompress(found.read_bytes()))
        return folder / f"{name}.ko"
    return found


def words(made: table.Table, pc: int) -> tuple[str, str]:
    """SP and BP at ``pc`` as objtool writes them."""
    _, index = made.find(pc)
    if index < 0:
        return "(und)", "(und)"
    row = made.rows[index]
    if row["ra"] == table.UNDEFINED:
        return "(und)", "(und)"
    names = {7: "sp", 6: "bp", 10: "r10", 13: "r13", 1: "dx", 5: "di"}
    base = f"{names[int(row['cfa_reg'])]}{row['cfa_offset']:+d}"
    if row["cfa"] & table.DEREF:
        base = f"({base})"
    frame = "(und)"
    if row["fp"] == table.CFA | table.DEREF:
        frame = f"prevsp{row['fp_offset']:+d}"
    elif row["fp"] == table.REGISTER | table.DEREF:
        frame = f"bp{row['fp_offset']:+d}"
    return base, frame


def test_as_objtool_dumps(needs, tmp_path):
    tree = needs("oracle:kernel-6.1")
    path = module(tree, "xfs", tmp_path)
    tools = next(Path(tree).rglob("objtool/objtool"))
    listing = subprocess.run(
        [tools, "--dump=orc", path], capture_output=True, text=True, check=True
    )
    said: dict[tuple[str, int], tuple[str, str]] = {}
    for line in listing.stdout.splitlines():
        match = _LINE.match(line)
        assert match, line
        place, offset, sp, bp, kind, _ = match.groups()
        at = place, int(offset, 16)
        # One object's closing entry may have the address of the next one's first.
        if kind == "call" and (sp != "(und)" or at not in said):
            said[at] = sp, bp
    with Elf(path) as elf:
        image = Image(elf)
        made = orc.read(elf)
        for (place, offset), (sp, bp) in said.items():
            mine_sp, mine_bp = words(made, image.address(place) + offset)
            assert mine_sp == sp, (place, offset)
            assert mine_bp == bp, (place, offset)
    compared = len(said)
    assert compared > 20000


@pytest.mark.parametrize("tree", ["kernel", "kernel-6.1"])
def test_functions_begin_with_only_the_return_address_on_the_stack(tree, needs, tmp_path):
    path = module(needs(f"oracle:{tree}"), "xfs", tmp_path)
    with Elf(path) as elf:
        made = orc.read(elf)
        image = Image(elf)
        symbols = elf.symbols
        text = elf.section(".text")
        chosen = (symbols.type == STT_FUNC) & (symbols.section == text.index)
        # Padding before a function and the cold part of one are symbols, too.
        starts = {
            int(symbols.addr[i]) + image.address(".text")
            for i in np.flatnonzero(chosen)
            if not re.search("^__pfx_|[.]cold", symbols.name(int(i)))
        }
    found = [words(made, start) for start in starts]
    assert len(found) > 2000
    assert found.count(("sp+8", "(und)")) > 0.99 * len(found)


def test_the_section_made_of_it_says_the_same_and_objdump_reads_it(needs, tmp_path):
    tree = needs("oracle:binutils")
    path = module(needs("oracle:kernel"), "xfs", tmp_path)
    made = convert.convert(path, source="orc")
    again = decode(section.parse(made.encoded.data, made.vaddr))
    verdict = verify.compare(again, made.table)
    assert (verdict.differences, verdict.extra) == (0, 0)
    (tmp_path / "side").write_bytes(sidecar.wrap(made.encoded.data, made.vaddr, again.arch, None))
    listing = output([*tool(tree, "objdump"), "--sframe"], tmp_path / "side")
    assert listing.count("func idx") == made.encoded.functions > 10000


def test_an_unknown_layout_is_named(needs, tmp_path):
    path = module(needs("oracle:kernel"), "xfs", tmp_path)
    with Elf(path) as elf:
        held = elf.section(".orc_header")
    damaged = bytearray(path.read_bytes())
    damaged[held.offset] ^= 1
    (tmp_path / "bad.ko").write_bytes(damaged)
    with Elf(tmp_path / "bad.ko") as elf, pytest.raises(Ring3Error, match="127c36ad"):
        load.table(elf, "orc")
