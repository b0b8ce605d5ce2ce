"""GFP flags: each bit and each mask declared once, read and printed as the kernel prints them.

A mask is a plain ``int``, because the allocator tests bits on every allocation.  Constants here are the
bits that every kernel since 6.1 agrees on; what differs between kernels is in :data:`TABLES`.

Sources: include/linux/gfp_types.h, include/trace/events/mmflags.h, lib/vsprintf.c (format_flags) and
include/linux/sched/mm.h (current_gfp_context), Linux 6.1 and 7.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ring3.errors import BadInput
from ring3.kernel.task import PF_MEMALLOC, PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO, PF_MEMALLOC_PIN

DMA = 1 << 0
HIGHMEM = 1 << 1
DMA32 = 1 << 2
MOVABLE = 1 << 3
RECLAIMABLE = 1 << 4
HIGH = 1 << 5
IO = 1 << 6
FS = 1 << 7
ZERO = 1 << 8
DIRECT_RECLAIM = 1 << 10
KSWAPD_RECLAIM = 1 << 11
WRITE = 1 << 12
NOWARN = 1 << 13
RETRY_MAYFAIL = 1 << 14
NOFAIL = 1 << 15
NORETRY = 1 << 16
MEMALLOC = 1 << 17
COMP = 1 << 18
NOMEMALLOC = 1 << 19
HARDWALL = 1 << 20
THISNODE = 1 << 21
ACCOUNT = 1 << 22
ZEROTAGS = 1 << 23
#: Where a kernel with lockdep and without KASAN's hardware tags has it (7.2).
NOLOCKDEP = 1 << 24

RECLAIM = DIRECT_RECLAIM | KSWAPD_RECLAIM

GFP_NOIO = RECLAIM
GFP_NOFS = RECLAIM | IO
GFP_KERNEL = RECLAIM | IO | FS
GFP_KERNEL_ACCOUNT = GFP_KERNEL | ACCOUNT
GFP_USER = GFP_KERNEL | HARDWALL
GFP_HIGHUSER = GFP_USER | HIGHMEM
GFP_ATOMIC = HIGH | KSWAPD_RECLAIM
GFP_NOWAIT = KSWAPD_RECLAIM | NOWARN


@dataclass(frozen=True)
class GfpTable:
    """The flags of one kernel.  ``printed`` holds the masks in the order in which they are tried."""

    kernel: str
    bits: Mapping[str, int]
    masks: Mapping[str, int]
    printed: tuple[str, ...]

    def value(self, name: str) -> int:
        """The value of one name as the kernel spells it; KeyError when this kernel has none such."""
        return self.bits[name] if name in self.bits else self.masks[name]


_COMMON = [
    "DMA",
    "HIGHMEM",
    "DMA32",
    "MOVABLE",
    "RECLAIMABLE",
    "HIGH",
    "IO",
    "FS",
    "ZERO",
    "-",
    "DIRECT_RECLAIM",
    "KSWAPD_RECLAIM",
    "WRITE",
    "NOWARN",
    "RETRY_MAYFAIL",
    "NOFAIL",
    "NORETRY",
    "MEMALLOC",
    "COMP",
    "NOMEMALLOC",
    "HARDWALL",
    "THISNODE",
    "ACCOUNT",
    "ZEROTAGS",
]
_MASKS_PRINTED = [
    "GFP_TRANSHUGE",
    "GFP_TRANSHUGE_LIGHT",
    "GFP_HIGHUSER_MOVABLE",
    "GFP_HIGHUSER",
    "GFP_USER",
    "GFP_KERNEL_ACCOUNT",
    "GFP_KERNEL",
    "GFP_NOFS",
    "GFP_ATOMIC",
    "GFP_NOIO",
    "GFP_NOWAIT",
    "GFP_DMA",
]
#: The order of 6.1's table after the masks.
_PRINTED_6_1 = [
    "__GFP_HIGHMEM",
    "GFP_DMA32",
    "__GFP_HIGH",
    "__GFP_ATOMIC",
    "__GFP_IO",
    "__GFP_FS",
    "__GFP_NOWARN",
    "__GFP_RETRY_MAYFAIL",
    "__GFP_NOFAIL",
    "__GFP_NORETRY",
    "__GFP_COMP",
    "__GFP_ZERO",
    "__GFP_NOMEMALLOC",
    "__GFP_MEMALLOC",
    "__GFP_HARDWALL",
    "__GFP_THISNODE",
    "__GFP_RECLAIMABLE",
    "__GFP_MOVABLE",
    "__GFP_ACCOUNT",
    "__GFP_WRITE",
    "__GFP_RECLAIM",
    "__GFP_DIRECT_RECLAIM",
    "__GFP_KSWAPD_RECLAIM",
    "__GFP_ZEROTAGS",
]


def _bits(names: list[str]) -> dict[str, int]:
    return {f"__GFP_{name}": 1 << bit for bit, name in enumerate(names) if name != "-"}


def _masks(atomic: int, nowait: int, movable: int) -> dict[str, int]:
    """The composite masks; ``movable`` is what GFP_HIGHUSER_MOVABLE adds to GFP_HIGHUSER."""
    highuser_movable = GFP_HIGHUSER | movable
    light = (highuser_movable | COMP | NOMEMALLOC | NOWARN) & ~RECLAIM
    return {
        "__GFP_RECLAIM": RECLAIM,
        "GFP_ATOMIC": atomic,
        "GFP_KERNEL": GFP_KERNEL,
        "GFP_KERNEL_ACCOUNT": GFP_KERNEL_ACCOUNT,
        "GFP_NOWAIT": nowait,
        "GFP_NOIO": GFP_NOIO,
        "GFP_NOFS": GFP_NOFS,
        "GFP_USER": GFP_USER,
        "GFP_DMA": DMA,
        "GFP_DMA32": DMA32,
        "GFP_HIGHUSER": GFP_HIGHUSER,
        "GFP_HIGHUSER_MOVABLE": highuser_movable,
        "GFP_TRANSHUGE_LIGHT": light,
        "GFP_TRANSHUGE": light | DIRECT_RECLAIM,
    }


def table_6_1() -> GfpTable:
    """Linux 6.1 without KASAN's hardware tags: fixed bit numbers, __GFP_ATOMIC still a bit."""
    atomic_bit = 1 << 9
    bits = {**_bits(_COMMON), "__GFP_ATOMIC": atomic_bit, "__GFP_NOLOCKDEP": 1 << 27}
    masks = _masks(HIGH | atomic_bit | KSWAPD_RECLAIM, KSWAPD_RECLAIM, MOVABLE)
    return GfpTable("6.1", bits, masks, (*_MASKS_PRINTED, *_PRINTED_6_1))


