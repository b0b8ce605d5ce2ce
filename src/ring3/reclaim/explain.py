"""What a kernel report says about reclaim: walked from the bottom of the stack to the top.

Which function plays which part is data (the tables below); the walk is one loop over it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field

from ring3.errors import BadInput
from ring3.mm import gfp as G
from ring3.reclaim.scenarios import FILESYSTEMS, SCENARIOS
from ring3.reclaim.splats import Splat, SplatFrame


@dataclass(frozen=True)
class Step:
    """One step of the way: what part of it, which function (and where), what that means."""

    part: str
    function: str
    place: str
    meaning: str


@dataclass
class Explanation:
    """``entry`` is "direct", "kswapd", "memcg", "drop_caches" or "" when no reclaim is on the stack.

    ``flags`` is the mask of the innermost allocation, ``inferred`` whether it was printed or follows from
    the functions on the stack.  ``scenario`` is a name of ring3.reclaim.scenarios, or "" and
    ``unmodelled`` says why there is none.
    """

    kind: str
    headline: str
    task: str
    steps: list[Step]
    entry: str = ""
    shrinker: str = ""
    filesystem: str = ""
    eviction: str = ""
    allocation: str = ""
    flags: int | None = None
    inferred: bool = False
    scenario: str = ""
    unmodelled: str = ""
    verdict: list[str] = field(default_factory=list)


#: part, pattern of the whole function name, meaning; the first that fits counts.  {1} is the group.
_PARTS: tuple[tuple[str, str, str], ...] = (
    ("entry", r"kswapd", "the background reclaimer's thread"),
    ("entry", r"(?:__x64|__ia32|__arm64|__se)_sys_(\w+)", "the system call {1}"),
    ("entry", r"(?:asm_)?exc_page_fault|do_user_addr_fault|do_page_fault", "a page fault"),
    ("entry", r"worker_thread", "a workqueue's worker"),
    ("reclaim:kswapd", r"balance_pgdat", "background reclaim, under PF_MEMALLOC"),
    (
        "reclaim:direct",
        r"try_to_free_pages|__perform_reclaim|__alloc_pages_direct_reclaim|do_try_to_free_pages",
        "direct reclaim inside an allocation, under PF_MEMALLOC",
    ),
    ("reclaim:memcg", r"try_to_free_mem_cgroup_pages|reclaim_high", "reclaim for a memory cgroup"),
    ("reclaim:drop_caches", r"drop_slab|drop_caches_sysctl_handler", "dropping caches by hand"),
    (
        "shrinker",
        r"(super_cache_scan|prune_super|\w+_(?:shrink_scan|scan_objects|shrinker_scan))",
        "a shrinker",
    ),
    ("route", r"prune_icache_sb", "inodes from the LRU: linked, or nobody's"),
    ("route", r"prune_dcache_sb|shrink_dcache_sb", "unused dentries; their inodes go with them"),
    ("route", r"xfs_reclaim_inodes_nr|free_cached_objects", "the filesystem's own cached objects"),
    (
        "stacked",
        r"ovl_(?:destroy_inode|inode_release|dentry_release)",
        "overlayfs lets go of a file",
    ),
    ("unlinked", r"iput|iput_final", "an inode loses its last user"),
    ("evict", r"evict", "an inode is taken out of memory"),
    ("eviction", r"(\w+?)_(?:evict_inode|delete_inode)", "the inode of {1} is evicted"),
    ("need", r"fat(?:12)?_ent_bread|fat_ent_read", "a block of the file allocation table"),
    ("need", r"__fat_write_inode", "the block with the directory entry"),
    ("need", r"ext4_mb_load_buddy(?:_gfp)?", "the buddy map of a block group"),
    ("need", r"ext4_read_inode_bitmap", "the inode bitmap of a group"),
    ("need", r"ext4_read_block_bitmap\w*", "the block bitmap of a group"),
    ("need", r"ext4_es_remove_extent|__es_remove_extent", "an entry of the extent status tree"),
    ("need", r"ext4_ext_(?:remove_space|truncate)|read_extent_tree_block", "extent blocks"),
    ("need", r"jbd2__?journal_start|start_this_handle", "a transaction of the journal"),
    ("need", r"(?:f2fs_add|__add)_ino_entry", "an entry that outlives the inode"),
    ("need", r"f2fs_truncate\w*|f2fs_get_node_(?:page|folio)", "node blocks"),
    ("need", r"btrfs_(?:start|join)_transaction\w*", "a btrfs transaction"),
    (
        "block",
        r"sb_bread|__bread_gfp|sb_getblk|bdev_getblk|__getblk_gfp",
        "through the buffer cache",
    ),
    (
        "allocation",
        r"(__filemap_get_folio\w*|filemap_alloc_folio|kmem_cache_alloc\w*|__kmalloc\w*|kvmalloc\w*"
        r"|alloc_pages(?:_mpol)?|__alloc_pages|__alloc_frozen_pages|folio_alloc|alloc_slab_page|pagecache_get_page)",
        "memory is asked for",
    ),
    ("slow path", r"__alloc_pages_slowpath", "and not to be had without effort"),
)

#: What a function on the stack tells of the flags, when none are printed: the deepest known one counts.
_INFERRED: tuple[tuple[str, int], ...] = (
    (r"__es_alloc_extent|ext4_es_remove_extent|__es_remove_extent", G.GFP_KERNEL | G.NOFAIL),
    (
        r"sb_bread|__bread_gfp|bdev_getblk|sb_getblk|grow_dev_folio",
        G.GFP_NOFS | G.MOVABLE | G.NOFAIL,
    ),
    (r"ext4_mb_load_buddy_gfp|ext4_mb_load_buddy", G.GFP_NOFS | G.NOFAIL),
    (r"__add_ino_entry|f2fs_add_ino_entry", G.GFP_NOFS | G.NOFAIL),
    (r"jbd2__?journal_start|start_this_handle", G.GFP_NOFS | G.NOFAIL),
)

_JOURNAL = r"start_this_handle|jbd2_log_wait_commit|add_transaction_credits"
_IO = (
    r"folio_wait_bit\w*|io_schedule\w*|bit_wait_io|__wait_on_buffer|__bread_slow"
    r"|xfs_buf_submit\w*|xfs_buf_iowait|submit_bio_wait|rq_qos_wait|wbt_wait"
)
#: What a hung task waits for, the most telling function first.
_WAITS: tuple[tuple[str, str], ...] = (
    (r"__wait_on_freeing_inode|find_inode(?:_fast)?", "an inode that is being evicted"),
    (_JOURNAL, "the journal to commit"),
    (r"throttle_direct_reclaim", "kswapd, which is to refill the reserves"),
    (r"mempool_alloc", "an element of a mempool"),
    (r"__mutex_lock|mutex_lock", "a mutex"),
    (r"rwsem_down_(?:read|write)_slowpath|down_read|down_write", "a semaphore"),
    (_IO, "I/O"),
    (r"flush_work|__flush_work|flush_workqueue|__flush_workqueue", "a workqueue"),
    (r"wait_for_completion\w*|__wait_for_common", "a completion"),
    (r"schedule_timeout|msleep", "time to pass"),
)

_FILESYSTEMS = {
    "msdos": "fat",
    "vfat": "fat",
    "fat": "fat",
    "ext4": "ext4",
    "xfs": "xfs",
    "xfs_fs": "xfs",
    "f2fs": "f2fs",
}
_UNLINKED = re.compile(
    r"ext4_free_inode|ext4_truncate|ext4_orphan_del|f2fs_truncate|(?:__)?ext4_journal_start\w*"
)
#: The allocator's own functions, and lockdep's that it calls.
_ALLOCATOR = re.compile(
    r"(?:__)?lock_acquire|_{0,2}fs_reclaim_acquire|might_alloc|slab_\w+|__do_kmalloc\w*|kmem_cache_\w+"
    r"|__?k\w*alloc\w*|kv\w*alloc\w*|__alloc_\w+|alloc_pages\w*|folio_alloc\w*|prepare_alloc_pages\w*"
    r"|new_slab|_{2,3}slab_alloc"
)


def explain(splat: Splat) -> Explanation:
    """Walk ``splat`` bottom to top and say what it shows."""
    answer = Explanation(splat.kind, splat.headline, splat.task, [])
    frames = _stack(splat)
    for frame in reversed(frames):
        _take(answer, frame)
    names = [frame.function for frame in frames]
    _flags(answer, splat, names)
    try:
        answer.scenario = _scenario(answer, names)
    except _Unmodelled as reason:
        answer.unmodelled = str(reason)
    _judge(answer, splat, names)
    return answer


def _stack(splat: Splat) -> list[SplatFrame]:
    """The stack to walk: the report's own, or of a lockdep report the one in its chain that reclaims."""
    stacks = [splat.frames, *(frames for _, frames in splat.chain)]
    for frames in stacks:
        if any(
            part.startswith(("reclaim", "shrinker")) and re.fullmatch(pattern, frame.function)
            for frame in frames
            for part, pattern, _ in _PARTS
        ):
            return frames
    return splat.frames


