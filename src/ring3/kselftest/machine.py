"""Test programs run inside a booted kernel, and KUnit's suites in the same boot.

The root is a folder with the programs, a list and an init of our own (``init.c``).  The kernel runs its
KUnit suites before init; init runs the programs and writes into the kernel's log, so that one log has
everything in the order of events.  :func:`read` takes such a log apart again, whole or cut off anywhere.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ring3 import ktap
from ring3.arch import by_name
from ring3.errors import BadInput
from ring3.kselftest.boot import Boot, Machine, boot
from ring3.kselftest.execute import LIMIT
from ring3.kselftest.kernel import Image
from ring3.kselftest.outcome import Outcome, signal_name
from ring3.ktap import Log
from ring3.nolibc import build

INIT = Path(__file__).with_name("init.c")
#: Of the programs that a kernel runs, UML's too.
ARCH = by_name("x86_64")
#: Seconds that a kernel may take to boot and to run its own suites.
BOOT_TIME = 300.0
#: The line of the log that init begins with.
_BEGIN = "# ring3: init runs the tests"
_TESTS = "ring3"  # the folder in the root


@dataclass(frozen=True)
class Ready:
    """A test program that is built: a static file for the kernel's architecture."""

    name: str
    program: Path
    timeout: float


@dataclass
class Session:
    """A boot's log taken apart: KUnit's documents with the kernel's own messages, and what became of the
    programs.  ``problems`` are what does not add up in the log as a whole."""

    kunit: Log = field(default_factory=Log)
    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def run(
    image: Image,
    tests: Sequence[Ready],
    *,
    kunit: bool = True,
    suites: str | None = None,
    cmdline: Sequence[str] = (),
    memory: int = 512,
    machine: Machine = "microvm",
    boot_time: float = BOOT_TIME,
    limit: int = LIMIT,
    on_line: Callable[[str], None] | None = None,
) -> Boot:
    """Boot ``image`` once: KUnit's suites (``suites`` is a glob of their names), then ``tests``.

    ``boot_time`` is what the kernel and KUnit may take, in seconds; each test has its own time on top, and
    may print ``limit`` bytes.
    """
    words = ["printk.devkmsg=on", "ignore_loglevel", "printk.time=1", "log_buf_len=4M", *cmdline]
    words.append(f"kunit.enable={int(kunit)}")
    if suites is not None:
        if re.search(r"[\s\"]", suites):
            raise BadInput("a glob of suites has no blanks or quotes", where=suites)
        words.append(f"kunit.filter_glob={suites}")
    with tempfile.TemporaryDirectory(prefix="ring3-root-") as folder:
        root = Path(folder)
        for name in ("dev", "proc", "sys", "tmp", "run", _TESTS):
            (root / name).mkdir()
        build.build([INIT], ARCH, root / "init")
        lines = []
        for number, test in enumerate(tests, 1):
            place = f"/{_TESTS}/{number}-{test.program.name}"
            shutil.copy2(test.program, root / place.lstrip("/"))
            seconds = max(1, round(test.timeout))
            lines.append(f"{_plain(test.name)} {seconds} {limit} {place}\n")
        (root / "list").write_text("".join(lines))
        end = "off" if image.arch == "um" else "restart"
        return boot(
            image,
            root,
            cmdline=[*words, "--", "/list", end],
            memory=memory,
            timeout=boot_time + sum(test.timeout for test in tests),
            limit=(64 << 20) + len(tests) * 2 * limit,
            machine=machine,
            on_line=on_line,
        )


def _plain(name: str) -> str:
    """A name for a line of KTAP: without blanks and without what begins a directive."""
    return re.sub(r"[\s#]", "_", name) or "_"


# The end of a test, as init.c says it; the rest of the line tells how.
_PLAN = re.compile(r"^1\.\.(\d{1,9})$")
_RESULT = re.compile(r"^(?:not )?ok (\d{1,9}) (\S+) # (.*)$")
_EXIT = re.compile(r"^(?:SKIP )?exit=(\d{1,9}) ms=(\d{1,9})$")
_SIGNAL = re.compile(r"^signal=(\d{1,9}) ms=(\d{1,9})$")
_LEFT = re.compile(r"^# ring3: left behind and killed: (\d{1,9})$")
_DROPPED = re.compile(r"\*\* (\d{1,9}) printk messages dropped \*\*")


