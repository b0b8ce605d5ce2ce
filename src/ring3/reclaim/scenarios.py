"""What happens to a machine: which filesystem holds which inodes, and who asks for memory.

A scenario is data; :func:`start` brings it about in a :class:`World`.  The first ones are the talk's
reports; the larger ones, WORKLOADS, are what `ring3 reclaim compare` measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ring3.errors import Unsupported, one_of
from ring3.fs.block import FAULTS, BlockDevice
from ring3.fs.dcache import d_alloc, d_delete, d_lookup, dput
from ring3.fs.eviction import Eviction
from ring3.fs.ext4 import EXT4
from ring3.fs.f2fs import F2FS
from ring3.fs.fat import FAT
from ring3.fs.inode import Inode, iget, iput, mark_inode_dirty
from ring3.fs.jbd2 import jbd2_journal_start, jbd2_journal_stop
from ring3.fs.mapping import AddressSpace, get_folio
from ring3.fs.overlayfs import OVERLAYFS
from ring3.fs.super import Filesystem, SuperBlock
from ring3.fs.writeback import Flusher
from ring3.fs.xfs import XFS
from ring3.kernel.core import Kernel
from ring3.mm import gfp as G
from ring3.mm.costs import BLOCK_REQUEST, PAGE_FAULT
from ring3.mm.oom import reap
from ring3.mm.page_alloc import alloc_pages
from ring3.mm.slab import PAGE_SIZE, Cache
from ring3.mm.vmscan import start_kswapd
from ring3.mm.zone import Memory

FILESYSTEMS: dict[str, Filesystem] = {fs.name: fs for fs in (FAT, EXT4, XFS, F2FS)}


@dataclass(frozen=True)
class Scenario:
    """``inodes`` of ``fs`` lie unused in the caches, all in ``state``; then memory gets short.

    ``state``: "clean"; "linked": linked, but eviction means work (a preallocation, ...); "unlinked": the
    last name is gone and only an unused dentry holds them, as behind overlayfs or NFS handles.
    ``overlay``: an overlayfs on top holds those dentries.  ``pages`` is the machine's memory, ``marks``
    are min, low and high; all but ``headroom`` pages above low is taken beforehand.  ``allocators``
    tasks take ``allocate`` pages each and keep them for ``hold`` ms; ``users`` tasks do ``operations``
    operations on files each.  ``own_page``: an inode takes a whole page, so that each eviction
    frees memory; inode numbers are ``stride`` apart: 16 puts each into a group and a block of the
    table of its own.  ``lookups``: a task looks inodes up inside a transaction while another asks for a
    commit (ext4 only): "wait" for those being freed, or "nowait".  ``text`` pages of running programs lie
    on the page lists, always in use: reclaim has to look at them all before it gives up.  ``before``
    names a change that the kernel has made since; such a scenario is searched only when it is asked
    for.  ``latency`` is that of the disk, in virtual ns.  ``fault``: what goes wrong with the disk once
    memory is short, a name of ring3.fs.block.FAULTS.
    """

    name: str
    title: str
    fs: str
    state: str = "linked"
    overlay: bool = False
    kswapd: bool = False
    inodes: int = 2
    pages: int = 40
    marks: tuple[int, int, int] = (4, 5, 6)
    headroom: int = 1
    allocators: int = 1
    allocate: int = 4
    users: int = 0
    operations: int = 0
    flusher: bool = False
    latency: int = BLOCK_REQUEST
    own_page: bool = True
    stride: int = 1
    lookups: str = ""
    before: str = ""
    hold: int = 0
    text: int = 0
    fault: str = ""


class World:
    """A scenario under way: the kernel and everything in it.  ``done`` counts finished operations.

    ``costs``: work takes virtual time, too, and not only sleep and I/O.
    """

    def __init__(
        self, scenario: Scenario, eviction: Eviction, kernel: Kernel, *, costs: bool = False
    ) -> None:
        self.scenario = scenario
        self.eviction = eviction
        self.kernel = kernel
        self.mm = Memory(kernel, [("Normal", scenario.pages)], marks=[scenario.marks], costs=costs)
        self.bdev = BlockDevice(kernel, self.mm, latency=scenario.latency)
        self.supers: list[SuperBlock] = []
        self.done = 0
        self.held_back = 0
        self.end = 0  # when the last task was done, in virtual ns
        self.taken = 0

    def mount(self, fs: Filesystem) -> SuperBlock:
        """Mount ``fs`` with the policy under study."""
        cache = Cache(fs.inode_cache.name, PAGE_SIZE) if self.scenario.own_page else None
        sb = SuperBlock(self.mm, fs, self.bdev, eviction=self.eviction, inode_cache=cache)
        self.supers.append(sb)
        return sb


def start(world: World) -> None:
    """Bring the caches into the scenario's state and make its tasks ready to run.

    Raises WouldDeadlock when a policy leaves too little memory even for that.
    """
    scenario, kernel = world.scenario, world.kernel
    sb = world.mount(FILESYSTEMS[scenario.fs])
    top = world.mount(OVERLAYFS) if scenario.overlay else None
    kernel.call(_populate, world, sb, top)
    kernel.call(_run_programs, world)
    _take_memory(world)
    if scenario.fault:
        world.bdev.fault, world.bdev.requests = FAULTS[scenario.fault], 0
    if scenario.kswapd:
        start_kswapd(world.mm)
    if scenario.flusher:
        Flusher(world.mm, world.supers)
    for number in range(scenario.allocators):
        kernel.spawn(allocator, world, name=f"alloc{number}")
    for number in range(scenario.users):
        kernel.spawn(file_user, world, sb, number, name=f"user{number}")
    if scenario.lookups:
        kernel.spawn(look_up_in_transaction, world, sb, name="setxattr")
        kernel.spawn(sb.private.journal.request_commit, name="fsync")


def _populate(world: World, sb: SuperBlock, top: SuperBlock | None) -> None:
    """Bring the inodes into the caches, unused, in the scenario's state."""
    scenario = world.scenario
    for ino in range(0, scenario.inodes * scenario.stride, scenario.stride):
        inode = iget(sb, ino)
        assert inode is not None
        if scenario.state == "linked":
            make_unclean(inode)
        dentry = d_alloc(sb, str(ino), inode)
        assert dentry is not None
        if scenario.state == "unlinked":
            unlink(inode)
        if top is None:
            dput(dentry)
            continue
        upper = iget(top, ino)
        assert upper is not None
        # The overlay's inode holds the upper dentry; nobody can look that up any more.
        upper.private.upper = dentry
        if scenario.state == "unlinked":
            d_delete(dentry)
        over = d_alloc(top, str(ino), upper)
        assert over is not None
        dput(over)


