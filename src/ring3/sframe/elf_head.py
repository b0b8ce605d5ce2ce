"""What the head of a loaded ELF image says: segments, build-id, whether it carries .sframe.

:mod:`ring3.elf` says far more, at the price of NumPy and pyelftools.  Attaching to a process and
keeping up with a recording need only this, at once.  Fields: the gABI's ELF and program headers,
64-bit only.  On the way of ``ring3 stack``: imports nothing heavy (see :mod:`ring3.sframe.stack`).
"""

from __future__ import annotations

import os
import stat
import struct

from ring3 import elf_notes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ring3.arch import Endian

    #: Reads ``size`` bytes at an offset; fewer where there are no more.
    ReadAt = Callable[[int, int], bytes]

PT_LOAD = 1
PT_NOTE = 4
PF_X = 1
PT_GNU_SFRAME = 0x6474E554
_MOST_SEGMENTS = 4096
_MOST_NOTE = 1 << 16


class Load:
    """An executable PT_LOAD segment, in bytes."""

    __slots__ = ("filesz", "memsz", "offset", "vaddr")

    def __init__(self, offset: int, vaddr: int, filesz: int, memsz: int) -> None:
        self.offset = offset
        self.vaddr = vaddr
        self.filesz = filesz
        self.memsz = memsz


class Image:
    """The head of an ELF image: e_machine, the executable segments, the build-id in hex.

    ``sframe`` is the size of PT_GNU_SFRAME in bytes, 0 without one.
    """

    def __init__(
        self,
        machine: int,
        endian: Endian,
        entry: int,
        loads: tuple[Load, ...],
        build_id: str | None,
        sframe: int,
    ) -> None:
        self.machine = machine
        self.endian = endian
        self.entry = entry
        self.loads = loads
        self.build_id = build_id
        self.sframe = sframe

    def bias(self, start: int, offset: int) -> int | None:
        """Run-time address minus file address, when file ``offset`` is mapped at ``start`` to be run.

        None when no executable segment holds that offset.
        """
        for load in self.loads:
            # A mapping begins at a page, and a page of AArch64 may have 64 KiB.
            if load.offset & ~0xFFFF <= offset < load.offset + load.filesz:
                return start - (load.vaddr - load.offset + offset)
        return None


def read(read_at: ReadAt) -> Image | None:
    """The head of the image that ``read_at`` reads, or None if that is no 64-bit ELF image."""
    head = read_at(0, 64)
    if len(head) < 64 or head[:4] != b"\x7fELF" or head[4] != 2 or head[5] not in (1, 2):
        return None
    endian: Endian = "little" if head[5] == 1 else "big"
    order = "<" if endian == "little" else ">"
    machine, entry, phoff = struct.unpack_from(order + "H4xQQ", head, 18)
    size, count = struct.unpack_from(order + "HH", head, 54)
    if size != 56 or count > _MOST_SEGMENTS:
        return None
    loads = []
    build_id = None
    sframe = 0
    table = read_at(phoff, size * count)
    for at in range(0, len(table) - size + 1, size):
        kind, flags, offset, vaddr, _, filesz, memsz = struct.unpack_from(
            order + "IIQQQQQ", table, at
        )
        if kind == PT_LOAD and flags & PF_X:
            loads.append(Load(offset, vaddr, filesz, memsz))
        elif kind == PT_NOTE and build_id is None:
            build_id = elf_notes.build_id(read_at(offset, min(filesz, _MOST_NOTE)), order)
        elif kind == PT_GNU_SFRAME:
            sframe = filesz
    return Image(machine, endian, entry, tuple(loads), build_id, sframe)


def read_fd(fd: int) -> Image | None:
    """:func:`read` of an open file."""

    def read_at(offset: int, size: int) -> bytes:
        try:
            return os.pread(fd, size, offset)
        except (OSError, OverflowError):
            return b""

    return read(read_at)


def read_path(path: Path | str) -> Image | None:
    """:func:`read` of a file; None also where there is none to read.  Devices are not opened."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        return read_fd(fd)
    finally:
        os.close(fd)


def read_bytes(data: bytes | memoryview) -> Image | None:
    """:func:`read` of an image in memory."""
    return read(lambda offset, size: bytes(data[offset : offset + size]))
