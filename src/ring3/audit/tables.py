"""What the audit knows of the kernel before it reads any source: declared once, as data.

Read off include/linux/{gfp_types,slab,mutex,rwsem,percpu-rwsem,sched/mm}.h of Linux 6.1, 6.12 and 7.2.
"""

from __future__ import annotations

from typing import NamedTuple

from ring3.audit.primitives import words

#: GFP bits when the tree has no gfp_types.h (an out-of-tree module); bit numbers are only our own.
GFP: dict[str, str] = {
    "__GFP_IO": "0x40",
    "__GFP_FS": "0x80",
    "__GFP_DIRECT_RECLAIM": "0x400",
    "__GFP_KSWAPD_RECLAIM": "0x800",
    "__GFP_NOWARN": "0x2000",
    "__GFP_RETRY_MAYFAIL": "0x4000",
    "__GFP_NOFAIL": "0x8000",
    "__GFP_NORETRY": "0x10000",
    "__GFP_MEMALLOC": "0x20000",
    "__GFP_NOMEMALLOC": "0x80000",
    "__GFP_HARDWALL": "0x100000",
    "__GFP_HIGHMEM": "0x02",
    "__GFP_HIGH": "0x20",
    "__GFP_ZERO": "0x100",
    "__GFP_COMP": "0x40000",
    "__GFP_MOVABLE": "0x08",
    "__GFP_RECLAIMABLE": "0x10",
    "__GFP_WRITE": "0x1000",
    "__GFP_ACCOUNT": "0x400000",
    "__GFP_NOLOCKDEP": "0x8000000",
    "__GFP_RECLAIM": "(__GFP_DIRECT_RECLAIM|__GFP_KSWAPD_RECLAIM)",
    "GFP_ATOMIC": "(__GFP_HIGH|__GFP_KSWAPD_RECLAIM)",
    "GFP_KERNEL": "(__GFP_RECLAIM|__GFP_IO|__GFP_FS)",
    "GFP_KERNEL_ACCOUNT": "(GFP_KERNEL|__GFP_ACCOUNT)",
    "GFP_NOWAIT": "(__GFP_KSWAPD_RECLAIM|__GFP_NOWARN)",
    "GFP_NOIO": "(__GFP_RECLAIM)",
    "GFP_NOFS": "(__GFP_RECLAIM|__GFP_IO)",
    "GFP_USER": "(__GFP_RECLAIM|__GFP_IO|__GFP_FS|__GFP_HARDWALL)",
    "GFP_HIGHUSER": "(GFP_USER|__GFP_HIGHMEM)",
    "GFP_HIGHUSER_MOVABLE": "(GFP_HIGHUSER|__GFP_MOVABLE)",
    "PF_MEMALLOC": "0x800",
    "PF_KSWAPD": "0x20000",
    "SB_ACTIVE": "(1<<30)",
    "FGP_CREAT": "0x4",
}


class Allocation(NamedTuple):
    """A function or macro that allocates: where its flags are and what they are when left out.

    ``needs`` names (argument, constant): it allocates only when that argument has that bit.
    """

    flags: int | None
    default: str = "GFP_KERNEL"
    needs: tuple[int, str] | None = None


def _many(flags: int | None, names: str, default: str = "GFP_KERNEL") -> dict[str, Allocation]:
    return {name: Allocation(flags, default) for name in names.split()}


