"""Programs that pass, fail, hang, flood, die, lie, say nothing or leave others behind: each is what it is."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from ring3.arch import ARCHS, by_name, host
from ring3.cli.kselftest import kselftest
from ring3.errors import BadInput
from ring3.kselftest import discover, execute, pipeline
from ring3.kselftest.outcome import Outcome, judge
from ring3.ktap import Log, Status, Test
from ring3.nolibc import toolchain

HEAD = "#include <signal.h>\n#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\n"
#: Body of main -> status, part of the reason, problems or notes.
PROGRAMS = {
    "passes": ('puts("TAP version 13\\n1..2\\nok 1 one\\nok 2 two");', Status.PASS, ""),
    "fails": (
        'puts("TAP version 13\\n1..1\\nnot ok 1 one"); return 1;',
        Status.FAIL,
        "exit code 1",
    ),
    "hides": (
        'puts("TAP version 13\\n1..1\\nnot ok 1 one");',
        Status.FAIL,
        "exit code 0, although",
    ),
    "exits": ("return 3;", Status.FAIL, "exit code 3"),
    "skips": ('puts("# no such device"); return 4;', Status.SKIP, "no such device"),
    "skips_all": ('puts("TAP version 13\\n1..0 # SKIP not here");', Status.SKIP, "not here"),
    "xfails": (
        'puts("TAP version 13\\n1..1\\nnot ok 1 one # XFAIL known");',
        Status.PASS,
        "",
    ),
    "silent": ("", Status.PASS, "no output"),
    "old_tap": ('puts("1..1\\nok 1 - one");', Status.PASS, ""),
    "no_plan": ('puts("ok 1 - one\\nok 2 - two");', Status.PASS, "it prints no plan"),
    "short": ('puts("TAP version 13\\n1..3\\nok 1 one");', Status.FAIL, "plan of 3, 1 results"),
    "long": (
        'puts("TAP version 13\\n1..1\\nok 1 one\\nok 2 two");',
        Status.FAIL,
        "plan of 1, 2 results",
    ),
    "huge_plan": ('puts("TAP version 13\\n1..999999999");', Status.FAIL, "plan of 999999999"),
    "miscounts": (
        'puts("TAP version 13\\n1..1\\nok 1 one\\n'
        '# Totals: pass:2 fail:0 xfail:0 xpass:0 skip:0 error:0");',
        Status.FAIL,
        "its totals say 2 tests, 1 results were printed",
    ),
    "bails": ('puts("TAP version 13\\n1..1\\nBail out! no memory");', Status.FAIL, "no memory"),
    "dies": (
        'puts("TAP version 13\\n1..2\\nok 1 one"); fflush(stdout); raise(SIGSEGV);',
        Status.CRASH,
        "ended by SIGSEGV",
    ),
    "aborts": ("raise(SIGKILL);", Status.CRASH, "ended by SIGKILL"),
    "hangs": ("for (;;) pause();", Status.TIMEOUT, "time-out: 1 s"),
    "hangs_closed": ("close(1); close(2); for (;;) pause();", Status.TIMEOUT, "time-out: 1 s"),
    "hangs_deaf": (
        "signal(SIGTERM, SIG_IGN); signal(SIGINT, SIG_IGN); for (;;) pause();",
        Status.TIMEOUT,
        "time-out: 1 s",
    ),
    "floods": ('for (;;) puts("water");', Status.ERROR, "flood: more than"),
    "odd_bytes": ('puts("\\xff\\xfe\\x80\\001\\033[31m");', Status.PASS, "its output is not UTF-8"),
    "no_newline": ('printf("TAP version 13\\n1..1\\nok 1 one");', Status.PASS, ""),
    "daemon": (
        "if (fork() == 0) { setsid(); if (fork() == 0) for (;;) pause(); _exit(0); }"
        "usleep(300000);",
        Status.PASS,
        "left 1 processes behind",
    ),
    "fork_holds_pipe": ("if (fork() == 0) for (;;) pause();", Status.PASS, "left 1 processes"),
    "broken": ("return undeclared;", Status.ERROR, "not built: "),
}


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Test]:
    """Every program, built and run once."""
    folder = tmp_path_factory.mktemp("programs")
    for name, (body, _, _) in PROGRAMS.items():
        (folder / f"{name}.c").write_text(f"{HEAD}int main(void)\n{{\n{body}\nreturn 0;\n}}\n")
    found = discover.discover([folder])
    options = pipeline.Options(timeout=1, limit=200_000)
    outcomes = pipeline.run_here(found.sources, [host()], options)
    return {outcome.name: judge(outcome) for outcome in outcomes}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_is_reported_as_what_it_is(name: str, tests: dict[str, Test]) -> None:
    _, status, words = PROGRAMS[name]
    test = tests[name]
    assert test.status is status
    assert words in "; ".join([test.reason, *test.problems, *test.notes])


def test_results_are_kept_of_one_that_dies(tests: dict[str, Test]) -> None:
    assert [(sub.name, sub.status) for sub in tests["dies"].subtests] == [
        ("one", Status.PASS),
        ("#2", Status.MISSING),
    ]


def test_a_plan_of_a_billion_makes_no_billion_tests(tests: dict[str, Test]) -> None:
    assert len(tests["huge_plan"].subtests) < 10_000


def test_nobody_is_left(tmp_path: Path) -> None:
    name = f"left{time.monotonic_ns()}"
    source = tmp_path / f"{name}.c"
    source.write_text(
        HEAD + "int main(void) { if (fork() == 0) { setsid(); for (;;) pause(); }\n"
        "if (fork() == 0) for (;;) pause(); return 0; }\n"
    )
    (outcome,) = pipeline.run_here([discover.Source(name, source)], [host()], pipeline.Options())
    assert outcome.left_behind == 2
    found = subprocess.run(["pgrep", "-f", name], capture_output=True, check=False)
    assert found.stdout == b""


def _cross() -> list[str]:
    return [
        name
        for name in ("i386", "arm64", "riscv64", "ppc", "s390x")
        if toolchain.compilers(ARCHS[name]) and toolchain.runner(ARCHS[name]) is not None
    ]


def test_other_architectures_give_the_same_verdicts(tmp_path: Path) -> None:
    names = _cross()
    if not names:
        pytest.skip("no cross compiler with an emulator is here (ring3 doctor)")
    chosen = ("passes", "fails", "dies", "skips", "hangs")
    for name in chosen:
        body, _, _ = PROGRAMS[name]
        (tmp_path / f"{name}.c").write_text(f"{HEAD}int main(void)\n{{\n{body}\nreturn 0;\n}}\n")
    found = discover.discover([tmp_path])
    archs = [by_name(name) for name in names]
    outcomes = pipeline.run_here(found.sources, archs, pipeline.Options(timeout=5))
    assert len(outcomes) == len(chosen) * len(archs)
    for outcome in outcomes:
        assert judge(outcome).status is PROGRAMS[outcome.name][1], outcome


def test_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "good.c").write_text(f'{HEAD}int main(void) {{ puts("1..1\\nok 1 x"); }}\n')
    (tmp_path / "bad.c").write_text("int main(void) { return 1; }\n")
    files = [str(tmp_path / name) for name in ("out.xml", "out.html", "out.ktap")]
    ran = CliRunner().invoke(
        kselftest,
        [
            "run",
            str(tmp_path),
            "--json",
            "--junit",
            files[0],
            "--html",
            files[1],
            "--ktap",
            files[2],
        ],
    )
    assert ran.exit_code == 1
    data = json.loads(ran.stdout)
    assert data["counts"] == {"pass": 1, "fail": 1}
    assert not data["good"]
    root = ElementTree.parse(files[0]).getroot()
    assert [suite.attrib["name"] for suite in root] == ["bad", "good"]
    assert "bad" in Path(files[1]).read_text()
    assert Path(files[2]).read_text().startswith("KTAP version 1\n1..2\n")
    (tmp_path / "bad.c").unlink()
    ran = CliRunner().invoke(kselftest, ["run", str(tmp_path)])
    assert (ran.exit_code, ran.stdout) == (0, "1 tests: 1 pass\n")


@pytest.mark.parametrize("make", [lambda folder: folder / "absent.c", lambda folder: folder])
def test_paths_with_nothing(make, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        discover.discover([make(tmp_path)])


def test_a_file_that_is_no_c_file_is_no_test(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF")
    with pytest.raises(BadInput, match="not a C file"):
        discover.discover([tmp_path / "program"])


MAKEFILE = """\
CFLAGS += -Wall
TEST_GEN_PROGS := one \\
\ttwo
TEST_GEN_PROGS += three absent
TEST_PROGS := run.sh
include ../lib.mk
"""


def test_a_makefile_says_what_the_tests_are(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "settings").write_text("# comment\ntimeout=7\n")
    for name in ("one", "two", "helper"):
        (tmp_path / f"{name}.c").write_text("int main(int argc, char **argv)\n{\nreturn 0;\n}\n")
    (tmp_path / "three.c").write_text("int mainly(void);\n/* int main(void) */\n")
    found = discover.discover([tmp_path])
    assert [(source.name, source.timeout) for source in found.sources] == [("one", 7), ("two", 7)]
    assert {(left.name, left.reason) for left in found.left_out} == {
        ("run.sh", "a script, not a program"),
        ("three", "has no main of its own"),
        ("absent", "no C file of that name"),
    }


def test_a_makefile_says_what_a_test_is_built_of(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    for path in (folder, tmp_path / "lib", tmp_path / "include"):
        path.mkdir()
    (folder / "Makefile").write_text(
        "CFLAGS += -I../include -O2\nTEST_GEN_PROGS := one two\n"
        "$(TEST_GEN_PROGS): both.c both.h\n$(OUTPUT)/two: two.c ../lib/extra.c | headers\n"
    )
    (tmp_path / "include/both.h").write_text("int both(void);\n")
    (folder / "both.c").write_text("int both(void) { return 4; }\n")
    (tmp_path / "lib/extra.c").write_text("int extra(void) { return 5; }\n")
    (folder / "one.c").write_text("#include <both.h>\nint main(void) { return both() - 4; }\n")
    (folder / "two.c").write_text(
        "int both(void), extra(void);\nint main(void) { return both() + extra() - 9; }\n"
    )
    outcomes = pipeline.run_here(
        discover.discover([folder]).sources, [by_name("x86_64")], pipeline.Options()
    )
    assert [(outcome.name, judge(outcome).status) for outcome in outcomes] == [
        ("one", Status.PASS),
        ("two", Status.PASS),
    ]


def test_threads_have_their_own_errno(tmp_path: Path) -> None:
    """The pipeline compiles as -pthread does."""
    (tmp_path / "threads.c").write_text(
        "#include <errno.h>\n#include <pthread.h>\n#include <unistd.h>\n"
        "static void *fails(void *unused) { close(-1); return unused; }\n"
        "int main(void) { pthread_t t; errno = 0; pthread_create(&t, NULL, fails, NULL);\n"
        "\tpthread_join(t, NULL); return errno; }\n"
    )
    sources = discover.discover([tmp_path]).sources
    (outcome,) = pipeline.run_here(sources, [by_name("x86_64")], pipeline.Options())
    assert judge(outcome).status is Status.PASS


def test_a_list_that_make_computes_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("TEST_GEN_PROGS := $(wildcard *.c)\n")
    (tmp_path / "one.c").write_text("int main(void) { return 0; }\n")
    assert [source.name for source in discover.discover([tmp_path]).sources] == ["one"]


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    paths = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "same.c")
        paths[-1].write_text("int main(void) { return 0; }\n")
    assert [source.name for source in discover.discover(paths).sources] == ["same", "same#2"]


def test_tests_of_other_architectures_are_not_built(tmp_path: Path) -> None:
    folder = tmp_path / "selftests/powerpc/mm"
    folder.mkdir(parents=True)
    (folder / "one.c").write_text("int main(void) { return 0; }\n")
    (outcome,) = pipeline.run_here(
        discover.discover([tmp_path]).sources, [by_name("x86_64")], pipeline.Options()
    )
    assert judge(outcome).status is Status.SKIP
    assert outcome.detail == "it is for powerpc"


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF nothing")
    program.chmod(0o755)
    outcome = execute.run_here("x", program, host(), timeout=5)
    assert outcome.trouble == "not run"


def test_the_whole_is_bad_when_one_is() -> None:
    outcomes = [Outcome("a", "x86_64", code=0, output=b"x\n"), Outcome("b", "x86_64", code=1)]
    log = pipeline.join(Log(), outcomes)
    assert [(path, test.status) for path, test in pipeline.bad(log)] == [
        ("programs on x86_64/b", Status.FAIL)
    ]
    assert log.counts == {Status.PASS: 1, Status.FAIL: 1}
    assert not log.good
    assert pipeline.join(Log(), outcomes[:1]).good
