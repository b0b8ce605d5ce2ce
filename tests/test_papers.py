"""Every command that the papers show is run.

A fenced block of kind ``console`` holds commands after ``$ ``; other lines are what they print.  The commands
of one block run in one scratch folder, in order.  Words after ``console`` say more:
``slow`` (run with the oracles), ``exit=1`` (the last command reports a finding), and
``needs=PART`` (skipped, with the reason, where the part is missing).  Where a block shows output, each shown
line must be among what was printed; ``...`` stands for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAPERS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
_FENCE = re.compile(r"^```console(?P<words>[^\n]*)\n(?P<body>.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Shown:
    """A block of commands: where it stands, what it says of itself, commands and output."""

    place: str
    words: tuple[str, ...]
    body: str

    def word(self, key: str) -> str | None:
        for word in self.words:
            name, _, value = word.partition("=")
            if name == key:
                return value or name
        return None


def shown() -> list[Shown]:
    found = []
    for paper in [*PAPERS, *sorted((ROOT / "docs").glob("*.md"))]:
        text = paper.read_text() if paper.exists() else ""
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(
                Shown(f"{paper.name}:{line}", tuple(match["words"].split()), match["body"])
            )
    return found


def _case(block: Shown) -> object:
    # The slow ones may build a kernel first, beside another test that builds one.
    marks = [pytest.mark.oracle, pytest.mark.timeout(1800)] if block.word("slow") else []
    return pytest.param(block, id=block.place, marks=marks)


@pytest.mark.parametrize("block", [_case(block) for block in shown()])
def test_commands_run_as_shown(block: Shown, needs: Callable[[str], str], tmp_path: Path) -> None:
    for word in block.words:
        if word.startswith("needs="):
            needs(word.removeprefix("needs="))
    commands: list[tuple[str, list[str]]] = []
    for line in block.body.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        elif commands and line.strip():
            commands[-1][1].append(line)
    assert commands, "a console block shows at least one command after '$ '"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for number, (command, output) in enumerate(commands):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        wanted = int(block.word("exit") or 0) if number == len(commands) - 1 else 0
        assert done.returncode == wanted, f"$ {command}\n{done.stdout}{done.stderr}"
        printed = {" ".join(line.split()) for line in (done.stdout + done.stderr).splitlines()}
        for line in output:
            pattern = ".*".join(map(re.escape, " ".join(line.split()).split("...")))
            assert any(re.fullmatch(pattern, text) for text in printed), (
                f"$ {command}\nshown but not printed: {line}\n{done.stdout}"
            )


def test_no_paper_shows_ring3_commands_outside_such_blocks() -> None:
    for paper in [*PAPERS, *sorted((ROOT / "docs").glob("*.md"))]:
        text = paper.read_text() if paper.exists() else ""
        for fence in re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", text, re.M | re.S):
            kind, body = fence
            if kind in ("", "sh", "bash", "shell"):
                lines = [line for line in body.splitlines() if re.match(r"(\$ )?ring3 ", line)]
                assert not lines, f"{paper.name}: {lines[0]!r} is shown, but not in a console block"


def test_links_between_papers_lead_somewhere() -> None:
    for paper in [*PAPERS, *sorted((ROOT / "docs").glob("*.md"))]:
        if not paper.exists():
            continue
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", paper.read_text()):
            assert (paper.parent / target).exists(), f"{paper.name} links to {target}"
