#include "toy.h"

/* Reached with TOY_DROP only: the branch for TOY_LOAD is not part of reclaim. */
static void toy_table(struct inode *inode, enum toy_mode mode, gfp_t gfp)
{
	void *block;

	if (mode == TOY_LOAD)
		block = kmalloc(64, GFP_KERNEL | __GFP_NOFAIL);	/* not from evict */
	gfp |= __GFP_NOFAIL;
	block = toy_block(inode, gfp);			/* LINE nofail-propagated */
	kfree(block);
}

static void *toy_block(struct inode *inode, gfp_t gfp)
{
	return kmem_cache_alloc(toy_cache, gfp);	/* LINE nofail-site */
}

static void toy_macro(void)
{
	void *p = toy_alloc(32);			/* LINE nofail-macro */
}

/* Guarded: nothing here is reached from reclaim. */
static void toy_guarded(struct inode *inode)
{
	if (current->flags & PF_MEMALLOC)
		return;
	kmalloc(8, GFP_KERNEL | __GFP_NOFAIL);
}

static void toy_atomic(void)
{
	kmalloc(8, GFP_ATOMIC | __GFP_NOFAIL);		/* does not sleep */
	kmalloc_objs(loff_t *, 8, GFP_ATOMIC | __GFP_NOFAIL);
}

#undef TOY_TRACE

/* What no configuration compiles is not there. */
static void toy_trace(void)
{
#if 0
	kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
#ifdef CONFIG_TOY
	kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
#endif
#endif
#ifdef TOY_TRACE
	kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
#else
	kmalloc(16, GFP_NOFS | __GFP_NOFAIL);		/* LINE nofail-compiled */
#endif
}

/* Nothing that is called under a spinning lock sleeps, save what gives the lock back before. */
static void toy_sleepless(struct toy_sb_info *sbi)
{
	kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
}

static void toy_drop_and_retake(struct toy_sb_info *sbi)
{
	spin_unlock(&sbi->list_lock);
	kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE nofail-unlocked */
	spin_lock(&sbi->list_lock);
}

static void toy_again(struct toy_sb_info *sbi)
{
	toy_drop_and_retake(sbi);
}

static void toy_spin(struct toy_sb_info *sbi)
{
	spin_lock(&sbi->list_lock);
	toy_sleepless(sbi);
	if (sbi->busy)
		toy_again(sbi);
	spin_unlock(&sbi->list_lock);
	kmalloc(16, GFP_NOFS | __GFP_NOFAIL);		/* LINE nofail-after-spinning */
}

static int toy_isolate(struct list_head *item, void *arg)
{
	arg = kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE nofail-callback */
	return 0;
}

static void toy_evict_inode(struct inode *inode)
{
	struct toy_sb_info *sbi = TOY_SB(inode->i_sb);
	struct toy_inode_info *ti = TOY_I(inode);

	mutex_lock(&ti->own_lock);			/* the inode's own: nobody else has it */
	mutex_unlock(&ti->own_lock);
	if (!mutex_trylock(&sbi->quiet_lock))
		return;
	mutex_unlock(&sbi->quiet_lock);
	toy_table(inode, TOY_DROP, GFP_NOFS);
	toy_macro();
	toy_guarded(inode);
	toy_atomic();
	toy_trace();
	toy_spin(sbi);
	toy_walk(inode, toy_isolate);
	mutex_lock(&sbi->table_lock);			/* LINE reclaim-takes */
	mutex_unlock(&sbi->table_lock);
	lock_map_acquire(&sbi->handle_map);		/* waits for who has a handle */
	lock_map_release(&sbi->handle_map);
	toy_log_begin(sbi);
	toy_log_end(sbi);
	toy_gate_enter(&sbi->gate);
	toy_gate_leave(&sbi->gate);
}

static const struct super_operations toy_sops = {
	.evict_inode	= toy_evict_inode,
};

enum toy_choice { TOY_KEEP, TOY_DELETE };

static enum toy_choice toy_choose(struct inode *inode)
{
	if (current->flags & PF_MEMALLOC)
		return TOY_KEEP;
	return TOY_DELETE;
}

/* What toy_choose() answers in reclaim decides: no deletion there. */
static void toy_destroy_inode(struct inode *inode)
{
	enum toy_choice choice = toy_choose(inode);

	if (choice == TOY_DELETE)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
	if (choice == TOY_KEEP)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE nofail-chosen */
}

static const struct super_operations toy_more_sops = {
	.destroy_inode	= toy_destroy_inode,
};

/* The first time round err is 0; the allocation comes the second time. */
static void toy_free_inode(struct inode *inode)
{
	int err = 0;

retry:
	if (err)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE nofail-retry */
	err = toy_remove(inode);
	if (err)
		goto retry;
}

static const struct super_operations toy_last_sops = {
	.free_inode	= toy_free_inode,
};
