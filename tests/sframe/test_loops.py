"""Compiled loops that are kept on disk follow every file of their folder."""

import os
import subprocess
import sys
from pathlib import Path

from ring3.sframe import loops

_CALLEE = "from .loops import njit\nSTEP = {}\n\n@njit\ndef more(n):\n    return n + STEP\n"
_CALLER = """
from .callee import more
from .loops import njit

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
    (package / "loops.py").write_bytes(Path(loops.__file__).read_bytes())

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
    (package / "loops.py").write_bytes(Path(loops.__file__).read_bytes())
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
