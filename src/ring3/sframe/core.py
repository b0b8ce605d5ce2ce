"""Core dumps: threads, memory, and what was mapped.

A core is an ELF file whose segments are memory and whose notes say the rest: NT_PRSTATUS (a thread),
NT_PRPSINFO, NT_AUXV, NT_FILE.  Layouts: ``linux/elfcore.h`` and core(5), 64-bit.  The kernel and gdb leave
out text that files hold, so those files are needed, too; qemu-user writes no NT_FILE, so there the
dynamic linker's list of modules is read from memory, as a debugger does (``link.h``: r_debug, link_map).
"""

from __future__ import annotations

import mmap
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ring3 import arch
from ring3.elf_notes import notes
from ring3.errors import BadInput, MissingPart
from ring3.files import map_input, require_regular
from ring3.sframe import abi as abis
from ring3.sframe import elf_head, facts
from ring3.sframe.abi import Abi
from ring3.sframe.elf_head import Image
from ring3.sframe.process import PRSTATUS, Thread, registers_of
from ring3.sframe.unwind import Module, Modules

_PT_LOAD, _PT_DYNAMIC, _PT_NOTE = 1, 2, 4
_NT_PRSTATUS, _NT_PRPSINFO, _NT_AUXV, _NT_FILE = 1, 3, 6, 0x46494C45
_AT_PHDR, _AT_PHNUM, _AT_ENTRY, _AT_SYSINFO_EHDR = 3, 5, 9, 33
_DT_DEBUG = 21
_PRSTATUS_PID, _PRSTATUS_REGS = 32, 112
_PRPSINFO_NAME = 40
_PN_XNUM = 0xFFFF
_MOST_MODULES = 1 << 16
_MOST_VDSO = 1 << 20


@dataclass(frozen=True)
class _Segment:
    start: int
    end: int  # of what the dump holds
    whole_end: int  # of the memory that was there
    offset: int
    executable: bool


@dataclass(frozen=True)
class _File:
    """A piece of a file that was mapped."""

    start: int
    end: int
    offset: int
    path: str


