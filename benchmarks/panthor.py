"""The GPU driver stack's speed: submit to fence, and queued jobs a second.

    PYTHONPATH=src python benchmarks/panthor.py

The bars: an empty job's median from submit to fence under 200 us; 10,000 queued jobs with dependencies at
20,000 jobs a second or more.  The peer is asyncio, which does the same bookkeeping (a future a job, each
waiting for the one before) without a kernel, locks, fences or hardware.  Beside the wall clock's figures
stand those of processor time: on a machine with other work the wall clock shows the others' share, too.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

from ring3.dma_buf.fence import DmaFence
from ring3.drm.sched import Entity, GpuScheduler, Job, Priority, TimeoutStatus
from ring3.kernel import Kernel
from ring3.panthor import uapi
from ring3.panthor.device import PanthorDevice
from ring3.umd.client import signal_op
from ring3.umd.context import Commands, Context

ROUNDS = 500
JOBS = 10_000


class Instant:
    """Hardware that is done before it is asked."""

    def prepare_job(self, job: Job, entity: Entity) -> DmaFence | None:
        return None

    def run_job(self, job: Job) -> None:
        return None

    def timedout_job(self, job: Job) -> TimeoutStatus:
        return TimeoutStatus.RESET

    def free_job(self, job: Job) -> None:
        pass

    def cancel_job(self, job: Job) -> None:
        pass


def queued_jobs() -> tuple[float, float]:
    """Jobs a second, by the wall clock and by processor time.

    Four entities; each job depends on the one before, which is another entity's.
    """
    kernel = Kernel()
    sched = GpuScheduler(kernel, Instant(), name="bench", credit_limit=64)
    entities = [Entity(Priority.NORMAL, [sched]) for _ in range(4)]

    def body() -> None:
        last: DmaFence | None = None
        for number in range(JOBS):
            job = Job(entities[number % 4])
            job.add_dependency(last)
            job.arm()
            job.push()
            last = job.finished
        assert last is not None
        assert last.wait()

    began, worked = time.perf_counter(), time.process_time()
    kernel.call(body)
    spent, work = time.perf_counter() - began, time.process_time() - worked
    kernel.close()
    return JOBS / spent, JOBS / work


def asyncio_jobs() -> float:
    """The peer: as many tasks, each awaiting the one before."""

    async def body() -> None:
        async def job(before: asyncio.Task[None] | None) -> None:
            if before is not None:
                await before

        last: asyncio.Task[None] | None = None
        for _ in range(JOBS):
            last = asyncio.create_task(job(last))
        assert last is not None
        await last

    began = time.perf_counter()
    asyncio.run(body())
    return JOBS / (time.perf_counter() - began)


def submit_to_fence(context: Context, submit: Callable[[int], None]) -> tuple[float, float]:
    """Microseconds from GROUP_SUBMIT to the return of SYNCOBJ_WAIT: the median, and the processor time of
    one."""
    times = []

    def body() -> None:
        done = context.syncobj()
        for _ in range(ROUNDS):
            began = time.perf_counter_ns()
            submit(done)
            context.wait(done)
            times.append(time.perf_counter_ns() - began)

    worked = time.process_time()
    context.kernel.call(body)
    worked = time.process_time() - worked
    return statistics.median(times) / 1000, worked / ROUNDS * 1e6


def asyncio_wake() -> float:
    """The peer: median microseconds for a future set by another task."""

    async def body() -> list[int]:
        times = []
        loop = asyncio.get_running_loop()
        for _ in range(ROUNDS):
            began = time.perf_counter_ns()
            future = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future
            times.append(time.perf_counter_ns() - began)
        return times

    return statistics.median(asyncio.run(body())) / 1000


def main() -> None:
    kernel = Kernel(clock="real")
    context = Context(PanthorDevice(kernel))

    def empty(done: int) -> None:
        syncs = context.array([signal_op(done)])
        context.submit(context.group, [uapi.QueueSubmit(syncs=syncs)])

    stream = context.streams.write(0, Commands().emit("NOP").pack())

    def one_instruction(done: int) -> None:
        syncs = context.array([signal_op(done)])
        submit = uapi.QueueSubmit(stream_addr=stream, stream_size=8, syncs=syncs)
        context.submit(context.group, [submit])

    peer = asyncio_wake()
    for name, submit in (("no stream", empty), ("a stream of one NOP", one_instruction)):
        median, work = submit_to_fence(context, submit)
        print(
            f"submit to fence, {name:20} {median:8.1f} us median, {work:.1f} us of processor time  "
            f"({median / peer:.1f} x asyncio)"
        )
    kernel.close()
    rounds = [queued_jobs() for _ in range(3)]
    ours, work = (max(column) for column in zip(*rounds, strict=True))
    theirs = max(asyncio_jobs() for _ in range(3))
    print(
        f"queued dependent jobs             {ours:8.0f} a second, {work:.0f} by processor time  "
        f"({ours / theirs:.2f} x asyncio)"
    )


if __name__ == "__main__":
    main()
