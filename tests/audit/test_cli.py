"""``ring3 audit`` as a user runs it: exit codes, formats, one line of error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ring3.audit.run import SAMPLE

TREE = SAMPLE


def ring3(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ring3", "audit", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_findings_exit_1_and_json_is_one_document() -> None:
    done = ring3(str(TREE), "--json")
    assert done.returncode == 1
    assert {one["rule"] for one in json.loads(done.stdout)["findings"]} == {
        "nofail-in-reclaim",
        "lock-across-reclaim",
        "lock-of-nofs-region",
        "wait-in-reclaim",
    }


def test_explain_names_chain_and_reasons() -> None:
    first = json.loads(ring3(str(TREE), "--json").stdout)["findings"][0]
    done = ring3(str(TREE), "--explain", first["id"])
    assert done.returncode == 0
    assert first["message"] in done.stdout
    for step in first["chain"]:
        assert f"{step['file']}:{step['line']}" in done.stdout


def test_a_baseline_of_everything_leaves_nothing(tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    assert ring3(str(TREE), "--write-baseline", str(known)).returncode == 0
    done = ring3(str(TREE), "--baseline", str(known))
    assert (done.returncode, done.stdout) == (0, "")


def test_files_are_written(tmp_path: Path) -> None:
    page, log = tmp_path / "page.html", tmp_path / "log.sarif"
    ring3(str(TREE), "--html", str(page), "--sarif", str(log))
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(log.read_text())["version"] == "2.1.0"


def test_two_trees_are_compared() -> None:
    done = ring3(str(TREE), "--diff", str(TREE))
    assert done.returncode == 0
    assert done.stdout.split("\n")[:2] == ["added: 0", "removed: 0"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--explain", "ffffffff"), "no finding has this id"),
        (("--subject", "fs/none"), "nothing that reclaim calls"),
        (("--folder", "nowhere"), "no such folder"),
        (("--diff", str(TREE), "--sarif", "x"), "--diff does not go with --sarif"),
        (("--root", "no_such_function"), "no function no_such_function"),
    ],
)
def test_bad_requests_are_one_line_and_exit_2(arguments: tuple[str, ...], reason: str) -> None:
    done = ring3(str(TREE), *arguments)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
