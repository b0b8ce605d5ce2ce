"""Compile every hot loop into Numba's cache, so that the first command need not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ring3.sframe import convert, profile, record, samples, section, verify


def compile_loops() -> None:
    """Convert, verify, record and unwind something small; the second time this is quick."""
    path = Path(sys.executable).resolve()
    made = convert.convert(path)
    verify.check(path, section.parse(made.encoded.data, made.vaddr, str(path)))
    convert.convert(path, version=2)
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "warm.data")
        command = [sys.executable, "-c", "sum(range(3_000_000))"]
        record.record_command(command, recording, record.Settings())
        profile.of_recording(samples.read(recording))
