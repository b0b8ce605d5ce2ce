"""A bounded run of each fuzz target, and what it found to be new through the compiled code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="no wheel for this machine")
pytestmark = pytest.mark.oracle

SCRIPT = Path(__file__).parent / "fuzz_sframe.py"
#: Target -> seconds.
TARGETS = {
    "section": 20,
    "cfi": 20,
    "debug": 10,
    "orc": 5,
    "unwind": 20,
    "perf_data": 20,
    "perf_map": 5,
    "elf": 20,
    "core": 10,
}


@pytest.mark.timeout(900)  # compiling with checked indices takes a minute of CPU
@pytest.mark.parametrize("target", TARGETS)
def test_no_input_is_a_fault(target: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    command = [sys.executable, SCRIPT, target, "--corpus", corpus]
    limit = f"-max_total_time={TARGETS[target]}"
    prefix = f"-artifact_prefix={tmp_path}/"
    # The same start each time: what it has not found before, it is to find in a run by hand.
    done = subprocess.run([*command, "-seed=1", limit, prefix], capture_output=True, check=False)
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 0, said[-6000:]
    assert re.search(r"^Done [1-9]\d* runs", said, re.MULTILINE), said[-6000:]
    assert len(list(corpus.iterdir())) > 5
    done = subprocess.run(
        [sys.executable, SCRIPT, target, "--compiled", corpus], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-6000:]
