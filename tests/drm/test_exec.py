"""The 7 cases of drivers/gpu/drm/tests/drm_exec_test.c (7.2), by name, and contention explored."""

from __future__ import annotations

from collections.abc import Callable
from errno import EALREADY
from typing import Any

import pytest

from ring3.drm.device import DrmDevice
from ring3.drm.exec import Exec
from ring3.drm.gem import PAGE, GemObject
from ring3.kernel import Kernel, RandomScheduler


def in_task(body: Callable[[DrmDevice], Any]) -> Any:
    kernel = Kernel()
    device = DrmDevice(kernel)
    result = kernel.call(body, device)
    kernel.close()
    return result


def held(obj: GemObject) -> bool:
    return obj.resv.lock.owner is not None


def test_sanitycheck() -> None:
    def body(device: DrmDevice) -> None:
        with Exec(device.fences, interruptible=True) as exec_:
            assert exec_.objects == []

    in_task(body)


def test_lock() -> None:
    def body(device: DrmDevice) -> None:
        obj = GemObject(device, PAGE)
        with Exec(device.fences, interruptible=True) as exec_:
            exec_.until_all_locked(lambda: exec_.lock(obj))
            assert held(obj)
        assert not held(obj)

    in_task(body)


def test_lock_unlock() -> None:
    def body(device: DrmDevice) -> None:
        obj = GemObject(device, PAGE)
        with Exec(device.fences, interruptible=True) as exec_:

            def again() -> None:
                exec_.lock(obj)
                exec_.unlock(obj)
                assert not held(obj)
                exec_.lock(obj)

            exec_.until_all_locked(again)
            assert exec_.objects == [obj]

    in_task(body)


def test_duplicates() -> None:
    def body(device: DrmDevice) -> None:
        obj = GemObject(device, PAGE)
        with Exec(device.fences, ignore_duplicates=True) as exec_:

            def twice() -> None:
                exec_.lock(obj)
                exec_.lock(obj)

            exec_.until_all_locked(twice)
            assert exec_.objects == [obj]
            exec_.unlock(obj)
            assert not held(obj)
        with pytest.raises(OSError) as info, Exec(device.fences) as exec_:
            exec_.until_all_locked(lambda: exec_.prepare_array([obj, obj], 1))
        assert info.value.errno == EALREADY
        assert not held(obj)

    in_task(body)


def test_prepare() -> None:
    def body(device: DrmDevice) -> None:
        obj = GemObject(device, PAGE)
        with Exec(device.fences, interruptible=True) as exec_:
            exec_.until_all_locked(lambda: exec_.prepare(obj, 1))

    in_task(body)


def test_prepare_array() -> None:
    def body(device: DrmDevice) -> None:
        objects = [GemObject(device, PAGE), GemObject(device, PAGE)]
        with Exec(device.fences, interruptible=True) as exec_:
            exec_.until_all_locked(lambda: exec_.prepare_array(objects, 1))
            assert exec_.objects == objects

    in_task(body)


def test_multiple_loops() -> None:
    def body(device: DrmDevice) -> None:
        for _ in range(2):
            with Exec(device.fences, interruptible=True) as exec_:
                exec_.until_all_locked(lambda: None)

    in_task(body)


@pytest.mark.parametrize("seed", range(60))
def test_opposite_orders_never_deadlock(seed: int) -> None:
    kernel = Kernel(scheduler=RandomScheduler(seed))
    device = DrmDevice(kernel)
    objects = [GemObject(device, PAGE) for _ in range(3)]
    rounds = []

    def locker(order: list[int]) -> None:
        with Exec(device.fences) as exec_:
            exec_.until_all_locked(lambda: exec_.prepare_array([objects[i] for i in order], 1))
            assert all(obj.resv.lock.owner is kernel.current for obj in objects)
            rounds.append(order)

    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        kernel.spawn(locker, order)
    assert kernel.run(), kernel.describe_blocked()
    assert len(rounds) == 3
    assert not any(held(obj) for obj in objects)
    kernel.close()
