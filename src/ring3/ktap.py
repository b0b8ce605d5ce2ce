"""KTAP and TAP: logs of tests read into trees, and trees written as KTAP.

A log is whatever a console showed: any number of documents, nested to any depth, with kernel messages
between the lines, cut off anywhere.  Every line of it ends up in a tree: as a result, as a message of
the test that was running, or as a message outside all documents.  What a plan promised and no line
delivered becomes a result of status ``missing``, and whatever contradicts itself is a ``problem``.

Source: Documentation/dev-tools/ktap.rst (KTAP version 1, Linux 7.2) and the TAP 13 and 14
specifications.  The kselftest runner nests by prefixing lines with ``# `` instead of spaces.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """How a test ended; the values are what summaries print."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    XFAIL = "xfail"  # failed as expected: counts as good
    XPASS = "xpass"  # passed although a failure was expected: counts as bad
    TIMEOUT = "timeout"
    ERROR = "error"
    CRASH = "crash"  # it ran when the kernel or the program died
    MISSING = "missing"  # planned, and never reported


#: Statuses that make the whole bad.
BAD = frozenset(
    {Status.FAIL, Status.XPASS, Status.TIMEOUT, Status.ERROR, Status.CRASH, Status.MISSING}
)


@dataclass
class Test:
    """A test with its subtests; the root of a document is one, too, named by the version line.

    ``line`` is the 1-based line of its result (of its first line while it has none); ``planned`` is the
    number of subtests its plan promised; ``messages`` are the lines printed while it ran.  Whoever ran it
    may add ``seconds``, ``notes`` in words, the ``kernel`` messages of that time and the ``reports``
    among them.
    """

    __test__ = False  # pytest would take the name for a class of tests

    name: str
    status: Status = Status.MISSING
    number: int = 0
    line: int = 0
    reason: str = ""
    planned: int | None = None
    subtests: list[Test] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float | None = None
    notes: list[str] = field(default_factory=list)
    kernel: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    def walk(self) -> Iterator[Test]:
        """This test and everything below it, parents first."""
        waiting = [self]
        while waiting:
            test = waiting.pop()
            yield test
            waiting.extend(reversed(test.subtests))

    def leaves(self) -> Iterator[Test]:
        """The tests that have no subtests: what summaries count."""
        return (test for test in self.walk() if not test.subtests)

    @property
    def good(self) -> bool:
        """Nothing in it failed, is missing, or contradicts itself."""
        return all(test.status not in BAD and not test.problems for test in self.walk())


@dataclass
class Log:
    """All documents of a log, in order, and the lines that belong to none."""

    documents: list[Test] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def counts(self) -> Counter[Status]:
        """Leaf tests by status over all documents."""
        return Counter(test.status for document in self.documents for test in document.leaves())

    @property
    def good(self) -> bool:
        """At least one document, and all good."""
        return bool(self.documents) and all(document.good for document in self.documents)


# printk's time and, with CONFIG_PRINTK_CALLER, its caller; syslog's level before it.
_PREFIX = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?")
_VERSION = re.compile(r"^(K?TAP version \d+)\s*$")
_PLAN = re.compile(r"^1\.\.(\d{1,9})(?:\s+#\s*(?P<why>.*))?\s*$")
_RESULT = re.compile(r"^(?P<bad>not )?ok\b[ \t]*(?P<number>\d{1,9})?(?P<rest>.*)$")
_DIRECTIVE = re.compile(
    r"(?:^|\s)#\s*(SKIP|TODO|XFAIL|XPASS|TIMEOUT|ERROR)\b\S*[ \t:]*(.*)$", re.IGNORECASE
)
_SUBTEST = re.compile(r"^# Subtest:\s*(.*)$")
_QUOTES = re.compile(r"(?:# (?!Subtest:))*")
_BAIL = re.compile(r"^Bail out!\s*(.*)$")
_DEATH = re.compile(
    r"Kernel panic - not syncing|\bOops\b.{0,200}\[#\d+\]|^BUG: |kernel BUG at|Unable to handle kernel|"
    r"reboot: System halted unexpectedly"
)
# First lines of what a kernel prints when it finds a fault in itself and lives on.
_REPORT = re.compile(
    r"^(?:WARNING: |BUG: |INFO: (?:task .* blocked|rcu|possible|trying|inconsistent|suspicious)|UBSAN: |"
    r"kmemleak: \d+ new suspected|watchdog: BUG|memory leak|general protection fault|Internal error: )"
)
_MOST_DEPTH = 64
#: A lying plan does not get a tree of a billion.
MOST_MISSING = 1000


@dataclass
class _Level:
    """A document or group of subtests whose results are coming in at one indentation."""

    test: Test
    indent: int
    named: bool  # a "# Subtest:" line or a result has given the name
    running: list[str] = field(default_factory=list)  # messages since the last result


