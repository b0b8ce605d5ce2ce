"""Where reclaim goes and where it never does, as data: its roots, its locks, ways that do not exist.

Read off fs/, mm/, block/ and include/linux/ of Linux 6.1, 6.12 and 7.2.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ring3.audit.primitives import words

#: Operations reclaim calls: struct -> field -> how reclaim gets there.
ROOTS: dict[str, dict[str, str]] = {
    "super_operations": {
        "evict_inode": "the inode cache is shrunk",
        "drop_inode": "the last reference goes in the dentry cache's shrinker",
        "destroy_inode": "an evicted inode is freed",
        "free_inode": "an evicted inode is freed",
        "nr_cached_objects": "the superblock's shrinker counts",
        "free_cached_objects": "the superblock's shrinker scans",
    },
    "dentry_operations": {
        "d_delete": "a dentry loses its last reference",
        "d_prune": "the dentry cache is shrunk",
        "d_release": "a dentry is freed",
        "d_iput": "a dentry gives its inode back",
    },
    "address_space_operations": {
        "writepage": "a dirty page is reclaimed",
        "releasepage": "a clean page is reclaimed",
        "release_folio": "a clean folio is reclaimed",
        "freepage": "a reclaimed page leaves the page cache",
        "free_folio": "a reclaimed folio leaves the page cache",
    },
    "shrinker": {
        "scan_objects": "a shrinker scans",
        "count_objects": "a shrinker counts",
    },
    "mmu_notifier_ops": {
        "invalidate_range_start": "a page is unmapped",
        "invalidate_range_end": "a page is unmapped",
    },
    "mmu_interval_notifier_ops": {"invalidate": "a page is unmapped"},
    "target_type": {
        "map": "a page is written to swap on this device",
        "clone_and_map_rq": "a page is written to swap on this device",
    },
    "blk_mq_ops": {"queue_rq": "a page is written to swap on this device"},
    "block_device_operations": {"submit_bio": "a page is written to swap on this device"},
    "md_personality": {"make_request": "a page is written to swap on this device"},
}
#: The flag without which reclaim does not call the operations of a struct; any reclaim calls the others.
NEEDS: dict[str, str] = {
    **dict.fromkeys(
        words("super_operations dentry_operations address_space_operations"), "__GFP_FS"
    ),
    **dict.fromkeys(
        words("target_type blk_mq_ops block_device_operations md_personality"), "__GFP_IO"
    ),
}
#: Functions that reclaim calls by name -> the flag without which it does not.
ROOT_FUNCTIONS: dict[str, str] = {
    "__fsnotify_inode_delete": "__GFP_FS",
    "zswap_store": "__GFP_IO",
    "swap_writepage": "__GFP_IO",
    "swap_writeout": "__GFP_IO",
    "shmem_writeout": "__GFP_IO",
}


class Way(NamedTuple):
    """A lock that reclaim waits for in every subject: from one of ``begin`` to one of ``end``.

    ``holders`` are the calls by which code comes to hold it.
    """

    mode: str
    needs: str
    begin: tuple[str, ...]
    end: tuple[str, ...]
    holders: tuple[str, ...]


#: Subjects whose pages are never on the lists that reclaim scans.
NEVER_RECLAIMED = frozenset({"mm/hugetlb.c", "fs/hugetlbfs"})

EVERYWHERE: dict[str, Way] = {
    "request_queue.q_usage_counter": Way(
        "r",
        "__GFP_IO",
        words("swap_writeout __swap_writepage"),
        words("bio_queue_enter blk_queue_enter"),
        words(
            "blk_mq_freeze_queue blk_mq_freeze_queue_nomemsave blk_freeze_queue "
            "blk_freeze_queue_start"
        ),
    ),
    "request_queue.quiesce_depth": Way(
        "r",
        "__GFP_IO",
        words("swap_writeout __swap_writepage"),
        words("blk_mq_run_hw_queue"),
        words("blk_mq_quiesce_queue blk_mq_quiesce_queue_nowait blk_mq_quiesce_tagset"),
    ),
    "task_struct.journal_info": Way("r", "__GFP_FS", (), ("evict",), ()),
    "mddev.suspended": Way("r", "__GFP_IO", (), ("md_handle_request",), ("mddev_suspend",)),
    "address_space.i_mmap_rwsem": Way(
        "r", "", ("shrink_folio_list",), ("i_mmap_lock_read",), ("i_mmap_lock_write",)
    ),
    "anon_vma.rwsem": Way(
        "r",
        "",
        ("shrink_folio_list",),
        words("folio_lock_anon_vma_read anon_vma_lock_read"),
        words("anon_vma_lock_write anon_vma_lock_read"),
    ),
    "dma_fence": Way(
        "r",
        "",
        (),
        ("dma_fence_wait",),
        ("dma_fence_begin_signalling",),
    ),
}

#: The way from reclaim to a shrinker, outermost first; shown when the tree has it.
PREAMBLE = ("shrink_slab", "do_shrink_slab")

LAZYTIME = "only with the lazytime mount option"
DONTCACHE = "only a dirty inode marked I_DONTCACHE is written in iput_final()"
#: What a filesystem must do itself for such a way to exist: call or name one of these.
ONLY_IF: dict[tuple[str, str], tuple[str, ...]] = {
    ("iput_final", "write_inode_now"): ("d_mark_dontcache", "I_DONTCACHE"),
}
#: What gives all dentries of a superblock one table of operations.
DEFAULT_D_OP = ("s_d_op", "set_default_d_op")
#: ->drop_inode() that has iput() evict every inode, so that none is ever on the list that reclaim prunes.
DROPS_ALL = frozenset({"inode_just_drop", "generic_delete_inode"})
#: ->drop_inode() that has iput() evict inodes without links; it is that of who has none.
DROPS_UNLINKED = frozenset({"inode_generic_drop", "generic_drop_inode"})
#: Shared code for filesystems that register operations for it: folder -> struct.
REGISTERED: dict[str, str] = {
    "fs/crypto/": "fscrypt_operations",
    "fs/verity/": "fsverity_operations",
    "fs/quota/": "dquot_operations",
}
#: Folders whose files are on superblocks of their own, whoever calls: their operations answer there.
OWN_SUPERBLOCK = ("fs/kernfs/",)
#: Of these only cgroup's superblock has any use (KERNFS_ROOT_INVARIANT_PARENT, KERNFS_ROOT_SUPPORT_EXPORTOP);
#: what subjects make there is in sysfs.
CGROUP_ONLY = frozenset(
    words(
        "kernfs_node_dentry kernfs_get_parent_dentry kernfs_fh_to_dentry kernfs_fh_to_parent "
        "__kernfs_fh_to_dentry"
    )
)
#: Whether a filesystem has given up: after that it waits for nothing, and nothing about it is told.
GIVEN_UP = frozenset(
    words(
        "xfs_is_shutdown xlog_is_shutdown f2fs_cp_error gfs2_withdrawn ext4_emergency_state "
        "ext4_forced_shutdown NVolShutdown ntfs3_forced_shutdown exfat_forced_shutdown "
        "btrfs_is_shutdown ocfs2_emergency_state cifs_forced_shutdown ceph_inode_is_shutdown "
        "is_journal_aborted is_handle_aborted"
    )
)
#: Nothing is left to write once these have been called on the mapping.
TRUNCATES = frozenset({"truncate_inode_pages_final", "truncate_inode_pages"})
WRITES_BACK = frozenset(
    words(
        "filemap_fdatawrite filemap_flush filemap_write_and_wait filemap_fdatawrite_range "
        "filemap_write_and_wait_range"
    )
)

#: Ways that exist for few objects: (caller, callee) -> which.  Walked last, and said.
RARE = {
    ("iput_final", "write_inode_now"): DONTCACHE,
    ("iput", "sync_lazytime"): LAZYTIME,
    ("iput", "mark_inode_dirty_sync"): LAZYTIME,
}
#: What an inode's last user calls.
LAST_PUT = frozenset({"evict", "iput_final"})
#: Steps that reclaim never takes: an inode without users has no mapped pages;
#: whole folios are truncated;
#: gfs2's evict_should_delete() takes no glock under PF_MEMALLOC, so that none is instantiated afterwards;
#: ceph holds a reference on an inode with dirty folios;
#: radeon's notifier moves pages of the user, which are never in the device's memory, hence not copied;
#: btrfs's list of what eviction flushes (evict_flush_states) has neither zones nor iputs.
NEVER = frozenset(
    {
        ("folio_clear_dirty_for_io", "folio_mark_dirty"),
        ("clear_page_dirty_for_io", "set_page_dirty"),
        ("orangefs_invalidate_folio", "orangefs_launder_folio"),
        ("ceph_invalidate_folio", "ceph_put_wrbuffer_cap_refs"),
        ("evict_linked_inode", "gfs2_instantiate"),
        ("radeon_bo_move", "radeon_move_blit"),
        ("flush_space", "btrfs_reclaim_sweep"),
        ("flush_space", "btrfs_delete_unused_bgs"),
        ("flush_space", "btrfs_reclaim_block_groups"),
        ("flush_space", "btrfs_reclaim_bgs"),
        ("flush_space", "btrfs_run_delayed_iputs"),
        ("pagecache_isize_extended", "folio_mark_dirty"),
        ("pagecache_isize_extended", "set_page_dirty"),
    }
)
#: Code that tests the rest, and runs alone.
TESTS = re.compile(r"/tests?/|[-_](?:tests?|kunit|selftests?)\.c$")
#: Workers that write down what has happened: nobody waits for them.
DUMPS = re.compile(r"coredump")
#: The last reference to an object goes.
LAST_REFERENCE = re.compile(
    r"\(*(?:refcount_dec_and_\w+|atomic_dec_and_test|kref_put|kref_put_\w+)\(&(\w+)->\w+[,)]"
)
#: Steps that nobody takes, with why.
IMPOSSIBLE: dict[tuple[str, str], str] = {
    ("__fput_deferred", "file_free"): "only for a file that was never opened",
    ("fput", "file_free"): "only for a file that was never opened",
    ("iomap_dirty_folio", "ifs_alloc"): "a folio that was read or written has its state already",
    ("insert_prealloc_file_extent", "btrfs_replace_file_extents"): (
        "with the transaction that every caller under a lock hands in it returns before"
    ),
    **dict.fromkeys(
        (
            ("f2fs_try_convert_inline_dir", "f2fs_setup_filename"),
            ("f2fs_do_add_link", "f2fs_setup_filename"),
        ),
        "who adds a name has set the directory's key up before (fscrypt_prepare_rename() and the like)",
    ),
    ("nvme_mpath_set_live", "nvme_add_ns_head_cdev"): (
        "a path that has I/O has been live (NVME_NSHEAD_DISK_LIVE)"
    ),
    ("flush_lazy_signals", "flush_barrier"): (
        "only a context's activity has barriers; memory, fences and overlays are waited for"
    ),
    ("cache_save_setup", "btrfs_check_data_free_space"): (
        "a space cache is of the root tree, for which no quota is reserved (is_fstree())"
    ),
}
#: While a superblock is being mounted or unmounted its shrinker does nothing; a device that is being set up
#: has no I/O yet.
MOUNTING = (
    "_ctr",
    "_probe",
    "autorun_",
    "fill_super",
    "get_tree",
    "_mount",
    "umount",
    "unmount",
    "put_super",
    "kill_sb",
    "init_fs",
    "recover_fsync_data",
)

#: Not entered from reclaim: the shrinkers hold the superblock and its mounts are in use.
UMOUNT = frozenset(
    words(
        "deactivate_super deactivate_locked_super cleanup_mnt mntput_no_expire generic_shutdown_super "
        "vfs_kern_mount fs_context_for_mount alloc_super simple_pin_fs "
        "put_super kill_block_super kill_anon_super kill_litter_super mntput __cleanup_mnt "
        "nfs_free_client nfs4_free_client nfs4_shutdown_client ocfs2_cluster_disconnect"
    )
)
