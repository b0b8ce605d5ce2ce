"""Kernel source trees: Debian's linux-source tarballs, unpacked once into the cache.

``kernel_source("7.2")`` is a folder with ``fs/``, ``mm/``, ``include/`` ... as kernel.org ships them plus
Debian's patches.  A tarball comes from an installed linux-source package or from an unpacked oracle.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

from ring3.errors import BadInput, MissingPart
from ring3.files import cache_folder
from ring3.oracles import ORACLES

_INSTALLED = Path("/usr/src")


def tarballs() -> dict[str, Path]:
    """Kernel version ("6.1") -> tarball, of every linux-source package that this machine has."""
    folders = [tree.path / "usr/src" for tree, _ in ORACLES.values() if tree.present]
    found: dict[str, Path] = {}
    for folder in (*folders, _INSTALLED):
        for path in sorted(folder.glob("linux-source-*.tar.xz")):
            found[path.name.removeprefix("linux-source-").removesuffix(".tar.xz")] = path
    return found


def newest() -> str | None:
    """The highest version among :func:`tarballs`, None without any."""
    numbered = {tuple(map(int, re.findall(r"\d+", name))): name for name in tarballs()}
    return numbered[max(numbered)] if numbered else None


def kernel_source(version: str) -> Path:
    """The folder of kernel ``version`` ("6.1", "7.2"); unpacks it first, which takes about a minute.

    Raises MissingPart with the command that brings the tarball, BadInput when it is damaged.
    """
    tarball = tarballs().get(version)
    if tarball is None:
        raise MissingPart(f"no source of Linux {version}", remedy=_remedy(version))
    target = cache_folder("linux") / version
    status = tarball.stat()
    identity = f"{status.st_size} {status.st_mtime_ns}"
    stamp = target / ".tarball"
    # Two processes that want the same tree must not unpack it over each other.
    with (target.parent / f".{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == identity:
            return target
        fresh = target.with_name(f".{version}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        _unpack(tarball, fresh)
        (fresh / ".tarball").write_text(identity)
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)
    return target


def _unpack(tarball: Path, folder: Path) -> None:
    for tool in ("tar", "xz"):
        if shutil.which(tool) is None:
            raise MissingPart(f"{tool} is not here", remedy=f"apt-get install {tool}")
    folder.mkdir()
    done = subprocess.run(
        ["tar", "-xJf", tarball, "-C", folder, "--strip-components=1", "--no-same-owner"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XZ_OPT": "-T0", "LC_ALL": "C"},
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"tar exited {done.returncode}"])[0]
        shutil.rmtree(folder)
        raise BadInput(
            reason, where=str(tarball), remedy="reinstall the package, or free disk space"
        )


def _remedy(version: str) -> str:
    if f"linux-{version}" in ORACLES:
        return f"run scripts/oracles linux-{version}"
    return f"apt-get install linux-source-{version}"
