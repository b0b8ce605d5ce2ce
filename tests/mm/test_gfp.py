"""GFP flags against the running kernel's own table, the headers of two kernels and printed masks."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring3.errors import BadInput
from ring3.kernel.task import PF_MEMALLOC, PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO
from ring3.mm import gfp

#: Masks with their names as kernels printed them in public logs: (kernel, number, names).
PRINTED = [
    ("7.2", 0xCC0, "GFP_KERNEL"),
    ("7.2", 0x40CC0, "GFP_KERNEL|__GFP_COMP"),
    ("7.2", 0x140CCA, "GFP_HIGHUSER_MOVABLE|__GFP_COMP"),
    ("7.2", 0x400DC0, "GFP_KERNEL_ACCOUNT|__GFP_ZERO"),
    ("7.2", 0x8C40, "GFP_NOFS|__GFP_NOFAIL"),
    ("7.2", 0x820, "GFP_ATOMIC"),
    ("6.1", 0xA20, "GFP_ATOMIC"),
    ("6.1", 0x100CCA, "GFP_HIGHUSER_MOVABLE"),
    ("6.1", 0x40A20, "GFP_ATOMIC|__GFP_COMP"),
    ("6.1", 0x500CC2, "GFP_HIGHUSER|__GFP_ACCOUNT"),
]


@pytest.mark.parametrize(("kernel", "number", "names"), PRINTED)
def test_printed_masks(kernel: str, number: int, names: str) -> None:
    table = gfp.TABLES[kernel]
    assert gfp.format_gfp(number, table) == names
    assert gfp.parse_gfp(names, table) == number
    assert gfp.parse_gfp(f"{number:#x}({names})", table) == number


def test_every_mask_comes_back() -> None:
    for table in (*gfp.TABLES.values(), gfp.MODEL):
        for name in (*table.bits, *table.masks):
            value = table.value(name)
            assert gfp.parse_gfp(gfp.format_gfp(value, table), table) == value


@given(st.integers(0, 2**32 - 1))
def test_any_mask_survives_printing(flags: int) -> None:
    assert gfp.parse_gfp(gfp.format_gfp(flags)) == flags


@given(st.text(max_size=60))
def test_garbage_is_refused(text: str) -> None:
    with contextlib.suppress(BadInput):
        assert 0 <= gfp.parse_gfp(text) < 2**32


def test_running_kernel_prints_the_same() -> None:
    """The kmalloc event carries the whole table of the running kernel as C expressions."""
    path = Path("/sys/kernel/tracing/events/kmem/kmalloc/format")
    if not path.is_file():
        pytest.skip("no tracefs here (mount -t tracefs tracefs /sys/kernel/tracing)")
    pairs = re.findall(r'\{\( ?unsigned long\)(.*?), "(\w+)"\}', path.read_text())
    names = {name for _, name in pairs}
    if "__GFP_NO_OBJ_EXT" not in names:
        pytest.skip("the running kernel is older than the table of 7.2")
    table = gfp.table_7_2(
        lockdep="__GFP_NOLOCKDEP" in names, kasan_hw_tags="__GFP_SKIP_ZERO" in names
    )
    assert [name for _, name in pairs] == list(table.printed)
    for expression, name in pairs:
        value = _evaluate(expression)
        assert value == table.value(name), name


def _evaluate(expression: str) -> int:
    """A C constant expression of casts, shifts, brackets and bit operators."""
    python = re.sub(r"\( ?(unsigned long|gfp_t)\)", "", expression).replace("UL", "")
    assert set(python) <= set("()|&~<> 0123456789"), python
    return int(eval(python)) & 0xFFFFFFFF


@pytest.mark.oracle
@pytest.mark.parametrize("kernel", ["6.1", "7.2"])
def test_headers(kernel: str, tmp_path: Path, needs: Callable[[str], str]) -> None:
    """Every name's value as the C compiler sees it in that kernel's header."""
    if kernel == "6.1":
        archive = Path("/usr/src/linux-source-6.1.tar.xz")
        if not archive.is_file():
            pytest.skip("linux-source-6.1 is not here (apt-get install linux-source-6.1)")
    else:
        archive = Path(needs("oracle:linux-7.2"), "usr/src/linux-source-7.2.tar.xz")
    wanted = f"linux-source-{kernel}/include/linux/gfp_types.h"
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name == wanted:
                header = tar.extractfile(member)
                assert header is not None
                (tmp_path / "gfp_types.h").write_bytes(header.read())
                break
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux/bits.h").write_text("#define BIT(n) (1UL << (n))\n")
    table = gfp.table_7_2(lockdep=True) if kernel == "7.2" else gfp.table_6_1()
    lines = "".join(f'printf("%s %lu\\n", "{n}", (unsigned long)({n}));\n' for n in table.printed)
    (tmp_path / "main.c").write_text(
        "#define __bitwise\n#define __force\n#define CONFIG_LOCKDEP 1\n"
        "typedef unsigned int gfp_t;\n#include <stdio.h>\n"
        f'#include "gfp_types.h"\nint main(void) {{\n{lines}return 0;\n}}\n'
    )
    subprocess.run(
        [needs("gcc"), "-I", tmp_path, "-o", tmp_path / "main", tmp_path / "main.c"], check=True
    )
    out = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    values = {name: int(value) for name, value in (line.split() for line in out.splitlines())}
    assert values == {name: table.value(name) for name in table.printed}


def test_scopes() -> None:
    assert gfp.current_gfp_context(gfp.GFP_KERNEL, 0) == gfp.GFP_KERNEL
    assert gfp.current_gfp_context(gfp.GFP_KERNEL, PF_MEMALLOC_NOFS) == gfp.GFP_NOFS
    both = PF_MEMALLOC_NOFS | PF_MEMALLOC_NOIO
    assert gfp.current_gfp_context(gfp.GFP_KERNEL, both) == gfp.GFP_NOIO
    # PF_MEMALLOC changes what the allocator does, not the mask.
    assert gfp.current_gfp_context(gfp.GFP_KERNEL, PF_MEMALLOC) == gfp.GFP_KERNEL


@pytest.mark.parametrize(
    ("flags", "task", "taken"),
    [
        (gfp.GFP_KERNEL, 0, True),
        (gfp.GFP_NOFS, 0, False),
        (gfp.GFP_KERNEL, PF_MEMALLOC_NOFS, False),
        (gfp.GFP_KERNEL, PF_MEMALLOC, False),
        (gfp.GFP_KERNEL | gfp.NOLOCKDEP, 0, False),
        (gfp.GFP_KERNEL & ~gfp.DIRECT_RECLAIM, 0, False),
    ],
)
def test_fs_reclaim_map(flags: int, task: int, taken: bool) -> None:
    """As lib/locking-selftest.c's fs_reclaim cases and fs_reclaim_acquire() demand."""
    assert gfp.takes_fs_reclaim(flags, task) is taken
