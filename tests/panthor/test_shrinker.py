"""Under memory pressure idle buffers leave and come back with their content; busy ones stay."""

from __future__ import annotations

from ring3.drm import uapi as drm
from ring3.kernel import Kernel
from ring3.mm.shrinker import SHRINK_STOP, ShrinkControl
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.panthor.shrinker import GemShrinker
from tests.panthor.conftest import DATA, Store

HIDDEN = 0x4000_0000
GFP = 0xCC0


class Pressed(Store):
    """A client with 16 hidden pages that only the GPU looks at."""

    def __init__(self, device: PanthorDevice) -> None:
        super().__init__(device, "pressed")
        self.hidden = self.bo_create(16 * 4096, self.vm)
        self.map(self.vm, self.hidden, HIDDEN, 16 * 4096)

    def done(self, value: int, va: int) -> None:
        sync = self.syncobj()
        self.store(value, va=va, signals=[sync])
        self.wait(sync)

    def copy(self) -> int:
        """Have the GPU copy the hidden word to where the CPU sees it."""
        from ring3.umd.context import Commands

        out = Commands().set64(10, HIDDEN + 8).set64(12, DATA + 128)
        out.emit("LOAD_MULTIPLE", base=20, address=10, mask=1).emit("WAIT", wait_mask=1)
        out.emit("STORE_MULTIPLE", base=20, address=12, mask=1)
        sync = self.syncobj()
        self.run(*self.stream(9, out.words), signals=[sync])
        self.wait(sync)
        return self.value(128)


def test_idle_buffers_go_and_come_back(kernel: Kernel, device: PanthorDevice) -> None:
    client = Pressed(device)
    client.done(0xBEEF, HIDDEN + 8)
    shrinker = GemShrinker(device)
    before = device.memory_used
    assert kernel.call(shrinker.count_objects, ShrinkControl(GFP)) == 16
    assert kernel.call(shrinker.scan_objects, ShrinkControl(GFP, 128)) == 16
    assert device.memory_used == before - 16 * 4096
    assert client.copy() == 0xBEEF, "the content survived"
    assert device.memory_used == before
    assert client.group_state(client.group).state == 0, "no fault on the way"


def test_what_a_job_may_touch_stays(kernel: Kernel, device: PanthorDevice) -> None:
    client = Pressed(device)
    shrinker = GemShrinker(device)
    client.run(*client.loop())
    assert kernel.call(shrinker.scan_objects, ShrinkControl(GFP, 128)) == SHRINK_STOP


def test_a_locked_reservation_is_not_waited_for(kernel: Kernel, device: PanthorDevice) -> None:
    """A shrinker that waits for a lock whose holder waits for memory would deadlock recovery."""
    client = Pressed(device)
    shrinker = GemShrinker(device)
    vm = client.process.file(client.fd).driver_private.vms.get(client.vm)  # type: ignore[attr-defined]
    results = []

    def holder() -> None:
        with vm.resv.locked():
            task = kernel.spawn(
                lambda: results.append(shrinker.scan_objects(ShrinkControl(GFP, 9)))
            )
            kernel.join(task)

    kernel.call(holder)
    assert results == [SHRINK_STOP]


def test_unmapped_while_evicted_it_stays_away(kernel: Kernel, device: PanthorDevice) -> None:
    client = Pressed(device)
    before = device.memory_used
    assert kernel.call(GemShrinker(device).scan_objects, ShrinkControl(GFP, 128)) == 16
    unmap = uapi.VmBindOp(flags=uapi.OP_TYPE_UNMAP, va=HIDDEN, size=16 * 4096)
    client.vm_bind(client.vm, [unmap])
    client.ioctl(drm.GEM_CLOSE, drm.GemClose(handle=client.hidden))
    client.done(1, DATA)
    assert device.memory_used == before - 16 * 4096


def test_closing_while_evicted_leaks_nothing(kernel: Kernel, device: PanthorDevice) -> None:
    before = device.memory_used, device.table_pool.used
    client = Pressed(device)
    assert kernel.call(GemShrinker(device).scan_objects, ShrinkControl(GFP, 128)) == 16
    client.close()
    kernel.run()
    assert (device.memory_used, device.table_pool.used) == before
