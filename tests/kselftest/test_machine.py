"""Logs of boots taken apart: whole, cut off anywhere, with the kernel talking between the lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.kselftest import machine, pipeline
from ring3.kselftest.outcome import judge
from ring3.ktap import Status

KUNIT = """\
[    0.010000] Linux version 7.2.13
[    0.100000] KTAP version 1
[    0.100000] 1..2
[    0.110000]     KTAP version 1
[    0.110000]     # Subtest: list
[    0.110000]     1..2
[    0.110000]     ok 1 add
[    0.120000] random: crng init done
[    0.120000]     ok 2 del
[    0.120000] # list: pass:2 fail:0 skip:0 total:2
[    0.120000] ok 1 list
[    0.130000]     KTAP version 1
[    0.130000]     # Subtest: hash
[    0.130000]     1..1
[    0.130000]     not ok 1 spread
[    0.130000] not ok 2 hash
[    0.140000] Run /init as init process
"""
USER = """\
[    0.200000] # ring3: init runs the tests
[    0.200000] KTAP version 1
[    0.200000] 1..4
[    0.210000] # TAP version 13
[    0.210000] # 1..2
[    0.210000] # ok 1 open
[    0.215000][    T7] WARNING: CPU: 0 PID: 7 at mm/slub.c:5 kfree+0x1/0x2
[    0.216000] Modules linked in:
[    0.220000] # ok 2 close
[    0.230000] ok 1 fs/files # exit=0 ms=20
[    0.240000] # # no such device
[    0.250000] ok 2 dev/clock # SKIP exit=4 ms=3
[    1.250000] not ok 3 hang # TIMEOUT 1 seconds
[    1.250000] # ring3: left behind and killed: 2
[    1.260000] not ok 4 segv # signal=11 ms=5
[    1.270000] reboot: Power down
"""
NAMES = ["fs/files", "dev/clock", "hang", "segv"]


def test_a_whole_boot() -> None:
    session = machine.read(KUNIT + USER, NAMES)
    assert session.problems == []
    assert session.kunit.counts == {Status.PASS: 2, Status.FAIL: 1}
    tests = [judge(outcome) for outcome in session.outcomes]
    assert [(test.name, test.status, test.reason) for test in tests] == [
        ("fs/files", Status.PASS, ""),
        ("dev/clock", Status.SKIP, "no such device"),
        ("hang", Status.TIMEOUT, "time-out: 1 seconds"),
        ("segv", Status.CRASH, "ended by SIGSEGV"),
    ]
    assert [sub.name for sub in tests[0].subtests] == ["open", "close"]
    assert tests[0].reports == ["WARNING: CPU: 0 PID: 7 at mm/slub.c:5 kfree+0x1/0x2"]
    assert tests[3].notes == ["left 2 processes behind, which were killed"]
    assert session.kunit.messages[-1] == "reboot: Power down"


def test_a_panic_belongs_to_the_program_that_ran() -> None:
    cut = USER.partition("[    0.240000]")[0]
    panic = "[    0.300000] Kernel panic - not syncing: Fatal exception\n[    0.300000] ---[ end\n"
    session = machine.read(KUNIT + cut + panic, NAMES)
    statuses = [(outcome.name, judge(outcome).status) for outcome in session.outcomes]
    assert statuses == [
        ("fs/files", Status.PASS),
        ("dev/clock", Status.CRASH),
        ("hang", Status.MISSING),
        ("segv", Status.MISSING),
    ]
    assert "Kernel panic" in judge(session.outcomes[1]).reason


def test_without_the_names_the_plan_counts() -> None:
    cut = USER.partition("[    0.240000]")[0]
    session = machine.read(cut)
    assert [outcome.name for outcome in session.outcomes] == ["fs/files", "#2", "#3", "#4"]


def test_messages_that_printk_dropped_are_a_problem() -> None:
    log = pipeline.read_log(KUNIT + "** 17 printk messages dropped **\n" + USER)
    assert not log.good
    assert log.documents[-1].problems == ["the kernel dropped 17 messages of its log"]


def _words(log) -> str:
    """Everything that a tree holds, as one text."""
    parts = list(log.messages)
    for document in log.documents:
        for test in document.walk():
            parts += [test.name, test.reason, *test.messages, *test.kernel, *test.problems]
    return "\n".join(parts)


@given(st.integers(0, len(KUNIT + USER)))
def test_cut_anywhere_no_result_is_invented_and_none_is_lost(end: int) -> None:
    text = (KUNIT + USER)[:end]
    log = pipeline.read_log(text)
    whole = text[: text.rfind("\n") + 1]
    # Each result of a program that is in the log whole is in the tree.
    for name in NAMES:
        if f" {name} # " in whole:
            assert name in _words(log)
    if end < len(KUNIT + USER) - 40:
        assert not log.good
    assert log.counts[Status.PASS] <= whole.count("ok ") + 2


@given(st.lists(st.sampled_from((KUNIT + USER).splitlines()), max_size=60))
def test_lines_in_any_order_make_a_tree(lines: list[str]) -> None:
    log = pipeline.read_log("\n".join(lines))
    for document in log.documents:
        for test in document.walk():
            assert test.name


@given(st.text(), st.lists(st.text(max_size=5), max_size=3))
def test_any_text_is_a_log(text: str, names: list[str]) -> None:
    machine.read(text, names)
    pipeline.read_log(f"# ring3: init runs the tests\n{text}")


@given(st.data())
def test_two_logs_interleaved_lose_no_line_of_either(data: st.DataObject) -> None:
    """Two consoles into one file: what stands in the tree is every line of both, in some place."""
    first, second = KUNIT.splitlines(), [f"x{line}" for line in USER.splitlines()]
    mixed = []
    while first or second:
        source = first if first and (not second or data.draw(st.booleans())) else second
        mixed.append(source.pop(0))
    log = pipeline.read_log("\n".join(mixed))
    words = _words(log)
    for line in mixed:
        if line.startswith("x"):
            assert line in words
    assert log.counts[Status.PASS] == 2


@pytest.mark.parametrize("name", ["a b", "#x", "", "a\tb", "ü"])
def test_names_survive_the_list(name: str) -> None:
    plain = machine._plain(name)
    assert plain
    assert not set(plain) & set(" \t#\n")


@pytest.mark.parametrize(
    "line",
    [
        f"1..{'9' * 5000}",
        f"ok {'1' * 5000} a # exit=0 ms=1",
        f"ok 1 a # exit={'1' * 5000} ms=1",
        f"ok 1 a # signal={'1' * 5000} ms=1",
        f"# ring3: left behind and killed: {'1' * 5000}",
        f"# # Totals: pass:{'1' * 5000} fail:0 xfail:0 xpass:0 skip:0 error:0\nok 1 a # exit=0 ms=1",
    ],
)
def test_numbers_that_no_test_prints_are_no_numbers(line: str) -> None:
    log = pipeline.read_log(f"# ring3: init runs the tests\nKTAP version 1\n1..1\n{line}\n")
    assert log.counts.total() == 1


def test_a_lying_plan_is_a_problem_and_no_tree_of_a_billion() -> None:
    log = pipeline.read_log("# ring3: init runs the tests\n1..999999999\nok 1 a # exit=0 ms=1\n")
    assert log.counts[Status.MISSING] < 2000
    assert log.counts[Status.PASS] == 1
    assert not log.good
    assert log.documents[-1].problems == ["plan of 999999999, 1 results"]
