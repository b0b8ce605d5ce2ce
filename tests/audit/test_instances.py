"""Which of several tables of operations an object of a driver has, in small drivers of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ring3.audit.findings import Finding
from ring3.audit.run import audit

#: A GPU driver with two rings: ``begin`` of a loud one takes the lock that is held around an allocation, and
#: the notifier, which reclaim calls, begins some ring.
COMMON = """
enum ring_type { RING_QUIET, RING_LOUD, RING_THIRD };
struct ring;
struct ring_funcs { enum ring_type type; void (*begin)(struct ring *); void (*next)(struct ring *); };
struct ring { const struct ring_funcs *funcs; struct toy *toy; };
struct kiq { struct ring ring; };
struct block_version { enum ring_type type; const struct ring_funcs *funcs; };
struct block { const struct block_version *version; };
struct toy { struct mutex lock; struct kiq kiq; struct ring gfx; struct block blocks[4]; int ready; };

void toy_hold(struct toy *toy)
{
    mutex_lock(&toy->lock);
    toy->ready = kmalloc(8, GFP_KERNEL) != 0;
    mutex_unlock(&toy->lock);
}
"""
LOUD = """
static void loud_begin(struct ring *ring)
{
    mutex_lock(&ring->toy->lock);
    mutex_unlock(&ring->toy->lock);
}
static void loud_next(struct ring *ring)
{
    ring->funcs->begin(ring);
}
static const struct ring_funcs loud_funcs = {
    .type = RING_LOUD, .begin = loud_begin, .next = loud_next };
const struct block_version loud_block = { .type = RING_LOUD, .funcs = &loud_funcs };
void loud_set(struct toy *toy)
{
    toy->gfx.funcs = &loud_funcs;
}
"""
QUIET = """
static void quiet_begin(struct ring *ring)
{
    ring->toy->ready = 1;
}
static void quiet_next(struct ring *ring)
{
    ring->funcs->begin(ring);
}
static const struct ring_funcs quiet_funcs = {
    .type = RING_QUIET, .begin = quiet_begin, .next = quiet_next };
const struct block_version quiet_block = { .type = RING_QUIET, .funcs = &quiet_funcs };
void quiet_set(struct toy *toy)
{
    toy->kiq.ring.funcs = &quiet_funcs;
}
"""
NOTIFIER = """
static inline void ring_begin(struct ring *ring)
{
    ring->funcs->begin(ring);
}
static bool toy_invalidate(struct mmu_interval_notifier *mni)
{
    struct toy *toy = container_of(mni, struct toy, notifier);
    struct ring *ring;
    %s
    return true;
}
static const struct mmu_interval_notifier_ops toy_mn_ops = { .invalidate = toy_invalidate };
"""


def findings(tmp_path: Path, **files: str) -> list[Finding]:
    """The findings of a driver made of ``files``, with the common one as a header of all."""
    folder = tmp_path / "drivers" / "gpu" / "drm" / "toy"
    folder.mkdir(parents=True)
    for name, text in {"common": COMMON, **files}.items():
        (folder / f"{name}.c").write_text(text)
    return [one for one in audit(tmp_path).findings if one.lock == "toy.lock"]


def level(tmp_path: Path, body: str, loud: str = LOUD) -> str:
    """The level of the one finding there is when the notifier does ``body``; "" when there is none."""
    found = findings(tmp_path, loud=loud, quiet=QUIET, notifier=NOTIFIER % body)
    return found[0].level if found else ""


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        # The object that the pointer is set in.
        ("ring = &toy->gfx; ring_begin(ring);", "error"),
        ("ring = &toy->kiq.ring; ring_begin(ring);", ""),
        ("ring_begin(&toy->gfx);", "error"),
        ("ring_begin(&toy->kiq.ring);", ""),
        # A constant of the table.
        ("ring = find(toy); if (ring->funcs->type == RING_LOUD) ring_begin(ring);", "error"),
        ("ring = find(toy); if (ring->funcs->type != RING_LOUD) ring_begin(ring);", ""),
        (
            "ring = find(toy); if (ring->funcs->type == RING_LOUD) return true; ring_begin(ring);",
            "",
        ),
        (
            "ring = find(toy); switch (ring->funcs->type) "
            "{ case RING_QUIET: ring_begin(ring); break; default: break; }",
            "",
        ),
        (
            "ring = find(toy); switch (ring->funcs->type) "
            "{ case RING_LOUD: ring_begin(ring); break; default: break; }",
            "error",
        ),
        # What is tested is another ring's.
        (
            "ring = find(toy); if (ring->funcs->type != RING_LOUD) { ring = find(toy); ring_begin(ring); }",
            "warning",
        ),
        # The operation through which a function was entered.
        ("ring = &toy->gfx; ring->funcs->next(ring);", "error"),
        ("ring = &toy->kiq.ring; ring->funcs->next(ring);", ""),
        # Nothing tells.
        ("ring = find(toy); ring_begin(ring);", "warning"),
    ],
)
def test_which_table_is_told(tmp_path: Path, body: str, wanted: str) -> None:
    assert level(tmp_path, body) == wanted


BLOCKS = """
    static const enum ring_type order[] = { %s };
    struct block *block;
    int i;
    for (i = 0; i < 4; i++) {
        block = &toy->blocks[i];
        if (block->version->type != order[i])
            continue;
        block->version->funcs->begin(&toy->gfx);
    }
