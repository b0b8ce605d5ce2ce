"""The prompt of ``ring3 panthor step -i``."""

from __future__ import annotations

from contextlib import suppress

import click

from ring3.panthor.device import PanthorDevice
from ring3.panthor.step import Enough, Run, Stepper, Stop

HELP = """\
s, Enter   the next instruction
n          the next instruction of a command stream
b TEXT     go on until TEXT is in the instruction or its address
c          go on to the end
r          all registers that are not zero
x ADDRESS [BYTES]   memory as the GPU sees it here
q          stop"""


class Prompt:
    """Asks at every stop what to do; see :data:`HELP`."""

    def __init__(self, *, shaders: bool, start: str | None) -> None:
        self._shaders = shaders
        self._until = start
        self._streams_only = False
        self._stepper: Stepper | None = None

    def run(self, run: Run) -> None:
        """Step through what ``run`` makes a device do."""

        def prepare(device: PanthorDevice) -> None:
            self._stepper = Stepper(device, self._stop, shaders=self._shaders)
            device.hardware.debugger = self._stepper

        with suppress(Enough):
            run(prepare)
            click.echo("the end")

    def _stop(self, stop: Stop) -> None:
        if self._until is not None and not stop.matches(self._until):
            return
        if self._streams_only and stop.unit != "cs":
            return
        self._until, self._streams_only = None, False
        click.echo(str(stop))
        while self._ask(stop):
            pass

    def _ask(self, stop: Stop) -> bool:
        """One command; whether to ask again."""
        try:
            words = input("(step) ").split() or ["s"]
        except EOFError:
            raise Enough from None
        match words:
            case ["s"]:
                return False
            case ["n"]:
                self._streams_only = True
                return False
            case ["b", text]:
                self._until = text
                return False
            case ["c"]:
                self._until = "\0"
                return False
            case ["q"]:
                raise Enough
            case ["r"]:
                click.echo(stop.all_registers())
            case ["x", address, *size]:
                self._examine(stop, address, size)
            case _:
                click.echo(HELP)
        return True

    def _examine(self, stop: Stop, address: str, size: list[str]) -> None:
        assert self._stepper is not None
        try:
            at, count = int(address, 0), min(int(size[0], 0) if size else 64, 4096)
        except ValueError:
            click.echo("x ADDRESS [BYTES], numbers as 64 or 0x40")
            return
        data = self._stepper.memory(stop.queue, stop.slot, at, count)
        if not data:
            click.echo(f"{at:#x} is not mapped")
        for row in range(0, len(data), 16):
            click.echo(f"{at + row:#012x}  {data[row : row + 16].hex(' ', 4)}")
