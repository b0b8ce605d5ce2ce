"""GNU as and ld write SFrame; we print it as their objdump does, and check it against their .eh_frame."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sframe_peers import output, tool
from sframe_sources import ARCHS, FAR_RA, NESTED, C, assembly

from ring3.elf import Elf
from ring3.sframe import cfi, convert, dump, encode, load, section, sidecar, verify
from ring3.sframe.decode import decode

pytestmark = pytest.mark.oracle


def link(tree: str, source: str, arch: str, folder: Path) -> Path:
    """Assemble and link ``source`` into a shared library with .sframe."""
    (folder / "a.s").write_text(source)
    subprocess.run(
        [*tool(tree, "as", arch), "--gsframe", folder / "a.s", "-o", folder / "a.o"],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [*tool(tree, "ld", arch), "-shared", folder / "a.o", "-o", folder / "a.so"], check=True
    )
    return folder / "a.so"


def body(lines: list[str]) -> list[str]:
    """From the header on, without blanks at the ends of lines."""
    start = next(i for i, line in enumerate(lines) if line.startswith("  Header :"))
    return "\n".join(line.rstrip() for line in lines[start:]).rstrip().splitlines()


def assert_objdump_prints_the_same(tree: str, path: Path, arch: str) -> int:
    theirs = body(output([*tool(tree, "objdump", arch), "--sframe"], path).splitlines())
    ours = body("\n".join(dump.text(load.sframe(path))).splitlines())
    assert ours == theirs
    return len(ours)


@pytest.mark.parametrize("arch", ARCHS)
def test_reads_what_the_assembler_writes(arch, needs, tmp_path):
    tree = needs("oracle:binutils")
    made = link(tree, assembly(arch), arch, tmp_path)
    assert assert_objdump_prints_the_same(tree, made, arch) > 20
    # The object, with its relocations, says the same as the library.
    with Elf(tmp_path / "a.o") as obj:
        of_object = decode(load.own_section(obj))
        rows = of_object.rows
        assert set(map(bytes, rows)) <= set(map(bytes, decode(load.sframe(made)).rows))
        assert verify.compare(of_object, cfi.read(obj)).extra == 0


_COMPILERS = {"x86_64": "gcc", "arm64": "aarch64-linux-gnu-gcc", "s390x": "s390x-linux-gnu-gcc"}


@pytest.mark.parametrize(
    ("arch", "flags"),
    [
        *(
            (arch, flags)
            for arch in ARCHS
            for flags in ("-O2", "-O0", "-Os -fno-omit-frame-pointer")
        ),
        ("arm64", "-O2 -mbranch-protection=pac-ret+b-key"),
        ("s390x", "-O2 -mbackchain"),
    ],
)
def test_compiled_code(arch, flags, needs, tmp_path):
    tree = needs("oracle:binutils")
    (tmp_path / "a.c").write_text(C)
    done = subprocess.run(
        [needs(_COMPILERS[arch]), *flags.split(), "-fPIC", "-S", tmp_path / "a.c", "-o", "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    made = link(tree, done.stdout, arch, tmp_path)
    assert assert_objdump_prints_the_same(tree, made, arch) > 40
    verdict, _ = verify.check(made, load.sframe(made))
    # What the assembler left out it said; what it wrote must be right.
    assert {found.sframe for found in verdict.disagreements} <= {"no function"}
    ours = convert.convert(made, source="cfi")
    assert not ours.encoded.refused
    again = verify.compare(decode(section.parse(ours.encoded.data, ours.vaddr)), ours.table)
    assert again.differences == 0


@pytest.mark.parametrize("arch", ARCHS)
def test_objdump_reads_what_we_write_of_rare_rules(arch, needs, tmp_path):
    tree = needs("oracle:binutils")
    made = convert.convert(link(tree, assembly(arch), arch, tmp_path), share=arch != "s390x")
    assert not made.encoded.refused
    (tmp_path / "side").write_bytes(made.sidecar())
    assert assert_objdump_prints_the_same(tree, tmp_path / "side", arch) > 20
    parsed = section.parse(made.encoded.data, made.vaddr)
    assert verify.compare(decode(parsed), made.table).differences == 0


@pytest.mark.parametrize(
    ("source", "ours", "theirs"),
    [
        (NESTED, "CFA rsp+16", "CFA rsp+32"),
        (FAR_RA, "RA at CFA-200", "RA at CFA+56"),
    ],
)
def test_verify_finds_the_assemblers_faults(source, ours, theirs, needs, tmp_path):
    made = link(needs("oracle:binutils"), source, "x86_64", tmp_path)
    verdict, names = verify.check(made, load.sframe(made))
    found = [d for d in verdict.disagreements if ours in d.reference and ours not in d.sframe]
    assert found, verdict.disagreements
    assert names == [("far" if source is FAR_RA else "nested")] * len(names)
    assert theirs in found[0].sframe


@pytest.mark.parametrize(
    ("path", "share"),
    [
        ("/lib/x86_64-linux-gnu/libc.so.6", True),
        ("/lib/x86_64-linux-gnu/libc.so.6", False),
        ("/usr/lib/x86_64-linux-gnu/libstdc++.so.6", True),
        ("/usr/bin/gdb", True),
        ("/usr/aarch64-linux-gnu/lib/libc.so.6", True),
        ("/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1", True),  # an offset below zero
        # libsframe on a little-endian machine would flip a shared block twice.
        ("/usr/s390x-linux-gnu/lib/libc.so.6", False),
    ],
)
def test_objdump_reads_real_files(path, share, needs, tmp_path):
    if not Path(path).exists():
        pytest.skip(f"{path} is not here")
    tree = needs("oracle:binutils")
    with Elf(path) as elf:
        table = cfi.read(elf)
    vaddr = sidecar.address(table)
    made = encode.encode(table, vaddr, share=share)
    (tmp_path / "side").write_bytes(sidecar.wrap(made.data, vaddr, table.arch, None))
    assert assert_objdump_prints_the_same(tree, tmp_path / "side", table.arch.name) > 1000
