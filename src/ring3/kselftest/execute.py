"""One test program run on this machine, natively or under qemu-user, so that nothing of it stays.

The program gets a session, an empty folder and /dev/null of its own.  When it ends, or must be ended, so do
all processes it started: those of its session, and those that left it, found by a mark in their
environment.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from threading import Event

from ring3.arch import Arch
from ring3.errors import MissingPart
from ring3.kselftest.outcome import Outcome, Trouble
from ring3.nolibc import toolchain

#: Most bytes of output that a test may print; more is a flood.
LIMIT = 1 << 20
_MARK = "RING3_KSELFTEST"
_GRACE = 0.2  # seconds that children get to print their last after the program's end


def run_here(
    name: str,
    program: Path,
    arch: Arch,
    *,
    timeout: float,
    limit: int = LIMIT,
    stop: Event | None = None,
) -> Outcome:
    """Run ``program`` with nothing on standard input; ``timeout`` in seconds, ``limit`` in bytes.

    Once ``stop`` is set its time is over.
    Raises MissingPart when nothing here runs programs of ``arch``.
    """
    before = toolchain.runner(arch)
    if before is None:
        raise MissingPart(
            f"nothing here runs {arch.name}",
            remedy="apt-get install qemu-user" if arch.toolchain.qemu else "use another --arch",
        )
    mark = uuid.uuid4().hex
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ring3-kselftest-") as folder:
        try:
            running = subprocess.Popen(
                [*before, str(program)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=folder,
                env={**os.environ, _MARK: mark},
            )
        except OSError as error:
            return Outcome(name, arch.name, trouble="not run", detail=error.strerror or str(error))
        try:
            output, trouble = _collect(running, began + timeout, limit, stop or Event())
        finally:
            left = _end(running, mark)
        code = running.returncode
    detail = {"time-out": f"{timeout:g} s", "flood": f"more than {limit} bytes of output"}
    return Outcome(
        name,
        arch.name,
        output=output,
        code=None if trouble else code,
        seconds=time.monotonic() - began,
        trouble=trouble,
        detail=detail.get(trouble, ""),
        left_behind=left,
    )


def _collect(
    running: subprocess.Popen[bytes], deadline: float, limit: int, stop: Event
) -> tuple[bytes, Trouble]:
    """What the program prints until it ends, the time is over or it is too much."""
    assert running.stdout is not None
    output = bytearray()
    ended: float | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(running.stdout, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if ended is None and running.poll() is not None:
                # Whoever still holds the pipe may finish its line, and no more.
                ended = now
            if ended is None and (now >= deadline or stop.is_set()):
                return bytes(output), "time-out"
            if ended is not None and now >= ended + _GRACE:
                return bytes(output), ""
            if not selector.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    running.wait(min(0.05, max(0.0, deadline - now)))
                continue
            if not selector.select(0.05):
                continue
            chunk = os.read(running.stdout.fileno(), 1 << 16)
            if not chunk:
                selector.unregister(running.stdout)
                if ended is not None:
                    return bytes(output), ""
                continue
            output += chunk
            if len(output) > limit:
                return bytes(output[:limit]), "flood"


def _end(running: subprocess.Popen[bytes], mark: str) -> int:
    """Kill what is left of the session and of the marked; how many outlived the program itself."""
    assert running.stdout is not None
    by_itself = running.poll() is not None
    left: set[int] = set()
    for _ in range(100):  # one that forks while it is hunted is met again
        found = _left(running.pid, mark.encode())
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found and running.poll() is not None:
            break
        left |= found
        time.sleep(0.005)
    running.wait()
    running.stdout.close()
    return len(left) if by_itself else 0


def _left(session: int, mark: bytes) -> set[int]:
    """Living processes of a session, or whose environment bears the mark."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything: state, parent, group, session.
            fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
            if fields[0] in (b"Z", b"X"):
                continue
            if int(fields[3]) == session or mark in (process / "environ").read_bytes():
                found.add(int(process.name))
        except (OSError, IndexError):
            continue  # it ended meanwhile, or is another user's
    return found
