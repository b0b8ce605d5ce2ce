"""What is walked once for several subjects, or in reclaim and out of it, says what each walk alone says."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ring3 import linux_source
from ring3.audit import store
from ring3.audit.contexts import ASKS_DOMAIN, ASKS_RECLAIM, Context
from ring3.audit.facts import extract
from ring3.audit.findings import Finding
from ring3.audit.flow import Interpreter
from ring3.audit.program import Program
from ring3.audit.reclaim import Audit

_SOURCES = {
    "fs/shared.c": """
        static int plain(struct inode *inode) { return other(inode, 0); }
        static void tells_reclaim(struct inode *inode)
        { if (current->flags & PF_MEMALLOC) return; plain(inode); }
        static void tells_fs(struct inode *inode) { inode->i_sb->s_op->evict_inode(inode); }
        static int asks(struct inode *inode)
        { return current->flags & PF_MEMALLOC ? 1 : 0; }
        static void by_answer(struct inode *inode) { if (asks(inode)) plain(inode); }
        static int other(struct inode *inode, int how) { kmalloc(8, GFP_KERNEL); return 0; }
    """,
    "fs/one/one.c": """
        static void one_evict(struct inode *inode) { kmalloc(8, GFP_KERNEL); }
        static const struct super_operations one = { .evict_inode = one_evict };
    """,
    "fs/two/two.c": """
        static void two_evict(struct inode *inode) { kmalloc(8, GFP_KERNEL); }
        static const struct super_operations two = { .evict_inode = two_evict };
    """,
    "include/linux/fs.h": """
        struct inode { struct super_block *i_sb; };
        struct super_block { const struct super_operations *s_op; };
        struct super_operations { void (*evict_inode)(struct inode *inode); };
    """,
}


@pytest.fixture
def interpreter() -> Interpreter:
    return Interpreter(
        Program({name: extract(text.encode(), name[-1] == "h") for name, text in _SOURCES.items()})
    )


def enters(interpreter: Interpreter, name: str, context: Context) -> list[tuple[str, str, int]]:
    functions = interpreter.program.functions
    walked = interpreter.walk(interpreter.program.by_name[name][0], context)
    return [
        (functions[edge.callee].name, edge.context.domain, edge.context.reclaim)
        for edge in walked.edges
    ]


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("plain", 0),
        ("tells_reclaim", ASKS_RECLAIM),
        ("tells_fs", ASKS_DOMAIN),
        ("by_answer", ASKS_RECLAIM),
    ],
)
def test_a_walk_knows_what_it_asks(interpreter: Interpreter, name: str, asks: int) -> None:
    function = interpreter.program.by_name[name][0]
    assert interpreter.walk(function, Context("fs/one")).asks == asks


def test_what_is_entered_is_of_who_enters(interpreter: Interpreter) -> None:
    for name in ("fs/one", "fs/two", "fs/one"):
        for reclaim in (0, 1):
            context = Context(name, reclaim)
            evict = f"{name[3:]}_evict"
            assert enters(interpreter, "plain", context) == [("other", name, reclaim)]
            assert enters(interpreter, "tells_fs", context) == [(evict, name, reclaim)]
            told = [] if reclaim else [("plain", name, 0)]
            assert enters(interpreter, "tells_reclaim", context) == told
            by_answer = [("plain", name, 1)] if reclaim else []
            assert [
                step for step in enters(interpreter, "by_answer", context) if step[0] == "plain"
            ] == by_answer
        interpreter.forget()


def told(findings: Iterable[Finding]) -> list[str]:
    return sorted(map(repr, findings))


@pytest.mark.oracle
@pytest.mark.timeout(900)
def test_7_2_has_the_same_findings_with_nothing_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = linux_source.kernel_source("7.2")
    loaded = store.load(store.list_sources(tree, store.core_folders(tree)))
    subjects = ("fs/ext4", "fs/nfs", "fs/ocfs2", "fs/minix", "fs/jffs2", "fs/fuse", "block")
    shared = Audit(Program(loaded.facts))
    entries = shared.subjects()
    found = {unit: told(shared.run(unit, entries[unit]).findings) for unit in subjects}
    assert all(found.values())
    monkeypatch.setattr(Interpreter, "_alike", lambda *_: None)
    for unit in subjects:
        alone = Audit(Program(loaded.facts))
        assert told(alone.run(unit, entries[unit]).findings) == found[unit], unit
