"""LLVM's assembler writes V2: we read what its own reader reads, and verify what it wrote."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sframe_peers import output
from sframe_sources import C, assembly

from ring3.elf import Elf
from ring3.sframe import convert, load, table, verify
from ring3.sframe.decode import decode

pytestmark = pytest.mark.oracle


def llvm(tree: str, name: str) -> list[str]:
    libraries = f"{tree}/usr/lib/x86_64-linux-gnu:{tree}/usr/lib/llvm-23/lib"
    program = f"{tree}/usr/lib/llvm-23/bin/{name}"
    return [f"{tree}/usr/lib64/ld-linux-x86-64.so.2", "--library-path", libraries, program]


def assemble(tree: str, source: str, folder: Path) -> Path:
    (folder / "a.s").write_text(source)
    command = [*llvm(tree, "llvm-mc"), "--gsframe", "--filetype=obj", "--triple=x86_64-linux-gnu"]
    subprocess.run(
        [*command, folder / "a.s", "-o", folder / "a.o"], check=True, capture_output=True
    )
    return folder / "a.o"


def compiled(needs, folder: Path, *flags: str) -> str:
    (folder / "a.c").write_text(C)
    done = subprocess.run(
        [needs("gcc"), "-O2", *flags, "-S", folder / "a.c", "-o", "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def as_llvm_reads(tree: str, path: Path) -> list[tuple]:
    """(size, rows) of each function; a row is (start, base, CFA, RA, FP offsets)."""
    made: list[tuple] = []
    row: dict[str, str] = {}
    begin = 0  # rows are printed from the section's start on
    for line in output([*llvm(tree, "llvm-readobj"), "--sframe"], path).splitlines():
        name, _, value = line.strip().partition(": ")
        if name == "Size":
            begin = int(row["Start Address"], 16)
            made.append((int(value, 16), []))
        elif line.strip() == "Frame Row Entry {":
            row = {}
        elif value:
            row[name] = value
        elif name == "}" and "CFA Offset" in row:
            base = row["Base Register"].split()[0]
            fp = int(row["FP Offset"]) if "FP Offset" in row else None
            offsets = int(row["CFA Offset"]), int(row["RA Offset"])
            made[-1][1].append((int(row["Start Address"], 16) - begin, base, *offsets, fp))
            row = {}
    return made


def as_we_read(path: Path) -> list[tuple]:
    with Elf(path) as elf:
        made = decode(load.own_section(elf))
    functions = []
    for function in made.functions:
        first = int(function["first_row"])
        rows = []
        for row in made.rows[first : first + function["row_count"]]:
            saved = row["fp"] == table.CFA | table.DEREF
            base = "SP" if row["cfa_reg"] == 7 else "FP"
            offsets = int(row["cfa_offset"]), int(row["ra_offset"])
            rows.append(
                (int(row["start"]), base, *offsets, int(row["fp_offset"]) if saved else None)
            )
        functions.append((int(function["size"]), rows))
    return functions


@pytest.mark.parametrize("flags", [[], ["-fno-omit-frame-pointer"], ["-Os"]])
def test_reads_and_verifies_compiled_code(flags, needs, tmp_path):
    tree = needs("oracle:llvm-23")
    path = assemble(tree, compiled(needs, tmp_path, *flags), tmp_path)
    theirs = as_llvm_reads(tree, path)
    # By address with us, in the order of sections with them; cold code has a section of its own.
    assert sorted(as_we_read(path), key=repr) == sorted(theirs, key=repr)
    assert len(theirs) >= 3
    verdict, _ = verify.check(path, load.sframe(path))
    # V2 cannot say how `aligned` finds its frame; LLVM leaves it out, as we do.
    assert {found.sframe for found in verdict.disagreements} <= {"no function"}
    lost = {found.start for found in verdict.disagreements}
    ours = convert.convert(path, source="cfi", version=2)
    assert lost == {refusal.start for refusal in ours.encoded.refused}


def test_version_3_from_llvms_version_2(needs, tmp_path):
    tree = needs("oracle:llvm-23")
    path = assemble(tree, compiled(needs, tmp_path), tmp_path)
    made = convert.convert(path, source="sframe", version=3)
    assert not made.encoded.refused
    with Elf(path) as elf:
        original = decode(load.own_section(elf))
    assert verify.compare(made.table, original).differences == 0


def test_verify_finds_what_llvm_writes_of_other_return_addresses(needs, tmp_path):
    tree = needs("oracle:llvm-23")
    path = assemble(tree, assembly("x86_64"), tmp_path)
    assert as_we_read(path) == as_llvm_reads(tree, path)
    verdict, _ = verify.check(path, load.sframe(path))
    wrong = {found.reference for found in verdict.disagreements if found.sframe != "no function"}
    assert "outermost frame" in wrong
    assert "CFA rsp+8, FP unchanged, RA rdx+0" in wrong
