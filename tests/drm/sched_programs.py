"""The scheduler's programs to explore: submit x time-out x entity kill x reset x unplug, and seeded bugs.

``python -m tests.drm.sched_programs`` says how many schedules of each combination are covered, and finds each
bug.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ring3.dma_buf.fence import DmaFence, Fences
from ring3.drm.sched import Entity, GpuScheduler, Job, TimeoutStatus
from ring3.kernel import Completion, Kernel
from ring3.kernel.explore import Finding, exhaustive, sample
from tests.drm.mock_sched import MS, MockJob, MockScheduler

EVENTS = ("timeout", "kill", "reset", "unplug")
#: Every combination of events, from none to all four.
COMBINATIONS = [
    events for count in range(5) for events in itertools.combinations(EVENTS, count)
]  # fmt: skip

Program = Callable[[Kernel], Callable[[], None]]


def title(events: tuple[str, ...]) -> str:
    """What a combination is called."""
    return " x ".join(("submit", *events))


def _disturb(
    kernel: Kernel,
    mock: MockScheduler,
    events: tuple[str, ...],
    entities: list[Entity],
    submitted: Completion,
) -> None:
    """A task for each event.  A reset comes at any time; an entity is killed and the device goes only
    once nobody submits any more, as drivers see to."""

    def kill() -> None:
        submitted.wait()
        mock.kill(entities[0])

    def unplug() -> None:
        submitted.wait()
        mock.unplug(entities)

    tasks = {"kill": kill, "reset": mock.reset, "unplug": unplug}
    for event in events:
        if event in tasks:
            kernel.spawn(tasks[event], name=event)


def _all_signalled(fences: list[DmaFence], count: int) -> None:
    left = [fence for fence in fences if not fence.is_signaled()]
    assert not left, f"never signalled: {left}"
    assert len(fences) == count


def small(
    events: tuple[str, ...],
    make: Callable[..., MockScheduler] = MockScheduler,
    *,
    interrupt: bool = False,
) -> Program:
    """One job, so that schedules can be enumerated.  It takes a millisecond, or, with ``interrupt``, is done
    whenever another task says so."""

    def program(kernel: Kernel) -> Callable[[], None]:
        timeout = 20 * MS if "timeout" in events else None
        mock = make(kernel, timeout=timeout, credit_limit=2, ordered=False)
        entity = mock.entity()
        submitted = Completion(kernel, "submitted")
        fences: list[DmaFence] = []

        def client() -> None:
            # (Hardware that hangs, where a time-out is to come.)
            job = MockJob(entity, None if timeout or interrupt else MS)
            job.arm()
            fences.append(job.finished)
            job.push()
            submitted.complete_all()

        def done() -> None:
            submitted.wait()
            for _ in range(3):
                if mock.advance(1):
                    break
                kernel.msleep(1)

        kernel.spawn(client, name="client")
        if interrupt:
            kernel.spawn(done, name="hardware")
        _disturb(kernel, mock, events, [entity], submitted)
        return lambda: _all_signalled(fences, 1)

    return program


def large(
    events: tuple[str, ...],
    make: Callable[..., MockScheduler] = MockScheduler,
    *,
    ordered: bool = True,
    hardware: bool = True,
) -> Program:
    """Two clients submit two jobs each that depend on each other's, while hardware completes some."""

    def program(kernel: Kernel) -> Callable[[], None]:
        fences: list[DmaFence] = []
        timeout = 20 * MS if "timeout" in events else None
        mock = make(kernel, timeout=timeout, credit_limit=2, ordered=ordered)
        entities = [mock.entity(), mock.entity()]
        core = Fences.of(kernel)
        outside = DmaFence(core, core.context_alloc(), 1)
        submitted = Completion(kernel, "submitted")
        clients_left = 2

        def client(mine: int) -> None:
            nonlocal clients_left
            for turn in range(2):
                job = MockJob(entities[mine], MS if turn == mine else None)
                if fences:
                    job.add_dependency(fences[-1])
                job.add_dependency(outside)
                job.arm()
                fences.append(job.finished)
                job.push()
            clients_left -= 1
            if not clients_left:
                submitted.complete_all()

        def work() -> None:
            for _ in range(12 if hardware else 0):
                mock.advance(1)
                kernel.msleep(10)

        kernel.spawn(client, 0)
        kernel.spawn(client, 1)
        kernel.spawn(outside.signal)
        kernel.spawn(work)
        _disturb(kernel, mock, events, entities, submitted)
        return lambda: _all_signalled(fences, 4)

    return program


def batch(make: Callable[..., MockScheduler] = MockScheduler) -> Program:
    """Many jobs at once, each well below the time-out and all together well above it: none times out."""

    def program(kernel: Kernel) -> Callable[[], None]:
        mock = make(kernel, timeout=20 * MS, credit_limit=4, poison=False)
        entity = mock.entity()
        jobs: list[MockJob] = []

        def client() -> None:
            for _ in range(12):
                job = MockJob(entity, 5 * MS)
                jobs.append(job.submit())

        kernel.spawn(client)

        def check() -> None:
            _all_signalled([job.finished for job in jobs], 12)
            late = [job for job in jobs if job.timed_out or job.finished.error]
            assert not late, f"{len(late)} of 12 jobs timed out, though none took long"

        return check

    return program


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


