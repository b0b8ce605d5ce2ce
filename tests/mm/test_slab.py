"""SLUB's layout against the caches of two running kernels and against arithmetic."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from shared_data import shared

from ring3.cli.slab import slab_group
from ring3.errors import BadInput, MissingPart
from ring3.mm import slab, slab_picture, slab_sysfs

#: Names of merged caches of that kernel whose creator asked for an alignment (its sysfs links).
ALIASES = {
    ":0000512": ("pool_workqueue",),
    ":0000704": ("task_group",),
    ":A-0004288": ("net_namespace",),
}


def test_all_caches_of_6_18() -> None:
    caches, cpus = slab_sysfs.read_json(shared("slab-6.18.json"))
    assert (len(caches), cpus) == (235, 2)
    caches = [dataclasses.replace(c, aliases=ALIASES.get(c.name, ())) for c in caches]
    assert [d for cache in caches for d in slab_sysfs.compare(cache, cpus)[1]] == []


def test_merged_caches_without_names_are_explained() -> None:
    done = CliRunner().invoke(slab_group, ["check", str(shared("slab-6.18.json"))])
    assert done.exit_code == 1
    assert "235 caches, 2 CPUs: 232 agree" in done.output
    assert 'does not say which ("aliases")' in done.output


def test_an_empty_sysfs_is_no_agreement(tmp_path: Path) -> None:
    with pytest.raises(MissingPart):
        slab_sysfs.read_sysfs(tmp_path)


def test_who_is_not_root_hears_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "dentry").mkdir()
    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(MissingPart, match="run as root"):
        slab_sysfs.read_sysfs(tmp_path)


def test_running_kernel() -> None:
    try:
        caches, cpus = slab_sysfs.read_sysfs()
    except MissingPart as missing:
        pytest.skip(str(missing))
    wrong = [d for cache in caches for d in slab_sysfs.compare(cache, cpus)[1]]
    # Modules of any machine may name alignments that are declared nowhere here; nothing else differs.
    assert [d for d in wrong if d.what != "align" or d.cache in slab_sysfs.ALIGNED] == []
    assert len(caches) > 50


@pytest.mark.parametrize(
    ("debug", "size"),
    [("", 512), ("Z", 1536), ("P", 1024), ("U", 1024), ("F", 512)],
)
def test_kmalloc_512_under_debugging(debug: str, size: int) -> None:
    """As booted with slab_debug=LETTER and read from slab_size."""
    cache = slab.kmalloc_cache("kmalloc-512")
    assert cache is not None
    assert slab.layout(cache, debug=debug).size == size


@pytest.mark.parametrize(
    ("name", "align"),
    [
        ("kmalloc-512", 512),
        ("kmalloc-cg-96", 32),
        ("kmalloc-rcl-192", 64),
        ("dma-kmalloc-1k", 1024),
    ],
)
def test_kmalloc_alignment(name: str, align: int) -> None:
    """Documentation/core-api/memory-allocation.rst: the largest power of two that divides the size."""
    cache = slab.kmalloc_cache(name)
    assert cache is not None
    assert slab.layout(cache).align == align


@given(
    size=st.integers(1, 1 << 16),
    align=st.sampled_from([0, 8, 16, 64, 256, 4096]),
    hwcache=st.booleans(),
    rcu=st.booleans(),
    ctor=st.booleans(),
    debug=st.text("ZPUF", max_size=4),
    cpus=st.integers(1, 512),
)
def test_what_every_layout_promises(
    *, size: int, align: int, hwcache: bool, rcu: bool, ctor: bool, debug: str, cpus: int
) -> None:
    cache = slab.Cache("any", size, align, hwcache, rcu, ctor)
    made = slab.layout(cache, debug=debug, cpus=cpus)
    # Regions tile the slot without gap or overlap, and every object is aligned.
    at = 0
    for region in made.regions:
        assert region.offset == at
        at += region.size
    assert at == made.size
    assert made.size % made.align == 0
    assert made.red_left_pad % made.align == 0
    assert made.objects >= 1
    assert 0 <= made.unused < made.size
    # A destroyed object must keep its content for RCU readers: no free pointer in it.
    if rcu or ctor or "P" in debug:
        assert made.freeptr >= size
    assert "#" in slab_picture.text(made)


@given(
    st.builds(
        slab.Cache,
        st.just("any"),
        st.integers(-(2**40), 2**40),
        st.integers(-5, 2**33),
        freeptr_offset=st.none() | st.integers(-9, 2**33),
    ),
    st.text(max_size=3),
    st.integers(-3, 2**33),
)
def test_nonsense_is_refused(cache: slab.Cache, debug: str, cpus: int) -> None:
    with contextlib.suppress(BadInput):
        slab.layout(cache, debug=debug, cpus=cpus)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["kernel", "caches", "name", *slab_sysfs.FIELDS]), x)
        ),
    )
)
def test_any_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value))
    with contextlib.suppress(BadInput):
        slab_sysfs.read_json(path)


def test_commands() -> None:
    done = CliRunner().invoke(slab_group, ["layout", "kmalloc-512", "--debug", "Z", "--json"])
    answer = json.loads(done.output)
    assert (answer["size"], answer["red_left_pad"]) == (1536, 512)
    done = CliRunner().invoke(slab_group, ["layout", "24"])
    assert done.exit_code == 0
    assert "170 objects" in done.output
