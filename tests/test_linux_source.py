"""Unpacking linux-source tarballs, with small tarballs made by tar itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ring3 import linux_source
from ring3.errors import BadInput, MissingPart


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands where packages put their tarballs, and an empty cache."""
    folder = tmp_path / "usr-src"
    folder.mkdir()
    monkeypatch.setattr(linux_source, "_INSTALLED", folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def make_tarball(packages: Path, version: str, text: str) -> Path:
    top = packages / f"linux-source-{version}"
    (top / "fs").mkdir(parents=True, exist_ok=True)
    (top / "fs/inode.c").write_text(text)
    tarball = packages / f"linux-source-{version}.tar.xz"
    subprocess.run(["tar", "-cJf", tarball, "-C", packages, top.name], check=True)
    return tarball


def test_a_tarball_is_unpacked_once_and_again_when_it_changes(packages: Path) -> None:
    tarball = make_tarball(packages, "9.1", "int one;\n")
    folder = linux_source.kernel_source("9.1")
    assert (folder / "fs/inode.c").read_text() == "int one;\n"
    (folder / "mine").write_text("kept while the tarball is the same")
    assert linux_source.kernel_source("9.1") == folder
    assert (folder / "mine").exists()
    make_tarball(packages, "9.1", "int two;\n")
    os.utime(tarball, ns=(1, 1))
    assert (linux_source.kernel_source("9.1") / "fs/inode.c").read_text() == "int two;\n"
    assert not (folder / "mine").exists()


def test_a_damaged_tarball_is_bad_input_and_leaves_nothing(packages: Path, tmp_path: Path) -> None:
    tarball = make_tarball(packages, "9.2", "int x;\n" * 1000)
    tarball.write_bytes(tarball.read_bytes()[:60])
    with pytest.raises(BadInput, match=r"linux-source-9\.2"):
        linux_source.kernel_source("9.2")
    assert not (tmp_path / "cache/ring3/linux/9.2").exists()


def test_a_missing_version_says_how_to_get_it(packages: Path) -> None:
    with pytest.raises(MissingPart, match=r"apt-get install linux-source-5\.0"):
        linux_source.kernel_source("5.0")
