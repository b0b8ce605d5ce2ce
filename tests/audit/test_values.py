"""What conditions are worth at one place of a function: which of two allocations is reached."""

from __future__ import annotations

import pytest

from ring3.audit.contexts import Context
from ring3.audit.facts import extract
from ring3.audit.flow import Interpreter
from ring3.audit.program import Program

_OTHERS = """
    static int truly(void) { return 1; }
    static int asks(struct s *a) { prepare(a); return a->b; }
"""


@pytest.mark.parametrize(
    ("before", "condition", "reached"),
    [
        ("x = 0;", "x", {"no"}),
        ("x = 0;", "!x", {"yes"}),
        ("x = 0;", "(x)", {"no"}),
        ("a->b = 1;", "a->b", {"yes"}),
        ("a->b = 1;", "!a->b", {"no"}),
        ("", "a->b", {"yes", "no"}),
        ("", "&a->b", {"yes"}),
        ("*p = 0; if (*p) return; *p = 1;", "*p", {"yes"}),
        ("", "truly()", {"yes"}),
        ("", "!truly()", {"no"}),
        ("", "asks(a)", {"yes", "no"}),
        ("", "!asks(a)", {"yes", "no"}),
        ("", "xfs_is_shutdown(a)", {"no"}),
        ("", "!x && truly()", {"yes", "no"}),
    ],
)
def test_what_a_condition_decides(before: str, condition: str, reached: set[str]) -> None:
    source = f"""{_OTHERS}
        void f(struct s *a, int *p, int x)
        {{
            {before}
            if ({condition})
                kmalloc(1, GFP_KERNEL);
            else
                kmalloc(1, GFP_NOFS);
        }}"""
    program = Program({"fs/toy/f.c": extract(source.encode())})
    walked = Interpreter(program).walk(program.by_name["f"][0], Context("fs/toy"))
    flags = {program.flag_names(site.flags) for site in walked.sites if site.kind == "alloc"}
    assert {{"GFP_KERNEL": "yes", "GFP_NOFS": "no"}[one] for one in flags} == reached
