"""libsframe of binutils 2.47, called directly, reads of our sections the rows that .eh_frame says."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from ring3.elf import Elf
from ring3.sframe import cfi, encode, section
from ring3.sframe.section import FDE_TYPE, FLEX
from ring3.sframe.table import DEREF, SAME, SIGNAL, UNDEFINED

pytestmark = pytest.mark.oracle

_DEFAULT = 0


def load(tree: str) -> ctypes.CDLL:
    """The library; it needs no newer libc than the system's."""
    library = ctypes.CDLL(f"{tree}/usr/lib/x86_64-linux-gnu/libsframe.so.3")
    library.sframe_decode.restype = ctypes.c_void_p
    library.sframe_decode.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
    library.sframe_decoder_get_num_fidx.argtypes = [ctypes.c_void_p]
    library.sframe_decoder_get_fre.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_char_p)
    ]
    library.sframe_fre_get_base_reg_id.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    for name in ("cfa", "ra", "fp"):
        function = getattr(library, f"sframe_fre_get_{name}_offset")
        function.argtypes = [*(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_void_p)]
        function.restype = ctypes.c_int32
    return library


@pytest.mark.parametrize(
    ("path", "rare"), [("/lib/x86_64-linux-gnu/libc.so.6", 1), ("/usr/bin/gdb", 0)]
)
def test_rows_are_the_tables(path, rare, needs):
    if not Path(path).exists():
        pytest.skip(f"{path} is not here")
    library = load(str(needs("oracle:binutils")))
    with Elf(path) as elf:
        table = cfi.read(elf)
    made = encode.encode(table)
    assert not made.refused
    error = ctypes.c_int()
    context = library.sframe_decode(made.data, len(made.data), ctypes.byref(error))
    assert context and not error.value
    assert library.sframe_decoder_get_num_fidx(context) == len(table.functions)
    flex = (section.parse(made.data).fdes["info2"] & FDE_TYPE) == FLEX
    row_of = ctypes.create_string_buffer(256)

    def offset(name: str, kind: int) -> int:
        said = getattr(library, f"sframe_fre_get_{name}_offset")(
            context, row_of, kind, ctypes.byref(error)
        )
        assert error.value == 0
        return said

    checked = {"default": 0, "flex": 0, "signal": 0}
    for index, function in enumerate(table.functions):
        kind = FLEX if flex[index] else _DEFAULT
        first, count = int(function["first_row"]), int(function["row_count"])
        for number, row in enumerate(table.rows[first : first + count].tolist()):
            assert library.sframe_decoder_get_fre(context, index, number, row_of) == 0
            start, cfa_offset, ra_offset, fp_offset, cfa_reg, _, _, cfa, ra, fp, _, _ = row
            assert int.from_bytes(row_of.raw[:4], "little") == start
            if ra == UNDEFINED:
                continue
            assert offset("cfa", kind) == cfa_offset
            assert offset("ra", kind) == ra_offset
            if fp not in (SAME, UNDEFINED):
                assert offset("fp", kind) == fp_offset
            if kind == FLEX:
                # The first word is how the second is to be used.
                assert offset("cfa", _DEFAULT) == cfa_reg << 3 | (2 if cfa & DEREF else 0) | 1
            else:
                base = library.sframe_fre_get_base_reg_id(row_of, ctypes.byref(error))
                assert base == (1 if cfa_reg == table.arch.dwarf.sp else 0)
            checked["flex" if kind == FLEX else "default"] += 1
            checked["signal"] += bool(function["flags"] & SIGNAL)
        assert library.sframe_decoder_get_fre(context, index, count, row_of) != 0
    assert checked["default"] > 20_000
    assert min(checked["flex"], checked["signal"]) >= rare
