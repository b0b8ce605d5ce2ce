"""``ring3 stack PID`` beside eu-stack -p PID on the same processes, start to end, names included.

    python benchmarks/sframe_stack.py

CPU time (user and system) of whole processes, run in turn: the minimum and, in brackets, the median of each.
The programs are a small C program with its symbols, one with 64 threads, sleep (which has no symbols, so
that eu-stack loads a library to ask for them), python3, node and gdb, as far as they are here.  Tables are
cached, as they are from the second use on.  The bar is three times eu-stack; "Python alone" is an
interpreter that does nothing.
"""

import compileall
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ring3

WAITS = """
#include <pthread.h>
#include <unistd.h>
__attribute__((noinline)) static long deep(long n) { return n ? deep(n - 1) + 1 : pause(); }
static void *start(void *n) { return (char *)n + deep(20); }
int main(int argc, char **argv) {
    pthread_t thread;
    for (int n = 1; n < (argc > 1 ? 64 : 1); n++) pthread_create(&thread, 0, start, 0);
    start(0);
}
"""
RUNS = 15
RING3 = """#!{python}
from ring3.__main__ import main

main()
"""


def cpu(command: list[str]) -> float:
    """CPU milliseconds of a command, its output thrown away.  Raises RuntimeError where it fails."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command} exits {child.returncode}")
    return 1e3 * (used.ru_utime + used.ru_stime)


def frames(command: list[str]) -> int:
    """How many frames a command prints."""
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sum(line.lstrip().startswith("#") for line in printed.splitlines())


def measure(name: str, pid: int, script: str) -> None:
    """Print one line about one process."""
    commands = {
        "eu-stack": ["eu-stack", "-p", str(pid)],
        "ring3": [script, "stack", str(pid)],
        "Python alone": [sys.executable, "-c", "pass"],
    }
    found = {name: frames(commands[name]) for name in ("ring3", "eu-stack")}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for who, command in commands.items():
            times[who].append(cpu(command))
    low = {who: min(spent) for who, spent in times.items()}
    said = "  ".join(
        f"{who} {low[who]:5.1f} ({statistics.median(spent):5.1f})" for who, spent in times.items()
    )
    print(
        f"{name:11} {found['ring3']:4} frames ({found['eu-stack']:4})  {said}  "
        f"ring3/eu-stack {low['ring3'] / low['eu-stack']:.1f}x"
    )


def main() -> int:
    """Measure every program that is here."""
    if shutil.which("eu-stack") is None:
        print("eu-stack is not here (Debian package elfutils)", file=sys.stderr)
        return 2
    # As set-up leaves it; Python itself does not keep what it compiled where PYTHONDONTWRITEBYTECODE is set.
    compileall.compile_dir(Path(ring3.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        source, program, script = (str(Path(folder, name)) for name in ("a.c", "waits", "ring3"))
        Path(source).write_text(WAITS)
        subprocess.run(["gcc", "-O1", "-pthread", source, "-o", program], check=True)
        Path(script).write_text(RING3.format(python=sys.executable))
        Path(script).chmod(0o755)
        programs = {
            "C": [program],
            "64 threads": [program, "64"],
            "sleep": ["sleep", "600"],
            "python3": [sys.executable, "-c", "import time; time.sleep(600)"],
            "gdb": ["gdb", "-q", "-nx", "/bin/true"],
            "node": ["node", "-e", "setInterval(() => 0, 1e6)"],
        }
        print("CPU ms, minimum (median)")
        for name, command in programs.items():
            if shutil.which(command[0]) is None:
                continue
            child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                time.sleep(1)
                measure(name, child.pid, script)
            finally:
                child.kill()
                child.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