#: The allocator's faces.  Walks stop here: what is below is the allocator itself.
ALLOCATIONS: dict[str, Allocation] = {
    **_many(
        1,
        "kmalloc kzalloc kvmalloc kvzalloc kmem_cache_alloc kmem_cache_zalloc kstrdup kstrdup_const "
        "kmalloc_large mempool_alloc "
        "kmalloc_obj kzalloc_obj kvmalloc_obj kvzalloc_obj bitmap_zalloc "
        "bitmap_alloc __vmalloc kvmalloc_node kvzalloc_node kmem_cache_alloc_bulk ahash_request_alloc "
        "__kmalloc ",
    ),
    **_many(
        2,
        "kcalloc kmalloc_array kvcalloc kvmalloc_array kmemdup kmemdup_nul kmemdup_array kvmemdup "
        "kstrndup kmem_cache_alloc_lru krealloc kvrealloc kmalloc_objs kzalloc_objs kvmalloc_objs "
        "kvzalloc_objs devm_kzalloc devm_kmalloc xa_reserve krealloc_node kcalloc_node "
        "kmalloc_array_node kvcalloc_node __alloc_percpu_gfp percpu_counter_init_many ",
    ),
    **_many(3, "kmalloc_flex kzalloc_flex kvmalloc_flex kvzalloc_flex krealloc_array xa_store "),
    **_many(
        0,
        "alloc_page alloc_pages __get_free_page __get_free_pages get_zeroed_page folio_alloc "
        "filemap_alloc_folio __page_cache_alloc kasprintf kvasprintf radix_tree_preload "
        "radix_tree_maybe_preload idr_preload vma_alloc_folio folio_alloc_mpol alloc_page_vma "
        "alloc_pages_bulk pagetable_alloc ",
    ),
    **_many(1, "alloc_pages_exact alloc_pages_node __alloc_pages bio_kmalloc "),
    # No flags at all: the allocator's own, or deep below names, queues, devices in sysfs.
    **_many(
        None,
        "__alloc_percpu acomp_request_alloc add_disk alloc_ordered_workqueue alloc_percpu "
        "alloc_workqueue bioset_init create_freezable_workqueue create_singlethread_workqueue "
        "create_workqueue crypto_alloc_acomp crypto_alloc_acomp_node crypto_alloc_aead "
        "crypto_alloc_ahash crypto_alloc_cipher crypto_alloc_comp crypto_alloc_kpp "
        "crypto_alloc_lskcipher crypto_alloc_rng crypto_alloc_shash crypto_alloc_skcipher "
        "crypto_alloc_sync_skcipher device_add device_add_disk device_create device_create_file "
        "device_create_with_groups device_register init_srcu_struct kmem_cache_create kobject_add "
        "kobject_create_and_add kobject_init_and_add kobject_rename kobject_set_name "
        "kset_create_and_add kset_register kthread_create kthread_create_on_cpu "
        "kthread_create_on_node kthread_create_worker kthread_run kthread_run_on_cpu "
        "kthread_run_worker list_lru_init mempool_create mempool_create_kmalloc_pool "
        "mempool_create_page_pool mempool_create_slab_pool mempool_init mempool_init_kmalloc_pool "
        "mempool_init_page_pool mempool_init_slab_pool mempool_resize percpu_init_rwsem "
        "register_shrinker rhashtable_init rhltable_init shrinker_alloc sock_create "
        "sock_create_kern sock_create_lite vcalloc vm_map_ram vmalloc vmalloc_array vmalloc_node "
        "vmalloc_user vmap vzalloc vzalloc_node ",
    ),
    "kmalloc_node": Allocation(1),
    "kzalloc_node": Allocation(1),
    "kmem_cache_alloc_node": Allocation(1),
    "bio_alloc": Allocation(3),
    "bio_alloc_bioset": Allocation(3),
    "xa_alloc": Allocation(4),
    "xa_alloc_cyclic": Allocation(5),
    "xa_insert": Allocation(3),
    "idr_alloc": Allocation(4),
    "idr_alloc_cyclic": Allocation(4),
    "idr_alloc_u32": Allocation(4),
    "ida_alloc": Allocation(1),
    "ida_alloc_range": Allocation(3),
    "alloc_percpu_gfp": Allocation(1),
    "memdup_user": Allocation(None, "GFP_USER"),
    "vmemdup_user": Allocation(None, "GFP_USER"),
    "memdup_user_nul": Allocation(None, "GFP_USER"),
    "strndup_user": Allocation(None, "GFP_USER"),
    "add_to_page_cache_lru": Allocation(3),
    "filemap_add_folio": Allocation(3),
    "pagecache_get_page": Allocation(3, needs=(2, "FGP_CREAT")),
    "__filemap_get_folio": Allocation(3, needs=(2, "FGP_CREAT")),
    "__filemap_get_folio_mpol": Allocation(3, needs=(2, "FGP_CREAT")),
    "percpu_counter_init": Allocation(2),
    "blkdev_issue_discard": Allocation(3),
    "blkdev_issue_zeroout": Allocation(3),
    "sb_issue_discard": Allocation(3),
    "sb_issue_zeroout": Allocation(3),
    "shmem_read_mapping_page_gfp": Allocation(2),
    "shmem_read_folio_gfp": Allocation(2),
    "sg_alloc_table": Allocation(2),
    "skcipher_request_alloc": Allocation(1),
}
#: These always come back with an element of the pool in the end, so they never loop in the allocator.
MEMPOOLS = frozenset({"mempool_alloc", "bio_alloc", "bio_alloc_bioset", "bio_alloc_clone"})

