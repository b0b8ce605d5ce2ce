"""Exploration: run a program under many schedules, and show the one that fails.

A program sets up tasks in a fresh kernel and may return a check for the end::

    def program(kernel):
        counter = Shared(kernel, "counter", 0)
        def bump():
            counter.write(counter.read() + 1)
        kernel.spawn(bump)
        kernel.spawn(bump)
        def check():
            assert counter.value == 2
        return check

    result = exhaustive(program)             # every schedule, up to those that cannot be told apart
    result = sample(program, "pct", range(1000))
    finding = result.findings[0]             # .kind, .message, .schedule: a short string
    finding = shrink(program, finding)
    print(show(program, finding.schedule))   # the interleaving, one line a step
    timeline(program, finding.schedule).write(path)

Kinds of findings: deadlock, lost wake-up, livelock, assertion (or any exception), bug, warning, lockdep.
"""

from ring3.kernel.explore.exhaustive import exhaustive
from ring3.kernel.explore.outcome import Finding, Program, Result
from ring3.kernel.explore.replay import replay, shrink
from ring3.kernel.explore.sample import STRATEGIES, sample, sample_parallel
from ring3.kernel.explore.show import show, timeline

__all__ = [
    "STRATEGIES",
    "Finding",
    "Program",
    "Result",
    "exhaustive",
    "replay",
    "sample",
    "sample_parallel",
    "show",
    "shrink",
    "timeline",
]
