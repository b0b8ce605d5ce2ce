"""Fixes of reclaim bugs that upstream has made, as data: the tree, and how to take the fix out again.

A fix is in a tree (``version``) and is taken out by ``edits``, or the bug is in ``version`` and gone in
``fixed``.  ``lock`` and ``rule`` say what the audit must then show; ``missed`` says why it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

NOFS = ("memalloc_nofs_save()", "0")
NOIO = ("memalloc_noio_save()", "0")
KERNEL = ("GFP_NOFS", "GFP_KERNEL")


@dataclass(frozen=True)
class Edit:
    """``change`` = (old, new) everywhere in ``file``, or only in ``function``."""

    file: str
    change: tuple[str, str]
    function: str = ""


@dataclass(frozen=True)
class Fix:
    """One fix.  ``title`` says in our words what upstream changed; ``folders`` are read, too.

    ``function``, if given, is where the audit must show it: in two trees more than the fix differs.
    """

    title: str
    subject: str
    lock: str
    edits: tuple[Edit, ...] = ()
    version: str = "7.2"
    fixed: str = ""
    rule: str = "lock-across-reclaim"
    function: str = ""
    missed: str = ""
    folders: tuple[str, ...] = ()


FIXES: tuple[Fix, ...] = (
    # -- found in a tree, gone in a later one
    Fix(
        "exfat: no GFP_KERNEL for directory entry sets under s_lock",
        "fs/exfat",
        "exfat_sb_info.s_lock",
        version="6.1",
        fixed="6.12",
    ),
    Fix(
        "xfs: the dquot radix tree is filled in a NOFS scope",
        "fs/xfs",
        "xfs_quotainfo.qi_tree_lock",
        version="6.1",
        fixed="6.12",
    ),
    Fix(
        "block: freezing a queue begins a NOIO scope",
        "block",
        "request_queue.q_usage_counter",
        version="6.12",
        fixed="7.2",
    ),
    # -- scopes taken out of 7.2
    Fix(
        "ext4: writeback's rwsem is held in a NOFS scope",
        "fs/ext4",
        "ext4_sb_info.s_writepages_rwsem",
        (
            Edit("fs/ext4/ext4.h", NOFS, "ext4_writepages_down_read"),
            Edit("fs/ext4/ext4.h", NOFS, "ext4_writepages_down_write"),
        ),
    ),
    Fix(
        "ext4: the fast commit lock is held in a NOFS scope",
        "fs/ext4",
        "ext4_sb_info.s_fc_lock",
        (Edit("fs/ext4/ext4.h", NOFS, "ext4_fc_lock"),),
        missed="nothing allocates under s_fc_lock in 7.2: the scope is there to keep it so",
    ),
    Fix(
        "jbd2: a handle is a NOFS scope",
        "fs/ext4",
        "journal_s.j_trans_commit_map",
        (Edit("fs/jbd2/transaction.c", NOFS),),
    ),
    Fix(
        "xfs: the dquot cache is filled in a NOFS scope",
        "fs/xfs",
        "xfs_quotainfo.qi_tree_lock",
        (Edit("fs/xfs/xfs_dquot.c", NOFS),),
    ),
    Fix(
        "quota: acquiring a dquot allocates without __GFP_FS under dq_lock",
        "fs/ext4",
        "dquot.dq_lock",
        (Edit("fs/quota/dquot.c", NOFS, "dquot_acquire"),),
    ),
    Fix(
        "quota: committing a dquot allocates without __GFP_FS under dq_lock",
        "fs/ext2",
        "dquot.dq_lock",
        (Edit("fs/quota/dquot.c", NOFS, "dquot_commit"), Edit("fs/quota/quota_v2.c", NOFS)),
    ),
    Fix(
        "quota: the quota file is written without __GFP_FS under dqio_sem",
        "fs/ext2",
        "quota_info.dqio_sem",
        (Edit("fs/quota/quota_v2.c", NOFS), Edit("fs/quota/quota_v1.c", NOFS)),
    ),
    Fix(
        "ntfs: clusters are allocated in a NOFS scope under the bitmap's lock",
        "fs/ntfs",
        "ntfs_volume.lcnbmp_lock",
        (Edit("fs/ntfs/lcnalloc.c", NOFS), Edit("fs/ntfs/lcnalloc.h", NOFS)),
    ),
    Fix(
        "ntfs: MFT records are allocated in a NOFS scope",
        "fs/ntfs",
        "ntfs_volume.mftbmp_lock",
        (Edit("fs/ntfs/mft.c", NOFS),),
    ),
    Fix(
        "ceph: current->journal_info is used in a NOFS scope",
        "fs/ceph",
        "task_struct.journal_info",
        (Edit("fs/ceph/mds_client.c", NOFS),),
    ),
    Fix(
        "nilfs2: a symlink's mapping keeps its mask without __GFP_FS",
        "fs/nilfs2",
        "the_nilfs.ns_segctor_sem",
        (
            Edit(
                "fs/nilfs2/namei.c",
                ("mapping_set_gfp_mask(", "nothing("),
                "nilfs_symlink",
            ),
        ),
    ),
    Fix(
        "block: a frozen queue is a NOIO scope",
        "block",
        "request_queue.q_usage_counter",
        (Edit("include/linux/blk-mq.h", NOIO),),
    ),
    Fix(
        "blk-mq: the number of hardware queues changes in a NOIO scope",
        "block",
        "request_queue.q_usage_counter",
        (Edit("block/blk-mq.c", NOIO),),
    ),
    Fix(
        "blk-mq-debugfs: files are made in a NOIO scope under debugfs_mutex",
        "block",
        "request_queue.debugfs_mutex",
        (Edit("block/blk.h", NOIO),),
        rule="lock-of-nofs-region",
    ),
    # -- flags made GFP_KERNEL again in 7.2
    Fix(
        "exfat: GFP_NOFS for directory entry sets under s_lock",
        "fs/exfat",
        "exfat_sb_info.s_lock",
        (Edit("fs/exfat/dir.c", KERNEL),),
    ),
    Fix(
        "exfat: GFP_NOFS for the cluster cache under s_lock",
        "fs/exfat",
        "exfat_sb_info.s_lock",
        (Edit("fs/exfat/cache.c", KERNEL),),
    ),
    Fix(
        "jfs: GFP_NOFS for metapages under the allocation group's lock",
        "fs/jfs",
        "inomap.im_aglock",
        (Edit("fs/jfs/jfs_metapage.c", KERNEL),),
    ),
    Fix(
        "jfs: GFP_NOFS for inodes read under the free list's lock",
        "fs/jfs",
        "inomap.im_freelock",
        (Edit("fs/jfs/super.c", KERNEL),),
    ),
    Fix(
        "hpfs: GFP_NOFS under the filesystem's lock",
        "fs/hpfs",
        "hpfs_sb_info.hpfs_mutex",
        (Edit("fs/hpfs/dnode.c", KERNEL),),
    ),
    Fix(
        "nilfs2: GFP_NOFS for paths of the B-tree under the segment constructor's lock",
        "fs/nilfs2",
        "the_nilfs.ns_segctor_sem",
        (Edit("fs/nilfs2/btree.c", KERNEL),),
    ),
    Fix(
        "nilfs2: GFP_NOFS for paths of the B-tree under a metadata file's lock",
        "fs/nilfs2",
        "nilfs_mdt_info.mi_sem",
        (Edit("fs/nilfs2/btree.c", KERNEL),),
    ),
    Fix(
        "ubifs: GFP_NOFS in the tree node cache under commit_sem",
        "fs/ubifs",
        "ubifs_info.commit_sem",
        (Edit("fs/ubifs/tnc.c", KERNEL),),
    ),
    Fix(
        "ubifs: GFP_NOFS in the tree node cache under tnc_mutex",
        "fs/ubifs",
        "ubifs_info.tnc_mutex",
        (Edit("fs/ubifs/tnc.c", KERNEL), Edit("fs/ubifs/tnc_misc.c", KERNEL)),
    ),
    Fix(
        "ubifs: GFP_NOFS in the LEB properties tree under lp_mutex",
        "fs/ubifs",
        "ubifs_info.lp_mutex",
        (Edit("fs/ubifs/lpt.c", KERNEL),),
    ),
    Fix(
        "ubifs: GFP_NOFS in the journal under commit_sem",
        "fs/ubifs",
        "ubifs_info.commit_sem",
        (Edit("fs/ubifs/journal.c", KERNEL),),
        missed="all of them allocate before make_reservation() takes the lock; what is evicted under it "
        "(iput() in ubifs_jnl_write_inode()) is an attribute's inode, which writes nothing (ui->xattr)",
    ),
    Fix(
        "f2fs: GFP_NOFS for segments under curseg_mutex",
        "fs/f2fs",
        "curseg_info.curseg_mutex",
        (Edit("fs/f2fs/segment.c", KERNEL),),
    ),
    Fix(
        "f2fs: GFP_NOFS for free node ids under the journal's lock",
        "fs/f2fs",
        "curseg_info.journal_rwsem",
        (Edit("fs/f2fs/node.c", KERNEL),),
    ),
    Fix(
        "ext4: GFP_NOFS for buddies under the locality group's lock",
        "fs/ext4",
        "ext4_locality_group.lg_mutex",
        (Edit("fs/ext4/mballoc.c", KERNEL),),
    ),
    Fix(
        "ocfs2: GFP_NOFS in the lock manager under the NFS sync lock",
        "fs/ocfs2",
        "ocfs2_super.nfs_sync_rwlock",
        (Edit("fs/ocfs2/dlm/dlmmaster.c", KERNEL),),
    ),
    Fix(
        "ntfs3: GFP_NOFS for MFT records under the bitmap's lock",
        "fs/ntfs3",
        "wnd_bitmap.rw_lock",
        (Edit("fs/ntfs3/frecord.c", KERNEL),),
    ),
    Fix(
        "jfs: GFP_NOFS for the log's bios under the log's lock",
        "fs/jfs",
        "jfs_log.loglock",
        (Edit("fs/jfs/jfs_logmgr.c", KERNEL, "lbmStartIO"),),
    ),
    Fix(
        "ubifs: GFP_NOFS for orphans under commit_sem",
        "fs/ubifs",
        "ubifs_info.commit_sem",
        (Edit("fs/ubifs/orphan.c", KERNEL),),
    ),
    Fix(
        "ubifs: GFP_NOFS in the log under the write buffer's lock",
        "fs/ubifs",
        "ubifs_wbuf.io_mutex",
        (Edit("fs/ubifs/log.c", KERNEL),),
    ),
    Fix(
        "exfat: GFP_NOFS for discards under the bitmap's lock",
        "fs/exfat",
        "exfat_sb_info.bitmap_lock",
        (Edit("fs/exfat/balloc.c", KERNEL), Edit("fs/exfat/fatent.c", KERNEL)),
    ),
    Fix(
        "ntfs3: GFP_NOFS for discards under the bitmap's lock",
        "fs/ntfs3",
        "wnd_bitmap.rw_lock",
        (Edit("fs/ntfs3/super.c", KERNEL, "ntfs_discard"),),
    ),
    Fix(
        "ocfs2: GFP_NOFS for cached blocks under a refcount tree's lock",
        "fs/ocfs2",
        "ocfs2_refcount_tree.rf_sem",
        (Edit("fs/ocfs2/uptodate.c", KERNEL),),
    ),
    # -- known to be missed
    Fix(
        "f2fs: folios are allocated without __GFP_FS while others are locked",
        "fs/f2fs",
        "folio",
        (Edit("fs/f2fs/f2fs.h", NOFS),),
        missed="locked folios are no locks to the audit: reclaim only tries them",
    ),
    Fix(
        "cifs: the server's mutex is held in a NOFS scope",
        "fs/smb",
        "TCP_Server_Info._srv_mutex",
        (Edit("fs/smb/client/cifsglob.h", NOFS),),
        missed="7.2 has no ->writepage, by which reclaim came to the mutex in 5.17",
    ),
    Fix(
        "xfs: a transaction is a NOFS scope",
        "fs/xfs",
        "transaction",
        (Edit("fs/xfs/xfs_trans.h", NOFS),),
        missed="eviction starts no transaction since inodes are inactivated by a worker",
    ),
    Fix(
        "zonefs: zones are managed in a NOIO scope",
        "fs/zonefs",
        "zonefs_inode_info.i_truncate_mutex",
        (Edit("fs/zonefs/super.c", NOIO),),
        missed="a lock of each inode, taken in writeback, which reclaim no longer starts",
    ),
    Fix(
        "f2fs: zones are reset in a NOFS scope",
        "fs/f2fs",
        "f2fs_sb_info.gc_lock",
        (Edit("fs/f2fs/segment.c", NOFS),),
        function="__f2fs_issue_discard_zone",
    ),
)
