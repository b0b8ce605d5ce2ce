"""Addresses to names: symbol tables, and the symbol files that JIT compilers keep for perf.

perf-PID.map: ``tools/perf/Documentation/jit-interface.txt`` (one "START SIZE name" a line, in hex).  On the
way of ``ring3 stack``: imports nothing heavy (see :mod:`ring3.sframe.stack`).
"""

from __future__ import annotations

from bisect import bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array

_MOST_LINES = 1 << 21


class Symbols:
    """Function symbols sorted by address; ``name[n]`` is an offset into ``strings``, ended by a zero.

    ``addr`` and ``size`` hold u64, ``name`` u32; size 0 means "as far as the next".
    """

    def __init__(
        self,
        addr: memoryview | array[int],
        size: memoryview | array[int],
        name: memoryview | array[int],
        strings: memoryview | bytes,
    ) -> None:
        self.addr = addr
        self.size = size
        self.name = name
        self.strings = strings

    def find(self, addr: int) -> int:
        """Index of the symbol that holds ``addr``, or -1."""
        index = bisect_right(self.addr, addr) - 1
        if index < 0:
            return -1
        size = self.size[index]
        return index if size == 0 or addr - self.addr[index] < size else -1

    def text(self, index: int) -> str:
        """The name of symbol ``index``, mangled, without its version, up to 4 KiB of it."""
        start = self.name[index]
        name = bytes(self.strings[start : start + 4096]).split(b"\0")[0].split(b"@")[0]
        return name.decode(errors="replace")


_NONE = memoryview(b"")
NO_SYMBOLS = Symbols(_NONE.cast("Q"), _NONE.cast("Q"), _NONE.cast("I"), _NONE)


def read_perf_map(data: bytes) -> Symbols:
    """The symbols of a perf-PID.map; of entries at one address the last counts, odd lines are skipped."""
    from array import array

    found: dict[int, tuple[int, bytes]] = {}
    for line in data.split(b"\n", _MOST_LINES)[:_MOST_LINES]:
        part = line.split(None, 2)
        if len(part) < 3:
            continue
        try:
            start, size = int(part[0], 16), int(part[1], 16)
        except ValueError:
            continue
        if 0 <= start < 1 << 63 and 0 < size < 1 << 40:
            found[start] = (size, part[2])
    addr, sizes, names = array("Q"), array("Q"), array("I")
    strings = bytearray()
    for start in sorted(found):
        size, name = found[start]
        addr.append(start)
        sizes.append(size)
        names.append(len(strings))
        strings += name + b"\0"
    return Symbols(addr, sizes, names, bytes(strings))
