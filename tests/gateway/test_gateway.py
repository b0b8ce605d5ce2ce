"""Real processes on a toy device: what a client sees, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import gateway_toy as toy
import pytest

from ring3.gateway.guest import emulated
from ring3.gateway.server import Device, Gateway
from ring3.kernel import Kernel

EXPECTED = """\
open ok, absent -1
device 1 226:128
reverse 0 fedcba9876543210
bad pointer -1 Bad address
unknown -1 Inappropriate ioctl for device
map ok from the device
bad map 1 Invalid argument
fence 0 poll 0
identity 1 0
poll 1 1
waited 7, child 3
"""


@pytest.fixture
def device() -> Iterator[toy.Device]:
    kernel = Kernel(clock="real")
    made = toy.Device(kernel)
    made.memory.write(0, b"from the device\0")
    yield made
    kernel.close()


@pytest.fixture
def gateway(device: toy.Device) -> Iterator[Gateway]:
    made = Gateway(device.kernel, {"/dev/dri/toy": Device(device.open, os.makedev(226, 128))})
    yield made
    made.close()


def build(compiler: str, folder: Path, *flags: str) -> str:
    program = folder / "toy"
    source = Path(__file__).with_name("toy.c")
    subprocess.run([compiler, "-O1", "-Wall", "-o", program, source, *flags], check=True)
    return str(program)


def forgotten(gateway: Gateway, device: toy.Device) -> None:
    """Nothing is left of any client."""
    assert len(gateway.handles) == 0
    assert gateway.clients == {}
    assert gateway.calls == {}


@pytest.mark.parametrize("link", ["-static", "-dynamic"])
def test_a_native_program(
    link: str, gateway: Gateway, device: toy.Device, needs: Callable[[str], str],
    tmp_path: Path, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    flags = [link] if link == "-static" else []
    program = build(needs("gcc"), tmp_path, *flags, "-lpthread")
    assert gateway.run([program]) == 0
    assert capfd.readouterr().out == EXPECTED
    assert device.memory.read(0, 15) == b"from the client"
    assert sorted(device.released) == ["toy", "toy-fence"]
    forgotten(gateway, device)


def test_a_guest_under_qemu(
    gateway: Gateway, device: toy.Device, needs: Callable[[str], str],
    tmp_path: Path, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    needs("qemu-aarch64")
    root = Path(needs("oracle:mesa"))
    program = build(needs("aarch64-linux-gnu-gcc"), tmp_path, "-lpthread")
    assert gateway.run(emulated([program], root)) == 0
    assert capfd.readouterr().out == EXPECTED
    assert device.memory.read(0, 15) == b"from the client"
    assert sorted(device.released) == ["toy", "toy-fence"]
    forgotten(gateway, device)


def test_a_client_killed_in_a_wait_leaves_nothing_and_harms_nobody(
    gateway: Gateway, device: toy.Device, needs: Callable[[str], str], tmp_path: Path
) -> None:
    program = build(needs("gcc"), tmp_path, "-static", "-lpthread")
    victim = gateway.spawn([program, "wait"])
    gateway.kernel.run(until=lambda: bool(device.queue.waiters))
    os.kill(victim, signal.SIGKILL)
    assert gateway.wait(victim) == -signal.SIGKILL
    forgotten(gateway, device)
    assert device.released == ["toy"]
    assert gateway.run([program, "signal"]) == 0


def test_a_program_that_is_not_there_is_named(gateway: Gateway) -> None:
    with pytest.raises(FileNotFoundError, match="no such program"):
        gateway.run(["/no/such/program"])
