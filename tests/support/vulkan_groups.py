"""All groups of graphics programs, by name."""

from __future__ import annotations

from collections.abc import Callable

import vulkan_corners
import vulkan_raster
import vulkan_targets
import vulkan_textures
import vulkan_transfers
import vulkan_ycbcr
from vulkan_script import Case

GROUPS: dict[str, Callable[[], list[Case]]] = {
    "topologies": vulkan_raster.topologies,
    "raster_states": vulkan_raster.raster_states,
    "interfaces": vulkan_raster.interfaces,
    "blends": vulkan_targets.blends,
    "targets": vulkan_targets.targets,
    "multisampled": vulkan_targets.multisampled,
    "layers": vulkan_targets.layers,
    "textures": vulkan_textures.textures,
    "compressed": vulkan_textures.compressed,
    "ycbcr": vulkan_ycbcr.ycbcr,
    "images": vulkan_textures.images,
    "corners": vulkan_corners.corners,
    "transfers": vulkan_transfers.transfers,
    "commands": vulkan_transfers.commands,
}