def _take(answer: Explanation, frame: SplatFrame) -> None:
    """Add the step that ``frame`` is, if it plays a part."""
    for part, pattern, meaning in _PARTS:
        hit = re.fullmatch(pattern, frame.function)
        if hit is None:
            continue
        group = hit[1] if hit.re.groups else frame.function
        text = meaning.replace("{1}", group)
        if part.startswith("reclaim:"):
            if not answer.entry:
                answer.entry = part.partition(":")[2]
            part = "reclaim"
        elif part == "shrinker":
            answer.shrinker = frame.function
        elif part == "eviction":
            answer.eviction = frame.function
            answer.filesystem = _FILESYSTEMS.get(group, group)
        elif part == "allocation":
            if answer.steps and answer.steps[-1].part == "allocation":
                return
            if answer.eviction or not answer.entry:
                answer.allocation = frame.function
        elif part == "unlinked" and not answer.shrinker:
            return
        if answer.steps and answer.steps[-1].part == part and answer.steps[-1].meaning == text:
            return
        answer.steps.append(Step(part, frame.function, frame.place, text))
        return


def _flags(answer: Explanation, splat: Splat, names: list[str]) -> None:
    if splat.mode:
        if "(" not in splat.mode:
            answer.verdict.append(
                f"The mask {splat.mode} is printed without names, as before Linux 4.6: its bits were others."
            )
            return
        with suppress(BadInput):
            answer.flags = G.parse_gfp(splat.mode)
        return
    if not (answer.eviction and answer.allocation):
        return
    for name in names:  # innermost first
        for pattern, mask in _INFERRED:
            if re.fullmatch(pattern, name):
                answer.flags, answer.inferred = mask, True
                return


