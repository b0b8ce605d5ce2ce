"""The scheduler under exploration: submit x time-out x entity kill x reset x going away.

In every schedule every fence is signalled, no freed job is touched (freed ones are poisoned), nothing
deadlocks.  And of each class of bug that such schedulers have had, one is put back in and found.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from ring3.dma_buf.fence import DmaFence, Fences
from ring3.drm.sched import Entity, GpuScheduler, Job
from ring3.kernel import Kernel, Spinlock
from ring3.kernel.explore import replay, sample
from tests.drm.mock_sched import MS, MockJob, MockScheduler

#: Schedules a scenario; the oracle run takes more.
SEEDS = range(int(os.environ.get("RING3_SCHEDULES", "60")))

SCENARIOS = {
    "submit": (),
    "timeout": ("timeout",),
    "kill": ("kill",),
    "reset": ("reset",),
    "fini": ("fini",),
    "timeout x kill": ("timeout", "kill"),
    "reset x kill": ("reset", "kill"),
    "timeout x reset": ("timeout", "reset"),
    "kill x fini": ("kill", "fini"),
    "all": ("timeout", "kill", "reset", "fini"),
}


def scenario(
    disturbances: tuple[str, ...],
    *,
    make: Callable[..., MockScheduler] = MockScheduler,
    ordered: bool = True,
) -> Callable[[Kernel], Callable[[], None]]:
    """Two clients submit jobs that depend on each other's, while hardware completes some."""

    def program(kernel: Kernel) -> Callable[[], None]:
        fences: list[DmaFence] = []
        timeout = 20 * MS if "timeout" in disturbances else None
        mock = make(kernel, timeout=timeout, credit_limit=2, ordered=ordered)
        entities = [mock.entity(), mock.entity()]
        core = Fences.of(kernel)
        outside = DmaFence(core, core.context_alloc(), 1)
        submitted = 0

        def client(mine: int) -> None:
            nonlocal submitted
            for turn in range(2):
                job = MockJob(entities[mine], MS if turn == mine else None)
                if fences:
                    job.add_dependency(fences[-1])
                job.add_dependency(outside)
                job.arm()
                fences.append(job.finished)
                job.push()
            submitted += 1

        def rest() -> None:
            """A reset comes at any time; the end only once nobody submits any more, as drivers see to."""
            if "reset" in disturbances:
                mock.reset()
            while submitted < 2:
                kernel.msleep(1)
            if "kill" in disturbances:
                entities[0].kill()
            if "fini" in disturbances:
                for entity in entities:
                    entity.fini()
                mock.sched.fini()

        def hardware() -> None:
            for _ in range(0 if "late" in disturbances else 12):
                mock.advance(1)
                kernel.msleep(10)

        kernel.spawn(client, 0)
        kernel.spawn(client, 1)
        kernel.spawn(outside.signal)
        kernel.spawn(rest)
        kernel.spawn(hardware)

        def check() -> None:
            left = [fence for fence in fences if not fence.is_signaled()]
            assert not left, f"never signalled: {left}"
            assert len(fences) == 4

        return check

    return program


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("strategy", ["random", "pct"])
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
def test_every_schedule_keeps_the_promises(name: str, strategy: str, ordered: bool) -> None:
    result = sample(scenario(SCENARIOS[name], ordered=ordered), strategy, SEEDS)
    assert [str(finding) for finding in result.findings] == []
    assert result.schedules == len(SEEDS)


@pytest.mark.oracle
@pytest.mark.parametrize("name", SCENARIOS)
def test_many_more_schedules(name: str) -> None:
    program = scenario(SCENARIOS[name], ordered=False)
    for strategy in ("random", "pct"):
        result = sample(program, strategy, range(10_000, 10_700))
        assert [str(finding) for finding in result.findings] == []


# -- bugs put back in -----------------------------------------------------------------------------


class TouchesTheJobAfterHandingItOver(GpuScheduler):
    """AsahiLinux/linux#309: the job is used after its callback is in place; by then it may be done and
    freed, if all that happens within one preemption."""

    def _wait_for_hardware(self, job: Job, hardware: DmaFence) -> None:
        super()._wait_for_hardware(job, hardware)
        self.kernel.cond_resched()
        assert job.credits > 0


