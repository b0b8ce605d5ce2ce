"""Results as JUnit XML, which others read, and as a page, which a browser shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import junitparser
from hypothesis import given
from hypothesis import strategies as st

from ring3.kselftest import pipeline, report
from ring3.kselftest.outcome import Outcome
from ring3.ktap import Log, Status, Test, parse_text

LOG = (
    "KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: list\n    1..3\n    ok 1 add\n"
    "    # del: EXPECTATION FAILED at lib/list.c:5\n    not ok 2 del\n    ok 3 move # SKIP none\n"
    "not ok 1 list\n    KTAP version 1\n    # Subtest: rb\n    1..1\n        KTAP version 1\n"
    "        # Subtest: many\n        1..2\n        ok 1 a=1\n        ok 2 a=2\n    ok 1 many\nok 2 rb\n"
)


def sample() -> Log:
    """KUnit suites and programs, with one of each kind of end."""
    outcomes = [
        Outcome("timers/good", "x86_64", b"TAP version 13\n1..2\nok 1 a\nok 2 b\n", 0, 1.25),
        Outcome("timers/plain", "x86_64", b"fine <&> \x01\xff\n", 0, 0.5),
        Outcome("timers/late", "x86_64", b"so far\n", None, 45.0, "time-out", "45 s"),
        Outcome("net/skips", "x86_64", b"# no lo\n", 4, 0.1, kernel=("eth0: up",)),
        Outcome("net/dies", "x86_64", b"TAP version 13\n1..1\nok 1 a\n", -11, 0.1),
    ]
    return pipeline.join(parse_text(LOG), outcomes)


def test_junitparser_reads_the_same_counts() -> None:
    log = sample()
    read = junitparser.JUnitXml.fromstring(report.junit(log))
    suites = list(read)
    assert [suite.name for suite in suites] == [
        *("list", "rb", "timers/good", "timers/plain", "timers/late", "net/skips", "net/dies"),
    ]
    counts = {
        suite.name: (suite.tests, suite.failures, suite.errors, suite.skipped) for suite in suites
    }
    assert counts == {
        "list": (3, 1, 0, 1),
        "rb": (2, 0, 0, 0),
        "timers/good": (2, 0, 0, 0),
        "timers/plain": (1, 0, 0, 0),
        "timers/late": (1, 0, 1, 0),
        "net/skips": (1, 0, 0, 1),
        # Its one result was good; that it died is a case of its own.
        "net/dies": (2, 0, 1, 0),
    }
    # What the file says of itself is what junitparser counts in it.
    for suite in suites:
        before = counts[suite.name]
        suite.update_statistics()
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == before
    names = {case.name for suite in suites for case in suite}
    assert {"add", "many/a=1", "timers/plain", "(as a whole)"} <= names


#: Element -> (required attributes, optional ones, children in order; "*" many, "?" one or none, "|" one of).
#: As Ant's JUnitReport and the schema of Jenkins's xunit plugin have it in common.
SHAPE = {
    "testsuites": ((), (), "(testsuite )*"),
    "testsuite": (
        ("name", "tests", "failures", "errors", "time", "timestamp", "hostname", "id", "package"),
        ("skipped",),
        "properties (testcase )*system-out system-err ",
    ),
    "properties": ((), (), ""),
    "testcase": (("name", "classname", "time"), (), "((skipped|error|failure) )?"),
    "skipped": ((), ("message",), ""),
    "error": (("type",), ("message",), ""),
    "failure": (("type",), ("message",), ""),
    "system-out": ((), (), ""),
    "system-err": ((), (), ""),
}


def check_shape(element: ElementTree.Element) -> None:
    required, optional, children = SHAPE[element.tag]
    assert set(required) <= set(element.attrib)
    assert set(element.attrib) <= {*required, *optional}
    assert re.fullmatch(children, "".join(f"{child.tag} " for child in element))
    for name in ("tests", "failures", "errors", "skipped", "id"):
        assert int(element.attrib.get(name, "0")) >= 0
    if "timestamp" in element.attrib:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.attrib["timestamp"])
    for child in element:
        check_shape(child)


def test_the_shape_that_both_schemas_take() -> None:
    check_shape(ElementTree.fromstring(report.junit(sample())))


NAMES = st.text(max_size=8)
TESTS = st.recursive(
    st.builds(Test, NAMES, st.sampled_from(Status), messages=st.lists(NAMES, max_size=2)),
    lambda below: st.builds(
        Test,
        NAMES,
        st.sampled_from(Status),
        subtests=st.lists(below, max_size=3),
        problems=st.lists(NAMES, max_size=1),
    ),
    max_leaves=8,
)


@given(st.lists(TESTS, max_size=3))
def test_any_tree_is_xml_and_html(documents: list[Test]) -> None:
    log = Log(documents)
    check_shape(ElementTree.fromstring(report.junit(log)))
    bad = list(pipeline.bad(log))
    assert "<h1>title</h1>" in report.html(log, "title", bad)
    # Exactly the logs that are not good have something to show for it.
    assert bool(bad) == any(not document.good for document in documents)
    report.as_data(log)


def test_the_page_opens_and_filters(tmp_path: Path, needs) -> None:
    chromium = needs("chromium")
    page = tmp_path / "page.html"
    text = report.html(sample(), "a run", list(pipeline.bad(sample())))
    # Press "skip", and say what is left on the page.
    press = (
        "<script>document.querySelector('[data-show=skip]').click();"
        "document.title = [...document.querySelectorAll('.tree [data-leaf=\"1\"]')]"
        ".filter(n => !n.hidden).map(n => n.dataset.name).join()</script>"
    )
    page.write_text(text.replace("</body>", f"{press}</body>"))
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "<title>move,net/skips</title>" in done.stdout, done.stderr[-2000:]


def test_very_long_output_is_cut_on_the_page_and_said() -> None:
    log = Log([Test("x", Status.PASS, messages=[f"line {n}" for n in range(10_000)])])
    text = report.html(log, "long", [])
    assert len(text) < 40_000
    assert "9,600 lines are left out of this page" in text
