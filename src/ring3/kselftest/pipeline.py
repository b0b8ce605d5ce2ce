"""From sources to one tree: every test built, run and judged, on every architecture, some at a time.

Reading sources, running programs and judging outcomes are apart: this module only joins them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Event
from typing import TypeVar

from ring3.arch import Arch
from ring3.errors import MissingPart
from ring3.kselftest import discover, execute, machine
from ring3.kselftest.boot import Machine
from ring3.kselftest.discover import Source
from ring3.kselftest.kernel import Image
from ring3.kselftest.outcome import Outcome, judge
from ring3.kselftest.program import compile_test
from ring3.ktap import BAD, Log, Status, Test
from ring3.nolibc.build import CompileError
from ring3.nolibc.toolchain import Kind

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Called with each outcome as it comes in.
Tick = Callable[[Outcome], None]


@dataclass(frozen=True)
class Options:
    """How tests are built and run: at most ``timeout`` seconds each where that is given, and ``limit``
    bytes of output; ``jobs`` at a time, by default one a core."""

    compiler: Kind | None = None
    timeout: float | None = None
    limit: int = execute.LIMIT
    jobs: int | None = None

    def seconds(self, source: Source) -> float:
        """How long a test may take."""
        return self.timeout if self.timeout is not None else source.timeout

    @property
    def workers(self) -> int:
        """How many tests are in the making at once."""
        return self.jobs or len(os.sched_getaffinity(0))


def run_here(
    sources: Sequence[Source], archs: Sequence[Arch], options: Options, tick: Tick | None = None
) -> list[Outcome]:
    """Build and run every test for every architecture, natively or under qemu-user."""

    def one(pair: tuple[Source, Arch], stop: Event) -> Outcome:
        source, arch = pair
        built = _build(source, arch, Path(folder) / arch.name, options)
        if isinstance(built, Outcome):
            return built
        try:
            return execute.run_here(
                source.name,
                built,
                arch,
                timeout=options.seconds(source),
                limit=options.limit,
                stop=stop,
            )
        except MissingPart as missing:
            return Outcome(source.name, arch.name, trouble="not run", detail=str(missing))
        finally:
            built.unlink(missing_ok=True)

    pairs = [(source, arch) for arch in archs for source in sources]
    with tempfile.TemporaryDirectory(prefix="ring3-kselftest-") as folder:
        return _all(one, pairs, options, tick)


@dataclass(frozen=True)
class Booted:
    """What a boot gave: the log as a whole, and its parts."""

    log: Log
    text: str
    seconds: float


def run_in_kernel(
    image: Image,
    sources: Sequence[Source],
    options: Options,
    *,
    kunit: bool = True,
    suites: str | None = None,
    cmdline: Sequence[str] = (),
    memory: int = 512,
    at: Machine = "microvm",
    boot_time: float = machine.BOOT_TIME,
    tick: Tick | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Booted:
    """Build every test, boot ``image`` once, and take KUnit's results and theirs from its log."""
    with tempfile.TemporaryDirectory(prefix="ring3-kselftest-") as name:
        made = _all(
            lambda source, _: (source, _build(source, machine.ARCH, Path(name), options)),
            sources,
            options,
            None,
        )
        ready = [
            machine.Ready(source.name, built, options.seconds(source))
            for source, built in made
            if isinstance(built, Path)
        ]
        result = machine.run(
            image,
            ready,
            kunit=kunit,
            suites=suites,
            cmdline=cmdline,
            memory=memory,
            machine=at,
            boot_time=boot_time,
            limit=options.limit,
            on_line=on_line,
        )
    session = machine.read(result.log, [test.name for test in ready], machine.ARCH.name)
    ran = {test.name: outcome for test, outcome in zip(ready, session.outcomes, strict=False)}
    outcomes = [built if isinstance(built, Outcome) else ran[source.name] for source, built in made]
    for outcome in outcomes:
        if tick:
            tick(outcome)
    problems = [*session.problems, *filter(None, [machine.ended(result)])]
    log = join(session.kunit, outcomes, problems)
    return Booted(log, result.log, result.seconds)


