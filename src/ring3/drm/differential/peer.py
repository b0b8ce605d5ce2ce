"""The other side: ``executor.c`` under a real kernel, and what it needs there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ring3.drm.differential import wire
from ring3.drm.differential.program import Program
from ring3.errors import BadInput, MissingPart

_HERE = Path(__file__).parent


def build_executor(folder: Path) -> Path:
    """``executor.c`` as a static program in ``folder``."""
    program = folder / "executor"
    source = _HERE / "executor.c"
    _run(["gcc", "-O2", "-static", "-pthread", "-o", str(program), str(source)])
    return program


def build_module(folder: Path, kernel: Path, source: Path) -> Path:
    """``module/ring3_mock.c`` for the kernel of ``source`` built in ``kernel``, in ``folder``."""
    shutil.copytree(_HERE / "module", folder, dirs_exist_ok=True)
    # (A kernel that was built without its modules has no list of symbols: the loader will look.)
    make = ["make", "-C", str(source), f"O={kernel}", "ARCH=um", f"M={folder}", "modules"]
    _run([*make, "KBUILD_MODPOST_WARN=1"])
    return folder / "ring3_mock.ko"


def write_programs(path: Path, programs: Sequence[Program]) -> None:
    """The input of the executor."""
    path.write_text(wire.text([wire.compile_program(program) for program in programs]))


def read_answers(path: Path, programs: Sequence[Program]) -> list[list[str]]:
    """Its output; BadInput when programs are missing."""
    found = wire.answers(path.read_text(errors="replace"))
    if len(found) != len(programs):
        raise BadInput(f"answers to {len(found)} of {len(programs)} programs", where=str(path))
    return found


def run_uml(
    linux: Path, executor: Path, module: Path, folder: Path, programs: Sequence[Program]
) -> tuple[list[list[str]], str]:
    """Boot User-mode Linux with the executor as its first process; the answers, and what the kernel said."""
    given, told = folder / "programs", folder / "answers"
    write_programs(given, programs)
    told.write_text("")
    command = [str(linux), "mem=512M", "rootfstype=hostfs", "rootflags=/", "rw", "con=null"]
    command += ["con0=null,fd:1", "kunit.enable=0", f"init={executor}", "--"]
    command += [str(given), str(told), "-", "/sys/kernel/debug/sync/sw_sync", str(module)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
        text=True,
        errors="replace",
        cwd=folder,
    )
    return read_answers(told, programs), done.stdout


def _run(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise MissingPart(f"{command[0]} is not here", remedy=f"apt-get install {command[0]}")
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True
    )
    if done.returncode:
        raise BadInput(f"{command[0]}: {done.stdout.strip()[-500:]}", where=command[-1])
