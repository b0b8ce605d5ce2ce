"""Findings in the small tree are exactly the lines marked in its source."""

from __future__ import annotations

from ring3.audit.run import Report

#: Where every allocation can happen.
CHANGES = "changes.c"
Marks = dict[tuple[str, int], str]


def places(report: Report, rule: str) -> set[tuple[str, int]]:
    return {(one.at.file, one.at.line) for one in report.findings if one.rule == rule}


def marked(marks: Marks, *names: str) -> set[tuple[str, int]]:
    assert set(names) <= set(marks.values())
    return {place for place, name in marks.items() if name in names}


def test_nofail_under_pf_memalloc_is_found_and_guards_hold(toy: Report, marks: Marks) -> None:
    wanted = marked(
        marks,
        *("nofail-site", "nofail-macro", "nofail-callback", "nofail-chosen", "nofail-retry"),
        *("nofail-compiled", "nofail-one-of-two", "nofail-answer", "nofail-member"),
        *("nofail-changed", "nofail-counted", "nofail-unlocked", "nofail-after-spinning"),
    )
    found = places(toy, "nofail-in-reclaim")
    assert {place for place in found if place[0] != CHANGES} == wanted


def test_what_may_have_changed_is_not_believed(toy: Report, marks: Marks) -> None:
    wanted = {place for place in marks if place[0] == CHANGES}
    assert len(wanted) == len({marks[place] for place in wanted}) == 20
    found = places(toy, "nofail-in-reclaim")
    assert {place for place in found if place[0] == CHANGES} == wanted


def test_flags_are_propagated_and_shown_at_every_step(toy: Report, marks: Marks) -> None:
    site = marked(marks, "nofail-site").pop()
    one = next(f for f in toy.findings if (f.at.file, f.at.line) == site)
    assert [step.function for step in one.chain] == ["toy_evict_inode", "toy_table", "toy_block"]
    assert "gfp=GFP_NOFS" in one.chain[0].note
    assert "GFP_NOFS|__GFP_NOFAIL" in one.chain[-1].note


def test_a_callback_is_believed_less_than_a_call(toy: Report, marks: Marks) -> None:
    levels = {
        (f.at.file, f.at.line): f.level for f in toy.findings if f.rule == "nofail-in-reclaim"
    }
    assert levels[marked(marks, "nofail-callback").pop()] == "warning"
    assert levels[marked(marks, "nofail-site").pop()] == "error"


def test_locks_around_reclaiming_allocations(toy: Report, marks: Marks) -> None:
    wanted = marked(
        marks,
        *("lock-direct", "lock-helper-site", "lock-scoped-guard", "lock-guard"),
        *("lock-of-superblock", "lock-noted", "lock-if", "journal-info"),
        *("lock-wrapped", "lock-either-flags", "lock-of-handle"),
    )
    assert places(toy, "lock-across-reclaim") == wanted


def test_a_lock_waited_for_under_one_that_reclaim_takes(toy: Report, marks: Marks) -> None:
    place = marked(marks, "second-lock")
    assert places(toy, "lock-of-nofs-region") == place
    (one,) = [f for f in toy.findings if f.rule == "lock-of-nofs-region"]
    assert one.lock == "toy_sb_info.second_lock"
    assert [step.function for step in one.other] == ["toy_free_cached", "toy_first", "toy_first"]


def test_a_wait_is_followed_to_the_allocation_of_who_ends_it(toy: Report, marks: Marks) -> None:
    shown = {(f.at.file, f.at.line): f for f in toy.findings if f.rule == "wait-in-reclaim"}
    waits = marked(marks, "wait-allocates").pop()
    assert shown[waits].level == "warning"
    assert shown[waits].other[-1].function == "toy_flush"
    others = marked(marks, "rescued-work", "end-of-io")
    (quiet,) = [one for place, one in shown.items() if place not in {waits, *others}]
    assert quiet.level == "note"
    assert "toy_tidy" in quiet.why[-1]


def test_what_reclaim_may_wait_for_is_told_with_its_doubt(toy: Report, marks: Marks) -> None:
    shown = {(f.at.file, f.at.line): f for f in toy.findings if f.rule == "wait-in-reclaim"}
    worker, end = (shown[marked(marks, name).pop()] for name in ("rescued-work", "end-of-io"))
    assert worker.level == end.level == "note"
    assert any("save_wq, which is made with WQ_MEM_RECLAIM" in reason for reason in worker.why)
    assert "toy_end_read() is bio.bi_end_io" in end.why


def test_a_lock_held_on_a_condition_is_doubted(toy: Report, marks: Marks) -> None:
    place = marked(marks, "lock-if").pop()
    (one,) = [f for f in toy.findings if (f.at.file, f.at.line) == place]
    assert one.level == "warning"
    assert "held if wanted" in one.why[-1]


def test_a_lock_finding_shows_how_reclaim_takes_the_lock(toy: Report, marks: Marks) -> None:
    direct = marked(marks, "lock-direct").pop()
    one = next(f for f in toy.findings if (f.at.file, f.at.line) == direct)
    assert one.lock == "toy_sb_info.table_lock"
    taken = one.other[-1]
    assert (taken.file, taken.line) == marked(marks, "reclaim-takes").pop()
