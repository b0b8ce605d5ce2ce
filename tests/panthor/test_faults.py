"""Faults reach the program as the kernel reports them, others go on, and nothing hangs."""

from __future__ import annotations

import struct
from errno import ECANCELED, EINVAL, ETIMEDOUT

import pytest
from mali_machine import STORE_R0

from ring3.dma_buf.sync_file import SyncFile
from ring3.drm.file import DrmFile
from ring3.kernel import Kernel
from ring3.mali import ExceptionCode, GpuConfig, MmuFault, QueueFault, TilerOutOfMemory
from ring3.mali.cs.table import encode
from ring3.mali.isa.asm import assemble
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.panthor.sched import TICK
from tests.panthor.conftest import DATA, Store

MS = 1_000_000
SEC = 1_000_000_000


def error_of(store: Store, syncobj: int) -> int:
    """The error of the fence in a syncobj."""
    fd = store.export_sync_file(syncobj)
    file = store.process.file(fd)
    assert isinstance(file, SyncFile)
    return file.fence.error


def assert_alive(store: Store) -> None:
    """A fresh group of ``store`` can still work."""
    done = store.syncobj()
    group = store.group_create(store.vm)
    store.store(0x600D, slot=8, va=DATA + 64, signals=[done], group=group)
    store.wait(done)
    assert error_of(store, done) == 0
    assert store.value(64) == 0x600D


def test_an_mmu_fault_is_fatal_for_its_group_only(device: PanthorDevice, store: Store) -> None:
    other = Store(device, "other")
    done = store.syncobj()
    store.store(1, va=0x7000_0000, signals=[done])
    store.wait(done)
    assert error_of(store, done) == -EINVAL
    state = store.group_state(store.group)
    assert (state.state, state.fatal_queues) == (uapi.GROUP_STATE_FATAL_FAULT, 1)
    with pytest.raises(OSError, match="Errno 22"):
        store.store(1)
    log = "\n".join(line for _, line in store.kernel.log)
    assert "Unhandled Page fault in AS" in log
    assert "0x0000000070000000" in log
    assert_alive(other)
    assert_alive(store)


def test_writing_read_only_memory_faults(store: Store) -> None:
    from tests.panthor.conftest import STREAM

    done = store.syncobj()
    store.store(1, va=STREAM, signals=[done])
    store.wait(done)
    assert error_of(store, done) == -EINVAL
    assert "PERM_FAULT" in "\n".join(line for _, line in store.kernel.log)


def test_an_invalid_instruction_is_reported_with_registers(store: Store) -> None:
    done = store.syncobj()
    address, size = store.stream(0, [0x7F << 56])
    store.run(address, size, signals=[done])
    store.wait(done)
    assert error_of(store, done) == -EINVAL
    assert "CS_FATAL" in store.kernel.log[0][1]


def test_an_endless_loop_times_out(device: PanthorDevice, store: Store) -> None:
    other = Store(device, "other")
    done = store.syncobj()
    before = store.kernel.now()
    store.run(*store.loop(), signals=[done])
    assert_alive(other)
    store.wait(done)
    assert 5 * SEC <= store.kernel.now() - before < 6 * SEC
    assert error_of(store, done) == -ETIMEDOUT
    assert store.group_state(store.group).state == uapi.GROUP_STATE_TIMEDOUT
    assert any("job timeout" in line for _, line in store.kernel.log)
    assert_alive(other)
    assert_alive(store)


def test_every_job_has_five_seconds_of_its_own(store: Store) -> None:
    """What a slow job has left is not all that the next one gets."""

    def count(rounds: int) -> int:
        done = store.syncobj()
        words = [
            encode("MOVE32", d=20, imm=rounds),
            encode("ADD_IMM32", d=20, s=20, imm=-1),
            encode("BRANCH", condition=3, value=20, offset=-2),
        ]
        before = store.kernel.now()
        store.run(*store.stream(0, words), signals=[done])
        store.wait(done)
        assert error_of(store, done) == 0
        return store.kernel.now() - before

    rounds = 1000
    while count(rounds) < 3 * SEC:
        rounds += rounds // 16
    assert count(rounds) > 3 * SEC
    assert count(rounds) > 3 * SEC