def read_log(text: str) -> Log:
    """The tree of a log of others: a boot of ours, a console, dmesg, KUnit's results in debugfs ..."""
    session = machine.read(text)
    return join(session.kunit, session.outcomes, session.problems)


def join(kunit: Log, outcomes: Iterable[Outcome], problems: Sequence[str] = ()) -> Log:
    """One log of everything: KUnit's documents, then the programs as a document an architecture."""
    log = Log(list(kunit.documents), list(kunit.messages))
    groups: dict[str, Test] = {}
    for outcome in outcomes:
        group = groups.setdefault(outcome.arch, Test(f"programs on {outcome.arch}"))
        test = judge(outcome)
        test.number = len(group.subtests) + 1
        group.subtests.append(test)
    for group in groups.values():
        group.planned = len(group.subtests)
        statuses = {test.status for test in group.subtests}
        good = Status.SKIP if statuses == {Status.SKIP} else Status.PASS
        group.status = Status.FAIL if statuses & BAD else good
        group.seconds = sum(test.seconds or 0.0 for test in group.subtests)
    log.documents += groups.values()
    if problems:
        log.documents.append(Test("the boot", Status.ERROR, problems=list(problems)))
    return log


def select(log: Log, pattern: str) -> Log:
    """The log with only the suites (and programs) whose name matches a glob; the tree stays as it is."""
    kept = []
    for document in log.documents:
        if not document.subtests:
            kept.append(document)
            continue
        document.subtests = [sub for sub in document.subtests if fnmatchcase(sub.name, pattern)]
        if document.subtests:
            kept.append(document)
    return Log(kept, log.messages)


def _build(source: Source, arch: Arch, folder: Path, options: Options) -> Path | Outcome:
    """The program of a test, or the outcome that it cannot be had."""
    other = discover.foreign(source, arch)
    if other:
        return Outcome(source.name, arch.name, trouble="not run", detail=f"it is for {other}")
    folder.mkdir(exist_ok=True)
    output = folder / source.name.replace("/", "-")
    try:
        return compile_test(source, arch, output, compiler=options.compiler).path
    except CompileError as error:
        return Outcome(
            source.name,
            arch.name,
            output="".join(f"# {line}\n" for line in error.log.splitlines()).encode(),
            trouble="not built",
            detail=error.what.replace(f"{source.path.parent}/", ""),
        )
    except MissingPart as missing:
        return Outcome(source.name, arch.name, trouble="not run", detail=str(missing))


def _all(
    function: Callable[[Item, Event], Result],
    items: Sequence[Item],
    options: Options,
    tick: Callable[[Result], None] | None,
) -> list[Result]:
    """``function`` of every item, in the order of the items, some at a time.

    It gets an event, too, which is set when its result is not wanted any more: after an exception, or ^C.
    """
    stop = Event()
    with ThreadPoolExecutor(options.workers) as pool:
        futures = [pool.submit(function, item, stop) for item in items]
        try:
            for future in as_completed(futures):
                result = future.result()
                if tick:
                    tick(result)
        finally:
            stop.set()
            for future in futures:
                future.cancel()
    return [future.result() for future in futures]


def bad(log: Log) -> Iterator[tuple[str, Test]]:
    """Tests that are not good in themselves, with their path in the tree; left out are parents whose only
    fault is a child's, and the missing where the parent says how many there are."""
    for document in log.documents:
        waiting = [(document.name, document)]
        while waiting:
            path, test = waiting.pop()
            inherited = any(not sub.good for sub in test.subtests)
            if test.problems or (test.status in BAD and not inherited):
                yield path, test
            waiting.extend(
                (f"{path}/{sub.name}", sub)
                for sub in reversed(test.subtests)
                if sub.status is not Status.MISSING or not test.problems
            )
