"""``ring3 audit`` as a user runs it: exit codes, formats, one line of error."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ring3.audit.run import SAMPLE, audit

TREE = SAMPLE


def ring3(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ring3", "audit", *arguments],
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
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
    again = ring3(str(TREE), "--explain", first["id"].upper(), "--json")
    assert json.loads(again.stdout) == [first]


def test_a_baseline_of_everything_leaves_nothing(tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    assert ring3(str(TREE), "--write-baseline", str(known)).returncode == 0
    done = ring3(str(TREE), "--baseline", str(known))
    assert (done.returncode, done.stdout) == (0, "")
    assert " in the baseline" in done.stderr


def test_files_are_written(tmp_path: Path) -> None:
    page, log = tmp_path / "page.html", tmp_path / "log.sarif"
    ring3(str(TREE), "--html", str(page), "--sarif", str(log))
    assert page.read_text().startswith("<!doctype html>")
    assert json.loads(log.read_text())["version"] == "2.1.0"


def test_two_trees_are_compared() -> None:
    done = ring3(str(TREE), "--diff", str(TREE))
    assert done.returncode == 0
    assert done.stdout.split("\n")[:2] == ["added: 0", "removed: 0"]


def test_an_allocator_of_another_name_is_neither_added_nor_removed(tmp_path: Path) -> None:
    shutil.copytree(TREE, tmp_path / "new")
    path = tmp_path / "new/locks.c"
    line = "\tentry = kzalloc(64, GFP_KERNEL);"
    source = path.read_text()
    path.write_text(source.replace(line, line.replace("kzalloc", "kvmalloc")))
    done = ring3(str(TREE), "--diff", str(tmp_path / "new"))
    assert (done.returncode, done.stdout) == (0, "added: 0\nremoved: 0\n")
    path.write_text(source.replace(line, f"{line}\n{line.replace('kzalloc', 'kvmalloc')}"))
    more = ring3(str(TREE), "--diff", str(tmp_path / "new"), "--brief")
    assert (more.returncode, more.stdout.count("around kvmalloc")) == (1, 1)


def test_a_subject_may_be_in_one_of_two_trees(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        kernel_tree(tmp_path / name)
    shutil.rmtree(tmp_path / "new/drivers")
    trees = (str(tmp_path / "old"), "--diff", str(tmp_path / "new"), "--brief", "--subject")
    gone = ring3(*trees, "drivers/toy")
    assert (gone.returncode, "removed: 0" in gone.stdout) == (0, False), gone.stderr
    nowhere = ring3(*trees, "drivers/joy")
    assert (nowhere.returncode, "nothing that reclaim calls" in nowhere.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--explain", "ffffffff"), "no finding has the id 'ffffffff'"),
        (("--explain", ""), "no finding has the id ''"),
        (("--explain", "ce292775", "--html", "x"), "--explain does not go with --html"),
        (("--write-baseline", "x", "--json"), "--write-baseline does not go with --json"),
        (("--patch", "/dev/null"), "no unified diff"),
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


BUG = """--- a/more.c
+++ b/more.c
@@ -0,0 +1,7 @@
+#include "toy.h"
+static int toy_more(struct toy_sb_info *sbi)
+{
+\tmutex_lock(&sbi->table_lock);
+\tkfree(kmalloc(1, GFP_KERNEL));
+\tmutex_unlock(&sbi->table_lock);
+}
"""


def test_a_patch_comes_from_standard_input() -> None:
    text = BUG.replace("--- a/more.c", "--- /dev/null")
    done = ring3(str(TREE), "--patch", "-", "--brief", stdin=text)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("added: 1\nmore.c:5: error: toy_more() holds")
    assert "judged on 1 subjects: ." in done.stderr
    laid = ring3(str(TREE), "--overlay", "-", "--brief", stdin=text)
    assert "toy_more()" in laid.stdout


def test_a_file_that_reclaim_calls_nothing_of_says_so(tmp_path: Path) -> None:
    (tmp_path / "alone.c").write_text("void alone(void) { kfree(kmalloc(1, GFP_KERNEL)); }\n")
    done = ring3(str(tmp_path))
    assert done.returncode == 0
    assert "nothing there is called by reclaim" in done.stderr
    rooted = ring3(str(tmp_path), "--root", "alone", "--level", "note", "--brief")
    assert (rooted.returncode, "alone()" in rooted.stdout) == (1, True), rooted.stderr


def test_subjects_are_named_by_folder(tmp_path: Path) -> None:
    """With or without a slash, from above, and outside of the folders that are read by default."""
    tree = kernel_tree(tmp_path)
    for name in ("drivers/toy", "drivers/toy/", "drivers"):
        done = ring3(str(tree), "--subject", name, "--json")
        assert done.returncode == 1, done.stderr
        assert json.loads(done.stdout)["subjects"] == ["drivers/toy"]
    wrong = ring3(str(tree), "--subject", "toi", "--folder", "drivers")
    assert (wrong.returncode, "did you mean drivers/toy?" in wrong.stderr) == (2, False)
    near = ring3(str(tree), "--subject", "driver/toy", "--folder", "drivers")
    assert (near.returncode, "did you mean drivers/toy?" in near.stderr) == (2, True), near.stderr


def kernel_tree(tmp_path: Path) -> Path:
    """What looks like a whole kernel, with the small tree as its one driver."""
    shutil.copytree(TREE, tmp_path / "drivers/toy")
    for name in ("fs", "mm"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "empty.c").write_text("int nothing;\n")
    (tmp_path / "Kbuild").write_text("")
    return tmp_path


def test_every_phase_is_shown_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shown: list[tuple[str, int, int]] = []
    audit(TREE, progress=lambda *what: shown.append(what))
    phases = list(dict.fromkeys(name for name, _, _ in shown))
    assert phases == ["reading source", "joining files", "walking from reclaim"]
    for phase in phases:
        steps = [(done, total) for name, done, total in shown if name == phase]
        assert steps[0][0] == 0
        assert steps[-1][0] == steps[-1][1] > 0
