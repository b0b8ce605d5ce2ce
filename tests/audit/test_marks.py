"""What conditions say by their text alone."""

from __future__ import annotations

import pytest

from ring3.audit.marks import opposite, told_by


@pytest.mark.parametrize(
    ("condition", "mark"),
    [
        ("(error)", "error"),
        ("(!(error))", "!error"),
        ("(ret < 0)", "ret"),
        ("(ret == 0)", "!ret"),
        ("(unlikely(IS_ERR(page)))", "!page"),
        ("(!mutex_trylock(&a->lock))", "!mutex_trylock(&a->lock)"),
        ("(a != b)", "a != b"),
        ("(a) && (b)", "(a) && (b)"),
    ],
)
def test_the_same_condition_has_one_mark(condition: str, mark: str) -> None:
    told = told_by(condition)
    assert (told.mark, opposite(told.mark)) == (mark, told.opposite)
    assert opposite(told.opposite) == mark


@pytest.mark.parametrize(
    ("condition", "failed"),
    [
        ("(error)", True),
        ("(!error)", False),
        ("(ret >= 0)", False),
        ("(IS_ERR(page))", True),
        ("(!IS_ERR_OR_NULL(page))", False),
        ("(count)", None),
    ],
)
def test_whether_a_call_has_failed(condition: str, failed: bool | None) -> None:
    assert told_by(condition).failed is failed


@pytest.mark.parametrize(
    ("condition", "changed"),
    [
        ("((error = f(a)) < 0)", {"error"}),
        ("(a == b && c <= d && e != f && g >= h)", set()),
        ("(--count > 0 || left++)", {"count", "left"}),
        ("(bits |= more)", {"bits"}),
    ],
)
def test_what_a_condition_assigns(condition: str, changed: set[str]) -> None:
    assert told_by(condition).changes == changed


def test_a_warning_is_never_due() -> None:
    assert told_by("(WARN_ON_ONCE(a->b))").never
    assert not told_by("(a->b)").never