def test_an_injected_hang_times_out(store: Store) -> None:
    store.device.injection.arm("hang")
    first, second = store.syncobj(), store.syncobj()
    store.store(1, signals=[first])
    store.store(2, slot=1, signals=[second])
    store.wait(first, second)
    assert error_of(store, first) == -ETIMEDOUT
    assert store.group_state(store.group).state & uapi.GROUP_STATE_TIMEDOUT
    assert_alive(store)


def test_an_injected_mmu_fault(store: Store) -> None:
    store.device.injection.arm("mmu_fault")
    done = store.syncobj()
    store.store(1, signals=[done])
    store.wait(done)
    assert error_of(store, done) == -EINVAL
    assert_alive(store)


def test_a_dead_firmware_is_reset_and_bystanders_are_innocent(
    device: PanthorDevice, store: Store
) -> None:
    other = Store(device, "other")
    warm, done, lost = other.syncobj(), store.syncobj(), other.syncobj()
    other.store(1, signals=[warm])
    other.wait(warm)
    device.injection.arm("firmware")
    store.store(1, signals=[done])
    store.kernel.run(until_time=store.kernel.now() + SEC)  # so that only the first times out itself
    other.store(2, signals=[lost])
    store.wait(done)
    other.wait(lost)
    assert device.resets == ["the firmware did not answer"]
    assert error_of(store, done) == -ETIMEDOUT
    state = other.group_state(other.group).state
    assert state == uapi.GROUP_STATE_TIMEDOUT | uapi.GROUP_STATE_INNOCENT
    assert_alive(store)
    assert_alive(other)


def test_a_reset_goes_unnoticed_by_groups_that_suspend(device: PanthorDevice, store: Store) -> None:
    syncs = [store.syncobj() for _ in range(20)]
    for number, sync in enumerate(syncs):
        store.store(number, slot=number % 8, signals=[sync])
        if number % 7 == 3:
            device.schedule_reset("a test")
    store.wait(*syncs)
    assert len(device.resets) >= 2
    assert [error_of(store, sync) for sync in syncs] == [0] * 20
    assert store.value() == 19


def test_destroying_a_group_cancels_its_jobs(store: Store) -> None:
    done = store.syncobj()
    store.run(*store.loop(), signals=[done])
    store.kernel.run(until_time=store.kernel.now() + MS)
    store.ioctl(uapi.GROUP_DESTROY, uapi.GroupDestroy(group_handle=store.group))
    store.wait(done)
    assert error_of(store, done) == -ECANCELED
    assert_alive(store)


def test_killing_a_client_leaves_nothing(device: PanthorDevice, store: Store) -> None:
    kernel = store.kernel
    tables, memory = device.table_pool.used, device.memory_used
    for _ in range(5):
        victim = Store(device, "victim")
        done = victim.syncobj()
        victim.run(*victim.loop(), signals=[done])
        heap = uapi.TilerHeapCreate(
            vm_id=victim.vm, initial_chunk_count=2, chunk_size=1 << 21, max_chunks=4
        )
        victim.ioctl(uapi.TILER_HEAP_CREATE, heap)
        kernel.run(until_time=kernel.now() + MS)
        victim.close()
        kernel.run(until_time=kernel.now() + 10 * MS)
    assert (device.table_pool.used, device.memory_used) == (tables, memory)
    assert not any(device.sched.slots)
    assert kernel.warnings == []
    assert_alive(store)


