"""Programs of another architecture, run by qemu-user with the preload library inside.

qemu-user refuses ioctls that it does not know before they reach the host, so the guest itself must hand
them over: as a system call that emulators pass on as it is (see ``preload.c``), which the filter on the
emulator traps like a native program's ioctl.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from ring3 import arch
from ring3.elf import Elf
from ring3.errors import MissingPart, Unsupported
from ring3.files import cache_folder


def preload_library(target: arch.Arch) -> Path:
    """The preload library for ``target``, compiled into the cache on first use.

    MissingPart when its cross compiler is not here.
    """
    source = files("ring3.gateway").joinpath("preload.c").read_bytes()
    name = hashlib.sha256(source).hexdigest()[:16]
    library = cache_folder("gateway") / f"{target.name}-{name}.so"
    if library.exists():
        return library
    tools = target.toolchain
    compiler = shutil.which(f"{tools.gcc}-gcc") if tools.gcc else None
    if compiler is None:
        raise MissingPart(
            f"no compiler for {target.name}", remedy=f"apt-get install {tools.gcc_package}"
        )
    fresh = library.with_suffix(f".{os.getpid()}")
    command = [compiler, "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", str(fresh), "-ldl"]
    done = subprocess.run(command, input=source, capture_output=True, check=False)
    if done.returncode:
        reasons = done.stderr.decode(errors="replace").strip().splitlines()
        raise MissingPart(
            f"the preload library does not compile: {(reasons or ['no reason given'])[0]}",
            where=compiler,
            remedy="ring3 doctor --install brings the C library of its compiler",
        )
    fresh.rename(library)
    return library


def emulated(command: Sequence[str], root: Path) -> list[str]:
    """The command line that runs ``command`` emulated in the system root ``root``.

    Raises BadInput when it is no program, Unsupported or MissingPart when nothing here emulates it.
    """
    with Elf(command[0]) as elf:
        target = elf.arch
    if target is None or target.toolchain.qemu is None:
        raise Unsupported("no emulator for its architecture", where=command[0])
    if target.elf.bits != 64:
        raise Unsupported("the GPU's interface is for 64-bit programs", where=command[0])
    emulator = shutil.which(f"qemu-{target.toolchain.qemu}")
    if emulator is None:
        raise MissingPart(
            f"qemu-{target.toolchain.qemu} is not here", remedy="apt-get install qemu-user"
        )
    # By -E, so that the emulator's own loader does not take it.
    preload = f"LD_PRELOAD={preload_library(target)}"
    return [emulator, "-L", str(root), "-E", preload, *command]