#: Functions with a gfp_t that do not allocate with it.
NO_ALLOCATION = (
    "gfp",
    "might_alloc",
    "fs_reclaim",
    "current_gfp",
    "should_fail",
    "mapping_set_gfp",
    "blk_mq_get",
    "submit_bio",
    "try_to_free",
    "shrink_",
    "bio_init",
    "cond_",
    "node_zonelist",
)

#: These take their flags from the tree they insert into, which is not followed to where it is initialised.
TREE_FLAGS = frozenset({"radix_tree_insert"})
ALLOCATIONS.update(_many(None, "radix_tree_insert"))

#: What a module's source cannot say by itself: functions of the kernel that allocate on their own.  Used
#: when the tree does not have them.
IMPORTED: dict[str, str] = {
    **dict.fromkeys(
        words("sb_bread sb_getblk __bread __getblk sb_bread_unmovable __bread_gfp bdev_getblk"),
        "GFP_NOFS|__GFP_NOFAIL",
    ),
    **dict.fromkeys(
        words("iget_locked iget5_locked new_inode d_alloc d_alloc_name read_mapping_page"),
        "GFP_KERNEL",
    ),
}

#: Calls that allocate with the flags of a socket: GFP_KERNEL unless the subject sets ``sk_allocation``.
SOCKET_CALLS = frozenset(words("sock_sendmsg kernel_sendmsg kernel_connect"))
#: Operations of some file, whose filesystem allocates with GFP_KERNEL; a subject that is none calls them.
FILE_IO = frozenset(words("read_iter write_iter"))

#: An expression's value that no source line says.
KNOWN_CALLS: dict[str, str] = {
    # inode_init_always() gives every mapping GFP_HIGHUSER_MOVABLE; filesystems may lower it.
    "mapping_gfp_mask": "GFP_HIGHUSER_MOVABLE",
    "readahead_gfp_mask": "GFP_HIGHUSER_MOVABLE",
}

#: Calls through which execution leaves what a reclaim chain is about: allocator, scheduler, locking,
#: printk, block submission.  Prefixes of paths; the unit that is analysed is always entered.
BOUNDARY = (
    "arch/",
    "block/",
    "crypto/",
    "Documentation/",
    "drivers/",
    "fs/notify/",
    "include/asm-generic/",
    "include/trace/",
    "include/linux/sched",
    "include/linux/printk",
    "include/linux/bug.h",
    "include/linux/spinlock",
    "include/linux/mutex.h",
    "include/linux/rwsem.h",
    "include/linux/percpu-rwsem.h",
    "include/linux/slab.h",
    "include/linux/gfp.h",
    "include/linux/wait.h",
    "include/linux/rcupdate.h",
    "include/linux/lockdep",
    "include/linux/mm.h",
    "include/linux/workqueue.h",
    "include/linux/completion.h",
    "include/linux/string",
    "include/linux/device.h",
    "include/linux/mempool.h",
    "include/linux/kthread.h",
    "include/linux/percpu",
    "include/linux/jump_label",
    "include/linux/uaccess",
    "include/linux/highmem",
    "include/linux/memcontrol.h",
    "include/linux/fault-inject",
    "include/linux/module.h",
    "include/linux/kref.h",
    "include/linux/kobject",
    "include/linux/ratelimit",
    "include/net/",
    "init/",
    "io_uring/",
    "ipc/",
    "kernel/",
    "lib/",
    "mm/backing-dev.c",
    "mm/compaction.c",
    "mm/gup.c",
    "mm/huge_memory.c",
    "mm/hugetlb",
    "mm/kasan/",
    "mm/kfence/",
    "mm/khugepaged.c",
    "mm/kmemleak.c",
    "mm/ksm.c",
    "mm/list_lru.c:list_lru_add",
    "mm/memcontrol",
    "mm/memory-failure.c",
    "mm/memory.c",
    "mm/mempolicy.c",
    "mm/mempool.c",
    "mm/migrate.c",
    "mm/mmap",
    "mm/oom_kill.c",
    "mm/page_alloc.c",
    "mm/page_io.c",
    "mm/percpu",
    "mm/rmap.c",
    "mm/shrinker.c:shrinker_",
    "mm/slab",
    "mm/slub.c",
    "mm/swap",
    "mm/util.c",
    "mm/vma",
    "mm/vmalloc.c",
    "mm/vmscan.c",
    "mm/vmstat.c",
    "mm/workingset.c",
    "mm/zswap.c",
    "net/",
    "rust/",
    "samples/",
    "scripts/",
    "security/",
    "sound/",
    "tools/",
    "usr/",
    "virt/",
)

