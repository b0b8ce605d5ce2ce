"""The command line as a user meets it: help, exit codes, errors in one line."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from ring3.cli import COMMANDS, Command, root


def ring3(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ring3", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def verbs(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from verbs(found, (*words, name))
    else:
        yield " ".join(words), command


VERBS = dict(verbs(root))


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help_and_an_example_that_names_it(name: str) -> None:
    verb = VERBS[name]
    assert isinstance(verb, Command), f"{name} is made with Group.command or cls=Command"
    assert verb.help
    assert any(f"ring3 {name}" in example for example in verb.examples), verb.examples


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_one_clear_message_and_exit_2(name: str) -> None:
    done = ring3(name, "--no-such-option")
    assert done.returncode == 2
    assert "no such option" in done.stderr.lower()
    assert done.stderr.startswith("ring3: ")
    assert done.stderr.count("\n") == 1


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, click.testing; from ring3.cli import root;"
        "click.testing.CliRunner().invoke(root, ['--help'], catch_exceptions=False);"
        "print(sorted({'numpy', 'numba', 'lief', 'rich', 'distributed', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", ["doctor --json", "reclaim policies", "sframe --help"])
def test_a_reader_that_leaves_is_no_error(words: str) -> None:
    pipe = f"set -o pipefail; {sys.executable} -m ring3 {words} | head -c 1"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        "sframe dump",
        "stack",
        "compare",
        "panthor replay",
        "reclaim explain",
        "slab check",
        "kselftest kernel --log",
        "audit . --patch",
    ],
)
def test_input_without_end_is_refused(words: str) -> None:
    done = ring3(*words.split(), "/dev/zero")
    assert done.returncode == 2
    assert done.stderr.startswith("ring3: /dev/zero: ")
    assert done.stderr.count("\n") == 1


def test_a_closed_output_hides_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m ring3 compare /proc/none >&-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "ring3: /proc/none: No such file or directory\n")


def test_letters_that_the_terminal_has_not_are_written_as_numbers() -> None:
    program = (
        'from ring3.errors import exit_code; exit_code(lambda: print("3 µs → a\\udcffb") or 0)'
    )
    for encoding, expected in (
        ("ascii", b"3 \\u00b5s \\u2192 a\xffb\n"),
        ("latin-1", b"3 \xb5s \\u2192 a\xffb\n"),
        ("utf-8", "3 µs → a".encode() + b"\xffb\n"),
    ):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, b"")


@pytest.mark.parametrize(
    "words",
    [
        "tour -o",
        "reclaim compare --html",
        "reclaim explore as-today --perfetto",
        "kselftest run program.c --junit",
        "kselftest kernel --save-log",
        "nolibc sizes --html",
        "panthor triangle --output picture.png --timeline",
        "sframe convert /bin/ls -o",
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(words: str, tmp_path: Path) -> None:
    (tmp_path / "program.c").write_text("int main(void) { return 0; }\n")
    done = ring3(*words.split(), "/proc/none/out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ring3: /proc/none") and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["program.c"], "nothing was done"


def test_where_no_cache_can_be_made_what_needs_none_works() -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": "/proc/none"}
    assert ring3("doctor", env=environment).returncode == 0
    done = ring3("sframe", "dump", "/bin/sh", env=environment)
    assert done.returncode == 2
    assert "no .sframe section" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_its_shell_can_parse(shell: str) -> None:
    done = ring3("completion", shell)
    assert done.returncode == 0
    assert "_RING3_COMPLETE" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)


def test_completion_knows_the_groups() -> None:
    environment = {"_RING3_COMPLETE": "bash_complete", "COMP_WORDS": "ring3 do", "COMP_CWORD": "1"}

    done = ring3(env={**os.environ, **environment})
    assert "doctor" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("words", ["kselftest run program.c", "panthor run -- ./program"])
def test_what_is_interrupted_leaves_nothing_running(
    words: str, number: signal.Signals, code: int, tmp_path: Path, needs: Callable[[str], str]
) -> None:
    """A program that says who it is, and would wait for ever."""
    source = "#include <stdio.h>\n#include <unistd.h>\n"
    source += f'int main(void) {{ FILE *f = fopen("{tmp_path}/pid", "w");'
    source += ' fprintf(f, "%d\\n", (int)getpid()); fclose(f); for (;;) pause(); }\n'
    (tmp_path / "program.c").write_text(source)
    subprocess.run([needs("gcc"), "program.c", "-o", "program"], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "ring3", *words.split()]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    pid = tmp_path / "pid"
    while not (pid.is_file() and pid.read_text().endswith("\n")):
        assert running.poll() is None
        time.sleep(0.05)
    program = os.pidfd_open(int(pid.read_text()))
    running.send_signal(number)
    _, error = running.communicate(timeout=60)
    assert (running.returncode, error.strip()) == (code, b"")
    assert select.select([program], [], [], 60)[0]
    os.close(program)


@pytest.mark.parametrize("target", ["9" * 9, "9" * 5000])
def test_a_number_that_is_no_process(target: str) -> None:
    done = ring3("stack", target)
    assert done.returncode == 2
    assert done.stderr.startswith("ring3: ")
    assert done.stderr.count("\n") == 1
