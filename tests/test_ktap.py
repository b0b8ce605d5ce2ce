"""KTAP: the examples of the specification, logs as consoles show them, and other people's parsers."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.ktap import BAD, Log, Status, Test, parse_text, render


def shape(test: Test) -> object:
    """Name, status and subtests: what survives being written and read again."""
    return (test.name, test.status, [shape(sub) for sub in test.subtests])


def test_the_nested_example_of_the_specification() -> None:
    # The structure that ktap.rst's "Example KTAP output" describes: two levels below the main test.
    log = parse_text(
        "KTAP version 1\n1..1\n  KTAP version 1\n  # Subtest: main_test\n  1..3\n"
        "    KTAP version 1\n    1..1\n    # test_1: initializing test_1\n    ok 1 test_1\n"
        "  ok 1 example_test_1\n    KTAP version 1\n    1..2\n    ok 1 test_1 # SKIP test_1 skipped\n"
        "    ok 2 test_2\n  ok 2 example_test_2\n    KTAP version 1\n    1..3\n    ok 1 test_1\n"
        "    # test_2: FAIL\n    not ok 2 test_2\n    ok 3 test_3 # SKIP test_3 skipped\n"
        "  not ok 3 example_test_3\nnot ok 1 main_test\n"
    )
    assert log.counts == {Status.PASS: 3, Status.SKIP: 2, Status.FAIL: 1}
    (document,) = log.documents
    (main,) = document.subtests
    assert main.name == "main_test"
    assert [(sub.name, sub.status.value) for sub in main.subtests] == [
        ("example_test_1", "pass"),
        ("example_test_2", "pass"),
        ("example_test_3", "fail"),
    ]
    assert main.subtests[2].subtests[1].messages == ["    # test_2: FAIL"]
    assert not [test.problems for test in document.walk() if test.problems]


def test_two_documents_with_printk_times_and_messages_between() -> None:
    log = parse_text(
        "[    0.100000] Booting\n"
        "[    0.200000] KTAP version 1\n[    0.200001] 1..1\n"
        "[    0.200002]     KTAP version 1\n[    0.200003]     # Subtest: list\n"
        "[    0.200004]     1..2\n[    0.200005]     ok 1 init\n"
        "[    0.200006][    T1] usb 1-1: new device\n[    0.200007]     ok 2 add\n"
        "[    0.200008] # list: pass:2 fail:0\n[    0.200009] ok 1 list\n"
        "[    0.300000] Run /init as init process\n"
        "TAP version 13\n1..2\nok 1 open\nnot ok 2 close\n"
    )
    assert [document.name for document in log.documents] == ["KTAP version 1", "TAP version 13"]
    assert log.counts == {Status.PASS: 3, Status.FAIL: 1}
    text = json.dumps([test.messages for document in log.documents for test in document.walk()])
    assert "usb 1-1" in text
    assert "Run /init" in text
    assert log.messages == ["[    0.100000] Booting"]


def test_a_log_cut_off_by_a_panic_names_its_victim() -> None:
    log = parse_text(
        "KTAP version 1\n1..2\n  KTAP version 1\n  # Subtest: a\n  1..3\n  ok 1 a1\n"
        "Kernel panic - not syncing: boom\n"
    )
    statuses = [(t.name, t.status) for t in log.documents[0].leaves()]
    assert statuses[:2] == [("a1", Status.PASS), ("#2", Status.CRASH)]
    assert Status.MISSING in [status for _, status in statuses]
    assert not log.good


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TAP version 13\n1..2\nok 1 a\n", "plan of 2, 1 results"),
        ("TAP version 13\n1..1\nok 1 a\nok 2 b\n", "plan of 1, 2 results"),
        ("TAP version 13\n1..2\nok 1 a\nok 3 b\n", "result 3 where 2 was due"),
        ("TAP version 13\nok 1 a\n", "no plan"),
        ("TAP version 13\n1..1\n1..1\nok 1 a\n", "a second plan"),
        ("TAP version 13\n1..1\nBail out! no disk\n", "bail out: no disk"),
    ],
)
def test_a_lying_document_is_a_problem_and_not_good(text: str, words: str) -> None:
    log = parse_text(text)
    assert any(words in problem for problem in log.documents[0].problems)
    assert not log.good


def test_the_kselftest_runners_quoted_nesting() -> None:
    log = parse_text(
        "TAP version 13\n1..1\n# timeout set to 45\n# selftests: size: get_size\n# TAP version 13\n"
        "# # Testing system size.\n# 1..1\n# ok 1 get runtime memory use\n# # ok 7 is no result\n"
        "ok 1 selftests: size: get_size\n"
    )
    (runner,) = log.documents[0].subtests
    assert shape(runner) == (
        "selftests: size: get_size",
        Status.PASS,
        [("get runtime memory use", Status.PASS, [])],
    )
    assert log.good


_NAMES = st.text("abcdefghijklmnop_-0123456789", min_size=1, max_size=8).map(lambda s: f"t{s}")
_LEAF = st.builds(
    Test,
    _NAMES,
    st.sampled_from(
        [Status.PASS, Status.FAIL, Status.SKIP, Status.XFAIL, Status.TIMEOUT, Status.ERROR]
    ),
)


def _grown(children: st.SearchStrategy[Test]) -> st.SearchStrategy[Test]:
    def settle(name: str, subtests: list[Test]) -> Test:
        bad = any(test.status in BAD for test in subtests)
        return Test(name, Status.FAIL if bad else Status.PASS, subtests=subtests)

    return st.builds(settle, _NAMES, st.lists(children, min_size=1, max_size=4))


_TREES = st.lists(st.recursive(_LEAF, _grown, max_leaves=12), min_size=1, max_size=5)


@given(_TREES)
def test_what_is_written_reads_back(tests: list[Test]) -> None:
    log = parse_text("\n".join(render([Test("", subtests=tests)])) + "\n")
    assert [shape(test) for test in log.documents[0].subtests] == [shape(test) for test in tests]
    assert not [t.problems for t in log.documents[0].walk() if t.problems]


_PIECES = st.sampled_from(
    [
        "KTAP version 1",
        "TAP version 13",
        "1..3",
        "1..999999999",
        "ok 1 a",
        "not ok",
        "ok 99999999 b",
        "# x",
        "# Subtest: s",
        "Bail out!",
        "ok 2 c # SKIP",
        "[    1.000000] ok 3 d",
        "Oops: 0 [#1]",
        "# ok 1 q",
        "",
    ]
)
_LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "  ", "    ", "# "]), st.one_of(_PIECES, st.text(max_size=20))
    ).map("".join)
)


@pytest.mark.parametrize("piece", ["# ", "Oops ", " #", "# SKIP ", "ok 1 # ", "1..1 "])
def test_a_long_line_takes_time_in_proportion(piece: str) -> None:
    def seconds(count: int) -> float:
        text = piece * count
        began = time.process_time()
        parse_text(f"TAP version 13\n1..1\n{text}\n")
        return time.process_time() - began

    assert seconds(200_000) < 20 * max(seconds(20_000), 0.02)


@given(_LINES)
def test_any_text_is_a_log_and_no_unknown_line_is_lost(lines: list[str]) -> None:
    lines = [line.replace("\n", " ").replace("\r", " ") for line in lines] + ["marker 0x1234"]
    log = parse_text("\n".join(lines) + "\n")
    kept = log.messages + [m for d in log.documents for t in d.walk() for m in t.messages]
    assert "marker 0x1234" in kept


def _perl_counts(text: str) -> dict[str, int]:
    program = (
        "use TAP::Parser; local $/; my $p = TAP::Parser->new({tap => <STDIN>}); $p->run;"
        'printf "%d %d %d\\n", scalar($p->passed), scalar($p->failed), scalar($p->skipped);'
    )
    done = subprocess.run(
        ["perl", "-e", program], input=text, capture_output=True, text=True, check=True
    )
    passed, failed, skipped = map(int, done.stdout.split())
    return {"pass": passed - skipped, "fail": failed, "skip": skipped}


@pytest.mark.parametrize("seed", range(5))
def test_flat_documents_count_as_perls_tap_parser_counts(
    seed: int, needs: Callable[[str], str]
) -> None:
    needs("perl")
    dice = random.Random(seed)
    forms = ["ok {n} - a b", "not ok {n} c", "ok {n} # SKIP none", "ok {n}", "not ok {n} - d # e"]
    lines = [dice.choice(forms).format(n=n) for n in range(1, 41)]
    text = "\n".join(["TAP version 13", "1..40", *lines]) + "\n"
    counts: Counter[Status] = parse_text(text).counts
    assert {key: counts[Status(key)] for key in ("pass", "fail", "skip")} == _perl_counts(text)


def test_an_empty_log_is_not_good() -> None:
    assert not Log().good
    assert parse_text("nothing\n").messages == ["nothing"]
