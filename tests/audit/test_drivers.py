"""What is believed of block and GPU drivers, in small ones of our own: each pair differs in what decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from ring3.audit.findings import Finding
from ring3.audit.run import audit


def findings(tmp_path: Path, text: str, folder: str) -> list[Finding]:
    """What is shown by default of the driver ``text``."""
    home = tmp_path / "drivers" / folder
    home.mkdir(parents=True)
    (home / "toy.c").write_text(text)
    return [one for one in audit(tmp_path).findings if one.level != "note"]


BLOCK = """
struct toy { struct mutex lock; struct semaphore write; struct gendisk *disk; struct kref refs;
             struct work_struct work; void *table; int ready; };
struct toy_cmd { struct mutex lock; struct toy *toy; };
struct toy_name { struct kref refs; struct toy *toy; };
%s
static const struct blk_mq_ops toy_mq_ops = { .queue_rq = toy_queue_rq };
"""
TAKES = """
static blk_status_t toy_queue_rq(struct blk_mq_hw_ctx *hctx, const struct blk_mq_queue_data *bd)
{
    struct toy *toy = hctx->driver_data;
    %s
    return 0;
}
"""
LOCKS = "mutex_lock(&toy->lock); mutex_unlock(&toy->lock);"


@pytest.mark.parametrize(
    ("hold", "wanted"),
    [
        # Tried, and waited for in the other case: it is held once, and given back once.
        (
            "if (fast && !mutex_trylock(&toy->lock)) return; else if (!fast) mutex_lock(&toy->lock);"
            "toy->ready = 1; mutex_unlock(&toy->lock); toy->table = kmalloc(8, GFP_KERNEL);",
            False,
        ),
        (
            "if (fast && !mutex_trylock(&toy->lock)) return; else if (!fast) mutex_lock(&toy->lock);"
            "toy->table = kmalloc(8, GFP_KERNEL); mutex_unlock(&toy->lock);",
            True,
        ),
        # Taken on one side, by a function that may fail: no more is known once it has not failed.
        (
            "err = fast ? toy_lock(toy) : toy_look(toy); if (err) return;"
            "toy->table = kmalloc(8, GFP_KERNEL); if (fast) mutex_unlock(&toy->lock);",
            True,
        ),
    ],
)
def test_how_a_lock_is_held(tmp_path: Path, hold: str, wanted: bool) -> None:
    holder = """
    int toy_lock(struct toy *toy)
    {
        if (mutex_lock_interruptible(&toy->lock))
            return -EINTR;
        return 0;
    }
    int toy_look(struct toy *toy);
    void toy_hold(struct toy *toy, bool fast)
    {
        int err;
        %s
    }
    """
    found = findings(tmp_path, BLOCK % (holder % hold + TAKES % LOCKS), "block")
    assert bool(found) is wanted
    if "err =" in hold:
        assert "the lock is held if fast" in found[0].why


@pytest.mark.parametrize("by_name", [True, False], ids=["a task", "a handler"])
def test_a_semaphore_that_the_end_of_io_gives_back_is_nobodys(
    tmp_path: Path, by_name: bool
) -> None:
    text = """
    static void toy_written(struct bio *bio)
    {
        struct toy *toy = bio->bi_private;
        up(&toy->write);
    }
    static void toy_write(struct toy *toy)
    {
        down(&toy->write);
        submit(toy, toy_written);
    }
    void toy_hold(struct toy *toy)
    {
        toy_write(toy);
        toy->table = kmalloc(8, GFP_KERNEL);
        %s
    }
    """ % ("toy_written(toy);" if by_name else "")
    found = findings(tmp_path, BLOCK % (text + TAKES % "toy_write(toy);"), "block")
    assert bool(found) is by_name


HOLD = """
void toy_hold(struct toy *toy, struct toy_cmd *cmd)
{
    mutex_lock(&%s->lock);
    toy->table = kmalloc(8, GFP_KERNEL);
    mutex_unlock(&%s->lock);
}
"""


@pytest.mark.parametrize(("object", "wanted"), [("toy", False), ("name", True)])
def test_who_has_io_has_a_reference_to_the_disk(tmp_path: Path, object: str, wanted: bool) -> None:
    takes = TAKES % (
        "struct toy_name *name = hctx->name;"
        f"if (refcount_dec_and_test(&{object}->refs)) {{ {LOCKS} }}"
    )
    found = findings(tmp_path, BLOCK % (HOLD % ("toy", "toy") + takes), "block")
    assert bool(found) is wanted


@pytest.mark.parametrize("own", [True, False])
def test_a_request_has_locks_of_its_own(tmp_path: Path, own: bool) -> None:
    where = "blk_mq_rq_to_pdu(bd->rq)" if own else "hctx->cmd"
    takes = TAKES % (
        f"struct toy_cmd *cmd = {where}; mutex_lock(&cmd->lock); mutex_unlock(&cmd->lock);"
    )
    found = findings(tmp_path, BLOCK % (HOLD % ("cmd", "cmd") + takes), "block")
    assert bool(found) is not own


JOBS = """
struct toy { struct work_struct work; struct workqueue_struct *queue; void *context; int ready; };
static void toy_%s(struct work_struct *work)
{
    struct toy *toy = container_of(work, struct toy, work);
    toy->context = kmalloc(%s);
}
static void toy_reset(struct toy *toy)
{
    queue_work(toy->queue, &toy->work);
}
static enum drm_gpu_sched_stat toy_timedout(struct drm_sched_job *job)
{
    toy_reset(job->toy);
    return 0;
}
void toy_setup(struct toy *toy)
{
    INIT_WORK(&toy->work, toy_%s);
}
static const struct drm_sched_backend_ops toy_sched_ops = { .timedout_job = toy_timedout };
"""


@pytest.mark.parametrize(
    ("worker", "call", "wanted"),
    [
        ("restart", "8, GFP_KERNEL", True),
        ("coredump", "8, GFP_KERNEL", False),
        ("restart", "offsetof(struct toy, table[toy->ready]), GFP_KERNEL", True),
        ("restart", "offsetof(struct toy, table[toy->ready]), GFP_NOWAIT", False),
    ],
)
def test_who_is_waited_for_with_what_flags(
    tmp_path: Path, worker: str, call: str, wanted: bool
) -> None:
    found = findings(tmp_path, JOBS % (worker, call, worker), "gpu/drm/toy")
    assert [one.rule for one in found] == ["wait-in-reclaim"] * wanted


@pytest.mark.parametrize(("flags", "wanted"), [("GFP_ATOMIC", False), ("GFP_NOIO", True)])
def test_a_tree_that_a_helper_is_handed_is_one_of_the_drivers(
    tmp_path: Path, flags: str, wanted: bool
) -> None:
    text = f"""
    static int toy_insert(struct radix_tree_root *root, unsigned long index, void *item)
    {{
        toy_count(index);
        toy_mark(item);
        toy_look(root);
        return radix_tree_insert(root, index, item);
    }}
    void toy_setup(struct toy *toy)
    {{
        INIT_RADIX_TREE(&toy->table, {flags});
    }}
    """
    takes = TAKES % "toy_insert(&toy->table, 1, toy);"
    assert bool(findings(tmp_path, BLOCK % (text + takes), "block")) is wanted


def test_of_equal_calls_of_a_function_that_is_waited_for_the_first_is_told(tmp_path: Path) -> None:
    twice = JOBS.replace(
        "toy->context = kmalloc(%s);",
        "toy->context = kmalloc(%s); toy->queue = kmalloc(8, GFP_KERNEL);",
    )
    (one,) = findings(tmp_path, twice % ("restart", "8, GFP_KERNEL", "restart"), "gpu/drm/toy")
    assert one.at.function == "toy_restart"


def test_work_that_some_other_devices_operation_queues_is_not_waited_for(tmp_path: Path) -> None:
    text = """
    struct target; struct target_ops { void (*done)(struct target *target); };
    struct target { const struct target_ops *ops; struct work_struct work; void *buffer; };
    static void toy_work(struct work_struct *work)
    {
        struct target *target = container_of(work, struct target, work);
        target->buffer = kmalloc(8, GFP_KERNEL);
    }
    static void far_done(struct target *target) { queue_work(far_wq, &target->work); }
    static void near_done(struct target *target) { target->buffer = 0; }
    static const struct target_ops far_ops = { .done = far_done };
    static const struct target_ops near_ops = { .done = near_done };
    void toy_setup(struct target *target) { INIT_WORK(&target->work, toy_work); }
    """
    told = TAKES % "struct target *target = hctx->target; %s(target);"
    assert not findings(tmp_path / "any", BLOCK % (text + told % "target->ops->done"), "block")
    assert findings(tmp_path / "far", BLOCK % (text + told % "far_done"), "block")


SETTLED = """
struct toy { void *context; int ready; };
static void toy_make(struct toy *toy)
{
    %s
    toy->context = kmalloc(8, GFP_KERNEL);
}
static enum drm_gpu_sched_stat toy_timedout(struct drm_sched_job *job)
{
    toy_make(job->toy);
    return 0;
}
%s
static const struct drm_sched_backend_ops toy_sched_ops = { .timedout_job = toy_timedout };
"""
PROBE = "int toy_probe(struct toy *toy) { toy_make(toy); return 0; }"
STOPS = "void toy_%s(struct toy *toy) { toy->context = NULL; }"


@pytest.mark.parametrize(
    ("guard", "others", "wanted"),
    [
        ("if (toy->context) return;", PROBE, False),
        ("if (toy->context) return;", PROBE + STOPS % "remove", False),
        ("if (toy->context) return;", PROBE + STOPS % "suspend", True),  # made again afterwards
        ("if (toy->context) return;", "", True),  # made when it is first used
        ("if (toy->ready) return;", PROBE, True),  # it says something else
        ("", PROBE, True),
    ],
)
def test_what_the_first_initialisation_has_settled(
    tmp_path: Path, guard: str, others: str, wanted: bool
) -> None:
    found = findings(tmp_path, SETTLED % (guard, others), "gpu/drm/toy")
    assert [one.rule for one in found] == ["wait-in-reclaim"] * wanted


@pytest.mark.parametrize("scope", [True, False])
def test_a_holder_that_is_only_called_in_a_scope_without_reclaim(
    tmp_path: Path, scope: bool
) -> None:
    begin, end = (
        ("flags = memalloc_noreclaim_save();", "memalloc_noreclaim_restore(flags);")
        if scope
        else ("", "")
    )
    text = f"""
    struct toy {{ struct mutex lock; struct mutex child; void *table; }};
    static void toy_split(struct toy *toy)
    {{
        mutex_lock(&toy->child);
        toy->table = kmalloc(8, GFP_KERNEL);
        mutex_unlock(&toy->child);
    }}
    static bool toy_invalidate(struct mmu_interval_notifier *mni)
    {{
        struct toy *toy = container_of(mni, struct toy, notifier);
        unsigned int flags;
        {begin}
        toy_split(toy);
        {end}
        return true;
    }}
    static const struct mmu_interval_notifier_ops toy_mn_ops = {{ .invalidate = toy_invalidate }};
    """
    found = findings(tmp_path, text, "gpu/drm/toy")
    assert bool(found) is not scope
