"""Scripts for ``vulkan_script.c``: many small Vulkan programs in one process, on panvk and on lavapipe."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ring3 import oracles
from ring3.gateway.session import Session
from ring3.gateway.vulkan import Mesa

SOURCE = Path(__file__).with_name("vulkan_script.c")
_LAVAPIPE = "usr/share/vulkan/icd.d/lvp_icd.json"

# Vulkan's numbers.
STORAGE, UNIFORM, SAMPLED, IMAGE, TEXEL, STORAGE_TEXEL, INPUT = 7, 6, 1, 3, 4, 5, 10


@dataclass
class Case:
    """One program: its lines; names of its input files stand for them as ``{name}``, shaders likewise."""

    name: str
    lines: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    shaders: dict[str, str] = field(default_factory=dict)  # "x.comp": GLSL
    form: int = 0  # VkFormat of what is saved; 0: bytes

    def do(self, *words: object) -> Case:
        self.lines.append(" ".join(str(word) for word in words))
        return self

    def file(self, data: bytes | np.ndarray) -> str:
        """A name that stands for a file with ``data``."""
        name = f"data{len(self.files)}"
        self.files[name] = data if isinstance(data, bytes) else data.tobytes()
        return f"{{{name}}}"

    def shader(self, stage: str, source: str) -> str:
        """A name that stands for the compiled shader; ``stage``: comp, vert, frag."""
        name = f"shader{len(self.shaders)}.{stage}"
        self.shaders[name] = source
        return "{" + name + "}"

    def save(self, buffer: int) -> Case:
        return self.do("save", buffer, "{out}")


@dataclass
class Outcome:
    """What a case wrote, or why it did not."""

    data: bytes | None
    error: str = ""


def client(mesa: Mesa) -> Path:
    """The program, compiled beside the other client."""
    program = mesa.folder / "vulkan_script"
    if not program.exists():
        mesa.client  # noqa: B018 - it checks the parts and lays out the headers
        command = ["aarch64-linux-gnu-gcc", "-O1", f"-I{mesa.folder / 'include'}", str(SOURCE)]
        subprocess.run([*command, "-o", str(program), "-ldl"], check=True)
    return program


def native(mesa: Mesa) -> Path:
    """The program for this machine: lavapipe needs no emulator."""
    program = mesa.folder / "vulkan_script.native"
    if not program.exists():
        mesa.client  # noqa: B018
        command = ["gcc", "-O1", f"-I{mesa.folder / 'include'}", str(SOURCE)]
        subprocess.run([*command, "-o", str(program), "-ldl"], check=True)
    return program


def run(mesa: Mesa, cases: list[Case], driver: str, debug: str = "") -> dict[str, Outcome]:
    """Run all cases on ``driver`` (ours, theirs), in one process unless one of them ends it."""
    folder = mesa.folder / f"script-{driver}-{cases[0].name}"
    folder.mkdir(exist_ok=True)
    script, log = folder / "script", folder / "log"
    script.write_text("\n".join(_resolve(mesa, folder, case) for case in cases))
    errors: dict[str, str] = {}
    first = 0
    while first < len(cases):
        log.unlink(missing_ok=True)
        command = [str(client(mesa)), str(script), str(log), str(first)]
        kernel: list[str] = []
        if driver == "ours":
            with Session() as session:
                settings = {**os.environ, "BIFROST_MESA_DEBUG": debug}
                (status,) = session.run([command], root=mesa.root, environment=settings)
                kernel = [line for _, line in session.kernel.log]
        else:
            root = oracles.find("mesa-native")
            command = [str(native(mesa)), *command[1:]]
            library = root / "usr/lib/x86_64-linux-gnu"
            loader = [str(library / "ld-linux-x86-64.so.2"), "--library-path", str(library)]
            settings = {**os.environ, "VK_DRIVER_FILES": str(root / _LAVAPIPE)}
            status = subprocess.run([*loader, *command], check=False, env=settings).returncode
        lines = log.read_text().splitlines() if log.exists() else []
        done = sum(line.endswith(": done") for line in lines)
        if first + done >= len(cases) and status == 0:
            break
        failed = min(first + done, len(cases) - 1)
        errors[cases[failed].name] = "\n".join(
            [
                f"exit status {status}",
                *(line for line in lines if not line.endswith(": done")),
                *kernel,
            ]
        )
        first = failed + 1
    return {case.name: _outcome(folder, case, errors) for case in cases}


def _outcome(folder: Path, case: Case, errors: dict[str, str]) -> Outcome:
    path = folder / f"{case.name}.out"
    if case.name in errors or not path.exists():
        return Outcome(None, errors.get(case.name, "no output"))
    return Outcome(path.read_bytes())


def _resolve(mesa: Mesa, folder: Path, case: Case) -> str:
    names: dict[str, str] = {"out": str(folder / f"{case.name}.out")}
    Path(names["out"]).unlink(missing_ok=True)
    for name, data in case.files.items():
        path = folder / f"{case.name}.{name}"
        path.write_bytes(data)
        names[name] = str(path)
    for name, source in case.shaders.items():
        # Cases share shaders: each source is compiled once.
        digest = hashlib.sha256(source.encode()).hexdigest()[:16]
        stage = name.rpartition(".")[2]
        path = mesa.folder / f"{digest}.{stage}.spv"
        names[name] = str(path if path.exists() else mesa.shader(f"{digest}.{stage}", source))
    lines = [f"case {case.name}", *case.lines]
    text = "\n".join(lines)
    for name, path in names.items():
        text = text.replace("{" + name + "}", str(path))
    return text