class _Parser:
    def __init__(self) -> None:
        self.log = Log()
        self.levels: list[_Level] = []
        self.line = 0
        self.died: str | None = None
        self.orphan: Test | None = None  # a finished group that waits for its parent's result

    def feed(self, raw: str) -> None:
        self.line += 1
        raw = raw.rstrip("\r\n")
        text = _PREFIX.sub("", raw)
        indent, body, quoted = _indentation(text)
        if _DEATH.search(text):
            self.died = self.died or text.strip()
        if _VERSION.match(body):
            self.version(indent, body.strip())
            return
        known = not quoted or any(level.indent == indent for level in self.levels)
        if self.levels and known and self.line_of_document(indent, body):
            return
        self.message(raw)

    def version(self, indent: int, name: str) -> None:
        while self.levels and self.levels[-1].indent >= indent:
            self.close_level()
        if len(self.levels) >= _MOST_DEPTH:
            self.levels[-1].test.problems.append(f"nested deeper than {_MOST_DEPTH}")
            return
        test = Test(name, line=self.line)
        if not self.levels:
            self.log.documents.append(test)
        self.levels.append(_Level(test, indent, named=False))

    def line_of_document(self, indent: int, body: str) -> bool:
        """Take a plan, result or subtest name of an open document; False when it is none."""
        plan, result, name = _PLAN.match(body), _RESULT.match(body), _SUBTEST.match(body)
        bail = _BAIL.match(body)
        if not (plan or result or name or bail):
            return False
        depth = next((n for n, level in enumerate(self.levels) if level.indent == indent), None)
        if name:
            # It stands at the subtests' indentation, before or after their version line.
            self.subtest_name(indent, name[1].strip())
            return True
        if depth is None:
            if plan or bail:
                return False
            depth = self.nearest(indent)
        while len(self.levels) > depth + 1:
            self.close_level()
        level = self.levels[depth]
        if plan:
            self.plan(level, plan)
        elif bail:
            level.test.problems.append(f"bail out: {bail[1]}".rstrip(": "))
        elif result:
            self.result(level, result)
        return True

    def nearest(self, indent: int) -> int:
        """The innermost level that is not further in than ``indent``: results keep to no column."""
        found = 0
        for number, level in enumerate(self.levels):
            if level.indent <= indent:
                found = number
        return found

    def plan(self, level: _Level, plan: re.Match[str]) -> None:
        if level.test.planned is not None:
            level.test.problems.append(f"a second plan in line {self.line}")
            return
        level.test.planned = int(plan[1])
        if level.test.planned == 0 and plan["why"]:
            level.test.reason = _DIRECTIVE.sub(r"\2", f"# {plan['why']}").strip()

    def subtest_name(self, indent: int, name: str) -> None:
        level = self.levels[-1]
        if (
            level.indent == indent
            and not level.named
            and not level.test.subtests
            and len(self.levels) > 1
        ):
            level.test.name, level.named = name, True
            return
        if indent > level.indent and len(self.levels) < _MOST_DEPTH:
            # Old producers name the group and print no version line.
            self.levels.append(_Level(Test(name, line=self.line), indent, named=True))
            return
        self.message(f"# Subtest: {name}")

    def result(self, level: _Level, match: re.Match[str]) -> None:
        number = int(match["number"]) if match["number"] else len(level.test.subtests) + 1
        name, status, reason = _described(match)
        group, self.orphan = self.orphan, None
        test = group or Test(name)
        test.name, test.status, test.reason = name or test.name, status, reason or test.reason
        test.number, test.line = number, self.line
        test.messages = level.running + test.messages
        level.running = []
        expected = len(level.test.subtests) + 1
        if number != expected:
            level.test.problems.append(
                f"line {self.line}: result {number} where {expected} was due"
            )
        if status is Status.PASS and any(sub.status in BAD for sub in test.subtests):
            test.problems.append("reported ok although a subtest is not")
        level.test.subtests.append(test)

    def message(self, raw: str) -> None:
        if self.levels:
            self.levels[-1].running.append(raw)
        else:
            self.log.messages.append(raw)

    def close_level(self) -> None:
        """The innermost level ends: count it against its plan and hand it to its parent's result."""
        level = self.levels.pop()
        self.flush_orphan(level)
        test = level.test
        got = len(test.subtests)
        if test.planned is None:
            # KUnit's parameterised cases do without; where the parent reports them, none can be lost.
            (test.notes if self.levels and got else test.problems).append("no plan")
        elif got > test.planned:
            test.problems.append(f"plan of {test.planned}, {got} results")
        else:
            for number in range(got + 1, min(test.planned, got + MOST_MISSING) + 1):
                test.subtests.append(Test(f"#{number}", Status.MISSING, number, self.line))
            if got < test.planned:
                test.problems.append(f"plan of {test.planned}, {got} results")
                if self.died:
                    victim = test.subtests[got]
                    victim.status, victim.reason = Status.CRASH, self.died
        test.messages += level.running
        if self.levels:
            self.flush_orphan(self.levels[-1])
            self.orphan = test
        else:
            test.status = _rolled_up(test)

    def flush_orphan(self, level: _Level) -> None:
        """A group that no result line of its parent followed still counts, as unreported."""
        if self.orphan is None:
            return
        test, self.orphan = self.orphan, None
        test.number = len(level.test.subtests) + 1
        test.status = Status.CRASH if self.died else Status.MISSING
        test.reason = self.died or "its result line never came"
        level.test.subtests.append(test)

    def finish(self) -> Log:
        while self.levels:
            self.close_level()
        return self.log


