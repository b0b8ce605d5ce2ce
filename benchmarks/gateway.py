"""What a call that the gateway carries costs: DRM_IOCTL_GET_CAP of a real process, native and emulated.

    python benchmarks/gateway.py

Prints medians over rounds, beside an ioctl of the same process that is not trapped.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

from ring3.errors import MissingPart
from ring3.gateway.session import RENDER, Session

SOURCE = f"""
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
static double now(void)
{{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}}
int main(void)
{{
    uint64_t cap[2] = {{ 6, 0 }};
    int fd = open("{RENDER}", O_RDWR), none = open("/dev/null", O_RDWR), round, n;
    for (round = 0; round < 7; round++) {{
        double start = now(), middle;
        for (n = 0; n < 1000; n++)
            if (ioctl(fd, _IOWR('d', 0x0c, uint64_t[2]), cap)) return 1;
        middle = now();
        for (n = 0; n < 1000; n++) ioctl(none, _IO('x', 1), 0);
        printf("%.3f %.3f\\n", (middle - start) / 1000, (now() - middle) / 1000);
    }}
    return 0;
}}
"""


def measure(compiler: str, *flags: str) -> tuple[float, float]:
    """Microseconds of a trapped and of an untrapped call."""
    with tempfile.TemporaryDirectory() as folder, Session() as session:
        program = Path(folder, "calls")
        build = [compiler, "-O1", *flags, "-x", "c", "-", "-o", str(program)]
        subprocess.run(build, input=SOURCE, text=True, check=True)
        reader, writer = os.pipe()
        saved = os.dup(1)
        os.dup2(writer, 1)
        try:
            (status,) = session.run([[str(program)]])
        finally:
            os.dup2(saved, 1)
            os.close(writer)
        text = os.read(reader, 65536).decode()
        assert status == 0, status
    rounds = [tuple(map(float, line)) for line in re.findall(r"([\d.]+) ([\d.]+)", text)]
    trapped, plain = zip(*rounds, strict=True)
    return statistics.median(trapped), statistics.median(plain)


def main() -> None:
    """Measure both carriers."""
    for name, compiler, flags in (
        ("native, static", "gcc", ("-static",)),
        ("arm64 under qemu-user", "aarch64-linux-gnu-gcc", ()),
    ):
        try:
            trapped, plain = measure(compiler, *flags)
        except (MissingPart, FileNotFoundError) as error:
            print(f"{name}: left out: {error}")
            continue
        print(
            f"{name}: {trapped:.1f} us a call, untrapped {plain:.2f} us, ratio {trapped / plain:.0f}"
        )


if __name__ == "__main__":
    main()
