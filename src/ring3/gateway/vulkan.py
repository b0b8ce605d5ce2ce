"""Unmodified Vulkan, twice in one system root: panvk on the simulated GPU, and lavapipe beside it.

The client (``vulkan_client.c``) fills, copies, computes and draws without a window, into files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from ring3.errors import BadInput, MissingPart
from ring3.gateway.session import Session

#: Draws what vertices say, colours interpolated.
VERTEX_SHADER = """#version 450
layout(location = 0) in vec4 position;
layout(location = 1) in vec4 colour;
layout(location = 0) out vec4 shade;
void main() { gl_Position = position; shade = colour; }
"""
FRAGMENT_SHADER = """#version 450
layout(location = 0) in vec4 shade;
layout(location = 0) out vec4 pixel;
void main() { pixel = shade; }
"""
#: What tells the loader of Vulkan drivers in a system root to take lavapipe.
LAVAPIPE = {"VK_DRIVER_FILES": "/usr/share/vulkan/icd.d/lvp_icd.json"}
_HEADERS = Path("/usr/include")
_COMPILER = "aarch64-linux-gnu-gcc"


@dataclass(frozen=True)
class Mesa:
    """The client, built for the system root ``root``; files go into ``folder``."""

    root: Path
    folder: Path

    @property
    def client(self) -> Path:
        """The client's program, compiled on first use.

        MissingPart when the cross compiler or the Vulkan headers are not here.
        """
        program = self.folder / "vulkan_client"
        if program.exists():
            return program
        if not shutil.which(_COMPILER):
            raise MissingPart("no arm64 compiler", remedy="apt-get install gcc-aarch64-linux-gnu")
        if not (_HEADERS / "vulkan").is_dir():
            raise MissingPart("no Vulkan headers", remedy="apt-get install libvulkan-dev")
        # Of the host's headers only these are the same for every architecture.
        headers = self.folder / "include"
        headers.mkdir(exist_ok=True)
        for name in ("vulkan", "vk_video"):
            link = headers / name
            if not link.is_symlink():
                link.symlink_to(_HEADERS / name)
        with as_file(files("ring3.gateway").joinpath("vulkan_client.c")) as source:
            command = [_COMPILER, "-O1", f"-I{headers}", str(source), "-o", str(program), "-ldl"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MissingPart(
                f"the Vulkan client does not compile: {done.stderr.strip()[:300]}",
                where=_COMPILER,
                remedy="apt-get install libc6-dev-arm64-cross libvulkan-dev",
            )
        return program

    def shader(self, name: str, source: str) -> Path:
        """Compile GLSL into SPIR-V; the end of ``name`` says the stage.

        MissingPart without glslang, BadInput with the compiler's words.
        """
        if not shutil.which("glslangValidator"):
            raise MissingPart("no GLSL compiler", remedy="apt-get install glslang-tools")
        path = self.folder / name
        path.write_text(source)
        compiled = path.with_name(f"{name}.spv")
        options = ["-V", "--target-env", "vulkan1.1", "--quiet"]
        command = ["glslangValidator", *options, "-o", str(compiled), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BadInput(done.stdout.strip(), where=str(path))
        return compiled

    def panvk(self, *args: object, debug: str = "") -> tuple[int, list[str]]:
        """Run the client on the simulated GPU: its exit status, and the kernel's log.

        ``debug`` is Mesa's BIFROST_MESA_DEBUG.
        """
        with Session() as session:
            command = [str(self.client), *map(str, args)]
            settings = {**os.environ, "BIFROST_MESA_DEBUG": debug}
            (status,) = session.run([command], root=self.root, environment=settings)
            return status, [line for _, line in session.kernel.log]

    def lavapipe(self, *args: object) -> int:
        """Run the client on lavapipe: its exit status."""
        command = ["qemu-aarch64", "-L", str(self.root), str(self.client), *map(str, args)]
        done = subprocess.run(command, check=False, env={**os.environ, **LAVAPIPE})
        return done.returncode
