"""C programs for the profiler: what they spin in, and how they are built."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path


def build(tmp_path: Path, needs: Callable[[str], str], name: str, source: str, *flags: str) -> Path:
    """The program ``name`` of C ``source``, built without frame pointers."""
    path = tmp_path / f"{name}.c"
    path.write_text(textwrap.dedent(source))
    out = tmp_path / name
    common = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls", "-Wl,--build-id"]
    subprocess.run([needs("gcc"), *common, path, *flags, "-o", out], check=True)
    return out


SPIN = """
#define N __attribute__((noinline))
#include <time.h>
volatile unsigned long work_done;
static double at(clockid_t c) { struct timespec t; clock_gettime(c, &t); return t.tv_sec + t.tv_nsec / 1e9; }
/* Seconds of CPU, whatever else runs here. */
static double used(void) { return at(CLOCK_THREAD_CPUTIME_ID); }
N void innermost(double end) { while (used() < end) for (int n = 0; n < 200000; n++) work_done += n; }
N void middle(double seconds) { innermost(used() + seconds); work_done++; }
"""
