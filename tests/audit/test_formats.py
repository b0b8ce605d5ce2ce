"""Formats: JSON, SARIF against the schema of the standard's own tool, HTML, baselines, suppressions."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from ring3.audit import compare
from ring3.audit.html import findings_page
from ring3.audit.report import as_json
from ring3.audit.run import SAMPLE, Report, audit
from ring3.audit.sarif import sarif
from ring3.errors import BadInput

TREE = SAMPLE


def test_json_has_every_chain_as_file_and_line(toy: Report) -> None:
    data = json.loads(json.dumps(as_json(toy, toy.findings)))
    assert len(data["findings"]) == len(toy.findings)
    for one in data["findings"]:
        for step in one["chain"] + one["reclaim"]:
            lines = (TREE / step["file"]).read_text().splitlines()
            assert 1 <= step["line"] <= len(lines)
        last = one["chain"][-1]
        assert last["call"].split("(")[0] in lines_of(last["file"])[last["line"] - 1]


def lines_of(name: str) -> list[str]:
    return (TREE / name).read_text().splitlines()


@pytest.mark.oracle
def test_sarif_validates_against_the_schema(
    toy: Report, needs: Callable[[str], str], tmp_path: Path
) -> None:
    """The schema that Microsoft's SARIF tool, the standard's reference implementation, ships."""
    npm = needs("npm")
    done = subprocess.run(
        [npm, "pack", "--silent", "@microsoft/sarif-multitool-linux@5.7.0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot bring the schema: {done.stderr.strip()[:200]}")
    shutil.unpack_archive(tmp_path / done.stdout.strip(), tmp_path, "gztar")
    schema = json.loads((tmp_path / "package/sarif-2.1.0.json").read_text(encoding="utf-8-sig"))
    log = json.loads(json.dumps(sarif(TREE, toy.findings)))
    jsonschema.validate(log, schema)
    assert len(log["runs"][0]["results"]) == len(toy.findings) > 0
    broken = json.loads(json.dumps(log))
    broken["runs"][0]["results"][0]["level"] = "catastrophe"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_the_page_shows_the_source_of_every_step_and_escapes_it(toy: Report) -> None:
    html = findings_page(toy, toy.findings)
    assert "evict.c" in html
    assert "toy_alloc_flags(size, GFP_NOFS, ##__VA_ARGS__)" in html
    assert "&amp;sbi-&gt;table_lock" in html
    assert "<src" not in html


def test_a_baseline_hides_what_it_knows_and_nothing_else(toy: Report, tmp_path: Path) -> None:
    known = [one for one in toy.findings if one.rule == "lock-across-reclaim"]
    compare.write_baseline(tmp_path / "known.json", known)
    left = compare.not_in_baseline(toy.findings, tmp_path / "known.json")
    assert sorted(one.id for one in left + known) == sorted(one.id for one in toy.findings)
    assert {one.rule for one in left} == {one.rule for one in toy.findings} - {
        "lock-across-reclaim"
    }


KIND = '"ring3 audit baseline"'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a baseline"),
        ("{", "not a baseline"),
        ("[" * 100_000, "not a baseline"),
        ("\x00", "not a baseline"),
        ("[]", "not a baseline"),
        ('{"findings": []}', "not a baseline"),
        (f'{{{KIND}: 1, "findings": 3}}', "findings without id"),
        (f'{{{KIND}: 1, "findings": [{{}}]}}', "findings without id"),
        (f'{{{KIND}: 2, "findings": []}}', "a baseline of version 2, 1 is read"),
    ],
)
def test_what_is_no_baseline_is_bad_input(
    toy: Report, tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "known.json").write_text(text)
    with pytest.raises(BadInput, match=reason):
        compare.not_in_baseline(toy.findings, tmp_path / "known.json")


LINE = "\tentry = kzalloc(64, GFP_KERNEL);"


def test_a_second_line_of_one_function_is_not_in_the_baseline_of_the_first(
    toy: Report, tmp_path: Path
) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    compare.write_baseline(tmp_path / "one.json", toy.findings)
    source = (copy / "locks.c").read_text()
    (copy / "locks.c").write_text(source.replace(LINE, f"{LINE}\n{LINE}"))
    twice = audit(copy).findings
    assert len({one.id for one in twice}) == len(twice) == len(toy.findings) + 1
    (new,) = compare.not_in_baseline(twice, tmp_path / "one.json")
    assert new.at.function == "toy_lookup"
    compare.write_baseline(tmp_path / "two.json", twice)
    (copy / "locks.c").write_text("\n\n" + source.replace(LINE, f"{LINE}\n\n\n{LINE}"))
    assert compare.not_in_baseline(audit(copy).findings, tmp_path / "two.json") == []


def test_a_baseline_that_has_an_identity_twice_knows_two(toy: Report, tmp_path: Path) -> None:
    """As they were written when lines of one function were not told apart."""
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    source = (copy / "locks.c").read_text()
    (copy / "locks.c").write_text(source.replace(LINE, f"{LINE}\n{LINE}\n{LINE}"))
    (first,) = [one for one in toy.findings if one.at.function == "toy_lookup"]
    compare.write_baseline(tmp_path / "old.json", [*toy.findings, first])
    (left,) = compare.not_in_baseline(audit(copy).findings, tmp_path / "old.json")
    assert left.at.function == "toy_lookup"


def test_a_comment_suppresses_one_finding(toy: Report, tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    source = (copy / "locks.c").read_text()
    line = "\tentry = kzalloc(64, GFP_KERNEL);"
    assert source.count(line) == 1
    marked = source.replace(line, "\t/* ring3: allow lock-across-reclaim */\n" + line)
    (copy / "locks.c").write_text(marked)
    report = audit(copy)
    assert report.suppressed == 1
    assert len(report.findings) == len(toy.findings) - 1


def test_identities_do_not_depend_on_lines(toy: Report, tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    for path in copy.glob("*.c"):
        path.write_text("\n\n/* moved */\n" + path.read_text())
    moved = audit(copy)
    added, removed = compare.difference(toy.findings, moved.findings)
    assert (added, removed) == ([], [])
    assert [one.at.line for one in moved.findings] != [one.at.line for one in toy.findings]


@pytest.mark.parametrize("place", ["above", "same line"])
@pytest.mark.parametrize("what", ["lock-across-reclaim", "ID", "all", "sleep-in-reclaim, ID"])
def test_what_a_comment_may_name(toy: Report, tmp_path: Path, place: str, what: str) -> None:
    (one,) = [one for one in toy.findings if one.at.function == "toy_lookup"]
    comment = f"/* ring3: allow {what.replace('ID', one.id)} */"
    marked = f"\t{comment}\n{LINE}" if place == "above" else f"{LINE} {comment}"
    report = audit(marked_tree(tmp_path, marked))
    assert (report.suppressed, len(report.findings)) == (1, len(toy.findings) - 1)
    assert report.problems == toy.problems


@pytest.mark.parametrize("what", ["lock-accross-reclaim", "deadbeef", "the pool is a mempool"])
def test_a_comment_that_allows_nothing_is_told(toy: Report, tmp_path: Path, what: str) -> None:
    report = audit(marked_tree(tmp_path, f"\t/* ring3: allow {what} */\n{LINE}"))
    assert len(report.findings) == len(toy.findings)
    (problem,) = set(report.problems) - set(toy.problems)
    assert problem[0] == "locks.c"
    assert f"allow {what}' allows nothing" in problem[1]


def marked_tree(tmp_path: Path, marked: str) -> Path:
    """The small tree with ``marked`` for the line that toy_lookup() allocates on."""
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    source = (copy / "locks.c").read_text()
    assert source.count(LINE) == 1
    (copy / "locks.c").write_text(source.replace(LINE, marked))
    return copy


def test_the_page_shows_the_lines_of_what_is_laid_over_the_tree(tmp_path: Path) -> None:
    source = (TREE / "locks.c").read_text().replace(LINE, "\t/* laid over */\n" + LINE)
    report = audit(TREE, overlay={"locks.c": source.encode()})
    page = findings_page(report, report.findings)
    assert "\t/* laid over */" in page
    (one,) = [one for one in report.findings if one.at.function == "toy_lookup"]
    assert f"<mark>{one.at.line:>6}  {LINE}" in page
