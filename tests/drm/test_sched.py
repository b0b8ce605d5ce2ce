"""The 14 cases of drivers/gpu/drm/scheduler/tests (7.2), by name, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from errno import ECANCELED, ESRCH, ETIMEDOUT
from typing import Any

import pytest

from ring3.drm.sched import Entity, Policy, Priority
from ring3.kernel import Kernel
from tests.drm.mock_sched import MS, SEC, US, MockJob, MockScheduler

TIMEOUT = SEC // 5


def in_task(body: Callable[[Kernel], Any]) -> Any:
    kernel = Kernel()
    result = kernel.call(body, kernel)
    assert kernel.warnings == []
    kernel.close()
    return result


def submit_many(
    entities: list[Entity], count: int, duration: int, *, chain: bool = False
) -> list[MockJob]:
    jobs: list[MockJob] = []
    for number in range(count):
        job = MockJob(entities[number % len(entities)], duration)
        if chain and jobs:
            job.add_dependency(jobs[-1].finished)
        jobs.append(job.submit())
    return jobs


def test_drm_sched_basic_submit() -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel)
        entity = mock.entity()
        job = MockJob(entity).submit()
        finished = job.finished
        assert job.wait_scheduled(SEC)
        assert not job.wait_finished(SEC // 2), "nobody has finished it yet"
        assert mock.advance(1) == 1
        assert finished.wait(SEC)
        entity.destroy()

    in_task(body)


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize(
    ("entities", "chain"),
    [(1, False), (1, True), (4, False), (4, True)],
    ids=["one entity", "one chain", "independent queues", "inter-dependent queues"],
)
def test_drm_sched_basic_test(entities: int, chain: bool, policy: Policy) -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, policy=policy)
        made = [mock.entity() for _ in range(entities)]
        jobs = submit_many(made, 100, MS, chain=chain)
        fences = [job.finished for job in jobs]
        assert fences[-1].wait(SEC)
        assert all(fence.is_signaled() for fence in fences)
        assert kernel.now() == 100 * MS, "the ring never stood still"
        kernel.sleep(MS)
        assert mock.freed == 100
        for entity in made:
            entity.destroy()

    in_task(body)


def test_drm_sched_basic_entity_cleanup() -> None:
    def body(kernel: Kernel) -> None:
        # (With credits for all, all 100 would be in the hardware's hands and none be killed.)
        mock = MockScheduler(kernel, credit_limit=2)
        made = [mock.entity() for _ in range(4)]
        fences = [job.finished for job in submit_many(made, 100, MS, chain=True)]
        assert fences[50].wait(SEC)
        for entity in made:
            entity.fini()  # (destroying would wait for the jobs first)
        kernel.sleep(SEC)
        assert all(fence.is_signaled() for fence in fences)
        errors = [fence.error for fence in fences]
        killed = errors.index(-ESRCH)
        assert killed > 50
        assert errors == [0] * killed + [-ESRCH] * (100 - killed)
        assert mock.freed == 100

    in_task(body)


def test_drm_sched_basic_cancel() -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, poison=False)
        entity = mock.entity()
        job = MockJob(entity).submit()
        assert job.wait_scheduled(SEC)
        entity.destroy()
        mock.sched.fini()
        assert job.hw_fence is not None
        assert job.hw_fence.error == -ECANCELED
        assert job.finished.error == -ECANCELED

    in_task(body)


def test_drm_sched_basic_timeout() -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, timeout=TIMEOUT)
        job = MockJob(mock.entity()).submit()
        assert job.wait_scheduled(SEC)
        assert not job.wait_finished(TIMEOUT // 2)
        assert not job.timed_out
        kernel.sleep(TIMEOUT)
        assert job.timed_out
        assert job.finished.error == -ETIMEDOUT

    in_task(body)


def test_drm_sched_skip_reset() -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, timeout=TIMEOUT)
        job = MockJob(mock.entity())
        job.dont_reset = True
        job.submit()
        finished = job.finished
        assert job.wait_scheduled(SEC)
        assert not job.wait_finished(2 * TIMEOUT)
        assert job.reset_skipped
        assert mock.advance(1) == 1
        assert finished.wait(SEC)
        assert finished.error == 0

    in_task(body)


def test_drm_sched_priorities() -> None:
    def body(kernel: Kernel) -> list[Any]:
        mock = MockScheduler(kernel, credit_limit=1)
        made = [mock.entity(priority) for priority in Priority]
        blocker = MockJob(made[0], MS).submit()
        kernel.sleep(0)
        jobs = submit_many(made, 100, MS)
        fences = [job.finished for job in jobs]
        assert fences[-1].wait(SEC)
        rank = {id(fence): i % 4 for i, fence in enumerate(fences)}
        assert blocker is not None
        return [rank[id(fence)] for fence in mock.order[1:]]

    order = in_task(body)
    assert order == sorted(order), "every job of a higher priority ran before those of a lower one"


@pytest.mark.parametrize("policy", list(Policy))
def test_drm_sched_change_priority(policy: Policy) -> None:
    """All jobs run, each once, while priorities change, and in the order of the priorities that the entities
    were made with: rq_priority (sched_entity.c), which only the policy that is not here does without."""

    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, credit_limit=1, policy=policy)
        made = [mock.entity(priority) for priority in Priority]
        fences = [job.finished for job in submit_many(made, 1000, MS)]
        turn = 0
        while not fences[-1].is_signaled():
            entity = made[turn % 4]
            entity.set_priority(Priority((entity.priority + 1) % 4))
            turn += 1
            kernel.sleep(300 * US)
        assert turn > 1000, "they changed while jobs ran"
        assert [entity.priority for entity in made] == [
            (first + len(range(first, turn, 4))) % 4 for first in range(4)
        ]
        kernel.sleep(0)
        assert all(fence.is_signaled() and not fence.error for fence in fences)
        place = {id(fence): number for number, fence in enumerate(fences)}
        order = [place[id(fence)] for fence in mock.order]
        assert order == sorted(range(1000), key=lambda number: (number % 4, number))
        for entity in made:
            entity.destroy()
        assert mock.freed == 1000

    in_task(body)


def test_drm_sched_test_modify_sched() -> None:
    def body(kernel: Kernel) -> None:
        mocks = [MockScheduler(kernel) for _ in range(3)]
        made = [mocks[i % 3].entity() for i in range(13)]
        fences = [job.finished for job in submit_many(made, 1000, MS)]
        turn = 0
        while not fences[-1].is_signaled():
            kernel.sleep(300 * US)
            turn += 1
            made[turn % 13].modify_sched([mocks[turn % 3].sched])
        # Moved entities use their new scheduler as soon as they are empty.
        moved = made[0]
        moved.modify_sched([mocks[2].sched])
        kernel.sleep(SEC)
        job = MockJob(moved, MS).submit()
        assert job.sched is mocks[2].sched
        kernel.sleep(SEC)
        assert all(fence.is_signaled() for fence in fences)
        for mock in mocks:
            mock.sched.fini()

    in_task(body)


def test_drm_sched_test_credits() -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, credit_limit=1)
        entity = mock.entity()
        first, second = MockJob(entity).submit(), MockJob(entity).submit()
        last = second.finished
        assert first.wait_scheduled(SEC)
        assert not second.wait_scheduled(SEC)
        assert mock.advance(1) == 1
        assert second.wait_scheduled(SEC)
        assert mock.advance(1) == 1
        assert last.wait(SEC)
        entity.destroy()
        mock.sched.fini()

    in_task(body)


def test_drm_sched_scheduler_queue_overhead() -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, credit_limit=1)
        entity = mock.entity()
        first = MockJob(entity).submit()
        jobs = submit_many([entity], 1000, MS)
        last = jobs[-1].finished
        assert first.wait_scheduled(SEC)
        start = kernel.now()
        assert mock.advance(1) == 1
        assert last.wait(5 * SEC)
        assert kernel.now() - start == 1000 * MS

    in_task(body)


def test_drm_sched_scheduler_ping_pong() -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, credit_limit=1)
        made = [mock.entity(), mock.entity()]
        first = MockJob(made[1]).submit()
        jobs: list[MockJob] = []
        for number in range(1000):
            job = MockJob(made[number % 2], MS)
            job.add_dependency((jobs[-1] if jobs else first).finished)
            jobs.append(job.submit())
        last = jobs[-1].finished
        assert first.wait_scheduled(SEC)
        start = kernel.now()
        assert mock.advance(1) == 1
        assert last.wait(5 * SEC)
        assert kernel.now() - start == 1000 * MS

    in_task(body)


@dataclass
class Client:
    """A client that submits ``count`` jobs a cycle and then waits; ``sync`` waits for the jobs, too."""

    priority: Priority
    count: int
    job: int
    sync: bool
    wait: int
    cycles: int = 0
    done: bool = False

    def work(self, kernel: Kernel, entity: Entity, duration: int) -> None:
        end = kernel.now() + duration
        last = None
        for _ in range(duration // (self.count * self.job + self.wait)):
            for _ in range(self.count):
                last = MockJob(entity, self.job).submit().finished
            if self.sync:
                assert last is not None
                assert last.wait()
            if self.wait:
                kernel.sleep(self.wait)
            self.cycles += 1
            if kernel.now() >= 4 * end:
                break
        assert last is not None
        self.done = last.wait()


HIGH, NORMAL, LOW = Priority.HIGH, Priority.NORMAL, Priority.LOW
TWO = {
    "normal and normal": (Client(NORMAL, 1, 8000, False, 0), Client(NORMAL, 1, 8000, False, 0)),
    "normal and low": (Client(NORMAL, 1, 8000, False, 0), Client(LOW, 1, 8000, False, 0)),
    "high and normal": (Client(HIGH, 1, 8000, False, 0), Client(NORMAL, 1, 8000, False, 0)),
    "high and low": (Client(HIGH, 1, 8000, False, 0), Client(LOW, 1, 8000, False, 0)),
    "50 and 50": (Client(NORMAL, 1, 1500, True, 1500), Client(NORMAL, 1, 2500, True, 2500)),
    "50 and 50 low": (Client(NORMAL, 1, 1500, True, 1500), Client(LOW, 1, 2500, True, 2500)),
    "50 high and 50": (Client(HIGH, 1, 1500, True, 1500), Client(NORMAL, 1, 2500, True, 2500)),
    "low hog": (Client(LOW, 3, 2500, False, 500), Client(NORMAL, 1, 500, True, 10000)),
    "heavy": (Client(NORMAL, 3, 2500, True, 2500), Client(NORMAL, 1, 1000, True, 9000)),
    "very heavy": (Client(NORMAL, 4, 50000, True, 1), Client(NORMAL, 1, 1000, True, 9000)),
}


@pytest.mark.parametrize("name", TWO)
def test_drm_sched_scheduler_two_clients_test(name: str) -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, credit_limit=2)
        clients = [Client(c.priority, c.count, c.job * US, c.sync, c.wait * US) for c in TWO[name]]
        tasks = [
            kernel.spawn(client.work, kernel, mock.entity(client.priority), SEC)
            for client in clients
        ]
        for task in tasks:
            kernel.join(task)
        assert all(client.done and client.cycles for client in clients)

    in_task(body)


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("count", [2, 3, 7, 13, 31])
def test_drm_sched_scheduler_many_clients_test(count: int, policy: Policy) -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, credit_limit=2, policy=policy)
        clients = [Client(NORMAL, 4, MS, True, 0) for _ in range(count)]
        for client in clients:
            kernel.spawn(client.work, kernel, mock.entity(), SEC // count)
        spread = 0
        while not all(client.done for client in clients):
            kernel.sleep(100 * MS)
            cycles = [client.cycles for client in clients]
            spread = max(spread, max(cycles) - min(cycles))
        assert spread <= 1, "nobody falls behind"

    in_task(body)


def test_an_oversized_job_is_truncated_with_a_warning() -> None:
    kernel = Kernel()

    def body() -> None:
        mock = MockScheduler(kernel, credit_limit=4)
        job = MockJob(mock.entity(), MS, credits=9)
        finished = job.submit().finished
        assert finished.wait(SEC)

    kernel.call(body)
    assert [warn.message for warn in kernel.warnings] == [
        "drm_sched: jobs may not exceed the credit limit, truncate"
    ]
    kernel.close()


def test_reset_takes_jobs_back_and_starts_again() -> None:
    def body(kernel: Kernel) -> None:
        mock = MockScheduler(kernel, poison=False)
        entity = mock.entity()
        jobs = [MockJob(entity).submit() for _ in range(3)]
        assert jobs[2].wait_scheduled(SEC)
        mock.sched.stop()
        assert mock.sched.credit_count == 0
        mock.sched.start()
        assert [job.finished.error for job in jobs] == [-ECANCELED] * 3
        assert all(job.finished.is_signaled() for job in jobs)
        after = MockJob(entity, MS)
        mock.running.clear()
        assert after.submit().finished.wait(SEC)

    in_task(body)
