"""What reclaim waits for: work on queues without a thread for it, events that a thread wakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ring3.audit.review import review_trees
from ring3.audit.run import Report, audit

_EVICT = """
static const struct super_operations toy_ops = { .evict_inode = toy_evict_inode };
"""
Audited = Callable[[str], Report]


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audited:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "tree").mkdir()

    def run(source: str) -> Report:
        (tmp_path / "tree" / "toy.c").write_text(source)
        return audit(tmp_path / "tree", workers=1)

    return run


def flushes(report: Report) -> list[str]:
    return [
        f"{one.level} {one.at.function}"
        for one in report.findings
        if "made without WQ_MEM_RECLAIM" in one.message
    ]


_FLUSH = """
struct toy {{ struct work_struct work; struct workqueue_struct *wq; struct workqueue_struct *other; }};
static void toy_work(struct work_struct *work) {{ }}
static void toy_open(struct toy *toy, unsigned int handed)
{{
	INIT_WORK(&toy->work, toy_work);
	{make}
}}
static void toy_change(struct toy *toy) {{ {queue} }}
static void toy_evict_inode(struct inode *inode)
{{
	struct toy *toy = TOY(inode);
	{flush}
}}
"""
_QUEUE, _WAIT = "queue_work(toy->wq, &toy->work);", "flush_work(&toy->work);"


@pytest.mark.parametrize(
    "make",
    [
        'toy->wq = alloc_workqueue("toy", WQ_UNBOUND, 0);',
        'toy->wq = alloc_workqueue("WQ_MEM_RECLAIM", 0, 0);',
        'toy->wq = alloc_ordered_workqueue("toy-%s", WQ_FREEZABLE, toy->name);',
        'unsigned int flags = WQ_UNBOUND; flags |= WQ_SYSFS; toy->wq = alloc_workqueue("toy", flags, 0);',
        'struct workqueue_struct *made = alloc_workqueue("toy", 0, 0); if (!made) return; toy->wq = made;',
    ],
)
def test_work_on_a_queue_without_a_thread_is_not_waited_for_in_reclaim(
    audited: Audited, make: str
) -> None:
    report = audited(_FLUSH.format(make=make, queue=_QUEUE, flush=_WAIT) + _EVICT)
    assert flushes(report) == ["warning toy_evict_inode"]
    whole = _FLUSH.format(make=make, queue=_QUEUE, flush="flush_workqueue(toy->wq);") + _EVICT
    assert flushes(audited(whole)) == ["warning toy_evict_inode"]


@pytest.mark.parametrize(
    "make",
    [
        'toy->wq = alloc_workqueue("toy", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);',
        'toy->wq = alloc_workqueue("toy", TOY_FLAGS(WQ_MEM_RECLAIM), 0);',
        'int flags = WQ_UNBOUND; flags |= WQ_MEM_RECLAIM; toy->wq = alloc_workqueue("toy", flags, 0);',
        'toy->wq = create_singlethread_workqueue("toy");',
        'toy->wq = alloc_workqueue("toy", WQ_BH, 0);',
        'toy->wq = alloc_workqueue("toy", handed, 0);',
        'toy->wq = alloc_workqueue("toy", SOMEBODY_ELSES, 0);',
        'int flags = handed; flags |= WQ_SYSFS; toy->wq = alloc_workqueue("toy", flags, 0);',
        "toy->wq = somebody_elses_queue();",
    ],
)
def test_a_queue_that_keeps_one_or_that_is_not_known_is_not_told(
    audited: Audited, make: str
) -> None:
    for flush in (_WAIT, "flush_workqueue(toy->wq);"):
        assert not flushes(audited(_FLUSH.format(make=make, queue=_QUEUE, flush=flush) + _EVICT))


_MADE = 'toy->wq = alloc_workqueue("toy", WQ_MEM_RECLAIM, 0); toy->other = alloc_workqueue("more", 0, 0);'


@pytest.mark.parametrize(
    ("queue", "flush", "told"),
    [
        ("schedule_work(&toy->work);", _WAIT, True),
        ("schedule_work(&toy->work);", "cancel_work_sync(&toy->work);", False),
        ("queue_work_on(3, toy->other, &toy->work);", _WAIT, True),
        ("struct workqueue_struct *q = toy->other; queue_work(q, &toy->work);", _WAIT, True),
        ("queue_work(toy->other, &toy->work); queue_work(toy->wq, &toy->work);", _WAIT, False),
        ("queue_work(toy->wq, &toy->work);", "flush_workqueue(toy->other);", True),
    ],
)
def test_the_queue_is_that_of_the_work(
    audited: Audited, queue: str, flush: str, told: bool
) -> None:
    report = audited(_FLUSH.format(make=_MADE, queue=queue, flush=flush) + _EVICT)
    assert flushes(report) == ["warning toy_evict_inode"] * told


@pytest.mark.parametrize(("on", "told"), [("toy->wq", True), ("toy->other", False)])
def test_work_made_for_reclaim_waits_for_none_on_such_a_queue(
    audited: Audited, on: str, told: bool
) -> None:
    worker = """
