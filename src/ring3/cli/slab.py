"""``ring3 slab``: how SLUB lays a cache out, and whether the running kernel agrees."""

from __future__ import annotations

from pathlib import Path

import click

from ring3.cli import Group
from ring3.cli.output import console, emit_json, finding
from ring3.errors import BadInput
from ring3.mm import slab, slab_picture, slab_sysfs


@click.group(cls=Group)
def slab_group() -> None:
    """SLUB caches: an object's slot byte by byte, and the running kernel's caches against the rules."""


@slab_group.command(
    "layout",
    examples=[
        "ring3 slab layout kmalloc-512 --debug Z",
        "ring3 slab layout 600 --hwcache-align --debug ZPU",
        "ring3 slab layout vm_area_struct",
    ],
)
@click.argument("cache")
@click.option("--align", default=0, help="The alignment asked for, in bytes.")
@click.option("--hwcache-align", is_flag=True, help="SLAB_HWCACHE_ALIGN.")
@click.option("--rcu", is_flag=True, help="SLAB_TYPESAFE_BY_RCU.")
@click.option("--ctor", is_flag=True, help="The cache has a constructor.")
@click.option("--freeptr-offset", type=int, help="Where the free pointer may lie in the object.")
@click.option("--debug", default="", help="Letters of slab_debug: Z, P, U, F.")
@click.option("--cpus", default=2, show_default=True, help="Present CPUs; they set the order.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def layout_command(
    *,
    cache: str,
    align: int,
    hwcache_align: bool,
    rcu: bool,
    ctor: bool,
    freeptr_offset: int | None,
    debug: str,
    cpus: int,
    as_json: bool,
) -> None:
    """Print the layout of CACHE: a kmalloc cache, an object size in bytes, or a cache of this kernel."""
    if cache.isascii() and cache.isdigit() and len(cache) < 12:
        asked = slab.Cache(
            f"{cache} bytes", int(cache), align, hwcache_align, rcu, ctor, False, freeptr_offset
        )
    else:
        asked = slab.kmalloc_cache(cache) or _running(cache)
    made = slab.layout(asked, debug=debug, cpus=cpus)
    if as_json:
        emit_json(slab_picture.record(made))
    else:
        click.echo(slab_picture.text(made))


@slab_group.command("check", examples=["ring3 slab check", "ring3 slab check caches.json --json"])
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_command(file: Path | None, as_json: bool) -> None:
    """Compare every cache of the running kernel (or of FILE, JSON) with the layout rules.

    Exit code 1 when one differs.
    """
    caches, cpus = slab_sysfs.read_json(file) if file else slab_sysfs.read_sysfs()
    differences = [d for cache in caches for d in slab_sysfs.compare(cache, cpus)[1]]
    wrong = {d.cache for d in differences}
    if as_json:
        emit_json(
            {"caches": len(caches), "cpus": cpus, "differences": [vars(d) for d in differences]}
        )
    else:
        click.echo(
            f"{len(caches)} caches, {cpus} CPUs: {len(caches) - len(wrong)} agree in order, objects,"
            " size and alignment"
        )
        for d in differences:
            console().print(f"{d.cache}: {d.what} is {d.kernel}, the rules say {d.model}")
        if any(slab_sysfs.nameless(cache) and cache.name in wrong for cache in caches):
            click.echo(
                "A cache whose name begins with a colon is several merged ones; the file does not say which"
                ' ("aliases"), so an alignment that one of them asks for is not known.'
            )
    if differences:
        finding()


def _running(name: str) -> slab.Cache:
    for cache in slab_sysfs.read_sysfs()[0]:
        if name in (cache.name, *cache.aliases):
            return slab_sysfs.requested(cache)
    raise BadInput(
        f"no cache {name[:60]!r} in the running kernel",
        where="slab layout",
        remedy="a name of /sys/kernel/slab, kmalloc-SIZE, or an object size in bytes",
    )