def _run_programs(world: World) -> None:
    """The page cache of the programs that run."""
    text = AddressSpace(world.mm, "programs")
    for page in range(world.scenario.text):
        folio = get_folio(text, page, G.GFP_HIGHUSER | G.MOVABLE)
        assert folio is not None
        folio.pins += 1
        folio.uptodate = True


def _take_memory(world: World) -> None:
    """Leave ``headroom`` pages above the low watermark.  Nobody can be killed for these."""
    mm = world.mm
    zone = mm.zones[0]
    world.taken = max(0, zone.free - zone.low - world.scenario.headroom)
    zone.free -= world.taken


def make_unclean(inode: Inode) -> None:
    """Leave work for the eviction of ``inode``."""
    if inode.sb.fs.prepare is not None:
        inode.sb.fs.prepare(inode)


def unlink(inode: Inode) -> bool:
    """Take the last name away; False when the filesystem cannot."""
    if inode.sb.fs.unlink is not None and not inode.sb.fs.unlink(inode):
        return False
    inode.nlink = 0
    inode.sb.eviction.pending(inode)
    return True


def page_fault(mm: Memory) -> bool:
    """A page of anonymous memory for the running task; False when it was killed for it."""
    task = mm.kernel.current
    folio = alloc_pages(mm, G.GFP_HIGHUSER | G.MOVABLE)
    mm.costs.charge(PAGE_FAULT)
    mm.costs.settle()
    if folio is not None:
        mm.anonymous.setdefault(task, []).append(folio)
    return folio is not None and not task.signal_pending


