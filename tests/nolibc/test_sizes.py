"""Sizes: every byte is accounted for, and the bars that hold for x86_64."""

from __future__ import annotations

import pytest

from ring3 import linux_source
from ring3.arch import ARCHS
from ring3.elf import Elf
from ring3.errors import BadInput, MissingPart
from ring3.nolibc import build, generate, sizes, toolchain


@pytest.mark.parametrize("program", ["true", "printf"])
def test_why_adds_up_to_the_file(program, tmp_path):
    arch = ARCHS["x86_64"]
    source = sizes.PROGRAMS[program]
    parts = sizes.why(source, arch)
    assert sum(part.size for part in parts) == build.build([source], arch, tmp_path / "p").size
    assert all(part.size > 0 for part in parts if part.kind != "padding")


def test_true_is_a_few_hundred_bytes(tmp_path):
    # Half of the 1096 bytes that upstream's nolibc takes with these flags.
    assert build.build([sizes.PROGRAMS["true"]], ARCHS["x86_64"], tmp_path / "p").size <= 548


def test_floats_are_paid_for_where_they_are_printed(tmp_path):
    arch = ARCHS["x86_64"]
    plain = build.build([sizes.PROGRAMS["printf"]], arch, tmp_path / "p").size
    with_floats = build.build([sizes.PROGRAMS["float"]], arch, tmp_path / "f").size
    assert plain + 2000 < with_floats


def test_puts_is_at_most_700_bytes(tmp_path):
    """With text that is not writable and with its section headers."""
    program = build.build([sizes.PROGRAMS["puts"]], ARCHS["x86_64"], tmp_path / "p")
    assert program.size <= 700
    with Elf(program.path) as elf:
        assert elf.section(".text") is not None
        loaded = [segment for segment in elf.segments if segment.type == 1]
        assert loaded
        assert not [segment for segment in loaded if segment.flags & 3 == 3]


#: Upstream's own: it has no alpha, and its jump is too far for sh4's assembler at -Os.
NOT_UPSTREAM = ("alpha", "sh4")


@pytest.mark.oracle
@pytest.mark.parametrize("variant", generate.SUPPORTED)
def test_never_larger_than_upstream(variant):
    """The same compiler, flags and programs with tools/include/nolibc of Linux 7.2."""
    try:
        tree = linux_source.kernel_source("7.2")
        toolchain.find(ARCHS[variant])
    except MissingPart as missing:
        pytest.skip(str(missing))
    programs = {name: path for name, path in sizes.PROGRAMS.items() if name != "float"}
    assert len(programs) == 6
    rows = sizes.measure(programs, [ARCHS[variant]], libcs=["nolibc"], upstream=tree)
    assert all("nolibc" in row.sizes for row in rows)
    assert [row.program for row in rows if row.ran is False] == []
    pairs, larger = sizes.against_upstream(rows)
    assert larger == []
    assert pairs == (0 if variant in NOT_UPSTREAM else 6)


def test_a_tree_without_nolibc_is_refused(tmp_path):
    with pytest.raises(BadInput, match="nolibc"):
        sizes.measure(sizes.PROGRAMS, [ARCHS["x86_64"]], libcs=["nolibc"], upstream=tmp_path)
