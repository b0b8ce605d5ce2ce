"""Running a scenario under a policy, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from ring3.fs.eviction import Eviction
from ring3.fs.inode import I_DIRTY, Inode
from ring3.fs.super import super_cache_scan
from ring3.kernel.core import Kernel
from ring3.kernel.report import Warn, WouldDeadlock
from ring3.kernel.task import PF_KSWAPD, PF_KTHREAD, PF_MEMALLOC, Task
from ring3.mm import gfp as G
from ring3.mm.oom import OutOfMemory
from ring3.mm.shrinker import ShrinkControl
from ring3.reclaim.scenarios import Scenario, World, start

#: What can go wrong in a run, the worst first.
KINDS = ("deadlock", "livelock", "panic", "leak", "warn", "oom")
LIMIT = 20_000_000_000  # virtual ns after which what still runs counts as a livelock


@dataclass(frozen=True)
class Figures:
    """What one run showed, small enough to send between processes.  Times are virtual ns, memory is pages.

    ``deadlock`` and ``livelock`` say who waits for what, or are empty.  Deadlock: somebody sleeps for ever,
    or waits under PF_MEMALLOC for memory, where it cannot reclaim any.  Livelock: an allocation
    reclaims again and again and nothing comes of it.  A WARN by itself is neither; ``warned`` counts them.
    """

    scenario: str
    policy: str
    warned: int
    deadlock: str
    livelock: str
    panic: str
    oom_kills: int
    leaked: int
    operations: int
    time: int
    latencies: tuple[int, ...] = field(repr=False)
    held_back: int
    io_errors: int

    @property
    def kinds(self) -> list[str]:
        """What went wrong: of KINDS, the worst first."""
        shown: dict[str, str | int] = {
            "deadlock": self.deadlock,
            "livelock": self.livelock,
            "panic": self.panic,
            "leak": self.leaked,
            "warn": self.warned,
            "oom": self.oom_kills,
        }
        return [kind for kind in KINDS if shown[kind]]


@dataclass(frozen=True)
class Outcome(Figures):
    """What one run showed, with the WARNs and their stacks."""

    warns: tuple[Warn, ...] = field(repr=False)

    @property
    def figures(self) -> Figures:
        """Without the WARNs themselves."""
        return Figures(**{each.name: getattr(self, each.name) for each in fields(Figures)})

    @property
    def nofail_warns(self) -> tuple[Warn, ...]:
        """The WARNs of the talk: __GFP_NOFAIL under PF_MEMALLOC."""
        return tuple(warn for warn in self.warns if "PF_MEMALLOC" in warn.message)

    @property
    def failures(self) -> dict[str, str]:
        """Everything that went wrong: :attr:`kinds`, each with a sentence."""
        said = {
            "deadlock": self.deadlock,
            "livelock": self.livelock,
            "panic": self.panic,
            "leak": f"{self.leaked} inodes are never evicted",
            "warn": "".join(f"{warn.task}: {warn.message}" for warn in self.warns[:1]),
            "oom": f"{self.oom_kills} tasks killed",
        }
        return {kind: said[kind] for kind in self.kinds}


def run(
    scenario: Scenario, eviction: Eviction, kernel: Kernel | None = None, *, costs: bool = False
) -> Outcome:
    """Run ``scenario`` under ``eviction``, by default on a kernel that runs tasks in turn.

    ``costs``: work takes virtual time (ring3.mm.costs).
    """
    kernel = kernel or Kernel()
    world = World(scenario, eviction, kernel, costs=costs)
    try:
        try:
            start(world)
            kernel.run(until_time=LIMIT)
        except OutOfMemory as error:
            return judge(world, error.what)
        except WouldDeadlock:
            pass  # the setup itself: judged like any other end
        return judge(world)
    finally:
        kernel.close()


def judge(world: World, panic: str = "") -> Outcome:
    """What became of ``world``, whose kernel has stopped."""
    kernel, mm = world.kernel, world.mm
    stuck = [] if panic else kernel.stuck()
    for_memory = [task for task in stuck if task.waiting_on is mm.freed]
    spinning = [task for task in for_memory if not task.flags & PF_MEMALLOC]
    waits = _waits(stuck)
    running = [str(task) for task in kernel.runnable]
    dead = (bool(stuck) and len(spinning) < len(for_memory)) or bool(stuck and not for_memory)
    live = (bool(spinning) and not dead) or bool(running and not panic)
    warns, time = tuple(kernel.warnings), world.end
    return Outcome(
        scenario=world.scenario.name,
        policy=world.eviction.name,
        warned=len(warns),
        deadlock=waits if dead else "",
        livelock=(waits or f"still running: {', '.join(running)}") if live and not dead else "",
        panic=panic,
        oom_kills=mm.stats.oom_kills,
        leaked=0 if panic or stuck or kernel.stopped else len(leaked(world)),
        operations=world.done,
        time=time,
        latencies=tuple(mm.stats.latencies),
        held_back=max(world.held_back, world.eviction.held_back()),
        io_errors=world.bdev.errors,
        warns=warns,
    )


def leaked(world: World) -> list[Inode]:
    """Unused inodes that stay although memory is free again, the disk works, everything dirty is written, and
    background reclaim has been over every cache as often as it likes: only umount would evict them."""
    kernel = world.kernel
    world.bdev.fault = None
    world.mm.zones[0].free += world.taken
    world.taken = 0

    def background() -> None:
        kernel.current.flags |= PF_MEMALLOC | PF_KSWAPD | PF_KTHREAD
        for _ in range(6):
            for sb in world.supers:
                super_cache_scan(sb, ShrinkControl(G.GFP_KERNEL, 1 << 20))
            kernel.msleep(100)

    with kernel.unscheduled():
        kernel.call(background)
    return [
        inode
        for sb in world.supers
        for inode in sb.inodes.values()
        if inode.count == 0 and not inode.state & I_DIRTY and not inode.mapping.folios
    ]


def _waits(stuck: list[Task]) -> str:
    return "; ".join(
        f"{task} waits for {task.waiting_on!r}"
        f"{' under PF_MEMALLOC' if task.flags & PF_MEMALLOC else ''}"
        for task in stuck
    )


__all__ = ["KINDS", "Figures", "Outcome", "judge", "leaked", "run"]
