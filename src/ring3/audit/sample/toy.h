/* A file system that exists for the audit's tests: every pattern once, real and harmless side by side. */
enum toy_mode { TOY_LOAD, TOY_DROP };

struct toy_gate {
	struct rw_semaphore inner;
};

struct toy_sb_info {
	struct toy_gate gate;
	struct mutex table_lock;
	struct mutex quiet_lock;
	struct rw_semaphore log_sem;
	struct mutex reclaim_lock;
	struct mutex second_lock;
	struct mutex shared_lock;
	struct mutex noted_lock;
	struct lockdep_map handle_map;
	struct work_struct flush_work;
	struct work_struct tidy_work;
	struct work_struct save_work;
	struct workqueue_struct *save_wq;
};

struct toy_inode_info {
	struct mutex own_lock;
	struct inode vfs_inode;
};

static inline struct toy_sb_info *TOY_SB(struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct toy_inode_info *TOY_I(struct inode *inode)
{
	return container_of(inode, struct toy_inode_info, vfs_inode);
}

#define toy_alloc(size, ...) toy_alloc_flags(size, GFP_NOFS, ##__VA_ARGS__)
#define toy_alloc_flags(size, gfp) kmalloc(size, (gfp) | __GFP_NOFAIL)