"""


@pytest.mark.parametrize(
    ("order", "wanted"),
    [("RING_QUIET, RING_THIRD", ""), ("RING_LOUD, RING_THIRD", "error")],
)
def test_a_struct_with_a_constant_beside_the_pointer_tells(
    tmp_path: Path, order: str, wanted: str
) -> None:
    assert level(tmp_path, BLOCKS % order) == wanted


def test_a_file_with_a_table_means_its_own(tmp_path: Path) -> None:
    helper = """
    void %s_again(struct ring *ring)
    {
        ring->funcs->begin(ring);
    }
    """
    found = findings(
        tmp_path,
        loud=LOUD,
        quiet=QUIET + helper % "quiet",
        notifier=NOTIFIER % "quiet_again(find(toy));",
    )
    assert not found


def test_who_holds_the_lock_has_a_device_of_that_table(tmp_path: Path) -> None:
    """Where the holder is of the same file as the function behind the operation, there is no doubt."""
    holder = COMMON[COMMON.index("void toy_hold") :].replace("toy_hold", "loud_hold")
    folder = {"loud": LOUD + holder, "quiet": QUIET}
    found = findings(tmp_path, **folder, notifier=NOTIFIER % "ring_begin(find(toy));")
    levels = {one.at.function: one.level for one in found}
    assert levels == {"loud_hold": "error", "toy_hold": "warning"}


def test_a_member_that_code_sets_tells_nothing(tmp_path: Path) -> None:
    body = "ring = find(toy); if (ring->funcs->type != RING_LOUD) ring_begin(ring);"
    changed = LOUD.replace("toy->gfx.funcs = &loud_funcs;", "loud_funcs.type = RING_THIRD;")
    assert level(tmp_path, body, changed) == "warning"


def test_tables_of_two_structs_of_which_nothing_tells_are_two_doubts(tmp_path: Path) -> None:
    engines = """
    struct engine_funcs { void (*kick)(struct ring *); };
    struct engine { const struct engine_funcs *funcs; };
    static void one_kick(struct ring *ring) { ring->funcs->begin(ring); }
    static void two_kick(struct ring *ring) { ring->toy->ready = 2; }
    static const struct engine_funcs one_engine = { .kick = one_kick };
    static const struct engine_funcs two_engine = { .kick = two_kick };
    """
    found = findings(
        tmp_path,
        loud=LOUD,
        quiet=QUIET,
        engines=engines,
        notifier=NOTIFIER % "struct engine *engine = find(toy); engine->funcs->kick(find(toy));",
    )
    assert [one.level for one in found] == ["note"]
    assert sum("is any of 2" in why for why in found[0].why) == 2