def read(text: str, tests: Sequence[str] | None = None, arch: str = "x86_64") -> Session:
    """Take a boot's log apart.  ``tests`` are the names that were to run, where that is known."""
    lines = text.splitlines()
    bare = [ktap.without_time(line) for line in lines]
    begin = next((at for at, line in enumerate(bare) if line == _BEGIN), len(lines))
    session = Session(kunit=ktap.parse(lines[:begin]))
    for line in bare:
        if match := _DROPPED.search(line):
            session.problems.append(f"the kernel dropped {match[1]} messages of its log")
    reader = _Reader(arch)
    for line in bare[begin + 1 :]:
        reader.feed(line)
    reader.finish(session, [_plain(name) for name in tests] if tests is not None else None)
    return session


class _Reader:
    """What init wrote, line by line, with the kernel's messages among it."""

    def __init__(self, arch: str) -> None:
        self.arch = arch
        self.outcomes: list[Outcome] = []
        self.planned: int | None = None
        self.output: list[str] = []
        self.kernel: list[str] = []
        self.left = 0
        self.ended = False

    def feed(self, line: str) -> None:
        result = _RESULT.match(line)
        if match := _LEFT.match(line):
            self.left = int(match[1])
        elif line.startswith("# ") or line == "#":
            self.output.append(line[2:])
        elif self.planned is None and (match := _PLAN.match(line)):
            self.planned = int(match[1])
        elif result and int(result[1]) == len(self.outcomes) + 1:
            self.result(result[2], result[3])
        elif line not in ("KTAP version 1", ""):
            self.kernel.append(line)

    def result(self, name: str, how: str) -> None:
        exit_, signal_ = _EXIT.match(how), _SIGNAL.match(how)
        match = exit_ or signal_
        seconds = int(match[2]) / 1000 if match else 0.0
        if exit_:
            outcome = self.outcome(name, code=int(exit_[1]), seconds=seconds)
        elif signal_:
            outcome = self.outcome(name, code=-int(signal_[1]), seconds=seconds)
        elif how.startswith("TIMEOUT"):
            outcome = self.outcome(name, trouble="time-out", detail=how.removeprefix("TIMEOUT "))
        elif how.startswith("ERROR flood"):
            outcome = self.outcome(name, trouble="flood", detail=how.partition(": ")[2])
        else:
            outcome = self.outcome(name, trouble="not run", detail=how)
        self.outcomes.append(outcome)

    def outcome(self, name: str, **how: object) -> Outcome:
        """What has come in since the last result, as an outcome."""
        output = "".join(f"{line}\n" for line in self.output).encode()
        made = Outcome(
            name,
            self.arch,
            output=output,
            kernel=tuple(self.kernel),
            left_behind=self.left,
            **how,  # type: ignore[arg-type] # each caller names fields of Outcome
        )
        self.output, self.kernel, self.left = [], [], 0
        return made

    def finish(self, session: Session, names: list[str] | None) -> None:
        """The log is over: the test that was running, and those that never ran."""
        planned = len(names) if names is not None else self.planned or 0
        got = len(self.outcomes)
        if planned > got + ktap.MOST_MISSING and names is None:
            session.problems.append(f"plan of {planned}, {got} results")
            planned = got + ktap.MOST_MISSING
        for number in range(got + 1, planned + 1):
            name = names[number - 1] if names else f"#{number}"
            died = ktap.deaths(self.kernel)
            if died and number == got + 1:
                self.outcomes.append(self.outcome(name, trouble="kernel died", detail=died[0]))
            else:
                self.outcomes.append(self.outcome(name, trouble="cut off", detail="the log ends"))
        session.kunit.messages += self.kernel
        session.outcomes = self.outcomes


def ended(result: Boot) -> str | None:
    """What was wrong with how a boot ended, in words; None when nothing was."""
    if result.ended == "time-out":
        return f"the kernel did not end within its time and was killed after {result.seconds:.0f} s"
    if result.ended == "flood":
        return "the kernel printed more than could be kept and was killed"
    if result.code < 0:
        return f"{Path(result.command[0]).name} was ended by {signal_name(-result.code)}"
    return None