class _Unmodelled(Exception):
    """Why no scenario shows what a report shows."""


def _scenario(answer: Explanation, names: list[str]) -> str:
    """The scenario in which the model, as today, shows the same."""
    entry = {"kswapd": "kswapd", "direct": "direct", "memcg": "direct"}.get(answer.entry, "")
    fs = answer.filesystem
    if not entry or not answer.eviction:
        raise _Unmodelled("no inode of a known filesystem is evicted inside reclaim here")
    if fs not in FILESYSTEMS:
        raise _Unmodelled(f"{fs} is not modelled, only {', '.join(FILESYSTEMS)} are")
    if answer.kind == "lockdep":
        raise _Unmodelled("the allocation under that lock, elsewhere, is not modelled")
    gone = "prune_dcache_sb" in names or any(_UNLINKED.fullmatch(name) for name in names)
    name = f"{fs}-{'unlinked' if gone else 'linked'}-{entry}"
    if answer.kind == "hung task":
        if any(re.fullmatch(_JOURNAL, name) for name in names) and (fs, entry) == (
            "ext4",
            "direct",
        ):
            return "ext4-unlinked-transaction"
        if not any(re.fullmatch(_IO, name) for name in names):
            raise _Unmodelled("nothing in it waits in an eviction for what is waited for here")
        name += "+lost"
    elif fs == "xfs":
        raise _Unmodelled("the model of xfs, as of Linux 7.2, evicts without any allocation")
    stacked = f"overlay-{name.replace('-unlinked', '')}"
    if any(each.startswith("ovl_") for each in names) and stacked.partition("+")[0] in SCENARIOS:
        return stacked
    return name


