"""What became of one test program, and the verdict on it: the same wherever it ran.

An :class:`Outcome` is what was observed: output, exit code, time.  :func:`judge` makes a tree of it, by the
rules of kselftest: a program may print KTAP or TAP, or nothing but an exit code; where both speak, both
must be good.

Sources: Documentation/dev-tools/ktap.rst and kselftest.rst, tools/testing/selftests/kselftest.h, Linux 7.2.
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Literal

from ring3 import ktap
from ring3.ktap import Status, Test

#: KSFT_SKIP: the exit code that says "could not be tried here".
SKIP = 4

#: Why a program has no exit code of its own, or not one that counts.
Trouble = Literal["", "not built", "not run", "time-out", "flood", "kernel died", "cut off"]


@dataclass(frozen=True)
class Outcome:
    """What was observed of one test program.

    ``code`` is its exit code, negative the signal that ended it, None where ``trouble`` says why there is
    none; ``detail`` tells more about the trouble.  ``kernel`` are the kernel's own messages while it ran,
    ``left_behind`` the number of processes that were still there after it.
    """

    name: str
    arch: str
    output: bytes = b""
    code: int | None = None
    seconds: float = 0.0
    trouble: Trouble = ""
    detail: str = ""
    left_behind: int = 0
    kernel: tuple[str, ...] = ()


_TROUBLES = {
    "not built": Status.ERROR,
    "not run": Status.SKIP,
    "time-out": Status.TIMEOUT,
    "flood": Status.ERROR,
    "kernel died": Status.CRASH,
    "cut off": Status.MISSING,
}
#: What kselftest.h's totals count, in its order.
_COUNTED = (Status.PASS, Status.FAIL, Status.XFAIL, Status.XPASS, Status.SKIP, Status.ERROR)
_TOTALS = re.compile(
    "^# Totals: " + " ".join(rf"{status.value}:(\d{{1,9}})" for status in _COUNTED) + r"\s*$"
)
_PLAN = re.compile(r"^1\.\.\d+", re.MULTILINE)
_RESULT = re.compile(r"^(not )?ok\b", re.MULTILINE)


def judge(outcome: Outcome) -> Test:
    """The test that ``outcome`` is, with the results it printed as subtests."""
    text = outcome.output.decode(errors="replace")
    log = ktap.parse_text(text)
    if not log.documents and _RESULT.search(text):
        # TAP had no version line before version 13; some programs print no plan either.
        log = ktap.parse_text("TAP version 12\n" + text)
        if not _PLAN.search(text):
            log.documents[0].problems.remove("no plan")
            log.documents[0].notes.append("it prints no plan")
    test = Test(outcome.name, seconds=outcome.seconds, messages=list(log.messages))
    if len(log.documents) == 1:
        (document,) = log.documents
        test.planned, test.subtests = document.planned, document.subtests
        test.problems += document.problems
        test.notes += document.notes
        test.messages += document.messages
        test.reason = document.reason
    else:
        # A program that runs others prints a document for each.
        test.subtests = log.documents
    _check_totals(test)
    if outcome.code == SKIP and not test.subtests:
        test.problems.clear()  # it did not get as far as its plan
    test.status, reason = _status(outcome, test)
    test.reason = reason or test.reason
    if "\ufffd" in text and b"\xef\xbf\xbd" not in outcome.output:
        test.notes.append("its output is not UTF-8")
    if outcome.left_behind:
        test.notes.append(f"left {outcome.left_behind} processes behind, which were killed")
    test.kernel = list(outcome.kernel)
    test.reports = ktap.reports(outcome.kernel)
    return test


def _status(outcome: Outcome, test: Test) -> tuple[Status, str]:
    if outcome.trouble:
        detail = f": {outcome.detail}" if outcome.detail else ""
        return _TROUBLES[outcome.trouble], f"{outcome.trouble}{detail}"
    code = outcome.code
    assert code is not None, "an outcome without trouble has an exit code"
    if code < 0:
        return Status.CRASH, f"ended by {signal_name(-code)}"
    bad = [sub for sub in test.subtests if not sub.good]
    if code == SKIP and not bad:
        told = next((sub.reason for sub in test.subtests if sub.reason), "")
        return Status.SKIP, test.reason or told or _last_words(outcome)
    if code:
        return Status.FAIL, f"exit code {code}"
    if bad or test.problems:
        return Status.FAIL, "exit code 0, although not all of its results are good"
    if test.subtests:
        statuses = {sub.status for sub in test.subtests}
        return (Status.SKIP if statuses == {Status.SKIP} else Status.PASS), ""
    if test.planned == 0:
        return Status.SKIP, test.reason or "a plan of no tests"
    return Status.PASS, "" if outcome.output else "no output"


def _check_totals(test: Test) -> None:
    """kselftest.h and kselftest_harness.h end with what they counted; it must be what they printed."""
    told = [match for line in test.messages if (match := _TOTALS.match(line))]
    if len(told) != 1:
        return
    # Not one by one: kselftest.h prints an error as a failure.
    said = sum(map(int, told[0].groups()))
    printed = sum(sub.status in _COUNTED for sub in test.subtests)
    if said != printed:
        test.problems.append(f"its totals say {said} tests, {printed} results were printed")


def signal_name(number: int) -> str:
    """SIGKILL for 9; a number without a name as it is."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_words(outcome: Outcome) -> str:
    text = outcome.output.decode(errors="replace")
    lines = [line for line in text.strip().splitlines() if not _TOTALS.match(line)]
    return lines[-1].removeprefix("# ").strip()[:200] if lines else ""
