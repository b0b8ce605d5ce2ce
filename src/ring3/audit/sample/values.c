#include "toy.h"

enum toy_part { TOY_SUPER, TOY_FILES, TOY_TABLE };

struct toy_control {
	enum toy_part part;
	int depth;
};

/* Which constants select what.  Allocations without a mark are not reached with those that are handed in. */
static void toy_put(struct list_head *item, struct list_head *dispose)
{
	if (dispose)
		list_add(item, dispose);
	else
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
}

static void toy_flush(struct super_block *sb, int part)
{
	if (part == TOY_SUPER)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
	if (part == TOY_FILES)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE nofail-one-of-two */
}

static int toy_path(int block, int *offsets)
{
	int n = 0;

	if (block < 12) {
		offsets[n++] = block;
	} else {
		offsets[n++] = 12;
		offsets[n++] = block - 12;
	}
	return n;
}

static void toy_truncate(struct super_block *sb, long size)
{
	int offsets[2];
	int block = (size + sb->s_blocksize - 1) >> sb->s_blocksize_bits;
	int n = toy_path(block, offsets);

	if (n == 1)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE nofail-answer */
	else
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
}

static void toy_controlled(struct toy_control *control)
{
	if (control->depth)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);
	if (control->part == TOY_TABLE)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE nofail-member */
}

static void toy_deepen(struct toy_control *control)
{
	control->depth = 2;
}

static void toy_deep(struct toy_control *control)
{
	if (control->depth)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE nofail-changed */
}

static long toy_count(struct super_block *sb, struct shrink_control *sc)
{
	struct toy_control control = { .part = TOY_TABLE };
	struct toy_item *one;
	int part, found = 0;
	LIST_HEAD(dispose);

	toy_put(&sb->item, &dispose);
	part = sb->s_flags ? TOY_FILES : TOY_TABLE;
	toy_flush(sb, part);
	toy_truncate(sb, 0);
	toy_controlled(&control);
	toy_deepen(&control);
	toy_deep(&control);
	list_for_each_entry(one, &sb->items, link) {
		found++;
		break;
	}
	if (found)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE nofail-counted */
	return 0;
}

static const struct super_operations toy_value_sops = {
	.nr_cached_objects	= toy_count,
};