def test_more_groups_than_slots_take_turns(device: PanthorDevice, kernel: Kernel) -> None:
    clients = [Store(device, f"client{n}") for n in range(12)]
    for client in clients:
        # Each counts in an endless loop; the time slices have to be shared.
        from ring3.mali.cs.table import encode

        words = [
            encode("MOVE", d=10, imm=DATA),
            encode("ADD_IMM32", d=20, s=20, imm=1),
            encode("STORE_MULTIPLE", base=20, address=10, mask=1),
            encode("BRANCH", condition=6, offset=-3),
        ]
        client.run(*client.stream(0, words))
    # One group changes places a tick, so that all have had a turn after some.
    kernel.run(until_time=kernel.now() + 200 * MS)
    counts = [client.value() for client in clients]
    assert all(counts), f"somebody never ran: {counts}"


def test_higher_priorities_go_first(device: PanthorDevice, kernel: Kernel) -> None:
    low = [Store(device, f"low{n}") for n in range(8)]
    for client in low:
        client.run(*client.loop())
    kernel.run(until_time=kernel.now() + MS)
    urgent = Store(device, "urgent", privileged=True)
    group = urgent.group_create(urgent.vm, priority=uapi.GROUP_PRIORITY_REALTIME)
    done = urgent.syncobj()
    before = kernel.now()
    urgent.store(7, signals=[done], group=group)
    urgent.wait(done)
    assert kernel.now() - before < 10 * MS, "it did not wait for a time slice"


def test_more_vms_than_address_spaces(device: PanthorDevice) -> None:
    clients = [Store(device, f"client{n}") for n in range(20)]
    for turn in range(2):
        for number, client in enumerate(clients):
            done = client.syncobj()
            client.store(100 * turn + number, signals=[done])
            client.wait(done)
            assert client.value() == 100 * turn + number


SHADER = 0x40_0000


def compute(client: Store, value: int, instructions: int) -> int:
    """One thread works for so long, then stores ``value`` at DATA; what it signals."""
    size = 4096 + 8 * (instructions + 4) + 4096 & -4096
    bo = client.bo_create(size, client.vm)
    client.map(client.vm, bo, SHADER, size, 0)
    memory = client.bo_map(bo)
    listing = "MOV.i32 r0, u2\n" + "MOV.i32 r1, r1\n" * instructions + STORE_R0
    memory.write(0, struct.pack("<IIQ16x", 8 | 1 << 4, 0xFFFF, SHADER + 4096))
    memory.write(64, struct.pack("<QQ", DATA, value))
    memory.write(4096, assemble(listing))
    registers = {0: 0, 8: SHADER + 64, 9: 2 << 24, 16: SHADER, 24: 0, 33: 0}
    registers |= dict.fromkeys((34, 35, 36), 0) | dict.fromkeys((37, 38, 39), 1)
    words = [encode("MOVE", d=24), encode("MOVE", d=16), encode("MOVE", d=0)]
    words += [encode("MOVE32", d=register, imm=held) for register, held in registers.items()]
    words += [encode("RUN_COMPUTE", task_increment=1)]
    done = client.syncobj()
    client.run(*client.stream(0, words), signals=[done])
    return done


def test_a_job_that_is_suspended_goes_on_in_its_own_vm(device: PanthorDevice) -> None:
    """While it waits for a slot others have the number of its address space, and it gets another."""
    device.gpu.slice = 1  # so that a job takes longer than a turn
    clients = [Store(device, f"client{n}") for n in range(len(device.gpu.address_spaces) + 2)]
    done = [compute(client, 100 + number, 3000) for number, client in enumerate(clients)]
    for client, sync in zip(clients, done, strict=True):
        client.wait(sync)
    assert [client.value() for client in clients] == [100 + n for n in range(len(clients))]
    assert device.kernel.log == []


