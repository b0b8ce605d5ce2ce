"""Headers of include/ are read when something that is read includes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ring3.audit import store


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "tree"
    for name, text in (
        ("fs/toy.c", '#include <linux/toy.h>\n#  include "../include/linux/beside.h"\n'),
        ("fs/own.h", ""),
        ("include/linux/toy.h", "#include <asm/toy_arch.h>\n#include <uapi/linux/toy.h>\n"),
        ("include/linux/beside.h", "#include <linux/toy.h>\n"),
        ("include/uapi/linux/toy.h", ""),
        ("include/asm-generic/toy_arch.h", ""),
        ("include/linux/other.h", "#include <linux/another.h>\n"),
        ("include/linux/another.h", "#include <linux/other.h>\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


USED = {
    *("fs/toy.c", "fs/own.h", "include/linux/toy.h", "include/linux/beside.h"),
    *("include/uapi/linux/toy.h", "include/asm-generic/toy_arch.h"),
}


def test_who_is_included_is_read_by_whichever_way(tree: Path) -> None:
    assert set(store.load(store.list_sources(tree)).facts) == USED


def test_what_is_laid_over_includes_too(tree: Path) -> None:
    source = b"#include <linux/other.h>\n"
    sources = store.list_sources(tree)
    others = {"include/linux/other.h", "include/linux/another.h"}
    for name in ("fs/toy.c", "fs/new.c"):
        facts = store.load(sources, overlay={name: source}).facts
        assert facts.keys() >= others
        assert set(store.load(sources, later={name: source}).facts) >= others
    # What is changed itself is read, whoever includes it.
    assert (
        "include/linux/other.h" in store.load(sources, overlay={"include/linux/other.h": b""}).facts
    )


def test_headers_alone_are_all_read(tree: Path) -> None:
    assert len(store.load(store.list_sources(tree, ("include",))).facts) == 6


def test_a_header_that_is_no_file_is_told(tree: Path) -> None:
    (tree / "fs" / "more.c").write_text("#include <linux/gone.h>\n")
    (tree / "include/linux/gone.h").symlink_to("nowhere.h")
    facts = store.load(store.list_sources(tree)).facts
    assert "left out" in facts["include/linux/gone.h"].problem
