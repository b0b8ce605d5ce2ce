"""Convert .eh_frame to SFrame beside peers that only read it: benchmarks/sframe_convert.py [FILE...]

readelf of binutils 2.47 interprets the same CFI and prints it; pyelftools decodes it.  All run one after
the other, three times each (pyelftools once), each run of ours in a new process whose import and JIT
loading times are given by themselves.  Times are CPU seconds, since other work may share the machine.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ring3 import oracles

RUNS = 3
DEFAULT = (
    "/lib/x86_64-linux-gnu/libc.so.6",
    *map(str, Path("/usr/lib/x86_64-linux-gnu").glob("libLLVM-1[0-9].so.1")),
    *map(str, Path.home().glob(".rustup/toolchains/stable-*/lib/librustc_driver-*.so")),
)

OURS = """
import time; begin = time.process_time()
import sys, json, resource
from pathlib import Path
from ring3.sframe.convert import convert
imported = time.process_time()
convert(Path("/proc/self/exe"))
loaded = time.process_time()
made = convert(Path(sys.argv[1]))
Path("/dev/null").write_bytes(made.encoded.data)
done = time.process_time()
print(json.dumps({
    "import": imported - begin, "jit": loaded - imported, "convert": done - loaded,
    "functions": made.encoded.functions, "ratio": made.ratio,
    "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""

PYELFTOOLS = """
import sys, time
from elftools.elf.elffile import ELFFile
begin = time.process_time()
with open(sys.argv[1], "rb") as file:
    entries = ELFFile(file).get_dwarf_info(relocate_dwarf_sections=False).EH_CFI_entries()
    failed = rows = 0
    for entry in entries:
        if not hasattr(entry, "get_decoded"):
            continue
        try:
            rows += len(entry.get_decoded().table)
        except Exception:
            failed += 1
print(time.process_time() - begin, rows, failed)
"""


def readelf(path: str) -> float:
    tree = oracles.find("binutils")
    command = [
        f"{tree}/usr/lib64/ld-linux-x86-64.so.2",
        "--library-path",
        f"{tree}/usr/lib/x86_64-linux-gnu",
        f"{tree}/usr/bin/readelf",
        "--debug-dump=frames-interp",
        path,
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(path: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", OURS, path], capture_output=True, text=True, check=True
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def pyelftools(path: str) -> tuple[float, int]:
    done = subprocess.run(
        [sys.executable, "-c", PYELFTOOLS, path], capture_output=True, text=True, check=True
    )
    seconds, _, failed = done.stdout.split()
    return float(seconds), int(failed)


def main(paths: list[str]) -> None:
    ours(paths[0])  # fills the JIT cache on disk
    for path in paths:
        mine, theirs = [], []
        for _ in range(RUNS):
            mine.append(ours(path))
            theirs.append(readelf(path))
        convert = statistics.median(run["convert"] for run in mine)
        read = statistics.median(theirs)
        slow, failed = pyelftools(path)
        last = mine[-1]
        print(
            f"{path}\n"
            f"  {last['functions']:,.0f} functions, SFrame {last['ratio']:.2f}x .eh_frame and index\n"
            f"  ring3      {convert:8.3f} s   (import {last['import']:.2f} s, JIT loading "
            f"{last['jit']:.2f} s, peak {last['mib']:.0f} MiB)\n"
            f"  readelf    {read:8.3f} s   {read / convert:6.1f}x ours, prints\n"
            f"  pyelftools {slow:8.3f} s   {slow / convert:6.1f}x ours, {failed} FDEs failed",
            flush=True,
        )


if __name__ == "__main__":
    started = time.time()
    main(sys.argv[1:] or [path for path in DEFAULT if Path(path).exists()])
    print(f"in {time.time() - started:.0f} s")