def test_a_heap_grows_until_it_may_not(store: Store) -> None:
    args = uapi.TilerHeapCreate(
        vm_id=store.vm,
        initial_chunk_count=1,
        chunk_size=1 << 20,
        max_chunks=3,
        target_in_flight=2,
    )
    heap = store.ioctl(uapi.TILER_HEAP_CREATE, args)
    pool = store.process.file(store.fd).driver_private.vms.get(store.vm).heaps  # type: ignore[attr-defined]

    def grow() -> None:
        chunk = pool.grow(heap.tiler_heap_ctx_gpu_va, 1)
        assert chunk & 0xFFF == 256
        pool.grow(heap.tiler_heap_ctx_gpu_va, 1)
        for in_flight, errno in ((1, 12), (3, 12)):
            with pytest.raises(OSError, match=f"Errno {errno}"):
                pool.grow(heap.tiler_heap_ctx_gpu_va, in_flight)
        with pytest.raises(OSError, match="Errno 22"):
            pool.grow(heap.tiler_heap_ctx_gpu_va + 64, 1)

    store.kernel.call(grow)


def passes_begun(client: Store, heap: int) -> int:
    """Begin a render pass on the client's tiler heap; how many the firmware counts on it."""
    done = client.syncobj()
    begin = [
        encode("MOVE", d=10, imm=heap),
        encode("HEAP_SET", address=10),
        encode("HEAP_OPERATION", operation=0),
    ]
    client.run(*client.stream(3, begin), signals=[done])
    client.wait(done)
    file = client.process.file(client.fd)
    assert isinstance(file, DrmFile)
    queue = file.driver_private.groups.get(client.group).hardware.state[0]
    return int(queue.heap.vt_started)


def test_a_heap_is_its_vms_whichever_address_space_that_has(device: PanthorDevice) -> None:
    def client() -> tuple[Store, int]:
        made = Store(device)
        args = uapi.TilerHeapCreate(
            vm_id=made.vm, initial_chunk_count=1, chunk_size=1 << 20, max_chunks=3
        )
        return made, made.ioctl(uapi.TILER_HEAP_CREATE, args).tiler_heap_ctx_gpu_va

    clients = [client() for _ in range(len(device.gpu.address_spaces) + 2)]
    assert len({heap for _, heap in clients}) == 1, "all have it at the same address"
    for turn in 1, 2:
        assert [passes_begun(*client) for client in clients] == [turn] * len(clients)
    clients[0][0].close()
    device.kernel.run(until_time=device.kernel.now() + MS)
    assert passes_begun(*client()) == 1, "nothing is left of those that are gone"


def test_a_heap_outlives_a_reset(device: PanthorDevice, store: Store) -> None:
    """Its context is in memory, and the driver makes no other after a reset (panthor_device.c)."""
    args = uapi.TilerHeapCreate(
        vm_id=store.vm, initial_chunk_count=1, chunk_size=1 << 20, max_chunks=3
    )
    heap = store.ioctl(uapi.TILER_HEAP_CREATE, args).tiler_heap_ctx_gpu_va
    assert passes_begun(store, heap) == 1
    device.schedule_reset("a test")
    device.kernel.run(until_time=device.kernel.now() + MS)
    assert device.resets == ["a test"]
    assert passes_begun(store, heap) == 2


def test_who_waits_for_a_sync_object_gives_up_its_slot(
    device: PanthorDevice, kernel: Kernel
) -> None:
    """Eight groups in eight slots wait for what only a ninth can write; all are over within one slice."""
    from ring3.mali.cs.table import encode

    client = Store(device)
    groups = [client.group_create(client.vm) for _ in range(9)]
    waiting = client.stream(
        0,
        [
            encode("MOVE", d=10, imm=DATA),
            encode("MOVE", d=20, imm=4),
            encode("SYNC_WAIT64", address=10, data=20, condition=1),
        ],
    )
    done = [client.syncobj() for _ in groups]
    for group, point in zip(groups[:8], done, strict=False):
        client.run(*waiting, signals=[point], group=group)
    kernel.run(until_time=kernel.now() + MS)
    assert all(device.sched.slots), "all slots are taken"
    writing = client.stream(
        1,
        [
            encode("MOVE", d=10, imm=DATA),
            encode("MOVE", d=20, imm=5),
            encode("SYNC_SET64", address=10, data=20),
        ],
    )
    before = kernel.now()
    client.run(*writing, signals=[done[8]], group=groups[8])
    for point in done:
        client.wait(point)
    assert kernel.now() - before < MS, "nobody waited for the end of a time slice"
    assert device.sched.waiting == []