static void toy_worker(struct work_struct *work)
{
	struct toy *toy = container_of(work, struct toy, rescue);
	flush_work(&toy->work);
}
static void toy_start(struct toy *toy)
{
	INIT_WORK(&toy->rescue, toy_worker);
	queue_work(%s, &toy->rescue);
}
"""
    source = _FLUSH.format(make=_MADE, queue="queue_work(toy->other, &toy->work);", flush="")
    source = source.replace("struct toy {", "struct toy { struct work_struct rescue;")
    report = audited(source + worker % on + _EVICT)
    assert flushes(report) == ["warning toy_worker"] * told
    if told:
        (one,) = [one for one in report.findings if "made without" in one.message]
        assert one.message.startswith("toy_worker(), on a queue made with WQ_MEM_RECLAIM, waits")


def test_neither_does_what_writeback_calls(audited: Audited) -> None:
    writes = """
static int toy_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct toy *toy = TOY(mapping->host);
	flush_work(&toy->work);
	return 0;
}
static const struct address_space_operations toy_aops = { .writepages = toy_writepages };
"""
    source = _FLUSH.format(make=_MADE, queue="schedule_work(&toy->work);", flush="")
    assert flushes(audited(source + writes + _EVICT)) == ["warning toy_writepages"]


def test_work_that_ends_io_is_told_in_comparisons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ends = """
static void toy_end_io(struct bio *bio)
{
	struct toy *toy = bio->bi_private;
	queue_work(toy->wq, &toy->work);
}
static void toy_submit(struct bio *bio) { bio->bi_end_io = toy_end_io; submit_bio(bio); }
"""
    for name, flags in (("old", "WQ_MEM_RECLAIM"), ("new", "WQ_HIGHPRI")):
        (tmp_path / name).mkdir()
        make = f'toy->wq = alloc_workqueue("toy", {flags}, 0);'
        source = _FLUSH.format(make=make, queue="", flush="") + ends + _EVICT
        (tmp_path / name / "toy.c").write_text(source)
    review = review_trees(tmp_path / "old", tmp_path / "new")
    assert [one.at.function for one in review.added] == ["toy_end_io"]
    assert "queues toy.work on toy.wq, made without WQ_MEM_RECLAIM" in review.added[0].message
    assert not flushes(review.new) and not review.removed
    assert not review_trees(tmp_path / "new", tmp_path / "old").added


_EVENT = """
struct toy {{ wait_queue_head_t waiters; unsigned long state; bool done; }};
static void toy_done(struct toy *toy)
{{
	toy->done = true;
	{wake}
}}
static int toy_thread(void *data)
{{
	struct toy *toy = data;
	void *memory = kmalloc(1, {flags});
	toy_done(toy);
	return 0;
}}
static void toy_fill_super(struct toy *toy)
{{
	kthread_run(toy_thread, toy, "toy");
	toy_done(toy);
}}
{more}
static void toy_evict_inode(struct inode *inode)
{{
	struct toy *toy = TOY(inode);
	{wait}
}}
"""
_WAKE, _SLEEP = "wake_up(&toy->waiters);", "wait_event(toy->waiters, toy->done);"


def events(report: Report) -> list[str]:
    return [f"{one.level} {one.at.function}" for one in report.findings if one.other]


@pytest.mark.parametrize(
    ("wake", "wait"),
    [
        (_WAKE, _SLEEP),
        ("wake_up_all(&toy->waiters);", "wait_event_killable(toy->waiters, toy->done);"),
        ("clear_and_wake_up_bit(3, &toy->state);", "wait_on_bit(&toy->state, 3, MODE);"),
        ("wake_up_var(&toy->state);", "wait_var_event(&toy->state, toy->done);"),
    ],
)
def test_who_alone_wakes_reclaim_does_not_enter_it(audited: Audited, wake: str, wait: str) -> None:
    report = audited(_EVENT.format(wake=wake, wait=wait, flags="GFP_KERNEL", more="") + _EVICT)
    assert events(report) == ["warning toy_evict_inode"]
    (one,) = [one for one in report.findings if one.other]
    assert "toy_thread(), which wakes it, allocates with GFP_KERNEL" in one.message
    quiet = _EVENT.format(wake=wake, wait=wait, flags="GFP_NOFS", more="") + _EVICT
    assert not events(audited(quiet))


@pytest.mark.parametrize(
    "wait",
    [
        "wait_event_timeout(toy->waiters, toy->done, 9);",
        "wait_event(toy_others, toy->done);",
        "wait_queue_head_t *waiters = any(toy); wait_event(waiters, toy->done);",
    ],
)
def test_who_is_not_waited_for_without_end_may(audited: Audited, wait: str) -> None:
    more = """
