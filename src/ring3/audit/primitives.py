"""Primitives that shape facts: sleeping locks, guards and memalloc scopes, by name.

Read off include/linux/{mutex,rwsem,percpu-rwsem,semaphore,cleanup,sched/mm}.h of Linux 6.1, 6.12 and 7.2.
"""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """Names separated by blanks, for tables that are lists of names."""
    return tuple(text.split())


#: Blocking lock primitive -> (index of the lock argument, "w" exclusive or "r" shared).
#: Spinning locks are absent: nobody may sleep, hence enter direct reclaim, under them.
ACQUIRE: dict[str, tuple[int, str]] = {
    **{
        f"{name}{suffix}": (0, mode)
        for name, mode in (
            ("mutex_lock", "w"),
            ("down_read", "r"),
            ("down_write", "w"),
            ("rt_mutex_lock", "w"),
        )
        for suffix in (
            "",
            "_nested",
            "_interruptible",
            "_killable",
            "_nest_lock",
            "_io",
            "_killable_nested",
            "_interruptible_nested",
            "_non_owner",
        )
    },
    "down": (0, "w"),
    "down_interruptible": (0, "w"),
    "down_killable": (0, "w"),
    "percpu_down_read": (0, "r"),
    "percpu_down_write": (0, "w"),
    "ww_mutex_lock": (0, "w"),
    "ww_mutex_lock_interruptible": (0, "w"),
    "rwsem_acquire": (0, "w"),
    "rwsem_acquire_read": (0, "r"),
    "mutex_acquire": (0, "w"),
    "lock_map_acquire": (0, "w"),
    "lock_map_acquire_read": (0, "r"),
    "fs_reclaim_acquire": (0, "w"),
    "blk_freeze_queue_start": (0, "w"),
    "blk_mq_quiesce_queue_nowait": (0, "w"),
    "blk_mq_quiesce_tagset": (0, "w"),
    "mddev_suspend": (0, "w"),
    "dma_fence_begin_signalling": (0, "r"),
    "btrfs_lockdep_acquire": (1, "r"),
    "btrfs_trans_state_lockdep_acquire": (1, "r"),
}

RELEASE: dict[str, int] = {
    **dict.fromkeys(
        words(
            "mutex_unlock up_read up_write up percpu_up_read percpu_up_write rt_mutex_unlock "
            "ww_mutex_unlock up_read_non_owner rwsem_release mutex_release lock_map_release "
            "fs_reclaim_release __blk_mq_unfreeze_queue mddev_resume dma_fence_end_signalling "
            "blk_mq_unquiesce_queue blk_mq_unquiesce_tagset"
        ),
        0,
    ),
    **dict.fromkeys(words("btrfs_lockdep_release btrfs_trans_state_lockdep_release"), 1),
}

#: Assigned, not called: a transaction of the current task begins, or, with NULL, ends.
JOURNAL_INFO = "current->journal_info"

#: Waits that stand for a lock whatever their argument is called: a frozen queue is held by who froze it,
#: and every bio waits for it.  Taken and given back by the primitives named.
CLASSED: dict[str, str] = {
    # Set while a transaction is open: another filesystem's eviction takes it for a handle of its own.
    JOURNAL_INFO: "task_struct.journal_info",
    **dict.fromkeys(words("fs_reclaim_acquire fs_reclaim_release"), "fs_reclaim"),
    **dict.fromkeys(
        words("blk_freeze_queue_start __blk_mq_unfreeze_queue"), "request_queue.q_usage_counter"
    ),
    **dict.fromkeys(
        words(
            "blk_mq_quiesce_queue_nowait blk_mq_quiesce_tagset blk_mq_unquiesce_queue "
            "blk_mq_unquiesce_tagset"
        ),
        "request_queue.quiesce_depth",
    ),
    **dict.fromkeys(words("mddev_suspend mddev_resume"), "mddev.suspended"),
    **dict.fromkeys(words("dma_fence_begin_signalling dma_fence_end_signalling"), "dma_fence"),
    **dict.fromkeys(
        words(
            "btrfs_lockdep_acquire btrfs_lockdep_release btrfs_might_wait_for_event "
            "btrfs_trans_state_lockdep_acquire btrfs_trans_state_lockdep_release "
            "btrfs_might_wait_for_state"
        ),
        "btrfs_fs_info.{}",
    ),
}

#: What says that a lock may be taken here, without taking it: lockdep's own notes.
MIGHT: dict[str, tuple[int, str]] = {
    "might_lock": (0, "w"),
    "might_lock_nested": (0, "w"),
    "might_lock_read": (0, "r"),
    "btrfs_might_wait_for_event": (1, "w"),
    "btrfs_might_wait_for_state": (1, "w"),
}

#: Names that take a lock only if nobody has it, under the name of the lock they take when they succeed.
TRYLOCK: dict[str, tuple[int, str]] = dict.fromkeys(
    words(
        "mutex_trylock down_read_trylock down_write_trylock down_trylock rt_mutex_trylock "
        "percpu_down_read_trylock ww_mutex_trylock mutex_trylock_recursive"
    ),
    (0, "w"),
)

#: guard(KIND)(lock), scoped_guard(KIND, lock): KIND -> mode; released at the end of the block.
GUARD: dict[str, str] = {
    "mutex": "w",
    "mutex_intr": "w",
    "mutex_kill": "w",
    "rwsem_read": "r",
    "rwsem_write": "w",
    "rwsem_read_intr": "r",
    "rwsem_write_kill": "w",
    "percpu_read": "r",
    "percpu_write": "w",
}
LOCK_CLEANUP = frozenset({"scoped_guard", "scoped_cond_guard", "guard"})

#: memalloc scopes: begin -> GFP bits that allocations lose; end.
SCOPE_BEGIN: dict[str, tuple[str, ...]] = {
    "memalloc_nofs_save": ("__GFP_FS",),
    "memalloc_noio_save": ("__GFP_IO", "__GFP_FS"),
    "memalloc_noreclaim_save": ("PF_MEMALLOC",),
}
SCOPE_END = frozenset(
    {"memalloc_nofs_restore", "memalloc_noio_restore", "memalloc_noreclaim_restore"}
)
#: scope guards (6.12 and later): guard(memalloc_nofs)().
SCOPE_GUARD: dict[str, tuple[str, ...]] = {
    "memalloc_nofs": ("__GFP_FS",),
    "memalloc_noio": ("__GFP_IO", "__GFP_FS"),
}
