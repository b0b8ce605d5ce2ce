#include "toy.h"

unsigned int toy_log_begin(struct toy_sb_info *sbi)
{
	down_write(&sbi->log_sem);
	return 0;
}

void toy_log_end(struct toy_sb_info *sbi)
{
	up_write(&sbi->log_sem);
}

static unsigned int toy_quiet_begin(struct toy_sb_info *sbi)
{
	unsigned int flags = memalloc_nofs_save();

	down_write(&sbi->log_sem);
	return flags;
}

static void toy_quiet_end(struct toy_sb_info *sbi, unsigned int flags)
{
	up_write(&sbi->log_sem);
	memalloc_nofs_restore(flags);
}

static void *toy_lookup(struct toy_sb_info *sbi)
{
	void *entry;

	mutex_lock(&sbi->table_lock);
	entry = kzalloc(64, GFP_KERNEL);		/* LINE lock-direct */
	mutex_unlock(&sbi->table_lock);
	return entry;
}

static void *toy_lookup_nofs(struct toy_sb_info *sbi)
{
	void *entry;

	mutex_lock(&sbi->table_lock);
	entry = kzalloc(64, GFP_NOFS);
	mutex_unlock(&sbi->table_lock);
	kfree(entry);
	return kzalloc(64, GFP_KERNEL);			/* after the unlock */
}

static int toy_append(struct toy_sb_info *sbi)
{
	void *record;

	toy_log_begin(sbi);				/* taken by a function that returns with it */
	record = toy_record(sbi, GFP_KERNEL);		/* LINE lock-through-helper */
	toy_log_end(sbi);
	return 0;
}

static int toy_append_quietly(struct toy_sb_info *sbi)
{
	unsigned int flags = toy_quiet_begin(sbi);	/* lock and scope, both begun elsewhere */

	toy_record(sbi, GFP_KERNEL);
	toy_quiet_end(sbi, flags);
	return 0;
}

static void *toy_record(struct toy_sb_info *sbi, gfp_t gfp)
{
	return kmalloc(16, gfp);			/* LINE lock-helper-site */
}

static void toy_unlocks_first(struct toy_sb_info *sbi)
{
	mutex_unlock(&sbi->table_lock);
	kmalloc(16, GFP_KERNEL);
	mutex_lock(&sbi->table_lock);
}

static void toy_caller_of_unlocker(struct toy_sb_info *sbi)
{
	mutex_lock(&sbi->table_lock);
	toy_unlocks_first(sbi);
	mutex_unlock(&sbi->table_lock);
}

static void toy_own(struct inode *inode)
{
	struct toy_inode_info *ti = TOY_I(inode);

	mutex_lock(&ti->own_lock);			/* reclaim only takes that of an unused inode */
	kmalloc(16, GFP_KERNEL);
	mutex_unlock(&ti->own_lock);
}

static void toy_tried(struct toy_sb_info *sbi)
{
	mutex_lock(&sbi->quiet_lock);			/* reclaim only tries it */
	kmalloc(16, GFP_KERNEL);
	mutex_unlock(&sbi->quiet_lock);
}

static void toy_scoped(struct toy_sb_info *sbi)
{
	scoped_guard(mutex, &sbi->table_lock) {
		kmalloc(16, GFP_KERNEL);		/* LINE lock-scoped-guard */
	}
	kmalloc(16, GFP_KERNEL);			/* after the guard's block */
}

static void toy_guard(struct toy_sb_info *sbi)
{
	guard(mutex)(&sbi->table_lock);
	kmalloc(16, GFP_KERNEL);			/* LINE lock-guard */
}

static void toy_error_path(struct toy_sb_info *sbi, int fail)
{
	mutex_lock(&sbi->table_lock);
	if (fail)
		goto out_unlock;
	mutex_unlock(&sbi->table_lock);
	kmalloc(16, GFP_KERNEL);			/* not held */
	return;
out_unlock:
	mutex_unlock(&sbi->table_lock);
	kmalloc(16, GFP_KERNEL);			/* not held */
}

void toy_gate_enter(struct toy_gate *gate)
{
	down_write(&gate->inner);
}

void toy_gate_leave(struct toy_gate *gate)
{
	up_write(&gate->inner);
}

void toy_gate_enter_counted(struct toy_gate *gate, int *count)
{
	toy_gate_enter(gate);				/* a wrapper's wrapper */
	*count += 1;
}

static void toy_gated(struct toy_sb_info *sbi, int *count)
{
	toy_gate_enter_counted(&sbi->gate, count);
	kmalloc(16, GFP_KERNEL);			/* LINE lock-wrapped */
	toy_gate_leave(&sbi->gate);
	kmalloc(16, GFP_KERNEL);			/* after it was given back */
}

static void toy_either(struct toy_sb_info *sbi, bool wait)
{
	mutex_lock(&sbi->table_lock);
	kmalloc(16, wait ? GFP_KERNEL : GFP_NOWAIT);	/* LINE lock-either-flags */
	kmalloc(16, wait ? GFP_NOFS : GFP_NOWAIT);
	mutex_unlock(&sbi->table_lock);
}

static void toy_handle_end(struct toy_sb_info *sbi)
{
	lock_map_release(&sbi->handle_map);
}

static void *toy_handle_begin(struct toy_sb_info *sbi, int blocked)
{
	void *handle;

	if (current->journal_info) {			/* it has one already, and the lock */
		handle = current->journal_info;
		goto got_it;
	}
	if (blocked) {
		lock_map_acquire(&sbi->handle_map);	/* one that it ends to begin the next */
		toy_handle_end(sbi);
	}
	handle = kmalloc(16, GFP_NOFS);
	lock_map_acquire(&sbi->handle_map);
got_it:
	if (toy_record(sbi, GFP_NOFS))
		return handle;
	toy_handle_end(sbi);
	return ERR_PTR(-EIO);
}

static void toy_with_handle(struct toy_sb_info *sbi, int blocked)
{
	void *handle = toy_handle_begin(sbi, blocked);

	if (IS_ERR(handle))
		return;
	kmalloc(16, GFP_KERNEL);			/* LINE lock-of-handle */
	toy_handle_end(sbi);
	kmalloc(16, GFP_KERNEL);			/* after its end */
}

static void toy_handle_if_any(struct toy_sb_info *sbi)
{
	void *handle = toy_handle_begin(sbi, 0);

	if (!IS_ERR(handle))
		toy_handle_end(sbi);
	kmalloc(16, GFP_KERNEL);			/* who has failed has none */
}
