"""Debian packages: what is installed, and packages of other suites unpacked beside the system.

Nothing is ever installed over the running system from another suite.  A private apt state with the
mirror, proxy and certificates of the machine's own apt configuration downloads packages, checks their
signatures with the system's keyring, and ``dpkg-deb`` unpacks them into the cache.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ring3.errors import MissingPart
from ring3.files import cache_folder, cache_path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Tree:
    """Packages of one suite and architecture, unpacked into one folder.

    ``closure`` takes what they depend on, too: a whole system root in which they can run.
    """

    name: str
    suite: str
    architecture: str
    packages: tuple[str, ...]
    closure: bool = False

    @property
    def path(self) -> Path:
        """Where it is unpacked; it may not be there yet."""
        return Path(cache_path("debian", f"{self.suite}-{self.architecture}-{self.name}"))

    @property
    def present(self) -> bool:
        """Whether it is there, whole, with these packages."""
        try:
            return (self.path / ".packages").read_text().split() == sorted(self.packages)
        except OSError:
            return False


def installed(packages: Sequence[str]) -> dict[str, bool]:
    """Which of ``packages`` dpkg has installed.  All False where there is no dpkg."""
    found = set()
    if shutil.which("dpkg-query"):
        listing = subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        found = {line.split()[1] for line in listing.splitlines() if line.startswith("installed ")}
    return {package: package in found for package in packages}


def unpack(tree: Tree) -> Path:
    """Download and unpack ``tree`` unless it is there; its folder.

    Raises MissingPart with apt's own reason when the machine is no Debian, has no network, or the
    suite does not have the packages.
    """
    if tree.present:
        return tree.path
    with (cache_folder("debian") / ".lock").open("w") as lock:
        # Two apt-gets in one state folder would delete each other's archives.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return tree.path if tree.present else _unpack(tree)


def _unpack(tree: Tree) -> Path:
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise MissingPart(f"{tool} is not here", where=tree.name, remedy="use a Debian machine")
    state = cache_folder("debian", f".apt-{tree.suite}-{tree.architecture}")
    options = _private_apt(tree, state)
    _run([*options, "update"], tree)
    archives = state / "archives"
    if tree.closure:
        # An empty dpkg status makes apt bring every dependency along.
        _run([*options, "install", "--download-only", "-y", *tree.packages], tree)
    else:
        archives.mkdir(exist_ok=True)
        _run([*options, "download", *tree.packages], tree, folder=archives)
    fresh = tree.path.with_name(tree.path.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for package in sorted(archives.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(fresh)], tree)
    if tree.closure:
        # Debian merged these into /usr; the links belong to no package of the closure.
        for name in ("bin", "sbin", "lib", "lib64"):
            if (fresh / "usr" / name).is_dir() and not (fresh / name).exists():
                (fresh / name).symlink_to(f"usr/{name}")
    (fresh / ".packages").write_text("\n".join(sorted(tree.packages)) + "\n")
    shutil.rmtree(tree.path, ignore_errors=True)
    fresh.rename(tree.path)
    shutil.rmtree(archives)
    return tree.path


def mirror() -> str:
    """The Debian mirror of the machine's own apt configuration."""
    listing = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(ORIGIN) $(LABEL)",
            "Created-By: Packages",
        ],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in listing.splitlines():
        uri, _, rest = line.partition(" ")
        if rest == "Debian Debian":
            return uri
    raise MissingPart(
        "apt has no list of a Debian mirror", where="apt-get indextargets", remedy="apt-get update"
    )


def _private_apt(tree: Tree, state: Path) -> list[str]:
    """An apt-get command line whose every state file lies in ``state``."""
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    for old in (state / "archives").glob("*.deb"):
        old.unlink()
    (state / "status").write_text("")
    (state / "sources.list").write_text(
        f"deb [arch={tree.architecture} signed-by={KEYRING}] {mirror()} {tree.suite} main\n"
    )
    settings = {
        "APT::Architecture": tree.architecture,
        "APT::Architectures": tree.architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State::Lists": state / "lists",
        "Dir::State::Status": state / "status",
        "Dir::State::Extended_States": state / "extended_states",
        "Dir::Cache": state,
        "Dir::Cache::Archives": state / "archives",
        "Dir::Log": state,
        # The machine's own clean-up hooks work on the system's archives, not on these.
        "DPkg::Post-Invoke::": "true",
        "Binary::apt-get::APT::Keep-Downloaded-Packages": "true",
    }
    command = ["apt-get", "-q"]
    for key, value in settings.items():
        command += ["-o", f"{key}={value}"]
    return command


def _run(command: list[str], tree: Tree, folder: Path | None = None) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    )
    if done.returncode:
        reasons = re.findall(r"^(?:E|dpkg-deb: error): (.*)", done.stderr, re.MULTILINE)
        raise MissingPart(
            reasons[-1] if reasons else f"{command[0]} exited {done.returncode}",
            where=f"{tree.name} ({tree.suite}, {tree.architecture})",
            remedy="check the network, the clock, the room on the disk and the suite's name",
        )