def _judge(answer: Explanation, splat: Splat, names: list[str]) -> None:
    """The sentences at the end."""
    say = answer.verdict.append
    if splat.kind == "lockdep":
        _judge_locks(answer, splat)
    if splat.kind == "hung task":
        waits = [
            (order, text, name)
            for name in names
            for order, (pattern, text) in enumerate(_WAITS)
            if re.fullmatch(pattern, name)
        ]
        if waits:
            _, text, name = min(waits)
            say(f"The task waits for {text} ({name}).")
    if not answer.entry:
        if re.match(r"kswapd\d", answer.task):
            say("The task is the background reclaimer; what it reclaims is not on this stack.")
        elif splat.kind != "lockdep":
            say("No reclaim is on this stack.")
        return
    if answer.entry == "drop_caches":
        say(
            "Dropping caches by hand does not run under PF_MEMALLOC: allocations there may reclaim."
        )
        return
    if answer.eviction and answer.allocation and answer.flags is not None:
        mask = G.format_gfp(answer.flags)
        source = "as the functions on the stack ask for" if answer.inferred else "as printed"
        say(f"Eviction inside reclaim asks for memory with {mask} ({source}).")
        if answer.flags & G.NOFAIL:
            say(
                "Under PF_MEMALLOC it cannot reclaim, and with __GFP_NOFAIL it may not give up: it takes"
                " from the reserves, and loops when those are gone. The WARN is not yet the deadlock."
            )
        elif splat.kind == "warn":
            say(
                "Without __GFP_NOFAIL it may fail; whether eviction copes is the filesystem's affair."
            )
    elif answer.eviction and splat.kind != "lockdep":
        say("Eviction inside reclaim is on the stack, but no allocation of it is.")
    elif not answer.eviction and "evict" in names:
        say("An inode is evicted inside reclaim, by functions that are not known here.")
    elif not answer.eviction:
        say("Reclaim is on the stack, but no inode is evicted.")


def _judge_locks(answer: Explanation, splat: Splat) -> None:
    say = answer.verdict.append
    say(f"Wanted: {splat.wanted or '?'}. Held: {splat.held or '?'}.")
    locks = [lock for lock, _ in splat.chain]
    involved = {splat.wanted, splat.held, *locks}
    if "fs_reclaim" not in involved:
        say("Memory reclaim (fs_reclaim) is not part of this cycle.")
        return
    others = [lock for lock in (splat.wanted, *locks) if lock and lock != "fs_reclaim"]
    if others:
        say(
            f"{others[0]} is taken inside reclaim, and elsewhere an allocation that may enter reclaim"
            " is made while it, or a lock behind it, is held."
        )
    for lock, frames in splat.chain:
        if lock != "fs_reclaim":
            continue
        caller = _asks_for_memory(frames)
        if caller:
            say(f"That allocation is made by {caller}.")


def _asks_for_memory(frames: list[SplatFrame]) -> str:
    """Who called the allocator on this stack: the first frame outside of mm."""
    names = (frame.function for frame in frames)
    return next((name for name in names if not _ALLOCATOR.fullmatch(name)), "")


def text(answer: Explanation) -> str:
    """The explanation for a reader: the walk, then what follows."""
    lines = [answer.headline, ""]
    if answer.task:
        lines.append(f"task: {answer.task}")
    if answer.steps:
        lines += ["bottom to top:"]
        width = max(len(step.function) for step in answer.steps)
        for step in answer.steps:
            place = f"  {step.place}" if step.place else ""
            lines.append(f"  {step.part:10}  {step.function:{width}}  {step.meaning}{place}")
        lines.append("")
    if answer.flags is not None:
        note = ", inferred" if answer.inferred else ""
        lines.append(f"flags: {answer.flags:#x} ({G.format_gfp(answer.flags)}{note})")
    lines += answer.verdict
    if answer.scenario:
        lines.append(f"In the model: ring3 reclaim explore as-today --scenario {answer.scenario}")
    elif answer.entry or answer.kind == "lockdep":
        lines.append(f"In the model: no scenario; {answer.unmodelled}.")
    return "\n".join(lines)