#: Folders whose files are subjects of their own; anywhere else the folder is the subject.
FILE_IS_UNIT = frozenset({"fs", "mm", "kernel", "lib", "ipc", "init", "security", "."})
#: Shared filesystem machinery: entered from every filesystem, with that filesystem's operations.
SHARED = ("fs/jbd2", "fs/quota", "fs/iomap", "fs/crypto", "fs/verity", "fs/kernfs")

#: Subjects whose workers reclaim is known to wait for -> the flag with which theirs would wait for itself.
TRANSPORTS: dict[str, str] = {"net/sunrpc": "__GFP_FS", "net/ceph": "__GFP_IO"}

#: The flag of a workqueue that keeps a thread for when memory is short.
RESCUED = "WQ_MEM_RECLAIM"
#: Why a wait for such an operation is doubted.
DOUBTED_OPS: dict[str, str] = {
    RESCUED: "made for use in reclaim; where reclaim waits for it was not followed",
    "event": "others may wake who waits for it, or it may have been done before",
    "bio": "only where reclaim submits a bio or waits for one that ends in a task, not in an interrupt",
    "address_space_operations": (
        "only in a memory cgroup of version 1, and only once a folio is marked as under writeback"
    ),
}
#: Of these a change is told all the same, down to so many calls.
CHANGES_TOLD: dict[str, int] = {RESCUED: 5, "bio": 5, "event": 4}
#: Of these the work is done when they return; what they queue besides is not waited for.
SUBMITTED_HERE = frozenset(
    words("address_space_operations bio rpc_xprt_ops scsi_host_template submission")
)
#: Where the block layer's own way of a bio begins.
SUBMISSIONS = ("submit_bio_noacct", "__blk_crypto_submit_bio")
#: A filesystem whose mappings say this is not waited for by reclaim.
UNWAITED = "mapping_set_writeback_may_deadlock_on_reclaim"

#: Reclaim waits here for somebody else: call -> index of what is waited for.
WAITS: dict[str, int] = {
    "wait_for_completion": 0,
    "wait_for_completion_io": 0,
    "flush_work": 0,
    "flush_delayed_work": 0,
    "flush_rcu_work": 0,
    "cancel_work_sync": 0,
    "cancel_delayed_work_sync": 0,
    "flush_workqueue": 0,
    "__flush_workqueue": 0,
    "drain_workqueue": 0,
    "dma_fence_wait": 0,
    "dma_fence_wait_timeout": 0,
    "dma_resv_wait_timeout": 0,
    "kthread_stop": 0,
}

#: The same of what others wake: a queue of waiters, a bit of a word, a variable.  Not those that time out.
WOKEN: dict[str, int] = dict.fromkeys(
    words(
        "wait_event wait_event_cmd wait_event_freezable wait_event_idle wait_event_interruptible "
        "wait_event_killable wait_event_lock_irq io_wait_event wait_on_bit wait_on_bit_io "
        "wait_on_bit_action wait_var_event wait_var_event_killable wait_var_event_interruptible"
    ),
    0,
)
#: Who wakes them -> index of the same.
WAKES: dict[str, int] = {
    **dict.fromkeys(
        words(
            "wake_up wake_up_all wake_up_nr wake_up_interruptible wake_up_interruptible_all "
            "wake_up_locked wake_up_bit wake_up_var store_release_wake_up atomic_dec_and_wake_up"
        ),
        0,
    ),
    "clear_and_wake_up_bit": 1,
}

