#include "toy.h"

static void toy_save(struct work_struct *work)
{
	kmalloc(16, GFP_NOIO);
	kmalloc(16, GFP_KERNEL);			/* LINE rescued-work */
}

static int toy_start(struct toy_sb_info *sbi)
{
	sbi->save_wq = alloc_workqueue("toy_save", WQ_MEM_RECLAIM, 0);
	INIT_WORK(&sbi->save_work, toy_save);
	queue_work(sbi->save_wq, &sbi->save_work);
	return 0;
}

static void toy_end_read(struct bio *bio)
{
	kmalloc(16, GFP_NOIO);
	kmalloc(16, GFP_KERNEL);			/* LINE end-of-io */
}

static void toy_read(struct bio *bio)
{
	bio->bi_end_io = toy_end_read;
}
