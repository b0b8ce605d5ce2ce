#include "toy.h"

/* What was known of a value and is known no longer.  Every allocation here can happen. */
struct toy_inner {
	int flag;
};

struct toy_outer {
	int flag;
	int slots[4];
	struct toy_inner part;
	struct toy_inner *next;
	struct work_struct work;
};

static int toy_reserved;

static void toy_step(struct super_block *sb, int *err)
{
	*err = toy_ask(sb);
}

static void toy_next_round(struct super_block *sb)
{
	int err = 0;

	while (toy_ask(sb)) {
		if (err)
			kmalloc(8, GFP_NOFS | __GFP_NOFAIL);	/* LINE changed-in-the-round-before */
		toy_step(sb, &err);
	}
}

static void toy_count_up(struct super_block *sb, int *count)
{
	*count = 0;
	toy_step(sb, count);
	if (*count)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-behind-a-pointer */
}

static void toy_mark(struct toy_inner *inner)
{
	inner->flag = 1;
}

static void toy_mark_deep(struct toy_outer *outer)
{
	outer->next->flag = 1;
}

static void toy_mark_alias(struct toy_outer *outer)
{
	struct toy_inner *inner = &outer->part;

	inner->flag = 1;
}

static void toy_parts(struct toy_outer *outer, struct toy_outer *other)
{
	outer->part.flag = 0;
	toy_mark(&outer->part);
	if (outer->part.flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-part */
	outer->part.flag = 0;
	toy_mark_alias(outer);
	if (outer->part.flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-by-another-name */
	outer->next->flag = 0;
	toy_mark(outer->next);
	if (outer->next->flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-further */
	outer->next->flag = 0;
	toy_mark_deep(outer);
	if (outer->next->flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-deep */
	outer->next->flag = 0;
	outer->next = toy_ask(other);
	if (outer->next->flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-pointer */
}

static void toy_whole(struct toy_outer *outer, struct toy_outer *other)
{
	outer->flag = 0;
	*outer = *other;
	if (outer->flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-as-a-whole */
}

static void toy_slots(struct super_block *sb, int at)
{
	struct toy_outer *outer = kzalloc(64, GFP_NOWAIT);

	outer->slots[at] = toy_ask(sb);
	if (outer->slots[0])
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-slot */
}

static void toy_two_names(struct super_block *sb)
{
	struct toy_outer outer = { .flag = 0 };
	struct toy_outer *same = &outer;

	same->flag = toy_ask(sb);
	if (outer.flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-by-alias */
}

static void toy_worker(struct super_block *sb)
{
	struct toy_outer outer = { .flag = 0 };

	queue_work(sb->wq, &outer.work);
	toy_ask(sb);
	if (outer.flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-by-a-worker */
}

static bool toy_is(struct super_block *sb, int kind)
{
	return kind == 2;
}

static void toy_either_kind(struct super_block *sb)
{
	if (toy_is(sb, 2) &&
	    !toy_is(sb, 3))
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE asked-twice */
}

static void toy_range(struct super_block *sb, unsigned long begin, unsigned long end)
{
	if (begin < end)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE no-end */
}

static void toy_identify(struct super_block *sb)
{
	int id = 0;

	xa_alloc(&sb->ids, &id, sb, 0, GFP_NOWAIT);
	if (id)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-by-an-allocation */
}

static void toy_global(struct super_block *sb)
{
	toy_reserved = 0;
	toy_ask(sb);
	if (toy_reserved)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-global */
}

static void toy_again(struct super_block *sb)
{
	static int before = 0;

	if (before)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE static-from-before */
	before = 1;
}

#define toy_put_into(x, from) ((x) = toy_ask(from))

static void toy_macro_assigns(struct super_block *sb)
{
	int answer = 0;

	toy_put_into(answer, sb);
	if (answer)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-by-a-macro */
}

#define head 1
#undef head

/* A variable is not the constant of that name. */
static void toy_named(struct super_block *sb)
{
	void *head = toy_ask(sb);

	if (!head)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE named-like-a-constant */
}

static void toy_clear(struct super_block *sb)
{
	sb->outer->flag = 1;
}

static void toy_shared(struct super_block *sb, struct toy_outer *outer)
{
	outer->flag = 0;
	toy_clear(sb);
	if (outer->flag)
		kmalloc(8, GFP_NOFS | __GFP_NOFAIL);		/* LINE changed-by-who-shares-it */
}

static void toy_sometimes_quiet(struct super_block *sb, int quiet)
{
	unsigned int flags;

	if (quiet)
		flags = memalloc_noreclaim_save();
	toy_ask(sb);
	kmalloc(8, GFP_NOFS | __GFP_NOFAIL);			/* LINE scope-on-one-side */
	if (quiet)
		memalloc_noreclaim_restore(flags);
}

static long toy_change(struct super_block *sb, struct shrink_control *sc)
{
	toy_next_round(sb);
	toy_count_up(sb, sb->count);
	toy_parts(sb->outer, sb->other);
	toy_whole(sb->outer, sb->other);
	toy_slots(sb, sc->nid);
	toy_two_names(sb);
	toy_worker(sb);
	toy_either_kind(sb);
	toy_range(sb, 0, ~0UL);
	toy_identify(sb);
	toy_global(sb);
	toy_again(sb);
	toy_macro_assigns(sb);
	toy_named(sb);
	toy_shared(sb, sb->outer);
	toy_sometimes_quiet(sb, sc->nid);
	return 0;
}

static const struct super_operations toy_change_sops = {
	.nr_cached_objects	= toy_change,
};