#: What has a worker do something -> indices of the queue and of the work.  None: one of the system's queues.
QUEUERS: dict[str, tuple[int | None, int]] = {
    **dict.fromkeys(
        words("queue_work queue_delayed_work mod_delayed_work queue_rcu_work kthread_queue_work"),
        (0, 1),
    ),
    **dict.fromkeys(
        words("queue_work_on queue_work_node queue_delayed_work_on mod_delayed_work_on"), (1, 2)
    ),
    **dict.fromkeys(words("schedule_work schedule_delayed_work"), (None, 0)),
    **dict.fromkeys(words("schedule_work_on schedule_delayed_work_on"), (None, 1)),
}

#: Operations that run in tasks of their own while reclaim waits for them -> the flag with which their
#: allocations would wait for themselves.
WAITED_OPS: dict[str, dict[str, str]] = {
    "blk_mq_ops": {"queue_rq": "__GFP_IO", "timeout": "__GFP_IO"},
    "block_device_operations": {"submit_bio": "__GFP_IO"},
    "md_personality": {"make_request": "__GFP_IO"},
    "target_type": {"map": "__GFP_IO", "end_io": "__GFP_IO"},
    "drm_sched_backend_ops": {"prepare_job": "", "run_job": "", "timedout_job": ""},
    "address_space_operations": {"writepages": "__GFP_FS"},
    "scsi_host_template": dict.fromkeys(
        words(
            "queuecommand eh_timed_out eh_abort_handler eh_device_reset_handler "
            "eh_target_reset_handler eh_bus_reset_handler eh_host_reset_handler"
        ),
        "__GFP_IO",
    ),
    "rpc_xprt_ops": dict.fromkeys(words("connect prepare_request send_request"), "__GFP_FS"),
}
#: Of these the operations of block devices that do I/O of their own for it.
BLOCK_OPS = words("target_type md_personality block_device_operations blk_mq_ops")
#: Operations of block I/O, which waits for work that they queue.
IO_OPS = frozenset({*BLOCK_OPS, "bio", "scsi_host_template"})
#: Of these the usual queue keeps no thread for when memory is short itself (drm_sched_init()).
UNRESCUED = "drm_sched_backend_ops.timedout_job"
#: What writeback's worker calls.
WRITTEN_BACK: dict[str, tuple[str, ...]] = {
    "address_space_operations": ("writepages",),
    "super_operations": ("write_inode",),
}
SIGNALLERS: dict[str, str] = {
    "blk_mq_ops": "reclaim waits for pages written through this queue",
    "block_device_operations": "reclaim waits for pages written to this device",
    "md_personality": "reclaim waits for pages written to this array",
    "target_type": "reclaim waits for pages written through this target",
    "address_space_operations": "reclaim waits for folios that this writes",
    "scsi_host_template": "reclaim waits for pages written through this host",
    "rpc_xprt_ops": "->release_folio() of NFS waits for pages written through this transport",
    "bio": "reclaim waits for the I/O that this ends",
    "submission": "reclaim waits for folios whose bios go this way",
    "drm_sched_backend_ops": (
        "MMU notifiers and shrinkers wait in reclaim for the fences that this job signals "
        "(Documentation/driver-api/dma-buf.rst)"
    ),
}

#: Classes that say nothing: freeze levels share one name and are only ever read in operation, sleepable
#: RCU is no lock, the zspage lock is tried, a cluster lock is one for each object.
NO_LOCKS = frozenset(
    {
        "sb_writers.rw_sem",
        "srcu_struct.dep_map",
        "zspage_lock.dep_map",
        "ocfs2_lock_res.l_lockdep_map",
        # Whoever is among them is among all writers of a transaction (btrfs_trans_num_writers).
        "btrfs_fs_info.btrfs_trans_num_extwriters",
        # Told as request_queue.q_usage_counter, which older trees have, too.
        "request_queue.io_lockdep_map",
        "request_queue.q_lockdep_map",
        "fs_reclaim",
    }
)