static int toy_more(void *data)
{
	wait_queue_head_t *waiters = data;
	void *memory = kmalloc(1, GFP_KERNEL);
	wake_up(waiters);
	return 0;
}
static void toy_begin(struct toy *toy) { kthread_run(toy_more, &toy->others, "more"); }
"""
    assert not events(
        audited(_EVENT.format(wake=_WAKE, wait=wait, flags="GFP_KERNEL", more=more) + _EVICT)
    )


def test_waits_for_one_event_are_told_once(audited: Audited) -> None:
    wait = f"{_SLEEP} toy_other(toy); {_SLEEP}"
    more = f"static void toy_other(struct toy *toy) {{ {_SLEEP} }}"
    report = audited(_EVENT.format(wake=_WAKE, wait=wait, flags="GFP_KERNEL", more=more) + _EVICT)
    (one,) = [one for one in report.findings if one.other]
    assert one.others == 1  # a line of another function


_IOCTL = """
static long toy_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	toy_done(file->private_data);
	return 0;
}
static const struct file_operations toy_fops = { .unlocked_ioctl = toy_ioctl };
"""
_SECOND = """
static int toy_second(void *data)
{
	toy_done(data);
	return 0;
}
static void toy_start(struct toy *toy) { toy->task = kthread_run(toy_second, toy, "second"); }
"""


@pytest.mark.parametrize("more", [_IOCTL, _SECOND])
def test_where_others_wake_too_only_a_change_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, flags in (("old", "GFP_NOFS"), ("new", "GFP_KERNEL")):
        (tmp_path / name).mkdir()
        source = _EVENT.format(wake=_WAKE, wait=_SLEEP, flags=flags, more=more) + _EVICT
        (tmp_path / name / "toy.c").write_text(source)
    review = review_trees(tmp_path / "old", tmp_path / "new", level="warning")
    assert not events(review.new)
    assert [one.at.function for one in review.added] == ["toy_thread"]
    assert not review.removed


def test_what_work_made_for_reclaim_allocates_is_doubted_save_in_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, flags in (("old", "GFP_NOFS"), ("new", "GFP_KERNEL")):
        (tmp_path / name).mkdir()
        make = 'toy->wq = alloc_workqueue("toy", WQ_MEM_RECLAIM, 0);'
        source = _FLUSH.format(make=make, queue=_QUEUE, flush="") + _EVICT
        source = source.replace("work) { }", f"work) {{ kmalloc(1, {flags}); }}")
        # Of a filesystem: it is entered with __GFP_FS.
        (tmp_path / name / "fs" / "toy").mkdir(parents=True)
        (tmp_path / name / "fs" / "toy" / "toy.c").write_text(source)
    review = review_trees(tmp_path / "old", tmp_path / "new", level="warning")
    (shown,) = [one for one in review.new.findings if one.at.function == "toy_work"]
    assert shown.level == "note"
    (added,) = review.added
    assert (added.level, added.at.function) == ("warning", "toy_work")
