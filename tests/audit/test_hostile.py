"""Input that is not C, or lies: a clear message, and the rest still analysed."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ring3.audit import cexpr, store
from ring3.audit.facts import DEPTH, LARGEST, extract
from ring3.audit.run import SAMPLE, Report, audit
from ring3.errors import BadInput

TREE = SAMPLE


def test_bad_files_are_named_and_the_rest_is_analysed(toy: Report, tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    whole = (TREE / "locks.c").read_bytes()
    (copy / "binary.c").write_bytes(b"\x7fELF\0\0\0" + bytes(range(256)) * 50)
    (copy / "huge.c").write_bytes(b"int x;\n" * (LARGEST // 7 + 1))
    (copy / "deep.c").write_text("void deep(void)\n" + "{" * 5000 + "f();" + "}" * 5000)
    (copy / "brackets.c").write_text("int x = " + "(" * 20000 + "1" + ")" * 20000 + ";")
    (copy / "cut.c").write_bytes(whole[: len(whole) // 2].replace(b"toy_", b"cut_"))
    (copy / "latin.c").write_bytes("/* é */ void latin(void) { kfree(0); }".encode("latin-1"))
    (copy / "wide.c").write_bytes("void wide(void) { kfree(0); }".encode("utf-16"))
    (copy / "loop").symlink_to(copy)
    (copy / "gone.c").symlink_to(copy / "nowhere")
    report = audit(copy)
    problems = dict(report.problems)
    assert set(problems) == {"binary.c", "huge.c", "deep.c", "brackets.c", "gone.c"} & set(
        problems
    ) | {
        "binary.c",
        "huge.c",
        "deep.c",
        "gone.c",
    }
    wanted = [one.id for one in toy.findings]
    assert [one.id for one in report.findings if one.at.function.startswith("toy_")] == wanted


def test_pipes_devices_and_names_that_are_no_text(toy: Report, tmp_path: Path) -> None:
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    os.mkfifo(copy / "pipe.c")
    (copy / "endless.c").symlink_to("/dev/zero")
    (copy / "locks.c").rename(os.fsdecode(os.fsencode(copy) + b"/l\xff.c"))
    page, log = tmp_path / "page.html", tmp_path / "log.sarif"
    done = subprocess.run(
        [*command(copy)[:-3], "--html", str(page), "--sarif", str(log)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "pipe.c: not a regular file" in done.stderr
    assert "endless.c: not a regular file" in done.stderr
    assert page.read_text().count("l?.c") > 0
    assert "l%FF.c" in log.read_text()


def test_names_do_not_steer_the_terminal(tmp_path: Path) -> None:
    shutil.copytree(TREE, tmp_path / "tree")
    (tmp_path / "tree/locks.c").rename(tmp_path / "tree/a\nb\x1b[31m.c")
    (tmp_path / "tree/c\x1b[2J.c").write_text("/* ring3: allow nothing */ int x;\n")
    done = subprocess.run(
        [sys.executable, "-m", "ring3", "audit", str(tmp_path / "tree")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "a\\nb\\x1b[31m.c:" in done.stdout
    assert "c\\x1b[2J.c: line 1" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_full_disk_costs_the_cache_and_nothing_else(toy: Report, tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for the disk: SQLite is refused every write beyond it."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *command(TREE)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.returncode == 1, done.stderr
    assert len(json.loads(done.stdout)["findings"]) == len(toy.findings)


def test_deep_nesting_is_read_up_to_a_depth() -> None:
    depth = DEPTH * 3
    facts = extract(("void f(void) { a(); " + "{" * depth + "b();" + "}" * depth + " }").encode())
    assert "nested deeper" in facts.problem
    assert "a" in facts.functions[0].callees


_SUBJECT = """
    static void {name}_evict_inode(struct inode *inode)
    {{ kmalloc(1, GFP_NOFS | __GFP_NOFAIL); {calls} }}
    static const struct super_operations {name}_ops = {{ .evict_inode = {name}_evict_inode }};
