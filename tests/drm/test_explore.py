"""The scheduler under exploration: submit x time-out x entity kill x reset x unplug.

In every schedule every fence is signalled, no freed job is touched (freed ones are poisoned), nothing
deadlocks.  And of each class of bug that such schedulers have had, one is put back in and found.
"""

from __future__ import annotations

import pytest

from ring3.dma_buf.fence import DmaFence, Fences
from ring3.drm.sched import Job, TimeoutStatus
from ring3.drm.sched import entity as sched_entity
from ring3.kernel import Kernel, Spinlock
from ring3.kernel.explore import exhaustive, replay, sample
from ring3.mm import gfp
from ring3.mm.page_alloc import alloc_pages
from ring3.mm.shrinker import SHRINK_STOP, ShrinkControl, Shrinker
from ring3.mm.zone import Memory
from tests.drm.mock_sched import MS, MockJob, MockScheduler
from tests.drm.sched_programs import COMBINATIONS, SEEDED, batch, cover, find, large, title

_EVENTS = pytest.mark.parametrize("events", COMBINATIONS, ids=title)


@_EVENTS
def test_every_schedule_of_one_job(events: tuple[str, ...]) -> None:
    covered = cover(events, 400)
    assert [str(finding) for finding in covered.findings] == []
    assert covered.preemptions >= 0 or len(events) > 1


@_EVENTS
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
def test_many_schedules_of_four_jobs(events: tuple[str, ...], ordered: bool) -> None:
    for strategy in ("random", "pct"):
        result = sample(large(events, ordered=ordered), strategy, range(40))
        assert [str(finding) for finding in result.findings] == []
        assert result.schedules == 40


@pytest.mark.parametrize("strategy", ["random", "pct"])
def test_no_job_times_out_for_what_others_take(strategy: str) -> None:
    assert sample(batch(), strategy, range(40)).findings == []


@pytest.mark.oracle
@_EVENTS
def test_many_more_schedules(events: tuple[str, ...]) -> None:
    covered = cover(events, 4_000)
    assert [str(finding) for finding in covered.findings] == []
    for strategy in ("random", "pct"):
        result = sample(large(events, ordered=False), strategy, range(10_000, 10_400))
        assert [str(finding) for finding in result.findings] == []


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_bug_is_found_and_replays(name: str) -> None:
    seeded = SEEDED[name]
    finding, _ = find(seeded)
    assert finding is not None, "the bug was not found"
    assert seeded.message in finding.message
    again = replay(seeded.program, finding.schedule)
    assert again is not None
    assert seeded.message in again.message


@pytest.mark.parametrize("name", [name for name in SEEDED if SEEDED[name].preemptions])
def test_it_takes_that_many_preemptions(name: str) -> None:
    seeded = SEEDED[name]
    assert seeded.preemptions
    fewer = exhaustive(seeded.program, preemptions=seeded.preemptions - 1, max_schedules=5_000)
    assert fewer.findings == []


# -- what deadlocks -------------------------------------------------------------------------------


def reports(kernel: Kernel) -> list[str]:
    assert kernel.lockdep is not None
    return [report.text for report in kernel.lockdep.reports]


@_EVENTS
def test_the_scheduler_is_clean_under_lockdep(events: tuple[str, ...]) -> None:
    kernel = Kernel(lockdep=True)
    check = large(events)(kernel)
    assert kernel.run()
    check()
    assert reports(kernel) == []
    kernel.close()


def test_lockdep_sees_an_entity_killed_in_a_fence_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    """drm_sched_entity_kill_jobs_cb before it used work: it signals a job's fence under another's lock."""
    monkeypatch.setattr(sched_entity._Killing, "resume", lambda self, _: self._next())
    kernel = Kernel(lockdep=True)

    def body() -> None:
        mock = MockScheduler(kernel, credit_limit=1)
        entity = mock.entity()
        for _ in range(3):
            MockJob(entity).submit()
        kernel.msleep(1)
        entity.kill()
        mock.advance(1)

    kernel.call(body)
    found = reports(kernel)
    kernel.close()
    assert len(found) == 1
    assert "possible recursive locking" in found[0]
    assert "drm_sched_fence.lock" in found[0]


