#include "toy.h"

/* What reclaim waits for indirectly: other tasks, work, lockdep's own notes. */

static void toy_flush(struct work_struct *work)
{
	kfree(kmalloc(8, GFP_KERNEL));
}

static void toy_tidy(struct work_struct *work)
{
	kfree(kmalloc(8, GFP_NOFS));			/* cannot enter the reclaim that waits */
}

static void toy_set_up(struct toy_sb_info *sbi)
{
	INIT_WORK(&sbi->flush_work, toy_flush);
	INIT_WORK(&sbi->tidy_work, toy_tidy);
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&sbi->noted_lock);
	fs_reclaim_release(GFP_KERNEL);
}

static long toy_free_cached(struct super_block *sb)
{
	struct toy_sb_info *sbi = sb->s_fs_info;

	flush_work(&sbi->flush_work);			/* LINE wait-allocates */
	flush_work(&sbi->tidy_work);
	mutex_lock(&sbi->reclaim_lock);
	mutex_unlock(&sbi->reclaim_lock);
	return 0;
}

static void toy_drop_inode(struct inode *inode)
{
	mutex_lock(&TOY_SB(inode->i_sb)->shared_lock);	/* everybody's, though reached from the inode */
	mutex_unlock(&TOY_SB(inode->i_sb)->shared_lock);
}

static const struct super_operations toy_other_sops = {
	.drop_inode		= toy_drop_inode,
	.free_cached_objects	= toy_free_cached,
};

static void toy_shared(struct inode *inode)
{
	mutex_lock(&TOY_SB(inode->i_sb)->shared_lock);
	kfree(kmalloc(8, GFP_KERNEL));			/* LINE lock-of-superblock */
	mutex_unlock(&TOY_SB(inode->i_sb)->shared_lock);
}

static void toy_noted(struct toy_sb_info *sbi)
{
	mutex_lock(&sbi->noted_lock);
	kfree(kmalloc(8, GFP_KERNEL));			/* LINE lock-noted */
	mutex_unlock(&sbi->noted_lock);
}

/* Holds what reclaim takes, and waits for another lock. */
static void toy_first(struct toy_sb_info *sbi)
{
	mutex_lock(&sbi->reclaim_lock);
	mutex_lock(&sbi->second_lock);
	mutex_unlock(&sbi->second_lock);
	mutex_unlock(&sbi->reclaim_lock);
}

static void toy_second(struct toy_sb_info *sbi)
{
	mutex_lock(&sbi->second_lock);
	kfree(kmalloc(8, GFP_KERNEL));			/* LINE second-lock */
	mutex_unlock(&sbi->second_lock);
}

static void toy_if(struct toy_sb_info *sbi, int wanted)
{
	if (wanted)
		mutex_lock(&sbi->shared_lock);
	kfree(kmalloc(8, GFP_KERNEL));			/* LINE lock-if */
	if (wanted)
		mutex_unlock(&sbi->shared_lock);
	kfree(kmalloc(16, GFP_KERNEL));			/* after the unlock, whatever was wanted */
}

/* Every caller has begun a scope. */
static void toy_quiet_inner(struct toy_sb_info *sbi)
{
	mutex_lock(&sbi->shared_lock);
	kfree(kmalloc(8, GFP_KERNEL));
	mutex_unlock(&sbi->shared_lock);
}

static void toy_quiet_outer(struct toy_sb_info *sbi)
{
	unsigned int flags = memalloc_nofs_save();

	toy_quiet_inner(sbi);
	memalloc_nofs_restore(flags);
}

static void toy_transaction(struct toy_sb_info *sbi)
{
	current->journal_info = sbi;
	kfree(kmalloc(8, GFP_KERNEL));			/* LINE journal-info */
	current->journal_info = NULL;
	kfree(kmalloc(8, GFP_KERNEL));
}
