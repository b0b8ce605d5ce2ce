"""The doctor's answers are what the machine says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ring3 import doctor, probes


def test_every_part_says_what_for_and_how_to_get_it() -> None:
    names = [(part.group, part.name) for part in doctor.parts()]
    assert len(names) == len(set(names))
    for part in doctor.parts():
        assert part.purpose, part.name
        assert part.get, part.name


def test_programs_are_found_exactly_where_the_path_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probes.program("gdb") is None
    fake = tmp_path / "gdb"
    fake.write_text(f"#!{sys.executable}\nprint('GNU gdb 99')\n")
    fake.chmod(0o755)
    assert probes.program("gdb") == "GNU gdb 99"


def test_json_lists_every_part() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ring3", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    answers = json.loads(done.stdout)
    assert [answer["name"] for answer in answers] == [part.name for part in doctor.parts()]
    gdb = next(answer for answer in answers if answer["name"] == "gdb")
    assert (gdb["found"] is not None) == (shutil.which("gdb") is not None)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_probes_leave_no_descriptor_and_no_child_behind() -> None:
    before = open_files(), children()
    for probe in (
        probes.perf_event,
        probes.ptrace,
        probes.seccomp_notification,
        probes.user_namespace,
        probes.kvm,
    ):
        answer = probe()
        assert answer is None or answer
    assert (open_files(), children()) == before


def test_perf_event_agrees_with_perf_itself() -> None:
    perf = shutil.which("perf")
    if perf is None:
        pytest.skip("perf is not here (apt-get install linux-perf)")
    command = [
        perf,
        "record",
        "-q",
        "-e",
        "cpu-clock:u",
        "--call-graph",
        "dwarf",
        "-o",
        "/dev/null",
        "true",
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode == 0) == (probes.perf_event() is not None)
