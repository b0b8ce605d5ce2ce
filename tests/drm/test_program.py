"""Fence programs: what sync_file(4), dma-buf and syncobj rules say of small ones, and many random ones."""

from __future__ import annotations

from collections import Counter
from errno import EINVAL, ENOENT, ETIME

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.drm.program import OPERATIONS, SLOTS, Program, random_program, run
from ring3.errors import BadInput


def outputs(text: str) -> list[list[int | str]]:
    program = Program.parse(text)
    return run(program)[: len(program.steps)]


def test_a_timeline_signals_in_order() -> None:
    assert outputs("sw_open 0\nsw_create 0 1 2\nsw_create 0 2 3\npoll 1\nsw_inc 0 2\npoll 1\npoll 2") == [
        [0], [0], [0], [0, 0], [0], [0, 1], [0, 0],
    ]  # fmt: skip


def test_closing_a_timeline_fails_what_is_pending() -> None:
    answers = outputs("sw_open 0\nsw_create 0 1 9\ninfo 1 8\nclose 0\ninfo 1 8")
    assert answers[2] == [0, 0, 1, 0, "sw_sync", "program"]
    assert answers[4] == [0, -ENOENT, 1, -ENOENT, "detached-driver", "signaled-timeline"]


def test_merging_keeps_one_fence_a_timeline() -> None:
    answers = outputs(
        "sw_open 0\nsw_open 1\nsw_create 0 2 1\nsw_create 0 3 2\nsw_create 1 4 1\n"
        "merge 2 3 5 0\ninfo 5 0\nmerge 5 4 6 0\ninfo 6 0\nmerge 2 9 7 0\nmerge 2 3 7 1\ninfo 6 1"
    )
    assert answers[6] == [0, 0, 1]
    assert answers[8] == [0, 0, 2]
    assert answers[9:] == [[ENOENT], [EINVAL], [EINVAL]]


def test_binary_and_timeline_syncobjs() -> None:
    answers = outputs(
        "syncobj_create 0 0\nwait 0 0 1 0\nwait 0 0 1 2\nsignal 0 1 0\nwait 0 0 1 0\nquery 0 1 0\n"
        "syncobj_create 1 0\ntimeline_signal 1 1 3 0\nquery 1 1 0\ntimeline_wait 1 1 1 2 0\n"
        "timeline_wait 1 1 1 3 4\ntimeline_wait 0 1 2 1 0"
    )
    assert answers == [
        [0], [EINVAL], [ETIME], [0], [0, 0], [0, 0],
        [0], [0], [0, 3], [0, 0], [0, 0], [EINVAL],
    ]  # fmt: skip


def test_buffers_carry_fences() -> None:
    answers = outputs(
        "bo_create 0\nprime_export 0 1\ndma_poll 1\nsw_open 2\nsw_create 2 3 1\ndma_import 1 3 1\n"
        "dma_poll 1\ndma_export 1 4 1\npoll 4\ndma_export 1 5 2\npoll 5\nsw_inc 2 1\npoll 5\ndma_import 1 3 0"
    )
    # A reader's fence holds up writers (OUT), not readers (IN).
    assert answers[2] == [0, 5]
    assert answers[6] == [0, 1]
    assert answers[8] == [0, 1]
    assert answers[10] == [0, 0]
    assert answers[12:] == [[0, 1], [EINVAL]]


def test_an_eventfd_counts_what_it_was_asked_to() -> None:
    answers = outputs(
        "syncobj_create 0 0\neventfd_open 1\nsyncobj_eventfd 0 1 2 0\neventfd_read 1\n"
        "timeline_signal 0 1 2 0\neventfd_read 1\nsyncobj_eventfd 0 1 1 4\neventfd_read 1\n"
        "syncobj_eventfd 0 1 1 1\nsyncobj_eventfd 9 1 1 0"
    )
    assert answers[3:] == [[0, 0], [0], [0, 1], [0], [0, 1], [EINVAL], [ENOENT]]


def test_random_programs_are_repeatable_and_broad() -> None:
    """What a C runner on a real kernel will be given: the same text, the same answers, all operations."""
    seen: Counter[str] = Counter()
    succeeded: Counter[str] = Counter()
    errnos: set[int] = set()
    for seed in range(300):
        program = random_program(seed)
        assert Program.parse(program.text()) == program
        answers = run(program)
        assert answers == run(program)
        for (name, _), answer in zip(program.steps, answers, strict=False):
            seen[name] += 1
            succeeded[name] += answer[0] == 0
            errnos.add(int(answer[0]))
    assert set(seen) == set(OPERATIONS)
    rarely = [name for name in seen if succeeded[name] < 3]
    assert rarely == [], "every operation also works now and then"
    assert {0, 2, 9, 22, 25, 62} <= errnos


@given(
    st.lists(
        st.sampled_from(sorted(OPERATIONS)).flatmap(
            lambda name: st.tuples(
                st.just(name),
                st.tuples(
                    *[
                        st.integers(0, SLOTS - 1) if isinstance(kind, str) else st.integers(0, 40)
                        for kind in OPERATIONS[name]
                    ]
                ),
            )
        ),
        max_size=15,
    )
)
def test_any_program_runs_to_its_end(steps: list[tuple[str, tuple[int, ...]]]) -> None:
    answers = run(Program(steps))
    assert len(answers) == len(steps) + 7 * SLOTS
    assert all(0 <= int(answer[0]) < 600 for answer in answers)


@pytest.mark.parametrize(
    "text", ["nonsense", "poll", "poll x", "poll 99", "poll -1", "sw_inc 1 99999999999"]
)
def test_bad_programs_are_refused_with_their_line(text: str) -> None:
    with pytest.raises(BadInput, match="line 2"):
        Program.parse("# fine\n" + text)
