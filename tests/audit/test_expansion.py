"""Direct calls through macros, against GCC's preprocessor: what is called once the text is expanded."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

from ring3.audit.expansion import direct_calls
from ring3.audit.facts import extract
from ring3.audit.program import Program

SOURCES = {
    "a name handed to a macro": (
        "#define make(how, type, gfp) ({ type *p = how(sizeof(type), gfp); p; })\n"
        "void f(void) { make(get_memory, long, 3); }\n"
    ),
    "through two macros": (
        "#define say(fmt, ...) wrap(do_say, fmt, ##__VA_ARGS__)\n"
        "#define wrap(fn, fmt, ...) ({ index_of(fmt); fn(fmt, ##__VA_ARGS__); })\n"
        'void f(void) { say("x", inner(2)); }\n'
    ),
    "pasted names": (
        "#define op(name, x) do_##name##_now(x)\n"
        "#define twice(name, x) op(name, x); after_##name()\n"
        "void f(void) { twice(write, 1); }\n"
    ),
    "a macro that takes a lock": (
        "#define lock_of(owner, which) take(&owner->which##_map, 0)\n"
        "void f(struct s *p) { lock_of(p, trans); }\n"
    ),
    "a name for a function": "#define other real_one\nvoid f(void) { other(1); }\n",
    "a text among the arguments": (
        "#define locked(lock) set_up(lock, #lock, key_of(lock))\nvoid f(void) { locked(a); }\n"
    ),
    "by itself": "#define g(x) g(x + 1)\nvoid f(void) { g(1); }\n",
}


def test_functions_that_a_macro_defines_are_known_by_their_names() -> None:
    program = Program(
        {
            "a.c": extract(
                b"#define FEATURE(name, bit) \\\n"
                b"static inline void set_feature_##name(struct s *p) \\\n"
                b"{ \\\n\tupdate(p); \\\n\tp->bits |= bit; \\\n}\n"
                b"FEATURE(journal, 4)\n"
                b"void f(struct s *p) { set_feature_journal(p); other_journal(p); }\n"
            )
        }
    )
    made = program.resolve("set_feature_journal", "a.c")
    assert made is not None
    assert direct_calls(program, made) == {"update"}
    assert program.resolve("other_journal", "a.c") is None


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_expanded_calls_are_those_of_the_preprocessor(
    source: str, needs: Callable[[str], str]
) -> None:
    done = subprocess.run(
        [needs("gcc"), "-E", "-P", "-"], input=source, capture_output=True, text=True, check=True
    )
    body = re.sub(r'"[^"]*"', "", done.stdout[done.stdout.index("void f") :])
    wanted = set(re.findall(r"(\w+)\s*\(", body)) - {"f", "sizeof"}
    program = Program({"a.c": extract(source.encode())})
    (function,) = program.by_name["f"]
    macros = {f.name for f in program.functions if f.macro}
    found = direct_calls(program, function)
    assert found - (macros - wanted) == wanted