def table_7_2(*, lockdep: bool = False, kasan_hw_tags: bool = False) -> GfpTable:
    """Linux 7.2: bits after ZEROTAGS are numbered by what the kernel is configured with."""
    names = list(_COMMON)
    if kasan_hw_tags:
        names += ["SKIP_ZERO", "SKIP_KASAN"]
    if lockdep:
        names += ["NOLOCKDEP"]
    names += ["NO_OBJ_EXT"]
    bits = _bits(names)
    masks = _masks(GFP_ATOMIC, GFP_NOWAIT, MOVABLE | bits.get("__GFP_SKIP_KASAN", 0))
    return GfpTable("7.2", bits, masks, (*_MASKS_PRINTED, "GFP_DMA32", "__GFP_RECLAIM", *bits))


#: Kernel -> its flags as distributions configure it.
TABLES = {"6.1": table_6_1(), "7.2": table_7_2()}
#: What the simulated kernel runs with: 7.2 with lockdep.
MODEL = table_7_2(lockdep=True)


def format_gfp(flags: int, table: GfpTable = MODEL) -> str:
    """``flags`` as ``%pGg`` prints them: ``GFP_NOFS|__GFP_NOFAIL``; unnamed bits follow in hex."""
    parts = []
    for name in table.printed:
        mask = table.value(name)
        if flags & mask == mask:
            parts.append(name)
            flags &= ~mask
    if flags:
        parts.append(f"{flags:#x}")
    return "|".join(parts)


def parse_gfp(text: str, table: GfpTable = MODEL) -> int:
    """The mask that ``GFP_NOFS|__GFP_NOFAIL``, ``0x8c40`` or ``0x8c40(GFP_NOFS|...)`` names.

    Where a number is given it counts.  Raises BadInput for a name the kernel does not have.
    """
    text = text.strip()
    number = re.match(r"0x([0-9a-fA-F]{1,8})\b", text)
    if number:
        return int(number[1], 16)
    flags = 0
    for part in filter(None, (part.strip() for part in text.split("|"))):
        if re.fullmatch(r"0x[0-9a-fA-F]{1,8}", part):
            flags |= int(part, 16)
        elif part in table.bits or part in table.masks:
            flags |= table.value(part)
        elif part != "none":
            raise BadInput(
                f"no GFP flag {part[:40]!r} in Linux {table.kernel}",
                where="gfp mask",
                remedy="names as the kernel spells them, joined by |",
            )
    return flags


def current_gfp_context(flags: int, task_flags: int) -> int:
    """``flags`` after the task's memalloc scopes: NOIO takes IO and FS and beats NOFS."""
    if task_flags & PF_MEMALLOC_NOIO:
        flags &= ~(IO | FS)
    elif task_flags & PF_MEMALLOC_NOFS:
        flags &= ~FS
    if task_flags & PF_MEMALLOC_PIN:
        flags &= ~MOVABLE
    return flags


def takes_fs_reclaim(flags: int, task_flags: int) -> bool:
    """Whether an allocation acquires lockdep's fs_reclaim map (mm/page_alloc.c, fs_reclaim_acquire)."""
    flags = current_gfp_context(flags, task_flags)
    if not flags & DIRECT_RECLAIM or flags & NOLOCKDEP or task_flags & PF_MEMALLOC:
        return False
    return bool(flags & FS)
