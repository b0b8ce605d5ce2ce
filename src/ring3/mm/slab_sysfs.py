"""The caches of a running kernel, /sys/kernel/slab, compared with the layout model.

Only what the creator asked for is taken from sysfs (object size, flags, constructor); order, objects,
size and alignment are computed and compared.  Two things asked for are not in sysfs: an alignment, and a
free pointer offset; they are declared here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ring3.errors import BadInput, MissingPart
from ring3.files import read_input
from ring3.mm.slab import Cache, Layout, kmalloc_cache, layout

SYSFS = Path("/sys/kernel/slab")

#: RCU caches with a word for the free pointer inside the object, by its offset (negative: from the
#: end): struct vm_area_struct.vm_freeptr, struct file.f_freeptr.
FREEPTR_INSIDE = {"vm_area_struct": 0, "filp": -32}

#: An alignment larger than a word that the creator names, where the flag HWCACHE_ALIGN does not.
ALIGNED = {
    "maple_node": 256,  # lib/maple_tree.c: to its own size
    "task_struct": 64,  # kernel/fork.c: a cache line, for the FPU state at its end
    "kvm_vcpu": 16,  # arch/x86/kvm: the alignment of fxregs_state
    "x86_emulator": 16,  # arch/x86/kvm/x86.c: alignof(struct x86_emulate_ctxt)
    "pool_workqueue": 256,  # kernel/workqueue.c: low bits of its address carry work flags
    "task_group": 64,  # kernel/sched: a struct with cache-line aligned members
    "net_namespace": 64,  # net/core/net_namespace.c: SMP_CACHE_BYTES
}

#: What sysfs has for each cache, as integers; ``ctor`` is a string.
FIELDS = (
    "object_size",
    "slab_size",
    "align",
    "objs_per_slab",
    "order",
    "hwcache_align",
    "destroy_by_rcu",
)


@dataclass(frozen=True)
class Measured:
    """One cache as a kernel reports it; ``aliases`` are the caches merged into it, by their names."""

    name: str
    object_size: int
    slab_size: int
    align: int
    objs_per_slab: int
    order: int
    hwcache_align: bool
    destroy_by_rcu: bool
    ctor: str
    debug: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Where the model says something else than the kernel."""

    cache: str
    what: str
    kernel: int
    model: int


def read_sysfs(root: Path = SYSFS) -> tuple[list[Measured], int]:
    """The running kernel's caches, each once (aliases are links), and its number of CPUs."""
    if not root.is_dir():
        raise MissingPart(
            "no SLUB in sysfs here", where=str(root), remedy="a kernel with CONFIG_SLUB_DEBUG"
        )
    found = []
    folders = sorted(root.iterdir())
    aliases: dict[str, list[str]] = {}
    for link in filter(Path.is_symlink, folders):
        aliases.setdefault(link.readlink().name, []).append(link.name)
    for folder in folders:
        if folder.is_symlink():
            continue
        try:
            record: dict[str, Any] = {name: (folder / name).read_text() for name in FIELDS}
        except PermissionError:
            raise MissingPart(
                "the kernel tells of its caches to root alone",
                where=str(root),
                remedy="run as root",
            ) from None
        except OSError:
            continue  # it is gone, or was never whole
        record["ctor"] = _read(folder / "ctor")
        letters = (("red_zone", "Z"), ("poison", "P"), ("store_user", "U"))
        record["debug"] = "".join(d for name, d in letters if _read(folder / name) == "1")
        record["aliases"] = aliases.get(folder.name, [])
        found.append(_measured({"name": folder.name, **record}, str(folder)))
    if not found:
        raise MissingPart(
            "no slab cache in sysfs here", where=str(root), remedy="mount -t sysfs sysfs /sys"
        )
    return found, _present_cpus()


def read_json(path: Path) -> tuple[list[Measured], int]:
    """Caches from a JSON file: ``{"kernel": "... N CPUs ...", "caches": [{"name": ..., FIELDS}]}``."""
    try:
        document = json.loads(read_input(path))
        if not isinstance(document, dict):
            raise TypeError("no object")
        caches = document["caches"]
        words = str(document["kernel"]).replace(",", "").split()
        cpus = int(words[words.index("CPUs") - 1])
        if not isinstance(caches, list):
            raise TypeError("caches is no list")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(
            f"no table of slab caches: {error}",
            where=str(path),
            remedy='JSON: {"kernel": "... N CPUs ...", "caches": [...]}',
        ) from None
    return [_measured(record, f"{path}: cache {i}") for i, record in enumerate(caches)], cpus


def requested(measured: Measured) -> Cache:
    """What the creator of ``measured`` asked for."""
    name = measured.name
    kmalloc = kmalloc_cache(name)
    inside = FREEPTR_INSIDE.get(name) if measured.destroy_by_rcu else None
    return Cache(
        name,
        measured.object_size,
        align=max(ALIGNED.get(each, 0) for each in (name, *measured.aliases)),
        hwcache_align=measured.hwcache_align,
        typesafe_by_rcu=measured.destroy_by_rcu,
        ctor=bool(measured.ctor),
        kmalloc=kmalloc is not None,
        freeptr_offset=None if inside is None else inside % measured.object_size,
    )


def nameless(measured: Measured) -> bool:
    """Whether it stands for merged caches of which nobody said which."""
    return measured.name.startswith(":") and not measured.aliases


def compare(measured: Measured, cpus: int) -> tuple[Layout, list[Difference]]:
    """The model's layout of ``measured`` and every number in which it differs from the kernel's."""
    computed = layout(requested(measured), debug=measured.debug, cpus=cpus)
    pairs = (
        ("order", measured.order, computed.order),
        ("objects", measured.objs_per_slab, computed.objects),
        ("size", measured.slab_size, computed.size),
        ("align", measured.align, computed.align),
    )
    differences = [Difference(measured.name, what, k, m) for what, k, m in pairs if k != m]
    return computed, differences


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _measured(record: Any, where: str) -> Measured:
    try:
        return Measured(
            name=str(record["name"]),
            object_size=int(record["object_size"]),
            slab_size=int(record["slab_size"]),
            align=int(record["align"]),
            objs_per_slab=int(record["objs_per_slab"]),
            order=int(record["order"]),
            hwcache_align=int(record["hwcache_align"]) == 1,
            destroy_by_rcu=int(record["destroy_by_rcu"]) == 1,
            ctor=str(record.get("ctor", "")),
            debug=str(record.get("debug", "")),
            aliases=tuple(str(name) for name in record.get("aliases", ())),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"not a cache: {error}", where=where) from None


def _present_cpus() -> int:
    last = _read(Path("/sys/devices/system/cpu/present")).replace(",", "-").split("-")[-1]
    return int(last) + 1 if last.isdigit() else 1
