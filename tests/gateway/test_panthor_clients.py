"""Real processes on the Panthor driver without Mesa: several at once, hostile ones, dying ones."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ring3.dma_buf.cstruct import CStruct, Ioctl, c_declaration
from ring3.drm import uapi as drm
from ring3.gateway.session import RENDER, Session
from ring3.mali.cs.table import encode
from ring3.panthor import uapi

SOURCE = Path(__file__).with_name("panthor_client.c")


def header() -> str:
    """The interface in C, from the declarations that are checked against the real header elsewhere."""
    ioctls = [*uapi.IOCTLS, *drm.IOCTLS]
    kinds: list[type[CStruct]] = [*uapi.STRUCTS]
    kinds += [each.argument for each in drm.IOCTLS if isinstance(each.argument, type)]
    structs = [c_declaration(kind) for kind in dict.fromkeys(kinds)]
    numbers = [f"#define {_short(each)} {each.number:#x}u" for each in ioctls]
    words = {
        "STORE_R20_TO_R10": encode("STORE_MULTIPLE", base=20, address=10, mask=1),
        "LOAD_R20_FROM_R10": encode("LOAD_MULTIPLE", base=20, address=10, mask=1),
        "WAIT_ALL_SCOREBOARDS": encode("WAIT", wait_mask=0xFF),
        "BRANCH_TO_ITSELF": encode("BRANCH", condition=6, offset=-1),
    }
    macros = [f"#define {name} {word:#x}ull" for name, word in words.items()]
    types = "#include <linux/types.h>"
    return "\n".join([types, *structs, *numbers, *macros, f'#define RENDER "{RENDER}"'])


def _short(ioctl: Ioctl) -> str:
    return ioctl.name.removeprefix("DRM_IOCTL_").removeprefix("PANTHOR_")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("panthor-client")


@pytest.fixture
def client(folder: Path, needs: Callable[[str], str]) -> str:
    program = folder / "client"
    if not program.exists():
        (folder / "uapi.h").write_text(header())
        command = [needs("gcc"), "-O1", "-Wall", "-static", f"-I{folder}", "-o", program, SOURCE]
        subprocess.run([*command, "-lpthread"], check=True)
    return str(program)


@pytest.fixture
def session() -> Iterator[Session]:
    gc.collect()  # earlier tests' sessions shall not be in the census
    with Session() as made:
        yield made


def descriptors() -> int:
    """This process's open files, without those that a folder has (programs whose headers were read)."""
    links = []
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            links.append(str(fd.readlink()))
    return sum(not link.startswith("/") or link.startswith(("/memfd:", "/proc")) for link in links)


def census(session: Session) -> dict[str, int]:
    """What clients could have left behind."""
    device = session.panthor
    session.kernel.run(until_time=session.kernel.now() + 100_000_000)
    return {
        "descriptors": descriptors(),
        "files": len(device.files),
        "clients": len(session.gateway.clients),
        "handles": len(session.gateway.handles),
        "groups": sum(group is not None for group in device.sched.slots),
        "memory": device.memory_used,
        "tables": device.table_pool.used,
        "buffers": len(device.objects()),
        "calls": len(session.gateway.calls),
    }


def test_clients_and_threads_side_by_side(
    session: Session, client: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = census(session)
    assert session.run([[client, "submit", "4", "8"]] * 3) == [0, 0, 0]
    assert capfd.readouterr().out == "4 threads, 8 jobs each\n" * 3
    assert census(session) == before


def test_a_program_is_found_by_a_relative_path(
    session: Session, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(client).parent)
    assert session.run([["./client", "submit", "1", "1"]]) == [0]


def test_descriptors_behave_as_the_kernels(
    session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    """mmap, poll, fstat, fdinfo, dup, fork, exec, SCM_RIGHTS, signals, names: see files_client.py."""
    before = census(session)
    program = Path(__file__).with_name("files_client.py")
    assert session.run([[sys.executable, str(program), RENDER]]) == [0]
    assert capfd.readouterr().out == "all as it should be\n"
    assert census(session) == before


def test_a_deadline_is_the_clients_clock(
    session: Session, client: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert session.run([[client, "timeout"]]) == [0]
    assert capfd.readouterr().out == "Timer expired after a while\n"


def test_a_stream_without_end_holds_up_its_own_client_only(
    session: Session, client: str, capfd: pytest.CaptureFixture[str]
) -> None:
    spinning = session.start([client, "spin"], environment=os.environ)
    session.kernel.run(until=lambda: bool(session.panthor.hardware.steps > 1000))
    began = time.monotonic()
    assert session.run([[client, "submit", "1", "4"]]) == [0]
    # The spinning job is ended after five seconds; this one did not wait for that.
    assert not session.panthor.gpu.slots[0].idle
    assert time.monotonic() - began < 60
    assert session.gateway.wait(spinning) == 0
    assert capfd.readouterr().out.endswith(f"state {uapi.GROUP_STATE_TIMEDOUT}\n")


def test_producer_and_consumer_are_reconciled_through_the_buffer(
    session: Session, client: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The producer puts its job's fence into the dma-buf (IMPORT_SYNC_FILE), the consumer takes out what it
    has to wait for (EXPORT_SYNC_FILE); each synchronises explicitly."""
    before = census(session)
    assert session.run([[client, "share"]]) == [0]
    assert capfd.readouterr().out.splitlines() == [
        "consumer: submitted, its fence is pending",
        "producer: goes on",
        "consumer: read 0xbeef",
    ]
    assert census(session) == before


@pytest.mark.parametrize("seed", range(3))
def test_hostile_calls_harm_nobody_else(
    session: Session, client: str, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    before = census(session)
    hostile = [client, "fuzz", str(seed), "2000"]
    assert session.run([hostile, [client, "submit", "2", "8"]]) == [0, 0]
    assert "2 threads, 8 jobs each" in capfd.readouterr().out
    assert census(session) == before


@pytest.mark.oracle
def test_clients_killed_at_any_moment_leave_nothing(session: Session, client: str) -> None:
    before = census(session)
    dice = random.Random(7)
    modes = [["submit", "2", "100"], ["wait"], ["fuzz", "5", "100000"]]
    for number in range(200):
        pid = session.start([client, *modes[number % 3]], environment=os.environ)
        session.kernel.run(until_time=session.kernel.now() + dice.randrange(1, 12_000_000))
        os.kill(pid, signal.SIGKILL)
        assert session.gateway.wait(pid) == -signal.SIGKILL
    assert session.run([[client, "submit", "1", "2"]]) == [0]
    assert census(session) == before
