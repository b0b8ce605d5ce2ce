"""Single steps show what is executed, and change nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from ring3.cli.panthor import panthor
from ring3.kernel import Kernel
from ring3.panthor.device import PanthorDevice
from ring3.panthor.step import Stepper, Stop, stepped
from ring3.umd.draw import triangle
from tests.panthor.conftest import DATA, STREAM, Store


def test_every_instruction_of_a_stream_with_the_registers_it_changed() -> None:
    kernel = Kernel()
    device = PanthorDevice(kernel)
    client = Store(device)
    stops: list[Stop] = []
    device.hardware.debugger = Stepper(device, stops.append)
    done = client.syncobj()
    client.store(0xCAFE, signals=[done])
    client.wait(done)
    assert client.value() == 0xCAFE
    inside = [stop for stop in stops if STREAM <= stop.pc < STREAM + 24]
    assert [stop.pc - STREAM for stop in inside] == [0, 8, 16]
    assert [stop.text.split()[0] for stop in inside] == ["MOVE", "MOVE32", "STORE_MULTIPLE"]
    assert inside[1].registers[10] == DATA
    assert inside[1].changed == (10,)
    assert inside[2].registers[20] == 0xCAFE
    assert inside[2].changed == (20,)
    kernel.close()


def test_shaders_are_stepped_and_draw_the_same() -> None:
    stops: list[Stop] = []

    def watch(device: PanthorDevice) -> None:
        device.hardware.debugger = Stepper(device, stops.append, shaders=True)

    assert np.array_equal(triangle(32, 32, prepare=watch).image, triangle(32, 32).image)
    shaders = [stop for stop in stops if stop.unit == "shader"]
    blends = [stop for stop in shaders if stop.text.startswith("BLEND")]
    # The fragment shader runs for whole quads of the triangle's pixels: about a third of 32 x 32.
    assert 200 < sum(stop.threads[0] for stop in blends) < 1024
    assert all(stop.threads[0] <= stop.threads[1] for stop in shaders)
    # A fragment's colour stands in r0 to r3 when it is blended: alpha 1.0 everywhere.
    assert {stop.registers[3] for stop in blends} == {0x3F800000}


def test_from_and_count() -> None:
    stops = stepped(lambda prepare: triangle(16, 16, prepare=prepare), start="run_idvs", count=2)
    assert [stop.text.split()[0] for stop in stops] == ["RUN_IDVS", "FINISH_TILING"]


def test_the_prompt(tmp_path: Path) -> None:
    commands = "n\nb RUN_FRAGMENT\nr\nx 0x1000000 16\nx nonsense\nh\nc\n"
    result = CliRunner().invoke(panthor, ["step", "-i"], input=commands)
    assert result.exit_code == 0, result.output
    assert "RUN_FRAGMENT" in result.output
    assert "x ADDRESS [BYTES]" in result.output
    assert result.output.rstrip().endswith("the end")
