"""Sizes: every byte is accounted for, and the bars that hold for x86_64."""

from __future__ import annotations

import pytest

from ring3.arch import ARCHS
from ring3.nolibc import build, sizes


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
