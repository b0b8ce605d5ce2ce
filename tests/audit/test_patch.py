"""Patches, applied in memory as patch(1) and git apply them to files."""

from __future__ import annotations

import email.message
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.audit import patch as patches
from ring3.audit.review import review_patch
from ring3.audit.run import SAMPLE
from ring3.errors import BadInput, Ring3Error

TREE = SAMPLE


def make_patch(tmp_path: Path, name: str, change: Callable[[str], str]) -> Path:
    """A patch made by diff(1) that changes file ``name`` of the small tree."""
    old, new = tmp_path / "a", tmp_path / "b"
    shutil.copytree(TREE, old, dirs_exist_ok=True)
    shutil.copytree(TREE, new, dirs_exist_ok=True)
    (new / name).write_text(change((new / name).read_text()))
    done = subprocess.run(
        ["diff", "-ruN", "a", "b"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    out = tmp_path / "change.patch"
    out.write_text(done.stdout)
    return out


def test_a_patch_that_adds_a_bug_is_told(tmp_path: Path) -> None:
    made = make_patch(
        tmp_path,
        "locks.c",
        lambda text: text.replace("kzalloc(64, GFP_NOFS)", "kzalloc(64, GFP_KERNEL)"),
    )
    review = review_patch(TREE, [made])
    assert [(one.rule, one.lock, one.at.function) for one in review.added] == [
        ("lock-across-reclaim", "toy_sb_info.table_lock", "toy_lookup_nofs")
    ]
    assert review.removed == []


def test_a_patch_that_fixes_a_bug_is_told(tmp_path: Path) -> None:
    made = make_patch(
        tmp_path,
        "locks.c",
        lambda text: text.replace(
            "\tkmalloc(16, GFP_KERNEL);\t\t\t/* LINE lock-guard", "\t/* none"
        ),
    )
    review = review_patch(TREE, [made])
    assert [one.at.function for one in review.removed] == ["toy_guard"]
    assert review.added == []


def test_the_overlay_is_what_patch_1_makes(tmp_path: Path, needs: Callable[[str], str]) -> None:
    patch = needs("patch")

    def change(text: str) -> str:
        lines = text.splitlines(keepends=True)
        return "".join([*lines[:3], "int added;\n", *lines[3:20], *lines[24:], "int last;\n"])

    made = make_patch(tmp_path, "locks.c", change)
    moved = tmp_path / "moved"
    shutil.copytree(TREE, moved)
    # The tree has gone on since: the hunks have moved by five lines.
    (moved / "locks.c").write_text("/* 1 */\n" * 5 + (moved / "locks.c").read_text())
    laid = patches.overlay(moved, [made])
    subprocess.run([patch, "-p1", "-s", "-i", str(made)], cwd=moved, check=True)
    assert laid == {"locks.c": (moved / "locks.c").read_bytes()}


def test_a_series_of_git_lays_over_the_tree_what_git_am_makes(
    tmp_path: Path, needs: Callable[[str], str]
) -> None:
    """Three commits that change, rename, make, copy and remove files, mailed in all ways that git has."""
    tree = tmp_path / "tree"
    shutil.copytree(TREE, tree)

    def git(*arguments: str) -> str:
        command = [needs("git"), "-c", "user.name=n", "-c", "user.email=n@e", *arguments]
        done = subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True)
        return done.stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "base")
    base = {path.name: path.read_bytes() for path in tree.glob("*.c")}
    (tree / "locks.c").write_text(
        (tree / "locks.c").read_text().replace("kzalloc(64, GFP_NOFS)", "kzalloc(64, GFP_KERNEL)")
    )
    git("commit", "-qam", "change: f\u00fcr\n\n@@ no hunk\n--- no file\n")
    git("mv", "locks.c", "held.c")
    (tree / "held.c").write_text("/* \u00e9 = */\n" + (tree / "held.c").read_text())
    git("mv", "evict.c", "gone.c")
    git("commit", "-qam", "rename")
    (tree / "new.c").write_text("void made(void) { kfree(0); }\n")
    git("rm", "-q", "gone.c")
    git("add", ".")
    git("commit", "-qm", "make and remove")
    names = {*base, *(path.name for path in tree.glob("*.c"))}
    after = {name: (tree / name).read_bytes() if (tree / name).exists() else b"" for name in names}
    wanted = {name: data for name, data in after.items() if data != base.get(name, b"")}
    plain = git("format-patch", "-3", "--stdout")
    attached = git("format-patch", "-3", "--stdout", "--attach")
    (diff := tmp_path / "diff").write_text(git("diff", "HEAD~3"))
    git("config", "diff.noprefix", "true")
    unprefixed = git("diff", "HEAD~3", "--no-renames")
    git("checkout", "-q", "HEAD~3")
    for number, text in enumerate((plain, attached, recoded(plain), diff.read_text(), unprefixed)):
        path = tmp_path / f"{number}.patch"
        path.write_text(text)
        laid = patches.overlay(tree, [path])
        assert {name: data for name, data in laid.items() if data != base.get(name, b"")} == wanted


