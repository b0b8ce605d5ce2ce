"""The whole driver under exploration: submit x hang x reset x group destruction x unplug; calls on one VM.

In every schedule every submitted fence is signalled, nothing deadlocks, nothing warns, nothing is lost.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest

from ring3.dma_buf.fence import DmaFence
from ring3.kernel import Kernel
from ring3.kernel.explore import sample
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.panthor.vm import Vm
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


# -- two calls on one VM --------------------------------------------------------------------------


def _heap_create(store: Store) -> None:
    heap = {"initial_chunk_count": 1, "chunk_size": 128 << 10, "max_chunks": 3}
    store.ioctl(uapi.TILER_HEAP_CREATE, uapi.TilerHeapCreate(vm_id=store.vm, **heap))


def _heap_destroy(store: Store) -> None:
    store.ioctl(uapi.TILER_HEAP_DESTROY, uapi.TilerHeapDestroy(handle=store.vm << 16))


def _heap_grow(store: Store) -> None:
    """What the driver does when the tiler of a group, which holds the VM, has no memory."""
    vm = _vm_of(store)
    if vm is not None and vm.heaps is not None:
        vm.get()
        try:
            vm.heaps.grow(vm.heaps.contexts.va, 0)
        finally:
            vm.put()


def _vm_of(store: Store) -> Vm | None:
    vms = store.process.file(store.fd).driver_private.vms  # type: ignore[attr-defined]
    return dict(vms).get(store.vm)


CALLS: dict[str, Callable[[Store], object]] = {
    "heap create": _heap_create,
    "heap destroy": _heap_destroy,
    "heap grow": _heap_grow,
    "bind": lambda store: store.map(store.vm, store.bo_create(4096), 1 << 30, 4096),
    "group create": lambda store: store.group_create(store.vm),
    "vm destroy": lambda store: store.ioctl(uapi.VM_DESTROY, uapi.VmDestroy(id=store.vm)),
}


def two_calls(names: tuple[str, str], heaps: int) -> Callable[[Kernel], Callable[[], None]]:
    """Two tasks of one client, whose VM has ``heaps`` heaps already."""

    def program(kernel: Kernel) -> Callable[[], None]:
        device = PanthorDevice(kernel)

        def client() -> None:
            store = Store(device)
            store.vm = store.vm_create()
            for _ in range(heaps):
                _heap_create(store)

            def call(name: str) -> None:
                kernel.cond_resched()  # either may come first
                with suppress(OSError):
                    CALLS[name](store)

            for task in [kernel.spawn(call, name) for name in names]:
                kernel.join(task)
            vm = _vm_of(store)
            pool = vm.heaps if vm is not None else None
            held = [len(heap.chunks) for _, heap in pool.heaps] if pool is not None else []
            assert labelled("Heap pool") == (pool is not None)
            assert labelled("Tiler heap chunk") == sum(held)
            store.close()

        def labelled(what: str) -> int:
            return sum(bo.label == what for _, bo in device.objects())

        kernel.spawn(client)

        def check() -> None:
            assert [bo for _, bo in device.objects() if bo is not device.dummy] == []
            assert device.table_pool.used == 0

        return check

    return program


PAIRS = list(itertools.combinations_with_replacement(CALLS, 2))


@pytest.mark.parametrize("names", PAIRS, ids=" x ".join)
@pytest.mark.parametrize("heaps", [0, 1])
def test_two_calls_on_one_vm(names: tuple[str, str], heaps: int) -> None:
    for strategy in ("random", "pct"):
        result = sample(two_calls(names, heaps), strategy, range(20), lockdep=True)
        assert [str(finding)[:300] for finding in result.findings] == []
