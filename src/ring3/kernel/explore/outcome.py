"""One run of a program under one schedule, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ring3.errors import BadInput
from ring3.kernel.core import Kernel
from ring3.kernel.locks import Mutex, Spinlock
from ring3.kernel.report import KernelBug
from ring3.kernel.rwsem import ReadersWriter
from ring3.kernel.schedulers import Preemptive, Recorded
from ring3.kernel.task import Carrier, Task
from ring3.kernel.trace import Tracer
from ring3.kernel.wait import WaitQueue
from ring3.kernel.ww import WwMutex

#: Sets up tasks in a fresh kernel; returns what to check when all have ended, or None.
Program = Callable[[Kernel], Callable[[], None] | None]
#: Sees a kernel at the end of a run, and (kind, message) of what went wrong in it.
Observer = Callable[[Kernel, tuple[str, str] | None], None]


@dataclass(frozen=True)
class Finding:
    """A schedule that goes wrong.  ``schedule`` replays it; ``steps`` is its length."""

    kind: str
    message: str
    schedule: str
    steps: int

    def __str__(self) -> str:
        return f"{self.kind}: {self.message} [{self.schedule}]"


@dataclass
class Result:
    """What an exploration covered.  ``complete``: no schedule that could differ was left out; ``exhausted``:
    none within the bound on preemptions was.

    ``schedules`` counts runs to an end, ``pruned`` runs given up because an equivalent one was seen.
    """

    schedules: int = 0
    pruned: int = 0
    steps: int = 0
    complete: bool = False
    exhausted: bool = False
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding | None) -> None:
        if finding is not None and all(
            (finding.kind, finding.message) != (old.kind, old.message) for old in self.findings
        ):
            self.findings.append(finding)


def run_once(
    program: Program,
    scheduler: Preemptive,
    carriers: list[Carrier] | None = None,
    *,
    lockdep: bool = False,
    traced: bool = False,
) -> tuple[Kernel, tuple[str, str] | None]:
    """Run ``program`` once; the kernel as it ended, and (kind, message) of what went wrong."""
    kernel = Kernel(scheduler=scheduler, carriers=carriers, lockdep=lockdep)
    if traced:
        Tracer(kernel)
    wrong: tuple[str, str] | None = None
    try:
        check = program(kernel)
        done = kernel.run()
        if kernel.stopped:
            if scheduler.exhausted:
                wrong = _endless(program, kernel, scheduler, lockdep)
        elif not done:
            wrong = diagnose(kernel)
        elif check is not None:
            check()
    except KernelBug as error:
        wrong = ("bug", str(error))
    except AssertionError as error:
        wrong = ("assertion", str(error) or _where(error))
    except Exception as error:  # the program's own: that too is something that a schedule can cause
        wrong = ("assertion", f"{type(error).__name__}: {error}")
    if wrong is None and kernel.warnings:
        wrong = ("warning", kernel.warnings[0].message)
    if kernel.lockdep is not None and kernel.lockdep.reports and wrong is None:
        report = kernel.lockdep.reports[0]
        wrong = ("lockdep", f"{report.kind}: {' -> '.join(report.chain)}")
    return kernel, wrong


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{type(error).__name__} at line {trace.tb_lineno}" if trace else type(error).__name__


def diagnose(kernel: Kernel) -> tuple[str, str]:
    """Nothing can run any more: is it a circle of locks, or a wake-up that did not come?"""
    stuck = kernel.stuck()
    waits = {task: _holders(task.waiting_on) for task in stuck}
    for task in stuck:
        circle = _circle(task, waits)
        if circle:
            text = ", ".join(
                f"{a} waits for {a.waiting_on!r} held by {b}"
                for a, b in zip(circle, circle[1:] + circle[:1], strict=True)
            )
            return "deadlock", text
    for task in stuck:
        waiting_on = task.waiting_on
        if isinstance(waiting_on, WaitQueue):
            condition = waiting_on.condition
            if (condition is not None and condition()) or waiting_on.wasted_wakes:
                return "lost wake-up", f"{task} sleeps on {waiting_on!r}, which was woken before"
    return "deadlock", kernel.describe_blocked()


def _holders(waiting_on: Any) -> list[Task]:
    if isinstance(waiting_on, Mutex | Spinlock | WwMutex):
        return [waiting_on.owner] if waiting_on.owner is not None else []
    if isinstance(waiting_on, ReadersWriter):
        ahead = [task for task, _ in waiting_on.queue]
        writer = [waiting_on.writer] if waiting_on.writer is not None else []
        return writer + waiting_on.readers + ahead[:1]
    if isinstance(waiting_on, Task):
        return [waiting_on]
    return []


def _circle(start: Task, waits: dict[Task, list[Task]]) -> list[Task] | None:
    """A circle of tasks through ``start``, each waiting for what the next holds."""
    stack = [[start]]
    seen: set[Task] = set()
    while stack:
        path = stack.pop()
        for holder in waits.get(path[-1], ()):
            if holder is start:
                return path
            if holder in waits and holder not in seen:
                seen.add(holder)
                stack.append([*path, holder])
    return None


def _endless(
    program: Program, kernel: Kernel, scheduler: Preemptive, lockdep: bool
) -> tuple[str, str]:
    """The run was too long: is it a livelock, or only long?

    A livelock: in the last quarter everyone who can run did, and did nothing that it had not done in the
    quarter before.
    """
    if kernel.tracer is None:
        again = Recorded(scheduler.choices, strict=True, max_steps=scheduler.max_steps)
        kernel, wrong = run_once(program, again, lockdep=lockdep, traced=True)
        kernel.tracer = None
        kernel.close()
        return wrong or ("no end", "only in the first run: the program is not deterministic")
    events = kernel.tracer.events
    ops = [event for event in events if event.kind == "op"]
    quarter = len(ops) // 4
    earlier = {(event.task, event.what, event.source) for event in ops[2 * quarter : 3 * quarter]}
    later = {(event.task, event.what, event.source) for event in ops[3 * quarter :]}
    who = {task for task, *_ in later}
    if later <= earlier and all(str(task) in who for task in kernel.runnable):
        return "livelock", f"{', '.join(sorted(who))} run for ever without progress"
    return "no end", f"not within {len(ops)} steps"


# A schedule as text: "a5b3" is five steps of task 1, then three of task 2; tasks 27 on are aa, ab...


def encode(choices: list[int]) -> str:
    """The choices as a short string."""
    out: list[str] = []
    i = 0
    while i < len(choices):
        j = i
        while j < len(choices) and choices[j] == choices[i]:
            j += 1
        out.append(f"{_letters(choices[i])}{j - i}")
        i = j
    return "".join(out)


def decode(schedule: str) -> list[int]:
    """The choices of a schedule string; BadInput when it is none."""
    choices: list[int] = []
    i = 0
    while i < len(schedule):
        begin = i
        tid = 0
        while i < len(schedule) and "a" <= schedule[i] <= "z":
            tid = tid * 26 + ord(schedule[i]) - ord("a") + 1
            i += 1
        middle = i
        while i < len(schedule) and schedule[i] in "0123456789":
            i += 1
        if not (0 < middle - begin <= 4 and 0 < i - middle <= 6):
            raise BadInput(
                "not a schedule",
                where=f"schedule, character {i + 1}",
                remedy="a schedule is letters and a number, repeated: a5b3",
            )
        choices += [tid] * int(schedule[middle:i])
        if len(choices) > 1_000_000:
            raise BadInput("more than a million steps", where="schedule")
    return choices


def _letters(tid: int) -> str:
    out = ""
    while tid > 0:
        tid, digit = divmod(tid - 1, 26)
        out = chr(ord("a") + digit) + out
    return out


__all__ = [
    "Finding",
    "Program",
    "Result",
    "decode",
    "diagnose",
    "encode",
    "run_once",
]
