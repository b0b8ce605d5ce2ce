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

# What Numba compiles cannot be instrumented: it is imported first, by itself.
from ring3.sframe import cfi_section, decode_rows, encode_rows, verify_walk  # noqa: F401

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
            verdict = verify.compare(back, made)
            assert not verdict.differences or overlapping(made.functions), verdict


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


#: The smallest section: one AMD64 function with one row, CFA = SP + 8.
EXAMPLE = bytes.fromhex(
    "e2de0305 0300f800 01000000 01000000 08000000 00000000 10000000"
    "0010000000000000 10000000 00000000 0100000000 000308"
)

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

    for warm in (fuzz_section, TARGETS["cfi"], TARGETS["debug"]):
        with contextlib.suppress(Ring3Error):  # compiling takes longer than the time limit
            warm(EXAMPLE if warm is fuzz_section else b"\0" * 9)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