def recoded(series: str) -> str:
    """The mbox with its bodies in quoted-printable and base64, as mail servers hand it on."""
    out = []
    for number, message in enumerate(re.split(r"(?m)^(?=From [0-9a-f]{40} )", series)[1:]):
        head, _, rest = message.partition("\n")
        body = rest.partition("\n\n")[2]
        fresh = email.message.EmailMessage()
        fresh["Subject"] = "x"
        fresh.set_content(body, cte="base64" if number == 1 else "quoted-printable")
        out.append(head + "\n" + fresh.as_string())
    return "\n".join(out)


def test_two_patches_are_applied_in_turn(tmp_path: Path) -> None:
    (first := tmp_path / "1.patch").write_text("--- /dev/null\n+++ b/n.c\n@@ -0,0 +1 @@\n+int a;\n")
    (second := tmp_path / "2.patch").write_text(
        "--- a/n.c\n+++ b/n.c\n@@ -1 +1,2 @@\n int a;\n+int b;\n"
    )
    assert patches.overlay(TREE, [first, second])["n.c"].split() == b"int a; int b;".split()
    with pytest.raises(BadInput, match="not in the tree"):
        patches.overlay(TREE, [second, first])


def test_a_patch_of_modes_and_binaries_changes_no_source(tmp_path: Path) -> None:
    path = tmp_path / "x.patch"
    path.write_text(
        "diff --git a/locks.c b/locks.c\nold mode 100644\nnew mode 100755\n"
        "diff --git a/p.png b/p.png\nnew file mode 100644\nindex 0000000..1111111\n"
        "Binary files /dev/null and b/p.png differ\n"
    )
    assert patches.overlay(TREE, [path]) == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nothing here", "no unified diff"),
        ("--- a/no.c\n+++ b/no.c\n@@ -1 +1 @@\n-a\n+b\n", "not in the tree"),
        ("--- a/locks.c\n+++ b/locks.c\n@@ -1 +1 @@\n-not there\n+b\n", "does not apply"),
        ("--- a/locks.c\n+++ b/locks.c\n@@ -1,9 +1,9 @@\n-x\n", "ends inside|shorter"),
        ("--- a/../../etc/passwd\n+++ b/../../etc/passwd\n@@ -1 +1 @@\n-x\n+y\n", "outside"),
        ("@@ -1 +1 @@\n-x\n+y\n", "without a file"),
        ("--- /dev/null\n+++ b/locks.c\n@@ -0,0 +1 @@\n+b\n", "in the tree already"),
    ],
)
def test_what_does_not_apply_says_why(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.patch"
    path.write_text(text)
    with pytest.raises(BadInput, match=reason):
        patches.overlay(TREE, [path])


@given(st.binary(max_size=300))
def test_garbage_is_parsed_or_refused(data: bytes) -> None:
    try:
        patches.parse(b"--- a/x\n+++ b/x\n@@ -1,3 +1,2 @@\n" + data, "x")
        patches.parse(patches.bodies(data), "x")
    except Ring3Error:
        pass
