"""What a call that the gateway carries costs: ioctls of a real C program, native and emulated.

    python benchmarks/gateway.py

Beside them getppid(2), which is not trapped, of the same process in the same round.  Prints the fastest round
and the median of rounds, and the processor time that the gateway takes for a call: on a machine with other
work the wall clock shows the others' share, too.
"""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

from ring3.errors import MissingPart
from ring3.gateway.session import RENDER, Session

ROUNDS, CALLS = 15, 1000
SOURCE = f"""
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
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
    uint32_t syncobj[2] = {{ 0, 0 }};
    int fd = open("{RENDER}", O_RDWR), round, n;
    for (round = 0; round < {ROUNDS}; round++) {{
        double start = now(), caps, syncobjs;
        for (n = 0; n < {CALLS}; n++)
            if (ioctl(fd, _IOWR('d', 0x0c, uint64_t[2]), cap)) return 1;
        caps = now() - start;
        start = now();
        for (n = 0; n < {CALLS} / 2; n++) {{
            syncobj[1] = 0;
            if (ioctl(fd, _IOWR('d', 0xbf, uint32_t[2]), syncobj)) return 2;
            if (ioctl(fd, _IOWR('d', 0xc0, uint32_t[2]), syncobj)) return 3;
        }}
        syncobjs = now() - start;
        start = now();
        for (n = 0; n < {CALLS}; n++) syscall(SYS_getppid);
        printf("%.3f %.3f %.3f\\n", caps / {CALLS}, syncobjs / {CALLS}, (now() - start) / {CALLS});
    }}
    return 0;
}}
"""


def measure(compiler: str, *flags: str) -> tuple[list[list[float]], float]:
    """Microseconds of GET_CAP, of SYNCOBJ_CREATE and DESTROY and of getppid, a round each; and those of the
    gateway's processor time for one of its calls."""
    with tempfile.TemporaryDirectory() as folder, Session() as session:
        program = Path(folder, "calls")
        build = [compiler, "-O1", *flags, "-x", "c", "-", "-o", str(program)]
        subprocess.run(build, input=SOURCE, text=True, check=True)
        reader, writer = os.pipe()
        saved = os.dup(1)
        os.dup2(writer, 1)
        before = resource.getrusage(resource.RUSAGE_SELF)
        try:
            (status,) = session.run([[str(program)]])
        finally:
            os.dup2(saved, 1)
            os.close(writer)
        after = resource.getrusage(resource.RUSAGE_SELF)
        text = os.read(reader, 65536).decode()
        assert status == 0, status
    rounds = [list(map(float, line)) for line in re.findall(r"([\d.]+) ([\d.]+) ([\d.]+)", text)]
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [list(column) for column in zip(*rounds, strict=True)], spent * 1e6 / (
        2 * ROUNDS * CALLS
    )


def main() -> None:
    """Measure both carriers."""
    for name, compiler, flags in (
        ("native, static", "gcc", ("-static",)),
        ("arm64 under qemu-user", "aarch64-linux-gnu-gcc", ()),
    ):
        try:
            columns, gateway = measure(compiler, *flags)
        except (MissingPart, FileNotFoundError) as error:
            print(f"{name}: left out: {error}")
            continue
        print(f"{name}: the gateway takes {gateway:.1f} us of processor time a call")
        plain = statistics.median(columns[2])
        for what, times in zip(
            ("GET_CAP", "SYNCOBJ_CREATE, DESTROY", "getppid"), columns, strict=True
        ):
            middle = statistics.median(times)
            print(
                f"  {what:24} fastest {min(times):6.2f} us, median {middle:6.2f} us, "
                f"{middle / plain:6.1f} x getppid"
            )


if __name__ == "__main__":
    main()