class Core:
    """An opened core dump.

    ``executable`` names the program where the dump does not, or another copy; ``sysroot`` is put before the
    paths of all other files.  BadInput when the file is no 64-bit core dump or is malformed.
    """

    def __init__(
        self, path: Path | str, executable: Path | None = None, sysroot: Path | None = None
    ) -> None:
        self.path = Path(path)
        self._executable, self._sysroot = executable, sysroot
        self._data = memoryview(map_input(self.path))
        head = bytes(self._data[:64])
        if len(head) < 64 or head[:5] != b"\x7fELF\2" or head[5] not in (1, 2):
            raise BadInput("not a 64-bit ELF file", where=str(path))
        self._order = "<" if head[5] == 1 else ">"
        kind, machine = struct.unpack_from(self._order + "HH", head, 16)
        if kind != 4:
            raise BadInput("an ELF file, but no core dump", where=str(path))
        endian: arch.Endian = "little" if self._order == "<" else "big"
        found = arch.by_elf(machine, 64, endian, 0)
        if found is None:
            raise BadInput(f"a core dump of machine {machine}", where=str(path))
        self.abi: Abi = abis.of(found)
        self._segments: list[_Segment] = []
        self._notes: list[tuple[int, bytes]] = []
        self._read_segments(head)
        self._starts = [segment.start for segment in self._segments]
        self._files = sorted(self._mapped_files(), key=lambda mapped: mapped.start)
        self._file_starts = [mapped.start for mapped in self._files]
        self._opened: dict[str, memoryview] = {}
        self._auxv = self._read_auxv()

    def threads(self) -> list[Thread]:
        """The threads, the one that was current first."""
        name = ""
        for kind, note in self._notes:
            if kind == _NT_PRPSINFO:
                name = (
                    note[_PRPSINFO_NAME : _PRPSINFO_NAME + 16]
                    .split(b"\0")[0]
                    .decode(errors="replace")
                )
        out = []
        size = 8 * len(PRSTATUS[self.abi.name])
        for kind, note in self._notes:
            if kind == _NT_PRSTATUS and len(note) >= _PRSTATUS_REGS + size:
                (tid,) = struct.unpack_from(self._order + "i", note, _PRSTATUS_PID)
                raw = note[_PRSTATUS_REGS : _PRSTATUS_REGS + size]
                out.append(Thread(tid, name, registers_of(raw, self.abi)))
        if not out:
            raise BadInput("it holds no thread", where=str(self.path))
        return out

    def word(self, address: int) -> int | None:
        """The 8 bytes at an address, from the dump or else from the file that was mapped there."""
        held = self.read(address, 8)
        return struct.unpack(self._order + "Q", held)[0] if len(held) == 8 else None

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes, or fewer where one piece of memory ends."""
        index = bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._segments[index].end:
            segment = self._segments[index]
            at = segment.offset + address - segment.start
            return bytes(
                self._data[at : min(at + size, segment.offset + segment.end - segment.start)]
            )
        index = bisect_right(self._file_starts, address) - 1
        if index >= 0 and address < self._files[index].end:
            mapped = self._files[index]
            at = mapped.offset + address - mapped.start
            end = mapped.offset + mapped.end - mapped.start
            return bytes(self._contents(mapped.path)[at : min(at + size, end)])
        return b""

    def modules(self) -> Modules:
        """What was executable, with the tables and symbols of each file that is here."""
        found = list(self._file_modules()) if self._files else list(self._linked_modules())
        base = self._auxv.get(_AT_SYSINFO_EHDR)
        if base is not None and (segment := self._segment_at(base)):
            data = self.read(segment.start, min(segment.end - segment.start, _MOST_VDSO))
            if head := elf_head.read_bytes(data):
                known = facts.of_bytes("[vdso]", data)
                bias = head.bias(segment.start, 0) or 0
                end = segment.whole_end
                found.append(
                    Module(segment.start, end, bias, "[vdso]", known.rules(), known.symbols)
                )
        # Whatever else could be run has no file: JIT code, a signal trampoline of an emulator.
        covered = {module.start for module in found}
        place = Modules(found)
        for segment in self._segments:
            fresh = segment.start not in covered and place.find(segment.start) is None
            if segment.executable and fresh:
                found.append(Module(segment.start, segment.whole_end))
        return Modules(found)

    def _dumped_build_ids(self) -> dict[str, str]:
        """Path -> build-id out of the dump itself, which holds the first page of mapped ELF files."""
        found = {}
        for mapped in self._files:
            segment = self._segment_at(mapped.start) if mapped.offset == 0 else None
            if segment is not None:
                at = segment.offset + mapped.start - segment.start
                head = elf_head.read_bytes(self._data[at : at + segment.end - mapped.start])
                if head and head.build_id:
                    found[mapped.path] = head.build_id
        return found

    def _file_modules(self) -> Iterator[Module]:
        dumped = self._dumped_build_ids()
        for mapped in self._files:
            segment = self._segment_at(mapped.start)
            if segment is not None and not segment.executable:
                continue
            path = self._local(mapped.path)
            head = elf_head.read_path(path)
            problem = "it is not here" if head is None else ""
            if head and dumped.get(mapped.path, head.build_id) != head.build_id:
                problem = "what is here has another build-id"
            bias = head.bias(mapped.start, mapped.offset) if head and not problem else None
            if head is None or bias is None:
                if segment is not None:
                    yield Module(mapped.start, mapped.end, 0, mapped.path, problem=problem)
                continue
            known = facts.of_file(path, head)
            yield Module(mapped.start, mapped.end, bias, mapped.path, known.rules(), known.symbols)

    def _linked_modules(self) -> Iterator[Module]:
        """The program and what the dynamic linker says it loaded."""
        if self._executable is None:
            raise MissingPart(
                "the dump does not name its files", where=str(self.path), remedy="--exe PROGRAM"
            )
        head = elf_head.read_path(self._executable)
        if head is None:
            raise BadInput("no 64-bit ELF file", where=str(self._executable))
        bias = self._auxv.get(_AT_ENTRY, head.entry) - head.entry
        yield from self._of_file(str(self._executable), head, bias)
        for base, name in self._link_map():
            path = self._local(name)
            if name and (loaded := elf_head.read_path(path)):
                yield from self._of_file(path, loaded, base)

    def _of_file(self, path: str, head: Image, bias: int) -> Iterator[Module]:
        known = facts.of_file(path, head)
        for load in head.loads:
            start = load.vaddr + bias
            yield Module(start, start + load.memsz, bias, path, known.rules(), known.symbols)

    def _link_map(self) -> Iterator[tuple[int, str]]:
        """(bias, name) of every module behind the first, which is the program."""
        phdr, count = self._auxv.get(_AT_PHDR, 0), self._auxv.get(_AT_PHNUM, 0)
        headers = self.read(phdr, 56 * min(count, 64)) or self._program_headers(phdr, count)
        program = dynamic = None
        for at in range(0, len(headers) - 55, 56):
            kind, _, _, vaddr = struct.unpack_from(self._order + "IIQQ", headers, at)
            if kind == 6:  # PT_PHDR: where the headers think they are
                program = phdr - vaddr
            elif kind == _PT_DYNAMIC:
                dynamic = vaddr
        if dynamic is None or program is None:
            return
        entry = dynamic + program
        debug = 0
        for _ in range(256):
            tag, value = self.word(entry), self.word(entry + 8)
            if not tag or value is None:
                break
            if tag == _DT_DEBUG:
                debug = value
            entry += 16
        link = self.word(debug + 8) if debug else None  # r_debug.r_map
        for _ in range(_MOST_MODULES):
            if not link:
                return
            base, name, link = (self.word(link + at) for at in (0, 8, 24))
            if base is not None and name:
                text = self._string(name)
                if text:
                    yield base, text

    def _program_headers(self, address: int, count: int) -> bytes:
        """The program headers out of the program's file, where the dump leaves them out."""
        if self._executable is None:
            return b""
        data = self._contents(str(self._executable))
        (offset,) = struct.unpack_from(self._order + "Q", data, 32) if len(data) >= 64 else (0,)
        return bytes(data[offset : offset + 56 * min(count, 64)]) if address else b""

    def _string(self, address: int) -> str:
        out = b""
        while b"\0" not in out and len(out) < 4096:
            piece = self.read(address + len(out), 64)
            if not piece:
                break
            out += piece
        return out.split(b"\0")[0].decode(errors="surrogateescape")

    def _local(self, path: str) -> str:
        """Where a file that the dump names is to be found here."""
        first = self._files[0].path if self._files else None
        if self._executable is not None and path == first:
            return str(self._executable)
        return f"{self._sysroot}{path}" if self._sysroot else path

    def _contents(self, path: str) -> memoryview:
        if path not in self._opened:
            data = memoryview(b"")
            local = Path(path if self._files == [] else self._local(path))
            try:
                require_regular(local)  # a core can name a pipe, which nobody would ever write to
                with local.open("rb") as file:
                    if os.fstat(file.fileno()).st_size:
                        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            except (OSError, ValueError, BadInput):
                pass  # its text cannot be read, then
            self._opened[path] = data
        return self._opened[path]

    def _segment_at(self, address: int) -> _Segment | None:
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._segments[index].whole_end:
            return None
        return self._segments[index]

    def _read_segments(self, head: bytes) -> None:
        (table,) = struct.unpack_from(self._order + "Q", head, 32)
        size, count = struct.unpack_from(self._order + "HH", head, 54)
        if count == _PN_XNUM:  # the number is in section 0's sh_info
            (sections,) = struct.unpack_from(self._order + "Q", head, 40)
            (count,) = struct.unpack(self._order + "I", self._slice(sections + 44, 4))
        if size != 56:
            raise BadInput(f"a program header of {size} bytes", where=f"{self.path}+0x36")
        headers = self._slice(table, 56 * count)
        for at in range(0, len(headers), 56):
            kind, flags, offset, start, _, filesz, memsz = struct.unpack_from(
                self._order + "IIQQQQQ", headers, at
            )
            if kind == _PT_LOAD:
                held = max(0, min(filesz, memsz, len(self._data) - offset))
                self._segments.append(
                    _Segment(start, start + held, start + memsz, offset, bool(flags & 1))
                )
            elif kind == _PT_NOTE:
                self._notes += [
                    (kind, data)
                    for owner, kind, data, _ in notes(self._slice(offset, filesz), self._order)
                    if owner == b"CORE"
                ]
        self._segments.sort(key=lambda segment: segment.start)

    def _read_auxv(self) -> dict[int, int]:
        out: dict[int, int] = {}
        for kind, note in self._notes:
            if kind == _NT_AUXV:
                words = struct.iter_unpack(self._order + "QQ", note[: len(note) // 16 * 16])
                out.update(dict(words))
        return out

    def _mapped_files(self) -> Iterator[_File]:
        for kind, note in self._notes:
            if kind != _NT_FILE or len(note) < 16:
                continue
            count, page = struct.unpack_from(self._order + "QQ", note, 0)
            if count > (len(note) - 16) // 24:
                raise BadInput("NT_FILE says more files than it holds", where=str(self.path))
            names = note[16 + 24 * count :].split(b"\0")
            for index in range(min(count, len(names))):
                start, end, offset = struct.unpack_from(self._order + "QQQ", note, 16 + 24 * index)
                name = names[index].decode(errors="surrogateescape")
                yield _File(start, end, offset * page, name)

    def _slice(self, offset: int, size: int) -> bytes:
        if offset + size > len(self._data):
            raise BadInput(
                f"{size} bytes lie outside the file: is it truncated?",
                where=f"{self.path}+{offset:#x}",
            )
        return bytes(self._data[offset : offset + size])