class StopsButDoesNotLookAgain(GpuScheduler):
    """drm_sched_wqueue_stop as 7.2 has it: who saw it unstopped may queue the work after it was cancelled."""

    def _run_jobs(self) -> None:
        self._run_one()

    def _free_jobs(self) -> None:
        self._free_finished()


class ForgetsToWake(Entity):
    """The dependency is noted only after the callback is there: a signal in between is lost."""

    def _wait_for_dependency(self) -> bool:
        dependency = self.dependency
        waits = super()._wait_for_dependency()
        self.kernel.cond_resched()
        if waits:
            self.dependency = dependency
        return waits


class MockWith(MockScheduler):
    entity_class: type[Entity] = Entity

    def entity(self, *args: Any) -> Entity:
        made = super().entity(*args)
        made.__class__ = self.entity_class
        return made


class LosesJobsOnTimeout(MockScheduler):
    """A driver whose recovery forgets to signal what the hardware had: device lost, for ever."""

    def timedout_job(self, job: Job) -> Any:
        assert isinstance(job, MockJob)
        if job in self.running:
            self.running.remove(job)
        from ring3.drm.sched import TimeoutStatus

        return TimeoutStatus.RESET


def with_(scheduler: type[GpuScheduler] = GpuScheduler, entity: type[Entity] = Entity) -> type:
    return type("Seeded", (MockWith,), {"scheduler": scheduler, "entity_class": entity})


SEEDED = {
    "use after free": (with_(scheduler=TouchesTheJobAfterHandingItOver), (), "use after free"),
    "lost wake-up": (with_(entity=ForgetsToWake), (), "never signalled"),
    "queued after it was stopped": (with_(scheduler=StopsButDoesNotLookAgain), ("reset",), ""),
    "lost in recovery": (LosesJobsOnTimeout, ("timeout", "late"), "never signalled"),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_bug_is_found_and_replays(name: str) -> None:
    make, disturbances, message = SEEDED[name]
    program = scenario(disturbances, make=make, ordered=False)
    # Each strategy is blind to some: random priorities find what needs one rare preemption, random steps
    # what needs many ordinary ones.
    findings = []
    for strategy, schedules in (("random", 50), ("pct", 300)):
        findings += sample(program, strategy, range(schedules), stop_at_first=True).findings
    assert findings, "the bug was not found"
    finding = findings[0]
    assert message in finding.message
    again = replay(program, finding.schedule)
    assert again is not None
    assert message in again.message


def test_the_seeded_bugs_hide_in_the_ordinary_schedule() -> None:
    """The use after free needs preemption at one place: run in turn, the program is right."""
    kernel = Kernel()
    check = scenario((), make=with_(scheduler=TouchesTheJobAfterHandingItOver))(kernel)
    assert kernel.run()
    check()
    kernel.close()


def test_lockdep_sees_fence_locks_taken_both_ways() -> None:
    """raspberrypi/linux#7112's class: a callback under one fence's lock takes another's, and back."""
    kernel = Kernel(lockdep=True)
    mock = MockScheduler(kernel)

    def mixed() -> None:
        core = Fences.of(kernel)
        first, second = Spinlock(kernel, "ring A"), Spinlock(kernel, "ring B")
        for one, two in ((first, second), (second, first)):
            a, b = DmaFence(core, core.context_alloc(), 1, one), DmaFence(core, 99, 1, two)
            a.add_callback(lambda _, b=b: b.signal())
            a.signal()

    kernel.call(mixed)
    assert mock is not None
    assert kernel.lockdep is not None
    reports = [report.text for report in kernel.lockdep.reports]
    kernel.close()
    assert len(reports) == 1
    assert "circular locking dependency" in reports[0]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scheduler_is_clean_under_lockdep(name: str) -> None:
    kernel = Kernel(lockdep=True)
    check = scenario(SCENARIOS[name])(kernel)
    assert kernel.run()
    check()
    assert kernel.lockdep is not None
    assert [report.text for report in kernel.lockdep.reports] == []
    kernel.close()
