"""The quick look at an ELF file, against the thorough one and readelf; /proc/PID/maps."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ring3.elf import Elf
from ring3.sframe import elf_head, maps


def test_files_of_this_machine():
    seen = 0
    for path in (
        sorted(Path("/usr/bin").iterdir())[::9] + sorted(Path("/usr/lib").glob("*/lib*.so*"))[::9]
    ):
        head = elf_head.read_path(path)
        if head is None:
            continue
        with Elf(path) as elf:
            # Go's linker leaves the note out of PT_NOTE, where the kernel does not find it either.
            assert head.build_id in (elf.build_id, None)
            assert (head.entry, head.machine, head.endian) == (elf.entry, elf.machine, elf.endian)
            loads = [s for s in elf.segments if s.type == 1 and s.flags & 1]
            assert [(s.offset, s.vaddr) for s in head.loads] == [(s.offset, s.vaddr) for s in loads]
        seen += head.build_id is not None
    assert seen > 40


def test_bias_of_this_process():
    """Where the dynamic linker put libc: a symbol's address in memory and in the file."""
    import ctypes

    with open("/proc/self/maps") as file:  # noqa: PTH123
        mappings = [m for m in maps.parse(file.read()) if m.executable and "/libc.so" in m.path]
    (libc,) = mappings
    head = elf_head.read_path(libc.path)
    address = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    with Elf(libc.path) as elf:
        named = {elf.symbols.name(n): int(elf.symbols.addr[n]) for n in range(len(elf.symbols))}
    wanted = {
        value for name, value in named.items() if name.split("@")[0] in ("getpid", "__getpid")
    }
    assert address - head.bias(libc.start, libc.offset) in wanted


def test_maps_of_this_process_have_what_is_open():
    found = maps.of_process(os.getpid())
    assert [m.start for m in found] == sorted(m.start for m in found)
    assert any(m.path == "[vdso]" and m.executable and not m.file for m in found)
    libc = next(m for m in found if "/libc.so" in m.path)
    fd = maps.open_mapped(os.getpid(), libc)
    assert os.fstat(fd).st_ino == libc.inode
    os.close(fd)


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_no_image(data, marked):
    data = b"\x7fELF\2\1\1" + data if marked else data
    head = elf_head.read_bytes(data)
    if head is not None:
        head.bias(0x1000, 0)


@given(st.text(max_size=200))
def test_garbage_is_no_mapping(text):
    for mapping in maps.parse(text):
        assert isinstance(mapping.start, int)


def test_devices_are_not_opened():
    assert elf_head.read_path("/dev/null") is None
    assert elf_head.read_path("/dev/zero") is None
    assert elf_head.read_path("/") is None
    assert elf_head.read_path("a\0b") is None