class WatchesTheBatch(GpuScheduler):
    """ggml#1420's class: the clock runs for what was submitted together, not for the job that runs."""

    def _start_timeout(self) -> None:
        if not self._timeout_work.pending:
            super()._start_timeout()

    def _take_finished(self) -> Job | None:
        with self.pending_lock:
            if not self.pending or not self.pending[0].finished.is_signaled():
                return None
            return self.pending.popleft()


class ForgetsToWake(Entity):
    """The dependency is noted only after the callback is there: a signal in between is lost."""

    def _wait_for_dependency(self) -> bool:
        dependency = self.dependency
        waits = super()._wait_for_dependency()
        self.kernel.cond_resched()
        if waits:
            self.dependency = dependency
        return waits


class KillsWithoutWaiting(Entity):
    """drm_sched_entity_kill without its wait for the scheduler's hands: both take the first job."""

    def kill(self) -> None:
        self.idle.complete_all()
        super().kill()


class MockWith(MockScheduler):
    entity_class: type[Entity] = Entity

    def entity(self, *args: Any) -> Entity:
        made = super().entity(*args)
        made.__class__ = self.entity_class
        return made


class LosesJobsOnTimeout(MockScheduler):
    """A driver whose recovery forgets to signal what the hardware had: device lost, for ever."""

    def timedout_job(self, job: Job) -> TimeoutStatus:
        assert isinstance(job, MockJob)
        if job in self.running:
            self.running.remove(job)
        return TimeoutStatus.RESET


class UnplugsUnderReset(MockScheduler):
    """Going away without having waited for a reset that is under way."""

    def unplug(self, entities: list[Entity]) -> None:
        with self.teardown:
            for entity in entities:
                entity.fini()
            self.sched.fini()


def with_(
    scheduler: type[GpuScheduler] = GpuScheduler, entity: type[Entity] = Entity
) -> type[MockScheduler]:
    """The mock driver with a seeded part."""
    return type("Seeded", (MockWith,), {"scheduler": scheduler, "entity_class": entity})


@dataclass(frozen=True)
class Seeded:
    """A bug of a known class, the program that shows it, and what the finding says.

    ``preemptions`` is how many it takes in a program that is small enough to try every schedule; None where
    schedules are sampled.
    """

    program: Program
    message: str
    preemptions: int | None = None


SEEDED = {
    "use after free": Seeded(
        small((), with_(TouchesTheJobAfterHandingItOver), interrupt=True), "use after free", 0
    ),
    "use after free among others": Seeded(
        large((), with_(TouchesTheJobAfterHandingItOver), ordered=False), "use after free"
    ),
    "lost wake-up": Seeded(
        large((), with_(entity=ForgetsToWake), ordered=False), "never signalled"
    ),
    "queued after it was stopped": Seeded(
        small(("reset",), with_(StopsButDoesNotLookAgain)), "use after free", 2
    ),
    "killed in the scheduler's hands": Seeded(
        small(("kill",), with_(entity=KillsWithoutWaiting)), "empty", 1
    ),
    "lost in recovery": Seeded(
        large(("timeout",), LosesJobsOnTimeout, ordered=False, hardware=False), "never signalled"
    ),
    "unplugged under a reset": Seeded(
        small(("reset", "unplug"), UnplugsUnderReset), "a job that was freed", 1
    ),
    "a batch is timed as a whole": Seeded(batch(with_(WatchesTheBatch)), "timed out"),
}


def find(seeded: Seeded) -> tuple[Finding | None, int]:
    """The first finding, and how many schedules that took.

    Of those that sample, each strategy is blind to some bugs: random priorities find what needs one rare
    preemption, random steps what needs many ordinary ones.
    """
    if seeded.preemptions is not None:
        result = exhaustive(seeded.program, preemptions=seeded.preemptions, stop_at_first=True)
        return (result.findings[0] if result.findings else None), result.schedules
    tried = 0
    for strategy, schedules in (("random", 50), ("pct", 300)):
        result = sample(seeded.program, strategy, range(schedules), stop_at_first=True)
        tried += result.schedules
        if result.findings:
            return result.findings[0], tried
    return None, tried


@dataclass
class Covered:
    """Every schedule of a small program with at most ``preemptions``, -1 if not even those without."""

    preemptions: int = -1
    schedules: int = 0
    findings: list[Finding] = field(default_factory=list)


def cover(events: tuple[str, ...], limit: int) -> Covered:
    """As many preemptions as ``limit`` schedules allow."""
    covered = Covered()
    for preemptions in range(4):
        result = exhaustive(
            small(events, interrupt=True), preemptions=preemptions, max_schedules=limit
        )
        covered.findings += result.findings
        covered.schedules += result.schedules
        if result.schedules >= limit:
            break
        covered.preemptions = preemptions
    return covered


def main() -> None:
    """The report."""
    total = 0
    for events in COMBINATIONS:
        covered = cover(events, 20_000)
        total += covered.schedules
        every = f"every one with at most {covered.preemptions} preemptions"
        print(
            f"{title(events)}: {covered.schedules:,} schedules, "
            f"{every if covered.preemptions >= 0 else 'not every one without preemption'}, "
            f"{len(covered.findings)} findings",
            flush=True,
        )
    print(f"{total:,} schedules")
    for name, seeded in SEEDED.items():
        finding, tried = find(seeded)
        said = finding.message.splitlines()[0][:60] if finding else "NOT FOUND"
        print(f"{name}: found in schedule {tried:,}: {said}")


if __name__ == "__main__":
    main()
