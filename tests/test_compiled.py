"""Compiled loops that are kept on disk follow every file of their folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ring3 import compiled

_CALLEE = "from .compiled import njit\nSTEP = {}\n\n@njit\ndef more(n):\n    return n + STEP\n"
_CALLER = """
from .callee import more
from .compiled import njit

@njit
def loop(n):
    return more(n)

print(loop(1), sum(loop.stats.cache_hits.values()))
"""


def test_a_changed_callee_is_compiled_again(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "caller.py").write_text(_CALLER)
    (package / "compiled.py").write_bytes(Path(compiled.__file__).read_bytes())

    def run(step: int) -> list[int]:
        (package / "callee.py").write_text(_CALLEE.format(step))
        done = subprocess.run(
            [sys.executable, "-m", "package.caller"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return [int(word) for word in done.stdout.split()]

    assert run(10) == [11, 0]
    assert run(10) == [11, 1]
    assert run(20) == [21, 0]


def test_where_nothing_can_be_kept_loops_are_compiled_each_time(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__pycache__").touch()  # a file, where a folder would have to be
    (package / "callee.py").write_text(_CALLEE.format(10))
    (package / "caller.py").write_text(_CALLER)
    (package / "compiled.py").write_bytes(Path(compiled.__file__).read_bytes())
    home = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-B", "-m", "package.caller"],
            cwd=tmp_path,
            env={**os.environ, **home},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["11", "0"]


# What Numba has compiled when these are imported, or at the first call, needs a place no more than the rest.
_USES = """
import ctypes, os
import numpy as np
from ring3.gateway import syscalls
from ring3.mali.shader.kernels import ATOMICS, atomic32, fma32
words, old = np.full(1, 5, np.uint32), np.zeros(2, np.uint32)
lanes = (np.zeros(2, np.int64), np.full(2, 3, np.uint32), np.zeros(2, np.uint32), old)
atomic32(words, ATOMICS["aadd"], lanes)
print(words[0], *old, fma32(*np.float32([2, 3, 4])), syscalls.thread_of(os.getpid(), os.getpid()))
"""


def test_the_gateway_and_the_gpu_work_where_nothing_can_be_kept(tmp_path):
    copy = tmp_path / "ring3"
    shutil.copytree(
        Path(compiled.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()  # a file, where a folder would have to be
    done = subprocess.run(
        [sys.executable, "-B", "-c", _USES],
        cwd="/",
        env={"PYTHONPATH": str(tmp_path), "HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["11", "5", "8", "10.0", "0"], "")