def finish(world: World) -> None:
    """The running task ends: its memory comes free."""
    reap(world.mm, world.kernel.current)
    world.held_back = max(world.held_back, world.eviction.held_back())
    world.end = world.kernel.now()


def allocator(world: World) -> None:
    """Take memory, page by page, then end."""
    for _ in range(world.scenario.allocate):
        if not page_fault(world.mm):
            break
        world.done += 1
    if world.scenario.hold:
        world.kernel.msleep(world.scenario.hold)
    finish(world)


def look_up_in_transaction(world: World, sb: SuperBlock) -> None:
    """Get every cached inode, again and again, while holding a handle."""
    journal = sb.private.journal
    nowait = world.scenario.lookups == "nowait"
    if jbd2_journal_start(journal) is not None:
        for _ in range(8):
            for ino in list(sb.inodes):
                inode = iget(sb, ino, nowait=nowait) if ino in sb.inodes else None
                if inode is not None:
                    iput(inode)
        jbd2_journal_stop(journal)
    finish(world)


def file_user(world: World, sb: SuperBlock, number: int) -> None:
    """Open, read, write, close, now and then preallocate or unlink; and use some memory."""
    kernel, mm = world.kernel, world.mm
    task = kernel.current
    for turn in range(world.scenario.operations):
        if task.signal_pending:
            break
        ino = 100 + number * 1000 + turn
        if not use_file(sb, ino, turn) or (turn % 8 == 0 and not page_fault(mm)):
            break
        world.done += 1
        world.held_back = max(world.held_back, world.eviction.held_back())
    finish(world)


def use_file(sb: SuperBlock, ino: int, turn: int) -> bool:
    """One file's turn; False when memory could not be had."""
    dentry = d_lookup(sb, str(ino))
    if dentry is None:
        inode = iget(sb, ino)
        if inode is None:
            return False
        dentry = d_alloc(sb, str(ino), inode)
        if dentry is None:
            return False
    file = dentry.inode
    assert file is not None
    folio = get_folio(file.mapping, 0, G.GFP_HIGHUSER | G.MOVABLE)
    if folio is None:
        return False
    sb.mm.costs.charge(PAGE_FAULT)
    sb.mm.costs.settle()
    if turn % 4 == 1:
        file.mapping.dirty(folio)
        mark_inode_dirty(file)
    if turn % 3 == 1:
        make_unclean(file)
    if turn % 5 == 4 and unlink(file):
        d_delete(dentry)
    dput(dentry)
    return True


def with_fault(names: Sequence[str], fault: str) -> list[str]:
    """The scenarios called ``names``, each on a disk with ``fault``, if any, unless it has another."""
    return [name if "+" in name or not fault else f"{name}+{fault}" for name in names]


def with_programs(wanted: Scenario, pages: int) -> Scenario:
    """``wanted`` on a machine that is larger by ``pages`` of running programs."""
    return replace(wanted, text=wanted.text + pages, pages=wanted.pages + pages)


