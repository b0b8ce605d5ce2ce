"""What this GPU says about itself: the values its registers read.

Defaults are a Mali-G610 (CSF architecture 10) as Mesa and Linux 7.2 accept it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GpuConfig:
    """Register values, by the kernel's names (struct drm_panthor_gpu_info), and firmware limits."""

    gpu_id: int = 0xA8670000
    gpu_rev: int = 0
    csf_id: int = 0x40A0412
    l2_features: int = 0x7120306
    tiler_features: int = 0x809
    mem_features: int = 0x301
    mmu_features: int = 0x2830
    thread_features: int = 0x4010000
    max_threads: int = 2048
    thread_max_workgroup_size: int = 1024
    thread_max_barrier_size: int = 1024
    coherency_features: int = 0
    texture_features: tuple[int, int, int, int] = (0xC1FFFF9E, 0, 0, 0)
    as_present: int = 0xFF
    shader_present: int = 0x50005
    l2_present: int = 0x1
    tiler_present: int = 0x1
    group_slots: int = 8
    queue_slots: int = 8
    registers: int = 96
    scoreboards: int = 8
    unpreserved_registers: int = 4

    #: How blending divides the product p of two bytes by 255.  Hardware does not document it.  False:
    #: (p + p/256 + 128) / 256, as llvmpipe did until Mesa 25; True: rounded to nearest exactly, as in
    #: Mesa 26.  They differ for 24 of the 65536 products, by one; pictures are compared bit for bit.
    exact_blending: bool = False

    @property
    def address_spaces(self) -> int:
        return self.as_present.bit_count()
