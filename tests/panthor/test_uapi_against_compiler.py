"""Every declared structure and ioctl number, against the C compiler and the kernel's own headers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.dma_buf import uapi as dma_buf_uapi
from ring3.dma_buf.cstruct import CStruct, c_declaration
from ring3.drm import uapi as drm_uapi
from ring3.panthor import uapi as panthor_uapi

STRUCTS = (*dma_buf_uapi.STRUCTS, *drm_uapi.STRUCTS, *panthor_uapi.STRUCTS)
IOCTLS = (*dma_buf_uapi.IOCTLS, *drm_uapi.IOCTLS, *panthor_uapi.IOCTLS)
CONSTANTS = [
    *("TIMESTAMP_GPU", "TIMESTAMP_CPU_MONOTONIC", "TIMESTAMP_CPU_MONOTONIC_RAW"),
    *("TIMESTAMP_CPU_TYPE_MASK", "TIMESTAMP_GPU_OFFSET", "TIMESTAMP_GPU_CYCLE_COUNT"),
    *("TIMESTAMP_FREQ", "TIMESTAMP_DURATION", "VM_BIND_ASYNC", "VM_STATE_UNUSABLE"),
    *("BO_NO_MMAP", "BO_WB_MMAP", "BO_IS_IMPORTED", "BO_SYNC_CPU_CACHE_FLUSH_AND_INVALIDATE"),
    *("GROUP_STATE_TIMEDOUT", "GROUP_STATE_FATAL_FAULT", "GROUP_STATE_INNOCENT"),
    *("USER_MMIO_OFFSET_32BIT", "USER_MMIO_OFFSET_64BIT", "SYNC_OP_SIGNAL"),
    *("OP_MAP_READONLY", "OP_MAP_NOEXEC", "OP_MAP_UNCACHED", "OP_MAP_SPARSE"),
    *("OP_TYPE_MASK", "OP_TYPE_UNMAP", "OP_TYPE_SYNC_ONLY"),
]


def test_layouts_and_numbers_equal_the_headers(needs: Callable[[str], str], tmp_path: Path) -> None:
    include = Path(needs("oracle:uapi-7.2")) / "usr/include"
    lines = [
        "#include <stddef.h>\n#include <stdio.h>\n#include <drm/drm.h>\n#include <drm/panthor_drm.h>",
        "#include <linux/sync_file.h>\n#include <linux/dma-buf.h>\nint main(void) {",
    ]
    expected = []
    for kind in STRUCTS:
        lines.append(f'printf("%zu\\n", sizeof(struct {kind.C_NAME}));')
        expected.append((kind.C_NAME, kind.SIZE))
        for field in kind.FIELDS:
            place = f"struct {kind.C_NAME}, {field.name}"
            member = f"((struct {kind.C_NAME} *)0)->{field.name}"
            lines.append(f'printf("%zu\\n%zu\\n", offsetof({place}), sizeof({member}));')
            expected.append((f"{place} offset", field.offset))
            expected.append((f"{place} size", field.size))
    for ioctl in IOCTLS:
        lines.append(f'printf("%lu\\n", (unsigned long)(unsigned){ioctl.name});')
        expected.append((ioctl.name, ioctl.number))
    for ours in CONSTANTS:
        name = f"DRM_PANTHOR_{'VM_BIND_' if ours.startswith('OP_') else ''}{ours}"
        value = getattr(panthor_uapi, ours)
        cast = "(unsigned)" if value < 1 << 32 else ""
        lines.append(f'printf("%llu\\n", (unsigned long long){cast}{name});')
        expected.append((name, value))
    source = tmp_path / "layout.c"
    source.write_text("\n".join([*lines, "return 0; }\n"]))
    architecture = include / "x86_64-linux-gnu"
    command = ["-isystem", str(include), "-isystem", str(architecture), "-o", str(tmp_path / "a")]
    subprocess.run([needs("gcc"), *command, str(source)], check=True)
    out = subprocess.run([tmp_path / "a"], check=True, capture_output=True, text=True).stdout
    assert list(zip([name for name, _ in expected], map(int, out.split()), strict=True)) == expected


def test_c_declarations_compile_to_the_same_layout(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    """The documentation's C, and the structures of sw_sync, which have no header."""
    kinds = [
        *STRUCTS,
        dma_buf_uapi.SwSyncCreateFenceData,
        dma_buf_uapi.SwSyncGetDeadline,
    ]
    checks = [
        f'_Static_assert(offsetof(struct {kind.C_NAME}, {field.name}) == {field.offset}, "");'
        for kind in kinds
        for field in kind.FIELDS
    ] + [f'_Static_assert(sizeof(struct {kind.C_NAME}) == {kind.SIZE}, "");' for kind in kinds]
    source = tmp_path / "declared.c"
    head = "#include <stddef.h>\n#include <linux/types.h>\n"
    source.write_text(head + "\n".join([*map(c_declaration, kinds), *checks]))
    subprocess.run([needs("gcc"), "-fsyntax-only", str(source)], check=True)


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.C_NAME)
def test_any_bytes_survive_decoding(kind: type[CStruct]) -> None:
    @given(st.binary(min_size=kind.SIZE, max_size=kind.SIZE))
    def check(data: bytes) -> None:
        # Bytes of compiler padding are the only ones that may be lost.
        kept = bytearray(kind.SIZE)
        for field in kind.FIELDS:
            kept[field.offset : field.offset + field.size] = data[field.offset :][: field.size]
        assert kind.unpack(data).pack() == bytes(kept)

    check()
