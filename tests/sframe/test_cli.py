"""The commands: what they write, print and return."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ring3.cli.sframe import sframe
from ring3.sframe import convert, load
from ring3.sframe.decode import decode
from ring3.sframe.encode import encode

LIBRARY = Path("/lib/x86_64-linux-gnu/libm.so.6")
LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command with a cache of its own."""
    for path in (LIBRARY, LIBC):
        if not path.exists():
            pytest.skip(f"{path} is not here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def invoke(*words):
        return CliRunner().invoke(sframe, [str(word) for word in words])

    return invoke


def test_a_sidecar_is_found_again_by_build_id(run, tmp_path):
    done = run("convert", LIBRARY, "--json")
    (answer,) = json.loads(done.stdout)
    assert Path(answer["output"]).is_relative_to(tmp_path / "cache")
    assert run("verify", LIBRARY).exit_code == 0
    dumped = json.loads(run("dump", "--json", LIBRARY).stdout)
    assert len(dumped["functions"]) == answer["functions"]
    assert dumped["version"] == 3


@pytest.mark.parametrize(
    "words",
    [
        ("convert", LIBRARY, "-o", "x", "--address", "here"),
        ("convert", LIBRARY, "-o", "x", "--address", "-8"),
        ("convert", LIBRARY, "-o", "x", "--address", 1 << 64),
        ("stat", "/usr/bin", "--jobs", 0),
    ],
)
def test_numbers_that_make_no_sense_are_refused(run, words):
    assert run(*words).exit_code == 2


def test_what_version_2_cannot_say_is_listed_and_strict_exits_1(run, tmp_path):
    done = run("convert", "--version", 2, LIBC, "-o", tmp_path / "two", "--json")
    assert done.exit_code == 0
    (answer,) = json.loads(done.stdout)
    codes = {refusal["code"] for refusal in answer["refused"]}
    assert codes <= {"V2_RULE", "V2_SIGNAL"}
    assert codes
    strict = run("convert", "--version", 2, "--strict", LIBC, "-o", tmp_path / "two")
    assert strict.exit_code == 1
    # Verification finds exactly the functions that were listed.
    verdict = run("verify", "--sframe", tmp_path / "two", "--json", LIBC)
    assert verdict.exit_code == 1
    lost = {found["start"] for found in json.loads(verdict.stdout)["disagreements"]}
    assert lost == {refusal["start"] for refusal in answer["refused"]}


def test_a_bare_section_is_read_converted_and_keeps_its_auxiliary_header(run, tmp_path):
    run("convert", LIBRARY, "--raw", "--address", "0", "--version", 2, "-o", tmp_path / "two")
    section = load.sframe(tmp_path / "two")
    assert section.version == 2
    (tmp_path / "aux").write_bytes(encode(decode(section), version=2, auxiliary=b"xyz").data)
    done = run("convert", "--raw", tmp_path / "aux", "-o", tmp_path / "three")
    assert done.exit_code == 0, done.output
    three = load.sframe(tmp_path / "three")
    assert (three.version, three.auxiliary) == (3, b"xyz")
    assert (decode(three).functions["start"] == decode(section).functions["start"]).all()


def test_layout_prints_three_lines_a_file(run):
    lines = run("layout", LIBRARY).stdout.splitlines()
    assert [line.split()[0] for line in lines] == [str(LIBRARY), "packed", "aligned", "columns"]


@pytest.mark.parametrize(
    "words", [["dump", "/etc/passwd"], ["convert", "/etc/passwd"], ["verify", "/etc/passwd"]]
)
def test_no_elf_is_one_error(run, words):
    done = run(*words)
    assert done.exit_code != 0
    assert "/etc/passwd: not an ELF file" in str(done.exception)


def test_a_reader_that_leaves_is_no_finding(run, tmp_path):
    """More is printed than a pipe holds, so that it is dump itself that meets the closed pipe."""
    (tmp_path / "x").write_bytes(convert.convert(LIBRARY).encoded.data)
    done = subprocess.run(
        f"{sys.executable} -m ring3 sframe dump {tmp_path}/x | head -c 1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
