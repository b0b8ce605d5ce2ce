"""What is left out before the grammar reads a file, and that nothing else is."""

from __future__ import annotations

import pytest

from ring3.audit.facts import extract
from ring3.audit.program import flatten


def test_a_header_of_constants_has_them() -> None:
    source = b"/* flags; for all { } */\n#define A 1 // one;\n# define B (A | \\\n  2)\n"
    assert extract(source, header=True).constants == (("A", "1"), ("B", "(A |    2)"))


def test_a_comment_that_goes_on_is_no_part_of_a_constant() -> None:
    source = (
        b"#define A 0x1\t/* begins here\n\t\t\t and ends here */\n#define B 2 // b\n#define C '\n"
    )
    assert extract(source).constants == (("A", "0x1"), ("B", "2"))


@pytest.mark.parametrize(
    "more",
    [
        b"extern struct foo *bar;",
        b"#define f(x) g(x)",
        b"static inline int f(void) { return 1; }",
        b"struct foo { int a; };",
    ],
)
def test_a_header_that_declares_anything_is_read(more: bytes) -> None:
    facts = extract(b"#define A 1\n" + more, header=True)
    assert facts.functions or facts.structs or facts.variables
    assert facts.constants == (("A", "1"),)


def test_of_tracepoints_only_constants_are_told() -> None:
    source = b"""#define A 1
        TRACE_EVENT(f, TP_fast_assign(g();))
        #define show(x) __print_flags(x)
        #include <trace/define_trace.h>
    """
    facts = extract(source, header=True)
    assert facts.constants == (("A", "1"),)
    assert not facts.functions


def test_lines_after_a_long_table_keep_their_numbers() -> None:
    table = b"".join(b"0x%02x, /* %d-%d */\n" % (at, at, at + 7) for at in range(200))
    source = b"static const u8 t[] = {\n" + table + b"};\nvoid f(void) { g(); }\n"
    (function,) = extract(source).functions
    assert function.line == 203
    short = b"static const u8 t[] = { 0x1, 0x2 };"
    assert ("u8", "t") in extract(source).variables
    assert ("u8", "t") in extract(short).variables


@pytest.mark.parametrize(
    "name", ["asmlinkage", "__init", "noinline", "STATIC", "__must_hold(&a->b)"]
)
def test_attributes_are_blanked_where_they_are_words(name: str) -> None:
    (function,) = extract(f"static {name} int f(struct a *a)\n{{\n}}\n".encode()).functions
    assert (function.name, function.returns) == ("f", "int")
    (other,) = extract(f"int x{name.partition('(')[0]}y(void) {{ }}\n".encode()).functions
    assert other.name == f"x{name.partition('(')[0]}y"


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("struct foo", "foo"),
        ("union foo", "foo"),
        ("struct foo *", "foo"),
        ("loff_t *", "loff_t"),
        ("enum  foo", "foo"),
    ],
)
def test_types_as_arguments_are_read_as_names(argument: str, shown: str) -> None:
    (function,) = extract(f"void f(void) {{ kmalloc_objs({argument}, n); }}".encode()).functions
    calls = [event for event in function.read()[1] if event[0] == "c"]
    assert [" ".join(arg.split()) for arg in calls[0][3]] == [shown, "n"]


def test_arguments_after_an_else_of_an_ifdef_are_told_one_by_one() -> None:
    source = b"""static void f(struct ctrl *ctrl)
{
	if (ctrl->events)
		scan(ctrl);
#ifdef CONFIG_MULTIPATH
	else if (ctrl->log)
		queue_work(queue, &ctrl->work);
#endif
}
"""
    (function,) = extract(source).functions
    assert "queue_work" in function.callees
    calls = [event for event in flatten(function.read()[1]) if event[0] == "c"]
    assert [event[3] for event in calls if event[2] == "queue_work"] == [("queue", "&ctrl->work")]


@pytest.mark.parametrize(
    ("call", "args"),
    [
        ("f()", ()),
        ("f( a,\n\t\t&b->c.d , *e )", ("a", "&b->c.d", "*e")),
        ("f(0x10, A | B)", ("0x10", "A | B")),
        ("f(a /* b, c */, d)", ("a", "d")),
    ],
)
def test_arguments_are_told_as_they_are_written(call: str, args: tuple[str, ...]) -> None:
    source = f"void g(void)\n{{\n\t{call};\n}}\n".encode()
    (function,) = extract(source).functions
    (event,) = function.read()[1]
    assert event[2:4] == ("f", args)
