"""A cache's layout as text and as plain data."""

from __future__ import annotations

from typing import Any

from ring3.mm.slab import Layout

_FILL = {
    "object": "#",
    "left red zone": "R",
    "red zone": "R",
    "free pointer": "f",
    "trace of allocation": "a",
    "trace of free": "t",
    "requested size": "s",
    "padding": ".",
    "alignment": ".",
}
_WIDTH = 64


def record(layout: Layout) -> dict[str, Any]:
    """The layout as JSON-ready data; sizes and offsets in bytes."""
    return {
        "cache": layout.cache.name,
        "object_size": layout.cache.object_size,
        "size": layout.size,
        "align": layout.align,
        "order": layout.order,
        "objects": layout.objects,
        "unused": layout.unused,
        "red_left_pad": layout.red_left_pad,
        "free_pointer": layout.red_left_pad + layout.freeptr,
        "regions": [vars(region) for region in layout.regions],
    }


def text(layout: Layout) -> str:
    """The slot as a bar with its regions to scale, each region's bytes, and the slab it sits in."""
    pointer = layout.red_left_pad + layout.freeptr
    inside = layout.freeptr < layout.cache.object_size
    lines = [
        f"{layout.cache.name}: object {layout.cache.object_size}, slot {layout.size},"
        f" aligned to {layout.align}",
        f"slab: order {layout.order}, {layout.slab_bytes} bytes,"
        f" {layout.objects} objects, {layout.unused} bytes unused",
        "",
        f"  |{_bar(layout, pointer if inside else None)}|",
        "",
        "  offset   bytes",
    ]
    lines += [
        f"  {region.offset:6}  {region.size:6}  {_FILL[region.what]}  {region.what}"
        for region in layout.regions
    ]
    if inside:
        lines.append(f"  {pointer:6}       8  f  free pointer, inside the object while it is free")
    return "\n".join(lines)


def _bar(layout: Layout, pointer: int | None) -> str:
    """At most 64 characters to scale; every region and the free pointer have at least one."""
    width = min(_WIDTH, max(layout.size // 8, len(layout.regions)))
    cells = []
    for cell in range(width):
        at = cell * layout.size // width
        region = next(r for r in reversed(layout.regions) if r.offset <= at)
        cells.append(_FILL[region.what])
    for region in layout.regions:
        cells[region.offset * width // layout.size] = _FILL[region.what]
    if pointer is not None:
        cells[pointer * width // layout.size] = "f"
    return "".join(cells)