"""


def test_long_chains_of_calls_are_walked(tmp_path: Path) -> None:
    many = 2_000
    chains = {
        "fs/toy/values.c": "static int f{0}(int a, struct toy *t) {{ if (a) return f{1}(a, t); return 0; }}",
        "fs/toy/locks.c": "static void g{0}(struct rw_semaphore *sem, struct toy *t) {{ g{1}(sem, t); }}",
        "fs/toy/macros.c": "#define h{0}(a) h{1}(a)",
        "fs/toy/spin.c": "static void s{0}(struct toy *t) {{ s{1}(t); }}",
        "lib/flags.c": "static void l{0}(void) {{ l{1}(); }}",
    }
    for name, line in chains.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n".join(line.format(at, at + 1) for at in range(many)))
    calls = (
        "spin_lock(&T(inode)->spin); s0(T(inode)); spin_unlock(&T(inode)->spin); "
        "T(inode)->x = f0(1, T(inode)); g0(&T(inode)->sem, T(inode)); h0(inode); l0();"
    )
    (tmp_path / "fs/toy/toy.c").write_text(_SUBJECT.format(name="toy", calls=calls))
    report = audit(tmp_path)
    assert [one.rule for one in report.findings] == ["nofail-in-reclaim"]
    assert not report.cut


def test_a_subject_that_is_nested_too_deep_is_named_and_the_others_are_walked(
    tmp_path: Path,
) -> None:
    many = 80
    begin, end = "if (t->a) { " * 60, "}" * 60
    text = "".join(
        f"static void g{at}(struct toy *t) {{ {begin} mutex_lock(&t->l{at}); g{at + 1}(t); {end} }}\n"
        for at in range(many)
    )
    for name, calls in (("deep", "g0(T(inode));"), ("fine", "")):
        (tmp_path / "fs" / name).mkdir(parents=True)
        source = (text if calls else "") + _SUBJECT.format(name=name, calls=calls)
        (tmp_path / "fs" / name / "it.c").write_text(source)
    report = audit(tmp_path)
    assert report.cut == ["fs/deep"]
    assert [(one.subject, one.rule) for one in report.findings] == [
        ("fs/fine", "nofail-in-reclaim")
    ]


def test_an_empty_or_missing_tree_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no C source"):
        audit(tmp_path)
    with pytest.raises(BadInput, match="no such folder"):
        audit(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="nothing that reclaim calls"):
        audit(TREE, subjects=("fs/none",))


@pytest.mark.parametrize("seed", range(24))
def test_a_damaged_cache_is_rebuilt(
    toy: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Written over from end to end, cut, or in bytes here and there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    audit(TREE)
    chance = random.Random(seed)
    (path,) = (tmp_path / "ring3/audit").glob("*.sqlite")
    data = bytearray(path.read_bytes())
    if seed == 0:
        data = bytearray(b"not a database at all" * 100)
    elif seed % 3 == 0:
        del data[len(data) // 2 :]
    for _ in range(300):
        data[chance.randrange(0 if seed % 2 else 100, len(data))] = chance.randrange(256)
    path.write_bytes(data)
    for _ in range(2):
        assert audit(TREE).findings == toy.findings


@pytest.mark.parametrize("what", ["folder", "file"])
def test_without_a_cache_all_is_read_again(
    toy: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """/proc takes no new folders, from root either."""
    (tmp_path / "ring3").write_text("in the way")
    cache = {"folder": "/proc/nowhere", "file": str(tmp_path)}[what]
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    assert audit(TREE).findings == toy.findings


def test_only_a_changed_file_is_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    store.load(store.list_sources(copy))
    (copy / "evict.c").write_text((copy / "evict.c").read_text() + "\nint more;\n")
    parsed: list[str] = []
    honest = store.parse_files

    def watched(batch: store.Batch) -> list[store.Row]:
        parsed.extend(name for name, _ in batch)
        return honest(batch)

    monkeypatch.setattr(store, "parse_files", watched)
    store.load(store.list_sources(copy))
    assert parsed == ["evict.c"]


def test_a_file_that_changes_while_it_is_read_is_told_as_what_was_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    copy = tmp_path / "tree"
    shutil.copytree(TREE, copy)
    honest = store.parse_files

    def late(batch: store.Batch) -> list[store.Row]:
        (copy / "evict.c").write_text("void only(void) { kfree(0); }\n")
        (copy / "locks.c").unlink()
        return honest(batch)

    monkeypatch.setattr(store, "parse_files", late)
    first = store.load(store.list_sources(copy))
    assert [function.name for function in first.facts["evict.c"].functions] == ["only"]
    assert "left out" in first.facts["locks.c"].problem
    monkeypatch.setattr(store, "parse_files", honest)
    (copy / "locks.c").write_text("")
    again = store.load(store.list_sources(copy))
    assert again.keys["evict.c"] == first.keys["evict.c"]
    assert again.facts["evict.c"] == first.facts["evict.c"]
    assert again.facts["locks.c"].problem == ""


def many(folder: Path, count: int) -> Path:
    """A tree of ``count`` copies of the small one, all different."""
    for number in range(count):
        (folder / f"m{number}").mkdir(parents=True)
        for path in TREE.iterdir():
            text = path.read_text().replace("toy_", f"toy{number}_")
            (folder / f"m{number}" / path.name).write_text(text)
    return folder


def command(tree: Path) -> list[str]:
    return [sys.executable, "-m", "ring3", "audit", str(tree), "--json", "--level", "note"]


def test_a_killed_run_leaves_a_cache_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tree = many(tmp_path / "tree", 60)
    killed = 0
    for seconds in (0.3, 0.5, 0.7, 1.0):
        process = subprocess.Popen(
            command(tree), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
    assert killed
    after = subprocess.run(command(tree), capture_output=True, text=True, check=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fresh"))
    fresh = subprocess.run(command(tree), capture_output=True, text=True, check=False)
    assert after.returncode == fresh.returncode == 1
    assert json.loads(after.stdout) == json.loads(fresh.stdout)


def test_two_runs_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tree = many(tmp_path / "tree", 40)
    pair = [
        subprocess.Popen(command(tree), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate() for process in pair]
    assert [process.returncode for process in pair] == [1, 1], answers[0][1] + answers[1][1]
    assert json.loads(answers[0][0]) == json.loads(answers[1][0])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_have_facts(data: bytes) -> None:
    extract(data)
    extract(b"void f(int a) { if (a) { " + data + b" } }")
    extract(b"#define M(x) " + data)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="()&|~!x1<>=?:,*-+\"'[]>.g ", max_size=60))
def test_any_text_is_an_expression_or_unknown(text: str) -> None:
    node = cexpr.parse(text)
    cexpr.evaluate(node, lambda name: cexpr.UNKNOWN, lambda name, args: cexpr.UNKNOWN)
