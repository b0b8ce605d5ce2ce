"""The contract checker finds each way of breaking it, and nothing in drivers that keep it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ring3.drm.contract import FenceContract
from ring3.drm.trace import JobTrace
from ring3.kernel import Kernel
from ring3.panthor.device import PanthorDevice
from tests.drm.mock_sched import MS, SEC, MockJob, MockScheduler
from tests.panthor.conftest import Store

Body = Callable[[MockScheduler, FenceContract], Any]


def rules(body: Body) -> list[str]:
    kernel = Kernel()
    contract = FenceContract(kernel)

    def run() -> None:
        mock = MockScheduler(kernel, poison=False)
        body(mock, contract)
        kernel.sleep(SEC)

    kernel.call(run)
    found = [violation.rule for violation in contract.finish()]
    kernel.close()
    return found


def test_what_keeps_the_contract_is_clean() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        entity = mock.entity()
        contract.allocating("a job")
        first = MockJob(entity, MS).submit()
        second = MockJob(entity, MS)
        second.add_dependency(first.finished)
        second.submit()
        assert second.finished.wait(SEC)

    assert rules(body) == []


def test_allocation_after_arm() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        job = MockJob(mock.entity(), MS)
        job.arm()
        contract.allocating("a chain node")
        job.push()

    assert rules(body) == ["allocation"]


def test_allocation_in_the_signalling_path() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        with mock.sched.fences.signalling():
            contract.allocating("a page table")

    assert rules(body) == ["allocation"]


def test_reservation_lock_after_arm() -> None:
    from ring3.dma_buf.resv import DmaResv

    def body(mock: MockScheduler, contract: FenceContract) -> None:
        resv = DmaResv(mock.sched.fences)
        job = MockJob(mock.entity(), MS)
        job.arm()
        with resv.locked():
            pass
        job.push()

    assert rules(body) == ["reservation lock"]


def test_waiting_after_arm() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        entity = mock.entity()
        first = MockJob(entity, MS).submit()
        second = MockJob(entity, MS)
        second.arm()
        first.finished.wait(SEC)
        second.push()

    assert rules(body) == ["wait"]


def test_a_dependency_after_arm() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        entity = mock.entity()
        first = MockJob(entity, MS).submit()
        second = MockJob(mock.entity(), MS)
        second.arm()
        second.add_dependency(first.finished)
        second.push()

    assert rules(body) == ["order"]


def test_pushing_out_of_order() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        entity = mock.entity()
        first, second = MockJob(entity, MS), MockJob(entity, MS)
        first.arm()
        second.arm()
        second.push()
        first.push()

    assert rules(body) == ["order"]


def test_arming_and_never_pushing() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        MockJob(mock.entity(), MS).arm()

    assert rules(body) == ["order", "unsignalled"]


def test_a_job_that_the_hardware_forgets() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        MockJob(mock.entity()).submit()

    assert set(rules(body)) == {"unsignalled"}


def test_a_cycle() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        # Each waits for the other: only a dependency added after arming can do that.
        one, two = MockScheduler(mock.kernel, poison=False), mock
        a, b = MockJob(one.entity(), MS), MockJob(two.entity(), MS)
        a.arm()
        b.add_dependency(a.finished)
        b.arm()
        a.add_dependency(b.finished)
        a.push()
        b.push()

    found = rules(body)
    assert found.count("cycle") == 1
    assert found.count("unsignalled") == 2


def test_a_cycle_behind_a_job_that_never_ends() -> None:
    def body(mock: MockScheduler, contract: FenceContract) -> None:
        # What a job waits for first leads nowhere, what it waits for next leads back to it.
        stuck = MockJob(MockScheduler(mock.kernel, poison=False).entity(), 10 * SEC).submit()
        one, two = MockScheduler(mock.kernel, poison=False), mock
        a, b = MockJob(one.entity(), MS), MockJob(two.entity(), MS)
        a.add_dependency(stuck.finished)
        a.arm()
        b.add_dependency(a.finished)
        b.arm()
        a.add_dependency(b.finished)
        a.push()
        b.push()

    assert rules(body).count("cycle") == 1


@pytest.mark.parametrize("fault", ["", "hang", "mmu_fault", "firmware", "bind"])
def test_panthor_keeps_it(fault: str) -> None:
    kernel = Kernel()
    contract = FenceContract(kernel)
    trace = JobTrace(kernel)
    device = PanthorDevice(kernel)
    device.allocation_watchers.append(contract)
    store = Store(device)
    if fault and fault != "bind":
        device.injection.arm(fault)
    syncs = [store.syncobj() for _ in range(6)]

    def submit_all() -> None:
        for number, sync in enumerate(syncs):
            waits = [syncs[number - 1]] if number % 2 else []
            store.store(number, slot=number, waits=waits, signals=[sync])

    kernel.call(submit_all)
    if fault == "bind":
        device.injection.arm("bind")
        from ring3.panthor import uapi

        op = uapi.VmBindOp(flags=uapi.OP_TYPE_UNMAP, va=0x9000, size=4096)
        store.vm_bind(store.vm, [op], uapi.VM_BIND_ASYNC)
    store.wait(*syncs)
    kernel.run(until_time=kernel.now() + SEC)
    assert [str(violation) for violation in contract.finish()] == []
    assert len(trace.jobs) == 6 + (fault == "bind")
    assert all(span.finished is not None for span in trace.jobs)
    assert trace.jobs[1].depends_on == [0]
    assert trace.timeline().to_perfetto()
    kernel.close()