def parse(lines: Iterable[str]) -> Log:
    """Read a log.  Any text is a log; what it lacks is said in the result, never raised."""
    parser = _Parser()
    for line in lines:
        parser.feed(line)
    return parser.finish()


def parse_text(text: str) -> Log:
    """Read a log that is one string."""
    return parse(text.split("\n")[: -1 if text.endswith("\n") else None])


def without_time(line: str) -> str:
    """A line of a log without its end, and without what printk put before it."""
    return _PREFIX.sub("", line.rstrip("\r\n"))


def deaths(lines: Iterable[str]) -> list[str]:
    """Lines that say that the kernel died: a panic, an oops, a BUG."""
    return [bare.strip() for line in lines if _DEATH.search(bare := without_time(line))]


def reports(lines: Iterable[str]) -> list[str]:
    """The first lines of the kernel's reports on itself: warnings, lockdep, KASAN, a panic ..."""
    bare = (without_time(line).strip() for line in lines)
    return [line for line in bare if _REPORT.search(line) or _DEATH.search(line)]


def render(documents: Iterable[Test]) -> Iterator[str]:
    """Write documents as lines of KTAP version 1; messages become diagnostic lines."""
    for document in documents:
        yield from _rendered(document, "")


def _rendered(group: Test, indent: str) -> Iterator[str]:
    yield f"{indent}KTAP version 1"
    if indent:
        yield f"{indent}# Subtest: {group.name}"
    yield f"{indent}1..{len(group.subtests)}"
    for number, test in enumerate(group.subtests, 1):
        if test.subtests:
            yield from _rendered(test, indent + "  ")
        for message in test.messages:
            yield f"{indent}# {message.strip().removeprefix('# ')}"
        word = "ok" if test.status in (Status.PASS, Status.SKIP, Status.XFAIL) else "not ok"
        directive = test.status.name if test.status not in (Status.PASS, Status.FAIL) else ""
        tail = f" # {directive} {test.reason}".rstrip() if directive else ""
        yield f"{indent}{word} {number} {test.name}{tail}"


def _indentation(text: str) -> tuple[int, str, bool]:
    """Columns of nesting, the rest, and whether ``# `` stood in front of a line of KTAP, as the
    kselftest runner nests; each counts as two columns."""
    body = text.lstrip(" ")
    indent = len(text) - len(body)
    quotes = _QUOTES.match(body)
    if quotes and quotes.end():
        inner = body[quotes.end() :].lstrip(" ")
        if _VERSION.match(inner) or _PLAN.match(inner) or _RESULT.match(inner):
            return indent + len(body) - len(inner), inner, True
    return indent, body, False


def _described(match: re.Match[str]) -> tuple[str, Status, str]:
    """Name, status and reason of a result line."""
    rest = match["rest"].strip()
    failed = match["bad"] is not None
    directive = _DIRECTIVE.search(rest)
    if directive is None:
        return _plain(rest), Status.FAIL if failed else Status.PASS, ""
    word, reason = directive[1].upper(), directive[2].strip()
    status = {
        "SKIP": Status.SKIP,
        "TODO": Status.XFAIL if failed else Status.PASS,
        "XFAIL": Status.XFAIL,
        "XPASS": Status.XPASS,
        "TIMEOUT": Status.TIMEOUT,
        "ERROR": Status.ERROR,
    }[word]
    return _plain(rest[: directive.start()]), status, reason


def _plain(description: str) -> str:
    return description.strip().removeprefix("- ").split(" # ")[0].strip()


def _rolled_up(test: Test) -> Status:
    """The status of a document, which has no result line of its own."""
    statuses = {sub.status for sub in test.subtests}
    if statuses & BAD or test.problems:
        return Status.FAIL
    return Status.SKIP if not statuses or statuses == {Status.SKIP} else Status.PASS
