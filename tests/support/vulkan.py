"""Unmodified Mesa, twice in one system root: panvk on the simulated GPU, and lavapipe as the truth."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ring3.gateway.session import Session

SUPPORT = Path(__file__).parent
_LAVAPIPE = {"VK_DRIVER_FILES": "/usr/share/vulkan/icd.d/lvp_icd.json"}


@dataclass(frozen=True)
class Mesa:
    """The test client of vkclient.c, built for the system root ``root`` in ``folder``."""

    root: Path
    folder: Path

    def build(self, compiler: str) -> None:
        """Compile the client; the Vulkan headers are the same for every architecture."""
        headers = self.folder / "include"
        headers.mkdir()
        for name in ("vulkan", "vk_video"):
            (headers / name).symlink_to(f"/usr/include/{name}")
        command = [compiler, "-O1", "-Wall", "-Werror", f"-I{headers}", "-o", self.client]
        subprocess.run([*command, SUPPORT / "vkclient.c", "-ldl"], check=True)

    @property
    def client(self) -> str:
        return str(self.folder / "vkclient")

    def shader(self, name: str, source: str) -> str:
        """Compile GLSL; ``name`` ends in the stage."""
        path = self.folder / name
        path.write_text(source)
        command = ["glslangValidator", "-V", "--quiet", "-o", f"{path}.spv", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return f"{path}.spv"

    def put(self, name: str, data: np.ndarray) -> str:
        """Write an input file."""
        path = self.folder / name
        path.write_bytes(data.tobytes())
        return str(path)

    def panvk(self, *args: object) -> tuple[int, list[str]]:
        """Run the client on the simulated GPU: its exit status, and what the kernel had to say."""
        with Session() as session:
            command = [self.client, *map(str, args)]
            (status,) = session.run([command], root=self.root, environment=os.environ)
            return status, [line for _, line in session.kernel.log]

    def lavapipe(self, *args: object) -> None:
        """Run the client on lavapipe."""
        command = ["qemu-aarch64", "-L", self.root, self.client, *map(str, args)]
        subprocess.run(command, check=True, env={**os.environ, **_LAVAPIPE})

    def both(self, args: list[object], out: int) -> tuple[np.ndarray, np.ndarray]:
        """Run on both; ``out`` is which argument names the output.  (ours, lavapipe's) as bytes."""
        results = []
        for name, run in (("ours", self.panvk), ("theirs", self.lavapipe)):
            args[out] = str(self.folder / name)
            answer = run(*args)
            assert answer is None or answer[0] == 0, answer
            results.append(np.fromfile(args[out], np.uint8))
        return results[0], results[1]
