"""Unwinding recorded samples beside perf script, in one run.

    python benchmarks/sframe_unwind.py

Times are CPU time (user and system) unless they say "wall", medians of several runs, since other work on
the machine stretches the clock but hardly the CPU time.  JIT and unwind tables are cached, as they are
from the second use of ring3 on.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ring3.sframe import bulk, samples
from ring3.sframe.images import Images
from ring3.sframe.unwind import Stop

WORK = """
import json, re, time
def deep(n): return deep(n - 1) if n else json.loads(json.dumps([{"a": list(range(30))}] * 20))
end = time.process_time() + 2
while time.process_time() < end:
    sorted([3, 1, 2], key=lambda n: len(deep(n)) + len(re.findall("a+", "ab" * 99)))
"""
RUNS = 7


def cpu(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of a command, its output thrown away."""
    begin = time.perf_counter()
    with Path(os.devnull).open("wb") as null:
        child = subprocess.Popen(command, stdout=null, stderr=null)
        _, _, used = os.wait4(child.pid, 0)
        child.returncode = 0
    return used.ru_utime + used.ru_stime, time.perf_counter() - begin


def median(command: list[str], runs: int = RUNS) -> tuple[float, float]:
    times = [cpu(command) for _ in range(runs)]
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)


def recordings(folder: Path) -> None:
    perf = shutil.which("perf")
    if perf is None:
        print("recordings: perf is not here")
        return
    path = folder / "perf.data"
    record = [perf, "record", "-q", "-F", "1999", "--call-graph", "dwarf", "-o", str(path)]
    subprocess.run([*record, sys.executable, "-c", WORK], check=True)
    script = [perf, "script", "-i", str(path), "--no-inline"]
    bare, _ = median([*script, "-F", "tid,time"], 3)  # reads and prints, does not unwind
    whole, _ = median([*script, "-F", "tid,time,ip"], 3)
    recorded = samples.read(path)
    known = bulk.world(recorded, Images(recorded.images, recorded.extras).find)
    traces = bulk.unwind(recorded, known)
    ours, reading = [], []
    for _ in range(RUNS):
        begin = time.process_time()
        again = samples.read(path)
        world = bulk.world(again, Images(again.images, again.extras).find)
        middle = time.process_time()
        bulk.unwind(again, world)
        ours.append(time.process_time() - middle)
        reading.append(middle - begin)
    frames = len(traces.pc)
    user = (traces.stop <= Stop.CHAIN_END).mean()
    one, extra = statistics.median(ours) / frames, statistics.median(reading) / frames
    theirs = (whole - bare) / frames
    print(f"recording: {len(recorded)} samples, {frames} user frames, {user:.1%} complete")
    print(f"  ring3 unwinding          {one * 1e6:7.3f} us a frame")
    print(f"  ring3 reading and tables {extra * 1e6:7.3f} us a frame")
    print(
        f"  perf script unwinding    {theirs * 1e6:7.3f} us a frame (with less without call chains)"
    )
    print(f"  perf / ring3             {theirs / (one + extra):7.1f} x, reading included")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        recordings(Path(folder))
