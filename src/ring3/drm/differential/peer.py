"""The other side: ``executor.c`` under a real kernel, and what it needs there."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ring3 import ktap
from ring3.drm.differential import wire
from ring3.drm.differential.program import Program
from ring3.errors import BadInput, MissingPart
from ring3.files import cache_folder
from ring3.kselftest.boot import boot
from ring3.kselftest.kernel import UML_DRM, Progress, build
from ring3.linux_source import kernel_source

SW_SYNC = "/sys/kernel/debug/sync/sw_sync"

#: What the kernel complains of, and why that is no disagreement.
KNOWN = {
    "virtio_pcidev.c": "User-mode Linux has no PCI device number unless one is given",
    "dma-fence-chain.c": "7.2 lets user space put a chain in a chain: a timeline's point is exported as a "
    "sync_file and imported as a point.  ring3 warns at the same place.",
    "dma_fence_chain_lock_key": "the same: the locks of both chains are of one lockdep class",
}

_HERE = Path(__file__).parent
_MODULE = _HERE / "module"


def build_executor(folder: Path) -> Path:
    """``executor.c`` as a static program in ``folder``."""
    program = folder / "executor"
    source = _HERE / "executor.c"
    _run(["gcc", "-O2", "-static", "-pthread", "-o", str(program), str(source)])
    return program


def build_module(kernel: Path, source: Path) -> Path:
    """``module/ring3_mock.c`` for the kernel of ``source`` that was built in ``kernel``, made once."""
    text = b"".join(path.read_bytes() for path in sorted(_MODULE.iterdir()))
    folder = cache_folder("kernels", f"mock-{kernel.name}-{hashlib.sha256(text).hexdigest()[:12]}")
    made = folder / "ring3_mock.ko"
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        image = kernel / "linux"
        if made.is_file() and made.stat().st_mtime >= image.stat().st_mtime:
            return made
        shutil.copytree(_MODULE, folder, dirs_exist_ok=True)
        make = ["make", "-C", str(source), f"O={kernel}", "ARCH=um"]
        _run([*make, "modules_prepare"])
        # (Without the other modules there is no list of the kernel's symbols: the loader looks for itself.)
        _run([*make, f"M={folder}", "modules", "KBUILD_MODPOST_WARN=1"])
    return made


def write_programs(path: Path, programs: Sequence[Program]) -> None:
    """The input of the executor."""
    path.write_text(wire.text([wire.compile_program(program) for program in programs]))


def read_answers(path: Path, programs: Sequence[Program]) -> list[list[str]]:
    """Its output; BadInput when programs are missing."""
    found = wire.answers(path.read_text(errors="replace"))
    if len(found) != len(programs):
        raise BadInput(f"answers to {len(found)} of {len(programs)} programs", where=str(path))
    return found


class RealKernel:
    """Linux itself, as a program (User-mode Linux), with the mock driver as a module.

    Building it takes minutes the first time.  ``complaints`` are what its log held of warnings and splats,
    but for :data:`KNOWN`.
    """

    def __init__(self, folder: Path, *, progress: Progress | None = None) -> None:
        source = kernel_source("7.2")
        self.folder = folder
        self.image = build(source, UML_DRM, progress=progress)
        self.executor = build_executor(folder)
        self.module = build_module(self.image.path.parent, source)
        self.complaints: list[str] = []

    def __call__(self, programs: Sequence[Program]) -> list[list[str]]:
        """Boot, run the programs, power off; the answers to each."""
        given, told = self.folder / "programs", self.folder / "answers"
        write_programs(given, programs)
        told.write_text("")
        arguments = [str(given), str(told), "-", SW_SYNC, str(self.module)]
        ended = boot(
            self.image,
            Path("/"),
            init=str(self.executor),
            cmdline=["kunit.enable=0", "loglevel=5", "--", *arguments],
            memory=512,
            timeout=60 + 5 * len(programs),
        )
        self.complaints += complaints(ended.log)
        return read_answers(told, programs)


def complaints(log: str) -> list[str]:
    """The warnings, BUGs and lockdep's reports in a kernel's log, without the known ones."""
    lines = log.splitlines()
    found = []
    for number, line in enumerate(lines):
        first = ktap.reports([line])
        # (What a report is about follows in its next lines.)
        about = "\n".join(lines[number : number + 8])
        if first and not any(known in about for known in KNOWN):
            found += first
    return found


def _run(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise MissingPart(f"{command[0]} is not here", remedy=f"apt-get install {command[0]}")
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True
    )
    if done.returncode:
        raise BadInput(f"{command[0]}: {done.stdout.strip()[-500:]}", where=command[-1])
