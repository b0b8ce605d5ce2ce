"""The same command gives the same bytes: in any process, over any number of them, and on a Dask cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from distributed import Client

COMPARE = [
    *("compare", "as-today", "mempool", "i-reclaim-hard", "--seeds", "2", "--json"),
    *("--scenario", "overlay-ext4-kswapd", "--scenario", "xfs-churn"),
]
EXPLORE = [
    *("explore", "all", "--schedules", "4", "--json"),
    *("--scenario", "fat-linked-direct"),
]
TIMELINE = [
    *("explore", "as-today", "--scenario", "ext4-unlinked-nowait", "--schedules", "4"),
    *("--perfetto", "/dev/stdout"),
]


def _ring3(arguments: list[str], hash_seed: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "ring3", "reclaim", *arguments],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr.decode()
    assert done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real scheduler and a worker with two processes; its address."""
    folder = tmp_path_factory.mktemp("dask")
    address = folder / "scheduler.json"
    python = [sys.executable, "-m"]
    common = ["--no-dashboard", "--scheduler-file", str(address)]
    commands = [
        [*python, "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1", *common],
        [*python, "distributed.cli.dask_worker", "--nworkers", "2", "--nthreads", "1"],
    ]
    commands[1] += [*common, "--local-directory", str(folder)]
    processes = []
    try:
        for command in commands:
            env = {**os.environ, "PYTHONHASHSEED": "7"}
            processes.append(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
            deadline = time.monotonic() + 60
            while not address.exists() and time.monotonic() < deadline:
                time.sleep(0.1)
        found = json.loads(address.read_text())["address"]
        with Client(found, timeout="60s") as client:
            client.wait_for_workers(2, timeout=120)  # a busy machine takes its time
        yield found
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("command", [COMPARE, EXPLORE], ids=["compare", "explore"])
def test_same_bytes_however_it_is_spread(command: list[str], cluster: str) -> None:
    one = _ring3([*command, "--workers", "1"], "1")
    assert _ring3([*command, "--workers", "2"], "2") == one
    assert _ring3([*command, "--cluster", cluster], "3") == one


def test_same_bytes_of_the_timeline() -> None:
    first, second, third = (_ring3(TIMELINE, seed) for seed in ("1", "2", "random"))
    assert first == second == third