def test_a_waiting_group_that_is_destroyed_is_forgotten(
    device: PanthorDevice, kernel: Kernel
) -> None:
    from ring3.mali.cs.table import encode

    client = Store(device)
    groups = [client.group_create(client.vm) for _ in range(9)]
    words = [
        encode("MOVE", d=10, imm=DATA),
        encode("MOVE", d=20, imm=4),
        encode("SYNC_WAIT64", address=10, data=20, condition=1),
    ]
    stream = client.stream(0, words)
    done = [client.syncobj() for _ in groups]
    for group, point in zip(groups, done, strict=True):
        client.run(*stream, signals=[point], group=group)
        kernel.run(until_time=kernel.now() + MS)
    assert len(device.sched.waiting) == 1, "the ninth took a slot from one that waits"
    for group in groups:
        client.ioctl(uapi.GROUP_DESTROY, uapi.GroupDestroy(group_handle=group))
    for point in done:
        client.wait(point)
    assert device.sched.waiting == []


def test_an_event_of_who_left_the_slot_harms_nobody_in_it(device: PanthorDevice) -> None:
    """The tiler's request comes late: its group is out, another one is in the slot, which has no heaps."""
    first, second = Store(device, "first"), Store(device, "second")
    second.run(*second.loop())
    device.kernel.run(until_time=device.kernel.now() + MS)
    (held,) = [group for group in device.sched.slots if group]
    gone = device.files[0].driver_private.groups.get(first.group)
    assert gone.slot is None
    late = TilerOutOfMemory(held.slot or 0, 0, 0x1000, 1, 0, 0)
    device.kernel.call(device.sched.event, late, gone, 0)
    assert (held.fatal_queues, gone.fatal_queues) == (0, 0)


def test_a_late_mmu_fault_ends_who_had_the_address_space(kernel: Kernel) -> None:
    """The time slice ends between the fault and its work: another VM has the address space by then."""
    device = PanthorDevice(kernel, GpuConfig(group_slots=1, as_present=3))
    clients = [Store(device, name) for name in ("first", "second")]
    for client in clients:
        client.run(*client.loop())
    kernel.run(until_time=kernel.now() + 11 * MS)
    (faulty,) = [group for group in device.sched.slots if group]
    fault = MmuFault(faulty.vm.space or 0, 0x1234, ExceptionCode.TRANSLATION_FAULT_3)

    def fault_then_tick() -> None:
        device.gpu.emit(fault)
        device.sched.slice_began = -TICK
        device.sched._tick()

    kernel.call(fault_then_tick)
    (bystander,) = [group for group in device.sched.slots if group]
    assert bystander is not faulty and bystander.vm.space == fault.address_space
    kernel.run(until_time=kernel.now() + MS)
    assert (bool(faulty.fatal_queues), bystander.fatal_queues) == (True, 0)
    assert "at VA 0x0000000000001234" in faulty.reports[0]
    assert bystander.reports == []


def test_a_late_fault_ends_a_group_that_waits_for_a_slot(
    device: PanthorDevice, kernel: Kernel
) -> None:
    clients = [Store(device, f"client{n}") for n in range(9)]
    done = []
    for client in clients:
        done.append(client.syncobj())
        client.run(*client.loop(), signals=[done[-1]])
    kernel.run(until_time=kernel.now() + MS)
    waiting = next(group for groups in device.sched.runnable for group in groups)
    fault = QueueFault(0, 0, True, ExceptionCode.CS_INVALID_INSTRUCTION, 0, "")
    kernel.call(device.sched.event, fault, waiting, 0)
    kernel.run(until_time=kernel.now() + MS)
    assert not any(waiting in groups for groups in device.sched.runnable)
    (client, point) = next(
        pair for pair in zip(clients, done, strict=True) if pair[0].process.pid == waiting.pid
    )
    client.wait(point, timeout=MS)
