"""The whole driver under exploration: submit x hang x reset x group destruction x unplug.

In every schedule every submitted fence is signalled, nothing deadlocks, nothing warns.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ring3.dma_buf.fence import DmaFence
from ring3.kernel import Kernel
from ring3.kernel.explore import sample
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from tests.panthor.conftest import Store

EVENTS = ("hang", "reset", "destroy", "close", "unplug")
#: Every combination of up to three events beside the submissions.
SCENARIOS = {
    " x ".join(("submit", *events)): events
    for count in range(4)
    for events in itertools.combinations(EVENTS, count)
}


def scenario(
    disturbances: tuple[str, ...], delay: int = 0
) -> Callable[[Kernel], Callable[[], None]]:
    """Two jobs are submitted; ``delay`` ns after the first call everything in ``disturbances`` happens."""

    def program(kernel: Kernel) -> Callable[[], None]:
        device = PanthorDevice(kernel)
        fences: list[DmaFence] = []

        def client() -> None:
            store = Store(device)
            file = store.process.file(store.fd)
            if "hang" in disturbances:
                device.injection.arm("hang")
            syncs = [store.syncobj() for _ in range(2)]

            def disturb() -> None:
                kernel.sleep(delay)
                if "reset" in disturbances:
                    device.schedule_reset("exploration")
                if "destroy" in disturbances:
                    args = uapi.GroupDestroy(group_handle=store.group)
                    try:
                        store.ioctl(uapi.GROUP_DESTROY, args)
                    except OSError:
                        assert "unplug" in disturbances
                if "close" in disturbances:
                    store.process.close(store.fd)
                if "unplug" in disturbances:
                    device.unplug()

            file.get()  # what a system call in progress holds
            kernel.spawn(disturb)
            for turn, sync in enumerate(syncs):
                try:
                    store.store(turn, slot=turn, signals=[sync])
                except OSError:
                    break
                for _, syncobj in file.syncobjs:  # type: ignore[attr-defined]
                    if syncobj.fence is not None and syncobj.fence not in fences:
                        fences.append(syncobj.fence)
            file.put()

        kernel.spawn(client)

        def check() -> None:
            left = [fence for fence in fences if not fence.is_signaled()]
            assert not left, f"never signalled: {left}"
            assert kernel.warnings == []

        return check

    return program


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("strategy", ["random", "pct"])
@pytest.mark.parametrize("delay", [0, 1500, 2500])  # before, while, and after the GPU works
def test_every_schedule_keeps_the_promises(name: str, strategy: str, delay: int) -> None:
    result = sample(scenario(SCENARIOS[name], delay), strategy, range(4), max_steps=60_000)
    assert [str(finding)[:300] for finding in result.findings] == []


@pytest.mark.oracle
@pytest.mark.parametrize("name", SCENARIOS)
def test_many_more_schedules(name: str) -> None:
    for delay in range(0, 4000, 500):
        program = scenario(SCENARIOS[name], delay)
        for strategy in ("random", "pct"):
            result = sample(program, strategy, range(1000, 1015), max_steps=60_000)
            assert [str(finding)[:300] for finding in result.findings] == []
