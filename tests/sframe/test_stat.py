"""Measuring: coverage against the linker's own numbers, a tree in processes, verification."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from ring3.cli.sframe import sframe
from ring3.elf import Elf
from ring3.errors import BadInput
from ring3.sframe import stat

LIBRARY = Path("/lib/x86_64-linux-gnu/libm.so.6")


@pytest.fixture
def library():
    if not LIBRARY.exists():
        pytest.skip(f"{LIBRARY} is not here")
    return LIBRARY


def test_a_file(library):
    report = stat.measure(str(library), verify=True)
    with Elf(library) as elf:
        code = sum(s.size for s in elf.sections if s.flags & 4)
        replaces = elf.section(".eh_frame").size + elf.section(".eh_frame_hdr").size
    assert (report.code, report.replaces) == (code, replaces)
    assert 0.9 * code < report.covered <= code
    assert report.differences == 0
    assert report.sframe <= report.sframe_unshared


def test_a_tree_in_processes(library, tmp_path):
    for name in "abc":
        shutil.copy(library, tmp_path / name)
    (tmp_path / "text").write_text("no ELF")
    (tmp_path / "broken").write_bytes(library.read_bytes()[:5000])
    (tmp_path / "again").hardlink_to(tmp_path / "a")
    done = CliRunner().invoke(sframe, ["stat", "--verify", "--json", str(tmp_path)])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert len(answer["files"]) == 4
    assert [bool(report["error"]) for report in answer["files"]].count(True) == 1
    one = stat.measure(str(library))
    assert answer["total"]["functions"] == 3 * one.functions
    assert answer["total"]["sframe"] == 3 * one.sframe


def test_a_file_that_is_named_must_be_elf(tmp_path):
    (tmp_path / "text").write_text("no ELF")
    done = CliRunner().invoke(sframe, ["stat", str(tmp_path / "text")])
    assert isinstance(done.exception, BadInput)
    assert CliRunner().invoke(sframe, ["stat", str(tmp_path)]).exit_code == 0


def test_files_that_are_named_and_cannot_be_measured_are_bad_input(tmp_path, library):
    broken = tmp_path / "broken"
    broken.write_bytes(library.read_bytes()[:5000])
    done = CliRunner().invoke(sframe, ["stat", str(broken)])
    assert isinstance(done.exception, BadInput) and str(broken) in str(done.exception)
    assert CliRunner().invoke(sframe, ["stat", str(tmp_path)]).exit_code == 0, "a tree"
    assert CliRunner().invoke(sframe, ["stat", str(broken), str(library)]).exit_code == 0, "not all"


def test_installed_packages_have_the_library(library, needs):
    needs("dpkg-query")
    assert any(path.samefile(library) for path in stat.installed() if path.name == library.name)


@pytest.mark.oracle
def test_every_library_of_the_folder(library):
    """Every ELF of the library folder converts, and says the same at every pc."""
    names = list(stat.elf_files([library.parent]))
    whole = stat.total(stat.measure_all(names, verify=True))
    assert whole.functions > 100_000
    assert whole.differences == 0
    assert sum(whole.refused.values()) <= 0.002 * whole.functions


@pytest.mark.oracle
def test_on_a_cluster(library, tmp_path):
    distributed = pytest.importorskip("distributed")
    for name in "abcd":
        shutil.copy(library, tmp_path / name)
    names = list(stat.elf_files([tmp_path]))
    with distributed.LocalCluster(1, dashboard_address=None, threads_per_worker=1) as cluster:
        reports = list(stat.measure_all(names, cluster=cluster.scheduler_address))
    assert sorted(report.path for report in reports) == names
    assert {report.functions for report in reports} == {stat.measure(str(library)).functions}
