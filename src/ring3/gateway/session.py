"""One simulated Panthor GPU with its gateway, and programs run on it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from ring3.arch import host
from ring3.dma_buf.file import Process
from ring3.dma_buf.sw_sync import SwSync
from ring3.drm.file import DrmFile
from ring3.elf import Elf
from ring3.errors import BadInput
from ring3.gateway import sysroot
from ring3.gateway.guest import emulated
from ring3.gateway.memory import host_memory
from ring3.gateway.server import Device, Gateway
from ring3.kernel import Kernel
from ring3.panthor.device import PanthorDevice

RENDER = f"/dev/dri/renderD{sysroot.RENDER_NODE[1]}"
#: What tells the loader of Vulkan drivers in a system root to take Mesa's for Mali.
PANVK = {"VK_DRIVER_FILES": "/usr/share/vulkan/icd.d/panfrost_icd.json"}


class Session:
    """A machine with a Mali: a kernel on the real clock, the driver, the gateway.  A context manager."""

    def __init__(self) -> None:
        self.kernel = Kernel(clock="real")
        self.panthor = PanthorDevice(self.kernel, allocate=host_memory)
        rdev = os.makedev(*sysroot.RENDER_NODE)
        sw_sync = Device(self._open_sw_sync, os.makedev(10, 125))
        self.gateway = Gateway(
            self.kernel,
            {
                RENDER: Device(lambda process: DrmFile(self.panthor, process), rdev),
                "/dev/sw_sync": sw_sync,
                "/sys/kernel/debug/sync/sw_sync": sw_sync,
            },
        )

    def _open_sw_sync(self, process: Process) -> SwSync:
        timeline = SwSync(self.panthor.fences, f"{process.comm}-{process.pid}")
        if self.panthor.recorder is not None:
            self.panthor.recorder.opened(timeline, process)
        return timeline

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.gateway.close()
        self.kernel.close()

    def start(
        self, command: Sequence[str], *, root: Path | None = None, environment: Mapping[str, str]
    ) -> int:
        """Start ``command``: natively if it is of this machine, else by an emulator in ``root``."""
        path = program(command[0], root).absolute()
        with Elf(path) as elf:
            native = elf.arch is host()
        if native:
            return self.gateway.spawn([str(path), *command[1:]], environment)
        line = emulated([str(path), *command[1:]], root or sysroot.find())
        return self.gateway.spawn(line, {**PANVK, **environment})

    def run(
        self,
        commands: Sequence[Sequence[str]],
        *,
        root: Path | None = None,
        environment: Mapping[str, str] | None = None,
        started: Callable[[int], None] = lambda pid: None,
    ) -> list[int]:
        """Run programs side by side to their ends; their exit statuses (-n: killed by signal n).

        An interruption ends them, too: nobody would answer their calls any more.
        """
        settings = os.environ if environment is None else environment
        pids: list[int] = []
        statuses: list[int] = []
        try:
            for command in commands:
                pids.append(self.start(command, root=root, environment=settings))
                started(pids[-1])
            for pid in pids:
                statuses.append(self.gateway.wait(pid))
        except KeyboardInterrupt:
            for pid in pids[len(statuses) :]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            raise
        return statuses


def program(name: str, root: Path | None) -> Path:
    """The file of ``name``: a path, or a program in ``root``'s or this machine's folders.

    BadInput when there is none.
    """
    if "/" in name:
        path = Path(name)
        if path.is_file():
            return path
        raise BadInput("no such program", where=name)
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep)]
    if root is not None:
        folders = [root / "usr/bin", *folders]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise BadInput("no such program", where=name, remedy="give its path")
