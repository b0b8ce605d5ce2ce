"""How long ``ring3 --help`` takes, beside an interpreter that only imports click.

    python benchmarks/cli_start.py

Each figure is the median of whole processes run in turn.  The bar is 0.3 s.
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "ring3 --help": [sys.executable, "-m", "ring3", "--help"],
    "import click": [sys.executable, "-c", "import click"],
}


def main() -> None:
    """Run both in turn and print medians and their ratio."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(15):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - start)
    ours, peer = (statistics.median(spent) for spent in times.values())
    print(f"ring3 --help {ours:.3f} s, importing click alone {peer:.3f} s, ratio {ours / peer:.2f}")


if __name__ == "__main__":
    main()