def _reports() -> list[Scenario]:
    """Each filesystem, entered by direct reclaim and by kswapd: where the talk's three reports lie."""
    found = []
    for fs, state in (
        ("fat", "linked"),
        ("fat", "unlinked"),
        ("ext4", "linked"),
        ("ext4", "unlinked"),
        ("xfs", "linked"),
        ("xfs", "unlinked"),
        ("f2fs", "linked"),
        ("f2fs", "unlinked"),
    ):
        for entry in ("direct", "kswapd"):
            found.append(
                Scenario(
                    f"{fs}-{state}-{entry}",
                    f"{state} {fs} inodes, evicted by {entry} reclaim",
                    fs,
                    state=state,
                    kswapd=entry == "kswapd",
                    marks=(4, 8, 12) if entry == "kswapd" else (4, 5, 6),
                    hold=50 if entry == "kswapd" else 0,
                )
            )
    for fs, state in (
        ("fat", "linked"),
        ("ext4", "linked"),
        ("ext4", "unlinked"),
        ("xfs", "linked"),
    ):
        found.append(
            Scenario(
                f"{fs}-{state}-drain",
                f"every {state} {fs} inode needs pages of its own: one pass empties the reserves",
                fs,
                state=state,
                inodes=12,
                stride=16,
                pages=60,
            )
        )
    # ext4 looks the inodes of extended attributes up inside a transaction.  It once waited there for those
    # being freed; since EXT4_IGET_NOWAIT (7.2; also in late 6.1 and 6.12) it does not.
    for lookups, name, how in (
        ("wait", "transaction", "waiting for those being freed, as ext4 once did"),
        ("nowait", "nowait", "passing over those being freed, as ext4 7.2 does"),
    ):
        found.append(
            Scenario(
                f"ext4-unlinked-{name}",
                f"removed ext4 inodes are evicted while a transaction looks them up, {how}",
                "ext4",
                state="unlinked",
                lookups=lookups,
                before="EXT4_IGET_NOWAIT" if lookups == "wait" else "",
            )
        )
    found.append(
        Scenario(
            "overlay-ext4-kswapd",
            "removed ext4 files behind overlayfs, evicted by kswapd (6.12, a real workload)",
            "ext4",
            state="unlinked",
            overlay=True,
            kswapd=True,
            marks=(4, 8, 12),
            hold=50,
        )
    )
    return found


#: Small scenarios, for exploration: name -> scenario.
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _reports()}

#: Those of the kernel as it is.
CURRENT = tuple(name for name, scenario in SCENARIOS.items() if not scenario.before)

#: The talk's three reports, in its order: two by fuzzing, one from a real workload.
REPORTS = ("fat-linked-direct", "ext4-unlinked-direct", "overlay-ext4-kswapd")


def scenario(name: str) -> Scenario:
    """The scenario called ``name``, or ``SCENARIO+FAULT``: on a disk with that fault.

    Raises Unsupported with the names there are.
    """
    every = {**SCENARIOS, **WORKLOADS}
    plain, plus, fault = name.partition("+")
    wanted = every.get(plain)
    if wanted is None:
        raise Unsupported(f"no scenario {plain[:40]!r}", remedy=one_of(plain, every))
    if plus and fault not in FAULTS:
        raise Unsupported(f"no fault {fault[:40]!r}", remedy=one_of(fault, FAULTS))
    return replace(wanted, name=name, fault=fault) if fault else wanted


def _workloads() -> list[Scenario]:
    return [
        Scenario(
            f"{fs}-{kind}",
            title,
            fs,
            state="linked" if kind == "churn" else "clean",
            inodes=24,
            pages=192,
            marks=(8, 10, 12),
            headroom=40,
            allocators=1 if kind == "churn" else 3,
            allocate=30 if kind == "churn" else 16,
            users=3,
            operations=80,
            kswapd=True,
            flusher=True,
        )
        for fs in FILESYSTEMS
        for kind, title in (
            ("churn", f"three tasks work on more {fs} files than fit, one takes memory"),
            ("burst", f"three tasks take memory at once while three work on {fs} files"),
        )
    ]


#: What `compare` measures: name -> scenario.
WORKLOADS: dict[str, Scenario] = {scenario.name: scenario for scenario in _workloads()}