#: Returned by functions whose value is an error or a count, not a choice.
PLAIN = frozenset(
    {"", "int", "void", "bool", "long", "unsigned", "size_t", "ssize_t", "u32", "u64"}
)
#: Parts of a struct by which others get at all of it.
SHARERS = frozenset(words("work_struct delayed_work rcu_work kthread_work completion timer_list"))
#: Operations of which a subject has several tables, one a kind of file; which is meant is not followed.
TOLD_APART = frozenset(
    words(
        "address_space_operations inode_operations file_operations gfs2_glock_operations "
        "export_operations dentry_operations"
    )
)

#: A function handed to these runs later, elsewhere.
DEFERRED = words(
    "INIT_WORK INIT_DELAYED_WORK INIT_DEFERRABLE_WORK __INIT_WORK timer_setup setup_timer "
    "call_rcu call_srcu kthread_run kthread_create request_irq request_threaded_irq "
    "devm_request_irq hrtimer_init hrtimer_setup tasklet_init tasklet_setup init_rcu_work "
    "INIT_RCU_WORK queue_rcu_work register_shrinker init_task_work task_work_add "
    "kmem_cache_create rhashtable_init kthread_init_work init_completion INIT_WORK_ONSTACK "
    "init_waitqueue_func_entry module_init seq_open single_open proc_create "
    "debugfs_create_file bio_init init_llist_node add_timer async_schedule schedule_work "
    "register_filesystem devm_add_action devm_add_action_or_reset trace_seq_printf sget "
    "sget_fc mount_bdev get_tree_bdev get_tree_nodev mount_nodev vfs_get_super"
)

#: Calls that do not come back, or that end the matter: nothing after them is believed.
NORETURN = frozenset({"BUG", "panic", "do_exit", "make_task_dead", "unreachable"})
#: Branches for errors: reached only once the filesystem is already broken.
ERROR_HANDLERS = words(
    "__ext4_error __ext4_std_error __ext4_error_inode ext4_error ext4_handle_error "
    "__ext4_abort f2fs_stop_checkpoint __fat_fs_error fat_fs_error xfs_force_shutdown "
    "xfs_do_force_shutdown btrfs_abort_transaction __btrfs_abort_transaction "
    "btrfs_handle_fs_error __btrfs_handle_fs_error jbd2_journal_abort reiserfs_error "
    "reiserfs_abort ocfs2_error __ocfs2_error ocfs2_abort __ocfs2_abort nilfs_error "
    "__nilfs_error gfs2_withdraw gfs2_lm_withdraw ntfs_error __ntfs_error jfs_error "
    "exfat_fs_error __exfat_fs_error ufs_error ext2_error udf_err ubifs_ro_mode dump_stack "
    "panic WARN WARN_ON WARN_ON_ONCE pr_err printk ubifs_err xfs_corruption_error xfs_alert "
    "ext4_warning __ext4_warning xfs_err xfs_warn btrfs_err ext4_msg __ext4_msg affs_error "
    "hfs_dbg omfs_error quota_error __quota_error ext4_error_inode ext4_grp_locked_error "
    "__ext4_grp_locked_error f2fs_handle_error f2fs_bug_on bch2_fs_inconsistent fat_msg "
    "_fat_msg exfat_msg btrfs_repair_eb_io_failure btrfs_repair_io_failure xlog_force_shutdown "
    "xfs_iflush_shutdown_abort xlog_state_shutdown_callbacks xfs_buf_ioend_fail xfs_buf_item_abort"
)

_SPINNING = words(
    "spin_lock spin_lock_nested spin_lock_nest_lock spin_lock_bh spin_lock_irq spin_lock_irqsave "
    "spin_lock_irqsave_nested raw_spin_lock raw_spin_lock_nested raw_spin_lock_irq "
    "raw_spin_lock_irqsave read_lock read_lock_bh read_lock_irq read_lock_irqsave write_lock "
    "write_lock_bh write_lock_irq write_lock_irqsave bit_spin_lock hlist_bl_lock rcu_read_lock"
)
_RESTORING = words(
    "spin_unlock_irqrestore raw_spin_unlock_irqrestore read_unlock_irqrestore write_unlock_irqrestore"
)
#: What begins or ends code that may not sleep -> how many more spinning locks are held after it.
SPIN: dict[str, int] = {
    **dict.fromkeys(_SPINNING, 1),
    **dict.fromkeys((name.replace("_lock", "_unlock", 1) for name in _SPINNING), -1),
    **dict.fromkeys(_RESTORING, -1),
}
