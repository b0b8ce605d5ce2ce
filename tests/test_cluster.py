"""Work fans out to local processes or a Dask cluster, with the same answers and the same errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ring3 import arch
from ring3.cluster import each, executor
from ring3.errors import MissingPart, Unsupported


def test_local_processes_answer_each_item() -> None:
    with executor(workers=2) as pool:
        assert dict(each(pool, abs, range(-40, 0))) == {n: -n for n in range(-40, 0)}


def test_an_error_comes_back_as_it_was_raised() -> None:
    with executor(workers=1) as pool, pytest.raises(Unsupported) as caught:
        list(each(pool, arch.by_name, ["vax"]))
    assert str(caught.value).startswith("unknown architecture 'vax' (one of x86_64")


def test_no_scheduler_is_a_missing_part() -> None:
    with pytest.raises(MissingPart, match="no Dask scheduler"), executor("tcp://127.0.0.1:1"):
        pass


_SLOW = """
import time
from ring3.cluster import each, executor
from ring3.errors import exit_code

def run():
    with executor(workers=2) as pool:
        futures = each(pool, time.sleep, [0.01, *range(600, 620)])
        print(next(futures), flush=True)
        next(futures)

if __name__ == "__main__":
    raise SystemExit(exit_code(run))
"""


def test_an_interruption_ends_the_processes_too(tmp_path: Path) -> None:
    """A terminal's Ctrl-C goes to the whole group."""
    script = tmp_path / "slow.py"
    script.write_text(_SLOW)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, b"")


@pytest.mark.parametrize("name", ["executor", "forked"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.3])
def test_however_a_command_ends_its_processes_end(
    tmp_path: Path, name: str, number: signal.Signals, seconds: float
) -> None:
    """While they start, and while they work: all of them, at once, and without a word."""
    script = tmp_path / "slow.py"
    script.write_text(_STARTING.replace("POOL", {"executor": "workers=2"}.get(name, "0, 2")))
    script.write_text(script.read_text().replace("NAME", name))
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    # Its processes have the pipe, too: it ends with the last of them.
    _, error = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert error == b""


_STARTING = """
import time
from ring3.cluster import NAME, each
from ring3.errors import exit_code

def run():
    with NAME(POOL) as pool:
        print(flush=True)
        list(each(pool, time.sleep, range(600, 620)))

if __name__ == "__main__":
    raise SystemExit(exit_code(run))
"""


def test_a_real_dask_cluster_gives_the_same_answers(tmp_path: Path) -> None:
    address = tmp_path / "scheduler.json"
    python = [sys.executable, "-m"]
    command = [*python, "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    scheduler = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--scheduler-file", str(address)],
        stderr=subprocess.DEVNULL,
    )
    worker = None
    try:
        deadline = time.monotonic() + 60
        while not address.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        command = [*python, "distributed.cli.dask_worker", "--no-dashboard", "--nworkers", "1"]
        worker = subprocess.Popen(
            [*command, "--scheduler-file", str(address), "--local-directory", str(tmp_path)],
            stderr=subprocess.DEVNULL,
        )
        with executor(json.loads(address.read_text())["address"]) as pool:
            assert dict(each(pool, abs, [-1, -2])) == {-1: 1, -2: 2}
    finally:
        for process in (worker, scheduler):
            if process:
                process.terminate()
                process.wait(20)
