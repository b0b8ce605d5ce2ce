"""Booting a kernel once, with a folder as its root and a program as its init, and keeping what it says.

User-mode Linux mounts the folder by hostfs; x86 under QEMU gets it as an initramfs.  Whatever happens -
a panic, a hang, a flood - the boot ends, and nothing of it stays behind.

Sources: Documentation/virt/uml/user_mode_linux_howto_v2.rst, QEMU's documentation of the microvm machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal

from ring3 import probes
from ring3.errors import BadInput, MissingPart
from ring3.kselftest import cpio
from ring3.kselftest.kernel import Image

Machine = Literal["microvm", "pc"]


@dataclass(frozen=True)
class Boot:
    """A boot that is over: all it printed, and how it ended.

    ``code`` is the exit code of User-mode Linux or QEMU, negative the signal that ended it.  ``ended`` is
    "by itself", "time-out" or "flood"; in the latter two it was killed.
    """

    output: bytes
    code: int
    ended: Literal["by itself", "time-out", "flood", "on request"]
    seconds: float
    command: tuple[str, ...]

    @property
    def log(self) -> str:
        """The console's text; bytes that are no UTF-8 are shown as U+FFFD."""
        return self.output.decode(errors="replace").replace("\r\n", "\n")


def boot(
    image: Image,
    root: Path | None = None,
    *,
    init: str = "/init",
    cmdline: Sequence[str] = (),
    memory: int = 256,
    timeout: float = 60,
    limit: int = 64 << 20,
    machine: Machine = "microvm",
    on_line: Callable[[str], None] | None = None,
    until: re.Pattern[str] | None = None,
) -> Boot:
    """Boot ``image`` with the folder ``root`` as its root file system and ``init`` (a path in it) as init.

    ``cmdline`` are further words for the kernel; what follows ``--`` goes to init.  ``memory`` is in MiB,
    ``timeout`` in seconds, ``limit`` the most bytes of console output.  An init that is done switches the
    machine off: reboot(RB_POWER_OFF), under QEMU reboot(RB_AUTOBOOT), which ends QEMU.  ``on_line`` sees
    each line as it comes; the boot is stopped at a line that matches ``until``.

    Raises MissingPart without QEMU, BadInput for a root or an image that cannot be used.
    """
    if not image.path.is_file():
        raise BadInput("no kernel image", where=str(image.path))
    if root is not None and not root.is_dir():
        raise BadInput("no folder", where=str(root))
    with tempfile.TemporaryDirectory(prefix="ring3-boot-") as folder:
        if image.arch == "um":
            words = _uml(image, root, init, cmdline, memory, Path(folder))
        else:
            accel = "kvm" if _kvm_boots(image, machine) else "tcg"
            words = _qemu(image, root, init, cmdline, memory, Path(folder), machine, accel)
        booted = _watch(words, timeout, limit, on_line, until)
    if booted.code == 1 and booted.output.startswith(b"qemu"):
        raise BadInput(booted.log.splitlines()[0], where=str(image.path))
    return booted


def accelerator(image: Image, machine: Machine = "microvm") -> str:
    """What runs the CPU of a boot: "kvm" where this image has proved to start with it, else "tcg"; of
    User-mode Linux, "native"."""
    if image.arch == "um":
        return "native"
    return "kvm" if _kvm_boots(image, machine) else "tcg"


def _uml(
    image: Image, root: Path | None, init: str, cmdline: Sequence[str], memory: int, folder: Path
) -> list[str]:
    words = [
        str(image.path.resolve()),
        f"mem={memory}M",
        f"uml_dir={folder}",
        *("con=null", "con0=fd:0,fd:1", "console=tty0", "rw"),
    ]
    if root is not None:
        place = str(root.resolve())
        if re.search(r"[\s,\"]", place):
            raise BadInput(
                "a root of User-mode Linux may have no blank, comma or quote in its path",
                where=place,
            )
        words += ["root=/dev/root", "rootfstype=hostfs", f"rootflags={place}", f"init={init}"]
    return [*words, *cmdline]


def _qemu(
    image: Image,
    root: Path | None,
    init: str,
    cmdline: Sequence[str],
    memory: int,
    folder: Path,
    machine: Machine,
    accel: str,
) -> list[str]:
    qemu = shutil.which("qemu-system-x86_64")
    if qemu is None:
        raise MissingPart("no QEMU for x86_64", remedy="apt-get install qemu-system-x86")
    append = ["console=ttyS0", "panic=-1", "reboot=t", "earlyprintk=serial"]
    words = [qemu, "-M", machine, "-accel", accel, "-cpu", "host" if accel == "kvm" else "max"]
    words += [
        "-m",
        f"{memory}M",
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
    ]
    words += ["-serial", "stdio", "-kernel", str(image.path)]
    if root is not None:
        initrd = folder / "initramfs"
        initrd.write_bytes(cpio.archive(root))
        words += ["-initrd", str(initrd)]
        append.append(f"rdinit={init}")
    return [*words, "-append", " ".join([*append, *cmdline])]


@lru_cache
def _kvm_boots(image: Image, machine: Machine) -> bool:
    """Whether ``image`` gets as far as its banner under KVM within ten seconds.

    A /dev/kvm that runs one instruction may still fail at a kernel (nested virtualisation).
    """
    if probes.kvm() is None:
        return False
    with tempfile.TemporaryDirectory(prefix="ring3-boot-") as folder:
        words = _qemu(image, None, "", (), 256, Path(folder), machine, "kvm")
        banner = re.compile("Linux version .*")
        tried = _watch(words, 10, 1 << 20, None, banner)
    return tried.ended == "on request"


def _watch(
    words: Sequence[str],
    timeout: float,
    limit: int,
    on_line: Callable[[str], None] | None,
    until: re.Pattern[str] | None,
) -> Boot:
    """Run ``words`` until it ends or must be ended, and keep what it prints."""
    began = time.monotonic()
    try:
        running = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise BadInput(f"does not start: {error.strerror}", where=words[0]) from None
    assert running.stdout is not None
    output = bytearray()
    ended: Literal["by itself", "time-out", "flood", "on request"] = "by itself"
    shown = 0  # bytes whose lines have been handed out
    try:
        for chunk in _chunks(running.stdout, began + timeout):
            if chunk is None:
                ended = "time-out"
                break
            output += chunk
            if len(output) > limit:
                ended = "flood"
                del output[limit:]
                break
            if on_line is None and until is None:
                continue
            whole = output.rfind(b"\n") + 1
            lines = output[shown:whole].decode(errors="replace").splitlines()
            shown = max(shown, whole)
            if on_line:
                for line in lines:
                    on_line(line)
            if until and any(until.search(line) for line in lines):
                ended = "on request"
                break
        if ended == "by itself":
            try:
                running.wait(max(0.1, began + timeout - time.monotonic()))
            except subprocess.TimeoutExpired:
                ended = "time-out"
    finally:
        # User-mode Linux has processes of its own; they go with the session's group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        code = running.wait()
        running.stdout.close()
    return Boot(bytes(output), code, ended, time.monotonic() - began, tuple(words))


def _chunks(stream: IO[bytes], deadline: float) -> Iterator[bytes | None]:
    """What arrives on ``stream`` until it ends; None once ``deadline`` has passed."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                yield None
                return
            chunk = os.read(stream.fileno(), 1 << 16)
            if not chunk:
                return
            yield chunk