def both_ways(kernel: Kernel) -> None:
    """raspberrypi/linux#7112's class: a callback under one fence's lock takes another's, and back."""
    core = Fences.of(kernel)
    first, second = Spinlock(kernel, "ring A"), Spinlock(kernel, "ring B")

    def signal(one: Spinlock, two: Spinlock) -> None:
        a, b = DmaFence(core, core.context_alloc(), 1, one), DmaFence(core, 99, 1, two)
        a.add_callback(lambda _: b.signal())
        a.signal()

    kernel.spawn(signal, first, second)
    kernel.spawn(signal, second, first)


def test_lockdep_sees_fence_locks_taken_both_ways() -> None:
    kernel = Kernel(lockdep=True)
    both_ways(kernel)
    assert kernel.run()
    found = reports(kernel)
    kernel.close()
    assert len(found) == 1
    assert "circular locking dependency" in found[0]


def test_exploration_sees_fence_locks_deadlock() -> None:
    result = exhaustive(both_ways, preemptions=1, stop_at_first=True)
    assert [finding.kind for finding in result.findings] == ["deadlock"]


class WaitsForFences(Shrinker):
    """A shrinker that waits until the hardware lets go of what it could free."""

    def __init__(self, fences: list[DmaFence]) -> None:
        super().__init__("waits")
        self.fences = fences

    def count_objects(self, sc: ShrinkControl) -> int:
        return len(self.fences)

    def scan_objects(self, sc: ShrinkControl) -> int:
        for fence in self.fences:
            fence.wait()
        return SHRINK_STOP


class AllocatesInRecovery(MockScheduler):
    """Recovery that asks for memory in the way of the fences that it is to signal."""

    memory: Memory

    def timedout_job(self, job: Job) -> TimeoutStatus:
        with self.sched.fences.signalling():
            alloc_pages(self.memory, gfp.GFP_KERNEL)
            return super().timedout_job(job)


def exhaust(memory: Memory) -> None:
    """Take pages until none come without reclaim."""
    while alloc_pages(memory, gfp.GFP_NOWAIT) is not None:
        pass


def recovery(kernel: Kernel, *, short: bool) -> None:
    """A job hangs; its recovery allocates; the shrinker waits for its fence.  Memory may be short."""
    mock = AllocatesInRecovery(kernel, timeout=20 * MS)
    mock.memory = Memory(kernel, [("Normal", 64)])
    fences: list[DmaFence] = []
    mock.memory.shrinkers.append(WaitsForFences(fences))

    def client() -> None:
        if short:
            exhaust(mock.memory)
        fences.append(MockJob(mock.entity()).submit().finished)

    kernel.spawn(client)


def test_exploration_sees_recovery_wait_for_its_own_shrinker() -> None:
    def program(kernel: Kernel) -> None:
        recovery(kernel, short=True)

    result = exhaustive(program, preemptions=0, max_schedules=50, stop_at_first=True)
    assert [finding.kind for finding in result.findings] == ["deadlock"]


def test_lockdep_sees_it_while_there_is_memory() -> None:
    kernel = Kernel(lockdep=True)

    def other() -> None:
        """Reclaim, elsewhere and at another time, in which the same shrinker waits for nothing."""
        fence = DmaFence(Fences.of(kernel), 1, 1)
        fence.signal()
        memory = Memory(kernel, [("Normal", 64)])
        memory.shrinkers.append(WaitsForFences([fence]))
        exhaust(memory)
        alloc_pages(memory, gfp.GFP_KERNEL | gfp.NORETRY)

    recovery(kernel, short=False)
    kernel.spawn(other)
    assert kernel.run()
    found = reports(kernel)
    kernel.close()
    assert len(found) == 1
    assert "fs_reclaim" in found[0]
    assert "dma_fence_map" in found[0]
