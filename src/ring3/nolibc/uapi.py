"""The kernel's user headers of an architecture, alone: no libc's headers lie beside them.

Every source is looked at in turn: the newest linux-libc-dev unpacked by ``scripts/oracles uapi-7.2`` (all
architectures in one package), the cross packages of the running system, the headers that zig brings,
and kernel source.  The result is a folder of links in the cache.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

from ring3 import oracles
from ring3.arch import Arch
from ring3.errors import MissingPart
from ring3.files import cache_folder, write_atomically
from ring3.linux_source import kernel_source, tarballs

#: Folders of include/uapi beside asm/.
GROUPS = ("linux", "asm-generic", "drm", "misc", "mtd", "rdma", "scsi", "sound", "video", "xen")
_ORACLE = "uapi-7.2"


def folder(arch: Arch) -> Path:
    """A folder with ``linux/``, ``asm/``, ``asm-generic/`` ... for ``arch``.

    Raises MissingPart with the command that brings them.
    """
    for source in (_from_oracle, _from_package, _from_zig):
        found = source(arch)
        if found is not None:
            return _links(arch, *found)
    return _links(arch, *_from_source(arch))


def _from_oracle(arch: Arch) -> tuple[Path, Path] | None:
    tree, _ = oracles.ORACLES[_ORACLE]
    asm = tree.path / "usr/lib/linux/uapi" / arch.family / "asm"
    return (tree.path / "usr/include", asm) if tree.present and asm.is_dir() else None


def _from_package(arch: Arch) -> tuple[Path, Path] | None:
    if arch.toolchain.headers is None:
        return None
    base = Path(arch.toolchain.headers)
    for asm in (base / "asm", base / f"{arch.toolchain.gcc}/asm"):
        if asm.is_dir() and (base / "linux").is_dir():
            return base, asm
    return None


def _from_zig(arch: Arch) -> tuple[Path, Path] | None:
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        return None
    base = Path(spec.origin).parent / "lib/libc/include"
    name = {"arm64": "aarch64", "s390": "s390x"}.get(arch.family, arch.family)
    asm = base / f"{name}-linux-any/asm"
    # Of some architectures zig has the kernel's own files without those that only lead to asm-generic.
    return (base / "any-linux-any", asm) if (asm / "bitsperlong.h").is_file() else None


def _from_source(arch: Arch) -> tuple[Path, Path]:
    """Written out of kernel source, whose arch folder holds what differs from asm-generic."""
    shared = next((_from_oracle(other) for other in _others() if _from_oracle(other)), None)
    if shared is None or "7.2" not in tarballs():
        raise MissingPart(
            f"no kernel headers for {arch.name}",
            remedy=f"apt-get install {arch.toolchain.headers_package}"
            if arch.toolchain.headers_package
            else f"run scripts/oracles {_ORACLE} linux-7.2",
        )
    source = kernel_source("7.2")
    target = cache_folder("uapi") / f"{arch.name}-source" / "asm"
    target.mkdir(parents=True, exist_ok=True)
    own = source / "arch" / arch.family / "include/uapi/asm"
    for generic in sorted((source / "include/uapi/asm-generic").glob("*.h")):
        mine = own / generic.name
        text = mine.read_text() if mine.is_file() else f"#include <asm-generic/{generic.name}>\n"
        write_atomically(target / generic.name, re.sub(r"\b__user\b", "", text))
    for mine in own.glob("*.h"):
        write_atomically(target / mine.name, re.sub(r"\b__user\b", "", mine.read_text()))
    write_atomically(target / "unistd_32.h", _numbers(source, arch))
    return shared[0], target


def _others() -> list[Arch]:
    from ring3.arch import ARCHS

    return list(ARCHS.values())


def _numbers(source: Path, arch: Arch) -> str:
    """asm/unistd_32.h from scripts/syscall.tbl, for families that use the generic table."""
    makefile = (source / "arch" / arch.family / "kernel/Makefile.syscalls").read_text()
    abis = {"common", "32"}
    for line in makefile.splitlines():
        if line.startswith("syscall_abis_32"):
            abis |= set(line.split("=")[1].split())
    rows = []
    for line in (source / "scripts/syscall.tbl").read_text().splitlines():
        fields = line.split()
        if len(fields) >= 3 and fields[0].isdigit() and fields[1] in abis:
            rows.append(f"#define __NR_{fields[2]} {fields[0]}")
    return "\n".join(rows) + "\n"


def _links(arch: Arch, shared: Path, asm: Path) -> Path:
    target = cache_folder("uapi") / arch.name
    wanted = {name: shared / name for name in GROUPS if (shared / name).is_dir()}
    wanted["asm"] = asm
    for name, source in wanted.items():
        link = target / name
        if link.is_symlink() and link.readlink() == source:
            continue
        target.mkdir(exist_ok=True)
        if link.is_symlink():
            link.unlink()
        elif link.exists():
            shutil.rmtree(link)
        link.symlink_to(source)
    return target
