"""A fuzz run by hand: python tests/sframe/fuzz_sframe.py TARGET [-max_total_time=60 ...]

Needs atheris (pip install atheris).  NUMBA_BOUNDSCHECK=1 with a NUMBA_CACHE_DIR of its own makes compiled
code check every index, too.  Targets: section (decode, print, encode, decode again), cfi, debug, orc.
Anything but an answer or a ring3 error is a crash.
"""

from __future__ import annotations

import contextlib
import sys

import atheris
import numpy as np

with atheris.instrument_imports(include=["ring3.sframe"]):
    from ring3 import arch
    from ring3.errors import Ring3Error
    from ring3.sframe import cfi, dump, encode, orc, section, verify
    from ring3.sframe.decode import decode

MACHINES = [arch.by_name(name) for name in cfi.ARCHS]


def fuzz_section(data: bytes) -> None:
    parsed = section.parse(data)
    made = decode(parsed)
    for _ in dump.text(parsed):
        pass
    for version in (2, 3):
        again = encode.encode(made, version=version)
        back = decode(section.parse(again.data))
        if version == 3 and not again.refused and len(made.functions) < 100:
            assert verify.compare(back, made).differences == 0 or overlapping(made.functions)


def overlapping(functions: np.ndarray) -> bool:
    """Whether look-ups in ``functions`` depend on their order: then equal tables may differ."""
    return bool((functions["start"][1:] == functions["start"][:-1]).any())


def interpret(data: bytes, debug: bool) -> None:
    if data:
        machine = MACHINES[data[0] % len(MACHINES)]
        made = cfi.interpret(machine, np.frombuffer(data[1:], np.uint8), 0x1000, debug=debug)
        encode.encode(made)


def fuzz_orc(data: bytes) -> None:
    layouts = list(orc.LAYOUTS.values())
    if data:
        layout = layouts[data[0] % len(layouts)]
        body = data[1 : 1 + (len(data) - 1) // 6 * 6]
        orc.rows_of(np.frombuffer(body, orc.ENTRY), layout)


TARGETS = {
    "section": fuzz_section,
    "cfi": lambda data: interpret(data, False),
    "debug": lambda data: interpret(data, True),
    "orc": fuzz_orc,
}


def main() -> None:
    target = TARGETS[sys.argv.pop(1)]

    def one(data: bytes) -> None:
        with contextlib.suppress(Ring3Error):
            target(data)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
