"""Vendoring: what is written compiles without ring3, survives updates, and edits are found."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.errors import BadInput
from ring3.nolibc import vendor

PROGRAM = '#include <stdio.h>\n#include <setjmp.h>\nint main(void) { printf("%.2f\\n", 1.5); return 3; }\n'


@pytest.mark.parametrize("amalgamate", [False, True])
def test_compiles_on_its_own(tmp_path, amalgamate):
    vendor.write(tmp_path, vendor.Choices(("x86_64", "i386"), amalgamate))
    source = tmp_path / "p.c"
    source.write_text(PROGRAM if not amalgamate else PROGRAM.split("\n", 2)[2])
    kernel = tmp_path / "kernel"
    flags = ["-nostdinc", "-isystem", tmp_path / "include", "-isystem", kernel / "x86"]
    flags += ["-isystem", kernel / "common", "-nostdlib", "-static", "-Os"]
    if amalgamate:
        flags += ["-include", tmp_path / "include/nolibc.h"]
    subprocess.run(["gcc", *flags, source, "-o", tmp_path / "p"], check=True)
    ran = subprocess.run([tmp_path / "p"], capture_output=True, check=False)
    assert (ran.returncode, ran.stdout) == (3, b"1.50\n")


def test_update_check_and_edits(tmp_path):
    choices = vendor.Choices(("x86_64",))
    assert vendor.write(tmp_path, choices)
    assert vendor.write(tmp_path) == []
    assert vendor.check(tmp_path).clean
    header = tmp_path / "include/stdio.h"
    header.write_text(header.read_text() + "/* mine */\n")
    (tmp_path / "include/extra.h").write_text("")
    state = vendor.check(tmp_path)
    assert state.edited == ("include/stdio.h",)
    assert state.unknown == ("include/extra.h",)
    with pytest.raises(BadInput, match=r"stdio\.h"):
        vendor.write(tmp_path)
    assert vendor.write(tmp_path, force=True) == ["include/stdio.h"]


def test_architectures_can_be_taken_away(tmp_path):
    vendor.write(tmp_path, vendor.Choices(("x86_64", "arm64")))
    vendor.write(tmp_path, vendor.Choices(("arm64",)))
    assert not (tmp_path / "include/nolibc/arch/x86_64.h").exists()


def test_nothing_there(tmp_path):
    with pytest.raises(BadInput, match="nothing was vendored"):
        vendor.check(tmp_path)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["choices", "files", "archs", "../x"]), inner)
    ),
)


@given(record=_json | st.text())
def test_damaged_records(record, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    (folder / vendor.RECORD).write_text(record if isinstance(record, str) else json.dumps(record))
    with pytest.raises(BadInput):
        vendor.check(folder)


def test_files_of_others_are_not_overwritten(tmp_path):
    own = tmp_path / "include/stdio.h"
    own.parent.mkdir()
    own.write_text("/* somebody's */\n")
    with pytest.raises(BadInput, match="in the way"):
        vendor.write(tmp_path, vendor.Choices(("x86_64",)))
    assert own.read_text() == "/* somebody's */\n" and not (tmp_path / vendor.RECORD).exists()
    vendor.write(tmp_path, vendor.Choices(("x86_64",)), force=True)
    assert vendor.check(tmp_path).clean
