"""Fixes that upstream made from 2015 to 2026, gathered before the audit was run on any of them.

Each stands in 7.2 and is taken out there, as in known_fixes.py.
"""

from __future__ import annotations

from tests.audit.known_fixes import KERNEL, NOFS, NOIO, Edit, Fix

NORECLAIM = ("memalloc_noreclaim_save()", "0")
KERNEL_IO = ("GFP_NOIO", "GFP_KERNEL")
KERNEL_WAIT = ("GFP_NOWAIT", "GFP_KERNEL")
UNMASKED = ("mapping_set_gfp_mask(", "nothing(")
WAIT = "wait-in-reclaim"
BTRFS = "fs/btrfs/"
ZSWAP = "mm/zswap.c"
RMAP = "mm/rmap.c"
DRM = ("drivers/dma-buf", "drivers/gpu/drm/scheduler", "drivers/gpu/drm/ttm")
MD = ("drivers/md",)
BLOCK = ("drivers/block", "net/ceph")

UPSTREAM: tuple[Fix, ...] = (
    # -- btrfs
    Fix(
        "btrfs: the reference verifier allocates with GFP_NOFS",
        "fs/btrfs",
        "btrfs_delayed_node.mutex",
        (Edit(BTRFS + "ref-verify.c", KERNEL),),
    ),
    Fix(
        "btrfs: scrub is a NOFS scope",
        "fs/btrfs",
        "btrfs_fs_devices.device_list_mutex",
        (Edit(BTRFS + "scrub.c", NOFS),),
    ),
    Fix(
        "btrfs: compression's workspaces are made in a NOFS scope",
        "fs/btrfs",
        "btrfs_root.delalloc_mutex",
        (Edit(BTRFS + "compression.c", NOFS), Edit(BTRFS + "zstd.c", NOFS)),
    ),
    Fix(
        "btrfs: a tree is made in a NOFS scope",
        "fs/btrfs",
        "btrfs_fs_info.qgroup_ioctl_lock",
        (Edit(BTRFS + "disk-io.c", NOFS, "btrfs_create_tree"),),
    ),
    Fix(
        "btrfs: bitmaps of the free space tree are allocated in a NOFS scope",
        "fs/btrfs",
        "btrfs_block_group.free_space_lock",
        (Edit(BTRFS + "free-space-tree.c", NOFS),),
    ),
    Fix(
        "btrfs: a free space cache's inode is read in a NOFS scope",
        "fs/btrfs",
        "btrfs_transaction.cache_write_mutex",
        (Edit(BTRFS + "free-space-cache.c", NOFS),),
    ),
    Fix(
        "btrfs: a scanned device is allocated in a NOFS scope",
        "fs/btrfs",
        "btrfs_fs_devices.device_list_mutex",
        (Edit(BTRFS + "volumes.c", NOFS, "device_list_add"),),
    ),
    Fix(
        "btrfs: a device appears in sysfs once chunk_mutex is given back, and in a NOFS scope",
        "fs/btrfs",
        "btrfs_fs_info.chunk_mutex",
        (
            Edit(BTRFS + "sysfs.c", NOFS, "btrfs_sysfs_add_device"),
            Edit(
                BTRFS + "volumes.c",
                (
                    "	mutex_unlock(&fs_info->chunk_mutex);\n\n	/* Add sysfs device entry */\n"
                    "	btrfs_sysfs_add_device(device);\n",
                    "	btrfs_sysfs_add_device(device);\n	mutex_unlock(&fs_info->chunk_mutex);\n",
                ),
            ),
        ),
    ),
    Fix(
        "btrfs: a missing device is allocated in a NOFS scope under chunk_mutex",
        "fs/btrfs",
        "btrfs_fs_info.chunk_mutex",
        (Edit(BTRFS + "volumes.c", NOFS, "add_missing_dev"),),
        missed="a note: only while the filesystem is being mounted",
    ),
    Fix(
        "btrfs: security attributes of a new inode are copied in a NOFS scope",
        "fs/btrfs",
        "btrfs_transaction.cache_write_mutex",
        (Edit(BTRFS + "xattr.c", NOFS),),
        missed="a callback of security/, which is not read by default; its header's stub calls nothing",
    ),
    # -- other filesystems
    Fix(
        "ext4: extents are moved in a NOFS scope",
        "fs/ext4",
        "journal_s.j_trans_commit_map",
        (Edit("fs/ext4/move_extent.c", NOFS),),
    ),
    Fix(
        "gfs2: an unlinked inode is not deleted in reclaim",
        "fs/gfs2",
        "",
        (
            Edit(
                "fs/gfs2/super.c",
                ("unlikely(current->flags & PF_MEMALLOC) &&", "0 &&"),
            ),
            # Who comes to the deletion all the same is turned away there.
            Edit("fs/gfs2/super.c", ("WARN_ON_ONCE(current->flags & PF_MEMALLOC)", "0")),
        ),
        rule="nofail-in-reclaim",
    ),
    Fix(
        "fsnotify: a group's mark_mutex is held in a NOFS scope",
        "fs/notify",
        "fsnotify_group.mark_mutex",
        (Edit("include/linux/fsnotify_backend.h", NOFS),),
    ),
    Fix(
        "erofs: what ends a bio decompresses in a NOIO scope",
        "fs/erofs",
        "",
        (Edit("fs/erofs/zdata.c", NOIO),),
        rule=WAIT,
    ),
    Fix(
        "ocfs2: o2net's sockets are made in a NOFS scope",
        "fs/ocfs2",
        "",
        (Edit("fs/ocfs2/cluster/tcp.c", NOFS),),
        rule=WAIT,
    ),
    Fix(
        "xfs: a filesystem is frozen in a NOFS scope",
        "fs/xfs",
        "",
        (Edit("fs/xfs/xfs_super.c", NOFS),),
        missed="a frozen filesystem is no lock",
    ),
    # -- memory management and block layer
    Fix(
        "zswap: a CPU's compressor is allocated without its mutex",
        ZSWAP,
        "crypto_acomp_ctx.mutex",
        (
            Edit(
                ZSWAP,
                (
                    "	acomp_ctx->buffer = kmalloc_node(",
                    "	mutex_lock(&acomp_ctx->mutex);\n	acomp_ctx->buffer = kmalloc_node(",
                ),
            ),
        ),
    ),
    Fix(
        "rmap: chains are allocated before anon_vma is locked",
        RMAP,
        "anon_vma.rwsem",
        (
            Edit(
                RMAP,
                (
                    "	list_for_each_entry(pavc, &src->anon_vma_chain, same_vma) {\n		avc = anon",
                    "	anon_vma_lock_write(src->anon_vma);\n"
                    "	list_for_each_entry(pavc, &src->anon_vma_chain, same_vma) {\n		avc = anon",
                ),
            ),
        ),
    ),
    Fix(
        "blk-mq: hardware queues are mapped anew with GFP_NOIO",
        "block",
        "request_queue.q_usage_counter",
        (
            Edit("block/blk-mq.c", KERNEL_IO),
            Edit("block/blk-mq.c", NOIO),
            Edit("include/linux/blk-mq.h", NOIO),
        ),
    ),
    # -- block drivers and networks
    Fix(
        "md: what is done to a suspended array is in a NOIO scope",
        "drivers/md",
        "mddev.suspended",
        (Edit("drivers/md/md.c", NOIO),),
        folders=MD,
    ),
    Fix(
        "dm-crypt: buffers are allocated with GFP_NOIO under bio_alloc_lock",
        "drivers/md",
        "crypt_config.bio_alloc_lock",
        (Edit("drivers/md/dm-crypt.c", KERNEL_IO),),
        folders=MD,
    ),
    Fix(
        "dm-snapshot: exceptions are allocated with GFP_NOIO",
        "drivers/md",
        "dm_snapshot.lock",
        (Edit("drivers/md/dm-snap.c", KERNEL_IO),),
        folders=MD,
    ),
    Fix(
        "dm-zoned: zones are reported and reset in NOIO scopes",
        "drivers/md",
        "",
        (Edit("drivers/md/dm-zoned-metadata.c", NOIO),),
        rule=WAIT,
        function="dmz_reset_zone",
        folders=MD,
    ),
    Fix(
        "nbd: a timeout allocates with GFP_NOIO",
        "drivers/block",
        "",
        (Edit("drivers/block/nbd.c", KERNEL_IO),),
        rule=WAIT,
        folders=BLOCK,
    ),
    Fix(
        "rbd: requests are allocated with GFP_NOIO",
        "drivers/block",
        "",
        (Edit("drivers/block/rbd.c", KERNEL_IO),),
        rule=WAIT,
        folders=BLOCK,
    ),
    Fix(
        "brd: pages are allocated with GFP_NOIO, or GFP_NOWAIT when asked to",
        "drivers/block",
        "",
        (Edit("drivers/block/brd.c", KERNEL_IO),),
        rule=WAIT,
        folders=BLOCK,
    ),
    Fix(
        "libceph: sockets are made in a NOIO scope",
        "net/ceph",
        "",
        (Edit("net/ceph/messenger.c", NOIO),),
        rule=WAIT,
        folders=BLOCK,
    ),
    Fix(
        "sunrpc: its workers run in NOFS scopes",
        "net/sunrpc",
        "",
        (
            Edit("net/sunrpc/sched.c", NOFS),
            Edit("net/sunrpc/xprt.c", NOFS),
            Edit("net/sunrpc/xprtsock.c", NOFS),
        ),
        rule=WAIT,
        folders=("net/sunrpc",),
    ),
    # -- other drivers
    Fix(
        "interconnect: nothing is allocated under icc_bw_lock",
        "drivers/interconnect",
        "icc_bw_lock",
        (
            Edit(
                "drivers/interconnect/core.c",
                (
                    "	node->provider = provider;\n",
                    '	node->name = kasprintf(GFP_KERNEL, "%s", node->name);\n'
                    "	node->provider = provider;\n",
                ),
                "icc_node_add",
            ),
        ),
        folders=("drivers/interconnect",),
    ),
    Fix(
        "RDMA/mlx5: translation tables are allocated with GFP_ATOMIC under umem_mutex",
        "drivers/infiniband/hw",
        "ib_umem_odp.umem_mutex",
        (
            Edit(
                "drivers/infiniband/hw/mlx5/umr.c",
                ("flags & MLX5_IB_UPD_XLT_ATOMIC ? GFP_ATOMIC :", "flags ? GFP_KERNEL :"),
            ),
        ),
        folders=("drivers/infiniband/core", "drivers/infiniband/hw/mlx5"),
    ),
    Fix(
        "drm/msm: a job's fence is allocated before it runs",
        "drivers/gpu/drm/msm",
        "",
        (
            Edit(
                "drivers/gpu/drm/msm/msm_ringbuffer.c",
                (
                    "	msm_fence_init(submit->hw_fence",
                    "	submit->hw_fence = kzalloc(64, GFP_KERNEL);\n	msm_fence_init(submit->hw_fence",
                ),
            ),
        ),
        rule=WAIT,
        folders=(*DRM, "drivers/gpu/drm/msm"),
    ),
    Fix(
        "drm/xe: identifiers are allocated with GFP_NOWAIT under the submission lock",
        "drivers/gpu/drm/xe",
        "xe_guc.lock",
        (Edit("drivers/gpu/drm/xe/xe_guc_submit.c", KERNEL_WAIT),),
        folders=(*DRM, "drivers/gpu/drm/xe"),
    ),
    Fix(
        "drm/xe: nothing that waits is allocated under the command channel's lock",
        "drivers/gpu/drm/xe",
        "xe_guc_ct.lock",
        (Edit("drivers/gpu/drm/xe/xe_guc_ct.c", KERNEL_WAIT),),
        folders=(*DRM, "drivers/gpu/drm/xe"),
    ),
)
