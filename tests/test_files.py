"""Files are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ring3.files import cache_folder, write_atomically


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a"
    target.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_mode_and_symlink_survive(tmp_path: Path) -> None:
    target = tmp_path / "program"
    target.write_text("old")
    target.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to("program")
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_new_file_gets_the_mode_that_open_would_give(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "x", "")
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(old)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        write_atomically(tmp_path / "no" / "x", "")
    assert caught.value.filename == str(tmp_path / "no")


def test_a_file_like_another(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("")
    if os.geteuid() == 0:
        os.chown(other, 1, 2)
    other.chmod(0o4711)
    os.setxattr(other, "user.note", b"kept")
    write_atomically(tmp_path / "x", b"new", like=other)
    made, wanted = (tmp_path / "x").stat(), other.stat()
    assert (made.st_mode, made.st_uid, made.st_gid) == (
        wanted.st_mode,
        wanted.st_uid,
        wanted.st_gid,
    )
    assert os.getxattr(tmp_path / "x", "user.note") == b"kept"


def test_another_users_rights_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot give a file away gets no set-user-ID program out of it."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of another user")
    other = tmp_path / "other"
    other.write_text("")
    os.chown(other, 1, 2)
    other.chmod(0o6755)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    write_atomically(tmp_path / "x", b"new", like=other)
    assert (tmp_path / "x").stat().st_mode & 0o7777 == 0o755


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _TO_STDOUT]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"text"


_TO_STDOUT = "from ring3.files import write_atomically; write_atomically('/dev/stdout', 'text')"


def test_the_cache_folder_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder("a", "b") == tmp_path / "ring3" / "a" / "b"


def test_a_cache_folder_that_cannot_be_says_how_to_have_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    with pytest.raises(OSError, match="XDG_CACHE_HOME") as caught:
        cache_folder("a")
    assert caught.value.filename == "/proc/none/ring3/a"
